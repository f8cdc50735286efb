"""Reports for people about fixes: what was mended and what changes by that, what remains and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from leaklint.model.diagnostic import Diagnostic
from leaklint.model.fix import Fix, Proposal
from leaklint.report.frame import Line, Look, Piece, place, visible, wrapped
from leaklint.report.paint import paint

__all__ = ["Tally", "mended", "needs", "offer", "reasons", "tally"]

INDENT = 4


class Tally(NamedTuple):
    """How much was found, and what became of it."""

    found: int
    fixed: int
    more: int = 0
    """How many of those that remain have an unsafe fix that was not asked for."""
    is_written: bool = True
    """Or would have been fixed."""
    explained: bool = False
    """Whether the reasons have been told."""

    @property
    def remaining(self) -> int:
        return self.found - self.fixed


def mended(applied: Iterable[tuple[Diagnostic, Fix]], *, is_written: bool = True, look: Look | None = None) -> str:
    """For each finding that was mended a line, and below it what changes for the program and what may go wrong."""
    look = look or Look()
    verb = "fixed" if is_written else "would be fixed"
    return paint((line for finding, fix in applied for line in _mended(finding, fix, verb, look)), look)


def reasons(remaining: Iterable[Proposal], *, look: Look | None = None) -> str:
    """For each finding that remains a line, and below it the fixes that there are, and why there are no others."""
    look = look or Look()
    return paint((line for proposal in remaining for line in _remaining(proposal, look)), look)


def offer(fix: Fix, *, number: int | None = None, look: Look | None = None) -> str:
    """A fix that may be chosen, by its number, with what changes and what may go wrong."""
    look = look or Look()
    return paint(_offer(fix, look, number=number), look)


def tally(counts: Tally, *, look: Look | None = None) -> str:
    """How many findings there were, how many are mended, and how more could be."""
    if not counts.found:
        return paint([(Piece("Found nothing to fix.", "good"),)], look or Look())
    fixed, remaining = ("fixed", "remaining") if counts.is_written else ("would be fixed", "would remain")
    told = [
        f"Found {_count(counts.found, 'finding')} ({counts.fixed} {fixed}, {counts.remaining} {remaining})",
        f"{counts.more} more with --unsafe-fixes" if counts.more else "",
        "--show-reasons tells why" if counts.remaining and not counts.explained else "",
    ]
    return paint([(Piece("; ".join(filter(None, told)) + "."),)], look or Look())


def needs(release: Sequence[int], path: str | None, *, look: Look | None = None) -> str:
    """That fixed code needs a library which the project does not ask for yet."""
    wanted = f"`anyio>={'.'.join(map(str, release))}`"
    if path is None:
        told = f"the fixed code needs {wanted}: see that it is among the dependencies of the project"
    else:
        told = f"the fixed code needs {wanted}: add it to the dependencies in {visible(path)}"
    return paint([(Piece("help: ", "help"), Piece(told))], look or Look())


# -- findings ----------------------------------------------------------------------------------------------------------


def _mended(finding: Diagnostic, fix: Fix, verb: str, look: Look) -> Iterator[Line]:
    yield (
        Piece(f"{place(finding.path, finding.span)}: "),
        Piece(finding.code, finding.level.value),
        Piece(" "),
        Piece(verb, "good"),
        Piece(f" ({visible(fix.name)}): {visible(fix.title)}"),
    )
    yield from _consequences(fix, INDENT, look)


def _remaining(proposal: Proposal, look: Look) -> Iterator[Line]:
    finding = proposal.finding
    yield (
        Piece(f"{place(finding.path, finding.span)}: "),
        Piece(finding.code, finding.level.value),
        Piece(f" {visible(finding.message)}"),
    )
    for fix in proposal.fixes:
        yield from _offer(fix, look)
    told = dict.fromkeys(reason.message for reason in proposal.reasons)
    for message in told:
        yield from _labelled("no fix" if not proposal.fixes else "no other fix", "second", message, INDENT, look)


def _offer(fix: Fix, look: Look, *, number: int | None = None) -> Iterator[Line]:
    safety = fix.applicability.value
    label = f"{safety} fix" if number is None else f"{number}: {safety} fix"
    role = "warning" if fix.hazards else "good"
    yield from _labelled(f"{label} ({visible(fix.name)})", role, fix.title, INDENT, look)
    yield from _consequences(fix, 2 * INDENT, look)


def _consequences(fix: Fix, indent: int, look: Look) -> Iterator[Line]:
    for note in fix.notes:
        yield from _labelled("changes", "second", note, indent, look)
    for hazard in fix.hazards:
        yield from _labelled("hazard", "warning", hazard.message, indent, look)


def _labelled(label: str, role: str, text: str, indent: int, look: Look) -> Iterator[Line]:
    """A text after its label, in as many rows as it takes."""
    start = indent + len(label) + 2
    rows = wrapped(visible(text), look.width - start)
    yield Piece(" " * indent), Piece(f"{label}: ", role), Piece(rows[0])
    yield from ((Piece(" " * start), Piece(row)) for row in rows[1:])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
