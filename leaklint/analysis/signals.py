"""Events and futures that a coroutine sets in its `finally`: whoever waits for one of them waits for the task."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Frame, Shared
from leaklint.analysis.interpreter.state import field, field_owner
from leaklint.analysis.kinds import receiver
from leaklint.analysis.owners import KEEPS, WAITS, Effect
from leaklint.analysis.resolve import resolved
from leaklint.catalog import SETTING
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate
from leaklint.model.walk import text, walk


def signal_effect(spawned: Expr, spawner: code.Function, shared: Shared) -> Effect:
    """Who waits for an event or future of the same object that the spawned coroutine sets in a `finally`."""
    if not isinstance(spawned, code.Call):
        return KEEPS
    function = resolved(spawned.func, spawner, shared.kinds)
    if function is None:
        return KEEPS
    for target in _set_at_the_end(function):
        owner = shared.kinds.of(target.value, function)
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
                    case code.Attribute(value=code.Attribute() as target, attr=attr) if attr in SETTING:
                        yield target


def _waits_for(await_: code.Await, attr: str, owner: str | None, function: code.Function, shared: Shared) -> bool:
    inner: Expr = await_.value
    while isinstance(inner, code.Call) and inner.args:
        inner = inner.args[0]  # `wait_for(..)`, `shield(..)`
    if isinstance(inner, code.Call) and isinstance(inner.func, code.Attribute) and inner.func.attr == "wait":
        inner = inner.func.value
    if not isinstance(inner, code.Attribute):
        return False
    if inner.attr != attr and not _is_property_of(inner, attr, function, shared):
        return False
    other = field(shared.kinds.of(inner.value, function), attr)
    return Frame(shared, function).may_be_same(field(owner, attr), other) and (
        field_owner(other) is not None or receiver(function) is None
    )


def _is_property_of(expr: code.Attribute, attr: str, function: code.Function, shared: Shared) -> bool:
    """Whether an attribute is a property that returns another one."""
    method = resolved(expr, function, shared.kinds)
    if method is None or not method.decorators:
        return False
    returned = [statement.value for statement in walk(method.body, code.Return)]
    return any(isinstance(value, code.Attribute) and value.attr == attr for value in returned)
