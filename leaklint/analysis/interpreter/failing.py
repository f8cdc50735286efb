"""Which calls may raise, and which cannot sensibly fail."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import resolved
from leaklint.catalog import BASE, HARMLESS_METHODS, LOGGING, LOOP_DEFERS, LOOP_RUNS, SPAWN_LIKE, Role
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
    """Whether a function of the program plainly raises nothing: it only makes calls that cannot fail."""
    known = frame.shared.harmless
    if function.qualname not in known:
        known[function.qualname] = False  # one that calls itself may end in no other way
        known[function.qualname] = _cannot_fail(function, frame)
    return known[function.qualname]


def _cannot_fail(function: code.Function, frame: Frame) -> bool:
    if any(True for _ in walk(function.body, (code.Raise, code.Await, code.Yield, code.Assert))):
        return False
    started = set(map(id, _started(function)))
    for call in walk(function.body, code.Call):
        if id(call) not in started and not is_harmless(call.func) and not _is_plain_class(call.func, frame):
            callee = resolved(call.func, function, frame.shared.kinds)
            makes_coroutine = callee is not None and (callee.is_async or callee.is_generator)
            if callee is None or not (makes_coroutine or cannot_fail(callee, frame)):
                return False
    return True


def _started(function: code.Function) -> Iterator[Expr]:
    """What a function gives to spawners: calls that make coroutines."""
    for call in walk(function.body, code.Call):
        if last_name(call.func) in SPAWN_LIKE:
            yield from call.args[:1]


def _is_plain_class(func: Expr, frame: Frame) -> bool:
    """Whether a class of the program is called that runs no code of its own when an object is made."""
    program = frame.shared.program
    if not isinstance(func, code.Global) or func.path not in program.classes:
        return False
    return not any(program.method(func.path, name) for name in ("__init__", "__new__", "__post_init__"))


def is_harmless(func: Expr) -> bool:
    """Whether a callee of the library, or a method by its name, cannot sensibly fail."""
    if isinstance(func, code.Attribute):
        return func.attr in HARMLESS_METHODS or func.attr in LOOP_DEFERS
    if isinstance(func, code.Global):
        return BASE.role(func.path) is not None or ("." in func.text and last_name(func) in LOGGING)
    return False
