"""From facts to findings: pure functions on values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaklint.analysis.cancellation import swallowed
from leaklint.analysis.interpreter.frame import Shared
from leaklint.analysis.interpreter.knot import Interpreter
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.leaving import Leaving
from leaklint.analysis.program import Program
from leaklint.analysis.removed import Removals
from leaklint.analysis.scopes import misused_scopes
from leaklint.analysis.tracing import Tracer
from leaklint.analysis.unclosed import Closing
from leaklint.catalog import BASE, Catalog
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse, Task, Unclosed

__all__ = ["Analysis", "Findings", "judge"]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the analysis says of one file; each by line and column."""

    tasks: tuple[Task, ...] = ()
    """The inventory: its spawns, and its calls of functions that return a task."""
    hidden: tuple[Task, ...] = ()
    """What starts tasks without being a spawn, and the waits that leave spawned tasks running."""
    misuses: tuple[Misuse, ...] = ()
    """The task groups that are used wrongly, the cancellations that are swallowed, and the calls that are gone."""
    unclosed: tuple[Unclosed, ...] = ()
    """The objects that it makes, that own tasks, and that nothing ends."""


class Analysis:
    """The analysis of a program, given its linked modules (see `leaklint.analysis.linking`)."""

    def __init__(self, modules: Sequence[ModuleFacts], catalog: Catalog = BASE) -> None:
        program = Program(modules)
        self.kinds = Kinds(program, catalog)
        """What is known of the program itself, for those who want to change it."""
        self.tracer = Tracer(Shared(program, self.kinds, Interpreter()))
        self._leaving = Leaving(self.tracer)
        self._closing = Closing(self.tracer)
        self._removals = Removals(self.kinds)

    def tasks(self, facts: ModuleFacts) -> tuple[Task, ...]:
        """The inventory of a file."""
        return tuple(task for task, _ in self.tracer.inventory(facts))

    def findings(self, facts: ModuleFacts) -> Findings:
        """All that is said of a file."""
        misuses = [*misused_scopes(facts, self.kinds), *swallowed(facts, self.kinds), *self._removals.uses(facts)]
        return Findings(
            self.tasks(facts),
            self._leaving.calls(facts),
            tuple(sorted(misuses, key=lambda misuse: misuse.span)),
            self._closing.unclosed(facts),
        )


def judge(facts: ModuleFacts, catalog: Catalog = BASE) -> tuple[Task, ...]:
    """Every spawn of a program of one file with its fate and the evidence, sorted by line and column."""
    return Analysis([facts], catalog).tasks(facts)
