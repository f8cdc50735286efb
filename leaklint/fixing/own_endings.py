"""Statements at the end of some others that end tasks already: they cancel them and wait, and could do so always."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from textwrap import dedent
from typing import NamedTuple

from leaklint.analysis.cancellation.suspending import is_true
from leaklint.catalog import Role
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Substitute
from leaklint.model.walk import text


class Own(NamedTuple):
    """The last of some statements, which do no more than to cancel tasks, and to wait for them."""

    statements: tuple[code.Stmt, ...]
    waits: bool
    """Not only cancels."""

    def lines(self, study: Study) -> list[str]:
        """Their lines, without the indentation."""
        written = [" " * (each.span.column - 1) + study.written(each.span) for each in self.statements]
        return [line for each in written for line in dedent(each).split("\n")]

    @property
    def removal(self) -> tuple[Substitute, ...]:
        """The edits that take them out."""
        return tuple(Substitute(each.span, ()) for each in self.statements)


def own_ending(
    statements: Sequence[code.Stmt], names: Collection[str], function: code.Function, study: Study
) -> Own | None:
    """What ends the tasks that these names hold at the end of some statements of a function, and raises nothing; None
    if it ends others, too, or not all, or if there is nothing before it.
    """
    waits = bool(statements) and _waited(statements[-1], function, study) == set(names)
    end = len(statements) - 1 if waits else len(statements)
    start, cancelled = end, set[str]()
    while start > 0 and (found := _cancelled(statements[start - 1])):
        cancelled |= found
        start -= 1
    if start == 0 or cancelled != set(names) or _has_comment(statements[start - 1], statements[-1], study):
        return None
    return Own(tuple(statements[start:]), waits)


def _has_comment(before: code.Stmt, last: code.Stmt, study: Study) -> bool:
    """Whether a comment stands behind one statement, and until another one ends: it would lose its place."""
    return any("#" in line for line in study.lines[before.span.end_line - 1 : last.span.end_line])


def _waited(statement: code.Stmt, function: code.Function, study: Study) -> set[str]:
    """The names that hold all tasks for which a statement waits; none if it does anything else, or may raise."""
    match statement:
        case code.Evaluate(value=code.Await(value=code.Call() as call)):
            return _waited_by(call, function, study)
        case code.If(branches=[branch], orelse=()) if isinstance(branch.test, code.Name) and len(branch.body) == 1:
            match branch.body[0]:
                case code.Evaluate(value=code.Await(value=code.Call(args=[code.Name(id=name)], keywords=()) as call)):
                    is_wait = study.kinds.role_of_callee(call.func, function) is Role.WAIT
                    return {name} if is_wait and name == branch.test.id else set()
    return set()


def _waited_by(call: code.Call, function: code.Function, study: Study) -> set[str]:
    role = study.kinds.role_of_callee(call.func, function)
    match call:
        case code.Call(args=[code.Display(items=items)], keywords=()) if role is Role.WAIT:
            is_empty = all(isinstance(each, code.Starred) for each in items)  # maybe, which `wait` refuses
            return set() if is_empty else _names(items)
        case code.Call(args=args, keywords=[quiet]) if role is Role.GATHER:
            return _names(args) if quiet.name == "return_exceptions" and is_true(quiet.value) else set()
    return set()


def _names(exprs: Sequence[Expr]) -> set[str]:
    """The names that expressions, or what they unpack, are; none if there are others."""
    plain = [each.value if isinstance(each, code.Starred) else each for each in exprs]
    return {text(each) for each in plain} if all(isinstance(each, code.Name) for each in plain) else set()


def _cancelled(statement: code.Stmt) -> set[str]:
    """The names that hold the tasks which a statement cancels, and does nothing else."""
    match statement:
        case code.Evaluate(value=code.Call(func=code.Attribute(value=code.Name(id=name), attr="cancel"), args=())):
            return {name}
        case code.If(branches=[branch], orelse=()) if isinstance(branch.test, code.Not) and len(branch.body) == 1:
            found = _cancelled(branch.body[0])
            return found if [text(branch.test.value)] == [f"{name}.done()" for name in found] else set()
        case code.For(target=code.Name(id=each), iterable=iterable, body=[inner], orelse=(), is_async=False):
            if _cancelled(inner) == {each}:
                return _names(iterable.items if isinstance(iterable, code.Display) else [iterable])
    return set()
