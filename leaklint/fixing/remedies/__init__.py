"""The remedies: one module for each way to mend findings; none imports another.

A remedy's docstring says what it writes and what changes by that. It declares `NAME` (by which it is chosen), `CODES`
(the rules whose findings it mends) and a pure function `propose(finding, study)`, which gives a `Fix`, or, where it
cannot mend the finding, the hazards that stand in its way (none if it has nothing to say about it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from leaklint.fixing.remedies import (
    gathering,
    reraising,
    services,
)
from leaklint.fixing.study import Finding, Study
from leaklint.model.fix import Fix, Hazard

__all__ = ["REMEDIES", "Remedy"]


class Remedy(NamedTuple):
    """One way to mend findings."""

    name: str
    codes: frozenset[str]
    propose: Callable[[Finding, Study], Fix | tuple[Hazard, ...]]


REMEDIES: tuple[Remedy, ...] = tuple(
    Remedy(module.NAME, module.CODES, module.propose)
    for module in (
        gathering,
        services,
        reraising,
    )
)
"""In the order in which they are preferred."""
