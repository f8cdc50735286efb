"""Where a spawn stands: in a callback, in a constructor, in a scope of AnyIO."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from leaklint.analysis.ends import Verdict
from leaklint.analysis.interpreter.frame import Shared
from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.resolve import is_property, plain, resolved, uses
from leaklint.analysis.scopes.native import scope_around
from leaklint.analysis.sites import Site
from leaklint.analysis.spawns import Sort, Spawn, called_back
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Fate, PathKind, Pattern, Standing, Step
from leaklint.model.walk import text, walk

_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__attrs_post_init__", "model_post_init"})
"""What runs while an object is made, in dataclasses, attrs and pydantic, too.
https://docs.python.org/3/library/dataclasses.html#post-init-processing
https://www.attrs.org/en/stable/init.html#hooking-yourself-into-initialization
https://docs.pydantic.dev/latest/api/base_model/#pydantic.BaseModel.model_post_init"""
_READERS = frozenset({"__getattr__", "__getattribute__", "__get__"})
"""What runs when an attribute is read: https://docs.python.org/3/reference/datamodel.html#customizing-attribute-access"""
_PROTOCOLS = frozenset(
    f"asyncio.{module}{name}"
    for module in ("", "protocols.")
    for name in ("BaseProtocol", "Protocol", "BufferedProtocol", "DatagramProtocol", "SubprocessProtocol")
)
_OF_PROTOCOLS = frozenset(
    """connection_made connection_lost pause_writing resume_writing data_received eof_received get_buffer buffer_updated
    datagram_received error_received pipe_data_received pipe_connection_lost process_exited""".split()
)
"""What a transport calls: https://docs.python.org/3/library/asyncio-protocol.html#protocols"""
_RUNS = frozenset({"run", "run_app", "run_until_complete", "run_forever"})
"""A module that calls one of these at its top level is a program: nobody imports it."""
_REACHED = frozenset({PathKind.EARLY_EXIT, PathKind.TIMEOUT, PathKind.SIBLING, PathKind.PARTIAL_WAIT})
"""The paths that a cancellation of the scope does not take."""
_DEEPEST = 3
"""A private function that only such functions call is looked at through so many calls."""


class Place(NamedTuple):
    """What is special about a place."""

    pattern: Pattern
    standing: Standing
    steps: tuple[Step, ...]
    """The steps that show it, in order."""


Seen = Callable[[code.Function, Expr, Kinds], Place | None]
"""What is special about an expression of a function, as far as the function itself tells."""


def standing_of(site: Site, verdict: Verdict, shared: Shared) -> Place | None:
    """What is special about the place of a spawn, if it explains better than the fate why the task leaks."""
    kinds, pattern = shared.kinds, site.spawn.pattern
    if pattern is not None or site.spawn.sort is not Sort.FREE:
        return _deferred(site.spawn, kinds) if pattern is Pattern.CALLBACK else None
    if verdict.fate in (Fate.DROPPED, Fate.KEPT):
        for seen in (_callback, _constructor):
            if place := _standing(site.function, site.node, seen, kinds):
                return place
    is_reached = verdict.fate is Fate.CANCELLED or (verdict.fate is Fate.HAZARD and _REACHED.issuperset(verdict.paths))
    scope = None if is_reached else scope_around(site.function, site.node, kinds)
    return Place(Pattern.NATIVE, scope.standing, (scope.step,)) if scope is not None else None


def _standing(function: code.Function, node: Expr, seen: Seen, kinds: Kinds, depth: int = 0) -> Place | None:
    """What is special about a place; or about all the places from which a private function is called."""
    if function.is_async or depth > _DEEPEST:
        return None
    if found := seen(function, node, kinds):
        return found
    if function.kind != "function" or not function.name.startswith("_") or function.name.startswith("__"):
        return None
    every = uses(function, kinds)
    callers = [_standing(use.caller, use.node, seen, kinds, depth + 1) for use in every.found if every.complete]
    if not callers or callers[0] is None or None in callers:
        return None
    use = every.found[0]
    calls = kinds.program.step(use.caller, use.node.span, f"{_named(use.caller)} calls `{function.name}`")
    first = callers[0]
    standing = Standing("led", first.standing.by) if first.pattern is Pattern.CALLBACK else first.standing
    return first._replace(standing=standing, steps=(*first.steps, calls))


# -- callbacks ---------------------------------------------------------------------------------------------------------


def _deferred(spawn: Spawn, kinds: Kinds) -> Place:
    message = f"`{spawn.called}` spawns it later and throws its handle away"
    step = kinds.program.step(spawn.function, spawn.call.span, message)
    return Place(Pattern.CALLBACK, Standing("deferred", f"`{spawn.called}`"), (step,))


