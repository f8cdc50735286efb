"""From what is known of a program to proposals: for each finding the ways to mend it, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from leaklint.engine import Examination, Studied
from leaklint.fixing.hazards.patched import Patch, patched, patches
from leaklint.fixing.remedies import REMEDIES, Remedy
from leaklint.fixing.study import Finding, Study, Subject
from leaklint.model.diagnostic import Checked, Diagnostic
from leaklint.model.fate import Task, Unclosed
from leaklint.model.fix import Environment, Fix, Hazard, Proposal
from leaklint.rules import find_rule

_LEFT_TO_YOU = {
    "LK001": "what cannot be parsed cannot be rewritten",
    "LK002": "why the comment stands there is for you to know: take it out, or mend what it names",
    "LK105": "who receives the task is outside of this project",
    "LK107": "how long the object is needed is for you to say: enter it with `async with`, or close it in a `finally`",
    "LK301": "where the scope begins and ends is for you to say: open it with one `async with`",
    "LK302": "what becomes of the scope while the generator waits depends on who iterates over it",
    "LK303": "whether the task belongs in the group, or the group is to stay open longer, is for you to say",
}
"""Why there is no remedy for what some rules find."""


def proposals(examination: Examination, data: Mapping[str, bytes], environment: Environment) -> tuple[Proposal, ...]:
    """A proposal for each finding of a program, by path, line and column. `data` are the files, by path."""
    found = []
    replaced = patches(data)
    for outcome in examination.outcomes:
        if isinstance(outcome, Checked) and outcome.diagnostics:
            studied = examination.studied.get(outcome.path)
            study = Study(studied, data[outcome.path], environment) if studied else None
            found += [_proposal(diagnostic, study, replaced) for diagnostic in outcome.diagnostics]
    return tuple(found)


def _proposal(diagnostic: Diagnostic, study: Study | None, replaced: Sequence[Patch]) -> Proposal:
    if study is None:
        return Proposal(diagnostic, (), (_no_remedy(diagnostic),))
    finding = Finding(diagnostic, _subject(diagnostic, study.studied))
    fixes: list[Fix] = []
    reasons: list[Hazard] = []
    for remedy in REMEDIES:
        if diagnostic.code in remedy.codes:
            answer = _answer(remedy, finding, study)
            if isinstance(answer, Fix):
                fixes.append(_with_patches(answer, finding.subject, replaced, study))
            else:
                reasons += [reason for reason in answer if reason not in reasons]
    fixes.sort(key=lambda fix: len({hazard.name for hazard in fix.hazards}))
    return Proposal(diagnostic, tuple(fixes), tuple(reasons) if reasons or fixes else (_no_remedy(diagnostic),))


def _with_patches(fix: Fix, subject: Subject | None, replaced: Sequence[Patch], study: Study) -> Fix:
    """A fix with what tests replace by name, if that matters to it."""
    call = subject.call if isinstance(subject, Task) else ""
    return replace(fix, hazards=(*fix.hazards, *patched(fix, call, replaced, study)))


def _no_remedy(diagnostic: Diagnostic) -> Hazard:
    message = _LEFT_TO_YOU.get(diagnostic.code, "no rewrite is known for code of this form")
    return Hazard("no-remedy", message, blocks=True)


def _answer(remedy: Remedy, finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """What a remedy has to say; a fault in it costs no other finding, and no other remedy."""
    try:
        return remedy.propose(finding, study)
    except Exception as error:  # noqa: BLE001 - see above
        message = f"leaklint itself failed to look for a fix: {type(error).__name__}: {error}"
        return (Hazard("internal-fault", message, blocks=True),)


def _subject(diagnostic: Diagnostic, studied: Studied) -> Subject | None:
    """What a finding is about."""
    findings = studied.findings
    told = [task for task in findings.tasks if task.cause is None]
    everything: list[Subject] = [*told, *findings.hidden, *findings.misuses, *findings.unclosed]
    here = [subject for subject in everything if subject.span == diagnostic.span]
    # a wait can stand where a task is spawned, too: what has a pattern is reported by the rule about that
    here.sort(key=lambda subject: not _is_about(diagnostic, subject))
    return here[0] if here else None


def _is_about(diagnostic: Diagnostic, subject: Subject) -> bool:
    """Whether a subject is one that the rule reports."""
    rule = find_rule(diagnostic.code)
    assert rule is not None
    if isinstance(subject, Unclosed):
        return not rule.fates and not rule.patterns
    return subject.pattern in rule.patterns or (isinstance(subject, Task) and subject.fate in rule.fates)
