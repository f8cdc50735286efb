"""What is told to the user: diagnostics, and the outcome of looking at one file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaklint.model.code import Span
from leaklint.model.fate import Fate, Step, Task


class Level(str, Enum):
    """How grave a diagnostic is, gravest first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    path: str
    span: Span
    code: str
    """`LK101`"""
    name: str
    """`dropped-task`"""
    level: Level
    message: str
    """What is wrong; stands alone, no final full stop."""
    label: str
    """A few words for the frame, beside the span: `spawned here`."""
    help: str | None
    """What to do about it."""
    evidence: tuple[Step, ...]

    @property
    def sort_key(self) -> tuple[str, Span, str]:
        return (self.path, self.span, self.code)


@dataclass(frozen=True, slots=True)
class Reported:
    """A task of the inventory with the code of the rule that reports it (None when it is quiet)."""

    task: Task
    rule: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was looked at."""

    path: str
    diagnostics: tuple[Diagnostic, ...]
    """Suppressed ones are left out; sorted by `sort_key`."""
    tasks: tuple[Reported, ...]
    """Every spawn of the file, whatever its fate, by line and column."""
    hidden: tuple[Reported, ...] = ()
    """The calls that leave tasks running without spawning them, by line and column."""

    @property
    def waited_by_hand(self) -> int:
        """How many tasks are waited for by hand, outside any task group."""
        return sum(entry.task.fate.by_hand for entry in self.tasks)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that mentions no spawn at all and was not parsed."""

    path: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that could not be looked at: it cannot be read, or leaklint itself failed on it.

    `error` is one line for the user; `details` is a traceback when the fault is leaklint's own.
    """

    path: str
    error: str
    details: str | None


Outcome = Checked | Skipped | Failed

__all__ = ["Checked", "Diagnostic", "Failed", "Fate", "Level", "Outcome", "Reported", "Skipped"]
