"""Conditions: what is known of the task where they hold, and where they do not."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import (
    Empty,
    Handle,
    Holder,
    Items,
    Other,
    Result,
    State,
    Status,
    Trail,
    Waiter,
    element_of,
    holds,
)
from leaklint.analysis.interpreter.storing import assign
from leaklint.analysis.kinds import path_of
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import PathKind
from leaklint.model.walk import text

Branches = tuple[list[Result], list[Result]]
"""The outcomes in which a condition holds, and those in which it does not."""


def branch(test: Expr, state: State, trail: Trail, frame: Frame) -> Branches:
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
        case code.Compare(left=code.Call(func=code.Global(path="builtins.len"), args=[counted]), op=op, right=right):
            return _branch_len(test, counted, op, right, state, trail, frame)
        case code.Call(func=code.Global(path="builtins.len" | "builtins.bool"), args=[counted]):
            return branch(counted, state, trail, frame)
        case code.Compare():
            return _branch_compare(test, state, trail, frame)
        case code.Call(func=code.Attribute(value=value, attr="done" | "cancelled" as attr)):
            return _branch_done(test, value, attr, state, trail, frame)
        case code.Call(func=code.Global(path="builtins.all"), args=[code.Comprehension() as inner]):
            return _branch_all(inner, state, trail, frame)
        case code.Call(func=code.Global(path="builtins.hasattr"), args=[value, code.Constant(value=str(attr))]):
            held = code.Attribute(value, attr, test.span)
            return branch(code.Compare(held, "is not", code.Constant(None, test.span), test.span), state, trail, frame)
        case code.Call(func=code.Global(path="builtins.isinstance" | "asyncio.isfuture" | "inspect.isawaitable")):
            points = frame.evaluate_all(test.args, state, trail)
            true = [Result(s, t, None) for s, t, _ in points]
            return true, [Result(s, t, None) for s, t, values in points if not holds(values[0] if values else None)]
    return _remembered(test, state, trail, frame)


def _remembered(test: Expr, state: State, trail: Trail, frame: Frame) -> Branches:
    true: list[Result] = []
    false: list[Result] = []
    for point in frame.evaluate(test, state, trail):
        if holds(point.value):
            true.append(point)
            continue
        if isinstance(point.value, Empty) and point.value.exact:
            false.append(point)
            continue
        holding, failing = _known(test, point, frame)
        true += holding
        false += failing
    return true, false


def _known(test: Expr, point: Result, frame: Frame) -> Branches:
    """Both branches of a condition that nothing is known of, unless this path has decided it before."""
    condition = text(test)
    known = dict(point.state.assumed).get(condition)
    if known is None:
        if condition not in frame.repeated:
            return [point], [point]
        return [_assume(condition, point, outcome=True)], [_assume(condition, point, outcome=False)]
    return ([point], []) if known else ([], [point])


def _assume(condition: str, point: Result, *, outcome: bool) -> Result:
    assumed = point.state.assumed | {(condition, outcome)}
    return point._replace(state=replace(point.state, assumed=assumed))


def _branch_boolean(op: str, values: tuple[Expr, ...], state: State, trail: Trail, frame: Frame) -> Branches:
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


def _branch_compare(test: code.Compare, state: State, trail: Trail, frame: Frame) -> Branches:
    true: list[Result] = []
    false: list[Result] = []
    asked = text(test.left)
    negated = test.op in ("is not", "!=", "not in")
    for s, t, (left, right) in frame.evaluate_all((test.left, test.right), state, trail):
        outcome: bool | None = None
        if test.op in ("in", "not in"):
            if isinstance(left, Handle):
                outcome = True if isinstance(right, Holder | Items) else False if isinstance(right, Empty) else None
            elif isinstance(right, Empty) and right.only == asked:
                outcome = True
        elif test.op not in ("is", "is not", "==", "!="):
            pass
        elif isinstance(test.right, code.Constant) and test.right.value is None:
            outcome = False if holds(left) else None
        elif _is_current_task(test.left, frame) or _is_current_task(test.right, frame):
            outcome = False if holds(left) or holds(right) else None
        elif isinstance(left, Handle) and isinstance(right, Handle):
            outcome = True
        elif isinstance(left, Other):
            outcome = False if isinstance(right, Handle) else True if text(test.right) == left.text else None
        if outcome is None:
            remembered_true, remembered_false = _known(test, Result(s, t, None), frame)
            true += remembered_true
            false += remembered_false
        elif outcome != negated:
            true.append(Result(s, t, None))
        else:
            false.append(Result(s, t, None))
    return true, false


def counted(test: Expr) -> Expr:
    """The container whose length a condition asks to be more than nothing; any other condition as it is."""
    match test:
        case code.Compare(left=code.Call(func=code.Global(path="builtins.len"), args=[inner]), op=op, right=right):
            asked = (op, right.value if isinstance(right, code.Constant) else None)
            return inner if asked in ((">", 0), ("!=", 0), (">=", 1)) else test
        case code.Call(func=code.Global(path="builtins.len" | "builtins.bool"), args=[inner]):
            return inner
    return test


def _branch_len(
    test: code.Compare, counted: Expr, op: str, right: Expr, state: State, trail: Trail, frame: Frame
) -> Branches:
    """`len(tasks) > 0` is `tasks`, `len(tasks) == 0` is `not tasks`."""
    bound = right.value if isinstance(right, code.Constant) else None
    true, false = branch(counted, state, trail, frame)
    if (op, bound) in ((">", 0), ("!=", 0), (">=", 1)):
        return true, false
    if (op, bound) in (("==", 0), ("<", 1), ("<=", 0)):
        return false, true
    return _branch_compare(test, state, trail, frame)


def _is_current_task(expr: Expr, frame: Frame) -> bool:
    """Whether an expression is the task that runs this code, which is never the followed one."""
    if isinstance(expr, code.Name):
        bound = frame.shared.kinds.bindings(frame.function).get(expr.id, ())
        return bool(bound) and all(path_of(binding.expr) == "asyncio.current_task" for binding in bound)
    return path_of(expr) == "asyncio.current_task"


def _branch_done(test: Expr, receiver: Expr, attr: str, state: State, trail: Trail, frame: Frame) -> Branches:
    true: list[Result] = []
    false: list[Result] = []
    for point in frame.evaluate(receiver, state, trail):
        here = Result(point.state, point.trail, None)
        if isinstance(point.value, Handle):
            seen = here.state.with_status(Status.SEEN_DONE) if here.state.alive else here.state
            true.append(here._replace(state=seen))
            if attr == "cancelled" or here.state.alive:
                false.append(here)
        elif isinstance(point.value, Waiter) and attr == "done" and _is_whole(point.value):
            # a future that waits for the task: when it is done, so is the task
            true.append(here._replace(state=here.state.ended()))
            false.append(here)
        else:
            known = dict(here.state.assumed).get(text(test))
            true += [] if known is False else [here]
            false += [] if known is True else [here]
    return true, false


def _is_whole(waiter: Waiter) -> bool:
    return waiter.partial is None and PathKind.SIBLING not in waiter.leaves


def _branch_all(inner: code.Comprehension, state: State, trail: Trail, frame: Frame) -> Branches:
    """`all(t.done() for t in tasks)`: when it holds, it holds for the task."""
    points = frame.evaluate(inner.clauses[0].iterable, state, trail)
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
