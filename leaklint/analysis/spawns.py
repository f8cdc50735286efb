"""Which calls start a task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from leaklint.analysis.kinds import FUTURE, TASK, Kinds, guess_from_spelling, last_name, path_of
from leaklint.analysis.resolve import argument, called_on, resolved, uses
from leaklint.catalog import (
    CALLBACK_AT,
    CALLBACK_OF,
    GROUP_ONLY_SPAWNS,
    GROUP_SPAWNS,
    LIBRARY_ONLY_SPAWNS,
    LOOP_SPAWNS,
    OWNER_SPAWNS,
    SETTING,
    SPAWN_LIKE,
    Role,
)
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate, Pattern, Step
from leaklint.model.walk import text, walk

_COROUTINE_OPTIONS = ("coro", "coro_or_future", "target", "coroutine", "awaitable", "func", "work", "callback")
_ENDS = ("cancel", "stop")


class Sort(Enum):
    """What a call that looks like a spawn is."""

    FREE = "a task that no group owns: what becomes of its handle decides"
    GROUPED = "a task in a group, or in another owner that sees to it"
    KEPT = "a task that its library keeps, so that it is not lost when the program drops the handle"
    CANCELLED = "such a task that the program cancels through its library"
    DROPPED = "a task whose handle its library throws away"
    HANDED = "a coroutine that is passed to a spawner which is not in view; what that returns may be no handle"
    NONE = "no spawn"

    @property
    def fate(self) -> Fate | None:
        """The fate that the sort decides; None where the handle does."""
        return _FATES.get(self)

    @property
    def outweighs(self) -> frozenset[Fate]:
        """The fates of the handle that count for nothing beside that of the sort."""
        return _OUTWEIGHED.get(self, frozenset(Fate))


_FATES = {
    Sort.GROUPED: Fate.GROUPED,
    Sort.KEPT: Fate.KEPT,
    Sort.CANCELLED: Fate.CANCELLED,
    Sort.DROPPED: Fate.DROPPED,
    Sort.HANDED: Fate.HANDED,
    Sort.NONE: Fate.NOT_A_SPAWN,
}
_OUTWEIGHED = {
    Sort.FREE: frozenset[Fate](),
    Sort.KEPT: frozenset({Fate.DROPPED}),
    Sort.CANCELLED: frozenset({Fate.DROPPED, Fate.KEPT}),
    Sort.HANDED: frozenset(fate for fate in Fate if fate.leaks),
}


@dataclass(frozen=True, slots=True)
class Spawn:
    call: code.Call
    function: code.Function
    sort: Sort
    likely: bool = False
    """Decided by the name of the receiver alone."""
    evidence: tuple[Step, ...] = ()
    """Why it is of this sort, where the library decides the fate."""
    started: Expr | None = None
    """What runs in the task, where that is not the first argument."""
    pattern: Pattern | None = None
    """Which call of the library starts it, for one that is no spawn (see `hidden`) or that spawns later."""

    @property
    def keeper(self) -> str | None:
        """What keeps the handle in its library, as written."""
        return text(self.started) if self.started is not None and self.sort in (Sort.KEPT, Sort.CANCELLED) else None

    @property
    def called(self) -> str:
        """The called expression, as written."""
        return text(self.call.func)

    @property
    def spawned_call(self) -> Expr | None:
        """The expression that says what runs in the task."""
        named = (k.value for k in self.call.keywords if k.name in _COROUTINE_OPTIONS)
        return self.started or next(iter([*self.call.args, *named]), None)

    @property
    def spawned(self) -> str:
        """What runs in the task, as written, without its arguments."""
        inner = self.spawned_call
        if inner is None:
            return "..."
        return text(inner.func) if isinstance(inner, code.Call) else text(inner)


def find_spawns(function: code.Function, kinds: Kinds) -> Iterator[Spawn]:
    """The calls in a scope's own code that start a task, or look like it."""
    if function.words.isdisjoint(kinds.spawn_words):
        return
    for call in walk(function.body, code.Call):
        spawn = _spawn(call, function, kinds)
        if spawn is not None:
            yield spawn


