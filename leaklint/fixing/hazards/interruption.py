"""What happens to the statements in a group when one of its tasks fails: they are cancelled."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.fixing.hazards.children import MOST, place, unresolved
from leaklint.fixing.hazards.points import Does, functions_of, points_in
from leaklint.fixing.hazards.suppressing import catches_in
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Block
from leaklint.model.fix import Hazard, Target
from leaklint.model.walk import walk


def interrupted(block: Block, function: code.Function, study: Study) -> Iterator[Hazard]:
    """`catches-group-cancellation`, `host-cleanup-is-cut`, `unresolved-callee`: what would take the cancellation of the
    group for another, or be cut by it.
    """
    yield from _catching(block, function, study)
    is_native = study.environment.target is not Target.ANYIO
    points = points_in(block, function, study)
    cut: dict[int, Hazard] = {}
    for point in points:
        if point.cleanup is not None and not point.shielded and point.does is not Does.CANCELLED:
            at = place(point.span, point.function, function.name, function, study)
            when = "a task fails just then" if is_native else "a task fails"
            said = f"when {when}, what is awaited in `{point.cleanup.what}`{at} is cut"
            cut.setdefault(id(point.cleanup.block), Hazard("host-cleanup-is-cut", said))
    yield from list(cut.values())[:MOST]
    if not is_native:
        yield from unresolved(points, function, study)


def _catching(block: Block, function: code.Function, study: Study) -> Iterator[Hazard]:
    """What catches a cancellation in the block, or in the functions that it awaits, and does not raise it again."""
    inside = [
        (catch, function)
        for catch in catches_in(function.body, function, study)
        if any(contains(statement.span, catch.span) for statement in block)
    ]
    awaited = {
        called.qualname: called
        for node in walk(block, code.Await)
        if isinstance(node.value, code.Call)
        for called in functions_of(node.value, function, study)
        if called is not function
    }
    inside += [(catch, each) for each in awaited.values() for catch in catches_in(each.body, each, study)]
    said = (f"`{catch.written}`{place(catch.span, each, '', function, study)}" for catch, each in inside)
    for where in list(dict.fromkeys(said))[:MOST]:
        yield Hazard("catches-group-cancellation", f"{where} would catch the cancellation of the group")
