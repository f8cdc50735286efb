"""Ignore comments: which diagnostics they silence, and what is wrong with the comments themselves.

The forms are in the documentation of LK002. A comment that is not understood silences nothing. Those of other linters
are never at fault: `peers` reads them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic
from leaklint.model.facts import Comment
from leaklint.policy.peers import Waiver, waivers
from leaklint.rules import Complaint, find_rule, nearest_rule

__all__ = ["Silenced", "silence"]

SELF = "LK002"
"""The rule about these comments. Only a comment that names it silences it."""
VERBS = ("ignore", "ignore-file")
COMMENT = re.compile(
    r"(?<!\S)#\s*leaklint:\s*(?P<verb>(?:(?!--)[^\s\[\]#])*)\s*(?:\[(?P<rules>[^]]*)(?P<closed>]?))?\s*(?P<after>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Silenced:
    """What remains after the comments were obeyed."""

    kept: tuple[Diagnostic, ...]
    """In the order they came in."""
    complaints: tuple[Complaint, ...]
    """About comments that silence nothing, in part or whole; in source order."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment that was understood."""

    span: Span
    codes: tuple[str, ...]
    """Empty: every rule but LK002."""
    whole_file: bool
    lines: tuple[int, int]

    def covers(self, code: str, span: Span) -> bool:
        """Whether it silences a diagnostic of this rule there."""
        if code not in self.codes and (self.codes or code == SELF):
            return False
        first, last = self.lines
        return self.whole_file or first <= span.line <= last or (code == SELF and span.line == self.span.line)


def silence(
    diagnostics: Iterable[Diagnostic],
    comments: Sequence[Comment],
    *,
    enabled: Callable[[str], bool],
    honor_noqa: bool = True,
) -> Silenced:
    """Leave out what the comments of the file silence.

    `diagnostics` are those of every rule but LK002, enabled or not: a comment counts as used when it matches any, and a
    code in it only counts as unused when `enabled` says that its rule runs. With `honor_noqa`, comments for other
    linters silence what these have rules for, too.
    """
    found = tuple(diagnostics)
    read = [_read(comment) for comment in comments]
    suppressions = [suppression for suppression, _ in read if suppression is not None]
    complaints = [complaint for _, wrong in read for complaint in wrong]
    complaints += [idle for each in suppressions for idle in _idle(each, found, enabled)]
    named = [each for each in suppressions if SELF in each.codes]
    heard = [each for each in complaints if not _covered(named, SELF, each.span)]
    if enabled(SELF):
        idle = (each for each in named if not any(each.covers(SELF, wrong.span) for wrong in complaints))
        heard += [_complain(each, SELF) for each in idle]
    silencers: list[Suppression | Waiver] = [*suppressions, *(waivers(comments) if honor_noqa else ())]
    return Silenced(
        kept=tuple(each for each in found if not _covered(silencers, each.code, each.span)),
        complaints=tuple(sorted(heard)),
    )


def _covered(silencers: Iterable[Suppression | Waiver], code: str, span: Span) -> bool:
    return any(each.covers(code, span) for each in silencers)


def _idle(suppression: Suppression, found: Iterable[Diagnostic], enabled: Callable[[str], bool]) -> list[Complaint]:
    """Complaints about what matches nothing; LK002 has its turn when all other complaints are known."""
    matched = {each.code for each in found if suppression.covers(each.code, each.span)}
    if not suppression.codes:
        return [] if matched else [_complain(suppression, None)]
    idle = [code for code in suppression.codes if code not in matched and code != SELF and enabled(code)]
    return [_complain(suppression, code) for code in idle]


def _complain(suppression: Suppression, code: str | None) -> Complaint:
    place = "this file" if suppression.whole_file else "this statement"
    return Complaint(
        span=suppression.span,
        message=f"`{code}` is ignored, but is not found in {place}"
        if code
        else f"every rule is ignored, but none finds anything in {place}",
        help=f"take `{code}` out of the brackets" if len(suppression.codes) > 1 else "remove the comment",
    )


# -- reading a comment ---------------------------------------------------------------------------------------------


def _read(comment: Comment) -> tuple[Suppression | None, list[Complaint]]:
    """What the comment silences, if anything, and what is wrong with it."""
    match = COMMENT.search(comment.text)
    if match is None:
        return None, []
    span = comment.span._replace(column=comment.span.column + match.start())
    problem = _problem(match, comment)
    if problem is not None:
        return None, [Complaint(span, *problem)]
    words = [word.strip() for word in (match["rules"] or "").split(",") if word.strip()]
    rules = {word: find_rule(word) for word in words}
    unknown = [Complaint(span, *_unknown(word)) for word, rule in rules.items() if rule is None]
    codes = tuple(dict.fromkeys(rule.code for rule in rules.values() if rule is not None))
    if words and not codes:
        return None, unknown
    return Suppression(span, codes, match["verb"] == "ignore-file", comment.statement), unknown


def _problem(match: re.Match[str], comment: Comment) -> tuple[str, str] | None:
    """Why the comment is not understood, and what to write, if so."""
    verb, rules, after = match["verb"], match["rules"], match["after"]
    form = "write `# leaklint: ignore[LK101] -- why`"
    if not verb:
        return "this `leaklint:` comment says nothing", form
    if verb not in VERBS:
        near = difflib.get_close_matches(verb.lower(), VERBS, n=1)
        return f"unknown comment `leaklint: {verb}`" + (f", did you mean `{near[0]}`?" if near else ""), form
    if rules is not None and not match["closed"]:
        return f"the bracket after `{verb}` is not closed", form
    if rules is not None and not rules.strip(", \t"):
        return f"the brackets after `{verb}` name no rule", form
    if after and not after.startswith(("--", "#")):
        return f"`{after.split()[0]}` is not understood: rules stand in brackets, a reason follows `--`", form
    if verb == "ignore-file" and not comment.own_line:
        return "`ignore-file` does not stand on a line of its own", "move it to a line of its own, or write `ignore`"
    return None


def _unknown(word: str) -> tuple[str, str]:
    near = nearest_rule(word)
    if near is None:
        return f"unknown rule `{word}`", "`leaklint rule --all` lists the rules"
    return f"unknown rule `{word}`, did you mean `{near}`?", f"write `{near}`"
