"""Ignore comments: which diagnostics they silence, and what is wrong with the comments themselves.

The forms are in the documentation of LK002. A comment that is not understood silences nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic
from leaklint.model.facts import Comment
from leaklint.rules import Complaint, find_rule, nearest_rule

__all__ = ["Silenced", "silence"]

SELF = "LK002"
"""The rule about these comments. Only a comment that names it silences it."""
VERBS = ("ignore", "ignore-file")
FORM = "write `# leaklint: ignore[LK101] -- why`"

MARK = re.compile(r"#+\s*leaklint:\s*")
VERB = re.compile(r"(?:(?!--)[^\s\[\]#])*")
REST = re.compile(r"\s*(--.*|#.*)?$", re.DOTALL)
"""After the verb and its brackets: a reason, or a comment for somebody else."""


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

    def covers(self, code: str, line: int) -> bool:
        """Whether it silences a diagnostic of this rule that begins in this line."""
        if code not in self.codes and (self.codes or code == SELF):
            return False
        return self.whole_file or self.lines[0] <= line <= self.lines[1] or (code == SELF and line == self.span.line)


def silence(
    diagnostics: Iterable[Diagnostic], comments: Iterable[Comment], *, enabled: Callable[[str], bool]
) -> Silenced:
    """Leave out what the comments of the file silence.

    `diagnostics` are those of every rule but LK002, enabled or not: a comment counts as used when it matches any, and a
    code in it only counts as unused when `enabled` says that its rule runs.
    """
    found = tuple(diagnostics)
    read = [_parse(comment) for comment in comments]
    suppressions = [suppression for suppression, _ in read if suppression is not None]
    places = [(each.code, each.span.line) for each in found]
    complaints = [complaint for _, wrong in read for complaint in wrong]
    complaints += [idle for each in suppressions for idle in _idle(each, places, enabled)]

    mute = [each for each in suppressions if SELF in each.codes]
    about_self = [(SELF, complaint.span.line) for complaint in complaints]
    complaints = [complaint for complaint in complaints if not _covered(mute, (SELF, complaint.span.line))]
    complaints += [_complain(each, SELF) for each in mute if enabled(SELF) and not _matches(each, about_self)]
    return Silenced(
        kept=tuple(each for each, place in zip(found, places, strict=True) if not _covered(suppressions, place)),
        complaints=tuple(sorted(complaints)),
    )


def _covered(suppressions: Sequence[Suppression], place: tuple[str, int]) -> bool:
    return any(each.covers(*place) for each in suppressions)


def _matches(suppression: Suppression, places: Iterable[tuple[str, int]]) -> set[str]:
    return {code for code, line in places if suppression.covers(code, line)}


def _idle(
    suppression: Suppression, places: Sequence[tuple[str, int]], enabled: Callable[[str], bool]
) -> list[Complaint]:
    """Complaints about the codes (LK002 left out) that match nothing."""
    matched = _matches(suppression, places)
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


def _parse(comment: Comment) -> tuple[Suppression | None, list[Complaint]]:
    """What the comment silences, if anything, and what is wrong with it."""
    mark = MARK.search(comment.text)
    if mark is None:
        return None, []
    verb, rest = _split(comment.text[mark.end() :])
    problem = _problem(comment, verb, rest)
    if problem is not None:
        return None, [Complaint(comment.span, problem, FORM)]
    named = [word for word in (part.strip() for part in _bracket(rest).split(",")) if word]
    rules = {word: find_rule(word) for word in named}
    wrong = [Complaint(comment.span, *_unknown(word)) for word, rule in rules.items() if rule is None]
    codes = tuple(dict.fromkeys(rule.code for rule in rules.values() if rule is not None))
    if named and not codes:
        return None, wrong
    return Suppression(comment.span, codes, verb == "ignore-file", comment.statement), wrong


def _split(text: str) -> tuple[str, str]:
    verb = VERB.match(text)
    end = verb.end() if verb else 0
    return text[:end], text[end:].lstrip()


def _bracket(rest: str) -> str:
    """What stands in the brackets; empty if there are none."""
    return rest[1 : rest.index("]")] if rest.startswith("[") else ""


def _problem(comment: Comment, verb: str, rest: str) -> str | None:
    """Why the comment is not understood, if so."""
    if verb not in VERBS:
        near = difflib.get_close_matches(verb.lower(), VERBS, n=1)
        hint = f", did you mean `{near[0]}`?" if near else ""
        return f"unknown comment `leaklint: {verb}`{hint}" if verb else "a `leaklint:` comment that says nothing"
    if rest.startswith("[") and "]" not in rest:
        return f"the bracket after `{verb}` is not closed"
    after = rest.partition("]")[2] if rest.startswith("[") else rest
    if rest.startswith("[") and not _bracket(rest).replace(",", " ").strip():
        return f"the brackets after `{verb}` name no rule"
    if not REST.fullmatch(after):
        return f"`{after.split()[0]}` after `{verb}` is not understood: rules stand in brackets, a reason after `--`"
    if verb == "ignore-file" and not comment.own_line:
        return "`ignore-file` does not stand on a line of its own"
    return None


def _unknown(word: str) -> tuple[str, str]:
    near = nearest_rule(word)
    hint = f", did you mean `{near}`?" if near else ""
    return f"unknown rule `{word}`{hint}", f"write `{near}`" if near else "`leaklint rule --all` lists the rules"
