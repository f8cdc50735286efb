"""Kept handles: who, in the whole program, waits for a task that a field, a global or an enclosing variable holds."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.analysis.interpreter.frame import Frame, Outside, Shared
from leaklint.analysis.interpreter.state import (
    CELL,
    GLOBAL,
    HANDED,
    RETURNED,
    Exits,
    Place,
    State,
    Status,
    Trail,
    Value,
    Wait,
    field_owner,
    is_given,
    local,
)
from leaklint.analysis.resolve import uses
from leaklint.analysis.spawns import Spawn
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Fate, PathKind, Step
from leaklint.model.walk import walk


@dataclass(frozen=True, slots=True)
class Effect:
    """What one function does with a kept task; the higher `rank`, the better for the task."""

    rank: int
    fate: Fate
    paths: tuple[PathKind, ...]
    evidence: tuple[Step, ...]
    function: code.Function | None
    left_at: Span | None = None
    """For `hazard`: where the task is left running."""
    by: Wait | None = None
    """For `hazard`: the wait that leaves it running."""


KEEPS = Effect(0, Fate.KEPT, (), (), None)
_GIVES_AWAY, _LEAVES, _CANCELS, HANDS_ON, WAITS = 1, 2, 3, 4, 5


def best_effect(place: Place, value: Value, spawner: code.Function, shared: Shared) -> Effect:
    """The best that any function of the program does with a task kept at a place."""
    if is_given(place) or shared.kinds.role_of(field_owner(place)) is Role.OWNER:
        return Effect(WAITS, Fate.OWNED, (), (), None)
    best = KEEPS
    asked = candidates(place, spawner, shared)
    for function in asked:
        effect = effect_of(function, value, Outside(place, spawner.qualname), shared)
        if effect.rank == _GIVES_AWAY:
            asked += [user for user in _users(function, shared) if user not in asked]
        if effect.rank > best.rank:
            best = effect
        if best.rank == WAITS:
            break
    return best


def swept(spawn: Spawn, shared: Shared) -> Effect:
    """What a class does with all tasks of the event loop in which a method of it spawns, if the loop is its own."""
    program, func = shared.program, spawn.call.func
    owner = program.owner_of(spawn.function)
    if owner is None or not isinstance(func, code.Attribute) or not isinstance(func.value, code.Attribute):
        return KEEPS
    family = program.family(owner)
    for function in program.mentioning("all_tasks", owner):
        if program.owner_of(function) in family:
            effect = _judge(Frame(shared, function).run(State(Status.RUNNING), ()), function, Frame(shared, function))
            if effect.rank == WAITS:
                return effect
    return KEEPS


def _users(function: code.Function, shared: Shared) -> list[code.Function]:
    """The functions that get the task from one that returns it."""
    return [use.caller for use in uses(function, shared.kinds).found]


def candidates(place: Place, spawner: code.Function, shared: Shared) -> list[code.Function]:
    """The functions that may reach what is kept at a place, in the order in which they are asked."""
    program = shared.program
    if place.scope == GLOBAL:
        return list(program.mentioning(place.name, place.name))
    if place.scope == CELL:
        top = spawner.qualname.partition(".<")[0].rsplit(".", 1)[0]
        return [f for f in program.mentioning(place.name, top) if f.qualname == top or f.qualname.startswith(f"{top}.")]
    word = place.name[1:-1].strip("'\"") if place.name.startswith("[") else place.name
    owner = field_owner(place)
    mentions = program.mentioning(word, owner if owner and owner in program.classes else spawner.qualname)
    if owner is None:
        return list(mentions)
    family = set(program.family(owner))
    home = {program.paths[each] for each in family if each in program.paths} | {program.paths[spawner.qualname]}
    receivers: set[str | None] = {*family}
    if shared.kinds.declaring(place.name) <= family:
        receivers.add(None)  # no other class has an attribute of that name
    near = [f for f in mentions if program.paths[f.qualname] in home or _reaches(f, word, receivers, shared)]
    return sorted(near, key=lambda function: program.owner_of(function) not in family)


def _reaches(function: code.Function, word: str, receivers: set[str | None], shared: Shared) -> bool:
    """Whether a function in another file plainly reads an attribute of one of these classes (None: an unknown one)."""
    read = (node.value for node in walk(function.body, code.Attribute) if node.attr == word)
    if any(shared.kinds.of(receiver, function) in receivers for receiver in read):
        return True
    return any(path.rpartition(".")[2] == word and path.rpartition(".")[0] in receivers for path in function.words)


def effect_of(function: code.Function, value: Value, outside: Outside, shared: Shared) -> Effect:
    """What a function does with a task that is at a place when it is entered."""
    place = outside.place
    env: set[tuple[Place, Value]] = {(place, value)}
    sticky = None
    if place.scope == CELL and place.name in function.local_names:
        sticky = local(place.name)
        env = {(sticky, value)}
    elif place.scope == GLOBAL and function.kind == "module":
        sticky = place
    frame = Frame(shared, function, sticky=sticky, outside=outside)
    exits = frame.run(State(Status.RUNNING, frozenset(env)), ())
    return _judge(exits, function, frame)


def _judge(exits: Exits, function: code.Function, frame: Frame) -> Effect:
    straight = [(state, trail) for way, state, trail, _ in exits if way.is_straight]
    # a function that only ever ends by an exception, such as an endless loop, counts by those
    ways = straight or [(state, trail) for _, state, trail, _ in exits]
    best = KEEPS
    for state, trail in ways:
        effect = _effect(state, trail, function, frame)
        if effect.rank > best.rank:
            best = effect
    if best.rank == WAITS and (left := next(((s, t) for s, t in ways if _is_left(s)), None)):
        return _effect(left[0], left[1], function, frame)
    return best


def _is_left(state: State) -> bool:
    """Whether a wait has run out while the task runs. (Being cancelled is not held against an owner's end.)"""
    return state.alive and state.left is not None and state.left.is_wait


def _effect(state: State, trail: Trail, function: code.Function, frame: Frame) -> Effect:
    if state.status is Status.ENDED:
        return Effect(WAITS, Fate.OWNED, (), trail, function)
    if state.get(HANDED) is not None:
        return Effect(HANDS_ON, Fate.HANDED, (), trail, function)
    if state.status is Status.CANCELLED:
        end = frame.act(function.span, "does not wait for it after that")
        return Effect(_CANCELS, Fate.CANCELLED, (), (*trail, end), function)
    if state.left is not None and _is_left(state):
        return Effect(_LEAVES, Fate.HAZARD, (state.left.kind,), trail, function, state.left.span, state.left.because)
    if state.get(RETURNED) is not None:
        given = frame.act(function.span, "returns it")
        fate = Fate.KEPT if function.name.startswith("_") else Fate.HANDED  # what is private goes to those in view
        return Effect(_GIVES_AWAY, fate, (), (*trail, given), function)
    return KEEPS
