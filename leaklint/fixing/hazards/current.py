"""What functions do with the task that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from leaklint.analysis.kinds import path_of
from leaklint.analysis.program import Program
from leaklint.fixing.hazards.awaiting import once_bound
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard
from leaklint.model.walk import walk

_CURRENT = "asyncio.current_task"
"""https://docs.python.org/3/library/asyncio-task.html#asyncio.current_task"""
_RUNNING = frozenset({_CURRENT, "asyncio.all_tasks"})


def is_itself(expr: Expr, function: code.Function, study: Study) -> bool:
    """Whether an expression is the task that runs the function."""
    made = once_bound(expr.id, function, study) if isinstance(expr, code.Name) else expr
    return made is not None and path_of(made) == _CURRENT


def given_away(function: code.Function) -> Iterator[code.Call]:
    """The calls that get at the task that runs a function, where others may get at what they give: it is stored, passed
    on or returned, not just asked for something.
    """
    if _CURRENT not in function.words:
        return
    nodes = list(walk(function.body, (code.Name, code.Call, code.Attribute, code.Compare)))
    asked = {id(each.value) for each in nodes if isinstance(each, code.Attribute)}
    asked |= {id(side) for each in nodes if isinstance(each, code.Compare) for side in (each.left, each.right)}
    local = {
        id(each.value): target.id
        for each in walk(function.body, code.Assign)
        for target in each.targets
        if len(each.targets) == 1 and isinstance(target, code.Name)
    }
    bound = {id(target) for each in walk(function.body, code.Assign) for target in each.targets}
    bound |= {id(branch.test) for each in walk(function.body, code.If) for branch in each.branches}
    bound |= {id(each.test) for each in walk(function.body, code.Assert)}
    kept = {each.id for each in nodes if isinstance(each, code.Name) and id(each) not in asked | bound}
    for each in nodes:
        if not isinstance(each, code.Call) or path_of(each) != _CURRENT:
            continue
        if id(each) not in asked and local.get(id(each)) in {None, *kept}:
            yield each


def renamed(study: Study) -> Iterator[Hazard]:
    """`task-is-renamed`: the program asks running tasks for their names. asyncio counts its tasks (`Task-3`), AnyIO
    names them after what they run: an experiment on AnyIO 4.16.
    """
    asking = _asking_for_names(study.program)
    if asking is not None:
        path = study.program.paths[asking.qualname]
        where = f"line {asking.span.line}" if path == study.path else f"line {asking.span.line} of {path}"
        yield Hazard("task-is-renamed", f"`{asking.name}` on {where} asks tasks for their names")


@lru_cache(maxsize=4)
def _asking_for_names(program: Program) -> code.Function | None:
    """The first function of a program that asks running tasks for their names."""
    functions = (each for module in program.modules for each in module.functions)
    return next((each for each in functions if "get_name" in each.words and not _RUNNING.isdisjoint(each.words)), None)
