"""Calls of functions of the program: run in place, with the task in their parameters, closures and fields."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import DEEPEST_CALL, Entry, Frame
from leaklint.analysis.interpreter.state import (
    CELL,
    DEFERRED,
    HANDED,
    HANDLE,
    LOCAL,
    OVER,
    RETURNED,
    Coroutine,
    Exits,
    Holder,
    Items,
    Place,
    Result,
    State,
    Status,
    Trail,
    Value,
    Way,
    holds,
    is_kept,
    local,
)
from leaklint.analysis.interpreter.words import outcomes_of
from leaklint.analysis.kinds import path_of, receiver
from leaklint.model import code
from leaklint.model.code import Expr, Span

Bindings = tuple[tuple[str, Value], ...]
_MOST_TURNS = 4
"""A function that calls itself is run so often, until nothing new is found."""
Known = frozenset[tuple[str, bool]]
"""Outcomes of conditions."""


def bind_arguments(
    function: code.Function,
    args: tuple[Value | None, ...],
    starred: tuple[bool, ...],
    keywords: tuple[tuple[str | None, Value | None], ...],
    *,
    bound_method: bool,
) -> Bindings:
    """The parameters that hold the task, when a function is called with these values."""
    positional = [param for param in function.params if param.kind == "positional"][1 if bound_method else 0 :]
    rest = next((param for param in function.params if param.kind == "*"), None)
    options = next((param for param in function.params if param.kind == "**"), None)
    names = {param.name for param in function.params if param.kind in ("positional", "keyword")}
    found: dict[str, Value] = {}
    extra: list[Value | None] = []
    for index, (value, is_starred) in enumerate(zip(args, starred, strict=True)):
        if is_starred and holds(value):
            extra.append(value)
        elif index < len(positional):
            if value is not None:
                found[positional[index].name] = value
        else:
            extra.append(value)
    if rest is not None and any(map(holds, extra)):
        unpacked = any(is_starred and holds(value) for value, is_starred in zip(args, starred, strict=True))
        found[rest.name] = next(filter(holds, extra)) or HANDLE if unpacked else Items(tuple(extra))
    for name, value in keywords:
        if value is None:
            continue
        if name in names:
            found[name] = value
        elif options is not None and holds(value):
            found[options.name] = Holder(HANDLE, keyed=True)
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def known_arguments(function: code.Function, call: code.Call) -> Known:
    """What the conditions of a function on its parameters will be, as far as a call passes constants."""
    positional = [param for param in function.params if param.kind == "positional"]
    if receiver(function) is not None and (isinstance(call.func, code.Attribute) or _is_classmethod(function)):
        positional = positional[1:]
    given: dict[str, Expr | None] = {param.name: param.default for param in function.params}
    for param, arg in zip(positional, call.args, strict=False):
        given[param.name] = arg
    if any(isinstance(arg, code.Starred) for arg in call.args) or any(k.name is None for k in call.keywords):
        return frozenset()
    given.update({keyword.name: keyword.value for keyword in call.keywords if keyword.name is not None})
    return frozenset(
        condition
        for name, value in given.items()
        if isinstance(value, code.Constant) and (value.value is None or isinstance(value.value, bool))
        for condition in outcomes_of(name, value.value)
    )


def _is_classmethod(function: code.Function) -> bool:
    return any(path_of(decorator) == "builtins.classmethod" for decorator in function.decorators)


def is_nested(function: code.Function, frame: Frame) -> bool:
    return function.qualname.startswith(f"{frame.function.qualname}.")


def is_relevant(function: code.Function, state: State, frame: Frame) -> bool:
    """Whether running a function could touch the task without being given it: through a closure, field or global."""
    if not state.alive:
        return False
    if is_nested(function, frame) and any(holds(state.get(local(name))) for name in function.free_names):
        return True
    fields = {place.name for place in state.places() if is_kept(place)}
    # who asks for all tasks can reach every one
    return not _reach(function, frame, 2).isdisjoint(fields | {"asyncio.all_tasks"})


def _reach(function: code.Function, frame: Frame, depth: int) -> frozenset[str]:
    """The words a function mentions, itself or through methods of its own object."""
    words = function.words
    if depth and function.owner:
        itself = receiver(function)
        for word in sorted(words):
            method = frame.shared.program.method(function.owner, word)
            if itself and method and method is not function:
                words = words | _reach(method, frame, depth - 1)
    return words


def run_inline(
    function: code.Function, bindings: Bindings, point: Result, frame: Frame, known: Known = frozenset()
) -> Exits | None:
    """The exits of a call, in terms of the callee; None when the call is too deep to follow."""
    if function is frame.function and not frame.stack:
        return None
    env = {(place, value) for place, value in point.state.env if is_kept(place)}
    if is_nested(function, frame):
        for name in sorted(function.free_names):
            if (value := point.state.get(frame.name_place(name))) is not None:
                env.add((Place(CELL, name), value))
    env |= {(local(name), value) for name, value in bindings}
    entry = State(point.state.status, frozenset(env), point.state.left, known)
    return _exits(function, entry, frame)


def _exits(function: code.Function, entry: State, frame: Frame) -> Exits | None:
    """The exits of a function that is entered in a state. One that calls itself in the same state has, at first, none;
    it is run again with those it was found to have, until these are all.
    """
    shared = frame.shared
    sticky, outside = frame.sticky, frame.outside
    if sticky is not None and sticky.scope == LOCAL:
        sticky = Place(CELL, sticky.name)
    elif sticky is None and outside is not None and outside.spawner == function.qualname:
        sticky = outside.place  # what it keeps there is the next task, of which the same is asked
    key = Entry(function.qualname, entry, sticky, outside)
    if key in shared.memo:
        return shared.memo[key]
    if key in shared.running:
        shared.turned_back.add(key)
        return shared.running[key]
    if len(frame.stack) >= DEEPEST_CALL:
        return None
    stack = (*frame.stack, frame.function.qualname)
    found: Exits | None = Exits()
    for _ in range(_MOST_TURNS):
        shared.running[key] = found = found or Exits()
        after = Frame(shared, function, sticky=sticky, outside=outside, stack=stack).run(entry, ())
        settled = key not in shared.turned_back or after.found.keys() == found.found.keys()
        found = after
        if settled:
            break
    else:
        found = None
    del shared.running[key]
    shared.turned_back.discard(key)
    if not shared.turned_back:  # else it rests on what is not settled yet
        shared.memo[key] = found
    return found


def call_inline(
    function: code.Function,
    bindings: Bindings,
    point: Result,
    span: Span,
    frame: Frame,
    *,
    known: Known = frozenset(),
    limit: bool = False,
) -> list[Result] | None:
    """Runs a call in place; None when it cannot be followed. With `limit`, it may be cut by a time-out as well."""
    exits = run_inline(function, bindings, point, frame, known)
    if exits is None:
        return None
    results: list[Result] = []
    for way, state, trail, _ in exits:
        back = _back(state, point.state, function, frame)
        own = tuple(step for step in trail if step not in point.trail)
        steps = (*point.trail, *(() if not own else (frame.act(span, f"calls `{function.name}`"), *own)))
        if way.is_straight:
            results.append(Result(back, steps, state.get(RETURNED)))
        elif way not in (Way.BREAK, Way.CONTINUE):
            frame.leave(way, back, steps, span)
            if limit and way is Way.CANCELLATION:
                frame.leave(Way.TIMEOUT, back, steps, span)
    return results


def _back(state: State, before: State, function: code.Function, frame: Frame) -> State:
    """The caller's state after a call: its own names, and what the callee did to the rest."""
    if state.status is Status.ENDED:
        return OVER
    env = {(place, value) for place, value in before.env if place.scope in (LOCAL, CELL, DEFERRED, "escaped", "away")}
    env |= {(p, v) for p, v in state.env if is_kept(p) and p.scope != CELL}
    if state.get(HANDED):
        env.add((HANDED, HANDLE))
    if is_nested(function, frame):
        for name in sorted(function.free_names):
            place = frame.name_place(name)
            env = {entry for entry in env if entry[0] != place}
            if (value := state.get(Place(CELL, name))) is not None:
                env.add((place, value))
    return State(state.status, frozenset(env), state.left, before.assumed)


def await_coroutine(coroutine: Coroutine, point: Result, span: Span, frame: Frame) -> list[Result]:
    """Awaiting a call of a coroutine function of the program."""
    followed = call_inline(
        coroutine.function, coroutine.bindings, point, span, frame, known=coroutine.known, limit=coroutine.limit
    )
    if followed is not None:
        return followed
    state, trail = point.state, point.trail
    if holds(coroutine):
        state, trail = hand_over(state, trail, f"passed to `{coroutine.function.name}`", span, frame)
    frame.leave(Way.EXCEPTION, state, trail, span)
    frame.leave(Way.CANCELLATION, state, trail, span)
    return [Result(state, trail, None)]


def hand_over(state: State, trail: Trail, how: str, span: Span, frame: Frame) -> tuple[State, Trail]:
    """The task has gone where it cannot be followed."""
    return state.set(HANDED, HANDLE), (*trail, frame.step(span, f"{how}, where it cannot be followed"))
