"""Calls: what the catalogue, the builtin containers and the functions of the program do with the followed task."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis.interpreter import library
from leaklint.analysis.interpreter.births import birth, is_birth
from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.containers import add, container_method, give
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.handles import cancel, handle_method
from leaklint.analysis.interpreter.inline import bind_arguments, call_inline, hand_over, is_relevant, known_arguments
from leaklint.analysis.interpreter.objects import owner_method, record
from leaklint.analysis.interpreter.starting import is_harmless_gather, started
from leaklint.analysis.interpreter.state import (
    DEFERRED,
    ESCAPED,
    HANDLE,
    Cancel,
    Closure,
    Coroutine,
    Empty,
    Handle,
    Holder,
    Owner,
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
    holds,
)
from leaklint.analysis.interpreter.storing import assign
from leaklint.analysis.kinds import last_name
from leaklint.analysis.outcomes import consumes, is_harmless, is_plain_class
from leaklint.analysis.resolve import resolved
from leaklint.catalog import (
    ADDING,
    EXPLORING,
    LOGGING,
    LOOP_DEFERS,
    LOOP_RUNS,
    LOOP_SOON,
    POPPING,
    REMOVING,
    VIEWING,
    Role,
)
from leaklint.model import code
from leaklint.model.fate import PathKind
from leaklint.model.walk import text

_SPAWNS = (Role.SPAWN, Role.SPAWN_OWNED, Role.SPAWN_KEPT, Role.SPAWN_DROPPED)
_TAKING = (Role.DEFER, Role.END_HOOK, Role.RESUME_HOOK, Role.OWNER, Role.OBJECT, Role.THREAD)
"""The roles of what may take the task, or something that cancels it, out of sight."""
_STACK_METHODS = ("callback", "push_async_callback")


def call(expr: code.Call, state: State, trail: Trail, frame: Frame, *, consumed: bool) -> list[Result]:
    """The outcomes of a call."""
    results: list[Result] = []
    consuming = expr is frame.spawn or consumes(expr.func, frame.function, frame.shared.kinds)
    for called in _evaluated(expr, state, trail, frame, consuming=consuming, consumed=consumed):
        if is_birth(expr, called.state, frame):
            results += birth(called.result(started(called, frame))[0], frame)
        else:
            results += _dispatch(called, frame)
    return results


def _evaluated(
    expr: code.Call, state: State, trail: Trail, frame: Frame, *, consuming: bool, consumed: bool
) -> list[Called]:
    receiver = expr.func.value if isinstance(expr.func, code.Attribute) else None
    if receiver is None and not isinstance(expr.func, code.Global):
        receiver = expr.func  # a local name, a lambda, a call: its value is what is called
    points = frame.evaluate(receiver, state, trail) if receiver else [Result(state, trail, None)]
    found = [Called(expr, p.state, p.trail, p.value, (), (), consumed) for p in points]
    for argument in expr.args:
        found = [
            replace(c, state=r.state, trail=r.trail, args=(*c.args, r.value))
            for c in found
            for r in frame.evaluate(argument, c.state, c.trail, consumed=consuming)
        ]
    for keyword in expr.keywords:
        found = [
            replace(c, state=r.state, trail=r.trail, keywords=(*c.keywords, r.value))
            for c in found
            for r in frame.evaluate(keyword.value, c.state, c.trail, consumed=consuming)
        ]
    return found


def _dispatch(called: Called, frame: Frame) -> list[Result]:
    func = called.expr.func
    match called.expr:
        case code.Call(func=code.Global(path="builtins.getattr"), args=[owner, code.Constant(value=str(attr)), *_]):
            return frame.evaluate(code.Attribute(owner, attr, called.expr.span), called.state, called.trail)
        case code.Call(func=code.Global(path="builtins.setattr"), args=[owner, code.Constant(value=str(attr)), _]):
            target = code.Attribute(owner, attr, called.expr.span)
            return assign(target, called.args[2], called.state, called.trail, frame)
    if isinstance(func, code.Global):
        role = frame.role(func)
        if role is not None and role not in _TAKING:
            return _library(role, called, frame)
        if func.path in frame.shared.program.functions:
            return _function(frame.shared.program.functions[func.path], called, frame, bound_method=False)
        if func.path in frame.shared.program.classes:
            return _construct(func.path, called, frame)
        if role is Role.DEFER:
            return called.result()
        if "." in func.text:
            return _method_call(func.path.rpartition(".")[2], called, frame)
    elif isinstance(func, code.Attribute):
        return _method_call(func.attr, called, frame)
    elif isinstance(func, code.Name) and (function := resolved(func, frame.function, frame.shared.kinds)):
        return _function(function, called, frame, bound_method=False)
    elif isinstance(called.receiver, Closure):
        return _function(called.receiver.function, called, frame, bound_method=False)
    elif isinstance(called.receiver, Cancel):
        return [cancel(called, frame)]
    elif isinstance(called.receiver, Owner):
        return [called.result()[0]._replace(state=called.state.ended())]
    return unknown(called, frame)


# -- the library ------------------------------------------------------------------------------------------------------


def _library(role: Role, called: Called, frame: Frame) -> list[Result]:
    held = called.held
    if role in _SPAWNS and (held is not None or any(isinstance(v, Coroutine | Closure) for v in called.values)):
        return _spawn(called, frame)
    match role:
        case Role.GATHER if held is not None:
            return called.result(library.gather(called, frame, harmless=is_harmless_gather(called, frame)))
        case Role.GATHER:
            # coroutines that share variables with this function may wait for the task
            return called.result(next((value for value in called.values if isinstance(value, Coroutine)), None))
        case Role.WAIT if held is not None:
            return called.result(library.wait(called, frame))
        case Role.WAIT_FOR if called.args:
            return called.result(library.wait_for(called))
        case Role.CANCEL_AND_WAIT if held is not None:
            return [cancel(called, frame)._replace(value=Waiter())]
        case Role.SHIELD if called.args:
            return called.result(library.shield(called.args[0], called, frame))
        case Role.AS_COMPLETED if held is not None:
            return called.result(library.as_completed(called, frame))
        case Role.RUN:
            return _run(called, frame)
        case Role.LEAVES:
            frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
            return []
        case Role.ENDS:
            return []
        case Role.ALL_TASKS if called.state.alive:
            return called.result(Holder(HANDLE))
        case Role.COLLECT if held is None and len(called.args) == 1 and isinstance(called.args[0], Empty):
            return called.result(called.args[0])
        case Role.COLLECT if held is not None:
            return called.result(library.collect(called))
        case Role.PICK if called.args:
            return called.result(library.pick(held if held is not None else called.args[0]))
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
    if isinstance(value, Coroutine) and (followed := _followed(value, called, frame)) is not None:
        return followed
    return unknown(called, frame, raises=False)


def _followed(coroutine: Coroutine, called: Called, frame: Frame) -> list[Result] | None:
    """Another task that runs a coroutine of the program on ours: to wait for it may be to wait for ours.

    None when it may do anything else with ours, or cannot be followed.
    """
    point = called.result()[0]
    with frame.catching() as exits:
        ends = call_inline(
            coroutine.function, coroutine.bindings, point, called.expr.span, frame, known=coroutine.known
        )
    if not ends:
        return None
    fails_before = any(state.alive and way is Way.EXCEPTION for way, state, _, _ in exits)
    if all(end.state.status is Status.ENDED for end in ends) and not fails_before:
        waits = frame.step(called.expr.span, f"`{coroutine.function.name}` waits for it, in a task of its own")
        return [Result(called.state, (*called.trail, waits), Waiter(frozenset({PathKind.CANCELLATION})))]
    untouched = all(end.state == called.state for end in ends)
    return called.result() if untouched else None


def _run(called: Called, frame: Frame) -> list[Result]:
    """`run_until_complete(t)` and its like wait without being cancellable."""
    held = called.args[0] if called.args else None
    if isinstance(held, Coroutine):
        followed = call_inline(
            held.function, held.bindings, called.result()[0], called.expr.span, frame, known=held.known
        )
        if followed is not None:
            return followed
    if isinstance(held, Handle | Waiter):
        waiter = held if isinstance(held, Waiter) else Waiter()
        # nothing can cancel a function that is no coroutine
        waiter = replace(waiter, leaves=waiter.leaves - {PathKind.CANCELLATION})
        return frame.wait(waiter, called.result()[0], called.expr.span)
    frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
    return called.result()


def _partial(called: Called, frame: Frame) -> list[Result]:
    if called.args and isinstance(called.args[0], Cancel):
        return called.result(Cancel())
    if called.held is None:
        return called.result(called.args[0] if called.args else None)
    target = called.expr.args[0]
    function = resolved(target, frame.function, frame.shared.kinds)
    if function is None:
        return unknown(called, frame, raises=False)
    return called.result(Coroutine(function, _bindings(function, called.args[1:], called, bound_method=False)))


# -- methods ----------------------------------------------------------------------------------------------------------


def _method_call(attr: str, called: Called, frame: Frame) -> list[Result]:
    receiver = called.receiver
    if isinstance(receiver, Owner):
        return owner_method(attr, receiver, called, frame)
    if isinstance(receiver, Handle) and (found := handle_method(attr, called, frame)):
        return found
    if isinstance(receiver, Waiter) and attr == "cancel":
        return [cancel(called, frame)]
    if isinstance(receiver, Waiter) and attr == "result" and _has_failed(receiver, called.state):
        frame.leave(Way.SIBLING, called.state, called.trail, called.expr.span)
        return []
    if isinstance(receiver, Waiter):
        return called.result(receiver if attr == "wait" else None)
    if isinstance(receiver, Empty) and attr in POPPING:
        return called.result(element_of(receiver))
    if isinstance(receiver, Handle) and not receiver.certain:
        return []  # a task has no such method: here it was something else
    if holds(receiver) and (found := container_method(attr, called, frame)):
        return found
    if known := _known_method(attr, called, frame):
        return known
    function = resolved(called.expr.func, frame.function, frame.shared.kinds)
    if function is not None:
        return _function(function, called, frame, bound_method=True)
    if attr in LOOP_RUNS:
        return _run(called, frame)
    if attr in LOOP_DEFERS:
        soon = attr in LOOP_SOON and any(isinstance(value, Cancel) for value in called.values)
        return [cancel(called, frame)] if soon else called.result()
    if attr in _STACK_METHODS and (found := _push(called, frame)):
        return found
    if attr in ADDING | {"setdefault"} and called.held is not None:
        return add(attr, called, frame) or unknown(called, frame)
    if attr in ("get", "setdefault", "pop", "values") and isinstance(receiver, Ref):
        return called.result(receiver)  # what is in there belongs to it
    if attr in VIEWING and called.held is not None and isinstance(receiver, Ref | Empty):
        return called.result(Holder(element_of(called.held) or HANDLE))
    if attr == "gather" and called.held is not None:
        return called.result(library.gather(called, frame))
    return unknown(called, frame)


def _has_failed(waiter: Waiter, state: State) -> bool:
    """Whether a `gather` is done because one of its members has failed."""
    left = state.left
    return left is not None and left.kind is PathKind.SIBLING and left.by is not None and left.by == waiter.by


def _known_method(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    """A method of a class of which the catalogue or the configuration speaks."""
    kinds = frame.shared.kinds
    if called.held is None and attr not in kinds.catalog.spawn_names:
        return None
    if kinds.role_of_callee(called.expr.func, frame.function) in _SPAWNS:
        return _library(Role.SPAWN, called, frame)
    return give(called, frame)


def _push(called: Called, frame: Frame) -> list[Result] | None:
    """`stack.callback(t.cancel)`: what an exit stack of this function does when it is left."""
    func = called.expr.func
    if not isinstance(func, code.Attribute) or not isinstance(func.value, code.Name) or not called.args:
        return None
    first = called.args[0]
    target = called.expr.args[0]
    value: Value | None = None
    if isinstance(first, Owner):
        return None
    if isinstance(first, Cancel):
        value = first
    elif isinstance(first, Closure):
        value = Coroutine(first.function, _bindings(first.function, called.args[1:], called, bound_method=False))
    elif isinstance(target, code.Global | code.Attribute):
        function = resolved(target, frame.function, frame.shared.kinds)
        if function is not None:
            bound = isinstance(target, code.Attribute)
            value = Coroutine(function, _bindings(function, called.args[1:], called, bound_method=bound))
    if value is None:
        return None
    place = Place(DEFERRED, func.value.id)
    return [Result(called.state.set(place, value), called.trail, None)]


# -- functions of the program -----------------------------------------------------------------------------------------


def _bindings(
    function: code.Function, args: tuple[Value | None, ...], called: Called, *, bound_method: bool
) -> tuple[tuple[str, Value], ...]:
    taken = called.expr.args[len(called.args) - len(args) :]
    names = (keyword.name for keyword in called.expr.keywords)
    keywords = tuple(zip(names, called.keywords, strict=True))
    starred = tuple(isinstance(arg, code.Starred) for arg in taken)
    return bind_arguments(function, args, starred, keywords, bound_method=bound_method)


def _function(function: code.Function, called: Called, frame: Frame, *, bound_method: bool) -> list[Result]:
    static = any(isinstance(d, code.Global) and d.path == "builtins.staticmethod" for d in function.decorators)
    bindings = _bindings(function, called.args, called, bound_method=bound_method and not static)
    relevant = called.held is not None or is_relevant(function, called.state, frame)
    if function.is_async and not function.is_generator:
        known = known_arguments(function, called.expr)
        return called.result(Coroutine(function, bindings, known) if relevant else None)
    if not relevant or function.is_generator:
        return unknown(called, frame, raises=frame.shared.outcomes.call_raises(function))
    known = known_arguments(function, called.expr)
    followed = call_inline(function, bindings, called.result()[0], called.expr.span, frame, known=known)
    return followed if followed is not None else unknown(called, frame)


def _construct(path: str, called: Called, frame: Frame) -> list[Result]:
    """An object of the program that is given the task: its `__init__`, or the fields of a dataclass."""
    if called.held is None:
        return unknown(called, frame, raises=not is_plain_class(path, frame.shared.program))
    init = frame.shared.program.method(path, "__init__")
    if init is not None:
        return _function(init, called, frame, bound_method=True)
    return record(path, called, frame) or unknown(called, frame)


# -- everything else --------------------------------------------------------------------------------------------------


def unknown(called: Called, frame: Frame, *, raises: bool = True) -> list[Result]:
    """A call that cannot be followed: it may fail, and what it is given is in other hands."""
    state, trail = called.state, called.trail
    span = called.expr.span
    if raises and not called.consumed and not is_harmless(called.expr.func):
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


def _ignores_arguments(called: Called) -> bool:
    name = last_name(called.expr.func)
    return name in LOGGING | REMOVING | EXPLORING or name in ("add_done_callback", "remove_done_callback")
