"""The questions of `leaklint fix --interactive`: one for each finding that can be mended."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

from leaklint.mending import Choosing, Question, Stop
from leaklint.model.errors import UserError
from leaklint.model.fix import Fix
from leaklint.report import diff, repairs, text
from leaklint.report.frame import Look
from leaklint.terminal import ask, write

__all__ = ["Conversation", "refuse_without_terminal"]


def refuse_without_terminal() -> None:
    """Raise `UserError` if nobody can be asked."""
    streams = (sys.stdin, sys.stdout)
    if any(stream is None or not stream.isatty() for stream in streams):
        raise UserError("--interactive needs a terminal to ask in; --diff shows the same fixes")


@dataclass
class Conversation:
    """Asks, until the user has had enough."""

    choosing: Choosing
    """What holds for the rest if the user says so."""
    look: Look
    asks_no_more: bool = False

    HELP: ClassVar = (
        "y  apply {first}",
        "n  leave this finding as it is",
        "a  apply {first} and every {kind}fix after it",
        "q  stop here; what was accepted stays",
    )

    def __call__(self, question: Question) -> Fix | None:
        """The fix to apply; None for none. Raises `Stop`."""
        if self.asks_no_more:
            return self.choosing(question.proposal)
        fixes = self._in_order(question)
        self._show(question, fixes)
        while True:
            answer = self._answer(len(fixes))
            if answer in ("y", "yes"):
                return fixes[0]
            if answer in ("n", "no"):
                return None
            if answer in ("a", "all"):
                self.asks_no_more = True
                return fixes[0]
            if answer in ("q", "quit", None):
                raise Stop
            if answer.isdecimal() and 1 <= int(answer) <= len(fixes):
                return fixes[int(answer) - 1]
            self._explain(len(fixes))

    def _in_order(self, question: Question) -> tuple[Fix, ...]:
        """The fixes, first the one that would be applied without asking."""
        fixes = question.proposal.fixes
        first = self.choosing(question.proposal) or fixes[0]
        return (first, *(fix for fix in fixes if fix is not first))

    def _show(self, question: Question, fixes: tuple[Fix, ...]) -> None:
        look = self.look
        shown = [text.full([question.proposal.finding], lines_of=question.lines_of, look=look)]
        for number, fix in enumerate(fixes, start=1):
            shown.append(repairs.offer(fix, number=number if len(fixes) > 1 else None, look=look))
            shown.append(diff.shown(question.previews[fix.name], look))
            shown.append("\n")
        write("".join(shown), sys.stdout, color=look.color)

    def _answer(self, count: int) -> str | None:
        numbers = "" if count == 1 else f", 1-{count}"
        answer = ask(
            f"Apply {'this fix' if count == 1 else 'fix 1'}? [y, n, a, q{numbers}, ? for help] ", color=self.look.color
        )
        if answer is None:
            write("\n", sys.stdout)
        return None if answer is None else answer.casefold()

    def _explain(self, count: int) -> None:
        first, kind = "this fix" if count == 1 else "fix 1", "" if self.choosing.unsafe else "safe "
        lines = [line.format(first=first, kind=kind) for line in self.HELP]
        if count > 1:
            lines.insert(1, f"1-{count}  apply the fix of this number")
        write("".join(f"  {line}\n" for line in lines), sys.stdout)
