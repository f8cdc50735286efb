"""`with`: entering may fail; leaving swallows exceptions, ends at a time-out or runs callbacks."""

from __future__ import annotations

from leaklint.analysis.interpreter.evaluate import suspend
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.handlers import RAISED, catches
from leaklint.analysis.interpreter.inline import call_inline
from leaklint.analysis.interpreter.state import (
    DEFERRED,
    Cancel,
    Coroutine,
    Exits,
    Flow,
    Owner,
    Place,
    Result,
    State,
    Trail,
    Way,
    merge,
    to_flow,
)
from leaklint.analysis.interpreter.storing import assign
from leaklint.analysis.kinds import path_of, role_of
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import PathKind


def run_with(statement: code.With, flow: Flow, frame: Frame) -> Flow:
    """Entering may fail; leaving swallows exceptions or runs callbacks where the context manager does."""
    return _enter(statement.items, statement, flow, frame)


def _enter(items: tuple[code.Item, ...], statement: code.With, flow: Flow, frame: Frame) -> Flow:
    if not items:
        return frame.run_block(statement.body, flow)
    item, rest = items[0], items[1:]
    points: list[Result] = []
    for state, trail in flow.items():
        for point in frame.evaluate(item.context, state, trail, consumed=statement.is_async):
            if statement.is_async and not _enters_quietly(item.context):
                suspend(_span(item.context, statement), point, frame)
            if isinstance(point.value, Owner):
                point = Result(point.state.ended(), point.trail, None)  # noqa: PLW2901 - it ends when the block does
            points += assign(item.target, point.value, point.state, point.trail, frame) if item.target else [point]
    with frame.catching() as exits:
        after = _enter(rest, statement, to_flow(points), frame)
    swallowed = merge(_swallowed(item.context, exits), _timed_out(item.context, exits))
    after = merge(after, swallowed)
    if isinstance(item.target, code.Name):
        return _unwind(item.target.id, after, exits, statement.span, frame)
    frame.exits.update(exits)
    return after


def _span(expr: Expr, statement: code.With) -> Span:
    return statement.span if isinstance(expr, code.Starred) else expr.span


def _enters_quietly(context: Expr) -> bool:
    role = role_of(path_of(context))
    return role in (Role.GROUP, Role.STACK, Role.SUPPRESS, Role.TIMEOUT, Role.MOVE_ON, Role.HARMLESS)


def _swallowed(context: Expr, exits: Exits) -> Flow:
    """The states in which a `suppress` goes on after its body raised; removed from the exits when that is certain."""
    if role_of(path_of(context)) is not Role.SUPPRESS or not isinstance(context, code.Call):
        return {}
    types = tuple(arg for argument in context.args for arg in _each(argument))
    swallowed: Flow = {}
    for exit_ in list(exits.found):
        certain = catches(types, exit_.way) if types and exit_.way in RAISED else None
        if certain is not None:
            swallowed.setdefault(exit_.state, exits.found[exit_][0])
        if certain:
            del exits.found[exit_]
    return swallowed


def _timed_out(context: Expr, exits: Exits) -> Flow:
    """What a time-out of the body adds to its exits; the states in which the program goes on after it."""
    role = role_of(path_of(context))
    goes_on: Flow = {}
    if role not in (Role.TIMEOUT, Role.MOVE_ON):
        return goes_on
    for way, state, trail, span in exits:
        cut_short = state.left is not None and state.left.kind is PathKind.CANCELLATION
        if way is Way.CANCELLATION and (cut_short or not state.alive):
            where, by = (state.left.span, state.left.by) if state.left else (span, None)
            left = state.left_by(PathKind.TIMEOUT, where, by)
            if role is Role.MOVE_ON:
                goes_on.setdefault(left, trail)
            else:
                exits.add(Way.TIMEOUT, left, trail, span)
    return goes_on


def _each(expr: Expr) -> tuple[Expr, ...]:
    return expr.items if isinstance(expr, code.Display) else (expr,)


def _unwind(name: str, flow: Flow, exits: Exits, span: Span, frame: Frame) -> Flow:
    """What an exit stack of this name does, on every way out."""
    for way, state, trail, where in exits:
        for after in _callback(name, state, trail, span, frame):
            frame.leave(way, after.state, after.trail, where)
    return merge(*(to_flow(_callback(name, state, trail, span, frame)) for state, trail in flow.items()))


def _callback(name: str, state: State, trail: Trail, span: Span, frame: Frame) -> list[Result]:
    place = Place(DEFERRED, name)
    value = state.get(place)
    point = Result(state.set(place, None), trail, None)
    if isinstance(value, Cancel):
        return [Result(point.state.cancelled(), (*trail, frame.act(span, "cancels it when the stack is left")), None)]
    if isinstance(value, Coroutine):
        followed = call_inline(value.function, value.bindings, point, span, frame)
        return followed if followed is not None else [point]
    return [point]
