"""The methods of the builtin containers: how the task gets in, out and around."""

from __future__ import annotations

from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame, bind
from leaklint.analysis.interpreter.inline import hand_over
from leaklint.analysis.interpreter.state import (
    HANDLE,
    Holder,
    Items,
    Ref,
    Result,
    State,
    element_of,
)
from leaklint.catalog import (
    ADDING,
    CONTAINER_TYPES,
    EMPTYING,
    HARMLESS_METHODS,
    PICKING,
    POPPING,
    REMOVING,
    VIEWING,
)
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text


def container_method(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    """Methods of a container that holds the task."""
    receiver = called.receiver
    element = receiver.element if isinstance(receiver, Holder) else element_of(receiver)
    if element is None:
        return None
    func = called.expr.func
    place = frame.place(func.value, called.state) if isinstance(func, code.Attribute) else None
    keyed = isinstance(receiver, Holder) and receiver.keyed

    def without() -> State:
        return bind(called.state, place, None) if place and place != frame.sticky else called.state

    if attr in POPPING:
        taken = Items((None, element)) if attr == "popitem" else element
        others = called.result()
        return [Result(without(), called.trail, taken), *others]
    if attr in REMOVING and called.held is not None:
        return [Result(without(), called.trail, None)]
    if attr in EMPTYING:
        return [Result(without(), called.trail, None)]
    if attr in PICKING or attr == "setdefault":
        return called.result(element)
    if attr == "items":
        return called.result(Holder(Items((None, element))))
    if attr == "keys":
        return called.result(None if keyed else receiver)
    if attr in VIEWING:
        return called.result(Holder(element, keyed=keyed and attr == "copy"))
    if attr in ADDING and isinstance(receiver, Items) and place is not None:
        return [Result(bind(called.state, place, Holder(element)), called.trail, None)]
    return called.result() if attr in HARMLESS_METHODS else None


def add(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    """The task goes into a container; None when it is not known where that is."""
    func, held = called.expr.func, called.held
    if not isinstance(func, code.Attribute) or held is None:
        return None
    place = called.receiver.place if isinstance(called.receiver, Ref) else frame.place(func.value, called.state)
    if place is None:
        return None
    element = element_of(held) if attr in ("extend", "update") and isinstance(held, Holder | Items) else held
    state, trail = called.state, called.trail
    if place.scope != "local":
        trail = (*trail, frame.step(called.expr.span, f"kept in `{text(func.value)}`"))
    elif not _is_own_container(func.value, frame):
        state, trail = hand_over(state, trail, f"put into `{text(func.value)}`", called.expr.span, frame)
    keyed = attr == "setdefault" or (attr == "update" and isinstance(held, Holder) and held.keyed)
    return [
        Result(bind(state, place, Holder(element or HANDLE, keyed)), trail, element if attr == "setdefault" else None)
    ]


def _is_own_container(expr: Expr, frame: Frame) -> bool:
    """Whether a local name is bound to a container that the function itself makes."""
    if not isinstance(expr, code.Name) or frame.is_foreign(expr.id):
        return False
    kind = frame.kind(expr)
    return kind is not None and (kind in CONTAINER_TYPES or kind.startswith(("builtins.", "asyncio.")))
