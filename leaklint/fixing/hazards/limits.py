"""Time limits that a wait without one would undo."""

from __future__ import annotations

from leaklint.analysis.kinds import path_of
from leaklint.catalog import Role
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_LIMITS = frozenset({Role.WAIT_FOR, Role.TIMEOUT, Role.MOVE_ON})


def limits_of(function: code.Function, study: Study, *, apart_from: Span | None = None) -> tuple[Hazard, ...]:
    """`limit-would-not-hold`: a function that would now wait until tasks have ended bounds the time of a wait of its
    own, so it may be meant to go on without them. The wait at `apart_from` does not count.
    """
    for call in walk(function.body, code.Call):
        if call.span == apart_from:
            continue
        role = study.kinds.role_of(path_of(call.func))
        limit = next((keyword.value for keyword in call.keywords if keyword.name == "timeout"), None)
        is_bounded = limit is not None and not (isinstance(limit, code.Constant) and limit.value is None)
        if role in _LIMITS or (role in (Role.WAIT, Role.AS_COMPLETED) and is_bounded):
            message = f"`{text(call.func)}` on line {call.span.line} of `{function.name}` limits how long that waits"
            return (Hazard("limit-would-not-hold", message),)
    return ()
