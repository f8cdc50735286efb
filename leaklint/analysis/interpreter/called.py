"""One call, its callee and arguments evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.analysis.interpreter.state import (
    Result,
    State,
    Trail,
    Value,
    holds,
)
from leaklint.model import code
from leaklint.model.code import Expr


@dataclass(frozen=True, slots=True)
class Called:
    """A call whose callee and arguments have been evaluated."""

    expr: code.Call
    state: State
    trail: Trail
    receiver: Value | None
    args: tuple[Value | None, ...]
    keywords: tuple[Value | None, ...]
    consumed: bool

    @property
    def values(self) -> tuple[Value | None, ...]:
        return (*self.args, *self.keywords)

    @property
    def held(self) -> Value | None:
        """The first argument that holds the task."""
        return next(filter(holds, self.values), None)

    def option(self, name: str) -> Expr | None:
        return next((keyword.value for keyword in self.expr.keywords if keyword.name == name), None)

    def result(self, value: Value | None = None) -> list[Result]:
        return [Result(self.state, self.trail, value)]
