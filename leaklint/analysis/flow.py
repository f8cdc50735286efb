"""Statements: how the states of the followed task flow through a function, path by path."""

from __future__ import annotations

from leaklint.analysis.conditions import branch
from leaklint.analysis.evaluate import suspend
from leaklint.analysis.frame import MOST_STATES, Frame, bind
from leaklint.analysis.handlers import RAISED, catches
from leaklint.analysis.inline import call_inline
from leaklint.analysis.kinds import role_of
from leaklint.analysis.state import (
    DEFERRED,
    ESCAPED,
    RETURNED,
    Cancel,
    Closure,
    Coroutine,
    Exits,
    Flow,
    Handle,
    Holder,
    Items,
    Place,
    Result,
    State,
    Trail,
    Value,
    Way,
    element_of,
    holds,
    merge,
    to_flow,
)
from leaklint.analysis.storing import assign
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span, Stmt
from leaklint.model.fate import PathKind
from leaklint.model.walk import walk

_LONGEST_UNROLLED = 8


def run_function(frame: Frame, state: State, trail: Trail) -> Exits:
    """The exits of a function that is entered in one state; reaching its end is one of them."""
    with frame.catching() as exits:
        for end, steps in run_block(frame.function.body, {state: trail}, frame).items():
            exits.add(Way.END, end, steps, _last_span(frame.function))
    return exits


def _last_span(function: code.Function) -> Span:
    return function.body[-1].span if function.body else function.span


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
        coarse.setdefault(State(state.status, state.env, state.partial), trail)
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
            return _try(statement, flow, frame)
        case code.If():
            return _if(statement, flow, frame)
        case code.With():
            return _with(statement, flow, frame)
        case code.Match():
            return _match(statement, flow, frame)
    return merge(*(to_flow(_simple(statement, s, t, frame)) for s, t in flow.items()))


def _simple(statement: Stmt, state: State, trail: Trail, frame: Frame) -> list[Result]:
    match statement:
        case code.Evaluate(value=value):
            return frame.evaluate(value, state, trail)
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
            way = Way.EXCEPTION if value else frame.caught
            for point in points:
                frame.leave(way, point.state, point.trail, statement.span)
            return []
        case code.Break(span=span):
            frame.leave(Way.BREAK, state, trail, span)
            return []
        case code.Continue(span=span):
            frame.leave(Way.CONTINUE, state, trail, span)
            return []
        case code.Define(function=function, evaluated=evaluated):
            return _define(function, evaluated, state, trail, frame)
        case code.DefineClass(evaluated=evaluated):
            return [Result(s, t, None) for s, t, _ in frame.evaluate_all(evaluated, state, trail)]
    raise TypeError(statement)


# -- simple statements ---------------------------------------------------------------------------------------------


