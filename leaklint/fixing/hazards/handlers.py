"""Who handles errors that a task group would wrap in an `ExceptionGroup`."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.fix import Hazard


def handlers_that_miss(
    block: code.Block, children: Sequence[code.Expr], function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`handler-stops-matching`: an `except` around these statements of a function, there or in a function that calls it,
    would not catch any more what they, or the coroutines `children` that run in the group, may raise.
    """
    del block, children, function, study
    return (Hazard("handler-stops-matching", "handlers are not looked at"),)
