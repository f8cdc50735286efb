"""What the waiting and collecting functions of the library return, when they are given the task."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import (
    HANDLE,
    Coroutine,
    Handle,
    Holder,
    Items,
    Value,
    Wait,
    Waiter,
    element_of,
    holds,
)
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import PathKind, Pattern
from leaklint.model.walk import text


def gather(called: Called, frame: Frame, *, harmless: bool = False) -> Value:
    """`harmless` says that the other members cannot fail."""
    held = called.held
    if isinstance(held, Coroutine):
        return held
    member = element_of(held)
    if isinstance(member, Coroutine):
        return member  # coroutines that were given the tasks: what they do decides
    leaves: frozenset[PathKind] = frozenset()
    by = wait_of(Pattern.GATHER, called, frame)
    for value in called.args:
        inner = element_of(value) if isinstance(value, Holder | Items) else value
        if isinstance(inner, Waiter):
            leaves |= inner.leaves
            by = inner.by or by
    alone = len(called.args) == 1 and not isinstance(called.expr.args[0], code.Starred)
    if isinstance(called.args[0], Items) and len(called.args) == 1:
        alone = len(called.args[0].values) == 1
    if not (alone or harmless) and not returns_exceptions(called.expr):
        leaves |= {PathKind.SIBLING}
        by = wait_of(Pattern.GATHER, called, frame)
    return Waiter(leaves, by=by)


def wait_of(pattern: Pattern, called: Called, frame: Frame) -> Wait:
    """The call itself, as what may leave tasks running."""
    return Wait(pattern, frame.path, frame.function.qualname, called.expr.span, text(called.expr.func))


def returns_exceptions(gather: code.Call) -> bool:
    """Whether a `gather` gives the errors of its members as results; an option that is not constant may say so."""
    option = next((keyword.value for keyword in gather.keywords if keyword.name == "return_exceptions"), None)
    return option is not None and not (isinstance(option, code.Constant) and not option.value)


def wait(called: Called, frame: Frame) -> Value:
    timeout = called.option("timeout") or (called.expr.args[1] if len(called.expr.args) > 1 else None)
    limited = timeout is not None and not _is_none(timeout, called)
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
    by = wait_of(Pattern.WAIT, called, frame)
    if partial is None and isinstance(inner, Waiter) and PathKind.SIBLING in inner.leaves:
        partial = PathKind.SIBLING  # it waits for a gather, and that is done when one of its members fails
        by = inner.by or by
    size = len(called.args[0].values) if isinstance(called.args[0], Items) else None
    other = None if limited else _other(called, frame)
    return Waiter(frozenset({PathKind.CANCELLATION}), partial, sets=True, size=size, other=other, by=by)


def _is_none(expr: Expr, called: Called) -> bool:
    """Whether an argument is None, or a parameter that is known to be so here."""
    if isinstance(expr, code.Name):
        return (f"{expr.id} is None", True) in called.state.assumed
    return isinstance(expr, code.Constant) and expr.value is None


def _other(called: Called, frame: Frame) -> str | None:
    """The other task, when two are waited for."""
    value, expr = called.args[0], called.expr.args[0]
    if isinstance(expr, code.Name):
        bound = frame.shared.kinds.bindings(frame.function).get(expr.id, ())
        values = [binding.expr for binding in bound if binding.how == "value"]
        expr = values[0] if len(values) == 1 else expr
    if not isinstance(value, Items) or not isinstance(expr, code.Display):
        return None
    if not len(value.values) == len(expr.items) == 2:
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


def shield(value: Value | None, called: Called, frame: Frame) -> Value | None:
    by = wait_of(Pattern.SHIELD, called, frame)
    match value:
        case Handle():
            return Waiter(frozenset({PathKind.CANCELLATION}), by=by)
        case Waiter() as waiter:
            return replace(
                waiter, leaves=waiter.leaves | {PathKind.CANCELLATION}, by=by if not waiter.leaves else waiter.by
            )
    return value


def as_completed(called: Called, frame: Frame, *, harmless: bool = False) -> Value:
    """The iterator of `as_completed`: a loop over it meets all its tasks. `harmless` says that none can fail."""
    return Holder(Waiter(is_signal=True) if harmless else HANDLE, by=wait_of(Pattern.AS_COMPLETED, called, frame))


def pick(value: Value | None) -> Value | None:
    """One of what a value holds; the next of `as_completed` is any of its tasks, and leaves the others."""
    if isinstance(value, Holder) and value.by is not None:
        return Waiter(frozenset({PathKind.CANCELLATION}), PathKind.PARTIAL_WAIT, by=value.by)
    return element_of(value)


def collect(called: Called) -> Value | None:
    name = called.expr.func.path if isinstance(called.expr.func, code.Global) else ""
    held = called.held
    if name == "builtins.iter":
        return held if isinstance(held, Holder) and held.by is not None else Holder(element_of(held) or HANDLE)
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