def _callback(function: code.Function, node: Expr, kinds: Kinds) -> Place | None:
    """What calls a function back, where nobody can wait."""
    del node
    if function.kind not in ("function", "lambda"):
        return None
    if function.owner is not None and function.name == "__del__":
        return _called("the garbage collector", function, function, function.span, kinds)
    is_of_protocol = function.owner is not None and function.name in _OF_PROTOCOLS
    if is_of_protocol and not _PROTOCOLS.isdisjoint(kinds.program.ancestors(function.owner or "")):
        return _called("the transport", function, function, function.span, kinds)
    if any(path_of(decorator) == "atexit.register" for decorator in function.decorators):
        return _called("`atexit.register`", function, function, function.span, kinds)
    found = next(_registrations(function, kinds), None)
    return _called(f"`{text(found[1].func)}`", function, found[0], found[1].span, kinds) if found is not None else None


def _called(by: str, function: code.Function, where: code.Function, span: Span, kinds: Kinds) -> Place:
    back = " back" if by.startswith("`") else ""
    step = kinds.program.step(where, span, f"{by} calls {_named(function)}{back}")
    return Place(Pattern.CALLBACK, Standing("called", by), (step,))


def _registrations(function: code.Function, kinds: Kinds) -> Iterator[tuple[code.Function, code.Call]]:
    """The calls that give a function, or a lambda that does no more than call it, to something that calls it back."""
    if function.kind == "lambda":
        around = kinds.program.enclosing(function)
        mentioning = [around] if around is not None else []
    else:
        mentioning = kinds.program.mentioning(function.name, function.qualname)
    for caller in mentioning:
        for call in walk(caller.body, code.Call):
            given = called_back(call, caller, kinds)
            if given is not None and _refers(given, function, caller, kinds):
                yield caller, call
        if caller.kind == "lambda" and _only_calls(caller, function, kinds):
            yield from _registrations(caller, kinds)


def _refers(given: Expr, function: code.Function, caller: code.Function, kinds: Kinds) -> bool:
    """Whether an argument is a function, a partial of it, or a name that is bound to it."""
    expr = plain(given)
    if isinstance(expr, code.Name) and function.kind == "lambda":
        bound = [binding.expr for binding in kinds.bindings(caller).get(expr.id, ())]
        return any(_refers(each, function, caller, kinds) for each in bound if isinstance(each, code.Lambda))
    if isinstance(expr, code.Lambda):
        return expr.function.span == function.span and expr.function.qualname == function.qualname
    found = resolved(expr, caller, kinds) if expr is not None else None
    return found is not None and found.qualname == function.qualname


def _only_calls(caller: code.Function, function: code.Function, kinds: Kinds) -> bool:
    """Whether the value of a lambda is the call of a function."""
    match caller.body:
        case (code.Return(value=code.Call(func=callee)),):
            return _refers(callee, function, caller, kinds)
    return False


# -- constructors ------------------------------------------------------------------------------------------------------


def _constructor(function: code.Function, node: Expr, kinds: Kinds) -> Place | None:
    """What runs a function while an object is made, or a module; or when an attribute is only read."""
    if function.kind in ("module", "class"):
        is_import = _is_import(function, node, kinds)
        return Place(Pattern.CONSTRUCTOR, Standing("import", function.name), ()) if is_import else None
    if function.kind != "function" or function.owner is None:
        return None
    if function.name in _CONSTRUCTORS:
        how, message = "constructor", f"`{function.name}` runs before anybody holds the object"
    elif is_property(function) or _sets(function) or function.name in _READERS:
        how, message = "property", f"`{function.name}` runs where an attribute is used, and cannot wait"
    else:
        return None
    step = kinds.program.step(function, function.span, message)
    return Place(Pattern.CONSTRUCTOR, Standing(how, function.name), (step,))


def _sets(function: code.Function) -> bool:
    """Whether a function sets or deletes a property."""
    return any(isinstance(each, code.Attribute) and each.attr in ("setter", "deleter") for each in function.decorators)


def _is_import(scope: code.Function, node: Expr, kinds: Kinds) -> bool:
    """Whether an expression of a module or class body is evaluated by an import."""
    module: code.Function | None = scope
    while module is not None and module.kind == "class":
        module = kinds.program.enclosing(module)
    if module is None or module.kind != "module":
        return False
    guarded = [branch.body for choice in walk(module.body, code.If) for branch in choice.branches if _is_guard(branch)]
    if any(part is node for part in walk(tuple(guarded), node.__class__)):
        return False
    inside = {id(call) for call in walk(tuple(guarded), code.Call)}
    return not any(_runs(call, module, kinds) for call in walk(module.body, code.Call) if id(call) not in inside)


def _is_guard(branch: code.Branch) -> bool:
    """Whether a branch is taken only if the module is run as a program."""
    return any(last_name(part) == "__name__" for part in walk(branch.test, (code.Name, code.Global)))


def _runs(call: code.Call, module: code.Function, kinds: Kinds) -> bool:
    return last_name(call) in _RUNS or kinds.role_of_callee(call.func, module) is Role.RUN


# -- both --------------------------------------------------------------------------------------------------------------


def _named(function: code.Function) -> str:
    return "the lambda" if function.kind == "lambda" else f"`{function.name}`"