def _spawn(call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    if (passed := _passed_on(call, function, kinds)) is not None:
        return passed
    match call.func:
        case code.Global(path=path, text=written):
            if (role := kinds.role_of(path) or kinds.role_of(kinds.partials.get(path))) is not None:
                return _by_role(role, call, function, kinds)
            holder, _, name = path.rpartition(".")
            if path in kinds.program.functions:
                return _worker(call, function, kinds)
            if "." in written and name in kinds.catalog.spawn_names:
                return _method(call, kinds.of_path(holder), name, function, kinds)
            return _handed(call, function, kinds) if name in SPAWN_LIKE else None
        case code.Attribute(value=value, attr=attr):
            if attr in kinds.catalog.spawn_names:
                return _method(call, kinds.of(value, function), attr, function, kinds)
            return _worker(call, function, kinds)
        case code.Name():
            return _worker(call, function, kinds)
    return None


def _passed_on(call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A spawner that is passed on with its arguments: to be called later, or at once in another context."""
    in_context = last_name(call.func) == "run"
    spawner = called_back(call, function, kinds) or (call.args[0] if in_context and call.args else None)
    given = call.args[call.args.index(spawner) + 1 :] if spawner is not None else ()
    match spawner:
        case code.Call(args=[inner, *first]) if kinds.role_of(path_of(spawner)) is Role.PARTIAL:
            spawner, given = inner, (*first, *given)
    if not isinstance(spawner, code.Name | code.Global | code.Attribute) or not given:
        return None
    made = _spawn(code.Call(spawner, given, call.keywords, call.span), function, kinds)
    if made is None or made.sort not in (Sort.FREE, Sort.GROUPED):
        return None
    if in_context or made.sort is Sort.GROUPED:
        return Spawn(call, function, made.sort, likely=made.likely, started=made.spawned_call)
    if (signal := _signal_of(made.spawned_call, function, kinds)) is not None:
        why = kinds.program.step(function, call.span, f"its end sets `{text(signal)}`, which others may wait for")
        return Spawn(call, function, Sort.HANDED, made.likely, (why,), made.spawned_call)
    return Spawn(call, function, Sort.DROPPED, made.likely, started=made.spawned_call, pattern=Pattern.CALLBACK)


def _signal_of(started: Expr | None, function: code.Function, kinds: Kinds) -> Expr | None:
    """The event or future of others that a coroutine sets."""
    if isinstance(started, code.Name):
        values = [binding.expr for binding in kinds.bindings(function).get(started.id, ()) if binding.how == "value"]
        started = values[0] if len(values) == 1 else None
    run = resolved(started.func, function, kinds) if isinstance(started, code.Call) else None
    if run is None:
        return None
    shared = run.free_names | {param.name for param in run.params}
    setters = (call.func for call in walk(run.body, code.Call) if last_name(call.func) in SETTING)
    receivers = (setter.value for setter in setters if isinstance(setter, code.Attribute))
    return next((each for each in receivers if isinstance(each, code.Name) and each.id in shared), None)


def called_back(call: code.Call, function: code.Function, kinds: Kinds) -> Expr | None:
    """What a call gives to something that will call it when no function of the program is there to wait."""
    at = _callback_at(call, function, kinds)
    return call.args[at] if at is not None and at < len(call.args) else None


def _callback_at(call: code.Call, function: code.Function, kinds: Kinds) -> int | None:
    name = last_name(call.func)
    if name == "add_done_callback":
        return 0
    if name in CALLBACK_AT and not isinstance(call.func, code.Name):
        kind = kinds.of_receiver(call.func, function)
        return CALLBACK_AT[name] if kind is None or kinds.role_of_kind(kind) is Role.LOOP else None
    if name in kinds.catalog.spawn_names and kinds.role_of_callee(call.func, function) is Role.SPAWN_DROPPED:
        return 0
    return CALLBACK_OF.get(path_of(call) or "")


def _worker(call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A call of a function that a decorator makes start a task."""
    if last_name(call.func) not in kinds.workers:
        return None
    called = resolved(call.func, function, kinds)
    is_worker = called is not None and called.is_async and kinds.is_decorated(called, Role.WORKER)
    return Spawn(call, function, Sort.GROUPED, started=call.func) if is_worker else None


def _receiver(func: Expr) -> Expr:
    """What a method is called on; a callee that is no method, itself."""
    return called_on(func) or func


def _method(call: code.Call, kind: str | None, name: str, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A call of a method by a name that spawners have."""
    if (role := kinds.role_of_method(kind, name)) is not None:
        return _by_role(role, call, function, kinds)
    if kinds.is_owner(kind):
        given = name in OWNER_SPAWNS and any(_may_start(arg, function, kinds) for arg in call.args)
        return Spawn(call, function, Sort.GROUPED) if given else None
    if kind is not None and kinds.program.method(kind, name) is not None:
        return _worker(call, function, kinds)  # a method of the program: what it does with the task is decided there
    verdict = _by_receiver(_receiver(call.func), kind, name, kinds)
    if verdict is None:
        return None
    if verdict == (Sort.NONE, False):
        if _is_annotated(call, function, kinds):
            return Spawn(call, function, Sort.FREE, likely=True)
        return _handed(call, function, kinds) or Spawn(call, function, Sort.NONE)
    return Spawn(call, function, *verdict)


def _by_receiver(receiver: Expr, kind: str | None, method: str, kinds: Kinds) -> tuple[Sort, bool] | None:
    role = kinds.role_of_kind(kind)
    if role is Role.LOOP and method in LOOP_SPAWNS:
        return Sort.FREE, False
    if role is Role.GROUP and method in GROUP_SPAWNS:
        return Sort.GROUPED, False
    if method in LIBRARY_ONLY_SPAWNS:
        return Sort.GROUPED, True
    if kind is None or kind == "typing.Any":
        guess = guess_from_spelling(receiver)
        if guess is Role.LOOP and method in LOOP_SPAWNS:
            return Sort.FREE, True
        if (guess is Role.GROUP and method in GROUP_SPAWNS) or method in GROUP_ONLY_SPAWNS:
            return Sort.GROUPED, True
    return (Sort.NONE, False) if method in SPAWN_LIKE else None


# -- what the catalogue says -------------------------------------------------------------------------------------------


def _by_role(role: Role, call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A call of a function or method of the catalogue."""
    match role:
        case Role.SPAWN:
            wraps = path_of(call) == "asyncio.ensure_future" and _wraps_task(call, function, kinds)
            return Spawn(call, function, Sort.NONE if wraps else Sort.FREE)
        case Role.SPAWN_OWNED:
            return _owned(call, function, kinds)
        case Role.SPAWN_KEPT:
            return _kept(call, _receiver(call.func), function, kinds)
        case Role.SPAWN_DROPPED if call.args and _starts(call.args[0], function, kinds):
            why = f"`{last_name(call.func)}` calls it later and throws its task away"
            return Spawn(call, function, Sort.DROPPED, evidence=(kinds.program.step(function, call.span, why),))
    return None


def _owned(call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A task that is started in an owner; of several arguments, the owner itself or a request may come first."""
    made = (arg for arg in call.args[:2] if isinstance(arg, code.Call))
    started = next(iter([*made, *call.args]), None)
    called = resolved(started, function, kinds) if started is not None else None
    if called is not None and not called.is_async:
        return None  # a function that is no coroutine function runs in a thread
    return Spawn(call, function, Sort.GROUPED, started=started)


def _kept(call: code.Call, keeper: Expr, function: code.Function, kinds: Kinds) -> Spawn:
    """A task that an object of its library keeps; the program may cancel it through that object."""
    why = kinds.program.step(function, call.span, f"`{text(keeper)}` keeps it and does not wait for it")
    words = [last_name(keeper), *(f"{path_of(keeper)}.{end}" for end in _ENDS)]
    for canceller in (scope for word in words for scope in kinds.program.mentioning(word, function.qualname)):
        for other in walk(canceller.body, code.Call):
            if last_name(other.func) in _ENDS and last_name(_receiver(other.func)) == last_name(keeper):
                end = kinds.program.step(canceller, other.span, f"`{canceller.name}` ends it, and does not wait")
                return Spawn(call, function, Sort.CANCELLED, evidence=(why, end), started=keeper)
    return Spawn(call, function, Sort.KEPT, evidence=(why,), started=keeper)


def _handed(call: code.Call, function: code.Function, kinds: Kinds) -> Spawn | None:
    """A coroutine that is given to something that is called like a spawner and is not in view."""
    spawn = Spawn(call, function, Sort.HANDED)
    if spawn.spawned_call is None or not _is_coroutine(spawn.spawned_call, function, kinds):
        return None
    why = f"passed to `{text(call.func)}`, whose definition is not in view"
    return Spawn(call, function, Sort.HANDED, evidence=(kinds.program.step(function, call.span, why),))


# -- arguments ---------------------------------------------------------------------------------------------------------


def _is_coroutine(expr: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether an expression is a call of a coroutine function: one of the program, or one that is awaited elsewhere."""
    if not isinstance(expr, code.Call):
        return False
    called = resolved(expr.func, function, kinds)
    if called is not None:
        return _is_coroutine_function(called, kinds)
    return any(
        isinstance(awaited.value, code.Call) and text(awaited.value.func) == text(expr.func)
        for other in kinds.program.mentioning(last_name(expr.func), function.qualname)
        if kinds.program.paths[other.qualname] == kinds.program.paths[function.qualname]
        for awaited in walk(other.body, code.Await)
    )


def _starts(expr: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether calling what an expression leads to makes a coroutine."""
    match expr:
        case code.Lambda(function=inner):
            returned = (statement.value for statement in walk(inner.body, code.Return))
            return any(value is not None and _is_coroutine(value, inner, kinds) for value in returned)
        case code.Call(args=[first, *_]) if kinds.role_of(path_of(expr)) is Role.PARTIAL:
            return _starts(first, function, kinds)
    called = resolved(expr, function, kinds)
    return called is not None and _is_coroutine_function(called, kinds)


def _may_start(expr: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether an argument may be a coroutine, or is a coroutine function."""
    if not isinstance(expr, code.Call):
        return _starts(expr, function, kinds)
    called = resolved(expr.func, function, kinds)
    return kinds.of(expr, function) is None if called is None else _is_coroutine_function(called, kinds)


def _is_coroutine_function(function: code.Function, kinds: Kinds) -> bool:
    return (function.is_async and not function.is_generator) or kinds.is_decorated(function, Role.COROUTINE)


def _is_annotated(call: code.Call, function: code.Function, kinds: Kinds) -> bool:
    """Whether the value of a call is assigned to something that is annotated as a task."""
    for node in walk(function.body, code.Assign):
        if node.value is call and node.annotation is not None:
            return kinds.annotated(node.annotation) in (TASK, FUTURE)
    return False


def _wraps_task(call: code.Call, function: code.Function, kinds: Kinds) -> bool:
    """Whether what a call of `ensure_future` is given is a task already, also by every caller of the function."""
    given = call.args[0] if call.args else None
    if given is None:
        return False
    if kinds.of(given, function) in (TASK, FUTURE):
        return True
    if not isinstance(given, code.Name) or given.id not in {param.name for param in function.params}:
        return False
    passed = [argument(use, given.id, function) for use in uses(function, kinds).found]
    return bool(passed) and all(
        arg is not None and kinds.of(arg, use.caller) in (TASK, FUTURE)
        for arg, use in zip(passed, uses(function, kinds).found, strict=True)
    )
