"""What is known of one task at one point of a program: the abstract values and states that the interpreter moves.

One spawn is followed at a time. A value says how an expression relates to *that* task; None is everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from leaklint.model.code import Function, Span
from leaklint.model.fate import EXPLAINED, PathKind, Pattern, Step


class Status(Enum):
    """How far the task is."""

    UNBORN = "not spawned on this path"
    RUNNING = "spawned, nobody has seen it end"
    CANCELLED = "cancelled, but not waited for since"
    SEEN_DONE = "found to be done by a test, without waiting"
    ENDED = "waited for"


class Wait(NamedTuple):
    """A call of `gather`, `asyncio.wait`, `shield` or `as_completed`."""

    pattern: Pattern
    path: str
    function: str
    """Qualified name of the function that calls it."""
    span: Span
    call: str
    """The called expression as written."""


# -- values --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Handle:
    """The handle of the task; not `certain` when it comes from a function that returns other things as well."""

    certain: bool = True


@dataclass(frozen=True, slots=True)
class Owner:
    """An object that owns tasks, when that is what is followed: it is over when one of `ends` has been called."""

    ends: frozenset[str]


@dataclass(frozen=True, slots=True)
class Holder:
    """A container or iterator with the task in it, as `element`; `keyed` ones give keys when iterated."""

    element: Value
    keyed: bool = False
    by_key: bool = False
    """The task is a key of a mapping."""
    key: str | None = None
    """The key of the task, where that is known (see `frame.key_of`)."""
    by: Wait | None = None
    """The `as_completed` that gives its elements."""


@dataclass(frozen=True, slots=True)
class Empty:
    """A container that certainly does not hold the task, such as the pending set when the task is done."""

    only: str | None = None
    """The one other task that must be in it, as it is written."""
    exact: bool = False
    """Nothing else is in it either."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another task, known by what is written for it."""

    text: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Another future or event that is set when another task ends: to await it raises nothing."""


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple, list or set of known length."""

    values: tuple[Value | None, ...]
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """An object with named parts, in order."""

    fields: tuple[tuple[str, Value | None], ...]

    @property
    def items(self) -> Items:
        """The parts without their names."""
        return Items(tuple(value for _, value in self.fields))


@dataclass(frozen=True, slots=True)
class Waiter:
    """Something that waits for the task when it is awaited.

    `leaves` are the ways in which the await can end with the task still running; `partial` says that it may also return
    normally while the task runs; `sets` that it returns done and pending sets.
    """

    leaves: frozenset[PathKind] = frozenset()
    partial: PathKind | None = None
    sets: bool = False
    size: int | None = None
    """How many tasks are waited for, where that is known."""
    other: str | None = None
    """The one other task that is waited for with it, as it is written."""
    is_signal: bool = False
    """A future or event that is set when the task ends."""
    by: Wait | None = None
    """The call that makes it leave tasks running."""


@dataclass(frozen=True, slots=True)
class Coroutine:
    """A call of a function of the program that has not been awaited yet."""

    function: Function
    bindings: tuple[tuple[str, Value], ...]
    known: frozenset[tuple[str, bool]] = frozenset()
    """Outcomes of conditions on its parameters."""
    limit: bool = False
    """Awaited under a time-out."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A nested function or lambda that shares variables with the function in view."""

    function: Function


@dataclass(frozen=True, slots=True)
class Cancel:
    """The bound method `handle.cancel`, or something that calls it."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Another name for what lives at a place."""

    place: Place


Value = Handle | Owner | Holder | Empty | Other | Signal | Items | Record | Waiter | Coroutine | Closure | Cancel | Ref

HANDLE = Handle()


def holds(value: Value | None) -> bool:
    """Whether the task can be reached through a value."""
    match value:
        case Handle() | Owner() | Waiter():
            return True
        case Holder(element=element):
            return holds(element)
        case Items(values=values):
            return any(map(holds, values))
        case Record(fields=fields):
            return any(holds(part) for _, part in fields)
        case Coroutine(bindings=bindings):
            return any(holds(bound) for _, bound in bindings)
    return False


def element_of(value: Value | None) -> Value | None:
    """What iterating over a value gives when it is the task's turn."""
    match value:
        case Holder(keyed=True):
            return None
        case Holder(element=element):
            return element
        case Items(values=values):
            return next(filter(holds, values), None)
        case Record():
            return element_of(value.items)
        case Handle():
            return value  # a container of containers, folded into one
        case Empty(only=str(text)):
            return Other(text)
    return None


# -- places --------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a value is kept. `scope` tells the sort of place, `name` which one it is."""

    scope: str
    name: str


LOCAL = "local"
CELL = "cell"
"""A variable of an enclosing function."""
GLOBAL = "global"
ESCAPED = "escaped"
"""A closure that code outside this function has got hold of."""
DEFERRED = "deferred"
"""What an exit stack does when it is left."""
RETURNED = Place("away", "returned")
HANDED = Place("away", "handed")
_NOT_FIELDS = (LOCAL, CELL, GLOBAL, ESCAPED, DEFERRED, "away")


def local(name: str) -> Place:
    return Place(LOCAL, name)


def field(owner: str | None, attr: str) -> Place:
    """An attribute; objects of one class are not told apart, and the class may be unknown."""
    return Place(f"field {owner or ''}", attr)


def is_kept(place: Place) -> bool:
    """Whether what is kept there outlives the function."""
    return place.scope in (CELL, GLOBAL) or place.scope not in _NOT_FIELDS


