"""The loop and the tasks of the explorer: asyncio's own, but the loop never sleeps and the tasks are watched."""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from typing import Any

PROGRAM = "<program>"
"""The file name of the program under test."""


class State(str, Enum):
    """A task at the moment its host ends."""

    ENDED = "has ended"
    LEFT = "is left running"
    CANCELLED = "is left running, cancelled"
    INTERRUPTED = "is left running, cancelled as the host was"
    """Cancelled, and the host ends because it is cancelled itself (or by an error on top of that, if the task was
    cancelled first)."""


def silent(*_values: object) -> None:
    """The `print` of the programs."""


class Idle(selectors.SelectSelector):
    """Never sleeps: calls back where a loop would."""

    def __init__(self, on_idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_idle = on_idle
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if timeout is None or timeout > 0:
            self._on_idle(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """asyncio's loop with a clock that stands still."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.on_idle: Callable[[float | None], None] = lambda _timeout: None
        self._timers: list[asyncio.TimerHandle] = []
        self._selecting = Idle(self._idle)
        super().__init__(self._selecting)
        # Nobody is to be told of the errors of tasks that were left.
        self.set_exception_handler(lambda _loop, _context: None)

    def _idle(self, timeout: float | None) -> None:
        self.on_idle(timeout)

    @property
    def turns(self) -> int:
        """How often everything that was ready has run."""
        return self._selecting.turns

    def time(self) -> float:
        return self.clock

    def advance(self, seconds: float) -> None:
        self.clock += seconds

    def call_at(  # type: ignore[override]  # what it overrides is written in terms of Python 3.11
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._timers.append(super().call_at(when, callback, *args, context=context))
        return self._timers[-1]

    def cancel_timers(self) -> None:
        """Forgets the timers of a run that is over. (`wait` leaves one when it is given something else than tasks.)"""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def turn(self) -> None:
        """Runs what is ready, once."""
        self.call_soon(self.stop)
        self.run_forever()


@dataclass(eq=False)
class Child:
    """A task of the host, as the explorer sees it."""

    site: int
    name: str
    rank: int
    """Its hash, which is its place in small sets."""
    siblings: list[Child]
    """All tasks of the host, this one too."""
    coroutine: Coroutine[Any, Any, None] | None = None
    task: Task | None = None
    gate: asyncio.Future[bool] | None = None
    """What it waits for, once it has started: true if it is to return, false if it is to end as cancelled."""
    hasty: bool = False
    """It ended at once."""
    cancelled: bool = False
    ended: bool = False
    waited: bool = False
    """Somebody waited for it when it ended."""
    later: int = 0
    """The number of the first task that was spawned after its end."""
    settled: bool = False
    """The host has asked whether it is done when it was."""
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
        for later in self.siblings[self.later :] if self.ended else ():
            later.blurred = True

    def asked_by_host(self) -> None:
        """The host asks whether it is done. It is, or it has not even started: either way there is only one answer."""
        self.settled |= self.ended
        for sibling in self.siblings if self.gate is None and not self.ended else ():
            sibling.blurred |= sibling is not self


class Task(asyncio.Task[None]):
    """A task that notes its cancellation and knows whether anybody waits for it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], child: Child, **options: Any) -> None:
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
        if sys._getframe(1).f_code.co_filename == PROGRAM:
            self.child.asked_by_host()
        return super().done()

    def add_done_callback(self, callback: Callable[[Any], object], /, **options: Any) -> None:
        self.child.asked()
        # What the program itself wants called back is no waiting.
        self.waiters += sys._getframe(1).f_code.co_filename != PROGRAM
        super().add_done_callback(callback, **options)

    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int:
        removed = super().remove_done_callback(callback)
        self.waiters -= removed
        return removed


def sight(child: Child, end: str, *, host_cancelled: bool = False) -> State:
    """The state of a task when a function ends, in one of the ways `returns`, `is cancelled` and `raises X`."""
    if child.ended:
        return State.ENDED
    if not child.cancelled:
        return State.LEFT
    interrupted = end == "is cancelled" or (child.cancelled_before_host and end != "returns") or child.abandoned
    return State.INTERRUPTED if host_cancelled and interrupted else State.CANCELLED
