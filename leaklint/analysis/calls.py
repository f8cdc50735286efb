"""Calls: what the catalogue, the builtin containers and the functions of the program do with the followed task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from leaklint.analysis.frame import Frame, bind
from leaklint.analysis.inline import bind_arguments, call_inline, hand_over, is_relevant
from leaklint.analysis.state import (
    DEFERRED,
    ESCAPED,
    HANDLE,
    Cancel,
    Closure,
    Coroutine,
    Handle,
    Holder,
    Items,
    Place,
    Ref,
    Result,
    State,
    Status,
    Trail,
    Value,
    Waiter,
    Way,
    element_of,
    field,
    holds,
)
from leaklint.catalog import (
    ADDING,
    CATALOG,
    CONTAINER_TYPES,
    EMPTYING,
    HARMLESS_METHODS,
    LOGGING,
    LOOP_DEFERS,
    LOOP_RUNS,
    PICKING,
    POPPING,
    REMOVING,
    VIEWING,
    Role,
)
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import PathKind
from leaklint.model.walk import text

Evaluate = Callable[..., list[Result]]

_CONSUMING = (Role.SPAWN, Role.GATHER, Role.WAIT, Role.WAIT_FOR, Role.SHIELD, Role.AS_COMPLETED, Role.RUN)
_STACK_METHODS = ("callback", "push_async_callback")


@dataclass(frozen=True, slots=True)
class Called:
    """A call whose callee and arguments have been evaluated."""

    expr: code.Call
    state: State
    trail: Trail
    receiver: Value | None
    args: tuple[Value | None, ...]
    keywords: tuple[Value | None, ...]
    consumed: bool

    @property
    def values(self) -> tuple[Value | None, ...]:
        return (*self.args, *self.keywords)

    @property
    def held(self) -> Value | None:
        """The first argument that holds the task."""
        return next(filter(holds, self.values), None)

    def option(self, name: str) -> Expr | None:
        return next((keyword.value for keyword in self.expr.keywords if keyword.name == name), None)

    def result(self, value: Value | None = None) -> list[Result]:
        return [Result(self.state, self.trail, value)]


def call(
    expr: code.Call, state: State, trail: Trail, frame: Frame, evaluate: Evaluate, *, consumed: bool
) -> list[Result]:
    """The outcomes of a call."""
    results: list[Result] = []
    consuming = frame.role(expr.func) in _CONSUMING or expr is frame.spawn or _method(expr) in LOOP_RUNS
    for called in _evaluated(expr, state, trail, frame, evaluate, consuming=consuming, consumed=consumed):
        if expr is frame.spawn and called.state.status is Status.UNBORN:
            results += called.result()
            results.append(Result(called.state.with_status(Status.RUNNING), called.trail, HANDLE))
        else:
            results += _dispatch(called, frame)
    return results


def _evaluated(
    expr: code.Call, state: State, trail: Trail, frame: Frame, evaluate: Evaluate, *, consuming: bool, consumed: bool
) -> list[Called]:
    receiver = expr.func.value if isinstance(expr.func, code.Attribute) else None
    if receiver is None and not isinstance(expr.func, code.Global):
        receiver = expr.func  # a local name, a lambda, a call: its value is what is called
    points = evaluate(receiver, state, trail, frame) if receiver else [Result(state, trail, None)]
    found = [Called(expr, p.state, p.trail, p.value, (), (), consumed) for p in points]
    for argument in expr.args:
        found = [
            replace(c, state=r.state, trail=r.trail, args=(*c.args, r.value))
            for c in found
            for r in evaluate(argument, c.state, c.trail, frame, consumed=consuming)
        ]
    for keyword in expr.keywords:
        found = [
            replace(c, state=r.state, trail=r.trail, keywords=(*c.keywords, r.value))
            for c in found
            for r in evaluate(keyword.value, c.state, c.trail, frame, consumed=consuming)
        ]
    return found


def _dispatch(called: Called, frame: Frame) -> list[Result]:
    func = called.expr.func
    if isinstance(func, code.Global):
        entry = CATALOG.get(func.path)
        if entry is not None and entry.role is not Role.DEFER:
            return _library(entry.role, called, frame)
        if func.path in frame.shared.program.functions:
            return _function(frame.shared.program.functions[func.path], called, frame, bound_method=False)
        if func.path in frame.shared.program.classes:
            return _construct(func.path, called, frame)
        if entry is not None:
            return called.result()
        if "." in func.text:
            return _method_call(func.path.rpartition(".")[2], called, frame)
    elif isinstance(func, code.Attribute):
        return _method_call(func.attr, called, frame)
    elif isinstance(called.receiver, Closure):
        return _function(called.receiver.function, called, frame, bound_method=False)
    elif isinstance(called.receiver, Cancel):
        return [_cancel(called, frame)]
    return _unknown(called, frame)


# -- the library ---------------------------------------------------------------------------------------------------


def _library(role: Role, called: Called, frame: Frame) -> list[Result]:
    held = called.held
    match role:
        case Role.SPAWN if held is not None or any(isinstance(v, Coroutine | Closure) for v in called.values):
            return _spawn(called, frame)
        case Role.GATHER if held is not None:
            return called.result(_gather(called))
        case Role.WAIT if held is not None:
            return called.result(_wait(called))
        case Role.WAIT_FOR if called.args:
            return called.result(_wait_for(called))
        case Role.SHIELD if called.args:
            return called.result(_shield(called.args[0]))
        case Role.AS_COMPLETED if held is not None:
            return called.result(Holder(HANDLE))
        case Role.RUN:
            return _run(called, frame)
        case Role.COLLECT if held is not None:
            return called.result(_collect(called))
        case Role.PICK if held is not None:
            return called.result(element_of(held))
        case Role.SAME if called.args:
            return called.result(called.args[-1])
        case Role.PARTIAL:
            return _partial(called, frame)
    return called.result()


def _spawn(called: Called, frame: Frame) -> list[Result]:
    """Another task is started, with ours in its hands."""
    value = called.held or next(v for v in called.values if v is not None)
    if isinstance(value, Handle | Waiter):
        return called.result(value)
    return _unknown(called, frame, raises=False)


def _gather(called: Called) -> Value:
    held = called.held
    if isinstance(held, Coroutine):
        return held
    leaves: frozenset[PathKind] = frozenset()
    for value in called.args:
        inner = element_of(value) if isinstance(value, Holder | Items) else value
        if isinstance(inner, Waiter):
            leaves |= inner.leaves
    alone = len(called.args) == 1 and not isinstance(called.expr.args[0], code.Starred)
    if isinstance(called.args[0], Items) and len(called.args) == 1:
        alone = len(called.args[0].values) == 1
    if not alone and _is_false(called.option("return_exceptions")):
        leaves |= {PathKind.SIBLING}
    return Waiter(leaves)


def _is_false(option: Expr | None) -> bool:
    return option is None or (isinstance(option, code.Constant) and not option.value)


def _wait(called: Called) -> Value:
    timeout = called.option("timeout") or (called.expr.args[1] if len(called.expr.args) > 1 else None)
    limited = timeout is not None and not (isinstance(timeout, code.Constant) and timeout.value is None)
    until = called.option("return_when")
    name = until.path.rpartition(".")[2] if isinstance(until, code.Global) else ""
    if isinstance(until, code.Constant):
        name = str(until.value)
    alone = isinstance(called.args[0], Items) and len(called.args[0].values) == 1
    partial = None
    if name in ("FIRST_COMPLETED", "FIRST_EXCEPTION") and not alone:
        partial = PathKind.PARTIAL_WAIT
    elif limited:
        partial = PathKind.TIMEOUT
    return Waiter(frozenset({PathKind.CANCELLATION}), partial, sets=True)


def _wait_for(called: Called) -> Value | None:
    match called.args[0]:
        case Handle():
            return Waiter()
        case Waiter() as waiter:
            cut = PathKind.CANCELLATION in waiter.leaves
            return replace(waiter, leaves=waiter.leaves | {PathKind.TIMEOUT}) if cut else waiter
        case Coroutine() as coroutine:
            return replace(coroutine, limit=True)
    return None


def _shield(value: Value | None) -> Value | None:
    match value:
        case Handle():
            return Waiter(frozenset({PathKind.CANCELLATION}))
        case Waiter() as waiter:
            return replace(waiter, leaves=waiter.leaves | {PathKind.CANCELLATION})
    return value


def _collect(called: Called) -> Value:
    name = called.expr.func.path if isinstance(called.expr.func, code.Global) else ""
    held = called.held
    if name == "builtins.zip":
        return Holder(Items(tuple(element_of(value) for value in called.args)))
    if name == "builtins.enumerate":
        return Holder(Items((None, element_of(held))))
    element = element_of(held)
    keyed = name == "builtins.dict"
    return Holder(element if element is not None else HANDLE, keyed=keyed or (isinstance(held, Holder) and element is None))


def _run(called: Called, frame: Frame) -> list[Result]:
    """`run_until_complete(t)` and its like wait without being cancellable."""
    held = called.args[0] if called.args else None
    if isinstance(held, Coroutine):
        followed = call_inline(held.function, held.bindings, called.result()[0], called.expr.span, frame)
        if followed is not None:
            return followed
    frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
    if isinstance(held, Handle | Waiter):
        done = (*called.trail, frame.step(called.expr.span, "run to its end here"))
        return [Result(called.state.ended(), done, None)]
    return called.result()


def _partial(called: Called, frame: Frame) -> list[Result]:
    if called.args and isinstance(called.args[0], Cancel):
        return called.result(Cancel())
    if called.held is None:
        return called.result(called.args[0] if called.args else None)
    target = called.expr.args[0]
    function = frame.shared.program.functions.get(target.path) if isinstance(target, code.Global) else None
    if function is None:
        return _unknown(called, frame, raises=False)
    return called.result(Coroutine(function, _bindings(function, called.args[1:], called, bound_method=False)))


# -- methods -------------------------------------------------------------------------------------------------------


def _method_call(attr: str, called: Called, frame: Frame) -> list[Result]:
    receiver = called.receiver
    if isinstance(receiver, Handle):
        if found := _handle_method(attr, called, frame):
            return found
    if isinstance(receiver, Waiter) and attr == "cancel":
        return [_cancel(called, frame)]
    if holds(receiver) and (found := _container_method(attr, called, frame)):
        return found
    function = _resolved(attr, called, frame)
    if function is not None:
        return _function(function, called, frame, bound_method=True)
    if attr in LOOP_RUNS:
        return _run(called, frame)
    if attr in LOOP_DEFERS:
        return called.result()
    if attr in _STACK_METHODS and (found := _push(called, frame)):
        return found
    if attr in ADDING | {"setdefault"} and called.held is not None:
        return _add(attr, called, frame)
    if attr in ("get", "setdefault", "pop", "values") and isinstance(receiver, Ref):
        return called.result(receiver)  # what is in there belongs to it
    if attr == "gather" and called.held is not None:
        return called.result(_gather(called))
    return _unknown(called, frame)


def _handle_method(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    match attr:
        case "cancel":
            return [_cancel(called, frame)]
        case "result" | "exception":
            seen = called.state.with_status(Status.SEEN_DONE) if called.state.alive else called.state
            frame.leave(Way.EXCEPTION, seen, called.trail, called.expr.span)
            return [Result(seen, called.trail, None)]
        case "add_done_callback" | "remove_done_callback" | "done" | "cancelled" | "get_name" | "set_name" | "get_coro":
            return called.result()
        case "get_loop" | "get_stack" | "print_stack" | "uncancel" | "cancelling":
            return called.result()
    return None


def _cancel(called: Called, frame: Frame) -> Result:
    state = called.state.cancelled()
    trail = called.trail
    if state is not called.state:
        trail = (*trail, frame.step(called.expr.span, "cancelled here"))
    return Result(state, trail, None)


def _container_method(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    """Methods of a container that holds the task."""
    receiver = called.receiver
    element = receiver.element if isinstance(receiver, Holder) else element_of(receiver)
    if element is None:
        return None
    func = called.expr.func
    place = frame.place(func.value, called.state) if isinstance(func, code.Attribute) else None
    keyed = isinstance(receiver, Holder) and receiver.keyed

    def without() -> State:
        return bind(called.state, place, None) if place and place != frame.sticky else called.state

    if attr in POPPING:
        taken = Items((None, element)) if attr == "popitem" else element
        others = called.result()
        return [Result(without(), called.trail, taken), *others]
    if attr in REMOVING and called.held is not None:
        return [Result(without(), called.trail, None)]
    if attr in EMPTYING:
        return [Result(without(), called.trail, None)]
    if attr in PICKING or attr == "setdefault":
        return called.result(element)
    if attr == "items":
        return called.result(Holder(Items((None, element))))
    if attr == "keys":
        return called.result()
    if attr in VIEWING:
        return called.result(Holder(element, keyed=keyed and attr == "copy"))
    if attr in ADDING and isinstance(receiver, Items) and place is not None:
        return [Result(bind(called.state, place, Holder(element)), called.trail, None)]
    return called.result() if attr in HARMLESS_METHODS else None


def _add(attr: str, called: Called, frame: Frame) -> list[Result]:
    """The task goes into a container."""
    func, held = called.expr.func, called.held
    if not isinstance(func, code.Attribute) or held is None:
        return _unknown(called, frame)
    place = called.receiver.place if isinstance(called.receiver, Ref) else frame.place(func.value, called.state)
    if place is None:
        return _unknown(called, frame)
    element = element_of(held) if attr in ("extend", "update") and isinstance(held, Holder | Items) else held
    state, trail = called.state, called.trail
    if place.scope != "local":
        trail = (*trail, frame.step(called.expr.span, f"kept in `{text(func.value)}` here"))
    elif not _is_own_container(func.value, frame):
        state, trail = hand_over(state, trail, f"put into `{text(func.value)}`", called.expr.span, frame)
    keyed = attr == "setdefault" or (attr == "update" and isinstance(held, Holder) and held.keyed)
    return [Result(bind(state, place, Holder(element or HANDLE, keyed)), trail, element if attr == "setdefault" else None)]


def _is_own_container(expr: Expr, frame: Frame) -> bool:
    """Whether a local name is bound to a container that the function itself makes."""
    if not isinstance(expr, code.Name) or frame.is_foreign(expr.id):
        return False
    kind = frame.kind(expr)
    return kind is not None and (kind in CONTAINER_TYPES or kind.startswith("builtins.") or kind.startswith("asyncio."))


def _push(called: Called, frame: Frame) -> list[Result] | None:
    """`stack.callback(t.cancel)`: what an exit stack of this function does when it is left."""
    func = called.expr.func
    if not isinstance(func, code.Attribute) or not isinstance(func.value, code.Name) or not called.args:
        return None
    first = called.args[0]
    target = called.expr.args[0]
    value: Value | None = None
    if isinstance(first, Cancel):
        value = first
    elif isinstance(first, Closure):
        value = Coroutine(first.function, _bindings(first.function, called.args[1:], called, bound_method=False))
    elif isinstance(target, code.Global | code.Attribute):
        function = _named(target, frame)
        if function is not None:
            bound = isinstance(target, code.Attribute)
            value = Coroutine(function, _bindings(function, called.args[1:], called, bound_method=bound))
    if value is None:
        return None
    place = Place(DEFERRED, func.value.id)
    return [Result(called.state.set(place, value), called.trail, None)]


# -- functions of the program --------------------------------------------------------------------------------------


def _resolved(attr: str, called: Called, frame: Frame) -> code.Function | None:
    """The method of a class of the program that a call reaches."""
    func = called.expr.func
    if not isinstance(func, code.Attribute):
        return None
    owner = frame.kind(func.value)
    return frame.shared.program.method(owner, attr) if owner else None


def _named(target: Expr, frame: Frame) -> code.Function | None:
    if isinstance(target, code.Global):
        return frame.shared.program.functions.get(target.path)
    if isinstance(target, code.Attribute) and (owner := frame.kind(target.value)):
        return frame.shared.program.method(owner, target.attr)
    return None


def _bindings(
    function: code.Function, args: tuple[Value | None, ...], called: Called, *, bound_method: bool
) -> tuple[tuple[str, Value], ...]:
    taken = called.expr.args[len(called.args) - len(args) :]
    names = (keyword.name for keyword in called.expr.keywords)
    keywords = tuple(zip(names, called.keywords, strict=True))
    starred = tuple(isinstance(arg, code.Starred) for arg in taken)
    is_static = not any(True for _ in function.params)
    return bind_arguments(function, args, starred, keywords, bound_method=bound_method and not is_static)


def _function(function: code.Function, called: Called, frame: Frame, *, bound_method: bool) -> list[Result]:
    static = any(isinstance(d, code.Global) and d.path == "builtins.staticmethod" for d in function.decorators)
    bindings = _bindings(function, called.args, called, bound_method=bound_method and not static)
    relevant = called.held is not None or is_relevant(function, called.state, frame)
    if function.is_async and not function.is_generator:
        return called.result(Coroutine(function, bindings) if relevant else None)
    if not relevant or function.is_generator:
        return _unknown(called, frame)
    followed = call_inline(function, bindings, called.result()[0], called.expr.span, frame)
    return followed if followed is not None else _unknown(called, frame)


def _construct(path: str, called: Called, frame: Frame) -> list[Result]:
    """An object of the program that is given the task: its `__init__`, or the fields of a dataclass."""
    if called.held is None:
        return _unknown(called, frame)
    init = frame.shared.program.method(path, "__init__")
    if init is not None:
        return _function(init, called, frame, bound_method=True)
    names = [
        target.id
        for ancestor in reversed(frame.shared.program.ancestors(path))
        if ancestor in frame.shared.program.classes
        for statement in frame.shared.program.classes[ancestor].body.body
        if isinstance(statement, code.Assign) and statement.annotation is not None
        for target in statement.targets
        if isinstance(target, code.Name)
    ]
    given = [*zip(names, called.args, strict=False)]
    given += [(k.name or "", v) for k, v in zip(called.expr.keywords, called.keywords, strict=True)]
    state, trail = called.state, called.trail
    for name, value in given:
        if holds(value) and name in names:
            trail = (*trail, frame.step(called.expr.span, f"kept in `{path.rpartition('.')[2]}.{name}` here"))
            state = bind(state, field(path, name), value)
    if state is called.state:
        return _unknown(called, frame)
    frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
    return [Result(state, trail, None)]


# -- everything else -----------------------------------------------------------------------------------------------


def _unknown(called: Called, frame: Frame, *, raises: bool = True) -> list[Result]:
    """A call that cannot be followed: it may fail, and what it is given is in other hands."""
    state, trail = called.state, called.trail
    span = called.expr.span
    if raises and not called.consumed and not _is_harmless(called):
        frame.leave(Way.EXCEPTION, state, trail, span)
    if not _ignores_arguments(called):
        name = text(called.expr.func)
        for value in called.values:
            if holds(value) or isinstance(value, Cancel):
                state, trail = hand_over(state, trail, f"passed to `{name}`", span, frame)
            elif isinstance(value, Closure) or (isinstance(value, Coroutine) and not holds(value)):
                escaped = Closure(value.function)
                state = state.set(Place(ESCAPED, value.function.qualname), escaped)
    return [Result(state, trail, None)]


def _method(expr: code.Call) -> str:
    return expr.func.attr if isinstance(expr.func, code.Attribute) else ""


def _is_harmless(called: Called) -> bool:
    func = called.expr.func
    if isinstance(func, code.Attribute):
        return func.attr in HARMLESS_METHODS or func.attr in LOOP_DEFERS
    if isinstance(func, code.Global):
        entry = CATALOG.get(func.path)
        return (entry is not None) or ("." in func.text and func.path.rpartition(".")[2] in LOGGING)
    return False


def _ignores_arguments(called: Called) -> bool:
    func = called.expr.func
    name = func.attr if isinstance(func, code.Attribute) else func.path.rpartition(".")[2] if isinstance(func, code.Global) else ""
    return name in LOGGING or name in REMOVING or name in ("add_done_callback", "remove_done_callback")

