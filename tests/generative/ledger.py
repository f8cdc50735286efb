"""Who had each task in hand, and what became of it: the book that is kept while a program of several functions runs.

A task is in the hands of the function that spawned it; when that returns it, in the hands of the function that called,
and the call gets it like a spawn. When it leaves its last hands, by any path, its state is marked. From then on it is
its keeper's: of the object or module that leads to it. What each call of an end of the keeper does is noted.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from generative.loop import Child, Loop, State, Task, sight

ENDS = ("close", "stop", "drain")
"""The names of the functions that end the tasks of an object or, at the top level, of a module, if any does. They are
asynchronous; those of a module take the `env`."""

_HOLDING = (Task, list, tuple, set, frozenset, dict)

Route = tuple[int, ...]
"""The numbers of the places that gave a task, from the spawn outward."""


class Mark(NamedTuple):
    """A task when it left its last hands."""

    route: Route
    end: str
    """How the function was left: `returns`, `is cancelled`, `raises X`."""
    state: State
    waited: bool
    kept: bool
    """An object or a module leads to it."""
    was_kept: bool
    """That, or one did so when an earlier function was left."""
    ends: frozenset[str]
    """The names of the ends that its keepers have."""
    past_ends: frozenset[str]
    """And of those that its keepers had."""
    hollow: bool
    """While it was in these hands, an asynchronous function was awaited that did not wait for anything."""
    blurred: bool


class Closing(NamedTuple):
    """A task that was kept and had not ended when an end of its keeper was called, after that end has returned. (Not
    noted when it was cancelled before and still runs: that says nothing.)
    """

    route: Route
    end: str
    """The name of the function."""
    state: State


@dataclass(eq=False, slots=True)
class _Keeper:
    """An object or a module that may keep tasks."""

    names: Mapping[str, object]
    ends: Mapping[str, Callable[[], Awaitable[object]]]

    @property
    def children(self) -> Iterator[Child]:
        return _children(tuple(self.names.values()))


@dataclass(eq=False, slots=True)
class _Activation:
    name: str
    cancellations: int
    kept: Sequence[tuple[Child, bool]]
    """The tasks of the keeper that it is an end of which have not ended, and whether they were cancelled."""


@dataclass(eq=False, slots=True)
class _Hands:
    """Where one task is, and by which way it got there."""

    route: Route = ()
    holder: _Activation | None = None
    left: bool = False
    kept: bool = False
    """An object or a module led to it at some time."""
    ends: frozenset[str] = frozenset()
    """The ends that its keepers had."""
    hollow: bool = False


@dataclass(eq=False, slots=True)
class Ledger:
    """The book of one run."""

    loop: Loop
    cancellations: int = 0
    """How often the host has been cancelled."""
    over: bool = False
    closings: list[Closing] = field(default_factory=list)
    called: set[int] = field(default_factory=set)
    """The places that have given anything."""
    _stack: list[_Activation] = field(default_factory=list)
    _hands: dict[Child, _Hands] = field(default_factory=dict)
    _keepers: dict[int, _Keeper] = field(default_factory=dict)
    _marks: list[tuple[Child, Mark]] = field(default_factory=list)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What was seen, with what is known of each task now."""
        return tuple(mark._replace(blurred=child.blurred) for child, mark in self._marks)

    @property
    def ends(self) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
        """The ends of everything that keeps a task which has not ended, with their names."""
        running = [keeper for keeper in self._keepers.values() if any(not child.ended for child in keeper.children)]
        return [
            (f"{name} of keeper {number}", end)
            for number, keeper in enumerate(running, 1)
            for name, end in keeper.ends.items()
        ]

    # -- what the program reports

    def module(self, module: ModuleType, env: object) -> None:
        """A module has been loaded; what it keeps, it keeps in containers."""
        names = vars(module)
        held = {name: value for name, value in names.items() if name[:2] != "__" and isinstance(value, _HOLDING)}
        self._keepers[id(names)] = _Keeper(held, {name: partial(names[name], env) for name in ENDS if name in names})

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The decorator of every function of the program."""
        enter = partial(self._enter, function)

        async def run(*args: object, **options: object) -> object:
            activation = enter(args)
            turns = self.loop.turns
            try:
                value = await function(*args, **options)
            except BaseException as error:
                self._leave(activation, None, _named(error))
                raise
            for child, hands in self._hands.items() if self.loop.turns == turns else ():
                hands.hollow |= hands.holder is not None and not child.ended
            self._leave(activation, value, "returns")
            return value

        def call(*args: object, **options: object) -> object:
            activation = enter(args)
            try:
                value = function(*args, **options)
            except BaseException as error:
                self._leave(activation, None, _named(error))
                raise
            self._leave(activation, value, "returns")
            return value

        return run if inspect.iscoroutinefunction(function) else call

    def call(self, place: int, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function that is called at a place, made to report what it gives."""

        def called(*args: object, **options: object) -> object:
            value = function(*args, **options)
            if inspect.iscoroutine(value):
                return awaited(value)
            self._receive(place, value)
            return value

        async def awaited(coroutine: Awaitable[object]) -> object:
            value = await coroutine
            self._receive(place, value)
            return value

        return called

    # -- the book

    def _enter(self, function: Callable[..., Any], args: Sequence[object]) -> _Activation:
        owner, _, name = function.__qualname__.rpartition(".")
        keeper = id(args[0]) if owner else id(function.__globals__)
        if keeper not in self._keepers:
            ends = {name: getattr(args[0], name) for name in ENDS if hasattr(args[0], name)}
            self._keepers[keeper] = _Keeper(vars(args[0]), ends)
        kept = self._keepers[keeper].children if name in ENDS else ()
        running = [(child, child.cancelled) for child in kept if not child.ended]
        activation = _Activation(name, self.cancellations, running)
        self._stack.append(activation)
        return activation

    def _leave(self, activation: _Activation, value: object, end: str) -> None:
        if self.over:
            return
        self._stack.remove(activation)
        returned = set(_children(value))
        for keeper in self._keepers.values():
            for child in keeper.children:
                hands = self._hands[child]
                hands.kept, hands.ends = True, hands.ends.union(keeper.ends)
        for child, hands in self._hands.items():
            if hands.holder is activation:
                hands.holder = None
                if child not in returned:
                    self._mark(child, hands, end)
                    hands.left = True
        if end == "returns" and activation.cancellations == self.cancellations:
            for child, cancelled in activation.kept:
                if not child.hasty and (child.ended or not cancelled):
                    closing = Closing(self._hands[child].route, activation.name, sight(child, end))
                    self.closings.append(closing)

    def _receive(self, place: int, value: object) -> None:
        """A call at a place has given a value, to the function that is running now."""
        self.called.add(place)
        for child in () if self.over else _children(value):
            hands = self._hands.setdefault(child, _Hands())
            if hands.holder is None and not hands.left:
                hands.route = (*hands.route, place)
                hands.holder = self._stack[-1]

    def _mark(self, child: Child, hands: _Hands, end: str) -> None:
        state = sight(child, end, host_cancelled=self.cancellations > 0)
        keepers = [keeper for keeper in self._keepers.values() if child in keeper.children]
        ends = frozenset(name for keeper in keepers for name in keeper.ends)
        facts = (bool(keepers), hands.kept, ends, hands.ends, hands.hollow)
        mark = Mark(hands.route, end, state, child.waited, *facts, child.blurred)
        self._marks.append((child, mark))


def _named(error: BaseException) -> str:
    return "is cancelled" if isinstance(error, asyncio.CancelledError) else f"raises {type(error).__name__}"


def _children(value: object) -> Iterator[Child]:
    """The tasks in a value, which may be a container of containers."""
    if isinstance(value, Task):
        yield value.child
    elif isinstance(value, dict):
        yield from _children(tuple(value.values()))
    elif isinstance(value, _HOLDING):
        for item in value:
            yield from _children(item)
