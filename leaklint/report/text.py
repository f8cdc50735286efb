"""Reports for people: frames, one-liners, the table of tasks, the documentation of rules.

Every function takes values and gives text that ends in a newline, or no text at all. Colours are added only where the
look asks for them; text from outside is never read as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from itertools import groupby, pairwise

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Outcome, Reported
from leaklint.model.fate import Fate, Step, Task
from leaklint.report.frame import Line, Look, Mark, Piece, Section, draw, visible, wrapped
from leaklint.rules import Rule

__all__ = ["Look", "concise", "full", "rule_pages", "summary", "tasks_summary", "tasks_table", "visible"]

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
        "strong": "bold",
        "dim": "dim",
        "good": "bold green",
        "calm": "green",
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
COLUMN = 44
"""Cells of the table wider than this do not widen their column."""


# -- findings ------------------------------------------------------------------------------------------------------


def full(
    diagnostics: Iterable[Diagnostic], *, lines_of: Callable[[str], Sequence[str]], look: Look | None = None
) -> str:
    """A frame for each diagnostic: the guilty span, the steps of the evidence, what to do and where to read on.

    `lines_of` gives the lines of a file as it was analysed, without line ends; none if it cannot be read any more.
    """
    look = look or Look()
    lines = lru_cache(maxsize=8)(lines_of)  # findings of one file follow one another
    return "".join(_paint([*_finding(diagnostic, lines, look), ()], look) for diagnostic in diagnostics)


def concise(diagnostics: Iterable[Diagnostic], *, look: Look | None = None) -> str:
    """One line for each diagnostic: `path:line:column: CODE message`."""
    return _paint((_one_line(diagnostic) for diagnostic in diagnostics), look or Look())


def _one_line(diagnostic: Diagnostic) -> Line:
    return (
        Piece(f"{_place(diagnostic.path, diagnostic.span.line, diagnostic.span.column)}: "),
        Piece(diagnostic.code, diagnostic.level.value),
        Piece(f" {visible(diagnostic.message)}"),
    )


def _finding(diagnostic: Diagnostic, lines_of: Callable[[str], Sequence[str]], look: Look) -> Iterator[Line]:
    level = diagnostic.level.value
    yield (
        Piece(f"{level}[{diagnostic.code}]", level),
        Piece(f": {visible(diagnostic.message)}", "strong"),
        Piece(f"  ({diagnostic.name})", "dim"),
    )
    marks = {diagnostic.path: [Mark(diagnostic.span, diagnostic.label, level)]}
    for step, label in zip(diagnostic.evidence, _labels(diagnostic.evidence), strict=True):
        marks.setdefault(step.path, []).append(Mark(step.span, label, "second"))
    frame = list(draw([Section(path, lines_of(path), tuple(found)) for path, found in marks.items()], look))
    yield from frame
    margin = len(frame[-1][0].text) - 1
    if diagnostic.help is not None:
        yield from _remark(margin, "help", diagnostic.help, look)
    yield from _remark(margin, "docs", f"leaklint rule {diagnostic.code}", look)


def _labels(steps: Sequence[Step]) -> list[str]:
    """What the steps say; numbered if a frame, which is in the order of lines, shows them in another order."""
    in_order = all(
        before.path != after.path or before.span.line <= after.span.line for before, after in pairwise(steps)
    )
    return [step.message if in_order else f"({number}) {step.message}" for number, step in enumerate(steps, start=1)]


def _remark(margin: int, title: str, text: str, look: Look) -> Iterator[Line]:
    indent = margin + len(f"= {title}: ")
    rows = wrapped(visible(text), look.width - indent)
    yield Piece(f"{'':{margin}}= ", "line"), Piece(f"{title}: ", title), Piece(rows[0])
    yield from ((Piece(" " * indent), Piece(row)) for row in rows[1:])


def _place(path: str, line: int, column: int) -> str:
    return f"{visible(path)}:{line}:{column}"


def summary(outcomes: Sequence[Outcome], *, look: Look | None = None) -> str:
    """What was found in how many files, and how many tasks are waited for by hand, if no rule lists them."""
    checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
    diagnostics = [found for outcome in checked for found in outcome.diagnostics]
    failed = sum(isinstance(outcome, Failed) for outcome in outcomes)
    lines = [_findings_line(diagnostics, len(outcomes) - failed, failed)]
    by_hand = sum(entry.rule is None and entry.task.fate.by_hand for outcome in checked for entry in outcome.tasks)
    if by_hand and not any(found.code == "LK106" for found in diagnostics):
        verb, it = ("task is", "it") if by_hand == 1 else ("tasks are", "them")
        lines.append((Piece(f"{by_hand} {verb} waited for by hand, outside any task group (--strict lists {it})."),))
    return _paint(lines, look or Look())


def _findings_line(diagnostics: Sequence[Diagnostic], files: int, failed: int) -> Line:
    trouble = (Piece(f" {failed} could not be looked at.", "error"),) if failed else ()
    if diagnostics:
        counts = Counter(diagnostic.level for diagnostic in diagnostics)
        found = [Piece(_count(counts[level], level.value), level.value) for level in Level if counts[level]]
        guilty = len({diagnostic.path for diagnostic in diagnostics})
        where = _count(files, "file") if guilty == files else f"{guilty} of {_count(files, 'file')}"
        return Piece("Found "), *_enumeration(found), Piece(f" in {where}."), *trouble
    verdict = Piece("Found nothing.") if failed else Piece("All checks passed!", "good")
    return verdict, Piece(f" {_count(files, 'file')} checked."), *trouble


def _enumeration(pieces: Sequence[Piece]) -> Iterator[Piece]:
    for number, piece in enumerate(pieces):
        if number:
            yield Piece(" and " if number == len(pieces) - 1 else ", ")
        yield piece


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- the inventory -------------------------------------------------------------------------------------------------


def tasks_table(tasks: Sequence[Reported], *, look: Look | None = None) -> str:
    """The inventory, one task a line: place, fate, rule, the spawn, what holds the handle, the spawning function.

    A fate with a question mark rests on the name of the receiver alone. On a terminal that is too narrow for the lines,
    a task takes two of them.
    """
    look = look or Look()
    head = tuple(Piece(title, "strong") for title in ("PLACE", "FATE", "RULE", "SPAWN", "HANDLE", "FUNCTION"))
    rows = [_row(entry) for entry in tasks]
    if not rows:
        return ""
    table = _aligned([head, *rows])
    if look.terminal and any(sum(map(_cells, line)) > look.width for line in table):
        upper, lower = _aligned([row[:3] for row in rows]), _aligned([row[3:] for row in rows])
        table = [line for above, below in zip(upper, lower, strict=True) for line in (above, (Piece("    "), *below))]
    return _paint(table, look)


def _row(entry: Reported) -> Line:
    task = entry.task
    role = FATE_ROLES[task.fate]
    paths = f" ({', '.join(path.value for path in task.paths)})" if task.paths else ""
    return (
        Piece(_place(task.path, task.span.line, task.span.column)),
        Piece(f"{task.fate.value}{'?' if task.likely else ''}{paths}", role),
        Piece(entry.rule or "-", role if entry.rule else ""),
        Piece(visible(f"{task.call}({task.spawned})")),
        Piece(visible(_holder(task))),
        Piece(visible(task.function)),
    )


def _holder(task: Task) -> str:
    """What holds the handle; with its owner, unless the name of the function that spawns it tells the owner already."""
    elsewhere = task.owner is not None and not f"{task.function}.".startswith(f"{task.owner}.")
    return (task.handle or "-") + (f" of {task.owner}" if elsewhere else "")


def _cells(piece: Piece) -> int:
    return cell_len(piece.text)


def _aligned(rows: Sequence[Line]) -> list[Line]:
    """The rows as the lines of a table. What a very wide cell takes, the next ones in its row give back."""
    widths = [
        max((width for width in map(_cells, column) if width <= COLUMN), default=0)
        for column in zip(*rows, strict=True)
    ]
    lines = []
    for row in rows:
        line: list[Piece] = []
        debt = 0
        for piece, width in zip(row[:-1], widths, strict=False):
            space = width - _cells(piece) - debt
            line += [piece, Piece(" " * (max(space, 0) + 2))]
            debt = max(-space, 0)
        lines.append((*line, row[-1]))
    return lines


def tasks_summary(tasks: Sequence[Reported], *, look: Look | None = None) -> str:
    """How many tasks there are, by fate."""
    if not tasks:
        return _paint([(Piece("Found no tasks."),)], look or Look())
    counts = Counter(entry.task.fate for entry in tasks)
    fates = [Piece(f"{counts[fate]} {fate.value}", FATE_ROLES[fate]) for fate in Fate if counts[fate]]
    files = len({entry.task.path for entry in tasks})
    found = f"Found {_count(len(tasks), 'task')} in {_count(files, 'file')}: "
    return _paint([(Piece(found), *_enumeration(fates), Piece("."))], look or Look())


# -- rules ---------------------------------------------------------------------------------------------------------


def rule_pages(rules: Iterable[Rule], *, look: Look | None = None) -> str:
    """The documentation of rules: rendered when it may be coloured, else the Markdown as it is written."""
    pages = "\n\n".join(_page(rule) for rule in rules)
    return _rendered(pages, look) if look is not None and look.color else f"{pages}\n"


def _page(rule: Rule) -> str:
    standing = "on by default" if rule.default else "off by default, on with `--strict`"
    return f"# {rule.name} ({rule.code})\n\nLevel: {rule.level.value}, {standing}.\n\n{rule.documentation.strip()}"


def _rendered(markdown: str, look: Look) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    page = StringIO()
    console = Console(file=page, force_terminal=True, color_system="standard", width=min(look.width, 100))
    console.print(Markdown(markdown, code_theme="ansi_dark"))
    return page.getvalue()


# -- colour --------------------------------------------------------------------------------------------------------


def _paint(lines: Iterable[Line], look: Look) -> str:
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
