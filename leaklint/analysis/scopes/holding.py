"""Context managers of the program that hold a task group while they are entered."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import Kinds, last_name
from leaklint.analysis.resolve import called_on, resolved
from leaklint.analysis.scopes.openings import ENTERING, GROUP, is_run_by_with, opened
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Step
from leaklint.model.walk import text, walk

_DEEPEST = 3
_PUTTING = "enter_async_context"


def held_by(expr: Expr, function: code.Function, kinds: Kinds) -> Step | None:
    """Where entering the value of an expression enters a task group: in a generator that is a context manager, or in
    `__aenter__` of its class. None if it is not known to do so.
    """
    return next(_held(expr, function, kinds, 0), None)


def _held(expr: Expr, function: code.Function, kinds: Kinds, depth: int) -> Iterator[Step]:
    if depth > _DEEPEST:
        return
    for call, where in _made(expr, function, kinds):
        callee = resolved(call.func, where, kinds)
        if callee is not None and callee.is_generator and kinds.is_decorated(callee, Role.CONTEXT_MANAGER):
            yield from _entered_in(callee, kinds, depth)
    kind = kinds.of(expr, function)
    for ancestor in kinds.program.ancestors(kind) if kind in kinds.program.classes else ():
        for method in kinds.program.classes[ancestor].methods if ancestor in kinds.program.classes else ():
            if method.name in ENTERING or (_may_enter(method) and is_run_by_with(method, kinds)):
                yield from _entered_in(method, kinds, depth)


def _may_enter(method: code.Function) -> bool:
    return not method.words.isdisjoint(("__aenter__", _PUTTING))


def _made(expr: Expr, function: code.Function, kinds: Kinds) -> Iterator[tuple[code.Call, code.Function]]:
    """The calls whose value an expression may be, each with the function that holds it."""
    if isinstance(expr, code.Call):
        yield expr, function
    scopes: list[code.Function] = []
    if isinstance(expr, code.Name) and expr.id in function.local_names:
        scopes = [function]
    elif isinstance(expr, code.Attribute):
        owner = kinds.program.owner_of(function)
        family = kinds.program.family(owner) if owner else ()
        mentioning = kinds.program.mentioning(expr.attr, function.qualname)
        scopes = [scope for scope in mentioning if kinds.program.owner_of(scope) in family]
    for scope in scopes:
        for assign in walk(scope.body, code.Assign):
            if isinstance(assign.value, code.Call) and any(text(target) == text(expr) for target in assign.targets):
                yield assign.value, scope


def _entered_in(function: code.Function, kinds: Kinds, depth: int) -> Iterator[Step]:
    """Where a function enters a task group, and leaves it open until it is resumed or ended by another call."""
    path = kinds.program.paths[function.qualname]
    for context, span in _contexts(function):
        if opened(context, function, kinds) == GROUP:
            yield Step(path, span, f"`{_title(function, kinds)}` enters a task group")
        else:
            yield from _held(context, function, kinds, depth + 1)


def _contexts(function: code.Function) -> Iterator[tuple[Expr, Span]]:
    """What a function enters around a `yield`, by hand, or on an exit stack."""
    for node in walk(function.body, code.With):
        if any(True for _ in walk(node.body, code.Yield)):
            contexts = (item.context for item in node.items)
            yield from ((each, each.span) for each in contexts if not isinstance(each, code.Starred))
    for call in walk(function.body, code.Call):
        of, name = called_on(call.func), last_name(call.func)
        if name == "__aenter__" and of is not None and not call.args:
            yield of, call.span
        elif name == _PUTTING and call.args:
            yield call.args[0], call.span


def _title(function: code.Function, kinds: Kinds) -> str:
    owner = kinds.program.owner_of(function)
    return f"{owner.rpartition('.')[2]}.{function.name}" if owner else function.name
