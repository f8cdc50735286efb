"""Frames: source lines with marks under them, in the manner of rustc.

A frame is laid out as lines of pieces, each piece a text with a role; `text.py` gives the roles their colours. Source,
file names and messages come from strangers: whatever could act on a terminal is made visible, nothing is interpreted.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len

from leaklint.model.code import Span
from leaklint.model.fate import Step

__all__ = [
    "Line",
    "Look",
    "Mark",
    "Piece",
    "Section",
    "draw",
    "place",
    "story",
    "visible",
    "wrapped",
]

TAB = " " * 4
LEAD = 8
"""How many characters of a line that is cut stand before the first mark."""
NARROW = 24
"""Labels are not wrapped to fewer cells than this."""


@dataclass(frozen=True, slots=True)
class Look:
    """How text is to look."""

    color: bool = False
    unicode: bool = True
    """With box characters, or in plain ASCII."""
    width: int = 140
    """In cells."""
    terminal: bool = False
    """Lines that are wider than that would be wrapped."""

    @property
    def bar(self) -> str:
        return "│" if self.unicode else "|"

    @property
    def gap(self) -> str:
        return "⋮" if self.unicode else "..."

    @property
    def cut(self) -> str:
        return "…" if self.unicode else "..."


class Piece(NamedTuple):
    text: str
    role: str = ""


Line = tuple[Piece, ...]


class Mark(NamedTuple):
    """A span to be underlined, and what to say about it; `role` is `second` or the level of the finding."""

    span: Span
    label: str
    role: str


class Section(NamedTuple):
    """The marks of one file, in the order in which they are to be read, with the file's lines."""

    path: str
    lines: Sequence[str]
    marks: tuple[Mark, ...]


def visible(text: str) -> str:
    r"""`text` with everything that does not print (controls, bidi marks, undecodable bytes) as an escape: `\x1b`."""
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not valid in the file system's encoding
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def wrapped(text: str, width: int) -> list[str]:
    """`text` in rows of `width` characters, or a few more where that is too narrow; long words are left whole."""
    return textwrap.wrap(text, max(width, NARROW), break_long_words=False, break_on_hyphens=False) or [""]


def place(path: str, span: Span) -> str:
    """Where a span begins: `path:line:column`."""
    return f"{visible(path)}:{span.line}:{span.column}"


# -- sections ------------------------------------------------------------------------------------------------------


def story(
    path: str, first: Mark, steps: Sequence[Step], lines_of: Callable[[str], Sequence[str]], *, numbered: bool = False
) -> list[Section]:
    """The sections that show a mark in the file `path` and the steps that follow from it, one section for each file.

    The steps are numbered if that is asked for, or if reading the frame from top to bottom gives another order.
    """
    files = list(dict.fromkeys((path, *(step.path for step in steps))))
    as_read = [(files.index(step.path), step.span.line, -step.span.column) for step in steps]
    numbered = numbered or as_read != sorted(as_read)
    marks: dict[str, list[Mark]] = {file: [] for file in files}
    marks[path].append(first)
    for number, step in enumerate(steps, start=1):
        label = f"({number}) {step.message}" if numbered else step.message
        marks[step.path].append(Mark(step.span, label, "second"))
    return [Section(file, lines_of(file), tuple(found)) for file, found in marks.items()]


def draw(sections: Sequence[Section], remarks: Iterable[tuple[str, str]], look: Look) -> Iterator[Line]:
    """The frame over all sections; the first opens with `-->` and its place, the others with `:::`.

    The place is that of the first mark of a section. Lines without a mark are left out, save for single ones. Each of
    the remarks that follow is a title, which is its own role, and a text.
    """
    last = max((mark.span.line for section in sections for mark in section.marks), default=1)
    margin = max(len(str(last)), len(look.gap) if any(map(_has_gap, sections)) else 1)
    empty = (Piece(f" {'':{margin}} {look.bar}", "line"),)
    for number, section in enumerate(sections):
        arrow = "::: " if number else "--> "
        yield (Piece(" " * margin + arrow, "line"), Piece(place(section.path, section.marks[0].span)))
        yield empty
        yield from _draw_section(section, margin, look)
        yield empty
    for title, text in remarks:
        yield from _draw_remark(title, text, margin, look)


def _draw_remark(title: str, text: str, margin: int, look: Look) -> Iterator[Line]:
    indent = margin + len(f"  = {title}: ")
    rows = wrapped(visible(text), look.width - indent)
    yield Piece(f" {'':{margin}} = ", "line"), Piece(f"{title}: ", title), Piece(rows[0])
    yield from ((Piece(" " * indent), Piece(row)) for row in rows[1:])


def _draw_section(section: Section, margin: int, look: Look) -> Iterator[Line]:
    previous = None
    for number in _lines_of(section):
        if previous is not None and number - previous == 2:
            yield from _draw_line(section, previous + 1, margin, look)
        elif previous is not None and number - previous > 1:
            yield (Piece(f" {look.gap:>{margin}} {look.bar}", "line"),)
        yield from _draw_line(section, number, margin, look)
        previous = number


def _lines_of(section: Section) -> list[int]:
    return sorted({mark.span.line for mark in section.marks})


