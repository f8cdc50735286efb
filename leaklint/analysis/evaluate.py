"""Expressions: what evaluating them does to the followed task, outcome by outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaklint.analysis.calls import call
from leaklint.analysis.frame import Frame, bind
from leaklint.analysis.inline import await_coroutine
from leaklint.analysis.kinds import role_of
from leaklint.analysis.state import (
    DEFERRED,
    HANDED,
    HANDLE,
    Cancel,
    Closure,
    Coroutine,
    Empty,
    Handle,
    Holder,
    Items,
    Place,
    Ref,
    Result,
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
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import PathKind
from leaklint.model.walk import text, walk


def evaluate(expr: Expr, state: State, trail: Trail, frame: Frame, *, consumed: bool = False) -> list[Result]:
    """The outcomes of an expression. `consumed` says that what it returns is awaited or spawned at once, so that a call
    only makes a coroutine and cannot fail by itself."""
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
            return call(expr, state, trail, frame, evaluate, consumed=consumed)
        case code.Await():
            return _await(expr, state, trail, frame)
        case code.Yield():
            return _yield(expr, state, trail, frame)
        case code.Starred(value=value):
            return evaluate(value, state, trail, frame)
        case code.Subscript():
            return _subscript(expr, state, trail, frame)
        case code.Display():
            return _display(expr, state, trail, frame)
        case code.Comprehension():
            return _comprehension(expr, state, trail, frame)
        case code.Conditional(test=test, then=then, orelse=orelse):
            true, false = branch(test, state, trail, frame)
            return [
                *(r for point in true for r in evaluate(then, point.state, point.trail, frame)),
                *(r for point in false for r in evaluate(orelse, point.state, point.trail, frame)),
            ]
        case code.Boolean():
            return _boolean(expr, state, trail, frame)
        case code.Not() | code.Compare():
            true, false = branch(expr, state, trail, frame)
            return [Result(s, t, None) for s, t in to_flow([*true, *false]).items()]
        case code.Lambda(function=function):
            return [Result(state, trail, Closure(function) if function.free_names else None)]
        case code.Walrus(target=target, value=value):
            return [
                Result(assign(target, r.value, r.state, r.trail, frame)[0].state, r.trail, r.value)
                for r in evaluate(value, state, trail, frame)
            ]
        case code.Operation(operands=operands):
            return [
                Result(s, t, _joined(values)) for s, t, values in evaluate_all(operands, state, trail, frame)
            ]
        case code.Opaque(parts=parts):
            return [Result(s, t, None) for s, t, _ in evaluate_all(parts, state, trail, frame)]
    raise TypeError(expr)


def evaluate_all(
    exprs: Sequence[Expr], state: State, trail: Trail, frame: Frame
) -> list[tuple[State, Trail, tuple[Value | None, ...]]]:
    """The outcomes of several expressions, one after the other."""
    points: list[tuple[State, Trail, tuple[Value | None, ...]]] = [(state, trail, ())]
    for expr in exprs:
        points = [
            (r.state, r.trail, (*values, r.value))
            for s, t, values in points
            for r in evaluate(expr, s, t, frame)
        ]
    return points


def _joined(values: tuple[Value | None, ...]) -> Value | None:
    """`tasks + others`, `tasks | {t}`: a container with the elements of all."""
    held = next(filter(holds, values), None)
    element = element_of(held)
    return Holder(element) if element is not None and not isinstance(held, Handle) else None


# -- reading -------------------------------------------------------------------------------------------------------


def _attribute(expr: code.Attribute, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for point in evaluate(expr.value, state, trail, frame):
        value: Value | None
        if isinstance(point.value, Handle):
            value = Cancel() if expr.attr == "cancel" else None
        elif holds(point.value):
            value = None
        else:
            place = frame.place(expr, point.state)
            value = (point.state.get(place) or Ref(place)) if place else None
        results.append(Result(point.state, point.trail, value))
    return results


def _subscript(expr: code.Subscript, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for s, t, (base, _) in evaluate_all((expr.value, expr.index), state, trail, frame):
        value: Value | None = None
        match base, expr.index:
            case Items(values=values), code.Constant(value=int(position)) if -len(values) <= position < len(values):
                value = values[position]
            case (Items() | Holder() | Handle()), _:
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
    for s, t, values in evaluate_all((*expr.keys, *expr.items), state, trail, frame):
        items = values[len(expr.keys) :]
        value: Value | None = None
        if any(map(holds, items)):
            unpacked = [v for v, item in zip(items, expr.items, strict=True) if isinstance(item, code.Starred)]
            if expr.kind == "dict":
                value = Holder(next(filter(holds, items)) or HANDLE, keyed=True)
            elif unpacked or expr.kind == "set":
                held = next(filter(holds, items))
                inner = element_of(held) if held in unpacked else held
                value = Holder(inner or HANDLE)
            else:
                value = Items(items)
        results.append(Result(s, t, value))
    return results


def _boolean(expr: code.Boolean, state: State, trail: Trail, frame: Frame) -> list[Result]:
    first, *rest = expr.values
    if not rest:
        return evaluate(first, state, trail, frame)
    remaining = code.Boolean(expr.op, tuple(rest), expr.span)
    true, false = branch(first, state, trail, frame)
    going_on, settled = (true, false) if expr.op == "and" else (false, true)
    later = [r for point in going_on for r in _boolean(remaining, point.state, point.trail, frame)]
    return [*settled, *later]


def _comprehension(expr: code.Comprehension, state: State, trail: Trail, frame: Frame) -> list[Result]:
    """A comprehension over the container of the task meets it once; any other is run once, its spawn kept as an element."""
    points = [Result(state, trail, None)]
    met = False
    for clause in expr.clauses:
        following: list[Result] = []
        for point in points:
            for source in evaluate(clause.iterable, point.state, point.trail, frame):
                here = element_of(source.value)
                met = met or holds(source.value)
                if holds(source.value):
                    _others(expr, clause, source, frame)
                if clause.is_async:
                    suspend(clause.iterable.span if not isinstance(clause.iterable, code.Starred) else expr.span, source, frame)
                for target in assign(clause.target, here, source.state, source.trail, frame):
                    following += _filtered(clause.conditions, target, frame)
        points = following
    results = []
    parts = (expr.element,) if expr.key is None else (expr.key, expr.element)
    for point in points:
        if point.value is not None:  # the task was filtered out
            results.append(Result(point.state, point.trail, Empty()))
            continue
        for s, t, values in evaluate_all(parts, point.state, point.trail, frame):
            element = values[-1]
            if element is not None and s.status is not point.state.status and point.state.status is Status.UNBORN:
                evaluate_all(parts, s, t, frame)  # the turns after it may fail
            keyed = expr.kind == "dict"
            value = Holder(element, keyed) if holds(element) else Holder(HANDLE, keyed) if isinstance(element, Coroutine) and met else None
            results.append(Result(s, t, value))
    if not met and all(result.state.status is Status.UNBORN or result.value for result in results):
        results.append(Result(state, trail, None))  # nothing to iterate over
    return results


def _others(expr: code.Comprehension, clause: code.Clause, source: Result, frame: Frame) -> None:
    """The turns before the task's own: they may fail."""
    for target in assign(clause.target, None, source.state, source.trail, frame):
        evaluate_all((*clause.conditions, expr.element), target.state, target.trail, frame)


