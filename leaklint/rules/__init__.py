"""The rules: one module each, found by walking this package.

A rule module's docstring is its documentation for users (Markdown). It declares `CODE`, `NAME`, `LEVEL`, `DEFAULT`, what
it reports (`FATES`, `PATTERNS`), and a pure generator `check(subject)` that yields diagnostics. A new rule needs nothing
else.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from types import ModuleType
from typing import NamedTuple

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate, Misuse, Pattern, Task, Unclosed

__all__ = ["SECTIONS", "BadRuleError", "Complaint", "Rule", "Subject", "all_rules", "find_rule", "nearest_rule"]

SECTIONS = ("What it does", "Why is this bad?", "Example", "Use instead", "Limits", "References")
"""The `##` headings that the documentation of every rule has, in this order."""


class BadRuleError(Exception):
    """A rule module that breaks the contract of this package: a fault of leaklint, never of its user."""


class Complaint(NamedTuple):
    """What is wrong with a `# leaklint: ...` comment."""

    span: Span
    message: str
    help: str


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a rule may look at: one file."""

    path: str
    facts: ModuleFacts | None = None
    """None when the file cannot be parsed."""
    unparsable: Unparsable | None = None
    tasks: tuple[Task, ...] = ()
    """The inventory, without what is reported at another place."""
    hidden: tuple[Task, ...] = ()
    """What starts tasks without being a spawn, and the waits that leave spawned tasks running; each has a pattern."""
    misuses: tuple[Misuse, ...] = ()
    unclosed: tuple[Unclosed, ...] = ()
    """The objects that own tasks and that nothing ends."""
    complaints: tuple[Complaint, ...] = ()
    """About comments that silence nothing; known only after the other rules have run."""

    def with_fate(self, fates: AbstractSet[Fate]) -> Iterator[Task]:
        """The tasks of the inventory with one of these fates that no pattern explains."""
        return (task for task in self.tasks if task.pattern is None and task.fate in fates)

    def with_pattern(self, patterns: AbstractSet[Pattern]) -> Iterator[Task]:
        """The tasks, hidden ones included, with one of these patterns."""
        return (task for task in (*self.tasks, *self.hidden) if task.pattern in patterns)

    def misused(self, patterns: AbstractSet[Pattern]) -> Iterator[Misuse]:
        """The misuses with one of these patterns."""
        return (misuse for misuse in self.misuses if misuse.pattern in patterns)


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    """`LK101`"""
    name: str
    """`dropped-task`; states the problem."""
    level: Level
    default: bool
    """Whether it runs without being asked for; `--strict` adds the others."""
    fates: frozenset[Fate]
    """The fates it reports, of tasks without a pattern; empty for a rule that is not about fates."""
    patterns: frozenset[Pattern]
    """The patterns it reports; empty for a rule that is not about patterns."""
    summary: str
    """The first line of the documentation, without the final full stop."""
    documentation: str
    """Markdown: a line of summary, then the sections of `SECTIONS`."""
    check: Callable[[Subject], Iterator[Diagnostic]]
    """Pure: from one file to its diagnostics."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code. Raises `BadRuleError` for a malformed module and for a code or name that is used twice."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return registry([importlib.import_module(f"{__name__}.{name}") for name in names])


def find_rule(text: str) -> Rule | None:
    """The rule with this code or name, in any case; None if there is none."""
    wanted = text.strip().lower()
    return next((rule for rule in all_rules() if wanted in (rule.code.lower(), rule.name)), None)


def nearest_rule(text: str) -> str | None:
    """The code or name of a rule that is most like `text`, for "did you mean"; None if nothing is near."""
    known = {word.lower(): word for rule in all_rules() for word in (rule.name, rule.code)}
    found = difflib.get_close_matches(text.strip().lower(), known, n=1)
    return known[found[0]] if found else None


def registry(modules: list[ModuleType]) -> tuple[Rule, ...]:
    """The rules of these modules, by code. Raises as `all_rules` does."""
    rules = sorted((_rule(module) for module in modules), key=lambda rule: rule.code)
    taken: dict[str, Rule] = {}
    for rule in rules:
        for word in (rule.code, rule.name):
            if taken.setdefault(word, rule) is not rule:
                raise BadRuleError(f"`{word}` is the code or name of two rules")
    return tuple(rules)


def _rule(module: ModuleType) -> Rule:
    missing = [
        name for name in ("CODE", "NAME", "LEVEL", "DEFAULT", "FATES", "PATTERNS", "check") if not hasattr(module, name)
    ]
    documentation = cleandoc(module.__doc__ or "")
    headings = tuple(line.removeprefix("## ") for line in documentation.split("\n") if line.startswith("## "))
    stripped = sys.flags.optimize > 1  # `python -OO` drops docstrings
    if missing or (headings != SECTIONS and not stripped):
        wanted = ", ".join(missing) or f"the sections {', '.join(SECTIONS)}, and has {', '.join(headings) or 'none'}"
        raise BadRuleError(f"rule module {module.__name__} needs {wanted}")
    return Rule(
        code=module.CODE,
        name=module.NAME,
        level=module.LEVEL,
        default=module.DEFAULT,
        fates=module.FATES,
        patterns=module.PATTERNS,
        summary=documentation.split("\n", 1)[0].removesuffix("."),
        documentation=documentation,
        check=module.check,
    )
