"""Places: `PATH:LINE` and `PATH:LINE:COLUMN` as the user writes them, and the spawns that are meant by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from leaklint.model.diagnostic import Reported
from leaklint.model.errors import UserError

__all__ = ["Place", "nowhere", "parse_place", "spawns_at"]

WRITTEN = re.compile(r"(?P<path>.+?):(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?:?", re.DOTALL)
"""The last colon may be left over from a compiler's message."""
DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Place(NamedTuple):
    path: str
    line: int
    column: int | None
    """None: the whole line."""


def parse_place(text: str) -> Place:
    """The place that is written `PATH:LINE` or `PATH:LINE:COLUMN`. Raises `UserError` for anything else."""
    written = WRITTEN.fullmatch(text)
    if written is None:
        raise UserError(_misspelt(text))
    line, column = int(written["line"]), written["column"]
    if line == 0 or (column is not None and int(column) == 0):
        raise UserError(f"lines and columns count from 1: `{text}`")
    return Place(written["path"], line, None if column is None else int(column))


def _misspelt(text: str) -> str:
    bare = text.rstrip(":")
    path, colon, line = bare[2:].rpartition(":") if DRIVE.match(bare) else bare.rpartition(":")
    if path:
        return f"`{line}` is no line number in `{text}`: write PATH:LINE or PATH:LINE:COLUMN"
    if colon or not bare:
        return f"`{text}` names no file: write PATH:LINE, for instance `app.py:12`"
    return f"`{text}` names no line: write PATH:LINE, for instance `{bare}:12`"


def spawns_at(tasks: Sequence[Reported], place: Place) -> tuple[Reported, ...]:
    """The spawns of a file that begin on the line; if none does, those that reach over it.

    With a column, the one that begins there, or else the innermost around it.
    """
    if place.column is None:
        begin = tuple(entry for entry in tasks if entry.task.span.line == place.line)
        return begin or tuple(e for e in tasks if e.task.span.line < place.line <= e.task.span.end_line)
    at = (place.line, place.column)
    around = tuple(entry for entry in tasks if entry.task.span[:2] <= at < entry.task.span[2:])
    innermost = max((entry.task.span[:2] for entry in around), default=None)
    return tuple(entry for entry in around if entry.task.span[:2] == innermost)


def nowhere(tasks: Sequence[Reported], place: Place, path: str) -> str:
    """What to say where no spawn is at a place of a file that is displayed as `path`."""
    if not tasks:
        return f"no task is spawned in {path}"
    lines = sorted({entry.task.span.line for entry in tasks})
    if place.column is not None and place.line in lines:
        columns = sorted({entry.task.span.column for entry in tasks if entry.task.span.line == place.line})
        there = f"column {place.column} of line {place.line}"
        return f"no task is spawned at {there} of {path}; on this line, one is at {_listed('column', columns)}"
    before = [line for line in lines if line < place.line][-1:]
    after = [line for line in lines if line > place.line][:1]
    found = [*before, *after]
    nearest = f"the nearest {'is' if len(found) == 1 else 'are'} on {_listed('line', found)}"
    return f"no task is spawned on line {place.line} of {path}; {nearest}"


def _listed(noun: str, numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{noun}s {', '.join(first)} and {last}" if first else f"{noun} {last}"
