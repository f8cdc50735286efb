"""Runs one small async function along every path and sees which of its tasks are left running.

The function under test is `async def host(env)`. Whatever it cannot know in advance comes from `env`:

- `env.child(n)`: the coroutine of a task; n numbers the place that spawns it
- `await env.step()`: something that takes time: returns, raises, or is where the host is cancelled
- `env.call()`, `env.cond()`, `env.batch()`: return, choose a branch, give nought to two items; or raise
- `env.more()`: like `cond`, but true at most twice in a run

The loop is asyncio's own with a clock that stands still. Whenever nothing is ready to run, the explorer picks what
happens next: a step ends, a task somebody waits for ends, a time-out fires, or the host is cancelled (once in a run).
A run is the list of those decisions; runs are repeated until every list has been tried or the limit is reached, those
with the fewest surprises first.

Tasks are adversaries: one that nobody waits for never ends by itself (unless it ends at once), a cancelled one needs
time to clean up, and one that is cancelled before it could start is taken to have started.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
import sys
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

LOOPS = 2
"""How often a loop over `env.batch()` runs at most, and how often `env.more()` says yes."""


class Failure(Exception):
    """What a step, call or task raises; no handler of the host names it."""


class State(str, Enum):
    """A task at the moment its host ends."""

    ENDED = "has ended"
    LEFT = "is left running"
    CANCELLED = "is left running, cancelled"
    INTERRUPTED = "is left running, cancelled as the host was"
    """Cancelled, and the host ends because it is cancelled itself (or by an error on top of that, if the task was
    cancelled first)."""


class Sighting(NamedTuple):
    """One task at the end of a run."""

    site: int
    state: State
    waited: bool
    """It ended because somebody waited for it, not by chance."""
    blurred: bool
    """The host asked or awaited another task, which had ended before this one was spawned."""


class Run(NamedTuple):
    decisions: tuple[str, ...]
    end: str
    """How the host ended: `returns`, `is cancelled`, or `raises X`."""
    sightings: tuple[Sighting, ...]

    def __str__(self) -> str:
        states = [f"task {seen.site} {seen.state.value}" for seen in self.sightings]
        return "; ".join([*self.decisions, f"host {self.end}", *states])


class Exploration(NamedTuple):
    runs: tuple[Run, ...]
    exhaustive: bool
    """Every path was run to its end, loops at most twice; no run was left out, and none failed by a slip of the program
    such as a name without a value."""

    def seen(self, site: int) -> Iterator[tuple[Run, Sighting]]:
        """Every task that was spawned at a site, with the run it belongs to."""
        return ((run, sighting) for run in self.runs for sighting in run.sightings if sighting.site == site)

    def states(self, site: int) -> set[State]:
        """The states in which a site's tasks were seen, over all runs."""
        return {sighting.state for _, sighting in self.seen(site)}


def explore(source: str, *, cancellations: int = 1, max_runs: int = 1000, max_decisions: int = 30) -> Exploration:
    """Runs `async def host(env)` of a module along every path, at most `max_runs` of them.

    In each run the host is cancelled at most as often as `cancellations` says.

    A run that would make more than `max_decisions` decisions, or that waits for ever, is cut off and not counted.
    """
    namespace: dict[str, Any] = {"print": _silent}
    exec(compile(source, "<program>", "exec"), namespace)
    conditions = Conditions(
        errors=(Failure, *(error for error in (ValueError, asyncio.TimeoutError) if error.__name__ in source)),
        hasty=".done()" in source or ".cancel()" in source,
        mixed="pool" in source or "pending" in source,
        cancellations=cancellations,
        max_decisions=max_decisions,
    )
    paths: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
    order = itertools.count(1)
    runs: list[Run] = []
    tried, slipped = 0, False
    loop = _Loop()
    with warnings.catch_warnings():
        # `as_completed` that is left early drops coroutines which were never awaited.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            while paths and tried < max_runs:
                surprises, _, path = heapq.heappop(paths)
                env = Environment(loop, path, conditions)
                run = env.run(namespace["host"])
                tried += 1
                if env.slipped:
                    slipped = True
                elif run is not None:
                    runs.append(run)
                for taken in _others(env.decisions, len(path)):
                    heapq.heappush(paths, (surprises + 1, next(order), taken))
        finally:
            loop.close()
    return Exploration(tuple(runs), exhaustive=not paths and not slipped)


def _silent(*_values: object) -> None:
    """The `print` of the programs, which may also be the callback of a task and is no waiting then."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What may happen in the runs of a program."""

    errors: tuple[type[Exception], ...]
    """What steps, calls and tasks raise: something unheard of, and what the host has handlers for."""
    hasty: bool
    """Tasks may end before anybody waits for them; it makes a difference to a host that asks them or cancels them."""
    mixed: bool
    """The members of a set may come in the other order; it makes a difference to a host that goes through one."""
    cancellations: int
    max_decisions: int


class _Decision(NamedTuple):
    chosen: int
    options: int
    text: str


