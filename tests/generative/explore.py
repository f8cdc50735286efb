"""Runs one small async function along every path and sees which of its tasks are left running.

The function under test is `async def host(env)`. Whatever it cannot know in advance comes from `env`:

- `env.child(n)`: the coroutine of a task; n numbers the place that spawns it
- `await env.step()`: something that takes time: returns, raises, or is where the host is cancelled
- `env.call()`, `env.cond()`, `env.batch()`: return, choose a branch, give nought to two items; or raise
- `env.more()`: like `cond`, but true at most three times in a run

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
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from generative.instrument import Loader, Place, Watcher, instrument
from generative.ledger import Closing, Ledger, Mark
from generative.loop import PROGRAM, Child, Loop, State, Task, sight, silent

T = TypeVar("T")

MORE = 3
"""How often `env.more()` says yes in a run: enough for two rounds of a loop in one round of another."""
CANCELLATION = "host is cancelled"


class Failure(Exception):
    """What a step, call or task raises; no handler of the host names it."""


class Sighting(NamedTuple):
    """One task at the end of a run."""

    site: int
    state: State
    waited: bool
    """It ended because somebody waited for it, not by chance."""
    blurred: bool
    """What became of it may hang on the state of another task: the host asked or awaited one that had ended before this
    one was spawned, asked one that had ended and then spawned this one, or asked one that could not have run yet."""


class Run(NamedTuple):
    decisions: tuple[str, ...]
    end: str
    """How the host ended: `returns`, `is cancelled`, or `raises X`."""
    sightings: tuple[Sighting, ...]
    marks: tuple[Mark, ...] = ()
    """Every task when it left its last hands, if the program is watched."""
    closings: tuple[Closing, ...] = ()
    called: frozenset[int] = frozenset()
    """The numbers of the places that have given anything."""

    def __str__(self) -> str:
        states = [f"task {seen.site} {seen.state.value}" for seen in self.sightings]
        return "; ".join([*self.decisions, f"host {self.end}", *states])


class Exploration(NamedTuple):
    runs: tuple[Run, ...]
    exhaustive: bool
    """Every path was run to its end (loops for a few rounds): none was left out, and none failed by a slip of the
    program, such as a name without a value."""
    places: tuple[Place, ...] = ()
    """The calls that may give a task, by the numbers of which routes are made."""
    unfailing: bool = False
    """The program waits in ways that cannot raise, other than by a cancellation."""

    def seen(self, site: int) -> Iterator[tuple[Run, Sighting]]:
        """Every task that was spawned at a site, with the run it belongs to."""
        return ((run, sighting) for run in self.runs for sighting in run.sightings if sighting.site == site)

    def runs_with(self, site: int, state: State) -> list[Run]:
        """The runs that end with a task of the site in this state."""
        return [run for run, sighting in self.seen(site) if sighting.state is state]

    def states(self, site: int) -> set[State]:
        """The states in which a site's tasks were seen, over all runs."""
        return {sighting.state for _, sighting in self.seen(site)}


def explore(source: str, **limits: int) -> Exploration:
    """Runs `async def host(env)` of a module along every path.

    `limits` are those of `Limits`. A run that would make more than `max_decisions` decisions, or that waits for ever,
    is cut off and not counted.
    """
    namespace: dict[str, Any] = {"print": silent}
    exec(compile(source, PROGRAM, "exec"), namespace)
    return _explore(source, lambda _env: namespace["host"], (), Limits(**limits))


def explore_project(sources: Mapping[str, str], **limits: int) -> Exploration:
    """Runs `async def host(env)` of the first of several modules along every path, and marks what becomes of the tasks
    in every function. `sources` has the modules by their dotted names; `limits` are those of `Limits`.

    After a run in which the host has returned, one of the ends of what still keeps a running task is called.
    """
    codes, places = instrument(sources)

    def load(env: Environment) -> Host:
        loader = Loader(codes, Watcher(env.ledger.call, env.ledger.function))
        host: Host = loader.load(next(iter(sources))).host
        for module in loader.modules.values():
            env.ledger.module(module, env)
        return host

    return _explore("\n".join(sources.values()), load, places, Limits(**limits))


