"""What opens a task group or a cancel scope, and which functions are run as context managers."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.resolve import hooks, resolved
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

GROUP = "task group"
SCOPE = "cancel scope"
LIMIT = "time limit"

_SCOPES = frozenset({"anyio.CancelScope", "trio.CancelScope", "quattro.CancelScope"})
_IN_THREADS = frozenset({"anyio.from_thread.start_blocking_portal", "anyio.from_thread.BlockingPortalProvider"})
"""Groups that run in an event loop of their own: entering one opens no scope in the task that does."""
_TRANSPARENT = frozenset(
    """builtins.staticmethod builtins.classmethod functools.wraps typing.final typing.no_type_check abc.abstractmethod
    typing.override typing_extensions.override typing_extensions.final typing_extensions.deprecated""".split()
)
"""Decorators that leave an async generator what it is."""
ENTERING = frozenset({"__aenter__", "__enter__", "__asynccontextmanager__", "__contextmanager__"})
"""Methods that `with` runs. For the last two see https://anyio.readthedocs.io/en/stable/contextmanagers.html"""
LEAVING = frozenset({"__aexit__", "__exit__"})


def opened(expr: Expr, function: code.Function, kinds: Kinds) -> str | None:
    """What entering the value of an expression opens in the current task: `GROUP`, `SCOPE`, `LIMIT`; None if neither is
    known to be opened.
    """
    kind = kinds.of(expr, function)
    if kind is None or kind in _IN_THREADS:
        return None
    if not _SCOPES.isdisjoint(kinds.program.ancestors(kind)):
        return SCOPE
    role = kinds.role_of_kind(kind)
    if role in (Role.TIMEOUT, Role.MOVE_ON):
        return LIMIT
    return GROUP if role is Role.GROUP else None


def is_context_manager(function: code.Function, kinds: Kinds) -> bool:
    """Whether a generator is, or may be, run by something that enters and leaves it as `with` does: a decorator, a
    framework, or whoever else is given the function itself and not the generator.
    """
    if function.name in ENTERING:
        return True
    if any(path_of(each) not in _TRANSPARENT for each in function.decorators):
        return True
    return bool(hooks(function, kinds)) or _is_passed_on(function, kinds)


def _is_passed_on(function: code.Function, kinds: Kinds) -> bool:
    """Whether the program mentions a function otherwise than by calling it, or by giving it a name that it calls."""
    for caller in kinds.program.mentioning(function.name, function.qualname):
        for node in _uncalled(function.name, caller):
            if resolved(node, caller, kinds) is function and not _is_alias(node, caller, kinds):
                return True
    return False


def _uncalled(name: str, caller: code.Function) -> Iterator[code.Name | code.Global | code.Attribute]:
    """Where a scope mentions something of this name without calling or assigning it."""
    called = {id(call.func) for call in walk(caller.body, code.Call)}
    assigned = {id(target) for node in walk(caller.body, code.Assign) for target in node.targets}
    for node in walk(caller.body, (code.Name, code.Global, code.Attribute)):
        if last_name(node) == name and id(node) not in called | assigned:
            yield node


def _is_alias(node: Expr, caller: code.Function, kinds: Kinds) -> bool:
    """Whether a mention of a function gives it another name, which is only ever called."""
    for assign in walk(caller.body, code.Assign):
        outcomes = _outcomes(assign.value) if assign.value is not None else ()
        if any(each is node for each in outcomes):
            names = [target for target in assign.targets if isinstance(target, code.Name | code.Global)]
            return len(names) == len(assign.targets) and not any(
                True
                for name in names
                for scope in _users(name, caller, kinds)
                for _ in _uncalled(last_name(name), scope)
            )
    return False


def _users(name: code.Name | code.Global, caller: code.Function, kinds: Kinds) -> list[code.Function]:
    """The scopes that may use a name that is bound in one."""
    if isinstance(name, code.Name):
        return list(kinds.program.inside(caller))
    return kinds.program.mentioning(last_name(name), caller.qualname)


def _outcomes(expr: Expr) -> Iterator[Expr]:
    """The expressions of which one is the value of an expression."""
    match expr:
        case code.Conditional(then=then, orelse=orelse):
            yield from _outcomes(then)
            yield from _outcomes(orelse)
        case _:
            yield expr


def is_run_by_with(function: code.Function, kinds: Kinds) -> bool:
    """Whether a function only runs when an object is entered with `with`: it is the entering method, a generator that
    is a context manager, or all that call it are; of the methods of a class, all that call it there.
    """
    return _is_run_by_with(function, kinds, frozenset())


def _is_run_by_with(function: code.Function, kinds: Kinds, seen: frozenset[str]) -> bool:
    if function.name in ENTERING or kinds.is_decorated(function, Role.CONTEXT_MANAGER):
        return True
    if function.qualname in seen:
        return True
    seen |= {function.qualname}
    callers = list(callers_of(function, kinds))
    owner = kinds.program.owner_of(function)
    family = kinds.program.family(owner) if owner else ()
    # what the class does itself counts: others may call its `start`, but are offered `async with`
    own = [caller for caller in callers if kinds.program.owner_of(caller) in family]
    return bool(callers) and all(_is_run_by_with(caller, kinds, seen) for caller in own or callers)


def callers_of(function: code.Function, kinds: Kinds) -> Iterator[code.Function]:
    """The scopes of the program that mention a function, itself left out."""
    for caller in kinds.program.mentioning(function.name, function.qualname):
        if caller is function:
            continue
        nodes = walk(caller.body, (code.Name, code.Global, code.Attribute))
        if any(last_name(node) == function.name and _reaches(node, function, caller, kinds) for node in nodes):
            yield caller


def _reaches(node: Expr, function: code.Function, caller: code.Function, kinds: Kinds) -> bool:
    """Whether an expression leads to a function, or to another method of that name in a class related to its own."""
    found = resolved(node, caller, kinds)
    if found is None or function.owner is None or found.owner is None:
        return found is function
    return found is function or function.owner in kinds.program.family(found.owner)
