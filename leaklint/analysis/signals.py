"""Events and futures that stand for the end of a task: whoever waits for one of them waits for the task.

Two ways are known: a done-callback that sets it, and a coroutine that sets it in a `finally`.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.frame import Frame, Shared
from leaklint.analysis.kinds import receiver
from leaklint.analysis.owners import KEEPS, WAITS, Effect
from leaklint.analysis.resolve import resolved
from leaklint.analysis.state import Closure, Value, field, field_owner
from leaklint.catalog import ADDING
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate
from leaklint.model.walk import text, walk

_SETTING = ("set", "set_result")


def signal_effect(spawned: Expr, spawner: code.Function, shared: Shared) -> Effect:
    """Who waits for an event or future of the same object that the spawned coroutine sets in a `finally`."""
    if not isinstance(spawned, code.Call):
        return KEEPS
    function = resolved(spawned.func, spawner, shared)
    if function is None:
        return KEEPS
    for target in _set_at_the_end(function):
        owner = shared.kind(target.value, function)
        for waiting in shared.program.mentioning(target.attr):
            if waiting is function:
                continue
            for await_ in walk(waiting.body, code.Await):
                if _waits_for(await_, target.attr, owner, waiting, shared):
                    setting = Frame(shared, function).act(target.span, f"sets `{text(target)}` when it ends")
                    wait = Frame(shared, waiting).act(await_.span, f"waits for `{text(target)}`")
                    return Effect(WAITS, Fate.OWNED, (), (setting, wait), waiting)
    return KEEPS


def _set_at_the_end(function: code.Function) -> Iterator[code.Attribute]:
    """The attributes that a function calls `set()` or `set_result()` on in a `finally`."""
    for block in (statement.final for statement in walk(function.body, code.Try)):
        for call in walk(block, code.Call):
            setters = [call.func, *call.args]  # `loop.call_soon(self.done.set)` sets it too
            for setter in setters:
                match setter:
                    case code.Attribute(value=code.Attribute() as target, attr=attr) if attr in _SETTING:
                        yield target


def _waits_for(await_: code.Await, attr: str, owner: str | None, function: code.Function, shared: Shared) -> bool:
    inner: Expr = await_.value
    while isinstance(inner, code.Call) and inner.args:
        inner = inner.args[0]  # `wait_for(..)`, `shield(..)`
    if isinstance(inner, code.Call) and isinstance(inner.func, code.Attribute) and inner.func.attr == "wait":
        inner = inner.func.value
    if not isinstance(inner, code.Attribute) or inner.attr != attr:
        return False
    other = field(shared.kind(inner.value, function), attr)
    return Frame(shared, function).may_be_same(field(owner, attr), other) and (
        field_owner(other) is not None or receiver(function) is None
    )


def set_by_callback(callback: Expr, value: Value | None, frame: Frame) -> Iterator[Expr]:
    """The events and futures that a done-callback sets, as expressions of the function that registers it."""
    match callback:
        case code.Lambda(function=function):
            yield from _set_in(function)
        case code.Name() if isinstance(value, Closure):
            yield from _set_in(value.function)
        case code.Call(func=code.Global(path="functools.partial"), args=[target, *given]):
            setter = resolved(target, frame.function, frame.shared)
            if setter is not None:
                names = [param.name for param in setter.params if param.kind == "positional"]
                if receiver(setter) is not None:
                    names = names[1:]
                bound = dict(zip(names, given, strict=False))
                yield from (bound[e.id] for e in _set_in(setter) if isinstance(e, code.Name) and e.id in bound)


def _set_in(function: code.Function) -> Iterator[Expr]:
    for call in walk(function.body, code.Call):
        if isinstance(call.func, code.Attribute) and call.func.attr in _SETTING:
            yield call.func.value


def containers_of(signal: Expr, function: code.Function) -> Iterator[str]:
    """The local containers that a function puts an event or future into."""
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(value=code.Name(id=name), attr=attr), args=[given]) if attr in ADDING:
                if text(given) == text(signal):
                    yield name
