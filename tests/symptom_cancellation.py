"""A swallowed cancellation, seen to happen: a case is cancelled, and goes on."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Generator
from typing import Any

from symptoms import MOMENTS, PATIENCE, Case, Loop


class _Watched:
    """What a case awaits after it was cancelled."""

    def __init__(self, case: Case) -> None:
        self._case = case()
        self.is_cancelled = False
        """By us: the error of an awaited task that was cancelled looks the same."""
        self.told = False
        self.awaits = 0

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._case.__await__()
        error: BaseException | None = None
        while True:
            try:
                waiting = steps.throw(error) if error else next(steps)
            except StopIteration as end:
                return end.value
            self.awaits += self.told
            error = None
            try:
                yield waiting
            except GeneratorExit:
                raise  # the loop is given up
            except BaseException as raised:  # noqa: BLE001 - it is the case's
                error = raised
                self.told |= self.is_cancelled

    async def run(self) -> object:
        return await self

    def forget(self) -> None:
        """Never frees the case, if it has not ended: that would end it by yet another error, and it may catch all."""
        if inspect.getcoroutinestate(self._case) != inspect.CORO_CLOSED:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._case))


class _Patient(Loop):
    """Cancels a task at a turn, and gives it time to end."""

    def __init__(self, watched: _Watched, moment: int) -> None:
        self._watched = watched
        self._moment = moment
        super().__init__()
        self._task = self.create_task(watched.run())
        self._task.add_done_callback(lambda _: self.stop())

    def _on_turn(self, timeout: float | None) -> None:
        self.turns += 1
        self.clock += 0 if self.frozen else timeout or 0
        if self.turns == self._moment or (timeout is None and not self._watched.is_cancelled):
            self._watched.is_cancelled = True
            self._task.cancel()
        elif timeout is None or self.turns > self._moment + PATIENCE:
            self.stop()

    def goes_on(self) -> bool | None:
        """Whether the case awaits more after it was told to stop, and is not cancelled; None if it ended before."""
        self.run_forever()
        if not self._watched.is_cancelled:
            return None
        return self._watched.awaits > 0 and not (self._task.done() and self._task.cancelled())


def cancellation_lost(case: Case) -> bool:
    """Whether a case that is cancelled at one of its first turns goes on."""
    for moment in range(1, MOMENTS):
        watched = _Watched(case)
        loop = _Patient(watched, moment)
        try:
            found = loop.goes_on()
        finally:
            watched.forget()
            loop.close()
        if found is None or found:
            return bool(found)
    return False
