"""Objects that own tasks: what starts and what ends them, and whether a project that makes one ends it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from leaklint.analysis.ends import Verdict
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.kinds import Kinds, path_of, receiver
from leaklint.analysis.naming import bound_name
from leaklint.analysis.resolve import resolved
from leaklint.analysis.sites import Site
from leaklint.analysis.spawns import Spawn
from leaklint.model import code
from leaklint.model.fate import Fate, Step, Unclosed
from leaklint.model.walk import text, walk

_BY_ITSELF = frozenset({"__init__", "__post_init__", "__new__"})
"""Methods that run when an object is made."""
_END_WORDS = frozenset(
    """aclose aexit await cancel cleanup close closed del disconnect dispose end exit finish join kill quit release
    shutdown stop stopped teardown terminate unload wait""".split()
)


class Making(NamedTuple):
    """An expression that makes an object of a class of the project."""

    function: code.Function
    node: code.Call | code.Await
    made: str
    """The qualified name of the class."""
    maker: str
    """The name of the class method that makes it; empty for a call of the class itself."""


@dataclass(frozen=True, slots=True)
class Owning:
    """How the objects of a class own a task."""

    spawn: Spawn
    waits: code.Function
    """The method that waits for it."""
    starts: frozenset[str]
    """The names of the methods that start it."""
    ends: frozenset[str]
    """The names of the methods that end the object."""
    end: str | None
    """The one that a user of the object is to call; None when there is no such method."""


def is_owned_by(owner: str, verdict: Verdict, kinds: Kinds) -> bool:
    """Whether a task is kept by objects of a class, and waited for by a method of theirs."""
    family = kinds.program.family(owner)
    if verdict.fate not in (Fate.OWNED, Fate.GROUPED) or verdict.ender is None:
        return False
    return verdict.owner in family and verdict.ender.owner in family


def makings(function: code.Function, kinds: Kinds) -> Iterator[Making]:
    """The objects of classes of the project that a function makes, also by class methods that return them."""
    program = kinds.program
    awaits = {id(await_.value): await_ for await_ in walk(function.body, code.Await)}
    for call in walk(function.body, code.Call):
        if not isinstance(call.func, code.Global):
            continue
        if call.func.path in program.classes:
            yield Making(function, call, call.func.path, "")
        elif (maker := resolved(call.func, function, kinds)) is not None and maker.owner is not None:
            node = awaits.get(id(call)) if maker.is_async else call
            if node is not None and receiver(maker) is not None and kinds.returned(maker) == maker.owner:
                yield Making(function, node, maker.owner, maker.name)


def owning_of(owner: str, spawn: Spawn, method: code.Function, waits: code.Function, kinds: Kinds) -> Owning:
    """How the objects of a class own a task that one of its methods starts and another one waits for."""
    methods = _methods(owner, kinds)
    starts = _calling(methods, method.name)
    named = {each.name for each in methods if is_end(each.name)}
    waiting = _mentioning(methods, {waits.name})
    ends = _mentioning([each for each in methods if each.name not in starts], waiting.union(named))
    end = min(waiting & named, key=lambda name: (name.startswith("__"), name), default=None)
    return Owning(spawn, waits, starts, ends, end)


def is_end(name: str) -> bool:
    """Whether a method by its name ends the object: whoever calls it does not forget the object."""
    is_private = name.startswith("_") and not name.endswith("__")
    return not is_private and not _END_WORDS.isdisjoint(name.strip("_").split("_"))


def _methods(owner: str, kinds: Kinds) -> list[code.Function]:
    classes = kinds.program.classes
    return [method for each in kinds.program.family(owner) if each in classes for method in classes[each].methods]


def _mentioning(methods: list[code.Function], names: AbstractSet[str]) -> frozenset[str]:
    """The names of methods, with those of all that mention one of them, or one that does."""
    found = set(names)
    size = 0
    while size != len(found):
        size = len(found)
        found |= {method.name for method in methods if not found.isdisjoint(method.words)}
    return frozenset(found)


def _calling(methods: list[code.Function], name: str) -> frozenset[str]:
    """A method and all that call it on their own object, or one that does."""
    found = {name}
    size = 0
    while size != len(found):
        size = len(found)
        found |= {method.name for method in methods if not found.isdisjoint(_own_calls(method))}
    return frozenset(found)


def _own_calls(method: code.Function) -> set[str]:
    itself = receiver(method)
    funcs = (call.func for call in walk(method.body, code.Call))
    return {
        func.attr
        for func in funcs
        if isinstance(func, code.Attribute)
        and ((isinstance(func.value, code.Name) and func.value.id == itself) or path_of(func.value) == "builtins.super")
    }


def ends_nowhere(verdict: Verdict) -> bool:
    """Whether the verdict on an object says that nothing ends it: neither here, nor where it is kept.

    What others may reach, a public attribute or variable, others may end.
    """
    if verdict.fate is Fate.KEPT:
        name = (verdict.handle or "").rpartition(".")[2]
        return name.startswith("_") and not name.startswith("__")
    return verdict.fate is Fate.DROPPED


def is_started(owning: Owning, making: Making, verdict: Verdict, kinds: Kinds) -> bool:
    """Whether an object comes to own a task: when it is made, or by a call of a method that starts the task."""
    if not owning.starts.isdisjoint(_BY_ITSELF | {making.maker}):
        return True
    family = set(kinds.program.family(making.made))
    near = kinds.program.inside(making.function)
    every = (scope for word in sorted(owning.starts) for scope in kinds.program.mentioning(word, making.made))
    scopes = near if verdict.fate is Fate.DROPPED else every
    return any(
        isinstance(call.func, code.Attribute)
        and call.func.attr in owning.starts
        and kinds.of(call.func.value, scope) in family
        for scope in scopes
        if kinds.program.owner_of(scope) not in family
        for call in walk(scope.body, code.Call)
    )


def is_ended_nearby(owning: Owning, making: Making, kinds: Kinds) -> bool:
    """Whether the function that makes an object mentions an end of it at all, on whatever path."""
    family = set(kinds.program.family(making.made))
    name = bound_name(making.node, making.function)
    return any(
        node.attr in owning.ends and name in (None, text(node.value)) and kinds.of(node.value, scope) in family
        for scope in kinds.program.inside(making.function)
        for node in walk(scope.body, code.Attribute)
    )


def unclosed(site: Site, owning: Owning, verdict: Verdict, frame: Frame) -> Unclosed:
    """What is to be told of an object that nothing ends."""
    paths = frame.shared.program.paths
    spawn, waits = owning.spawn, owning.waits
    steps = (
        Step(paths[spawn.function.qualname], spawn.call.span, f"`{spawn.function.name}` spawns the task that it owns"),
        Step(paths[waits.qualname], waits.span, f"`{waits.name}` waits for it"),
    )
    return Unclosed(
        path=frame.path,
        span=site.span,
        made=text(site.expression.func) if isinstance(site.expression, code.Call) else text(site.expression),
        end=f"{waits.qualname.rsplit('.', 2)[-2]}.{owning.end}",
        spawned=spawn.spawned,
        kept=verdict.handle,
        evidence=(*steps, *verdict.evidence),
    )
