"""Reports for people: frames, one-liners, the table of tasks, the documentation of rules.

Every function takes values and gives text that ends in a newline, or no text at all. Colours are added only where the
look asks for them; text from outside is never read as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from io import StringIO

from rich.cells import cell_len

from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Outcome, Reported
from leaklint.model.fate import Fate, Task
from leaklint.report.frame import Line, Look, Mark, Piece, draw, place, story, visible
from leaklint.report.paint import FATE_ROLES, paint
from leaklint.rules import Rule

__all__ = ["Look", "concise", "full", "rule_pages", "summary", "tasks_summary", "tasks_table", "visible"]

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
    return "".join(paint([*_finding(diagnostic, lines, look), ()], look) for diagnostic in diagnostics)


def concise(diagnostics: Iterable[Diagnostic], *, look: Look | None = None) -> str:
    """One line for each diagnostic: `path:line:column: CODE message`."""
    return paint((_one_line(diagnostic) for diagnostic in diagnostics), look or Look())


def _one_line(diagnostic: Diagnostic) -> Line:
    return (
        Piece(f"{place(diagnostic.path, diagnostic.span)}: "),
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
    mark = Mark(diagnostic.span, diagnostic.label, level)
    sections = story(diagnostic.path, mark, diagnostic.evidence, lines_of)
    advice = () if diagnostic.help is None else (("help", diagnostic.help),)
    yield from draw(sections, (*advice, ("docs", f"leaklint rule {diagnostic.code}")), look)


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
    return paint(lines, look or Look())


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
    return paint(table, look)


def _row(entry: Reported) -> Line:
    task = entry.task
    role = FATE_ROLES[task.fate]
    paths = f" ({', '.join(path.value for path in task.paths)})" if task.paths else ""
    return (
        Piece(place(task.path, task.span)),
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
        return paint([(Piece("Found no tasks."),)], look or Look())
    counts = Counter(entry.task.fate for entry in tasks)
    fates = [Piece(f"{counts[fate]} {fate.value}", FATE_ROLES[fate]) for fate in Fate if counts[fate]]
    files = len({entry.task.path for entry in tasks})
    found = f"Found {_count(len(tasks), 'task')} in {_count(files, 'file')}: "
    return paint([(Piece(found), *_enumeration(fates), Piece("."))], look or Look())


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
