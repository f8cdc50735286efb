"""The remedies: one module for each way to mend findings; none imports another.

A remedy's docstring says what it writes and what changes by that. It declares `NAME` (by which it is chosen), `CODES`
(the rules whose findings it mends) and a pure function `propose(finding, study)`, which gives a `Fix`, or, where it
cannot mend the finding, the hazards that stand in its way (none if it has nothing to say about it).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import NamedTuple

from leaklint.fixing.remedies import (
    awaiting,
    ending,
    exiting,
    gathering,
    grouping,
    reraising,
    services,
    shields,
    spelling,
    spreading,
    threads,
)
from leaklint.fixing.study import Finding, Study
from leaklint.model.fix import Fix, Hazard

__all__ = ["REMEDIES", "Remedy"]


class Remedy(NamedTuple):
    """One way to mend findings."""

    name: str
    """By which it is chosen: `task-group`."""
    codes: frozenset[str]
    """The rules whose findings it mends."""
    summary: str
    """The first line of its documentation, without the final full stop."""
    propose: Callable[[Finding, Study], Fix | tuple[Hazard, ...]]


REMEDIES: tuple[Remedy, ...] = tuple(
    Remedy(module.NAME, module.CODES, cleandoc(module.__doc__ or "").partition("\n")[0].rstrip("."), module.propose)
    for module in (
        gathering,
        spreading,
        grouping,
        ending,
        exiting,
        shields,
        threads,
        awaiting,
        services,
        reraising,
        spelling,
    )
)
"""In the order in which they are preferred."""
