"""Done-callbacks that set an event or a future, which then stands for the end of the task."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import Closure, Value
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
        case code.Name() | code.Global() | code.Attribute():
            called = resolved(callback, frame.function, frame.shared.kinds)
            if called is not None:
                yield from (target for target in _set_in(called) if isinstance(target, code.Attribute))
        case code.Call(func=code.Global(path="functools.partial"), args=[target, *given]):
            setter = resolved(target, frame.function, frame.shared.kinds)
            if setter is not None:
                names = [param.name for param in setter.params if param.kind == "positional"]
                if receiver(setter) is not None:
                    names = names[1:]
                bound = dict(zip(names, given, strict=False))
                yield from (bound[e.id] for e in _set_in(setter) if isinstance(e, code.Name) and e.id in bound)


def _set_in(function: code.Function) -> Iterator[Expr]:
    for call in walk(function.body, code.Call):
        if isinstance(call.func, code.Attribute) and call.func.attr in SETTING:
            yield call.func.value


def containers_of(signal: Expr, function: code.Function) -> Iterator[str]:
    """The local containers that a function puts an event or future into."""
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(value=code.Name(id=name), attr=attr), args=[given]) if attr in ADDING:
                if text(given) == text(signal):
                    yield name
