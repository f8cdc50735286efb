"""The moment at which the followed task comes into a function: its spawn, or a call of a function that returns it."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import DEEPEST_CALL, Frame
from leaklint.analysis.interpreter.inline import known_arguments
from leaklint.analysis.interpreter.state import (
    CELL,
    HANDLE,
    RETURNED,
    Exits,
    Handle,
    Owner,
    Result,
    State,
    Status,
    Trail,
    Value,
    Way,
    holds,
    is_kept,
)
from leaklint.analysis.sites import Site
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk


def is_birth(expr: Expr, state: State, frame: Frame) -> bool:
    """Whether the task comes into the function by this expression."""
    return expr is frame.spawn and state.status is Status.UNBORN


def birth(point: Result, frame: Frame) -> list[Result]:
    """The outcomes of the expression that gives the task: this is the task to follow, or it is another turn's."""
    site = frame.site
    assert site is not None
    if site.source is None:
        value: Value = Owner(site.ends) if site.ends else point.value or HANDLE
        point = point._replace(value=None)
        return [point, Result(point.state.with_status(Status.RUNNING), point.trail, value)]
    return [point, *(_received(point, state, trail, value, frame) for state, trail, value in _returned(site, frame))]


def _received(point: Result, state: State, trail: Trail, value: Value, frame: Frame) -> Result:
    """The task as the function that was called has left it: it may have kept it somewhere, too."""
    assert frame.site is not None
    kept = {(place, held) for place, held in state.env if is_kept(place) and place.scope != CELL}
    frame.received |= {place for place, _ in kept}
    after = State(state.status, point.state.env | kept, state.left, point.state.assumed)
    return Result(after, (*point.trail, *trail, frame.act(frame.site.span, "receives it")), value)


def _returned(site: Site, frame: Frame) -> list[tuple[State, Trail, Value]]:
    """The states in which the called function returns the task, each with the steps so far."""
    source = site.source
    assert source is not None
    if len(frame.stack) >= DEEPEST_CALL:
        return []
    call = site.node.value if isinstance(site.node, code.Await) else site.node
    known = known_arguments(source.function, call) if isinstance(call, code.Call) else frozenset()
    inner = Frame(frame.shared, source.function, source, stack=(*frame.stack, frame.function.qualname))
    exits = _exits(inner, source, State(assumed=known), frame)
    mixed = any(way is Way.RETURN and state.status is Status.UNBORN for way, state, _, _ in exits)
    found = []
    for way, state, trail, span in exits:
        value = state.get(RETURNED)
        if value == HANDLE and mixed and _returns_values(source):
            value = Handle(certain=False)
        if way.is_straight and state.alive and value is not None and holds(value):
            first = () if source.source else (inner.act(source.span, "spawns it"),)
            found.append((state, (*first, *trail, inner.act(span, "returns it")), value))
    return found


def _returns_values(source: Site) -> bool:
    """Whether a function also returns something that is neither None nor a task."""
    others = (statement.value for statement in walk(source.function.body, code.Return))
    return any(
        value is not None and value is not source.node and not isinstance(value, code.Constant) for value in others
    )


def _exits(inner: Frame, source: Site, entry: State, frame: Frame) -> Exits:
    key = (source, entry.assumed)
    if key not in frame.shared.births:
        frame.shared.births[key] = inner.run(entry, ())
    return frame.shared.births[key]
