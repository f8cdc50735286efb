"""Where a task is born: at its spawn, and again wherever a function of the program returns it."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.analysis.spawns import Spawn
from leaklint.model import code
from leaklint.model.code import Span


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """An expression that gives the task, and the function it stands in. Each is equal to itself alone."""

    function: code.Function
    node: code.Call | code.Await | code.Attribute
    """The spawn; or the call of a function that returns the task, its await, or the property."""
    spawn: Spawn
    """Where the task is started."""
    source: Site | None = None
    """The expression that gives the task in the function which is called here; None for the spawn itself."""
    ends: frozenset[str] = frozenset()
    """Where an object is followed that owns the task: the names of the methods that end it."""

    @property
    def span(self) -> Span:
        """The expression in the inventory: the call, also where that is awaited."""
        return self.expression.span

    @property
    def expression(self) -> code.Call | code.Attribute:
        """The spawn or the call itself, also where it is awaited; or the property that is read."""
        node = self.node.value if isinstance(self.node, code.Await) else self.node
        assert isinstance(node, code.Call | code.Attribute)
        return node

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that the task has come through."""
        return (self.function.qualname, *(self.source.functions if self.source else ()))
