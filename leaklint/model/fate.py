"""Fates: what becomes of a task, and the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from leaklint.model.code import Span


class Fate(str, Enum):
    """Who has made sure that the task has ended when its owner is left. The first that fits, top to bottom."""

    NOT_A_SPAWN = "not-a-spawn"
    GROUPED = "grouped"
    DROPPED = "dropped"
    HAZARD = "hazard"
    CANCELLED = "cancelled"
    JOINED = "joined"
    OWNED = "owned"
    KEPT = "kept"
    HANDED = "handed"

    @property
    def leaks(self) -> bool:
        """Whether the fate is reported by default."""
        return self in (Fate.DROPPED, Fate.KEPT, Fate.CANCELLED, Fate.HAZARD)

    @property
    def by_hand(self) -> bool:
        """Whether the task is waited for, but by hand, outside any task group."""
        return self in (Fate.JOINED, Fate.OWNED)


class PathKind(str, Enum):
    """How a path leaves a function while the task still runs (fate `hazard`)."""

    EXCEPTION = "exception"
    EARLY_EXIT = "early-exit"
    TIMEOUT = "timeout"
    SIBLING = "sibling"
    PARTIAL_WAIT = "partial-wait"
    CANCELLATION = "cancellation"


class Pattern(str, Enum):
    """A way to leak a task, or to break a scope, that has a rule of its own."""

    GATHER = "gather"
    """`gather` that does not end with all of its awaitables."""
    WAIT = "wait"
    """`asyncio.wait` that returns with tasks pending."""
    SHIELD = "shield"
    AS_COMPLETED = "as-completed"
    THREAD_FUTURE = "thread-future"
    CALLBACK = "callback"
    """A spawn in a function that something calls back."""
    CONSTRUCTOR = "constructor"
    """A spawn where no owner can exist yet."""
    NATIVE = "native"
    """An asyncio spawn in a scope of AnyIO or trio."""
    HAND_ENTERED = "hand-entered"
    """A group that is entered without `async with`."""
    YIELD_INSIDE = "yield-inside"
    """A `yield` inside of a group or cancel scope."""
    USED_AFTER_EXIT = "used-after-exit"
    """A spawn into a group that has been left."""
    SWALLOWED = "swallowed"
    """A cancellation that is caught and forgotten."""
    REMOVED = "removed"
    """Something that a library no longer has."""


EXPLAINED = {
    Pattern.GATHER: frozenset({PathKind.SIBLING}),
    Pattern.WAIT: frozenset({PathKind.TIMEOUT, PathKind.PARTIAL_WAIT}),
    Pattern.SHIELD: frozenset({PathKind.CANCELLATION, PathKind.TIMEOUT}),
    Pattern.AS_COMPLETED: frozenset(PathKind),
}
"""The kinds of path on which a wait leaves tasks running because of what it is."""


class Step(NamedTuple):
    """One step of the evidence: a place and a sentence about it (without a final full stop)."""

    path: str
    span: Span
    message: str


class Standing(NamedTuple):
    """The place of a spawn, where that explains better than the fate why the task leaks."""

    how: str
    """Which form of the pattern it is: a word that the rule knows."""
    by: str
    """What calls the function, or the scope around the spawn, as the rule names it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One spawn with its verdict: an entry of the inventory."""

    path: str
    span: Span
    """The spawn expression, from its start to its closing bracket."""
    call: str
    """The called expression as written: `asyncio.create_task`, `self.loop.create_task`."""
    spawned: str
    """What runs in the task, as written, without its arguments: `self._run`."""
    function: str
    """Qualified name of the function (or module, or class body) that spawns it."""
    handle: str | None
    """Where the handle is held: `task`, `self._task`; None when nothing holds it."""
    owner: str | None
    """Qualified name of the class or module that keeps the handle beyond the function."""
    fate: Fate
    paths: tuple[PathKind, ...]
    """For `hazard`: the kinds of path that leave the task running, in the order of `PathKind`."""
    likely: bool
    """The receiver of the call could not be resolved and was taken for an event loop or a group by its name."""
    evidence: tuple[Step, ...]
    """The steps that prove the verdict, in order, the spawn itself left out."""
    leaving: Step | None = None
    """For `hazard`: the step of the evidence at which the first of `paths` leaves the task running."""
    waits: str | None = None
    """For `owned` and `grouped`: the qualified name of the function that waits, where that is known."""
    cause: Step | None = None
    """What is reported in its place: the call that treats the task so, for a spawn in a function that returns it; the
    spawn, for a call of a function that keeps what it returns; the `gather` or other wait that leaves it running."""
    pattern: Pattern | None = None
    """What explains a leak better than the fate does."""
    standing: Standing | None = None
    """For a pattern that is about the place of the spawn: that place, which the first steps of the evidence show."""


@dataclass(frozen=True, slots=True)
class Unclosed:
    """An object that owns tasks and that the project makes but never ends."""

    path: str
    span: Span
    """The call that makes it."""
    made: str
    """The called expression as written: `Client`."""
    end: str
    """The method that would end it: `Client.close`."""
    spawned: str
    """What runs in the task that the object owns."""
    kept: str | None
    """Where the object is kept; None for one that is local."""
    evidence: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Misuse:
    """A task group or cancel scope that is used wrongly, a cancellation that is swallowed, a call that is gone."""

    pattern: Pattern
    path: str
    span: Span
    """Where it is reported."""
    source: str
    """What it is about, as written: the group, the context manager, the awaited expression."""
    function: str
    """Qualified name of the function."""
    how: str
    """Which form of the pattern it is: a word that the rule knows."""
    evidence: tuple[Step, ...]
    """The steps that prove it, in order, the reported place left out."""
