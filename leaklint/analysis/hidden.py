"""Which calls start tasks without being spawns: `gather`, `shield`, `as_completed` and `wait` of coroutines.

asyncio wraps every coroutine that they are given in a task. One call is one spawn here, whatever it is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.elements import called_on_element
from leaklint.analysis.kinds import FUTURE, FUTURES, TASK, Kinds, last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.analysis.spawns import Sort, Spawn
from leaklint.catalog import CONTAINER_TYPES, PICKING, POPPING, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Pattern
from leaklint.model.walk import walk

PATTERNS = {
    Role.GATHER: Pattern.GATHER,
    Role.WAIT: Pattern.WAIT,
    Role.SHIELD: Pattern.SHIELD,
    Role.AS_COMPLETED: Pattern.AS_COMPLETED,
}
WAITS = frozenset({"gather", "wait", "shield", "as_completed"})
"""A scope without any of these leaves nothing running by a wait."""
_NO_COROUTINE = (
    Role.SPAWN,
    Role.SPAWN_OWNED,
    Role.SPAWN_KEPT,
    Role.GATHER,
    Role.SHIELD,
    Role.AS_COMPLETED,
    Role.COLLECT,
)
_FOR_FUTURES = (Pattern.WAIT, Pattern.SHIELD)
"""What is mostly given futures: whether something else is one must be known."""
_LIBRARY = ("asyncio.sleep", "asyncio.to_thread", "asyncio.wait_for")
"""Coroutine functions. https://docs.python.org/3/library/asyncio-task.html"""
_DEEPEST = 4


def find_hidden(function: code.Function, kinds: Kinds) -> Iterator[Spawn]:
    """The calls in a scope's own code that start tasks for the coroutines they are given."""
    if function.words.isdisjoint(WAITS):
        return
    for call in walk(function.body, code.Call):
        pattern = pattern_of(call, kinds)
        if pattern is not None:
            made = [coroutine for arg in call.args for coroutine in coroutines_of(arg, function, kinds)]
            if pattern in _FOR_FUTURES:
                made = [coroutine for coroutine in made if _is_known(coroutine, function, kinds)]
            if made:
                yield Spawn(call, function, Sort.FREE, started=made[0], pattern=pattern)


def pattern_of(call: code.Call, kinds: Kinds) -> Pattern | None:
    """What a call is, if it starts tasks for coroutines."""
    role = kinds.role_of(call.func.path) if isinstance(call.func, code.Global) else None
    return PATTERNS.get(role) if role is not None else None


def coroutines_of(argument: Expr, function: code.Function, kinds: Kinds) -> list[code.Call]:
    """The calls that make the coroutines which an argument is or holds, as far as they are plain to see."""
    if isinstance(argument, code.Starred):
        return list(_elements(argument.value, function, kinds, 0))
    return [*_made(argument, function, kinds, 0), *_elements(argument, function, kinds, 0)]


def _made(expr: Expr, function: code.Function, kinds: Kinds, depth: int) -> Iterator[code.Call]:
    """The calls that make a coroutine, where an expression is one."""
    inner: tuple[Expr, ...] = ()
    match expr:
        case code.Call(args=[*_, last]) if kinds.role_of(path_of(expr)) is Role.SAME:
            inner = (last,)
        case code.Call() if _is_coroutine(expr, function, kinds):
            yield expr
        case code.Walrus(value=value):
            inner = (value,)
        case code.Conditional(then=then, orelse=orelse):
            inner = (then, orelse)
        case code.Boolean(values=values):
            inner = values
        case code.Name(id=name):
            inner = tuple(_values(name, function, kinds))
    for part in inner if depth < _DEEPEST else ():
        yield from _made(part, function, kinds, depth + 1)


def _elements(expr: Expr, function: code.Function, kinds: Kinds, depth: int) -> Iterator[code.Call]:
    """The calls that make coroutines, where an expression is a container of some."""
    containers: list[Expr] = []
    match expr:
        case code.Display(items=items):
            for item in items:
                yield from (
                    coroutines_of(item, function, kinds)
                    if isinstance(item, code.Starred)
                    else _made(item, function, kinds, depth + 1)
                )
        case code.Comprehension(element=element):
            yield from _made(element, function, kinds, depth + 1)
        case code.Call(func=code.Global(path="builtins.map"), args=[called, *_], span=span):
            yield from _made(code.Call(called, (), (), span), function, kinds, depth + 1)
        case code.Call(args=args) if kinds.role_of(path_of(expr)) is Role.COLLECT:
            containers += args
        case code.Conditional(then=then, orelse=orelse):
            containers += [then, orelse]
        case code.Operation(operands=operands):
            containers += operands
        case code.Name(id=name):
            containers += _values(name, function, kinds)
            for element in _added(name, function):
                yield from _made(element, function, kinds, depth + 1)
    for container in containers if depth < _DEEPEST else ():
        yield from _elements(container, function, kinds, depth + 1)


def _values(name: str, function: code.Function, kinds: Kinds) -> Iterator[Expr]:
    """What a local name is bound to; nothing for a parameter."""
    if not any(param.name == name for param in function.params):
        yield from (each.expr for each in kinds.bindings(function).get(name, ()) if each.how == "value")


def _added(name: str, function: code.Function) -> Iterator[Expr]:
    """What is put into the container of a local name."""
    if function.words.isdisjoint(("append", "add")):
        return
    for call in walk(function.body, code.Call):
        match call.func:
            case code.Attribute(value=code.Name(id=container), attr="append" | "add") if container == name:
                yield from call.args


def _is_coroutine(call: code.Call, function: code.Function, kinds: Kinds) -> bool:
    """Whether a call makes a coroutine: that of a function in view does if it is `async`; that of one which is not in
    view is taken to do, unless it is known to give something else.
    """
    path, name = path_of(call), last_name(call.func)
    if kinds.role_of_callee(call.func, function) in _NO_COROUTINE or name in kinds.spawn_words or name in FUTURES:
        return False
    called = resolved(call.func, function, kinds)
    if called is not None:
        return (called.is_async and not called.is_generator) or kinds.is_decorated(called, Role.COROUTINE)
    if path is not None and (path.startswith("builtins.") or path in kinds.program.classes or name[:1].isupper()):
        return False
    if name in POPPING | PICKING and not _is_no_container(call.func, function, kinds):
        return False
    of_element = called_on_element(call.func, function, kinds)
    if of_element is not None and kinds.gives_futures(of_element) and not _gives_task(of_element, kinds):
        return False
    return kinds.of(call, function) not in (TASK, FUTURE)


def _gives_task(function: code.Function, kinds: Kinds) -> bool:
    """Whether a function spawns what it returns; a gather leaves that running as it does coroutines."""
    values = (statement.value for statement in walk(function.body, code.Return))
    return any(value is not None and kinds.of(value, function) == TASK for value in values)


def _is_known(coroutine: code.Call, function: code.Function, kinds: Kinds) -> bool:
    """Whether a call is of a coroutine function that is in view, or of the library."""
    return path_of(coroutine) in _LIBRARY or resolved(coroutine.func, function, kinds) is not None


def _is_no_container(method: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether a method such as `get` is known to be called on something else than a container of what is awaited."""
    receiver = kinds.of_receiver(method, function)
    if receiver is not None:
        return receiver not in CONTAINER_TYPES and not receiver.startswith(("builtins.", "typing."))
    name = method.value.id if isinstance(method, code.Attribute) and isinstance(method.value, code.Name) else ""
    return any(binding.how == "context" for binding in kinds.bindings(function).get(name, ()))
