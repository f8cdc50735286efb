"""Which calls may raise, and which cannot sensibly fail."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import resolved
from leaklint.catalog import LOOP_RUNS, SPAWN_LIKE, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_CONSUMING = (Role.SPAWN, Role.GATHER, Role.WAIT, Role.WAIT_FOR, Role.SHIELD, Role.AS_COMPLETED, Role.RUN)
_CONSUMING_METHODS = LOOP_RUNS | SPAWN_LIKE


def consumes(func: Expr, frame: Frame) -> bool:
    """Whether a callee runs what it is given: a call among its arguments then makes a coroutine, which cannot fail."""
    if frame.role(func) in _CONSUMING or last_name(func) in _CONSUMING_METHODS:
        return True
    function = resolved(func, frame.function, frame.shared.kinds)
    return function is not None and _starts_argument(function)


def _starts_argument(function: code.Function) -> bool:
    """Whether a function of the program starts a coroutine that it is given."""
    if function.words.isdisjoint(SPAWN_LIKE):
        return False
    names = {param.name for param in function.params}
    spawns = (call for call in walk(function.body, code.Call) if last_name(call.func) in SPAWN_LIKE)
    return any(isinstance(arg, code.Name) and arg.id in names for call in spawns for arg in call.args)


def cannot_fail(function: code.Function, frame: Frame) -> bool:
    """Whether calling a function of the program plainly raises nothing. (A coroutine function only makes one.)"""
    return function.is_async or function.is_generator or not frame.shared.outcomes.raises(function)


def is_one_of_many(function: code.Function) -> bool:
    """Whether a function spawns in more than one place."""
    return sum(last_name(call.func) in SPAWN_LIKE for call in walk(function.body, code.Call)) > 1