def _explore(text: str, load: Callable[[Environment], Host], places: Sequence[Place], limits: Limits) -> Exploration:
    conditions = Conditions(
        errors=(Failure, *(error for error in (ValueError, asyncio.TimeoutError) if error.__name__ in text)),
        hasty=".done()" in text or ".cancel()" in text,
        mixed=any(word in text for word in ("{", "pool", "tasks = set(", "pending")),
        limits=limits,
    )
    paths: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
    order = itertools.count(1)
    runs: list[Run] = []
    tried, slipped = 0, False
    loop = Loop()
    with warnings.catch_warnings():
        # `as_completed` that is left early drops coroutines which were never awaited.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            while paths and tried < limits.max_runs:
                surprises, _, path = heapq.heappop(paths)
                env = Environment(loop, path, conditions)
                run = env.run(load(env))
                tried += 1
                if env.slipped:
                    slipped = True
                elif run is not None:
                    runs.append(run)
                for taken in _others(env.decisions, len(path)):
                    heapq.heappush(paths, (surprises + 1, next(order), taken))
        finally:
            loop.close()
    unfailing = "asyncio.wait(" in text or "return_exceptions" in text
    return Exploration(tuple(runs), not paths and not slipped, tuple(places), unfailing)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the explorer goes."""

    cancellations: int = 1
    """How often the host is cancelled in a run."""
    items: int = 2
    """How many `env.batch()` gives."""
    max_runs: int = 1000
    max_decisions: int = 30


@dataclass(frozen=True, slots=True)
class Conditions:
    """What may happen in the runs of a program."""

    errors: tuple[type[Exception], ...]
    """What steps, calls and tasks raise: something unheard of, and what the host has handlers for."""
    hasty: bool
    """Tasks may end before anybody waits for them; it makes a difference to a host that asks them or cancels them."""
    mixed: bool
    """The members of a set may come in the other order; it makes a difference to a host that goes through one."""
    limits: Limits


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


Event = tuple[str, Callable[[], object]]
"""What may happen next, in words, and how to make it happen."""
Host = Callable[["Environment"], Coroutine[Any, Any, object]]


class Environment:
    """The `env` of one run: it decides as `path` says, and after the end of that takes the first option every time."""

    def __init__(self, loop: Loop, path: Sequence[int], conditions: Conditions) -> None:
        self.decisions: list[_Decision] = []
        self.slipped = False
        """The host failed by a fault of the program, not by a decision."""
        self._loop = loop
        self._path = path
        self._conditions = conditions
        self._limits = conditions.limits
        self._children: list[Child] = []
        self._host: asyncio.Task[None] | None = None
        self._step: asyncio.Future[bool] | None = None
        self._more = MORE
        self._backward = False
        self.ledger = Ledger(loop)
        self._closing = False
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
        number = 1 + sum(child.site == site for child in self._children)
        rank = len(self._children)
        if rank == 1 and self._conditions.mixed and not self._over:
            self._backward = self._decide("sets go", ["forward", "backward"]) == 1
        name = f"task {site}" if number == 1 else f"task {site} (number {number})"
        child = Child(site, name, 4 - rank if self._backward else 4 + rank, self._children)
        self._children.append(child)
        child.coroutine = self._live(child)
        return child.coroutine

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
        numbers = (*range(1, self._limits.items + 1), 0)
        return range(self._answer("batch", {f"gives {number}": number for number in numbers}))

    # -- the host and its tasks

    @property
    def _tasks(self) -> list[Task]:
        return [child.task for child in self._children if child.task is not None]

    async def _watch(self, host: Host) -> None:
        """Runs the host and looks at its tasks before anything else can run."""
        end = await self._outcome(host(self))
        if self._over:
            return
        children = [child for child in self._children if child.task is not None]
        cancelled = self.ledger.cancellations > 0
        sightings = [
            Sighting(child.site, sight(child, end, host_cancelled=cancelled), child.waited, child.blurred)
            for child in children
        ]
        if end == "returns" and not cancelled:
            await self._close()
        if not self._over:
            decisions = tuple(decision.text for decision in self.decisions)
            book = self.ledger
            called = frozenset(book.called)
            self._run = Run(decisions, end, tuple(sightings), book.marks, tuple(book.closings), called)
            self._stop()

    async def _outcome(self, awaitable: Awaitable[object]) -> str:
        try:
            await awaitable
        except asyncio.CancelledError:
            return "is cancelled"
        except (Failure, ValueError, asyncio.TimeoutError) as error:
            return f"raises {type(error).__name__}"
        except Exception:  # noqa: BLE001 - a NameError or the like: the program is at fault, the run does not count
            self.slipped = not self._over
        return "returns"

    async def _close(self) -> None:
        """Calls one of the ends of what still keeps a running task."""
        if ends := self.ledger.ends:
            self._closing = True
            _, end = ends[self._decide("then", [name for name, _ in ends])]
            await self._outcome(end())

    def _stop(self) -> None:
        self._over = self.ledger.over = True
        self._loop.stop()

    def _spawn(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        child = next(child for child in self._children if child.coroutine is coroutine)
        child.blurred |= any(sibling.settled for sibling in self._children)
        return Task(coroutine, child, loop=loop, **options)

    async def _live(self, child: Child) -> None:
        """The life of a task: it waits at a gate, and whenever it is cancelled there, at another one."""
        try:
            await self._wait_at_gates(child)
        finally:
            child.ended = True
            child.waited = child.task is not None and child.task.waiters > 0
            child.later = len(self._children)

    async def _wait_at_gates(self, child: Child) -> None:
        assert child.task is not None
        if self._conditions.hasty and not child.cancelled and not child.task.waiters and not self._over:
            child.hasty = self._decide(child.name, ["goes on", "ends at once"]) == 1
        if child.hasty or self._over:
            return
        child.cleaning_up = child.cancelled
        while True:
            child.gate = self._loop.create_future()
            try:
                is_cancelled = not await child.gate
            except asyncio.CancelledError:
                if self._over:
                    raise
                child.cleaning_up = True
            else:
                break
        if is_cancelled:
            raise asyncio.CancelledError

    def _clean_up(self, host: asyncio.Task[None]) -> None:
        self._over = self.ledger.over = True
        while pending := [task for task in (host, *self._tasks) if not task.done()]:
            for task in pending:
                task.cancel()
            self._loop.turn()
        self._loop.cancel_timers()

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
        if not events or len(self.decisions) >= self._limits.max_decisions:
            self._stop()
            return
        names = [name for name, _ in events]
        _, happen = events[self._decide("", names)]
        happen()

    def _events(self, timeout: float | None) -> Iterator[Event]:
        if self._step is not None:
            yield from _endings("step", self._step, self._conditions.errors)
        else:
            for child in self._children:
                if child.awaited and child.gate is not None:
                    if child.cleaning_up:
                        yield f"{child.name} ends cancelled", partial(child.gate.set_result, False)
                    yield from _endings(child.name, child.gate, self._conditions.errors)
            if timeout is not None:
                yield "time-out", partial(self._loop.advance, timeout)
        if self.ledger.cancellations < self._limits.cancellations and not self._closing:
            yield CANCELLATION, self._cancel_host

    def _cancel_host(self) -> None:
        assert self._host is not None
        self.ledger.cancellations += 1
        self._host.cancel()
        for child in self._children:
            child.cancelled_before_host = child.cancelled


def _endings(name: str, future: asyncio.Future[bool], errors: Sequence[type[Exception]]) -> Iterator[Event]:
    yield f"{name} returns", partial(future.set_result, True)
    for error in errors:
        yield f"{name} raises {error.__name__}", partial(future.set_exception, error())
