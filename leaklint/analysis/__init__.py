"""From facts to fates: a pure function on values."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.analysis.interpreter.frame import Shared
from leaklint.analysis.interpreter.knot import Interpreter
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.program import Program
from leaklint.analysis.tracing import Tracer, Traces
from leaklint.catalog import BASE, Catalog
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Task

__all__ = ["Tracer", "Traces", "judge", "trace"]


def trace(modules: Sequence[ModuleFacts], catalog: Catalog = BASE) -> Tracer:
    """What traces the tasks of a program, given its linked modules (see `leaklint.analysis.linking`)."""
    program = Program(modules)
    return Tracer(Shared(program, Kinds(program, catalog), Interpreter()))


def judge(facts: ModuleFacts, catalog: Catalog = BASE) -> tuple[Task, ...]:
    """Every spawn of a program of one file with its fate and the evidence, sorted by line and column."""
    return trace([facts], catalog).tasks(facts)
