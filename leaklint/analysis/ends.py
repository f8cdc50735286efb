"""How the function around a spawn ends: the input of a verdict, and the verdict itself."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.analysis.interpreter.state import (
    HANDED,
    RETURNED,
    Place,
    State,
    Status,
    Trail,
    Wait,
    Waiter,
    Way,
    is_kept,
)
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Fate, PathKind, Step


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    paths: tuple[PathKind, ...] = ()
    evidence: tuple[Step, ...] = ()
    handle: str | None = None
    owner: str | None = None
    leaving: Step | None = None
    ender: code.Function | None = None
    """For `owned`: the function that waits."""
    cause: Step | None = None
    """The other place that is reported for it."""
    by: Wait | None = None
    """The wait that explains it better,"""
    explains: PathKind | None = None
    """and for a `hazard` the kind of path that it explains."""
    within: Wait | None = None
    """For a `hazard` by cancellation alone: the wait that is cancelled."""


@dataclass(frozen=True, slots=True)
class End:
    """One way in which the spawning function ends, the task having been spawned."""

    way: Way
    state: State
    trail: Trail
    span: Span

    @property
    def kept(self) -> list[Place]:
        return [place for place in self.state.places() if is_kept(place)]

    @property
    def handed(self) -> bool:
        return self.state.get(HANDED) is not None or self.state.get(RETURNED) is not None

    @property
    def kind(self) -> PathKind:
        """The kind of path, if the task runs on."""
        return self.state.left.kind if self.state.left and self.way.is_straight else self.way.kind

    @property
    def cut_short(self) -> bool:
        """Whether a wait for the task has ended before the task."""
        return self.state.left is not None and self.state.left.kind is not PathKind.EARLY_EXIT

    @property
    def left_at(self) -> Span:
        """Where the task is left."""
        return self.state.left.span if self.state.left and self.way.is_straight else self.span

    @property
    def ignored(self) -> Wait | None:
        """The call that would wait for the task, and whose result is in a name or has been thrown away."""
        if self.state.left is not None and self.state.left.kind is PathKind.EARLY_EXIT:
            return self.state.left.by
        return next((value.by for _, value in self.state.env if isinstance(value, Waiter)), None)

    @property
    def leaks(self) -> bool:
        return self.state.status is Status.RUNNING and not self.kept and not self.handed
