"""Which `except` clauses catch what."""

from __future__ import annotations

from leaklint.analysis.kinds import last_name
from leaklint.analysis.state import Way
from leaklint.model.code import Expr

RAISED = (Way.EXCEPTION, Way.SIBLING, Way.TIMEOUT, Way.CANCELLATION, Way.ABANDONED, Way.CLOSE)
"""The ways in which an exception leaves."""


def catches(types: tuple[Expr, ...], way: Way) -> bool | None:
    """Whether a handler of these types catches what is raised: True, None for no, False for maybe."""
    if not types:
        return True
    verdicts = [_catches(last_name(type_), way) for type_ in types]
    return True if True in verdicts else False if False in verdicts else None


def _catches(name: str, way: Way) -> bool | None:
    if name in ("BaseException", "BaseExceptionGroup"):
        return True
    if way in (Way.CANCELLATION, Way.ABANDONED):
        return True if name in ("CancelledError", "Cancelled", "get_cancelled_exc_class") else None
    if way is Way.CLOSE:
        return True if name == "GeneratorExit" else None
    if name == "Exception":
        return True
    if name in ("CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"):
        return None
    return way is Way.TIMEOUT and name == "TimeoutError"
