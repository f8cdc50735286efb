"""Where a spawn stands: in a callback, in a constructor, in a scope of AnyIO."""

from __future__ import annotations

from typing import NamedTuple

from leaklint.analysis.interpreter.frame import Shared
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Pattern, Step


class Standing(NamedTuple):
    """Why nobody can wait for a task that is spawned here, or not as one should."""

    pattern: Pattern
    step: Step
    """The place that shows it."""


def standing_of(function: code.Function, node: Expr, shared: Shared) -> Standing | None:
    """What is special about the place of a spawn, an expression in a function; None if nothing is."""
    del function, node, shared
    return None
