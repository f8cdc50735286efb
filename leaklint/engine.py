"""From the bytes of files to their outcomes: pure, and the only way there (command line, API, workers, tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from leaklint.analysis import Analysis, Findings
from leaklint.catalog import BASE
from leaklint.model.diagnostic import Checked, Failed, Outcome, Reported, Skipped
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.policy.config import Settings
from leaklint.policy.silence import silence
from leaklint.reading import Text, collect_source, failed, read_program, too_deep
from leaklint.rules import Subject, all_rules, lk002_unused_suppression

__all__ = ["Input", "check_program", "check_source", "collect_source", "decide"]


class Input(NamedTuple):
    """One file of a program: of the files that are judged together."""

    path: str
    """As the user would write it."""
    module: str
    """The dotted name, which no other file of the program has."""
    data: bytes
    settings: Settings | None
    """What is configured for it; None for a file that is only read for what it says about the others."""
    always_parse: bool = False
    aliases: tuple[tuple[str, str], ...] = ()
    """What imports in it call differently: a dotted name as they write it, and its name in the program."""


_Known = tuple[ModuleFacts, Analysis]
"""The facts of a file, and the analysis of the program that it is part of."""


def check_program(inputs: Sequence[Input]) -> tuple[Outcome, ...]:
    """Check the files of a program that have settings, in their order; the others are read where it matters.

    Of several files, one that mentions no spawn and that no task leads to is only decoded (`Skipped`), unless
    `always_parse` is set. Never raises: a fault of leaklint's own becomes `Failed`.
    """
    try:
        catalog = next((each.settings.catalog for each in inputs if each.settings is not None), BASE)
        reading = read_program([_text(each) for each in inputs], catalog)
        analysis = Analysis(reading.facts, catalog)
    except Exception as error:
        return tuple(failed(each.path, error) for each in inputs if each.settings is not None)
    known: dict[str, _Known] = {each.path: (each, analysis) for each in reading.facts}
    known |= {each.path: (each, Analysis([each], catalog)) for each in reading.aside}
    return tuple(
        _outcome(each.path, each.settings, reading.faults.get(each.path) or known.get(each.path))
        for each in inputs
        if each.settings is not None
    )


def check_source(data: bytes, *, path: str, module: str, settings: Settings, always_parse: bool = False) -> Outcome:
    """Check one file by itself, as `check_program` does."""
    (outcome,) = check_program([Input(path, module, data, settings, always_parse)])
    return outcome


def _text(each: Input) -> Text:
    return Text(each.path, each.module, each.data, each.aliases, each.settings is not None, each.always_parse)


def _outcome(path: str, settings: Settings, known: _Known | Unparsable | Failed | None) -> Outcome:
    if known is None or isinstance(known, Failed):
        return known or Skipped(path)
    try:
        if isinstance(known, Unparsable):
            return decide(known, Findings(), settings)
        facts, analysis = known
        return decide(facts, analysis.findings(facts), settings)
    except RecursionError:
        return decide(too_deep(path), Findings(), settings)
    except Exception as error:
        return failed(path, error)


def decide(facts: ModuleFacts | Unparsable, findings: Findings, settings: Settings) -> Checked:
    """The verdict on a file of which this is known: its tasks, what the rules say, what the comments silence."""
    known = facts if isinstance(facts, ModuleFacts) else None
    unparsable = facts if isinstance(facts, Unparsable) else None
    # one cause, one diagnostic: what is reported at another place is not reported here again
    told = tuple(task for task in findings.tasks if task.cause is None)
    subject = Subject(facts.path, known, unparsable, told, findings.hidden, findings.misuses, findings.unclosed)
    found = [diagnostic for rule in all_rules() for diagnostic in rule.check(subject)]
    silenced = silence(found, known.comments if known else (), enabled=settings.enabled, honor_noqa=settings.honor_noqa)
    about_comments = lk002_unused_suppression.check(replace(subject, complaints=silenced.complaints))
    heard = (each for each in (*silenced.kept, *about_comments) if settings.enabled(each.code))
    return Checked(
        path=facts.path,
        diagnostics=tuple(sorted(heard, key=lambda each: each.sort_key)),
        tasks=tuple(map(_reported, findings.tasks)),
        hidden=tuple(map(_reported, findings.hidden)),
    )


def _reported(task: Task) -> Reported:
    return Reported(task, _rules().get(task.pattern or task.fate))


@cache
def _rules() -> dict[Fate | Pattern, str]:
    """The rule that reports a fate, or a pattern, by default; quiet fates are left out."""
    by_default = [rule for rule in all_rules() if rule.default]
    by_fate: dict[Fate | Pattern, str] = {fate: rule.code for rule in by_default for fate in rule.fates}
    return by_fate | {pattern: rule.code for rule in by_default for pattern in rule.patterns}
