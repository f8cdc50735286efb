"""Statements: how the states of the followed task flow through a function, path by path."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis.interpreter.conditions import branch, counted
from leaklint.analysis.interpreter.contexts import run_with
from leaklint.analysis.interpreter.evaluate import suspend
from leaklint.analysis.interpreter.frame import MOST_STATES, Frame, assume_value, bind
from leaklint.analysis.interpreter.handlers import run_try
from leaklint.analysis.interpreter.state import (
    ESCAPED,
    RETURNED,
    Closure,
    Coroutine,
    Exits,
    Flow,
    Handle,
    Holder,
    Items,
    Left,
    Place,
    Result,
    Signal,
    State,
    Status,
    Trail,
    Value,
    Wait,
    Waiter,
    Way,
    element_of,
    holds,
    merge,
    to_flow,
)
from leaklint.analysis.interpreter.storing import assign
from leaklint.analysis.kinds import last_name
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span, Stmt
from leaklint.model.fate import PathKind
from leaklint.model.walk import walk


def run_function(frame: Frame, state: State, trail: Trail) -> Exits:
    """The exits of a function that is entered in one state; reaching its end is one of them."""
    with frame.catching() as exits:
        for end, steps in run_block(frame.function.body, {state: trail}, frame).items():
            exits.add(Way.END, end, steps, _last_span(frame.function))
    return exits


def _last_span(function: code.Function) -> Span:
    """The last statement that every path to the end of a function runs, or the header that decides about it."""
    block, span = function.body, function.span
    while block:
        span = block[-1].span
        match block[-1]:
            case code.Try(final=final):
                block = final
            case code.With(body=body):
                block = body
            case _:
                block = ()
    return span


def run_block(block: Block, flow: Flow, frame: Frame) -> Flow:
    for statement in block:
        if not flow:
            break
        flow = run_statement(statement, _bounded(flow, frame), frame)
    return flow


def _bounded(flow: Flow, frame: Frame) -> Flow:
    if len(flow) <= MOST_STATES:
        return flow
    coarse: Flow = {}
    for state, trail in flow.items():
        coarse.setdefault(State(state.status, state.env, state.left), trail)
    if len(coarse) > MOST_STATES:
        frame.shared.overflow = True
        coarse = dict(list(coarse.items())[:MOST_STATES])
    return coarse


def run_statement(statement: Stmt, flow: Flow, frame: Frame) -> Flow:
    match statement:
        case code.For():
            return merge(*(_for(statement, s, t, frame) for s, t in flow.items()))
        case code.While():
            return _while(statement, flow, frame)
        case code.Try():
            return run_try(statement, flow, frame)
        case code.If():
            return _if(statement, flow, frame)
        case code.With():
            return run_with(statement, flow, frame)
        case code.Match():
            return _match(statement, flow, frame)
    return merge(*(to_flow(_simple(statement, s, t, frame)) for s, t in flow.items()))


def _simple(statement: Stmt, state: State, trail: Trail, frame: Frame) -> list[Result]:
    match statement:
        case code.Evaluate(value=value, span=span):
            return [_ignored(point, span) for point in frame.evaluate(value, state, trail)]
        case code.Assign(targets=targets, value=value):
            return _assign(targets, value, state, trail, frame) if value is not None else [Result(state, trail, None)]
        case code.Augment():
            return _augment(statement, state, trail, frame)
        case code.Delete(targets=targets):
            return _delete(targets, state, trail, frame)
        case code.Assert(test=test):
            return branch(test, state, trail, frame)[0]
        case code.Return(value=value):
            _return(value, statement.span, state, trail, frame)
            return []
        case code.Raise(value=value):
            points = frame.evaluate(value, state, trail, consumed=True) if value else [Result(state, trail, None)]
            raised = last_name(value) if value else ""
            way = Way.ABANDONED if raised == "CancelledError" else Way.EXCEPTION if value else frame.caught
            for point in points:
                frame.leave(way, point.state, point.trail, statement.span, raised)
            return []
        case code.Break(span=span):
            steps = (*trail, frame.act(span, "leaves the loop")) if state.alive else trail
            left = state.left_by(PathKind.EARLY_EXIT, span) if state.left is None else state
            frame.leave(Way.BREAK, left, steps, span)
            return []
        case code.Continue(span=span):
            frame.leave(Way.CONTINUE, state, trail, span)
            return []
        case code.Define(function=function, evaluated=evaluated):
            return _define(function, evaluated, state, trail, frame)
        case code.DefineClass(evaluated=evaluated):
            return [Result(s, t, None) for s, t, _ in frame.evaluate_all(evaluated, state, trail)]
    raise TypeError(statement)


def _ignored(point: Result, span: Span) -> Result:
    """What would wait for the task is thrown away."""
    by = point.value.by if isinstance(point.value, Waiter) else None
    return point._replace(state=point.state.left_by(PathKind.EARLY_EXIT, span, by)) if by else point


# -- simple statements ---------------------------------------------------------------------------------------------


def _assign(targets: tuple[Expr, ...], value: Expr, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for point in frame.evaluate(value, state, trail):
        points = [point]
        for target in targets:
            points = [r for p in points for r in assign(target, point.value, p.state, p.trail, frame)]
            points = [p._replace(state=assume_value(target, value, p.state, frame)) for p in points]
        results += points
    return results


def _augment(statement: code.Augment, state: State, trail: Trail, frame: Frame) -> list[Result]:
    """`tasks += [t]` and `tasks |= {t}` add to what is there."""
    results = []
    for point in frame.evaluate(statement.value, state, trail):
        if holds(point.value):
            element = element_of(point.value)
            added = Holder(element) if element is not None else point.value
            results += assign(statement.target, added, point.state, point.trail, frame)
        else:
            results.append(point)
    return results


def _delete(targets: tuple[Expr, ...], state: State, trail: Trail, frame: Frame) -> list[Result]:
    for target in targets:
        if isinstance(target, code.Name | code.Attribute | code.Global) and (place := frame.place(target, state)):
            state = bind(state, place, None) if place != frame.sticky else state
    return [Result(state, trail, None)]


def _return(value: Expr | None, span: Span, state: State, trail: Trail, frame: Frame) -> None:
    points = frame.evaluate(value, state, trail) if value else [Result(state, trail, None)]
    for point in points:
        state, trail, returned = point
        if isinstance(returned, Coroutine) and not holds(returned):
            state = state.set(Place(ESCAPED, returned.function.qualname), Closure(returned.function))
        elif isinstance(returned, Closure):
            state = state.set(Place(ESCAPED, returned.function.qualname), returned)
        elif holds(returned):
            state = state.set(RETURNED, returned)
        frame.leave(Way.RETURN, state, trail, span)


def _define(
    function: code.Function, evaluated: tuple[Expr, ...], state: State, trail: Trail, frame: Frame
) -> list[Result]:
    results = []
    for s, t, _ in frame.evaluate_all(evaluated, state, trail):
        if frame.shares(function):
            after = bind(s, frame.name_place(function.name), Closure(function))
            if function.decorators:  # whatever decorates it may keep it
                after = after.set(Place(ESCAPED, function.qualname), Closure(function))
            results.append(Result(after, t, None))
        else:
            results.append(Result(s, t, None))
    return results


# -- branches ------------------------------------------------------------------------------------------------------


def _if(statement: code.If, flow: Flow, frame: Frame) -> Flow:
    ends: list[Flow] = []
    for test, body in statement.branches:
        true: list[Result] = []
        false: list[Result] = []
        for state, trail in flow.items():
            holding, failing = branch(test, state, trail, frame)
            true += holding
            false += failing
        ends.append(run_block(body, to_flow(true), frame))
        flow = to_flow(false)
    return merge(*ends, run_block(statement.orelse, flow, frame))


def _match(statement: code.Match, flow: Flow, frame: Frame) -> Flow:
    flow = merge(*(to_flow(frame.evaluate(statement.subject, s, t)) for s, t in flow.items()))
    ends: list[Flow] = []
    for case in statement.cases:
        entered: Flow = {}
        for before, trail in flow.items():
            state = before
            for name in case.binds:
                state = bind(state, frame.name_place(name), None)
            guarded = branch(case.guard, state, trail, frame)[0] if case.guard else [Result(state, trail, None)]
            entered = merge(entered, to_flow(guarded))
        ends.append(run_block(case.body, entered, frame))
        if case.irrefutable:
            return merge(*ends)
    return merge(*ends, flow)


# -- loops ---------------------------------------------------------------------------------------------------------


def _while(statement: code.While, flow: Flow, frame: Frame) -> Flow:
    seen: Flow = {}
    done: Flow = {}
    with frame.catching() as exits:
        while flow := {state: trail for state, trail in flow.items() if state not in seen}:
            seen = merge(seen, flow)
            if len(seen) > MOST_STATES:
                frame.shared.overflow = True
                break
            true: list[Result] = []
            for state, trail in flow.items():
                holding, failing = branch(statement.test, state, trail, frame)
                true += holding
                done = merge(done, _polled(statement, failing, frame), _emptied(statement, holding, frame))
            flow = merge(run_block(statement.body, to_flow(true), frame), exits.take(Way.CONTINUE))
    return _leave_loop(statement.orelse, done, exits, frame)


def _polled(statement: code.While, failing: list[Result], frame: Frame) -> Flow:
    """`while not t.done(): await ...`: the loop that polls a task waits for it."""
    if not any(True for _ in walk(statement.body, code.Await)):
        return to_flow(failing)
    polls = frame.act(statement.span, "polls until it is done")
    return to_flow(
        Result(p.state.ended(), (*p.trail, polls), None) if p.state.status is Status.SEEN_DONE else p for p in failing
    )


def _emptied(statement: code.While, holding: list[Result], frame: Frame) -> Flow:
    """`while tasks: await ...`: the loop that polls a container ends when its tasks have ended and left it."""
    container = counted(statement.test)
    if not isinstance(container, code.Name | code.Attribute | code.Global):
        return {}
    if not any(True for _ in walk(statement.body, code.Await)):
        return {}
    return {
        point.state.ended(): (*point.trail, frame.act(statement.span, "polls until it is gone"))
        for point in holding
        if any(isinstance(r.value, Holder | Handle) for r in frame.evaluate(container, point.state, point.trail))
    }


def _leave_loop(orelse: Block, done: Flow, exits: Exits, frame: Frame) -> Flow:
    broken = exits.take(Way.BREAK)
    frame.exits.update(exits)
    return merge(run_block(orelse, done, frame), broken)


def _for(statement: code.For, state: State, trail: Trail, frame: Frame) -> Flow:
    ends: list[Flow] = []
    for point in frame.evaluate(statement.iterable, state, trail):
        with frame.catching() as exits:
            done = _iterate(statement, point, frame, exits)
        if isinstance(point.value, Holder) and point.value.by is not None:
            exits = _left_early(point.value.by, exits)
        ends.append(_leave_loop(statement.orelse, done, exits, frame))
    return merge(*ends)


def _left_early(by: Wait, exits: Exits) -> Exits:
    """The exits of a loop over `as_completed`: what is left running is left by that."""
    found = Exits()
    for exit_, (trail, span) in exits.found.items():
        state, left = exit_.state, exit_.state.left
        if state.alive and (left is None or left.by is None):
            is_left = Left(exit_.way.kind, span) if left is None else left
            waits = exit_.way is Way.BREAK or is_left.is_wait
            state = replace(state, left=is_left._replace(is_wait=waits, by=by))
        found.add(exit_.way, state, trail, span, exit_.raised)
    return found


def _iterate(statement: code.For, point: Result, frame: Frame, exits: Exits) -> Flow:
    """The states in which the iterable is exhausted."""
    value = point.value
    start: Flow = {point.state: point.trail}
    if isinstance(value, Items) and holds(value) and (value.ordered or len(value.values) == 1):
        for item in value.values:
            start = _turn(statement, item, start, frame, exits)
        return start
    if holds(value):
        # the task has its turn exactly once, after any number of others and before any number of others
        element = element_of(value)
        other = Signal() if isinstance(element, Waiter) and element.is_signal else None
        before = _turns(statement, other, start, frame, exits)
        return _turns(statement, other, _turn(statement, element, before, frame, exits), frame, exits)
    if _picks(statement, point.state, frame):
        start = _turn(statement, None, start, frame, exits)
    return _turns(statement, None, start, frame, exits)


def _picks(statement: code.For, state: State, frame: Frame) -> bool:
    """`for key in keys: await tasks[key]`: one of the turns is the task's."""
    names = {name.id for name in walk(statement.target, code.Name)}
    for node in walk(statement.body, code.Subscript):
        if isinstance(node.index, code.Name) and node.index.id in names:
            place = frame.place(node.value, state)
            if place is not None and holds(state.get(place)):
                return True
    return False


def _turns(statement: code.For, other: Value | None, flow: Flow, frame: Frame, exits: Exits) -> Flow:
    """Any number of turns, none included, in which something else is met."""
    seen: Flow = {}
    while flow := {state: trail for state, trail in flow.items() if state not in seen}:
        seen = merge(seen, flow)
        if len(seen) > MOST_STATES:
            frame.shared.overflow = True
            break
        flow = _turn(statement, other, flow, frame, exits)
    return seen


def _turn(statement: code.For, element: Value | None, flow: Flow, frame: Frame, exits: Exits) -> Flow:
    points: list[Result] = []
    for state, trail in flow.items():
        if statement.is_async:
            suspend(statement.span, Result(state, trail, None), frame)
        points += assign(statement.target, element, state, trail, frame)
    return merge(run_block(statement.body, to_flow(points), frame), exits.take(Way.CONTINUE))
