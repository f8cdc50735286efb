"""From the bytes of files to their outcomes: pure, and the only way there (command line, API, workers, tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from leaklint.analysis import Analysis, Findings
from leaklint.catalog import BASE
from leaklint.model.diagnostic import Checked, Failed, Outcome, Reported, Skipped
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.policy.config import Settings
from leaklint.policy.silence import silence
from leaklint.reading import Known, Text, collect_source, failed, read_program, too_deep
from leaklint.rules import Subject, all_rules, lk002_unused_suppression

__all__ = ["Examination", "Input", "Studied", "check_program", "check_source", "collect_source", "decide", "examine"]


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


@dataclass(frozen=True, slots=True)
class Studied:
    """All that is known of a file that could be parsed."""

    facts: ModuleFacts
    analysis: Analysis
    """Of the program that the file is part of."""
    findings: Findings


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of a program."""

    outcomes: tuple[Outcome, ...]
    """One for each file that has settings, in their order."""
    studied: dict[str, Studied]
    """By path: these files, as far as they were parsed and could be judged."""


def check_program(inputs: Sequence[Input]) -> tuple[Outcome, ...]:
    """Check the files of a program that have settings, in their order; the others are read where it matters.

    Of several files, one that mentions no spawn and that no task leads to is only decoded (`Skipped`), unless
    `always_parse` is set. Never raises: a fault of leaklint's own becomes `Failed`.
    """
    return examine(inputs).outcomes


def examine(inputs: Sequence[Input], *, whole: bool = False, known: Known | None = None) -> Examination:
    """Check a program as `check_program` does, and keep what the verdicts are drawn from. Never raises.

    With `whole`, also the files are read that matter for no task: what calls the functions of the others. What is
    `known` is not read again.
    """
    try:
        catalog = next((each.settings.catalog for each in inputs if each.settings is not None), BASE)
        reading = read_program([_text(each) for each in inputs], catalog, whole=whole, known=known)
        analysis = Analysis(reading.facts, catalog)
    except Exception as error:
        return Examination(tuple(failed(each.path, error) for each in inputs if each.settings is not None), {})
    read = {each.path: (each, analysis) for each in reading.facts}
    read |= {each.path: (each, Analysis([each], catalog)) for each in reading.aside}
    studied: dict[str, Studied] = {}
    outcomes: list[Outcome] = []
    for each in inputs:
        if each.settings is not None:
            found = reading.faults.get(each.path) or _study(each.path, read.get(each.path))
            outcomes.append(_outcome(each.path, each.settings, found))
            if isinstance(found, Studied):
                studied[each.path] = found
    return Examination(tuple(outcomes), studied)


def check_source(data: bytes, *, path: str, module: str, settings: Settings, always_parse: bool = False) -> Outcome:
    """Check one file by itself, as `check_program` does."""
    (outcome,) = check_program([Input(path, module, data, settings, always_parse)])
    return outcome


def _text(each: Input) -> Text:
    return Text(each.path, each.module, each.data, each.aliases, each.settings is not None, each.always_parse)


def _study(path: str, known: tuple[ModuleFacts, Analysis] | None) -> Studied | Unparsable | Failed | None:
    try:
        return Studied(*known, known[1].findings(known[0])) if known else None
    except RecursionError:
        return too_deep(path)
    except Exception as error:
        return failed(path, error)


def _outcome(path: str, settings: Settings, found: Studied | Unparsable | Failed | None) -> Outcome:
    if found is None or isinstance(found, Failed):
        return found or Skipped(path)
    try:
        if isinstance(found, Unparsable):
            return decide(found, Findings(), settings)
        return decide(found.facts, found.findings, settings)
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
