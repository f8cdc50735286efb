"""Runs a program of one module from its beginning to its end, under a clock that never waits, and writes down all that
can be seen of it from outside.

The program defines `async def main()`. It tells what it does by `print(who, what)`: who is a name, one for each task or
function of the program. When `main` has ended, what it has left running goes on until nothing happens any more.
"""

from __future__ import annotations

import asyncio
import re
import selectors
import warnings
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

PROGRAM = "<program>"
LONGEST = 60.0
"""When `main` is given up, in seconds of the program."""
MOST_TURNS = 3000
"""How often the loop may go round: what goes round more often makes no progress."""


OPENING, CLOSED = "closing", "closed"
"""What is told at the beginning and at the end of a cleanup that awaits."""

WAS_NEVER_RETRIEVED = attrgetter("_log_traceback")
"""Whether asyncio would tell that nobody has looked at the error of a task."""


class Event(NamedTuple):
    """Something that the program has told."""

    time: float
    text: str


class Ending(NamedTuple):
    """How a coroutine has ended, as its caller sees it."""

    how: str
    """`returns`, `raises`, `is cancelled`, `exits`; or `never ends`, `waits for ever`, `spins`."""
    value: str = ""
    """What it returns, with all types; the message of a cancellation; the exit status."""
    errors: tuple[str, ...] = ()
    """The errors that it raises, one by one, also of groups within groups."""
    grouped: bool = False
    """They arrive in a group."""

    def __str__(self) -> str:
        errors = ", ".join(self.errors)
        return " ".join(filter(None, [self.how, self.value, f"a group of {errors}" if self.grouped else errors]))


class Failure(NamedTuple):
    """An error that has ended a task."""

    time: float
    error: str
    retrieved: bool
    """Somebody has asked for it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A run."""

    ending: Ending
    """Of `main`."""
    time: float
    """When it ended."""
    events: dict[str, tuple[Event, ...]]
    """By who told them, in the order of their telling."""
    failures: tuple[Failure, ...]
    """Of all tasks but the main one, the earliest first."""
    cancelled: int
    """How many tasks ended as cancelled."""
    caught_closing: frozenset[str]
    """Who was in such a cleanup when it was cancelled for the first time, or from outside."""
    left: int
    """How many tasks ran when `main` ended, and had not been cancelled."""
    dying: int
    """And how many had been cancelled."""
    turns: int
    """How often the loop had gone round then."""
    over: float
    """When the last task ended, but for the main one and those that never do."""
    later_exit: str
    """The status with which what is left running ends the program, if it does."""
    interrupted: float | None = None
    """When the task of `main` was cancelled from outside, if it still ran."""

    def told(self, who: str, *, until: float | None = None) -> tuple[str, ...]:
        """What somebody has told, before a time if one is given."""
        return tuple(event.text for event in self.events.get(who, ()) if until is None or event.time < until)


class Interruption(NamedTuple):
    """When the task of `main` is cancelled."""

    time: float | None = None
    turn: int | None = None

    def __str__(self) -> str:
        return f"cancelled at {self.time} s" if self.turn is None else f"cancelled in turn {self.turn}"


NOT_INTERRUPTED = Interruption()


def run(source: str, interruption: Interruption = NOT_INTERRUPTED, main: str = "main()") -> Trace:
    """What is seen of a program. `main` is the call that starts it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that were never awaited: not what is looked at
        return _Run(source, interruption, main).trace


class _Clock(selectors.SelectSelector):
    """Calls back where a loop would sleep, and before each of its turns."""

    def __init__(self, on_turn: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_turn = on_turn

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._on_turn(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """asyncio's loop with a clock that is set forward when nothing is ready."""

    def __init__(self, on_turn: Callable[[], None]) -> None:
        self.clock = 0.0
        self.turns = 0
        self.end = ""
        """Why nothing more happens."""
        self.on_turn = on_turn
        super().__init__(_Clock(self._turn))
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.clock

    def _turn(self, timeout: float | None) -> None:
        self.turns += 1
        if timeout is None and not self.is_closed():
            self._stop("waits for ever")
        elif timeout and self.clock + timeout > LONGEST:
            self._stop("never ends")
        elif self.turns > MOST_TURNS:
            self._stop("spins")
        else:
            self.clock += timeout or 0
            self.on_turn()

    def _stop(self, why: str) -> None:
        self.end = why
        self.stop()


class _Task(asyncio.Task[Any]):
    was_cancelled = False
    on_cancel: Callable[[_Task], None]

    def cancel(self, msg: object = None) -> bool:
        if self.done():
            return False  # asyncio would take its error for retrieved
        if not self.was_cancelled:
            self.was_cancelled = True
            self.on_cancel(self)
        return super().cancel(msg)


