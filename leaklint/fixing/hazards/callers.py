"""Where the program calls a function, or passes it on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.kinds import last_name
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk


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


class _Mention(NamedTuple):
    """A name or attribute, and what becomes of a call of it."""

    node: Expr
    span: Span
    """Of the await, or the call."""
    is_awaited: bool


def _mentions_in(scope: code.Function, study: Study) -> dict[str, list[_Mention]]:
    """The names and attributes in a scope by their last name, without those that come out nowhere."""
    known = _mentions(study.program)
    if id(scope) not in known:
        known[id(scope)] = defaultdict(list)
        calls = {id(call.func): call for call in walk(scope.body, code.Call)}
        awaits = {id(await_.value): await_ for await_ in walk(scope.body, code.Await)}
        dropped = _dropped(scope, study)
        for node in walk(scope.body, (code.Name, code.Global, code.Attribute)):
            call = calls.get(id(node))
            awaited = awaits.get(id(call))
            if call is None or id(call) not in dropped:
                known[id(scope)][last_name(node)].append(
                    _Mention(node, span_of(awaited or call or node), awaited is not None)
                )
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
        related = function.owner is not None and found.owner in study.program.family(function.owner)
        return related and found.name == function.name
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
