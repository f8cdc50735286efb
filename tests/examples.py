"""The files of `fixtures/`, and what each of them says about itself.

A trailing comment `# LK101` (or `# LK101, LK104`) names the codes that the tool must report on this line, and no
others. The name `*_strict.py` turns the strict rules on. The files of `fixtures/demo` carry no such comments, since
their output is shown in the README. The directories of `fixtures/projects` are read whole (see `projects`), and so are
the cases of `fixtures/fixes` (see `repairs`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leaklint.engine import check_source
from leaklint.model.diagnostic import Checked, Diagnostic
from leaklint.policy.config import Overrides, Settings

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
MARK = re.compile(r"  # (LK\d{3}(?:, LK\d{3})*)$")

Places = tuple[tuple[int, str], ...]
"""Lines with codes, sorted."""


@dataclass(frozen=True, slots=True)
class Example:
    """One fixture."""

    path: str
    """Relative to the root of the repository, with forward slashes."""
    data: bytes

    @property
    def settings(self) -> Settings:
        return Settings.default().override(Overrides(strict=self.path.endswith("_strict.py")))

    @property
    def parses(self) -> bool:
        return "/LK001/" not in self.path

    @property
    def marked(self) -> bool:
        """Whether it says itself what must be reported."""
        return "/demo/" not in self.path

    @property
    def lines(self) -> list[str]:
        return self.data.decode(errors="replace").split("\n")

    @property
    def expected(self) -> Places:
        found = ((number, MARK.search(line)) for number, line in enumerate(self.lines, 1))
        return tuple(sorted((number, code) for number, mark in found if mark for code in mark[1].split(", ")))

    def check(self, data: bytes | str | None = None) -> Checked:
        """The verdict on the fixture, or on another version of its text."""
        if isinstance(data, str):
            data = data.encode()
        outcome = check_source(
            self.data if data is None else data,
            path=self.path,
            module=Path(self.path).stem,
            settings=self.settings,
            always_parse=True,
        )
        assert isinstance(outcome, Checked), outcome
        return outcome


def places(diagnostics: Iterable[Diagnostic]) -> Places:
    """Where the diagnostics are, in the form of `Example.expected`."""
    return tuple(sorted((found.span.line, found.code) for found in diagnostics))


@cache
def examples() -> tuple[Example, ...]:
    """Every fixture of one file, by path."""
    apart = {FIXTURES / "projects", FIXTURES / "fixes"}
    files = sorted(file for file in FIXTURES.rglob("*.py") if apart.isdisjoint(file.parents))
    return tuple(Example(file.relative_to(ROOT).as_posix(), file.read_bytes()) for file in files)


def parsing_examples() -> tuple[Example, ...]:
    """The fixtures that are valid Python."""
    return tuple(example for example in examples() if example.parses)


def name_of(example: Example) -> str:
    """The name of its test."""
    return example.path.removeprefix("fixtures/")
