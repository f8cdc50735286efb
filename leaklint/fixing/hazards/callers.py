"""Where the program calls a function, or passes it on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.kinds import last_name
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import is_property, resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.following import Guess, Site, Value, Way, way_of_coroutine, way_of_function
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.hazards.protocols import unwritten
from leaklint.fixing.hazards.receivers import classes_of
from leaklint.fixing.hazards.unresolved import looked_up, outlets
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

__all__ = ["Guess", "Site", "sites"]

_PROTOCOLS = frozenset({"typing.Protocol", "typing_extensions.Protocol"})
"""What a class need not be derived from: https://docs.python.org/3/library/typing.html#typing.Protocol"""
_IMPORTING = "importlib.import_module"
_DYNAMIC = frozenset({"__getattr__", "__getattribute__"})


def sites(function: code.Function, study: Study) -> Iterator[Site]:
    """Where the program calls or mentions a function, and where its coroutines come out that it passes on."""
    if function.kind != "function":
        return
    lost: set[Value] = set()
    for scope in study.program.mentioning(function.name, function.qualname):
        for mention in _mentions_in(scope, study).get(function.name, ()):
            leads = _leads(mention.node, function, scope, study)
            if leads:
                yield Site(scope, mention.span, mention.is_awaited)
            elif leads is None and mention.is_awaited:
                yield Site(scope, mention.span, is_awaited=True, guess=Guess.RECEIVER)
            if leads is not False and not mention.is_awaited:
                yield from _onwards(mention, function, scope, study, lost, is_sure=bool(leads))
    yield from unwritten(function, study)
    for way in looked_up(function, study):
        lost |= way.lost
        yield from (site._replace(guess=Guess.VALUE) for site in way.sites)
    yield from outlets(frozenset(lost), study)


def _onwards(
    mention: _Mention, function: code.Function, scope: code.Function, study: Study, lost: set[Value], *, is_sure: bool
) -> Iterator[Site]:
    """Where a function that is mentioned, or a coroutine of it, comes out; what it gets lost as is added to `lost`."""
    way = _way(mention, function, scope, study)
    for site in way.sites:
        yield site if is_sure else site._replace(guess=Guess.RECEIVER)
    if is_sure:
        lost |= way.lost
    elif way.is_returned and not scope.is_async:
        yield Site(scope, mention.span, is_awaited=False, guess=Guess.RECEIVER, is_returned=True)


def _way(mention: _Mention, function: code.Function, scope: code.Function, study: Study) -> Way:
    if mention.call is not None:
        return way_of_coroutine(mention.call, scope, study)
    return (way_of_coroutine if is_property(function) else way_of_function)(mention.node, scope, study)


class _Mention(NamedTuple):
    """A name or attribute, and what becomes of a call of it."""

    node: Expr
    call: code.Call | None
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
                mention = _Mention(node, call, span_of(awaited or call or node), awaited is not None)
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
        if found.owner in study.program.family(function.owner):
            return True
    if not isinstance(node, code.Attribute):
        return False
    if function.owner is None:
        return None if _is_of_module(node.value, function, scope, study) else False
    return _may_have(node.value, function.owner, scope, study)


def _is_of_module(holder: Expr, function: code.Function, scope: code.Function, study: Study) -> bool:
    """Whether something may be the module of a function: the program imports some by name, or hands it over."""
    if isinstance(holder, code.Global) or study.kinds.of(holder, scope) is not None:
        return False
    words = (_IMPORTING, function.qualname.rpartition(".")[0])
    return any(study.program.mentioning(word, function.qualname) for word in words)


def _may_have(holder: Expr, owner: str, scope: code.Function, study: Study) -> bool | None:
    """Whether a method of something is one of a class; None if that is not known, or if it stands for others."""
    program = study.program
    classes = classes_of(holder, scope, study)
    if classes is None:
        return None
    if any(owner in program.family(each) for each in classes):
        return True  # a mixin calls what those are to have that are derived from it
    own = [each for each in classes if each in program.classes]
    stands_for = any(not _PROTOCOLS.isdisjoint(program.ancestors(each)) for each in own)
    return None if stands_for or any(program.method(each, name) for each in own for name in _DYNAMIC) else False


def _dropped(scope: code.Function, study: Study) -> set[int]:
    """The coroutines of which tasks are made that nobody asks about: what they raise comes out nowhere."""
    return {
        id(arg)
        for statement in walk(scope.body, code.Evaluate)
        if isinstance(statement.value, code.Call)
        and study.kinds.role_of_callee(statement.value.func, scope) is Role.SPAWN
        for arg in statement.value.args
    }
