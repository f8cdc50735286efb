"""From the bytes of one file to its outcome: pure, and the only way there (command line, API, workers, tests)."""

from __future__ import annotations

import traceback
from dataclasses import replace
from functools import cache

from leaklint.analysis import judge
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Failed, Outcome, Reported, Skipped
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate
from leaklint.policy.config import Settings
from leaklint.policy.silence import silence
from leaklint.rules import Subject, all_rules, lk002_unused_suppression
from leaklint.syntax.collect import collect
from leaklint.syntax.source import decode, mentions_spawn, read_source

__all__ = ["check_source", "collect_source", "decide"]


def collect_source(data: bytes, *, path: str, module: str) -> ModuleFacts | Unparsable:
    """What is known of a file. `path` is as the user would write it, `module` the dotted name."""
    try:
        source = read_source(data, path=path)
        return source if isinstance(source, Unparsable) else collect(source, module=module)
    except RecursionError:
        return _too_deep(path)


def check_source(data: bytes, *, path: str, module: str, settings: Settings, always_parse: bool = False) -> Outcome:
    """Check one file. Never raises: a fault of leaklint's own becomes `Failed`.

    A file that mentions no spawn is decoded only (`Skipped`), unless `always_parse` is set.
    """
    try:
        if not always_parse and not mentions_spawn(data):
            decoded = decode(data, path=path)
            return decide(decoded, settings) if isinstance(decoded, Unparsable) else Skipped(path)
        return decide(collect_source(data, path=path, module=module), settings)
    except Exception as error:
        return Failed(path, f"leaklint itself failed on this file: {_one_line(error)}", traceback.format_exc())


def decide(facts: ModuleFacts | Unparsable, settings: Settings) -> Checked:
    """The verdict on a file of which this is known: its tasks, what the rules say, what the comments silence."""
    subject = _subject(facts)
    found = [diagnostic for rule in all_rules() for diagnostic in rule.check(subject)]
    silenced = silence(found, subject.facts.comments if subject.facts else (), enabled=settings.enabled)
    about_comments = lk002_unused_suppression.check(replace(subject, complaints=silenced.complaints))
    heard = (each for each in (*silenced.kept, *about_comments) if settings.enabled(each.code))
    return Checked(
        path=facts.path,
        diagnostics=tuple(sorted(heard, key=lambda each: each.sort_key)),
        tasks=tuple(Reported(task, _rule_by_fate().get(task.fate)) for task in subject.tasks),
    )


def _subject(facts: ModuleFacts | Unparsable) -> Subject:
    if isinstance(facts, ModuleFacts):
        try:
            return Subject(facts.path, facts=facts, unparsable=None, tasks=judge(facts), complaints=())
        except RecursionError:
            return _subject(_too_deep(facts.path))
    return Subject(facts.path, facts=None, unparsable=facts, tasks=(), complaints=())


def _too_deep(path: str) -> Unparsable:
    return Unparsable(path, Span(1, 1, 1, 1), "nested too deeply to be analysed")


@cache
def _rule_by_fate() -> dict[Fate, str]:
    """The rule that reports a fate by default; quiet fates are left out."""
    return {fate: rule.code for rule in all_rules() if rule.default for fate in rule.fates}


def _one_line(error: Exception) -> str:
    """The error by its type and the first line of what it says."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
