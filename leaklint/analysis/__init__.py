"""From facts to fates: a pure function on values."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import Shared
from leaklint.analysis.interpreter.knot import Interpreter
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.program import Program
from leaklint.analysis.spawns import find_spawns
from leaklint.analysis.verdict import judge_spawn
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Task

__all__ = ["judge"]


def judge(facts: ModuleFacts) -> tuple[Task, ...]:
    """Every spawn of a file with its fate and the evidence, sorted by line and column."""
    program = Program([facts])
    kinds = Kinds(program)
    shared = Shared(program, kinds, Interpreter())
    spawns = [spawn for function in facts.functions for spawn in find_spawns(function, kinds)]
    return tuple(sorted((judge_spawn(spawn, shared) for spawn in spawns), key=lambda task: task.span))
