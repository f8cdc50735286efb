"""The harm that the rules about leaks speak of, seen to happen: a case is run on a real event loop, with a clock that
nobody waits for.

A case is a coroutine function without parameters. It is run once as it is, and again and again, cancelled at its first
turn, at its second and so on until it ends before that. One that serves for ever is cancelled in the end.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import selectors
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from unittest.mock import patch

Case = Callable[[], Coroutine[Any, Any, object]]

PATIENCE = 500
"""Turns after which a case that has not ended by itself is cancelled, and is given up after twice as many."""
REST = 40
"""Turns in which whatever was cancelled can end, however deep it is in awaits."""
MOMENTS = 30
"""The latest turn at which a case is cancelled."""
BLINK = 0.05
"""Real seconds that a thread is given before the clock moves."""


class _Selector(selectors.SelectSelector):
    """Calls back where a loop would sleep. Only another thread is waited for, and not long."""

    def __init__(self, on_turn: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_turn = on_turn
        self._threads = threading.active_count()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        threaded = timeout != 0 and threading.active_count() > self._threads
        ready = super().select(BLINK * (1 if timeout else 40) if threaded else 0)
        if not ready:
            self._on_turn(timeout)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """asyncio's loop, whose clock moves on when there is nothing else to do; timers fire in their order."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.clock = 0.0
        self.frozen = False
        """The clock stands still."""
        self.turns = 0
        self.lost: list[str] = []
        """What the loop has to say about errors that nobody has seen."""
        self._cancel_at = cancel_at
        self._host: asyncio.Task[object] | None = None
        super().__init__(_Selector(self._on_turn))
        self.set_exception_handler(lambda _loop, context: self.lost.append(context["message"]))

    def time(self) -> float:
        return self.clock

    def _on_turn(self, timeout: float | None) -> None:
        self.turns += 1
        self.clock += 0 if self.frozen else timeout or 0
        assert self.turns < 2 * PATIENCE, "the case does not end"
        if self._host and (self.turns == self._cancel_at or timeout is None or self.turns >= PATIENCE):
            self._host.cancel()

    def run_case(self, case: Case) -> None:
        """Runs the case to its end, whatever that is."""
        self._host = self.create_task(case())
        self._host.add_done_callback(lambda _host: self.stop())
        self.run_forever()
        if not self._host.cancelled():
            self._host.exception()  # which has been seen thereby
        self._host = None
        self.frozen = True

    def turn(self, times: int) -> None:
        """Runs what is ready, so many times."""
        for _ in range(times):
            self.turns = 0
            self.call_soon(self.stop)
            self.run_forever()

    def unfinished(self) -> list[object]:
        """The tasks that are not done, and the async generators that were started and have not ended."""
        generators = [each for each in vars(self)["_asyncgens"] if each.ag_frame is not None]
        return [*asyncio.all_tasks(self), *generators]

    def end(self) -> None:
        """Ends whatever still runs, and itself."""
        self.frozen = False
        for _ in range(REST):
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.turn(2)
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Nobody is to be told of coroutines that never ran, and of tasks that went with their loop."""
    with warnings.catch_warnings(), patch.object(sys, "unraisablehook", lambda _: None):
        warnings.simplefilter("ignore")
        yield
        gc.collect()


@contextlib.contextmanager
def fresh_loop(cancel_at: int | None = None) -> Iterator[Loop]:
    """A loop of its own, on which the case will be cancelled at that turn."""
    loop = Loop(cancel_at)
    try:
        yield loop
    finally:
        loop.end()


def leaves_running(case: Case, cancel_at: int | None = None) -> bool | None:
    """Whether something that the case has started still runs after it has ended; None if it ends before that turn."""
    with fresh_loop(cancel_at) as loop:
        loop.run_case(case)
        if cancel_at is not None and loop.turns < cancel_at:
            return None
        loop.turn(REST)
        return bool(loop.unfinished())


def left_running(case: Case) -> bool:
    """Whether a task or async generator outlives the case, in the plain run or when it is cancelled at some turn."""
    found = leaves_running(case)
    moments = iter(range(1, MOMENTS))
    while not found and (moment := next(moments, None)):
        result = leaves_running(case, moment)
        if result is None:
            return False
        found = result
    return bool(found)


def error_unseen(case: Case) -> bool:
    """Whether the work that the case gives to a thread or to a loop fails, and nobody ever looks at the error.

    Every such piece of work has a `concurrent.futures.Future`. asyncio passes the error of one on to its own futures,
    which tell the loop when they go and nobody has looked at them:
    https://docs.python.org/3/library/asyncio-dev.html#detect-never-retrieved-exceptions
    """
    futures: list[concurrent.futures.Future[object]] = []
    seen: set[int] = set()
    make, read, ask = (getattr(concurrent.futures.Future, name) for name in ("__init__", "result", "exception"))

    def made(future: concurrent.futures.Future[object]) -> None:
        futures.append(future)
        make(future)

    def result(future: concurrent.futures.Future[object], timeout: float | None = None) -> object:
        seen.add(id(future))
        return read(future, timeout)

    def exception(future: concurrent.futures.Future[object], timeout: float | None = None) -> object:
        seen.add(id(future))
        return ask(future, timeout)

    patched = patch.multiple(concurrent.futures.Future, __init__=made, result=result, exception=exception)
    with patched, fresh_loop() as loop:
        loop.run_case(case)
        for _ in range(REST):
            loop.turn(REST)
            if not concurrent.futures.wait(futures, timeout=BLINK).not_done:
                break
        loop.turn(REST)
        gc.collect()
        return bool(loop.lost) or any(id(each) not in seen and ask(each, 0) for each in futures if not each.cancelled())
