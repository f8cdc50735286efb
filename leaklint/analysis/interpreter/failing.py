"""Which calls may raise, and which cannot sensibly fail."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.handlers import catches
from leaklint.analysis.interpreter.state import State, Way
from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import BASE, HARMLESS_METHODS, LOGGING, LOOP_DEFERS, LOOP_RUNS, SPAWN_LIKE, Role
from leaklint.model import code
from leaklint.model.code import Block, Expr, Stmt
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
    return function.is_async or function.is_generator or never_raises(function, frame)


def is_plain_class(path: str, program: Program) -> bool:
    """Whether making an object of a class of the program runs no code of its own."""
    return not any(program.method(path, name) for name in ("__init__", "__new__", "__post_init__"))


def is_harmless(func: Expr) -> bool:
    """Whether a callee of the library, or a method by its name, cannot sensibly fail."""
    if isinstance(func, code.Attribute):
        return func.attr in HARMLESS_METHODS or func.attr in LOOP_DEFERS
    if isinstance(func, code.Global):
        return BASE.role(func.path) is not None or ("." in func.text and last_name(func) in LOGGING)
    return False


def is_one_of_many(function: code.Function) -> bool:
    """Whether a function spawns in more than one place."""
    return sum(last_name(call.func) in SPAWN_LIKE for call in walk(function.body, code.Call)) > 1


def _is_unguarded(block: Block, function: code.Function, frame: Frame) -> bool:
    """Whether a block plainly may raise, outside every `try` that catches it: by an await, a `raise`, or a call of
    something that is not in view.
    """
    return any(_may_raise(statement, function, frame) for statement in block)


def _may_raise(statement: Stmt, function: code.Function, frame: Frame) -> bool:
    match statement:
        case code.Try(handlers=handlers, orelse=orelse, final=final, body=body):
            catches_all = any(catches(handler.types, Way.EXCEPTION) is True for handler in handlers)
            blocks = (() if catches_all else body, orelse, final)
            return any(_is_unguarded(block, function, frame) for block in blocks)
        case code.With(items=items, body=body):
            suppresses = any(BASE.role(path_of(item.context)) is Role.SUPPRESS for item in items)
            return not suppresses and _is_unguarded(body, function, frame)
        case code.Raise():
            return True
    if any(True for _ in walk(statement, code.Try)):
        return False  # not plainly
    if any(True for _ in walk(statement, (code.Await, code.Raise))):
        return True
    return any(_is_out_of_view(call.func, function, frame) for call in walk(statement, code.Call))


def _is_out_of_view(func: Expr, function: code.Function, frame: Frame) -> bool:
    """Whether nothing is known of a callee: neither its code nor that it is harmless."""
    kinds = frame.shared.kinds
    if not isinstance(func, code.Attribute | code.Global) or is_harmless(func) or kinds.role_of_callee(func, function):
        return False
    is_class = isinstance(func, code.Global) and func.path in kinds.program.classes
    return not is_class and resolved(func, function, kinds) is None


def never_raises(function: code.Function, frame: Frame) -> bool:
    """Whether a function of the program catches whatever it may raise, but a cancellation."""
    known = frame.shared.harmless
    if function.qualname not in known:
        known[function.qualname] = False  # one that calls itself may end in no other way
        if _is_unguarded(function.body, function, frame):
            return False
        ways = {way for way, *_ in Frame(frame.shared, function).run(State(), ())}
        known[function.qualname] = ways.isdisjoint((Way.EXCEPTION, Way.SIBLING, Way.TIMEOUT))
    return known[function.qualname]
