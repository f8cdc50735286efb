"""Paint: lines of pieces become text, in colour where the look asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from rich.color import ColorSystem
from rich.style import Style

from leaklint.model.fate import Fate
from leaklint.report.frame import Line, Look

__all__ = ["FATE_ROLES", "paint"]

STYLES: Mapping[str, Style] = {
    role: Style.parse(style)
    for role, style in {
        "error": "bold bright_red",
        "warning": "bold yellow",
        "note": "bold bright_green",
        "second": "bright_blue",
        "line": "bold bright_blue",
        "help": "bold cyan",
        "docs": "bold",
        "rule": "bold",
        "guess": "bold cyan",
        "strong": "bold",
        "dim": "dim",
        "good": "bold green",
        "calm": "green",
        "added": "green",
        "removed": "red",
        "hunk": "cyan",
    }.items()
}

FATE_ROLES = {
    Fate.NOT_A_SPAWN: "dim",
    Fate.GROUPED: "calm",
    Fate.DROPPED: "error",
    Fate.HAZARD: "warning",
    Fate.CANCELLED: "warning",
    Fate.JOINED: "calm",
    Fate.OWNED: "calm",
    Fate.KEPT: "error",
    Fate.HANDED: "note",
}


def paint(lines: Iterable[Line], look: Look) -> str:
    """The lines as text; each ends in a newline."""
    return "".join(f"{_paint_line(line) if look.color else _plain_line(line)}\n" for line in lines)


def _plain_line(line: Line) -> str:
    return "".join(piece.text for piece in line).rstrip()


def _paint_line(line: Line) -> str:
    stretches = (
        (role, "".join(piece.text for piece in same)) for role, same in groupby(line, lambda piece: piece.role)
    )
    return "".join(
        STYLES[role].render(text, color_system=ColorSystem.STANDARD) if role else text for role, text in stretches
    )
