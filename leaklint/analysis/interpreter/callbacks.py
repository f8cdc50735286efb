"""Done-callbacks that set an event or a future, which then stands for the end of the task."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import Closure, Holder, Items, Value, Waiter
from leaklint.analysis.kinds import receiver
from leaklint.analysis.resolve import resolved
from leaklint.catalog import ADDING, SETTING
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk


def set_by_callback(callback: Expr, value: Value | None, frame: Frame) -> Iterator[Expr]:
    """The events and futures that a done-callback sets, as expressions of the function that registers it."""
    match callback:
        case code.Lambda(function=function):
            yield from _set_in(function)
        case code.Name() if isinstance(value, Closure):
            yield from _set_in(value.function)
        case code.Name(id=name) if (made := _made_here(name, frame.function)) is not None:
            yield from set_by_callback(made, None, frame)
        case code.Name() | code.Global() | code.Attribute():
            called = resolved(callback, frame.function, frame.shared.kinds)
            for target in _set_in(called) if called is not None else ():
                shared = isinstance(target, code.Name) and called is not None and target.id in called.free_names
                if shared or isinstance(target, code.Attribute):
                    yield target
        case code.Call(func=code.Global(path="functools.partial"), args=[target, *given]):
            setter = resolved(target, frame.function, frame.shared.kinds)
            if setter is not None:
                names = [param.name for param in setter.params if param.kind == "positional"]
                if receiver(setter) is not None:
                    names = names[1:]
                bound = dict(zip(names, given, strict=False))
                yield from (bound[e.id] for e in _set_in(setter) if isinstance(e, code.Name) and e.id in bound)


def _made_here(name: str, function: code.Function) -> Expr | None:
    """The partial or lambda that a name is bound to, if that is all it is ever bound to."""
    values = [
        node.value
        for node in walk(function.body, code.Assign)
        if any(isinstance(target, code.Name) and target.id == name for target in node.targets)
    ]
    only = values[0] if len(values) == 1 else None
    return only if isinstance(only, code.Call | code.Lambda) else None


def is_set_elsewhere(signal: Expr, frame: Frame) -> bool:
    """Whether the function, or one nested in it, sets an event or future in more than one place."""
    scopes = frame.shared.program.inside(frame.function)
    setters = (node for scope in scopes for node in walk(scope.body, code.Attribute) if node.attr in SETTING)
    return sum(text(node.value) == text(signal) for node in setters) > 1


def _set_in(function: code.Function) -> Iterator[Expr]:
    for call in walk(function.body, code.Call):
        if isinstance(call.func, code.Attribute) and call.func.attr in SETTING:
            yield call.func.value


def containers_of(signal: Expr, waiter: Waiter, function: code.Function) -> Iterator[tuple[str, Value]]:
    """The local containers that a function puts an event or future into, alone or in a tuple, and what they hold."""
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(value=code.Name(id=name), attr=attr), args=[given]) if attr in ADDING:
                if text(given) == text(signal):
                    yield name, Holder(waiter)
                elif isinstance(given, code.Display) and text(signal) in map(text, given.items):
                    parts = tuple(waiter if text(item) == text(signal) else None for item in given.items)
                    yield name, Holder(Items(parts))
