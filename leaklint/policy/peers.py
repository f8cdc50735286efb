"""Comments for other linters: what is silenced for them is silenced for the rule of leaklint about the same thing.

They are read as ruff, flake8 and Sonar read them, with two liberties: what names a rule counts in the whole statement,
and a reason may follow a code directly (`# noqa: RUF006: why`). `# noqa` may name a rule of leaklint, too.
https://docs.astral.sh/ruff/linter/#error-suppression
https://flake8.pycqa.org/en/stable/user/violations.html
https://docs.sonarsource.com/sonarqube-server/quality-standards-administration/managing-quality-gates/tracking-inline-comments
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from leaklint.catalog.linters import FLAKE8, PEERS, RUFF, SONAR, Peer
from leaklint.model.code import Span
from leaklint.model.facts import Comment

__all__ = ["Waiver", "waivers"]

NOQA = re.compile(r"#\s*(?P<file>(?:ruff\s*:|(?i:flake8)\s*[:=])\s*)?(?i:noqa)\b(?:\s*:(?P<codes>.*))?")
CODE = re.compile(r"[A-Z]+[0-9]*")
"""A code, or, as flake8 takes it, the beginning of one. Upper and lower case differ."""
CODES = re.compile(r"[\s,]*(?:(?:[A-Z]+[0-9]+|[A-Z]+(?![A-Za-z]))[\s,]*)*")
RUFF_IGNORE = re.compile(r"#\s*ruff\s*:\s*(?P<file>file-)?ignore\s*\[(?P<rules>[^]]*)\]")
NOSONAR = re.compile(r"#\s*NOSONAR\b(?:\s*\((?P<keys>[^)]*)\))?")


class Waiver(NamedTuple):
    """What a comment of another linter silences."""

    codes: frozenset[str]
    """Of rules of leaklint."""
    lines: tuple[int, int] | None
    """None: the whole file."""

    def covers(self, code: str, span: Span) -> bool:
        """Whether it silences a diagnostic of this rule there."""
        first, last = self.lines or (1, span.line)
        return code in self.codes and first <= span.line <= last


def waivers(comments: Iterable[Comment]) -> tuple[Waiver, ...]:
    """What these comments silence; nothing for a comment that names no rule of another linter that leaklint has."""
    found = (waiver for comment in comments for read in (_noqa, _ruff, _sonar) for waiver in read(comment))
    return tuple(waiver for waiver in found if waiver.codes)


def _noqa(comment: Comment) -> Iterator[Waiver]:
    match = NOQA.search(comment.text)
    if match is None or (match["file"] is not None) is not comment.own_line:
        return
    if match["codes"] is None:
        rules, lines = _rules(PEERS), (comment.span.line, comment.span.line)
    else:
        codes = _codes(match["codes"])
        own = frozenset(code for code in codes if code.startswith("LK"))
        rules, lines = own | _rules(peer for peer in PEERS if _is_named(peer, codes)), comment.statement
    yield Waiver(rules, None if match["file"] else lines)


def _codes(text: str) -> frozenset[str]:
    """Those at the beginning of a text: up to the first word that is neither a code nor the beginning of one."""
    found = CODES.match(text)
    return frozenset(CODE.findall(found[0] if found else ""))


def _is_named(peer: Peer, codes: frozenset[str]) -> bool:
    return peer.code in codes or (peer.tool == FLAKE8 and peer.code.startswith(tuple(codes)))


def _ruff(comment: Comment) -> Iterator[Waiver]:
    for match in RUFF_IGNORE.finditer(comment.text):
        named = _split(match["rules"])
        rules = _rules(peer for peer in PEERS if peer.tool == RUFF and not named.isdisjoint({peer.code, peer.name}))
        if match["file"] is None:
            yield Waiver(rules, comment.statement)
        elif comment.own_line and comment.span.column == 1:
            yield Waiver(rules, None)


def _sonar(comment: Comment) -> Iterator[Waiver]:
    for match in () if comment.own_line else NOSONAR.finditer(comment.text):
        keys = _split(match["keys"] or "")
        rules = _rules(peer for peer in PEERS if peer.tool == SONAR and (not keys or peer.code in keys))
        yield Waiver(rules, comment.statement if keys else (comment.span.line, comment.span.line))


def _split(words: str) -> frozenset[str]:
    return frozenset(word.strip() for word in words.split(",") if word.strip())


def _rules(peers: Iterable[Peer]) -> frozenset[str]:
    return frozenset(code for peer in peers for code in peer.rules)
