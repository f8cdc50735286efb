"""The projects of `fixtures/projects`, and what their lines say about themselves.

A line with a spawn ends in `# fate: owned by close`: the fate, and where it matters a function that the evidence must
name. The fates of several spawns stand in the order of their columns: `# fate: joined, dropped`. A line on which a
finding begins ends in its code, as in the other fixtures: `# fate: dropped  # LK101`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from examples import FIXTURES, MARK

from leaklint.app import Run
from leaklint.engine import Input
from leaklint.model.diagnostic import Reported
from leaklint.policy.config import Settings

PROJECTS = FIXTURES / "projects"
FATE = re.compile(r"  # fate: ([^#]*?)(?:  # .*)?$")

Marks = Mapping[tuple[str, int], str]
"""By path and line, what must be true there."""


@dataclass(frozen=True, slots=True)
class Project:
    """One mechanism."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def files(self) -> list[str]:
        """Its files, relative to its directory."""
        return sorted(path.relative_to(self.directory).as_posix() for path in self.directory.rglob("*.py"))

    @property
    def inputs(self) -> list[Input]:
        """Its files as the engine takes them."""
        return [
            Input(path, _module(path), (self.directory / path).read_bytes(), Settings.default()) for path in self.files
        ]

    @property
    def spawns(self) -> Marks:
        """The whole inventory, as it must be."""
        return self._marks(FATE)

    @property
    def findings(self) -> Marks:
        """All that `check` must report."""
        return self._marks(MARK)

    def _marks(self, pattern: re.Pattern[str]) -> Marks:
        return {
            (path, number): found[1]
            for path in self.files
            for number, line in enumerate((self.directory / path).read_text(encoding="utf-8").split("\n"), 1)
            if (found := pattern.search(line))
        }


def _module(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def projects() -> tuple[Project, ...]:
    """Every project, by name."""
    return tuple(Project(path) for path in sorted(PROJECTS.iterdir()) if path.is_dir())


def inventory(run: Run, wanted: Marks) -> Marks:
    """The fates by line, in the form of `Project.spawns`.

    A function that is wanted is repeated if the evidence for each spawn of the line names it, with or without class.
    """
    found = {}
    for place, entries in groupby(run.tasks, lambda entry: (entry.task.path, entry.task.span.line)):
        tasks = list(entries)
        by = wanted.get(place, "").partition(" by ")[2]
        named = by and all(_names(entry, by) for entry in tasks)
        found[place] = ", ".join(entry.task.fate.value for entry in tasks) + (f" by {by}" if named else "")
    return found


def _names(entry: Reported, function: str) -> bool:
    named = re.compile(rf"`(?:\w+\.)*{function}(?:\(\))?`")
    return any(named.search(step.message) for step in entry.task.evidence)


def findings(run: Run) -> Marks:
    """The codes by line, in the form of `Project.findings`."""
    by_line = groupby(run.diagnostics, lambda diagnostic: (diagnostic.path, diagnostic.span.line))
    return {place: ", ".join(diagnostic.code for diagnostic in found) for place, found in by_line}


def told(marks: Marks) -> str:
    """A line for each mark, so that a difference can be read."""
    return "".join(f"{path}:{line} {mark}\n" for (path, line), mark in sorted(marks.items()))


def evidence(run: Run) -> str:
    """The inventory with all its evidence: a line for each spawn, and below it one for each step."""
    return "".join(f"{line}\n" for entry in run.tasks for line in _lines(entry))


def _lines(entry: Reported) -> list[str]:
    task = entry.task
    first = f"{task.path}:{task.span.line}:{task.span.column} {task.fate.value}"
    paths = "".join(f" {kind.value}" for kind in task.paths)
    steps = (f"    {step.path}:{step.span.line}:{step.span.column} {step.message}" for step in task.evidence)
    return [first + paths, *steps]
