"""Fixes: edits of a file as values, with what they change and what stands against them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic


class Target(str, Enum):
    """The library whose task groups fixes write."""

    ANYIO = "anyio"
    ASYNCIO = "asyncio"


class Environment(NamedTuple):
    """What the program that is mended runs on."""

    target: Target = Target.ANYIO
    anyio: tuple[int, ...] | None = None
    """The oldest release of AnyIO that the project allows; None if it does not depend on AnyIO."""
    python: tuple[int, ...] | None = None
    """The oldest Python that the project allows; None if it does not say."""


class Applicability(str, Enum):
    """Whether a fix is applied without being asked for."""

    SAFE = "safe"
    """Nothing changes but what every fix is for."""
    UNSAFE = "unsafe"
    """There is a hazard, which is stated."""


class Hazard(NamedTuple):
    """A reason why a fix may change what the program does, or why there is none."""

    name: str
    """The predicate that found it: `may-never-end`."""
    message: str
    """What it found, with the names and lines of this program; no final full stop."""
    blocks: bool = False
    """Whether there can be no fix at all."""


# -- edits -------------------------------------------------------------------------------------------------------------


class Replace(NamedTuple):
    """Write `text`, an expression, in place of the expression at `span`."""

    span: Span
    text: str


class Substitute(NamedTuple):
    """Write `lines` (whole statements; none to delete it) in place of the statement that begins at `span`.

    Comments stay where they are.
    """

    span: Span
    lines: tuple[str, ...]


class Insert(NamedTuple):
    """Write `lines` (whole statements) before or after the statement that begins at `span`."""

    span: Span
    lines: tuple[str, ...]
    after: bool = True


class Wrap(NamedTuple):
    """Move the statements of one block from the one that begins at `first` to the one at `last` into a statement.

    `template` is that statement, with others before it, if need be; the line `...` in it stands for them. Of several
    in a function that overlap, those with the same template become one.
    """

    first: Span
    last: Span
    template: str
    function: str
    """The qualified name of the function that they stand in."""
    exact: bool = False
    """Whether it has to begin and end where it does, so that it does not become one with others."""


class Inherit(NamedTuple):
    """Add a base, an expression, to the class whose statement begins at `span`."""

    span: Span
    base: str


class Synchronize(NamedTuple):
    """Enter with `with` what the `async with` statement that begins at `span` enters at `contexts`.

    If it enters more than that, it becomes several, one in the other.
    """

    span: Span
    contexts: tuple[Span, ...]


class Precede(NamedTuple):
    """Write `lines` (whole clauses) before the `except` clause that begins at `span`."""

    span: Span
    lines: tuple[str, ...]


class Import(NamedTuple):
    """Make sure that the module imports this: `import anyio`, `from a import b`, `import anyio as aio`."""

    statement: str


class Forget(NamedTuple):
    """Remove the import that binds this name at the top level, if nothing uses the name any more."""

    name: str


Edit = Replace | Substitute | Insert | Wrap | Inherit | Synchronize | Precede | Import | Forget


def code_of(edit: Edit) -> tuple[str, ...]:
    """The code that an edit writes, its import statement included."""
    match edit:
        case Replace(text=written) | Wrap(template=written) | Inherit(base=written) | Import(statement=written):
            return (written,)
        case Substitute(lines=lines) | Insert(lines=lines) | Precede(lines=lines):
            return lines
    return ()


# -- fixes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fix:
    """One way to mend one finding."""

    name: str
    """By which it is chosen: `task-group`."""
    title: str
    """What it does, in the imperative: "run the tasks in a task group"."""
    path: str
    edits: tuple[Edit, ...]
    hazards: tuple[Hazard, ...] = ()
    """Without any, it is safe."""
    notes: tuple[str, ...] = ()
    """What changes for the program; a sentence each, without a final full stop."""

    @property
    def applicability(self) -> Applicability:
        """Whether it is applied without being asked for."""
        return Applicability.UNSAFE if self.hazards else Applicability.SAFE


@dataclass(frozen=True, slots=True)
class Proposal:
    """A finding with the ways to mend it."""

    finding: Diagnostic
    fixes: tuple[Fix, ...] = ()
    """The best first: safe ones, then those with few kinds of hazards."""
    reasons: tuple[Hazard, ...] = ()
    """Why there is none, or why each way that was tried and is not among `fixes` cannot be gone."""

    @property
    def safe(self) -> Fix | None:
        """The best way that is safe."""
        return next((fix for fix in self.fixes if fix.applicability is Applicability.SAFE), None)


class Rewritten(NamedTuple):
    """A file that fixes have changed."""

    path: str
    before: bytes
    after: bytes
    applied: tuple[tuple[Diagnostic, Fix], ...]
    """The findings, at the places they had when they were mended, with what mended them."""
