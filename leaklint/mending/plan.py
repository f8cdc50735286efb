"""What a run that mends is asked to do, and what comes of each program, as values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.fixing.remedies import REMEDIES
from leaklint.model.diagnostic import Diagnostic, Failed
from leaklint.model.fix import Fix, Proposal, Rewritten, code_of
from leaklint.policy.requirements import Release

__all__ = ["Choosing", "Dependency", "Mended", "Plan", "Question", "Stop", "fix_names", "needed_anyio", "together"]


@dataclass(frozen=True, slots=True)
class Choosing:
    """Which of the ways to mend a finding is gone without asking."""

    unsafe: bool = False
    """Also one with hazards."""
    preferred: tuple[str, ...] = ()
    """Names of fixes that go before the others, the first of them first."""

    def __call__(self, proposal: Proposal) -> Fix | None:
        """The way to go; None for none."""
        allowed = [fix for fix in proposal.fixes if self.unsafe or not fix.hazards]
        preferred = [fix for name in self.preferred for fix in allowed if fix.name == name]
        return next(iter((*preferred, *allowed)), None)


def fix_names() -> tuple[str, ...]:
    """The names that fixes are chosen by."""
    return tuple(dict.fromkeys(remedy.name for remedy in REMEDIES))


class Question(NamedTuple):
    """What is to be decided: whether a finding is mended, and in which of several ways."""

    proposal: Proposal
    """Only with fixes that hold."""
    previews: Mapping[str, Sequence[Rewritten]]
    """By the name of the fix, the files that it changes."""
    lines_of: Callable[[str], Sequence[str]]
    """The lines of a file, as it is now."""


class Stop(Exception):
    """The user wants no more questions."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to go about it."""

    choosing: Choosing = field(default_factory=Choosing)
    writing: bool = True
    """Or only tell what would be written."""
    proposing: bool = False
    """Apply nothing: tell in which ways each finding can be mended."""
    ask: Callable[[Question], Fix | None] | None = None
    """Asked about each finding, in place of choosing. May raise `Stop`."""


class Dependency(NamedTuple):
    """What fixed code needs and its project does not ask for."""

    path: str | None
    """The file in which it can be asked for; None if that is not known."""
    release: Release
    """Of AnyIO."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of a program, or would have if it had been written."""

    found: int
    """The findings that there were."""
    rewritten: tuple[Rewritten, ...] = ()
    """By path."""
    applied: tuple[tuple[Diagnostic, Fix], ...] = ()
    """The findings, at the places that they had at first, with what mended them."""
    remaining: tuple[Proposal, ...] = ()
    """What is still found."""
    left_alone: tuple[tuple[str, str], ...] = ()
    """The paths of files that could have been mended, and why they were not to be written."""
    failures: tuple[Failed, ...] = ()
    """The files that could not be read or written."""
    dependencies: tuple[Dependency, ...] = ()


def together(programs: Sequence[Mended]) -> Mended:
    """What came of several programs, as if they were one."""
    needs = sorted((each for program in programs for each in program.dependencies), key=lambda each: each.release)
    rewritten = [each for program in programs for each in program.rewritten]
    applied = [each for program in programs for each in program.applied]
    remaining = [each for program in programs for each in program.remaining]
    return Mended(
        sum(program.found for program in programs),
        tuple(sorted(rewritten, key=lambda each: each.path)),
        tuple(sorted(applied, key=lambda each: each[0].sort_key)),
        tuple(sorted(remaining, key=lambda each: each.finding.sort_key)),
        tuple(sorted(each for program in programs for each in program.left_alone)),
        tuple(each for program in programs for each in program.failures),
        tuple({each.path: each for each in needs}.values()),
    )


# -- what fixes need ---------------------------------------------------------------------------------------------------

SINCE: tuple[tuple[str, Release], ...] = (
    ("gather", (4, 15)),
    ("amap", (4, 15)),
    ("as_completed", (4, 15)),
    ("create_task", (4, 14)),
    ("AsyncContextManagerMixin", (4, 10)),
)
"""What came with which release (https://anyio.readthedocs.io/en/stable/versionhistory.html)."""
OLDEST: Release = (4, 0)
"""Of the releases whose task groups raise what is built in: `ExceptionGroup`."""


def needed_anyio(fixes: Iterable[Fix]) -> Release | None:
    """The oldest AnyIO that the code which these fixes write runs on; None if it needs none."""
    return max((need for fix in fixes if (need := _need(fix)) is not None), default=None)


def _need(fix: Fix) -> Release | None:
    written = "\n".join(text for edit in fix.edits for text in code_of(edit))
    if "anyio" not in written:
        return None
    used = set(re.findall(r"(?<!asyncio\.)\b\w+", written))
    return max((release for word, release in SINCE if word in used), default=OLDEST)
