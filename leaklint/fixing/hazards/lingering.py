"""What a cancelled task waits for while it cleans up: who cancels it and waits for it would wait for that, too."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import called_on
from leaklint.analysis.spawns import Sort, find_spawns
from leaklint.fixing.hazards.naming import holders, with_iterated
from leaklint.fixing.hazards.points import Does, Point, points_of
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_DEEPEST = 3


def lingers(coroutine: Expr, function: code.Function, study: Study, depth: int = 0) -> Iterator[Point]:
    """Where a coroutine, once it is cancelled, may wait for others, and without a time limit.

    A task of its own that it has cancelled before ends, unless that waits like this.
    """
    for point in points_of(coroutine, function, study):
        if point.cleaning and not point.limited and point.does in (Does.STAYS, Does.HANDLE):
            if not _is_cancelled_before(point):
                yield point
            elif depth < _DEEPEST:
                for spawn in find_spawns(point.function, study.kinds):
                    if spawn.sort is Sort.FREE and spawn.call.args and not isinstance(spawn.call.args[0], code.Starred):
                        yield from lingers(spawn.call.args[0], point.function, study, depth + 1)


def _is_cancelled_before(point: Point) -> bool:
    """Whether what is waited for at a point are tasks that the same function cancels before."""
    body = point.function.body
    waited = {point.said} if point.does is Does.HANDLE else set[str]()
    for awaited in walk(body, code.Await):
        if isinstance(awaited.value, code.Call) and contains(awaited.span, point.span):
            waited |= {name for arg in awaited.value.args for name in holders(arg)}
    cancels = [each for each in walk(body, code.Call) if last_name(each.func) == "cancel" and each.span < point.span]
    cancelled = {name for each in cancels if (owner := called_on(each.func)) is not None for name in holders(owner)}
    return not with_iterated(waited, body).isdisjoint(with_iterated(cancelled, body))
