"""What happens to the statements in a group when one of its tasks fails: they are cancelled."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.cancellation.catching import catches_of
from leaklint.analysis.cancellation.suspending import Suspending
from leaklint.fixing.hazards.children import MOST, place, unresolved
from leaklint.fixing.hazards.points import Does, points_in
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Block
from leaklint.model.fix import Hazard, Target


def interrupted(block: Block, function: code.Function, study: Study) -> Iterator[Hazard]:
    """`catches-group-cancellation`, `host-cleanup-is-cut`, `unresolved-callee`: what would take the cancellation of the
    group for another, or be cut by it.
    """
    for catch in catches_of(Suspending(function, study.kinds)):
        inside = any(contains(statement.span, catch.span) for statement in block)
        if inside and not (catch.body and isinstance(catch.body[-1], code.Raise)):
            said = f"`{catch.written}` on line {catch.span.line} would catch the cancellation of the group"
            yield Hazard("catches-group-cancellation", said)
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
