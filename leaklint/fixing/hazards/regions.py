"""What stands within the statements that a task group would enclose."""

from __future__ import annotations

from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.fix import Hazard


def unsuitable(block: code.Block, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """What stands against a group around these statements of a function: `yield-inside`, `not-a-coroutine-function`
    (both block), `raise-inside`, `exit-inside`, `resource-order`, ...
    """
    del block, function, study
    return ()