def _others(decisions: Sequence[_Decision], start: int) -> Iterator[tuple[int, ...]]:
    """The paths that leave a run at a decision from `start` on, each by one option that was not chosen there."""
    for index in range(start, len(decisions)):
        before = tuple(decision.chosen for decision in decisions[:index])
        for other in range(1, decisions[index].options):
            yield (*before, other)


class _Idle(selectors.SelectSelector):
    """Never sleeps: calls back where a loop would."""

    def __init__(self, on_idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._on_idle(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """asyncio's loop with a clock that stands still."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.on_idle: Callable[[float | None], None] = lambda _timeout: None
        super().__init__(_Idle(self._idle))
        # Nobody is to be told of the errors of tasks that were left.
        self.set_exception_handler(lambda _loop, _context: None)

    def _idle(self, timeout: float | None) -> None:
        self.on_idle(timeout)

    def time(self) -> float:
        return self.clock

    def advance(self, seconds: float) -> None:
        self.clock += seconds

    def turn(self) -> None:
        """Runs what is ready, once."""
        self.call_soon(self.stop)
        self.run_forever()


@dataclass(eq=False)
class _Child:
    """A task of the host, as the explorer sees it."""

    site: int
    name: str
    rank: int
    """Its hash, which is its place in small sets."""
    task: _Task | None = None
    gate: asyncio.Future[None] | None = None
    """What it waits for, once it has started."""
    hasty: bool = False
    """It ended at once."""
    cancelled: bool = False
    ended: bool = False
    later: list[_Child] = field(default_factory=list)
    """Those spawned after its end."""
    blurred: bool = False
    cancelled_before_host: bool = False
    abandoned: bool = False
    """`wait_for` cancelled it; before Python 3.12 that does not wait for it when it is cancelled itself just then."""
    cleaning_up: bool = False

    @property
    def awaited(self) -> bool:
        """Somebody waits for it, and it has got as far as it goes by itself."""
        return self.task is not None and not self.ended and self.gate is not None and self.task.waiters > 0

    def asked(self) -> None:
        """Somebody asks for its state or awaits it."""
        for later in self.later:
            later.blurred = True


class _Task(asyncio.Task[None]):
    """A task that notes its cancellation and knows whether anybody waits for it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], child: _Child, **options: Any) -> None:
        self.child = child
        self.waiters = 0
        super().__init__(coroutine, **options)
        child.task = self

    def cancel(self, msg: object = None) -> bool:
        if self.child.ended:
            return False
        self.child.cancelled = True
        self.child.abandoned |= sys._getframe(1).f_code.co_name == "_cancel_and_wait"
        # asyncio would never start a task that is cancelled this early; the adversary has started already.
        return self.child.gate is None or super().cancel(msg)

    def __hash__(self) -> int:
        return self.child.rank

    def __await__(self) -> Generator[Any, None, None]:
        self.child.asked()
        return super().__await__()

    def done(self) -> bool:
        self.child.asked()
        return super().done()

    def add_done_callback(self, callback: Callable[[Any], object], /, **options: Any) -> None:
        self.child.asked()
        self.waiters += callback is not _silent
        super().add_done_callback(callback, **options)

    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int:
        removed = super().remove_done_callback(callback)
        self.waiters -= removed
        return removed


Event = tuple[str, Callable[[], object]]
"""What may happen next, in words, and how to make it happen."""
Host = Callable[["Environment"], Coroutine[Any, Any, object]]


