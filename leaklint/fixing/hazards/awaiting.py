"""What it means to await an expression, or to enter and leave a context manager."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from leaklint.analysis.kinds import FUTURE, TASK, last_name, path_of
from leaklint.catalog import SYNCHRONISATION, Role
from leaklint.fixing.hazards.callees import manager, returned, targets
from leaklint.fixing.hazards.queues import takes_all
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk

_PLAIN = frozenset(
    """asyncio.sleep anyio.sleep asyncio.to_thread anyio.to_thread.run_sync anyio.lowlevel.checkpoint
    anyio.lowlevel.checkpoint_if_cancelled anyio.lowlevel.cancel_shielded_checkpoint""".split()
)
"""Coroutine functions that end, clean nothing up and pass cancellations on. (A function that runs in a thread is taken
to return.) https://docs.python.org/3/library/asyncio-task.html https://anyio.readthedocs.io/en/stable/api.html"""
_LOCKS = frozenset(
    """asyncio.Lock asyncio.Semaphore asyncio.BoundedSemaphore asyncio.Condition anyio.Lock anyio.Semaphore
    anyio.Condition anyio.CapacityLimiter""".split()
)
"""https://docs.python.org/3/library/asyncio-sync.html https://anyio.readthedocs.io/en/stable/synchronization.html"""
_SYNCHRONISATION = SYNCHRONISATION | _LOCKS | {"anyio.Event", "asyncio.Barrier"}
_SCOPES = frozenset({"anyio.CancelScope"})
_NOTHING = frozenset({"contextlib.nullcontext"})
_NUMBERS = ("builtins.float", "builtins.int")

_DEEPEST = 6
"""Containers within containers are followed so far."""

Place = tuple[Expr, code.Function]
"""An expression, and the function that it is read in."""


