"""Shields the cleanup of a coroutine that becomes a child of an AnyIO group.

AnyIO delivers a cancellation again at every `await`, so what awaits in a `finally` or an `except` that catches it is
cut there, without an error; in a task of asyncio it ran to its end. In `with anyio.CancelScope(shield=True):` it does
so again, however the child is cancelled (https://anyio.readthedocs.io/en/stable/cancellation.html#shielding; measured
for a cancelled handle, group and host, a sibling that fails, and an error in the host).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import last_name
from leaklint.catalog import Role
from leaklint.fixing.hazards.children import Cleanup, cleanups, may_be_cut, name_of, place
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Edit, Hazard, Target, Wrap
from leaklint.model.walk import walk

_CLAUSES = ("finally", "except")


class Shielding(NamedTuple):
    """What keeps the cleanup of a coroutine from being cut."""

    edits: tuple[Edit, ...]
    notes: tuple[str, ...]
    hazards: tuple[Hazard, ...]
    """What `may_be_cut` says that the edits do not mend."""


def shields(coroutine: Expr, function: code.Function, study: Study) -> Shielding:
    """Shields around all that a coroutine, which a function makes, awaits in the clauses that clean up, there and in
    the functions that it runs. What stands in another file, in an `__aexit__` or with a `yield` remains a hazard.
    """
    if study.environment.target is not Target.ANYIO:
        return Shielding((), (), may_be_cut(coroutine, function, study))
    edits: list[Edit] = []
    notes: list[str] = []
    hazards: list[Hazard] = []
    for cleanup in cleanups(coroutine, function, study):
        if not _can_be_shielded(cleanup):
            where = place(cleanup.first, cleanup.function, name_of(coroutine), function, study)
            said = f"a cancellation of `{name_of(coroutine)}` cuts what it awaits in `{cleanup.what}`{where}"
            hazards.append(Hazard("cleanup-is-cut", said))
            continue
        spelled, imports = study.spelled("anyio.CancelScope", cleanup.function)
        awaiting = [statement for statement in cleanup.block if _suspends(statement)]
        template = f"with {spelled}(shield=True):\n    ..."
        edits += [Wrap(awaiting[0].span, awaiting[-1].span, template, cleanup.function.qualname), *imports]
        clause = f"the `{cleanup.what}` of `{cleanup.function.name}`"
        notes.append(f"a cancellation does not cut what {clause} awaits on line {awaiting[0].span.line}")
        hazards += _outlasting(clause, study)
    hazards += [hazard for hazard in may_be_cut(coroutine, function, study) if hazard.name != "cleanup-is-cut"]
    return Shielding(tuple(dict.fromkeys(edits)), tuple(notes), tuple(dict.fromkeys(hazards)))


def _can_be_shielded(cleanup: Cleanup) -> bool:
    """Whether a scope can be around what a clause awaits: it must not be left by a `yield`."""
    clause = cleanup.is_here and cleanup.what in _CLAUSES and any(map(_suspends, cleanup.block))
    return clause and not any(True for _ in walk(cleanup.block, code.Yield))


def _suspends(statement: code.Stmt) -> bool:
    for node in walk(statement, (code.Await, code.With, code.For, code.Comprehension)):
        match node:
            case code.Await() | code.With(is_async=True) | code.For(is_async=True):
                return True
            case code.Comprehension(clauses=clauses) if any(clause.is_async for clause in clauses):
                return True
    return False


def _outlasting(clause: str, study: Study) -> Iterator[Hazard]:
    """`outlasts-time-limit`: a shielded cleanup does not end with a time limit of AnyIO around it, even when nothing is
    cancelled.
    """
    for scope in study.program.scopes.values():
        for call in walk(scope.body, code.Call):
            role = study.kinds.role_of_callee(call.func, scope)
            if role in (Role.TIMEOUT, Role.MOVE_ON) and last_name(call) in ("fail_after", "move_on_after"):
                where = f"line {call.span.line} of {study.program.paths[scope.qualname]}"
                said = f"{clause} would not end with a time limit of AnyIO around it, such as that on {where}"
                yield Hazard("outlasts-time-limit", said)
                return
