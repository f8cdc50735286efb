"""Tasks that spawn their own successor: if each waits for the next one, the first never ends."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.spawns import find_spawns
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.points import functions_of
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_MOST = 200
"""So many functions are followed."""


def successor(coroutine: Expr, function: code.Function, study: Study) -> code.Function | None:
    """A function that a coroutine, or what it spawns, spawns from within itself; None if there is none."""
    left = list(functions_of(coroutine, function, study))
    seen = {each.qualname for each in left}
    while left and len(seen) < _MOST:
        spawner = left.pop()
        for spawned in _spawned(spawner, study):
            if _leads_to(spawner, spawned, study):
                return spawned
            if spawned.qualname not in seen:
                seen.add(spawned.qualname)
                left.append(spawned)
    return None


def _spawned(spawner: code.Function, study: Study) -> Iterator[code.Function]:
    for spawn in find_spawns(spawner, study.kinds):
        call = spawn.spawned_call
        if isinstance(call, code.Call):
            yield from targets(call.func, spawner, study) or ()


def _leads_to(goal: code.Function, start: code.Function, study: Study) -> bool:
    """Whether a function calls another one, by way of others or not, or is it."""
    left, seen = [start], {start.qualname}
    while left and len(seen) < _MOST:
        caller = left.pop()
        if caller.qualname == goal.qualname:
            return True
        for call in walk(caller.body, code.Call):
            for called in targets(call.func, caller, study) or ():
                if called.qualname not in seen:
                    seen.add(called.qualname)
                    left.append(called)
    return False
