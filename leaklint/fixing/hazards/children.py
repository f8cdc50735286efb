"""What a coroutine may do when it runs in a task that somebody waits for, or cancels."""

from __future__ import annotations

from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.fix import Hazard
from leaklint.model.walk import text


def may_not_end(coroutine: code.Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`may-never-end`: who waits for it may wait for ever."""
    return _unresolved(coroutine, function, study)


def may_be_cut(coroutine: code.Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`cleanup-is-cut`: it awaits while it cleans up, which AnyIO's cancellation ends at the first such await."""
    return _unresolved(coroutine, function, study)


def may_end_by_cancellation(coroutine: code.Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`foreign-cancellation`: it may end with a `CancelledError` of others, which ends its AnyIO group in silence."""
    return _unresolved(coroutine, function, study)


def may_outlive_cancellation(coroutine: code.Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`swallows-cancellation`: when it is cancelled, it may go on."""
    return _unresolved(coroutine, function, study)


def _unresolved(coroutine: code.Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    del function, study
    return (Hazard("unresolved-callee", f"what `{text(coroutine)}` does is not known"),)
