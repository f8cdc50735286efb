"""What stands against running coroutines in a group in which nothing else happens."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.fixing.hazards.children import (
    may_be_cut,
    may_end_by_cancellation,
    may_exit,
    may_fail_when_cancelled,
    may_outlive_cancellation,
)
from leaklint.fixing.hazards.current import renamed
from leaklint.fixing.hazards.handlers import handlers_that_miss
from leaklint.fixing.hazards.locks import children_may_deadlock
from leaklint.fixing.hazards.regions import unsuitable
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard, Target


def group_hazards(
    children: Sequence[Expr], place: code.Await | code.Call, function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """The hazards of coroutines that become children of a group which takes the place of an expression that has
    waited for them so far.
    """
    asks = (may_be_cut, may_end_by_cancellation, may_outlive_cancellation, may_fail_when_cancelled, may_exit)
    found = [hazard for child in children for ask in asks for hazard in ask(child, function, study)]
    found += children_may_deadlock(children, place.span, function, study)
    if function.is_async:
        found += unsuitable((), function, study)  # of the program: no other statement is in the group
    if study.environment.target is Target.ANYIO:
        found += renamed(study)
    missing = handlers_that_miss((code.Evaluate(place, place.span),), children, function, study)
    return tuple(dict.fromkeys([*found, *missing]))