def field_owner(place: Place) -> str | None:
    """The class that a field belongs to, None when it is not known."""
    sort, _, owner = place.scope.partition(" ")
    return (owner or None) if sort in ("field", "owned") else None


def given_to(owner: str, attr: str) -> Place:
    """An object, by the last part of its name, of a class that waits for the tasks that it is given."""
    return Place(f"owned {owner}", attr)


def is_given(place: Place) -> bool:
    """Whether what is kept there has been given to an object that waits for it."""
    return place.scope.startswith("owned ")


# -- states --------------------------------------------------------------------------------------------------------


class Left(NamedTuple):
    """What has been left before its end, and where: a wait, or a loop that would have met the task."""

    kind: PathKind
    span: Span
    is_wait: bool = False
    """What was left early is a wait: a time-out, a partial wait, or a loop over `as_completed`."""
    by: Wait | None = None
    """The call that was awaited, or whose elements were."""

    @property
    def because(self) -> Wait | None:
        """The call, if being what it is explains the path."""
        return self.by if self.by is not None and self.kind in EXPLAINED[self.by.pattern] else None


@dataclass(frozen=True, slots=True)
class State:
    status: Status = Status.UNBORN
    env: frozenset[tuple[Place, Value]] = frozenset()
    left: Left | None = None
    """A wait or a loop has ended early, and may have left the task running."""
    assumed: frozenset[tuple[str, bool]] = frozenset()
    """Outcomes of conditions that the function tests more than once."""

    @property
    def alive(self) -> bool:
        return self.status in (Status.RUNNING, Status.CANCELLED)

    def get(self, place: Place) -> Value | None:
        return next((value for at, value in self.env if at == place), None)

    def set(self, place: Place, value: Value | None) -> State:
        if self.get(place) == value:
            return self
        kept = frozenset(entry for entry in self.env if entry[0] != place)
        return replace(self, env=kept if value is None else kept | {(place, value)})

    def with_status(self, status: Status) -> State:
        return self if status is self.status else replace(self, status=status)

    def ended(self) -> State:
        """The task has been waited for: nothing that is known of it matters any more."""
        return self if self.status is Status.UNBORN else OVER

    def cancelled(self) -> State:
        return self.with_status(Status.CANCELLED) if self.status is Status.RUNNING else self

    def left_by(self, kind: PathKind, span: Span, by: Wait | None = None) -> State:
        is_wait = kind in (PathKind.TIMEOUT, PathKind.PARTIAL_WAIT)
        return replace(self, left=Left(kind, span, is_wait, by)) if self.alive else self

    def places(self) -> list[Place]:
        """The places that hold the task, sorted."""
        return sorted(place for place, value in self.env if holds(value))


OVER = State(Status.ENDED)

Trail = tuple[Step, ...]


class Result(NamedTuple):
    """One outcome of evaluating an expression."""

    state: State
    trail: Trail
    value: Value | None


Flow = dict[State, Trail]
"""The states that reach a point, each with the first trail that led there."""


def merge(*flows: Flow) -> Flow:
    merged: Flow = {}
    for flow in flows:
        for state, trail in flow.items():
            merged.setdefault(state, trail)
    return merged


def to_flow(results: Iterable[Result]) -> Flow:
    flow: Flow = {}
    for result in results:
        flow.setdefault(result.state, result.trail)
    return flow


# -- exits ---------------------------------------------------------------------------------------------------------


class Way(Enum):
    """How a block is left other than at its end."""

    END = "reaches its end"
    RETURN = "returns"
    BREAK = "breaks"
    CONTINUE = "continues"
    EXCEPTION = "may raise"
    SIBLING = "raises when another task of the gather fails"
    TIMEOUT = "may time out"
    CANCELLATION = "may be cancelled"
    ABANDONED = "raises when another task has been cancelled"
    CLOSE = "may be closed"

    @property
    def is_straight(self) -> bool:
        return self in (Way.END, Way.RETURN)

    @property
    def kind(self) -> PathKind:
        """The kind of path, for a task that runs on."""
        return _KINDS.get(self, PathKind.EARLY_EXIT)


_KINDS = {
    Way.EXCEPTION: PathKind.EXCEPTION,
    Way.ABANDONED: PathKind.EXCEPTION,
    Way.SIBLING: PathKind.SIBLING,
    Way.TIMEOUT: PathKind.TIMEOUT,
    Way.CANCELLATION: PathKind.CANCELLATION,
}


class Exit(NamedTuple):
    way: Way
    state: State
    raised: str = ""
    """The name of the exception, after a `raise` that names one."""


class Exits:
    """The exits of a block, each with the trail and the place of the first that was found."""

    def __init__(self) -> None:
        self.found: dict[Exit, tuple[Trail, Span]] = {}

    def add(self, way: Way, state: State, trail: Trail, span: Span, raised: str = "") -> None:
        self.found.setdefault(Exit(way, state, raised), (trail, span))

    def update(self, others: Exits) -> None:
        for exit_, place in others.found.items():
            self.found.setdefault(exit_, place)

    def __iter__(self) -> Iterator[tuple[Way, State, Trail, Span]]:
        for exit_, (trail, span) in list(self.found.items()):
            yield exit_.way, exit_.state, trail, span

    def take(self, way: Way) -> Flow:
        """Removes the exits of one way; their states."""
        return {exit_.state: self.found.pop(exit_)[0] for exit_ in list(self.found) if exit_.way is way}
