"""Storing: where a value goes, and what is lost by it."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import Frame, bind
from leaklint.analysis.interpreter.inline import hand_over
from leaklint.analysis.interpreter.state import (
    HANDLE,
    LOCAL,
    Closure,
    Empty,
    Holder,
    Items,
    Other,
    Place,
    Record,
    Ref,
    Result,
    Signal,
    State,
    Trail,
    Value,
    element_of,
    holds,
)
from leaklint.analysis.interpreter.words import key_of
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text


def assign(target: Expr, value: Value | None, state: State, trail: Trail, frame: Frame) -> list[Result]:
    """Storing a value. More than one outcome when an unknown element of a container goes to one of several targets."""
    match target:
        case code.Name() | code.Global() | code.Attribute():
            return [_store(target, value, state, trail, frame)]
        case code.Starred(value=inner):
            return assign(inner, Holder(element_of(value) or HANDLE) if holds(value) else None, state, trail, frame)
        case code.Subscript():
            return _store_item(target, value, state, trail, frame)
        case code.Display(items=targets):
            return _unpack(targets, value, state, trail, frame)
    return [Result(state, trail, None)]


def _store(
    target: code.Name | code.Global | code.Attribute, value: Value | None, state: State, trail: Trail, frame: Frame
) -> Result:
    if isinstance(target, code.Name):
        place: Place | None = frame.name_place(target.id)
    else:
        place = frame.place(target, state)
    if place is None:
        return Result(state, trail, None)
    if frame.sticky == place and not holds(value):
        return Result(state, trail, None)
    if isinstance(value, Ref) and value.place == place:
        value = None
    if holds(value) and place.scope != LOCAL:
        trail = (*trail, frame.step(target.span, f"kept in `{text(target)}`"))
    if not (holds(value) or isinstance(value, Empty | Other | Signal | Closure) or _is_alias(target, value, frame)):
        value = None
    return Result(bind(state, place, value), trail, None)


def _is_alias(target: Expr, value: Value | None, frame: Frame) -> bool:
    """Whether a name becomes another name for a container that the function fills through it."""
    return isinstance(value, Ref) and isinstance(target, code.Name) and target.id in frame.filled


def _store_item(target: code.Subscript, value: Value | None, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for s, t, (_, index) in frame.evaluate_all((target.value, target.index), state, trail):
        point = Result(s, t, None)
        if value is not None and holds(value):
            point = _put(target, value, point, frame)
        elif index is not None and holds(index) and (place := frame.place(target, s)) is not None:
            point = point._replace(state=bind(s, place, Holder(index, by_key=True)))  # the task is the key
        results.append(point)
    return results


def _put(target: code.Subscript, value: Value, point: Result, frame: Frame) -> Result:
    place = frame.place(target, point.state)
    if place is None:
        return point
    state, trail = point.state, point.trail
    if place.scope != LOCAL:
        trail = (*trail, frame.step(target.span, f"kept in `{text(target)}`"))
    elif frame.is_foreign(place.name):
        state, trail = hand_over(state, trail, f"put into `{text(target.value)}`", target.span, frame)
    is_field = place.name == f"[{key_of(target.index)}]"
    held = value if is_field else Holder(value, keyed=_is_mapping(target, frame), key=key_of(target.index))
    return Result(bind(state, place, held), trail, None)


def _unpack(targets: tuple[Expr, ...], value: Value | None, state: State, trail: Trail, frame: Frame) -> list[Result]:
    starred = any(isinstance(target, code.Starred) for target in targets)
    if isinstance(value, Record):
        value = value.items
    if isinstance(value, Items) and len(value.values) == len(targets) and not starred:
        choices = [value.values]
    elif holds(value):
        # the task is exactly one of the elements
        element = element_of(value) or HANDLE
        choices = [
            tuple(_share(other, element) if other is target else None for other in targets) for target in targets
        ]
    else:
        choices = [(None,) * len(targets)]
    results = []
    for choice in choices:
        points = [Result(state, trail, None)]
        for target, item in zip(targets, choice, strict=True):
            points = [r for p in points for r in assign(target, item, p.state, p.trail, frame)]
        results += points
    return results


def _is_mapping(target: code.Subscript, frame: Frame) -> bool:
    """Whether a container is known to be a mapping, which gives its keys when it is iterated."""
    return (frame.kind(target.value) or "").lower().endswith("dict")


def _share(target: Expr, element: Value) -> Value:
    """What a target gets when the task is in its share: `*rest` is a list of elements."""
    return Holder(element) if isinstance(target, code.Starred) else element
