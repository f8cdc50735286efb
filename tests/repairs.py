"""The cases of `fixtures/fixes`: programs that are to be mended, one directory for each remedy.

A case is a file, or a directory whose files make up a program. A first line `# target: asyncio` names the target, one
`# anyio: 4.13` the oldest AnyIO that the program allows, and `# choose: NAME` prefers a remedy to those that would go
before it (in a directory, those of its first file count).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from examples import FIXTURES

from leaklint.engine import Input
from leaklint.fixing import Fixed, fix_program, propose
from leaklint.model.fix import Environment, Fix, Hazard, Proposal, Target
from leaklint.policy.config import Settings

FIXES = FIXTURES / "fixes"
DIRECTIVE = re.compile(r"^# (target|anyio|python|choose): ([\w.-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Repair:
    """One case."""

    path: Path

    @property
    def files(self) -> list[Path]:
        return sorted(self.path.rglob("*.py")) if self.path.is_dir() else [self.path]

    @property
    def snapshot(self) -> Path:
        return self.path.with_name(self.path.name + ".fix")

    @property
    def inputs(self) -> list[Input]:
        root = self.path if self.path.is_dir() else self.path.parent
        names = [file.relative_to(root).with_suffix("") for file in self.files]
        return [
            Input(
                file.relative_to(root).as_posix(),
                ".".join(name.parts).removesuffix(".__init__"),
                file.read_bytes(),
                Settings.default(),
                always_parse=True,
            )
            for file, name in zip(self.files, names, strict=True)
        ]

    @property
    def given(self) -> dict[str, str]:
        return dict(DIRECTIVE.findall(self.files[0].read_text()))

    @property
    def environment(self) -> Environment:
        given = self.given
        return Environment(
            Target(given.get("target", "anyio")), _version(given.get("anyio")), _version(given.get("python"))
        )

    def proposals(self) -> tuple[Proposal, ...]:
        return propose(self.inputs, self.environment)

    def fixed(self, *, unsafe: bool) -> Fixed:
        return _fixed(self, unsafe)

    def choose(self, proposal: Proposal) -> Fix | None:
        """What is chosen with `--unsafe-fixes`, and with `--choose` if the case says so."""
        wanted = self.given.get("choose")
        return next((fix for fix in proposal.fixes if fix.name == wanted), best(proposal))


@cache
def _fixed(repair: Repair, unsafe: bool) -> Fixed:
    return fix_program(repair.inputs, repair.environment, repair.choose if unsafe else safe)


def safe(proposal: Proposal) -> Fix | None:
    """What is chosen by default."""
    return proposal.safe


def best(proposal: Proposal) -> Fix | None:
    """What is chosen with `--unsafe-fixes`."""
    return proposal.fixes[0] if proposal.fixes else None


def _version(text: str | None) -> tuple[int, ...] | None:
    return tuple(int(part) for part in text.split(".")) if text else None


@cache
def repairs() -> tuple[Repair, ...]:
    """Every case, by path."""
    found = [path for remedy in sorted(FIXES.iterdir()) for path in sorted(remedy.iterdir())]
    return tuple(Repair(path) for path in found if path.is_dir() or path.suffix == ".py")


def name_of(repair: Repair) -> str:
    """The name of its test."""
    return repair.path.relative_to(FIXES).as_posix()


def report(repair: Repair) -> str:
    """What is proposed for each finding, and what the safe fixes and all fixes make of the program."""
    lines = [line for proposal in repair.proposals() for line in _told(proposal)]
    safely, wholly = repair.fixed(unsafe=False), repair.fixed(unsafe=True)
    lines += ["", "== safe", *_diff(safely)]
    if wholly.rewritten != safely.rewritten:
        lines += ["", "== all", *_diff(wholly)]
    refused = [proposal for proposal in wholly.remaining if proposal.fixes or proposal.reasons]
    lines += ["", "== remaining", *(line for proposal in refused for line in _told(proposal))] if refused else []
    return "\n".join(lines).strip("\n") + "\n"


def _told(proposal: Proposal) -> Iterator[str]:
    finding = proposal.finding
    yield f"{finding.path}:{finding.span.line}:{finding.span.column} {finding.code}"
    for fix in proposal.fixes:
        yield f"  {fix.applicability.value} {fix.name}: {fix.title}"
        yield from (f"    changes: {note}" for note in fix.notes)
        yield from (f"    hazard {_hazard(hazard)}" for hazard in fix.hazards)
    yield from (f"  not fixed: {_hazard(reason)}" for reason in proposal.reasons)


def _hazard(hazard: Hazard) -> str:
    return f"{hazard.name}: {hazard.message}"


def _diff(fixed: Fixed) -> Iterator[str]:
    for each in fixed.rewritten:
        before, after = (data.decode("utf-8", "replace").splitlines() for data in (each.before, each.after))
        yield from difflib.unified_diff(before, after, each.path, each.path, lineterm="", n=2)
