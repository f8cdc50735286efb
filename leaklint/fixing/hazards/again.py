"""A second cancellation of a task, which cuts the cleanup that the first one has begun.

A task that is cancelled twice before it runs again notices one cancellation. Who awaits it, by itself, in a `gather` or
a `wait_for`, passes on a cancellation and goes on when it has ended: an experiment on Python 3.10 to 3.13.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from leaklint.analysis.cancellation.suspending import is_true
from leaklint.catalog import Role
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.children import name_of, place
from leaklint.fixing.hazards.naming import holders, with_iterated
from leaklint.fixing.hazards.pausing import behind
from leaklint.fixing.hazards.points import Does, points_of
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk


def cancelled_again(
    coroutine: Expr, names: Collection[str], extent: Span, function: code.Function, study: Study
) -> Iterator[Hazard]:
    """`cleanup-is-cut`: the statements at a place may cancel the task which one of some names holds, and wait for
    something else than its end; a cancellation after them then comes while it cleans up.
    """
    cut = next((p for p in points_of(coroutine, function, study) if p.cleaning and p.does is not Does.CANCELLED), None)
    line = _cancelled_at(_with_aliases(names, function), extent, function, study) if cut is not None else None
    if cut is not None and line is not None:
        child = name_of(coroutine)
        said = f"`{child}`, which line {line} cancels, may be cancelled a second time, and cut"
        at = place(cut.span, cut.function, child, function, study)
        yield Hazard("cleanup-is-cut", f"{said} where it cleans up{at}")


def _with_aliases(names: Collection[str], function: code.Function) -> set[str]:
    """Names, and those of the function that are bound to what they hold, or to something with that in it."""
    found = set(names)
    for assign in walk(function.body, code.Assign):
        if assign.value is not None and not found.isdisjoint(holders(assign.value)):
            found |= {name.id for name in walk(assign.targets, code.Name)}
    return found


def _cancelled_at(names: Collection[str], extent: Span, function: code.Function, study: Study) -> int | None:
    """The first line at which the task is cancelled, with a wait after that."""
    for scope in study.program.inside(function):
        if scope is not function and "cancel" in scope.words and not scope.free_names.isdisjoint(names):
            return scope.span.line
    called = {id(call.func) for call in walk(function.body, code.Call)}
    for node in walk(function.body, code.Attribute):
        if node.attr == "cancel" and contains(extent, node.span):
            owners = with_iterated(set(holders(node.value)), function.body)
            if not owners.isdisjoint(names) and (
                id(node) not in called or _waits_after(node.span, owners, extent, function, study)
            ):
                return node.span.line
    for call in walk(function.body, code.Call):
        if contains(extent, call.span) and _is_cancelled_by(call, names, function, study):
            return call.span.line
    return None


def _is_cancelled_by(call: code.Call, names: Collection[str], function: code.Function, study: Study) -> bool:
    """Whether a call cancels what it is given: a function of the program, or of a library that is known for it."""
    if set(names).isdisjoint(name for each in call.args for name in holders(each)):
        return False
    if study.kinds.role_of_callee(call.func, function) is Role.CANCEL_AND_WAIT:
        return True
    return any("cancel" in each.words for each in targets(call.func, function, study) or ())


def _waits_after(span: Span, owners: Collection[str], extent: Span, function: code.Function, study: Study) -> bool:
    """Whether the statements at a place, once they have cancelled a task, wait for something else than its end."""
    for statement in behind(span, function, extent):
        awaits = list(walk(statement, code.Await))
        if any(each.is_async for each in walk(statement, (code.With, code.For))):
            return True
        if awaits:
            return not all(_is_end(each.value, owners, function, study) for each in awaits)
    return False


def _is_end(awaited: Expr, owners: Collection[str], function: code.Function, study: Study) -> bool:
    """Whether an await goes on only when the tasks have ended that some names hold."""
    match awaited:
        case code.Name(id=name):
            return set(owners) == {name}
        case code.Attribute():
            return set(owners) == set(holders(awaited))
        case code.Call(args=args, keywords=keywords) if (
            study.kinds.role_of_callee(awaited.func, function) is Role.GATHER
        ):
            drops = any(each.name == "return_exceptions" and is_true(each.value) for each in keywords)
            is_one = len(args) == 1 and not isinstance(args[0], code.Starred)
            gathered = {text(each.value if isinstance(each, code.Starred) else each) for each in args}
            return (drops or is_one) and not gathered.isdisjoint(owners)
        case code.Call(args=[waited, *_]) if study.kinds.role_of_callee(awaited.func, function) is Role.WAIT_FOR:
            return _is_end(waited, owners, function, study)
    return False