class Sort(Enum):
    """What awaiting does."""

    PLAIN = "ends, and that is all"
    RUNS = "runs coroutines of the program"
    ALL = "waits for other awaitables"
    TASK = "waits for a task that is spawned on the spot, or by the same function"
    LIMITED = "waits for other awaitables, for some time"
    WAITS = "waits for something that others do"
    HANDLE = "waits for a task or future that others can cancel"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What awaiting an expression does."""

    sort: Sort
    said: str
    """What is awaited, as it is written, without arguments."""
    functions: tuple[code.Function, ...] = ()
    inner: tuple[Place, ...] = ()


@remembered
def meaning(awaited: Expr, function: code.Function, study: Study) -> Meaning:
    """What awaiting an expression of a function does."""
    match awaited:
        case code.Call():
            return _of_call(awaited, function, study)
        case code.Name(id=name):
            return _of_name(awaited, name, function, study)
        case code.Conditional(then=then, orelse=orelse):
            return _together(awaited, (then, orelse), function)
        case code.Walrus(value=value):
            return meaning(value, function, study)
    if study.kinds.of(awaited, function) in (TASK, FUTURE):
        return Meaning(Sort.HANDLE, text(awaited))
    return Meaning(Sort.UNKNOWN, text(awaited))


def _of_call(call: code.Call, function: code.Function, study: Study) -> Meaning:
    kinds, said, path = study.kinds, text(call.func), path_of(call)
    if path in _PLAIN or last_name(call) == "run_in_executor":
        return Meaning(Sort.PLAIN, said)
    if path is not None and path.endswith(".sleep_forever"):
        return Meaning(Sort.WAITS, said)
    role = kinds.role_of_callee(call.func, function)
    if role is Role.SAME and call.args:
        return meaning(call.args[-1], function, study)
    if role in (Role.GATHER, Role.SHIELD, Role.SPAWN, Role.WAIT_FOR, Role.WAIT):
        return _of_wait(call, role, function, study)
    if kinds.of_receiver(call.func, function) in _SYNCHRONISATION:
        return Meaning(Sort.PLAIN if _puts_at_once(call, function, study) else Sort.WAITS, said)
    found = targets(call.func, function, study)
    if found is not None:
        return _of_functions(call, found)
    if path == FUTURE or kinds.of(call, function) in (TASK, FUTURE):
        return Meaning(Sort.HANDLE, said)
    return Meaning(Sort.UNKNOWN, said)


def _puts_at_once(call: code.Call, function: code.Function, study: Study) -> bool:
    """Whether a call puts something into a queue that takes everything."""
    return (
        isinstance(call.func, code.Attribute)
        and call.func.attr == "put"
        and takes_all(call.func.value, function, study)
    )


def _of_functions(call: code.Call, found: tuple[code.Function, ...]) -> Meaning:
    """A call of functions of the program: coroutine functions, or others that return what theirs give."""
    said = text(call.func)
    if all(each.is_async and not each.is_generator for each in found):
        return Meaning(Sort.RUNS, said, found)
    given = returned(found[0]) if len(found) == 1 and not found[0].is_async else None
    if given and all(isinstance(each, code.Call) for each in given):
        return Meaning(Sort.ALL, said, (), tuple((each, found[0]) for each in given))
    return Meaning(Sort.UNKNOWN, said)


def _of_wait(call: code.Call, role: Role, function: code.Function, study: Study) -> Meaning:
    """The ways of asyncio to wait for others."""
    said = text(call.func)
    if role is Role.WAIT and is_limit(limit_of(call), function, study):
        return Meaning(Sort.PLAIN, said)
    if role is Role.WAIT:
        inner = held(call.args[0], function, study) if call.args else None
        # it gives back what has ended, and raises nothing of that
        return Meaning(Sort.WAITS, said) if inner is None else _together(call, inner, function)
    if role is Role.SPAWN:
        return replace(_together(call, call.args[:1], function), sort=Sort.TASK)
    if role is not Role.GATHER:
        found = _together(call, call.args[:1], function)
        limited = role is Role.WAIT_FOR and is_limit(limit_of(call, 1), function, study)
        return Meaning(Sort.LIMITED, said, (), found.inner) if limited else found
    every: list[Expr] = []
    for arg in call.args:
        inner = held(arg.value, function, study) if isinstance(arg, code.Starred) else (arg,)
        if inner is None:
            return Meaning(Sort.UNKNOWN, text(arg))
        every += inner
    return _together(call, tuple(every), function)


def held(container: Expr, function: code.Function, study: Study, depth: int = 0) -> tuple[Expr, ...] | None:
    """What a container holds, as far as it is written out: for a comprehension, its element; None if that is not plain
    to see.
    """
    if depth > _DEEPEST:
        return None
    parts: tuple[Expr, ...]
    match container:
        case code.Display(kind="list" | "tuple" | "set", items=items):
            parts = items
        case code.Comprehension(kind="list" | "set" | "generator", element=element):
            return (element,)
        case code.Call(func=code.Global(path="builtins.map"), args=[called, *_], span=span):
            return (code.Call(called, (), (), span),)
        case code.Call(args=[inner]) if study.kinds.role_of(path_of(container)) is Role.COLLECT:
            return held(inner, function, study, depth + 1)
        case code.Name(id=name):
            return _held_by_name(name, function, study, depth + 1)
        case _:
            return None
    found: list[Expr] = []
    for part in parts:
        inside = held(part.value, function, study, depth + 1) if isinstance(part, code.Starred) else (part,)
        if inside is None:
            return None
        found += inside
    return tuple(found)


def _held_by_name(name: str, function: code.Function, study: Study, depth: int) -> tuple[Expr, ...] | None:
    """What the container of a local name holds. (That of a task which the function may cancel is not plain to see.)"""
    values = study.kinds.bindings(function).get(name, ())
    is_param = any(param.name == name for param in function.params)
    if is_param or not values or any(each.how != "value" for each in values):
        return None
    found: list[Expr] = []
    for each in values:
        inside = None if isinstance(each.expr, code.Name) else held(each.expr, function, study, depth)
        if inside is None:
            return None
        found += inside
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(value=code.Name(id=target), attr="append" | "add"), args=[added]):
                found += [added] if target == name else []
            case code.Call(func=code.Attribute(value=code.Name(id=target), attr="extend" | "update"), args=[added]):
                inside = held(added, function, study, depth) if target == name else ()
                if inside is None:
                    return None
                found += inside
    is_cancelled = "cancel" in function.words and any(study.kinds.of(each, function) == TASK for each in found)
    return None if is_cancelled else tuple(found)


def _together(whole: Expr, inner: tuple[Expr, ...], function: code.Function) -> Meaning:
    said = text(whole.func) if isinstance(whole, code.Call) else text(whole)
    return Meaning(Sort.ALL, said, (), tuple((each, function) for each in inner))


def _of_name(awaited: Expr, name: str, function: code.Function, study: Study) -> Meaning:
    """A local name that is bound once: what it is bound to, unless a task that it holds gets around."""
    bound = once_bound(name, function, study)
    if bound is None and (elements := _elements(name, function, study)) is not None:
        return _together(awaited, elements, function)
    if bound is None:
        sort = Sort.HANDLE if study.kinds.of(awaited, function) in (TASK, FUTURE) else Sort.UNKNOWN
        return Meaning(sort, name)
    found = meaning(bound, function, study)
    if found.sort is Sort.HANDLE:
        return Meaning(Sort.HANDLE, name)
    is_task = study.kinds.of(bound, function) == TASK
    return Meaning(Sort.HANDLE, name) if is_task and _gets_around(name, function, study) else found


def _elements(name: str, function: code.Function, study: Study) -> tuple[Expr, ...] | None:
    """What a name stands for that only a loop or a comprehension binds, over a container that is plain to see."""
    if study.kinds.bindings(function).get(name) or any(param.name == name for param in function.params):
        return None
    loops = [(each.target, each.iterable) for each in walk(function.body, code.For)]
    for comprehension in walk(function.body, code.Comprehension):
        loops += [(clause.target, clause.iterable) for clause in comprehension.clauses]
    over = [(target, iterable) for target, iterable in loops if name in _names((target,))]
    found: list[Expr] = []
    for target, iterable in over:
        inside = held(iterable, function, study) if isinstance(target, code.Name) else None
        if inside is None:
            return None
        found += inside
    return tuple(found) if over else None


def once_bound(name: str, function: code.Function, study: Study) -> Expr | None:
    """The call that a local name is bound to, if it is bound to nothing else."""
    if name not in function.local_names or any(param.name == name for param in function.params):
        return None
    bound = [each.targets for each in walk(function.body, code.Assign) if name in _names(each.targets)]
    values = study.kinds.bindings(function).get(name, ())
    loops = [each for each in walk(function.body, code.For) if name in _names((each.target,))]
    if len(bound) != 1 or len(values) != 1 or loops or values[0].how != "value":
        return None
    return values[0].expr if isinstance(values[0].expr, code.Call) else None


def _names(targets_: tuple[Expr, ...]) -> set[str]:
    return {each.id for each in walk(targets_, code.Name)}


def _gets_around(name: str, function: code.Function, study: Study) -> bool:
    """Whether a handle is used for more than to be awaited, so that others may cancel it, or this function does."""
    nodes = list(walk(function.body, (code.Name, code.Await, code.Assign)))
    awaited = {id(node.value) for node in nodes if isinstance(node, code.Await)}
    bound = {id(each) for node in nodes if isinstance(node, code.Assign) for each in node.targets}
    used = [each for each in nodes if isinstance(each, code.Name) and each.id == name]
    captured = any(name in each.free_names for each in study.program.inside(function) if each is not function)
    return captured or any(id(each) not in awaited | bound for each in used)


# -- time limits -------------------------------------------------------------------------------------------------------


def limit_of(call: code.Call, position: int | None = None) -> Expr | None:
    """The time limit of a wait: the argument of that name, or at a position."""
    named = next((k.value for k in call.keywords if k.name in ("timeout", "delay", "when")), None)
    if named is not None or position is None:
        return named
    return call.args[position] if len(call.args) > position else None


def is_limit(limit: Expr | None, function: code.Function, study: Study) -> bool:
    """Whether a time limit is certain to be one: a number, not None."""
    match limit:
        case code.Constant(value=int() | float() as value):
            return value != float("inf")
        case code.Operation():
            return True
        case code.Global(path=path):
            prefix, _, name = path.rpartition(".")
            module = study.program.scopes.get(prefix)
            bound = study.kinds.bindings(module).get(name, ()) if module is not None else ()
            values = [each.expr for each in bound if each.how == "value"]
            return (
                bool(values)
                and all(isinstance(each, code.Constant | code.Operation) for each in values)
                and all(not isinstance(each, code.Constant) or isinstance(each.value, int | float) for each in values)
            )
        case code.Name(id=name):
            param = next((each for each in function.params if each.name == name), None)
            if param is None or param.annotation is None:
                return False
            is_none = isinstance(param.default, code.Constant) and param.default.value is None
            return path_of(param.annotation) in _NUMBERS and not is_none
    return False


# -- context managers --------------------------------------------------------------------------------------------------


class Entry(Enum):
    """What an `async with` does when it is entered and left."""

    NOTHING = "neither waits nor ends anything"
    SCOPE = "a time limit or a cancel scope"
    GROUP = "waits for the tasks of a group"
    LOCK = "waits for a lock"
    RUNS = "runs functions of the program"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Entered:
    """What entering and leaving a context manager does."""

    entry: Entry
    said: str
    limits: bool = False
    shields: bool = False
    enters: tuple[code.Function, ...] = ()
    leaves: tuple[code.Function, ...] = ()
    """What runs when it is left, cleaning up; for a generator, the same function enters and leaves."""


def entered(context: Expr, function: code.Function, study: Study, *, is_async: bool) -> Entered:
    """What the context expression of a `with` or `async with` of a function does."""
    kinds = study.kinds
    made = once_bound(context.id, function, study) if isinstance(context, code.Name) else context
    path, said = (
        path_of(made) if made is not None else None,
        text(made.func if isinstance(made, code.Call) else context),
    )
    kind = kinds.of(context, function)
    roles = {kinds.role_of(path), kinds.role_of_kind(kind)}
    if {Role.TIMEOUT, Role.MOVE_ON} & roles or path in _SCOPES or kind in _SCOPES:
        return _scope(made, said, function, study)
    if Role.GROUP in roles:
        return Entered(Entry.GROUP, said)
    if kind in _LOCKS or path in _LOCKS:
        return Entered(Entry.LOCK, said)
    if not is_async or path in _NOTHING or Role.SUPPRESS in roles:
        return Entered(Entry.NOTHING, said)
    if isinstance(made, code.Call) and (generator := manager(made.func, function, study)) is not None:
        return Entered(Entry.RUNS, said, enters=(generator,), leaves=(generator,))
    if kind in study.program.classes:
        ends = [_method(kind, name, study) for name in ("__aenter__", "__aexit__")]
        if ends[0] and ends[1]:
            return Entered(Entry.RUNS, said, enters=ends[0], leaves=ends[1])
    return Entered(Entry.UNKNOWN, said)


def _method(kind: str | None, name: str, study: Study) -> tuple[code.Function, ...]:
    """The coroutine methods of a class and of what derives from it."""
    program = study.program
    found = program.method(kind, name) if kind else None
    if found is None or kind is None:
        return ()
    derived = (
        program.functions.get(f"{each}.{name}") for each in program.family(kind) if kind in program.ancestors(each)
    )
    every = {each.qualname: each for each in (found, *derived) if each is not None}
    return tuple(every.values()) if all(each.is_async and not each.decorators for each in every.values()) else ()


def _scope(made: Expr | None, said: str, function: code.Function, study: Study) -> Entered:
    if not isinstance(made, code.Call):
        return Entered(Entry.SCOPE, said)
    named = {keyword.name: keyword.value for keyword in made.keywords}
    shield = named.get("shield")
    limit = limit_of(made, None if last_name(made) == "CancelScope" else 0)
    shields = isinstance(shield, code.Constant) and shield.value is True
    return Entered(Entry.SCOPE, said, is_limit(limit, function, study), shields)