def _has_gap(section: Section) -> bool:
    numbers = _lines_of(section)
    return any(after - before > 2 for before, after in pairwise(numbers))


# -- one line ------------------------------------------------------------------------------------------------------


class _Bar(NamedTuple):
    """A mark in the cells of the line as shown."""

    start: int
    end: int
    label: str
    role: str


def _draw_line(section: Section, number: int, margin: int, look: Look) -> Iterator[Line]:
    source = section.lines[number - 1] if number <= len(section.lines) else ""
    marks = [mark for mark in section.marks if mark.span.line == number]
    room = max(look.width - margin - 4, 2 * NARROW)
    first, last = _window(source, marks, room)
    before, after = (look.cut if first > 0 else ""), (look.cut if last < len(source) else "")
    shown, cells = _show(source[first:last])
    text = before + shown + after
    yield (Piece(f" {number:>{margin}} {look.bar}", "line"), Piece(f" {text}" if text else ""))
    bars = [_bar(mark, first, cells, len(before)) for mark in marks]
    for row in _under(bars, room, look):
        yield (Piece(f" {'':{margin}} {look.bar} ", "line"), *row)


def _window(source: str, marks: Iterable[Mark], room: int) -> tuple[int, int]:
    """Which characters of a line are shown: all of them, or as many as there is room for, around its first mark."""
    if len(source) <= room:
        return 0, len(source)
    start, end = min(((mark.span.column - 1, _last(mark, source)) for mark in marks), default=(0, 0))
    # Where there is no room for all of them, the finding's own mark goes before those of its evidence.
    primary = next((mark for mark in marks if mark.role != "second"), None)
    if primary is not None and _last(primary, source) > start - LEAD + room:
        start, end = primary.span.column - 1, _last(primary, source)
    first = 0 if end < room else max(0, min(start - LEAD, len(source) - room))
    return first, first + room


def _last(mark: Mark, source: str) -> int:
    """Where a mark ends in its first line, counted from 0, exclusive."""
    return mark.span.end_column - 1 if mark.span.end_line == mark.span.line else len(source)


def _show(source: str) -> tuple[str, list[int]]:
    """A stretch of source as it is shown, and the cells at which its characters begin (and the last one ends)."""
    parts, cells, width = [], [0], 0
    for character in source:
        part = TAB if character == "\t" else visible(character)
        width += 1 if part.isascii() and len(part) == 1 else cell_len(part)
        parts.append(part)
        cells.append(width)
    return "".join(parts), cells


def _bar(mark: Mark, first: int, cells: list[int], shift: int) -> _Bar:
    """Where a mark lies in the cells of a line that is shown from character `first` on, `shift` cells to the right.

    What lies outside of the stretch that is shown is marked at the sign of the cut.
    """
    length = len(cells) - 1
    start, end = mark.span.column - 1 - first, _last(mark, " " * (first + length)) - first
    begin = 0 if end <= 0 and first else cells[min(max(start, 0), length)] + shift
    return _Bar(begin, max(cells[min(max(end, 0), length)] + shift, begin + 1), visible(mark.label), mark.role)


def _under(bars: list[_Bar], room: int, look: Look) -> Iterator[Line]:
    """The rows under a line: the underlining, the label of the last mark beside it if it fits, the others below.

    They are read from the right to the left; of marks that start in one cell, the labels keep their order.
    """
    if not bars:
        return
    bars = sorted(bars, key=lambda bar: bar.start, reverse=True)
    end = max(bar.end for bar in bars)
    beside = bars[0] if bars[0].end == end and end + 1 + cell_len(bars[0].label) <= room else None
    label = (Piece(f" {beside.label}", beside.role),) if beside and beside.label else ()
    yield (*_underline(bars, end), *label)
    hanging = [bar for bar in bars if bar is not beside and bar.label]
    if hanging:
        yield _hang(hanging, look)
    for number, bar in enumerate(hanging, start=1):
        left = [other for other in hanging[number:] if other.start < bar.start]
        for row in wrapped(bar.label, room - bar.start):
            yield (*_hang(left, look, until=bar.start), Piece(row, bar.role))


def _underline(bars: Sequence[_Bar], end: int) -> Iterator[Piece]:
    """One row of `^` under the finding and `-` under its evidence; where they overlap, the finding is on top."""
    roles = [""] * end
    for bar in sorted(bars, key=lambda bar: bar.role != "second"):
        roles[bar.start : bar.end] = [bar.role] * (bar.end - bar.start)
    start = 0
    for cell in range(1, end + 1):
        if cell == end or roles[cell] != roles[start]:
            sign = {"": " ", "second": "-"}.get(roles[start], "^")
            yield Piece(sign * (cell - start), roles[start])
            start = cell


def _hang(bars: Sequence[_Bar], look: Look, until: int | None = None) -> Line:
    """A row with a bar below the start of each mark (given from the right), filled up to the cell `until`."""
    pieces, at = [], 0
    for start, role in {bar.start: bar.role for bar in reversed(bars)}.items():
        pieces += [Piece(" " * (start - at)), Piece(look.bar, role)]
        at = start + 1
    return (*pieces, Piece(" " * (until - at))) if until is not None else tuple(pieces)
