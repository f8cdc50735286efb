"""What the waiting and collecting functions of the library return, when they are given the task."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.state import (
    HANDLE,
    Coroutine,
    Handle,
    Holder,
    Items,
    Value,
    Waiter,
    element_of,
    holds,
)
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import PathKind
from leaklint.model.walk import text


def gather(called: Called, *, alike: bool = False) -> Value:
    """`alike` says that the other members of the one container of tasks cannot fail."""
    held = called.held
    if isinstance(held, Coroutine):
        return held
    member = element_of(held)
    if isinstance(member, Coroutine):
        return member  # coroutines that were given the tasks: what they do decides
    leaves: frozenset[PathKind] = frozenset()
    for value in called.args:
        inner = element_of(value) if isinstance(value, Holder | Items) else value
        if isinstance(inner, Waiter):
            leaves |= inner.leaves
    alone = len(called.args) == 1 and not isinstance(called.expr.args[0], code.Starred)
    if isinstance(called.args[0], Items) and len(called.args) == 1:
        alone = len(called.args[0].values) == 1
    alone = alone or (alike and len(called.args) == 1)
    if not alone and _is_false(called.option("return_exceptions")):
        leaves |= {PathKind.SIBLING}
    return Waiter(leaves)


def _is_false(option: Expr | None) -> bool:
    return option is None or (isinstance(option, code.Constant) and not option.value)


def wait(called: Called) -> Value:
    timeout = called.option("timeout") or (called.expr.args[1] if len(called.expr.args) > 1 else None)
    limited = timeout is not None and not (isinstance(timeout, code.Constant) and timeout.value is None)
    until = called.option("return_when")
    name = until.path.rpartition(".")[2] if isinstance(until, code.Global) else ""
    if isinstance(until, code.Constant):
        name = str(until.value)
    alone = isinstance(called.args[0], Items) and len(called.args[0].values) == 1
    partial = None
    if name in ("FIRST_COMPLETED", "FIRST_EXCEPTION") and not alone:
        partial = PathKind.PARTIAL_WAIT
    elif limited:
        partial = PathKind.TIMEOUT
    inner = element_of(called.args[0])
    if partial is None and isinstance(inner, Waiter) and PathKind.SIBLING in inner.leaves:
        partial = PathKind.SIBLING  # it waits for a gather, and that is done when one of its members fails
    size = len(called.args[0].values) if isinstance(called.args[0], Items) else None
    other = None if limited else _other(called)
    return Waiter(frozenset({PathKind.CANCELLATION}), partial, sets=True, size=size, other=other)


def _other(called: Called) -> str | None:
    """The other task, when two are waited for."""
    value, expr = called.args[0], called.expr.args[0]
    if not isinstance(value, Items) or not isinstance(expr, code.Display) or len(value.values) != 2:
        return None
    return next((text(item) for item, each in zip(expr.items, value.values, strict=True) if not holds(each)), None)


def wait_for(called: Called) -> Value | None:
    match called.args[0]:
        case Handle():
            return Waiter()
        case Waiter() as waiter:
            cut = PathKind.CANCELLATION in waiter.leaves
            return replace(waiter, leaves=waiter.leaves | {PathKind.TIMEOUT}) if cut else waiter
        case Coroutine() as coroutine:
            return replace(coroutine, limit=True)
    return None


def shield(value: Value | None) -> Value | None:
    match value:
        case Handle():
            return Waiter(frozenset({PathKind.CANCELLATION}))
        case Waiter() as waiter:
            return replace(waiter, leaves=waiter.leaves | {PathKind.CANCELLATION})
    return value


def collect(called: Called) -> Value | None:
    name = called.expr.func.path if isinstance(called.expr.func, code.Global) else ""
    held = called.held
    if name == "builtins.zip" and len(called.args) == 1 and isinstance(called.expr.args[0], code.Starred):
        row = element_of(held)
        if isinstance(row, Items):  # the columns of a table
            return Items(tuple(Holder(value) if value is not None and holds(value) else None for value in row.values))
    if name == "builtins.zip":
        return Holder(Items(tuple(element_of(value) for value in called.args)))
    if name == "builtins.enumerate":
        return Holder(Items((None, element_of(held))))
    if name == "itertools.groupby":
        return Holder(Items((None, Holder(element_of(held) or HANDLE))))
    if isinstance(held, Holder) and held.keyed:
        return held if name == "builtins.dict" else None  # the keys of a mapping
    element = element_of(held)
    return Holder(element if element is not None else HANDLE, keyed=name == "builtins.dict")