def _filtered(conditions: Iterable[Expr], point: Result, frame: Frame) -> list[Result]:
    passed = [Result(point.state, point.trail, None)]
    dropped: list[Result] = []
    for condition in conditions:
        following: list[Result] = []
        for here in passed:
            true, false = branch(condition, here.state, here.trail, frame)
            following += [Result(p.state, p.trail, None) for p in true]
            dropped += [Result(p.state, p.trail, Empty()) for p in false if p.state.status is not Status.UNBORN]
        passed = following
    return [*passed, *dropped]


# -- waiting -------------------------------------------------------------------------------------------------------


def suspend(span: Span, point: Result, frame: Frame, *, may_raise: bool = True) -> None:
    """The exits of an await of something else."""
    if may_raise:
        frame.leave(Way.EXCEPTION, point.state, point.trail, span)
    frame.leave(Way.CANCELLATION, point.state, point.trail, span)


def _await(expr: code.Await, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results: list[Result] = []
    for point in evaluate(expr.value, state, trail, frame, consumed=True):
        match point.value:
            case Handle():
                results += wait(Waiter(), point, expr.span, frame)
            case Waiter() as waiter:
                results += wait(waiter, point, expr.span, frame)
            case Coroutine() as coroutine:
                results += await_coroutine(coroutine, point, expr.span, frame)
            case _:
                suspend(expr.span, point, frame, may_raise=not _only_sleeps(expr.value))
                results.append(Result(point.state, point.trail, None))
    return results


def _only_sleeps(expr: Expr) -> bool:
    return isinstance(expr, code.Call) and isinstance(expr.func, code.Global) and expr.func.path == "asyncio.sleep"


def wait(waiter: Waiter, point: Result, span: Span, frame: Frame) -> list[Result]:
    """Awaiting something that waits for the task."""
    state, trail, _ = point
    done = (*trail, frame.step(span, "waited for here"))
    ended = state.ended()
    frame.leave(Way.EXCEPTION, ended, done, span)
    frame.leave(Way.CANCELLATION, state if PathKind.CANCELLATION in waiter.leaves else ended, trail, span)
    if PathKind.SIBLING in waiter.leaves:
        frame.leave(Way.SIBLING, state, trail, span)
    if PathKind.TIMEOUT in waiter.leaves:
        frame.leave(Way.TIMEOUT, state, trail, span)
    results = [Result(ended, done, Items((Holder(HANDLE), Empty())) if waiter.sets else None)]
    if waiter.partial and state.alive:
        why = "this wait ends at a time-out" if waiter.partial is PathKind.TIMEOUT else "this wait ends with the first task"
        left = (*trail, frame.step(span, f"{why}, others may still run"))
        value = Items((Empty(), Holder(HANDLE))) if waiter.sets else None
        results.append(Result(state.left_by(waiter.partial), left, value))
    return results


def _yield(expr: code.Yield, state: State, trail: Trail, frame: Frame) -> list[Result]:
    points = evaluate(expr.value, state, trail, frame) if expr.value else [Result(state, trail, None)]
    results: list[Result] = []
    for point in points:
        state, trail, value = point
        if isinstance(expr.value, code.Starred) and isinstance(value, Handle):
            results += wait(Waiter(), point, expr.span, frame)
            continue
        if holds(value):
            state = state.set(HANDED, HANDLE)
            trail = (*trail, frame.step(expr.span, "yielded to the caller"))
        roles = {role_of(_path(d)) for d in frame.function.decorators}
        if Role.FIXTURE not in roles:
            frame.leave(Way.EXCEPTION if Role.CONTEXT_MANAGER in roles else Way.CLOSE, state, trail, expr.span)
        results.append(Result(state, trail, None))
    return results


def _path(expr: Expr) -> str | None:
    expr = expr.func if isinstance(expr, code.Call) else expr
    return expr.path if isinstance(expr, code.Global) else None


# -- storing -------------------------------------------------------------------------------------------------------


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
    if holds(value) and place.scope != "local":
        trail = (*trail, frame.step(target.span, f"kept in `{text(target)}` here"))
    if not (holds(value) or isinstance(value, Empty | Closure) or _is_alias(target, value, frame)):
        value = None
    return Result(bind(state, place, value), trail, None)


def _is_alias(target: Expr, value: Value | None, frame: Frame) -> bool:
    """Whether a name becomes another name for a container that the function fills through it."""
    return isinstance(value, Ref) and isinstance(target, code.Name) and target.id in frame.filled


def _store_item(target: code.Subscript, value: Value | None, state: State, trail: Trail, frame: Frame) -> list[Result]:
    results = []
    for s, t, _ in evaluate_all((target.value, target.index), state, trail, frame):
        place = frame.place(target, s)
        if holds(value) and place is not None:
            assert value is not None
            is_field = isinstance(target.index, code.Constant) and place.name == f"[{target.index.value!r}]"
            if place.scope != "local":
                t = (*t, frame.step(target.span, f"kept in `{text(target)}` here"))
            s = bind(s, place, value if is_field else Holder(value, keyed=True))
        results.append(Result(s, t, None))
    return results


def _unpack(
    targets: tuple[Expr, ...], value: Value | None, state: State, trail: Trail, frame: Frame
) -> list[Result]:
    starred = any(isinstance(target, code.Starred) for target in targets)
    if isinstance(value, Items) and len(value.values) == len(targets) and not starred:
        choices = [value.values]
    elif holds(value):
        # the task is exactly one of the elements
        element = element_of(value) or HANDLE
        turns = range(len(targets))
        choices = [tuple((Holder(element) if isinstance(t, code.Starred) else element) if i == turn else None for i, t in enumerate(targets)) for turn in turns]
    else:
        choices = [(None,) * len(targets)]
    results = []
    for choice in choices:
        points = [Result(state, trail, None)]
        for target, item in zip(targets, choice, strict=True):
            points = [r for p in points for r in assign(target, item, p.state, p.trail, frame)]
        results += points
    return results


# -- conditions ----------------------------------------------------------------------------------------------------


def branch(test: Expr, state: State, trail: Trail, frame: Frame) -> tuple[list[Result], list[Result]]:
    """The outcomes in which a condition holds, and those in which it does not; values are those of the condition."""
    match test:
        case code.Not(value=value):
            true, false = branch(value, state, trail, frame)
            return false, true
        case code.Boolean(op=op, values=values):
            return _branch_boolean(op, values, state, trail, frame)
        case code.Constant(value=value) if value is not ...:
            here = [Result(state, trail, None)]
            return (here, []) if value else ([], here)
        case code.Compare():
            return _branch_compare(test, state, trail, frame)
        case code.Call(func=code.Attribute(value=value, attr="done" | "cancelled" as attr)):
            return _branch_done(test, value, attr, state, trail, frame)
        case code.Call(func=code.Global(path="builtins.all"), args=[code.Comprehension() as inner]):
            return _branch_all(inner, state, trail, frame)
        case code.Call(func=code.Global(path="builtins.isinstance" | "asyncio.isfuture" | "inspect.isawaitable")):
            points = evaluate_all(test.args, state, trail, frame)
            true = [Result(s, t, None) for s, t, _ in points]
            return true, [Result(s, t, None) for s, t, values in points if not holds(values[0] if values else None)]
    return _remembered(test, state, trail, frame)


def _remembered(test: Expr, state: State, trail: Trail, frame: Frame) -> tuple[list[Result], list[Result]]:
    condition = text(test)
    true: list[Result] = []
    false: list[Result] = []
    for point in evaluate(test, state, trail, frame):
        if holds(point.value):
            true.append(point)
            continue
        if condition in frame.repeated:
            known = dict(point.state.assumed).get(condition)
            if known is not None:
                (true if known else false).append(point)
                continue
            true.append(_assume(condition, True, point))
            false.append(_assume(condition, False, point))
            continue
        true.append(point)
        false.append(point)
    return true, false


def _assume(condition: str, outcome: bool, point: Result) -> Result:
    state = point.state
    return Result(
        State(state.status, state.env, state.partial, state.assumed | {(condition, outcome)}), point.trail, point.value
    )


def _branch_boolean(
    op: str, values: tuple[Expr, ...], state: State, trail: Trail, frame: Frame
) -> tuple[list[Result], list[Result]]:
    going_on = [Result(state, trail, None)]
    settled: list[Result] = []
    for value in values:
        following: list[Result] = []
        for point in going_on:
            true, false = branch(value, point.state, point.trail, frame)
            following += true if op == "and" else false
            settled += false if op == "and" else true
        going_on = following
    return (going_on, settled) if op == "and" else (settled, going_on)


def _branch_compare(
    test: code.Compare, state: State, trail: Trail, frame: Frame
) -> tuple[list[Result], list[Result]]:
    true: list[Result] = []
    false: list[Result] = []
    negated = test.op in ("is not", "!=", "not in")
    for s, t, (left, right) in evaluate_all((test.left, test.right), state, trail, frame):
        outcome: bool | None = None
        if test.op in ("in", "not in"):
            if isinstance(left, Handle):
                outcome = True if isinstance(right, Holder | Items) else False if isinstance(right, Empty) else None
        elif test.op not in ("is", "is not", "==", "!="):
            pass
        elif isinstance(test.right, code.Constant) and test.right.value is None:
            outcome = False if holds(left) else None
        elif _is_current_task(test.left) or _is_current_task(test.right):
            outcome = False if holds(left) or holds(right) else None
        elif isinstance(left, Handle) and isinstance(right, Handle):
            outcome = True
        if outcome is None:
            remembered_true, remembered_false = _known(test, Result(s, t, None), frame)
            true += remembered_true
            false += remembered_false
        elif outcome != negated:
            true.append(Result(s, t, None))
        else:
            false.append(Result(s, t, None))
    return true, false


def _known(test: Expr, point: Result, frame: Frame) -> tuple[list[Result], list[Result]]:
    condition = text(test)
    if condition not in frame.repeated:
        return [point], [point]
    known = dict(point.state.assumed).get(condition)
    if known is None:
        return [_assume(condition, True, point)], [_assume(condition, False, point)]
    return ([point], []) if known else ([], [point])


def _is_current_task(expr: Expr) -> bool:
    return isinstance(expr, code.Call) and isinstance(expr.func, code.Global) and expr.func.path == "asyncio.current_task"


def _branch_done(
    test: code.Call, receiver: Expr, attr: str, state: State, trail: Trail, frame: Frame
) -> tuple[list[Result], list[Result]]:
    true: list[Result] = []
    false: list[Result] = []
    for point in evaluate(receiver, state, trail, frame):
        if isinstance(point.value, Waiter) and attr == "done" and not point.value.partial:
            # a future that waits for the task: when it is done, so is the task, unless a sibling ended it
            if PathKind.SIBLING not in point.value.leaves:
                true.append(Result(point.state.ended(), point.trail, None))
                false.append(Result(point.state, point.trail, None))
                continue
        if not isinstance(point.value, Handle):
            true.append(point)
            false.append(point)
            continue
        seen = point.state.with_status(Status.SEEN_DONE) if point.state.alive else point.state
        true.append(Result(seen, point.trail, None))
        if attr == "cancelled" or point.state.alive:
            false.append(Result(point.state, point.trail, None))
    return true, false


def _branch_all(
    inner: code.Comprehension, state: State, trail: Trail, frame: Frame
) -> tuple[list[Result], list[Result]]:
    """`all(t.done() for t in tasks)`: when it holds, it holds for the task."""
    points = evaluate(inner.clauses[0].iterable, state, trail, frame)
    true: list[Result] = []
    false: list[Result] = []
    for point in points:
        if len(inner.clauses) == 1 and holds(point.value) and not inner.clauses[0].conditions:
            for bound in assign(inner.clauses[0].target, element_of(point.value), point.state, point.trail, frame):
                true += branch(inner.element, bound.state, bound.trail, frame)[0]
        else:
            true.append(point)
        false.append(point)
    return true, false


def deferred(name: str) -> Place:
    """Where the interpreter keeps what an exit stack of that name will do."""
    return Place(DEFERRED, name)


def mentions(expr: Expr, name: str) -> bool:
    return any(node.id == name for node in walk(expr, code.Name))
