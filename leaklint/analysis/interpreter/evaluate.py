"""Expressions: what evaluating them does to the followed task, outcome by outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from leaklint.analysis.interpreter.births import birth, is_birth
from leaklint.analysis.interpreter.calls import call
from leaklint.analysis.interpreter.conditions import branch
from leaklint.analysis.interpreter.frame import Frame, is_under_another_key
from leaklint.analysis.interpreter.inline import await_coroutine, call_inline, is_relevant
from leaklint.analysis.interpreter.state import (
    HANDED,
    HANDLE,
    Cancel,
    Closure,
    Coroutine,
    Empty,
    Handle,
    Holder,
    Items,
    Owner,
    Record,
    Ref,
    Result,
    Signal,
    State,
    Status,
    Trail,
    Value,
    Waiter,
    Way,
    element_of,
    holds,
    to_flow,
)
from leaklint.analysis.interpreter.storing import assign
from leaklint.analysis.kinds import path_of, role_of
from leaklint.analysis.resolve import hooks, is_property, resolved
from leaklint.catalog import TASK_METHODS, Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import PathKind
from leaklint.model.walk import text


def evaluate(expr: Expr, state: State, trail: Trail, frame: Frame, *, consumed: bool = False) -> list[Result]:
    """The outcomes of an expression. `consumed` says that what it returns is awaited or spawned at once, so that a call
    only makes a coroutine and cannot fail by itself.
    """
    match expr:
        case code.Constant():
            return [Result(state, trail, None)]
        case code.Name(id=name):
            return [Result(state, trail, state.get(frame.name_place(name)))]
        case code.Global():
            place = frame.global_place(expr.path, state)
            return [Result(state, trail, state.get(place) or Ref(place))]
        case code.Attribute():
            return _attribute(expr, state, trail, frame)
        case code.Call():
            return call(expr, state, trail, frame, consumed=consumed)
        case code.Await():
            return _await(expr, state, trail, frame)
        case code.Yield():
            return _yield(expr, state, trail, frame)
        case code.Starred(value=value):
            return frame.evaluate(value, state, trail)
        case code.Subscript():
            return _subscript(expr, state, trail, frame)
        case code.Display():
            return _display(expr, state, trail, frame)
        case code.Comprehension():
            return _comprehension(expr, state, trail, frame)
        case code.Conditional(test=test, then=then, orelse=orelse):
            true, false = branch(test, state, trail, frame)
            return [
                *(r for point in true for r in frame.evaluate(then, point.state, point.trail)),
                *(r for point in false for r in frame.evaluate(orelse, point.state, point.trail)),
            ]
        case code.Boolean():
            return _boolean(expr, state, trail, frame)
        case code.Not() | code.Compare():
            true, false = branch(expr, state, trail, frame)
            return [Result(s, t, None) for s, t in to_flow([*true, *false]).items()]
        case code.Lambda(function=function, evaluated=evaluated):
            shared = Closure(function) if frame.shares(function) else None
            return [Result(s, t, shared) for s, t, _ in frame.evaluate_all(evaluated, state, trail)]
        case code.Walrus(target=target, value=value):
            return [
                Result(assign(target, r.value, r.state, r.trail, frame)[0].state, r.trail, r.value)
                for r in frame.evaluate(value, state, trail)
            ]
        case code.Operation(operands=operands):
            return [Result(s, t, _joined(values)) for s, t, values in frame.evaluate_all(operands, state, trail)]
        case code.Opaque(parts=parts):
            return [Result(s, t, None) for s, t, _ in frame.evaluate_all(parts, state, trail)]
    raise TypeError(expr)


def _joined(values: tuple[Value | None, ...]) -> Value | None:
    """`tasks + others`, `tasks | {t}`: a container with the elements of all."""
    held = next(filter(holds, values), None)
    element = element_of(held)
    return Holder(element) if element is not None and not isinstance(held, Handle) else None


# -- reading ----------------------------------------------------------------------------------------------------------


def _attribute(expr: code.Attribute, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for point in frame.evaluate(expr.value, state, trail):
        value: Value | None
        if is_birth(expr, point.state, frame):
            results += birth(point._replace(value=None), frame)
            continue
        if isinstance(point.value, Handle):
            if not point.value.certain and expr.attr not in TASK_METHODS:
                continue  # a task has no such attribute: here it was something else
            value = Cancel() if expr.attr == "cancel" else None
        elif isinstance(point.value, Record):
            value = dict(point.value.fields).get(expr.attr)
        elif isinstance(point.value, Owner):
            value = point.value if expr.attr in point.value.ends else None  # whoever gets the bound method ends it
        elif holds(point.value):
            value = None
        elif (read := _property(expr, point, frame)) is not None:
            results += read
            continue
        else:
            place = frame.place(expr, point.state)
            value = (point.state.get(place) or Ref(place)) if place else None
        results.append(Result(point.state, point.trail, value))
    return results


def _property(expr: code.Attribute, point: Result, frame: Frame) -> list[Result] | None:
    """The outcomes of reading a property that may touch the task; None for any other attribute."""
    if not point.state.alive or expr.attr not in frame.shared.properties:
        return None
    function = resolved(expr, frame.function, frame.shared.kinds)
    if function is None or not is_property(function) or not is_relevant(function, point.state, frame):
        return None
    return call_inline(function, (), point._replace(value=None), expr.span, frame)


def _subscript(expr: code.Subscript, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for s, t, (found, _) in frame.evaluate_all((expr.value, expr.index), state, trail):
        base = found.items if isinstance(found, Record) else found
        if is_under_another_key(base, expr.index):
            results.append(Result(s, t, None))
            continue
        value: Value | None = None
        match base, expr.index:
            case Items(values=values), code.Constant(value=int(position)) if -len(values) <= position < len(values):
                value = values[position]
            case Handle(certain=False), _:
                continue
            case ((Items() | Holder() | Handle()), _):
                # some element: taken for the one with the task, so that a doubt stays quiet
                value = base.element if isinstance(base, Holder) else element_of(base)
            case Ref(), _:
                value = base
        if value is None and (place := frame.place(expr, s)) is not None:
            value = s.get(place)
        results.append(Result(s, t, value))
    return results


def _display(expr: code.Display, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for s, t, values in frame.evaluate_all((*expr.keys, *expr.items), state, trail):
        keys, items = values[: len(expr.keys)], values[len(expr.keys) :]
        value: Value | None = None
        if any(map(holds, items)):
            unpacked = [v for v, item in zip(items, expr.items, strict=True) if isinstance(item, code.Starred)]
            if expr.kind == "dict":
                value = Holder(next(filter(holds, items)) or HANDLE, keyed=True)
            elif unpacked:
                held = next(filter(holds, items))
                inner = element_of(held) if held in unpacked else held
                value = Holder(inner or HANDLE)
            else:
                value = Items(items, ordered=expr.kind != "set")
        elif any(map(holds, keys)):
            value = Holder(next(filter(holds, keys)) or HANDLE, by_key=True)
        results.append(Result(s, t, value))
    return results


def _boolean(expr: code.Boolean, state: State, trail: Trail, frame: Frame) -> list[Result]:
    first, *rest = expr.values
    if not rest:
        return frame.evaluate(first, state, trail)
    remaining = code.Boolean(expr.op, tuple(rest), expr.span)
    true, false = branch(first, state, trail, frame)
    going_on, settled = (true, false) if expr.op == "and" else (false, true)
    later = [r for point in going_on for r in _boolean(remaining, point.state, point.trail, frame)]
    return [*settled, *later]


def _comprehension(expr: code.Comprehension, state: State, trail: Trail, frame: Frame) -> list[Result]:
    """Over the container of the task it meets the task once; any other runs once, and what it spawns is an element."""
    points = [Result(state, trail, None)]
    met = False
    for clause in expr.clauses:
        following: list[Result] = []
        for point in points:
            for source in frame.evaluate(clause.iterable, point.state, point.trail):
                here = element_of(source.value)
                met = met or holds(source.value)
                if holds(source.value):
                    _others(expr, clause, source, frame)
                if clause.is_async:
                    suspend(
                        clause.iterable.span if not isinstance(clause.iterable, code.Starred) else expr.span,
                        source,
                        frame,
                    )
                for target in assign(clause.target, here, source.state, source.trail, frame):
                    following += _filtered(clause.conditions, target, frame, drops=holds(source.value))
        points = following
    results = []
    parts = (expr.element,) if expr.key is None else (expr.key, expr.element)
    for point in points:
        if point.value is not None:  # the task was filtered out
            results.append(Result(point.state, point.trail, Empty()))
            continue
        for s, t, values in frame.evaluate_all(parts, point.state, point.trail):
            element = values[-1]
            if element is not None and s.status is not point.state.status and point.state.status is Status.UNBORN:
                frame.evaluate_all(parts, s, t)  # the turns after it may fail
            value: Value | None = None
            if expr.key is not None and holds(values[0]):
                value = Holder(values[0] or HANDLE, by_key=True)
            elif element is not None and (holds(element) or (met and isinstance(element, Coroutine))):
                value = Holder(element if holds(element) else HANDLE, keyed=expr.kind == "dict")
            results.append(Result(s, t, value))
    if not met and all(result.state.status is Status.UNBORN or result.value for result in results):
        results.append(Result(state, trail, None))  # nothing to iterate over
    return results


def _others(expr: code.Comprehension, clause: code.Clause, source: Result, frame: Frame) -> None:
    """The turns before the task's own: they may fail."""
    for target in assign(clause.target, None, source.state, source.trail, frame):
        frame.evaluate_all((*clause.conditions, expr.element), target.state, target.trail)


