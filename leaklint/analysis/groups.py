"""Task groups that a project has made itself: classes that wait for the tasks of others, and that something ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds
from leaklint.analysis.resolve import resolved
from leaklint.analysis.spawns import Spawn
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

ENTERING = frozenset({"enter_async_context", "enter_context", "push_async_exit", "aclosing", "closing"})
"""What ends an object that it is given: exit stacks, and `contextlib.aclosing`."""


class Ending(NamedTuple):
    """A place where an object of a class is ended."""

    function: code.Function
    span: Span
    how: str
    """`enters it`, `calls close`."""


def spawns_for_others(spawn: Spawn) -> bool:
    """Whether a method starts what its caller gives it: a coroutine, or a function to be called."""
    inner = spawn.spawned_call
    given = inner.func if isinstance(inner, code.Call) else inner
    names = {param.name for param in spawn.function.params[1:]}
    return isinstance(given, code.Name) and given.id in names


def ending_of(owner: str, waits: code.Function, kinds: Kinds) -> Ending | None:
    """Where the program enters an object of a class with `async with`, or calls the method that waits for its tasks,
    from outside of the class; None if that is nowhere in view.
    """
    return next(_endings(owner, waits, kinds), None)


def _endings(owner: str, waits: code.Function, kinds: Kinds) -> Iterator[Ending]:
    family = set(kinds.program.family(owner))
    ends = _ends(family, waits, kinds)
    can_enter = any(end.name in ("__aexit__", "__exit__") for end in ends)
    for end in ends:
        for scope in kinds.program.mentioning(end.name, end.qualname):
            if kinds.program.owner_of(scope) not in family:
                for call in walk(scope.body, code.Call):
                    if isinstance(call.func, code.Attribute) and resolved(call.func, scope, kinds) is end:
                        yield Ending(scope, call.span, f"calls `{end.name}`")
    for scope in kinds.program.entering(owner) if can_enter else ():
        for entered in _entered(scope):
            if kinds.of(entered, scope) in family:
                yield Ending(scope, _span(entered, scope), "enters it, and waits when it leaves")


def _ends(family: set[str], waits: code.Function, kinds: Kinds) -> list[code.Function]:
    """The methods of a family that wait: the given one, and those that call it."""
    found = [waits]
    for name in sorted(family):
        scope = kinds.program.classes.get(name)
        for method in scope.methods if scope else ():
            if method is not waits and waits.name in method.words and method not in found:
                found.append(method)
    return found


def _entered(scope: code.Function) -> Iterator[Expr]:
    for statement in walk(scope.body, code.With):
        yield from (item.context for item in statement.items)
    for call in walk(scope.body, code.Call):
        match call.func:
            case code.Attribute(attr=attr) if attr in ENTERING:
                yield from call.args[:1]
            case code.Global(path=path) if path.rpartition(".")[2] in ENTERING:
                yield from call.args[:1]


def _span(expr: Expr, scope: code.Function) -> Span:
    return scope.span if isinstance(expr, code.Starred) else expr.span
