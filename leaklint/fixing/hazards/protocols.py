"""Calls that are not written as such: `async with`, `async for`, `await` of an object, a call of an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.fixing.hazards.awaiting import once_bound
from leaklint.fixing.hazards.following import Guess, Site, way_of_coroutine
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.hazards.receivers import classes_of
from leaklint.fixing.hazards.unresolved import given_on, is_of_library, is_unknown, is_value, taken
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

_ENTERING = {"__aenter__": True, "__aexit__": True, "__enter__": False, "__exit__": False}
"""https://docs.python.org/3/reference/datamodel.html#special-method-names"""


class _Use(NamedTuple):
    """Something is done with an object that runs one of its special methods."""

    item: Expr
    scope: code.Function
    span: Span
    is_awaited: bool = True


def unwritten(method: code.Function, study: Study) -> Iterator[Site]:
    """Where the program runs a special method without its name."""
    if method.owner is None:
        return
    family = study.program.family(method.owner)
    for use in _uses(method.name, method, study):
        classes = classes_of(use.item, use.scope, study)
        if classes is None and _may_be_any(use.item, use.scope, study):
            yield Site(use.scope, use.span, use.is_awaited, Guess.RECEIVER)
        elif classes is not None and not classes.isdisjoint(family):
            yield Site(use.scope, use.span, use.is_awaited)


def _may_be_any(item: Expr, scope: code.Function, study: Study) -> bool:
    """Whether an object may be of any class: it is not what a library, or a generator of the program, gives."""
    match item:
        case code.Name(id=name):
            made = [once_bound(name, scope, study)]
        case code.Attribute(value=value, attr=attr):
            owner = study.kinds.of(value, scope)
            made = [each.expr for each in study.kinds.assigned(owner, attr)] if owner is not None else []
        case _:
            made = [item]
    calls = [each for each in made if isinstance(each, code.Call)]
    if len(calls) < len(made) or not calls:
        return True
    return not all(
        is_of_library(path_of(call), study) or resolved(call.func, scope, study.kinds) is not None for call in calls
    )


def _uses(name: str, method: code.Function, study: Study) -> Iterator[_Use]:
    if name in _ENTERING:
        for scope in study.program.entering(method.qualname):
            yield from _entered(scope, name)
    elif name in ("__aiter__", "__anext__"):
        yield from _iterated(study.program.modules, study.program.modules[0].functions[0], study)
    elif name == "__await__":
        yield from _awaited(study.program.modules, study.program.modules[0].functions[0], study)
    elif name == "__call__":
        yield from _called(study.program.modules, study.program.modules[0].functions[0], study)


def _entered(scope: code.Function, name: str) -> Iterator[_Use]:
    for statement in walk(scope.body, code.With):
        if statement.is_async is _ENTERING[name]:
            yield from (_Use(item.context, scope, span_of(item.context)) for item in statement.items)
    for call in walk(scope.body, code.Call):
        if last_name(call) in ("enter_async_context", "enter_context", "push_async_exit") and call.args:
            yield _Use(call.args[0], scope, call.span, name in ("__aenter__", "__enter__"))


@remembered
def _iterated(root: object, scope: code.Function, study: Study) -> tuple[_Use, ...]:
    """What the program iterates over asynchronously."""
    del root, scope
    found: list[_Use] = []
    for scope in _functions(study):
        for node in walk(scope.body, (code.For, code.Comprehension, code.Call)):
            match node:
                case code.For(iterable=iterable, is_async=True):
                    found.append(_Use(iterable, scope, span_of(iterable)))
                case code.Comprehension(clauses=clauses):
                    found += [_Use(each.iterable, scope, node.span) for each in clauses if each.is_async]
                case code.Call(func=code.Global(path="builtins.anext"), args=[iterator, *_]):
                    found.append(_Use(iterator, scope, node.span))
    return tuple(found)


@remembered
def _awaited(root: object, scope: code.Function, study: Study) -> tuple[_Use, ...]:
    """What the program awaits that is no call of a coroutine function, and may be any object."""
    del root, scope
    return tuple(
        _Use(value, scope, site.span, site.is_awaited)
        for scope in _functions(study)
        for value in taken(scope, study)
        if not (isinstance(value, code.Call) and _is_async(value, scope, study))
        if is_unknown(value, scope, study) or classes_of(value, scope, study)
        for site in way_of_coroutine(value, scope, study).sites
    )


@remembered
def _called(root: object, scope: code.Function, study: Study) -> tuple[_Use, ...]:
    """What the program calls that is no function of it, where a coroutine comes of that."""
    del root, scope
    return tuple(
        _Use(call.func, scope, site.span, site.is_awaited)
        for scope in _functions(study)
        for call in given_on(scope)
        if is_value(call.func, scope, study) or isinstance(call.func, code.Call)
        for site in way_of_coroutine(call, scope, study).sites
    )


def _functions(study: Study) -> Iterator[code.Function]:
    return (each for module in study.program.modules for each in module.functions if each.kind == "function")


def _is_async(call: code.Call, scope: code.Function, study: Study) -> bool:
    found = resolved(call.func, scope, study.kinds)
    return found is not None and found.is_async
