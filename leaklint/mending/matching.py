"""Which finding of a program that was edited is which finding of the program before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from leaklint.model.diagnostic import Diagnostic

__all__ = ["earlier", "key_of"]


def key_of(finding: Diagnostic) -> object:
    """What names a finding also when lines have moved; findings that read the same are told apart by their order."""
    return finding.path, finding.code, "".join(character for character in finding.message if not character.isdigit())


def earlier(findings: Sequence[Diagnostic], before: Sequence[Diagnostic]) -> list[Diagnostic]:
    """For each finding what it was `before`, at the place that it had then; itself, if it was none."""
    unmoved = set(findings) & set(before)
    moved: dict[object, list[Diagnostic]] = defaultdict(list)
    for finding in before:
        if finding not in unmoved:
            moved[key_of(finding)].append(finding)
    return [
        moved[key_of(finding)].pop(0) if finding not in unmoved and moved[key_of(finding)] else finding
        for finding in findings
    ]