class _Run:
    """One run; its trace is there when it has been made."""

    def __init__(self, source: str, interruption: Interruption, main: str) -> None:
        self._interruption = interruption
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._ended: list[tuple[float, _Task]] = []
        self._tasks: list[_Task] = []
        self._tellers: dict[str, asyncio.Task[Any] | None] = {}
        self._caught: set[str] = set()
        self._main: asyncio.Task[object] | None = None
        self._interrupted: float | None = None
        self._loop = _Loop(self._on_turn)
        self._loop.set_task_factory(self._make)
        names: dict[str, Any] = {"__name__": "program", "print": self._print}
        try:
            exec(compile(source, PROGRAM, "exec", dont_inherit=True), names)
            self.trace = self._run(eval(main, names))  # noqa: S307 - a call of the program itself
        finally:
            self._clean_up()

    def _run(self, coroutine: Coroutine[Any, Any, object]) -> Trace:
        loop = self._loop
        self._main = main = loop.create_task(coroutine)
        main.add_done_callback(lambda _: loop.stop())
        if self._interruption.time is not None:
            loop.call_at(self._interruption.time, self._interrupt)
        exit_status = self._go_on()
        time, turns = loop.clock, loop.turns
        left = [task.was_cancelled for task in self._tasks if task is not main and not task.done()]
        ending = Ending("exits", exit_status) if exit_status else _ending(main) if main.done() else Ending(loop.end)
        later_exit = self._go_on() if main.done() and not exit_status else ""
        events = {who: tuple(told) for who, told in self._events.items()}
        cancelled = sum(task.cancelled() for _, task in self._ended if task is not main)
        return Trace(
            ending,
            time,
            events,
            self._failures(),
            cancelled,
            frozenset(self._caught),
            left.count(False),
            left.count(True),
            turns,
            max((time for time, task in self._ended if task is not main), default=0.0),
            later_exit,
            self._interrupted,
        )

    def _go_on(self) -> str:
        """Runs until something stops it; gives the status if the program exits."""
        try:
            self._loop.run_forever()
        except SystemExit as exiting:
            return repr(exiting.code)
        except KeyboardInterrupt:
            return "interrupted"
        return ""

    def _failures(self) -> tuple[Failure, ...]:
        found = []
        for time, task in self._ended:
            if task is not self._main and not task.cancelled():
                retrieved = not WAS_NEVER_RETRIEVED(task)
                error = task.exception()
                if error is not None:
                    found += [Failure(time, each, retrieved) for each in _leaves(error)]
        return tuple(found)

    # -- while it runs

    def _print(self, who: str, what: object) -> None:
        self._tellers[who] = asyncio.current_task()
        self._events[who].append(Event(self._loop.clock, str(what)))

    def _make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = _Task(coroutine, loop=loop, **options)
        task.on_cancel = self._on_cancel
        self._tasks.append(task)
        task.add_done_callback(lambda _: self._ended.append((self._loop.clock, task)))
        return task

    def _on_cancel(self, task: asyncio.Task[Any]) -> None:
        told = {who: [event.text for event in self._events[who]] for who, one in self._tellers.items() if one is task}
        self._caught |= {who for who, texts in told.items() if texts.count(OPENING) > texts.count(CLOSED)}

    def _on_turn(self) -> None:
        if self._loop.turns == self._interruption.turn:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._main is not None and not self._main.done():
            self._interrupted = self._loop.clock
            self._on_cancel(self._main)
            self._main.cancel()

    # -- afterwards

    def _clean_up(self) -> None:
        self._loop.on_turn = lambda: None
        for _ in range(200):
            pending = [task for task in self._tasks if not task.done()]
            if not pending:
                break
            for task in pending:
                task.cancel()
            self._loop.turns = 0
            self._loop.call_soon(self._loop.stop)
            self._go_on()
        self._loop.turns = 0
        with suppress(RuntimeError):  # a generator that waits for ever
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()
        self._loop.close()


def _ending(task: asyncio.Task[object]) -> Ending:
    try:
        return Ending("returns", described(task.result()))
    except asyncio.CancelledError as error:
        return Ending(
            "is cancelled", " ".join(re.sub(r"^Cancelled via cancel scope .*", "", str(each)) for each in error.args)
        )
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the caller sees
        return Ending("raises", errors=tuple(dict.fromkeys(_leaves(error))), grouped=hasattr(error, "exceptions"))


def _leaves(error: BaseException) -> list[str]:
    """The errors of a group, but not those that only say that another one of them has ended a task."""
    flat = list(_flat(error))
    told = [each for each in flat if not (type(each).__name__ == "TaskFailed" and each.__cause__ in flat)]
    return [_described(each, grouped=each is not error) for each in told]


def _flat(error: BaseException) -> list[BaseException]:
    # before Python 3.11, groups are those of a library
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())
    return [leaf for each in inner for leaf in _flat(each)] if inner else [error]


def _described(error: BaseException, *, grouped: bool) -> str:
    """An error as text. One that is no `Exception` is another thing in a group: nobody outside knows it any more."""
    text = f"{type(error).__name__}({', '.join(map(repr, error.args))})"
    if grouped and not isinstance(error, Exception):
        text = f"grouped {text}"
    return f"{text} from {_described(error.__cause__, grouped=False)}" if error.__cause__ else text


def described(value: object) -> str:
    """A value with its types, all the way down."""
    match value:
        case list() | tuple() | set() | frozenset():
            items = [described(item) for item in value]
            return f"{type(value).__name__}[{', '.join(items if isinstance(value, (list, tuple)) else sorted(items))}]"
        case dict():
            return f"dict[{', '.join(f'{described(key)}: {described(item)}' for key, item in value.items())}]"
        case None | bool() | int() | float() | str():
            return f"{type(value).__name__} {value!r}"
        case BaseException():
            return " ".join(_leaves(value))
    return type(value).__name__