def _filtered(conditions: Iterable[Expr], point: Result, frame: Frame, *, drops: bool) -> list[Result]:
    passed = [Result(point.state, point.trail, None)]
    dropped: list[Result] = []
    for condition in conditions:
        following: list[Result] = []
        for here in passed:
            true, false = branch(condition, here.state, here.trail, frame)
            following += [Result(p.state, p.trail, None) for p in true]
            dropped += [Result(p.state, p.trail, Empty()) for p in false if drops]
        passed = following
    return [*passed, *dropped]


# -- waiting ----------------------------------------------------------------------------------------------------------


def suspend(span: Span, point: Result, frame: Frame) -> None:
    """The exits of an await of something else."""
    frame.leave(Way.EXCEPTION, point.state, point.trail, span)
    frame.leave(Way.CANCELLATION, point.state, point.trail, span)


def _await(expr: code.Await, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results: list[Result] = []
    for point in frame.evaluate(expr.value, state, trail, consumed=True):
        if is_birth(expr, point.state, frame):
            suspend(expr.span, point, frame)
            results += birth(point, frame)
            continue
        match point.value:
            case Handle():
                results += wait(Waiter(), point, expr.span, frame)
            case Waiter() as waiter:
                results += wait(waiter, point, expr.span, frame)
            case Coroutine() as coroutine:
                results += await_coroutine(coroutine, point, expr.span, frame)
            case Owner():
                suspend(expr.span, point, frame)
                results.append(point)
            case Signal():
                frame.leave(Way.CANCELLATION, point.state, point.trail, expr.span)
                results.append(point._replace(value=None))
            case _:
                suspend(expr.span, point, frame)
                if text(expr.value) in frame.cancelled:
                    # awaiting a task that has been cancelled raises, though nobody cancels this function
                    frame.leave(Way.ABANDONED, point.state, point.trail, expr.span)
                results.append(Result(point.state, point.trail, None))
    return results


def wait(waiter: Waiter, point: Result, span: Span, frame: Frame) -> list[Result]:
    """Awaiting something that waits for the task."""
    state, trail, _ = point
    waited = (*trail, frame.act(span, "waits for it"))
    ended = state.ended()
    frame.leave(Way.EXCEPTION, ended, waited, span)
    # who handles a cancellation is not taken to be cancelled again
    is_cut = PathKind.CANCELLATION in waiter.leaves and frame.caught is not Way.CANCELLATION
    cut_short = state.left_by(PathKind.CANCELLATION, span, waiter.by) if is_cut else ended
    frame.leave(Way.CANCELLATION, cut_short, trail, span)
    if PathKind.SIBLING in waiter.leaves:
        frame.leave(Way.SIBLING, state.left_by(PathKind.SIBLING, span, waiter.by), trail, span)
        if state.status is Status.CANCELLED:  # so were the others, and the first to end ends the wait
            frame.leave(Way.ABANDONED, state, trail, span)
    if PathKind.TIMEOUT in waiter.leaves:
        late = frame.step(span, "at a time-out this wait leaves it running")
        frame.leave(Way.TIMEOUT, state.left_by(PathKind.TIMEOUT, span, waiter.by), (*trail, late), span)
    results = [Result(ended, waited, Items((Holder(HANDLE), Empty())) if waiter.sets else None)]
    if waiter.partial and state.alive:
        timed = waiter.partial is PathKind.TIMEOUT
        why = "this wait ends at a time-out" if timed else "this wait ends with the first task"
        if waiter.partial is PathKind.SIBLING:
            why = "this wait ends when a member of the gather fails"
        left = (*trail, frame.step(span, f"{why}, {'it' if waiter.size == 1 else 'others'} may still run"))
        # when the first of two has ended, the other one is all that is pending
        pair = waiter.size == 2 and not timed
        pending = Items((HANDLE,)) if pair else Holder(HANDLE)
        done = Empty(waiter.other, exact=waiter.size == 1)
        after = state.left_by(waiter.partial, span, waiter.by)
        if waiter.other is not None:
            after = replace(after, assumed=after.assumed | {(f"{waiter.other}.done()", True)})
        results.append(Result(after, left, Items((done, pending)) if waiter.sets else None))
    return results


def _yield(expr: code.Yield, state: State, trail: Trail, frame: Frame) -> list[Result]:
    roles = {role_of(path_of(d)) for d in frame.function.decorators}
    if Role.COROUTINE in roles and expr.value is not None:
        return _await(code.Await(expr.value, expr.span), state, trail, frame)
    points = frame.evaluate(expr.value, state, trail) if expr.value else [Result(state, trail, None)]
    results: list[Result] = []
    for point in points:
        state, trail, value = point
        if isinstance(expr.value, code.Starred) and isinstance(value, Handle | Waiter):
            results += wait(value if isinstance(value, Waiter) else Waiter(), point, expr.span, frame)
            continue
        if holds(value):
            state = state.set(HANDED, HANDLE)
            trail = (*trail, frame.step(expr.span, "yielded to the caller"))
        if Role.FIXTURE not in roles and Role.RESUME_HOOK not in hooks(frame.function, frame.shared.kinds):
            frame.leave(Way.EXCEPTION if Role.CONTEXT_MANAGER in roles else Way.CLOSE, state, trail, expr.span)
        results.append(Result(state, trail, None))
    return results
