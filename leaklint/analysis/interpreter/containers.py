"""The methods of the builtin containers: how the task gets in, out and around."""

from __future__ import annotations

from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame, bind, is_under_another_key
from leaklint.analysis.interpreter.inline import hand_over
from leaklint.analysis.interpreter.state import (
    HANDLE,
    Handle,
    Holder,
    Items,
    Ref,
    Result,
    State,
    element_of,
    given_to,
)
from leaklint.analysis.kinds import last_name
from leaklint.catalog import (
    ADDING,
    EMPTYING,
    HARMLESS_METHODS,
    PICKING,
    POPPING,
    REMOVING,
    VIEWING,
)
from leaklint.model import code
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

    takes = attr in POPPING | PICKING | {"setdefault"} and bool(called.expr.args)
    if takes and is_under_another_key(receiver, called.expr.args[0]):
        return called.result()
    if attr in POPPING and called.held is not None:
        return [Result(without(), called.trail, None)]  # the task is the key
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
        by_key = isinstance(receiver, Holder) and receiver.by_key
        return called.result(Holder(Items((element, None) if by_key else (None, element))))
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
    elif not frame.is_own_container(func.value):
        state, trail = hand_over(state, trail, f"put into `{text(func.value)}`", called.expr.span, frame)
    keyed = attr == "setdefault" or (attr == "update" and isinstance(held, Holder) and held.keyed)
    return [
        Result(bind(state, place, Holder(element or HANDLE, keyed)), trail, element if attr == "setdefault" else None)
    ]


def give(called: Called, frame: Frame) -> list[Result] | None:
    """The task is given to an object that waits for it; None when the object is not known to do so."""
    kinds, func, held = frame.shared.kinds, called.expr.func, called.held
    owner = kinds.of_receiver(func, frame.function)
    if owner is None or not isinstance(held, Handle | Holder | Items) or not kinds.is_owner(owner):
        return None
    place = given_to(owner, last_name(func.value if isinstance(func, code.Attribute) else func))
    message = f"passed to `{text(func)}`: `{owner.rpartition('.')[2]}` waits for it"
    return [Result(bind(called.state, place, held), (*called.trail, frame.step(called.expr.span, message)), None)]
