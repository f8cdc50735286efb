"""Where the program calls a function, or passes it on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, receiver
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

_PROTOCOLS = frozenset({"typing.Protocol", "typing_extensions.Protocol"})
"""What a class need not be derived from: https://docs.python.org/3/library/typing.html#typing.Protocol"""


class Site(NamedTuple):
    """A place where a function is called, or mentioned."""

    caller: code.Function
    span: Span
    is_awaited: bool
    """On the spot: what it raises comes out there."""
    is_guessed: bool = False
    """The receiver is not known: a method of that name is called."""


def sites(function: code.Function, study: Study) -> Iterator[Site]:
    """Where the program calls or mentions a function."""
    if function.kind != "function":
        return
    for scope in study.program.mentioning(function.name, function.qualname):
        for mention in _mentions_in(scope, study).get(function.name, ()):
            leads = _leads(mention.node, function, scope, study)
            if leads or (leads is None and mention.is_awaited):
                yield Site(scope, mention.span, mention.is_awaited, is_guessed=leads is None)
            if leads and mention.is_given:
                yield from _calls_of_values(study)


class _Mention(NamedTuple):
    """A name or attribute, and what becomes of a call of it."""

    node: Expr
    span: Span
    """Of the await, or the call."""
    is_awaited: bool
    is_given: bool
    """The program stores it, or passes it to a function of its own, to be called there."""


def _mentions_in(scope: code.Function, study: Study) -> dict[str, list[_Mention]]:
    """The names and attributes in a scope by their last name, without those that come out nowhere."""
    known = _mentions(study.program)
    if id(scope) not in known:
        known[id(scope)] = defaultdict(list)
        calls = {id(call.func): call for call in walk(scope.body, code.Call)}
        awaits = {id(await_.value): await_ for await_ in walk(scope.body, code.Await)}
        dropped, given = _dropped(scope, study), set(map(id, _given(scope, study)))
        for node in walk(scope.body, (code.Name, code.Global, code.Attribute)):
            call = calls.get(id(node))
            awaited = awaits.get(id(call))
            if call is None or id(call) not in dropped:
                mention = _Mention(
                    node, span_of(awaited or call or node), awaited is not None, call is None and id(node) in given
                )
                known[id(scope)][last_name(node)].append(mention)
    return known[id(scope)]


@lru_cache(maxsize=2)
def _mentions(program: Program) -> dict[int, dict[str, list[_Mention]]]:
    """What was found in the scopes of a program, by their `id`."""
    del program
    return {}


def _leads(node: Expr, function: code.Function, scope: code.Function, study: Study) -> bool | None:
    """Whether an expression refers to a function, or to one that it overrides or that overrides it; None if it may."""
    found = resolved(node, scope, study.kinds)
    if found is not None:
        if found.qualname == function.qualname:
            return True
        if function.owner is None or found.owner is None:
            return False
        if not _PROTOCOLS.isdisjoint(study.program.ancestors(found.owner)):
            return None
        return found.owner in study.program.family(function.owner)
    if isinstance(node, code.Attribute) and function.owner is not None:
        return None if study.kinds.of(node.value, scope) is None else False
    return False


def _dropped(scope: code.Function, study: Study) -> set[int]:
    """The coroutines of which tasks are made that nobody asks about: what they raise comes out nowhere."""
    return {
        id(arg)
        for statement in walk(scope.body, code.Evaluate)
        if isinstance(statement.value, code.Call)
        and study.kinds.role_of_callee(statement.value.func, scope) is Role.SPAWN
        for arg in statement.value.args
    }


def _given(scope: code.Function, study: Study) -> Iterator[Expr]:
    """What a scope stores, returns, or passes to functions and classes of the program."""
    for node in walk(scope.body, (code.Call, code.Assign, code.Return, code.Display)):
        match node:
            case code.Call(func=func, args=args, keywords=keywords):
                path = func.path if isinstance(func, code.Global) else None
                if path in study.program.classes or resolved(func, scope, study.kinds) is not None:
                    yield from (*args, *(keyword.value for keyword in keywords))
            case code.Assign(targets=targets, value=value) if value is not None:
                if any(not isinstance(target, code.Name) for target in targets):
                    yield value
            case code.Return(value=value) if value is not None:
                yield value
            case code.Display(items=items):
                yield from items


def _calls_of_values(study: Study) -> list[Site]:
    """The calls that are awaited of what a parameter, a container or an attribute holds."""
    known = _value_calls(study.program)
    if not known:
        known.append([])
        for module in study.program.modules:
            for scope in module.functions:
                for node in walk(scope.body, code.Await):
                    if isinstance(node.value, code.Call) and _is_value(node.value.func, scope, study):
                        known[0].append(Site(scope, node.span, is_awaited=True, is_guessed=True))
    return known[0]


def _is_value(callee: Expr, scope: code.Function, study: Study) -> bool:
    match callee:
        case code.Subscript():
            return True
        case code.Name() | code.Attribute():
            return resolved(callee, scope, study.kinds) is None and _is_own(callee, scope)
    return False


def _is_own(callee: Expr, scope: code.Function) -> bool:
    """Whether it is a name, or an attribute of the object itself: methods of others are known by their names."""
    if isinstance(callee, code.Attribute):
        return isinstance(callee.value, code.Name) and callee.value.id == receiver(scope)
    return True


@lru_cache(maxsize=2)
def _value_calls(program: Program) -> list[list[Site]]:
    """The calls of values in a program, once they have been looked for."""
    del program
    return []