def _assign(targets: tuple[Expr, ...], value: Expr, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for point in frame.evaluate(value, state, trail):
        points = [point]
        for target in targets:
            points = [r for p in points for r in assign(target, point.value, p.state, p.trail, frame)]
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
                done = merge(done, to_flow(failing), _emptied(statement, holding, frame))
            flow = merge(run_block(statement.body, to_flow(true), frame), exits.take(Way.CONTINUE))
    return _leave_loop(statement.orelse, done, exits, frame)


def _emptied(statement: code.While, holding: list[Result], frame: Frame) -> Flow:
    """`while tasks: await ...`: the loop that polls a container ends when its tasks have ended and left it."""
    if not isinstance(statement.test, code.Name | code.Attribute | code.Global):
        return {}
    if not any(True for _ in walk(statement.body, code.Await)):
        return {}
    return {
        point.state.ended(): (*point.trail, frame.act(statement.test.span, "polls until it is gone"))
        for point in holding
        if isinstance(point.value, Holder | Handle)
    }


def _leave_loop(orelse: Block, done: Flow, exits: Exits, frame: Frame) -> Flow:
    broken = exits.take(Way.BREAK)
    for way, state, trail, span in exits:
        frame.leave(way, state, trail, span)
    return merge(run_block(orelse, done, frame), broken)


def _for(statement: code.For, state: State, trail: Trail, frame: Frame) -> Flow:
    ends: list[Flow] = []
    for point in frame.evaluate(statement.iterable, state, trail):
        with frame.catching() as exits:
            done = _iterate(statement, point, frame, exits)
        ends.append(_leave_loop(statement.orelse, done, exits, frame))
    return merge(*ends)


def _iterate(statement: code.For, point: Result, frame: Frame, exits: Exits) -> Flow:
    """The states in which the iterable is exhausted."""
    value = point.value
    start: Flow = {point.state: point.trail}
    if isinstance(value, Items) and holds(value) and len(value.values) <= _LONGEST_UNROLLED:
        for item in value.values:
            start = _turn(statement, item, start, frame, exits)
        return start
    if holds(value):
        # the task has its turn exactly once, after any number of others and before any number of others
        before = _turns(statement, start, frame, exits)
        return _turns(statement, _turn(statement, element_of(value), before, frame, exits), frame, exits)
    return _turns(statement, start, frame, exits)


def _turns(statement: code.For, flow: Flow, frame: Frame, exits: Exits) -> Flow:
    """Any number of turns, none included, in which something else is met."""
    seen: Flow = {}
    while flow := {state: trail for state, trail in flow.items() if state not in seen}:
        seen = merge(seen, flow)
        if len(seen) > MOST_STATES:
            frame.shared.overflow = True
            break
        flow = _turn(statement, None, flow, frame, exits)
    return seen


def _turn(statement: code.For, element: Value | None, flow: Flow, frame: Frame, exits: Exits) -> Flow:
    points: list[Result] = []
    for state, trail in flow.items():
        if statement.is_async:
            suspend(statement.span, Result(state, trail, None), frame)
        points += assign(statement.target, element, state, trail, frame)
    return merge(run_block(statement.body, to_flow(points), frame), exits.take(Way.CONTINUE))


# -- try -----------------------------------------------------------------------------------------------------------


def _try(statement: code.Try, flow: Flow, frame: Frame) -> Flow:
    start = flow
    with frame.catching() as leaving:
        with frame.catching() as raised:
            flow = run_block(statement.body, flow, frame)
        flow = run_block(statement.orelse, flow, frame)
        entries: dict[tuple[int, Way], Flow] = {}
        for way, state, trail, span in raised:
            if not _dispatch(statement.handlers, way, state, trail, entries):
                leaving.add(way, state, trail, span)
        for index in range(len(statement.handlers)):
            if not any(entry == index for entry, _ in entries):  # something that is taken for harmless raised after all
                entries[index, Way.EXCEPTION] = start
        ends = [flow]
        for (index, way), entry in sorted(entries.items(), key=lambda item: (item[0][0], item[0][1].name)):
            ends.append(_handle(statement.handlers[index], way, entry, frame))
    flow = merge(*ends)
    if not statement.final:
        _let_out(leaving, frame)
        return flow
    _finish(statement.final, leaving, frame)
    return run_block(statement.final, flow, frame)


def _finish(final: Block, leaving: Exits, frame: Frame) -> None:
    """Runs a `finally` on every way out. What it raises while the task already runs on is the same leak, no new one."""
    finished: dict[State, tuple[Flow, Exits]] = {}
    for way, state, trail, span in leaving:
        if state not in finished:
            with frame.catching() as raised:
                finished[state] = run_block(final, {state: trail}, frame), raised
        flow, raised = finished[state]
        for after, steps in flow.items():
            frame.leave(way, after, steps, span)
        for inner, after, steps, where in raised:
            same = inner in RAISED and after.alive and after.status is state.status
            frame.leave(way if same else inner, after, steps, span if same else where)


def _let_out(exits: Exits, frame: Frame) -> None:
    for way, state, trail, span in exits:
        frame.leave(way, state, trail, span)


def _dispatch(
    handlers: tuple[code.Handler, ...], way: Way, state: State, trail: Trail, entries: dict[tuple[int, Way], Flow]
) -> bool:
    """Sends an exit to the handlers that may catch it; whether one certainly does."""
    if way not in RAISED:
        return False
    for index, handler in enumerate(handlers):
        certain = catches(handler.types, way)
        if certain is not None:
            entries.setdefault((index, way), {}).setdefault(state, trail)
        if certain:
            return True
    return False


def _handle(handler: code.Handler, way: Way, entry: Flow, frame: Frame) -> Flow:
    outer, frame.caught = frame.caught, way
    if handler.name:
        entry = {bind(state, frame.name_place(handler.name), None): trail for state, trail in entry.items()}
    flow = run_block(handler.body, entry, frame)
    frame.caught = outer
    return flow


# -- with ----------------------------------------------------------------------------------------------------------


def _with(statement: code.With, flow: Flow, frame: Frame) -> Flow:
    """Entering may fail; leaving swallows exceptions or runs callbacks where the context manager does."""
    return _enter(statement.items, statement, flow, frame)


def _enter(items: tuple[code.Item, ...], statement: code.With, flow: Flow, frame: Frame) -> Flow:
    if not items:
        return run_block(statement.body, flow, frame)
    item, rest = items[0], items[1:]
    points: list[Result] = []
    for state, trail in flow.items():
        for point in frame.evaluate(item.context, state, trail, consumed=statement.is_async):
            if statement.is_async and not _enters_quietly(item.context):
                suspend(_span(item.context, statement), point, frame)
            points += assign(item.target, point.value, point.state, point.trail, frame) if item.target else [point]
    with frame.catching() as exits:
        after = _enter(rest, statement, to_flow(points), frame)
    swallowed = merge(_swallowed(item.context, exits), _timed_out(item.context, exits))
    after = merge(after, swallowed)
    if isinstance(item.target, code.Name):
        return _unwind(item.target.id, after, exits, statement.span, frame)
    _let_out(exits, frame)
    return after


def _span(expr: Expr, statement: code.With) -> Span:
    return statement.span if isinstance(expr, code.Starred) else expr.span


def _path(expr: Expr) -> str | None:
    expr = expr.func if isinstance(expr, code.Call) else expr
    return expr.path if isinstance(expr, code.Global) else None


def _enters_quietly(context: Expr) -> bool:
    role = role_of(_path(context))
    return role in (Role.GROUP, Role.STACK, Role.SUPPRESS, Role.TIMEOUT, Role.MOVE_ON, Role.HARMLESS)


def _swallowed(context: Expr, exits: Exits) -> Flow:
    """The states in which a `suppress` goes on after its body raised; removed from the exits when that is certain."""
    if role_of(_path(context)) is not Role.SUPPRESS or not isinstance(context, code.Call):
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
    role = role_of(_path(context))
    goes_on: Flow = {}
    if role not in (Role.TIMEOUT, Role.MOVE_ON):
        return goes_on
    for way, state, trail, span in exits:
        if way is Way.CANCELLATION and (state.partial is PathKind.CANCELLATION or not state.alive):
            left = state.left_by(PathKind.TIMEOUT)
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