class Environment:
    """The `env` of one run: it decides as `path` says, and after the end of that takes the first option every time."""

    def __init__(self, loop: _Loop, path: Sequence[int], conditions: Conditions) -> None:
        self.decisions: list[_Decision] = []
        self.slipped = False
        """The host failed by a fault of the program, not by a decision."""
        self._loop = loop
        self._path = path
        self._conditions = conditions
        self._children: dict[object, _Child] = {}
        """By their coroutines."""
        self._host: asyncio.Task[None] | None = None
        self._step: asyncio.Future[None] | None = None
        self._more = LOOPS
        self._backward = False
        self._cancellations = 0
        self._run: Run | None = None
        self._over = False

    def run(self, host: Host) -> Run | None:
        """Runs the host to its end; None if it was cut off."""
        self._loop.on_idle = self._on_idle
        self._loop.set_task_factory(self._spawn)
        self._host = asyncio.Task(self._watch(host), loop=self._loop)
        self._loop.run_forever()
        self._clean_up(self._host)
        return self._run

    # -- what the host calls

    def child(self, site: int) -> Coroutine[Any, Any, None]:
        number = 1 + sum(child.site == site for child in self._children.values())
        rank = len(self._children)
        if rank == 1 and self._conditions.mixed and not self._over:
            self._backward = self._decide("sets go", ["forward", "backward"]) == 1
        name = f"task {site}" if number == 1 else f"task {site} (number {number})"
        child = _Child(site, name, 4 - rank if self._backward else 4 + rank)
        coroutine = self._live(child)
        self._children[coroutine] = child
        return coroutine

    async def step(self) -> None:
        self._step = self._loop.create_future()
        try:
            await self._step
        finally:
            self._step = None

    def call(self) -> None:
        self._answer("call", {"returns": None})

    def cond(self) -> bool:
        return self._answer("cond", {"is true": True, "is false": False})

    def more(self) -> bool:
        answer = self._answer("more", {"is true": True, "is false": False} if self._more else {"is false": False})
        self._more -= answer
        return answer

    def batch(self) -> range:
        return range(self._answer("batch", {"gives 1": 1, "gives 2": 2, "gives 0": 0}))

    # -- the host and its tasks

    @property
    def _tasks(self) -> list[_Task]:
        return [child.task for child in self._children.values() if child.task is not None]

    async def _watch(self, host: Host) -> None:
        """Runs the host and looks at its tasks before anything else can run."""
        end = "returns"
        try:
            await host(self)
        except asyncio.CancelledError:
            end = "is cancelled"
        except (Failure, ValueError, asyncio.TimeoutError) as error:
            end = f"raises {type(error).__name__}"
        except Exception:  # noqa: BLE001 - a NameError or the like: the program is at fault, the run does not count
            self.slipped = not self._over
        if not self._over:
            children = [child for child in self._children.values() if child.task is not None]
            sightings = [_sight(child, end, host_cancelled=self._cancellations > 0) for child in children]
            self._run = Run(tuple(decision.text for decision in self.decisions), end, tuple(sightings))
            self._stop()

    def _stop(self) -> None:
        self._over = True
        self._loop.stop()

    def _spawn(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        child = self._children[coroutine]
        for other in self._children.values():
            if other.ended:
                other.later.append(child)
        return _Task(coroutine, child, loop=loop, **options)

    async def _live(self, child: _Child) -> None:
        """The life of a task: it waits at a gate, and when it is cancelled there, at a second one."""
        try:
            await self._wait_at_gates(child)
        finally:
            child.ended = True

    async def _wait_at_gates(self, child: _Child) -> None:
        assert child.task is not None
        if self._conditions.hasty and not child.cancelled and not child.task.waiters and not self._over:
            child.hasty = self._decide(child.name, ["goes on", "ends at once"]) == 1
        if child.hasty or self._over:
            return
        child.gate = self._loop.create_future()
        if not child.cancelled:
            try:
                await child.gate
            except asyncio.CancelledError:
                child.gate = self._loop.create_future()
            else:
                return
        child.cleaning_up = True
        await child.gate

    def _clean_up(self, host: asyncio.Task[None]) -> None:
        self._over = True
        while pending := [task for task in (host, *self._tasks) if not task.done()]:
            for task in pending:
                task.cancel()
            self._loop.turn()

    # -- decisions

    def _decide(self, subject: str, options: Sequence[str]) -> int:
        index = len(self.decisions)
        chosen = self._path[index] if index < len(self._path) else 0
        self.decisions.append(_Decision(chosen, len(options), f"{subject} {options[chosen]}".lstrip()))
        return chosen

    def _answer(self, subject: str, answers: Mapping[str, T]) -> T:
        """One of the answers, or one of the errors. Once the run is over, the last answer: it leaves every loop."""
        values = list(answers.values())
        if self._over:
            return values[-1]
        chosen = self._decide(subject, [*answers, *(f"raises {error.__name__}" for error in self._conditions.errors)])
        if chosen >= len(values):
            raise self._conditions.errors[chosen - len(values)]
        return values[chosen]

    def _on_idle(self, timeout: float | None) -> None:
        """Makes one thing happen; cuts the run off if nothing can, or if it has gone on for too long."""
        events = list(self._events(timeout))
        if not events or len(self.decisions) >= self._conditions.max_decisions:
            self._stop()
            return
        names = [name for name, _ in events]
        _, happen = events[self._decide("", names)]
        happen()

    def _events(self, timeout: float | None) -> Iterator[Event]:
        if self._step is not None:
            yield from _endings("step", self._step, self._conditions.errors)
        else:
            for child in self._children.values():
                if child.awaited and child.gate is not None:
                    if child.cleaning_up:
                        yield f"{child.name} ends cancelled", child.gate.cancel
                    yield from _endings(child.name, child.gate, self._conditions.errors)
            if timeout is not None:
                yield "time-out", partial(self._loop.advance, timeout)
        if self._cancellations < self._conditions.cancellations:
            yield "host is cancelled", self._cancel_host

    def _cancel_host(self) -> None:
        assert self._host is not None
        self._cancellations += 1
        self._host.cancel()
        for child in self._children.values():
            child.cancelled_before_host = child.cancelled


def _endings(name: str, future: asyncio.Future[None], errors: Sequence[type[Exception]]) -> Iterator[Event]:
    yield f"{name} returns", partial(future.set_result, None)
    for error in errors:
        yield f"{name} raises {error.__name__}", partial(future.set_exception, error())


def _sight(child: _Child, end: str, *, host_cancelled: bool) -> Sighting:
    state = State.LEFT
    if child.ended:
        state = State.ENDED
    elif child.cancelled:
        interrupted = end == "is cancelled" or (child.cancelled_before_host and end != "returns") or child.abandoned
        state = State.INTERRUPTED if host_cancelled and interrupted else State.CANCELLED
    return Sighting(child.site, state, child.ended and not child.hasty, child.blurred)
