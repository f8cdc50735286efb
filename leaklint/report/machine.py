"""Reports for programs: JSON, whose keys only ever grow within a version.

All of it is ASCII, so that it survives any code page, and a file name that is not valid Unicode comes out as the lone
surrogates that Python reads it as. Lines and columns count from 1, columns in characters; end columns are exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Outcome, Reported
from leaklint.model.fate import Step
from leaklint.model.fix import Fix, Hazard, Proposal
from leaklint.rules import Rule

__all__ = ["check_json", "fixes_json", "rules_json", "tasks_json"]

VERSION = 1
UNPARSABLE = "LK001"


def check_json(outcomes: Sequence[Outcome]) -> str:
    """The findings, the files that could not be looked at (`errors`) and the counts (`summary`) of a run."""
    diagnostics = sorted(_diagnostics(outcomes), key=lambda found: found.sort_key)
    counts = {f"{level.value}s": sum(found.level is level for found in diagnostics) for level in Level}
    files = sum(not isinstance(outcome, Failed) for outcome in outcomes)
    by_hand = sum(outcome.waited_by_hand for outcome in outcomes if isinstance(outcome, Checked))
    return _dump(
        {
            "version": VERSION,
            "findings": [_finding(diagnostic) for diagnostic in diagnostics],
            "errors": [_failure(outcome) for outcome in outcomes if isinstance(outcome, Failed)],
            "summary": {"files": files, **counts, "waited_by_hand": by_hand},
        }
    )


def tasks_json(outcomes: Sequence[Outcome]) -> str:
    """The inventory: every spawn whatever its fate, and the files that could not be read or parsed (`errors`)."""
    tasks = [entry for outcome in outcomes if isinstance(outcome, Checked) for entry in outcome.tasks]
    unparsable = [_unparsable(found) for found in _diagnostics(outcomes) if found.code == UNPARSABLE]
    errors = [*unparsable, *(_failure(outcome) for outcome in outcomes if isinstance(outcome, Failed))]
    return _dump(
        {
            "version": VERSION,
            "tasks": [_task(entry) for entry in sorted(tasks, key=lambda entry: (entry.task.path, entry.task.span))],
            "errors": sorted(errors, key=lambda error: str(error["path"])),
        }
    )


def fixes_json(
    outcomes: Sequence[Outcome],
    applied: Iterable[tuple[Diagnostic, Fix]],
    remaining: Iterable[Proposal],
    *,
    rewritten: Iterable[str],
    left_alone: Iterable[tuple[str, str]],
    needs: Iterable[tuple[str | None, Sequence[int]]],
    failures: Iterable[Failed],
    found: int,
    is_written: bool,
) -> str:
    """What was mended (`fixed`) and what remains, with every fix that there is for it and the reasons against others.

    `files` are the paths of the changed files. Where nothing was `written`, `fixed` and `files` say what would be. A
    file that is not to be changed stands in `left_alone`, what the new code needs of AnyIO in `needs`.
    """
    fixed = [{**_finding(finding), "fix": _fix(fix)} for finding, fix in applied]
    offers = [
        {
            **_finding(each.finding),
            "fixes": [_fix(fix) for fix in each.fixes],
            "reasons": [_hazard(reason) for reason in each.reasons],
        }
        for each in remaining
    ]
    return _dump(
        {
            "version": VERSION,
            "written": is_written,
            "fixed": fixed,
            "remaining": offers,
            "files": list(rewritten),
            "left_alone": [{"path": path, "message": why} for path, why in left_alone],
            "needs": [{"path": path, "requirement": f"anyio>={_release(release)}"} for path, release in needs],
            "errors": [_failure(failure) for failure in failures],
            "summary": {
                "files": sum(not isinstance(outcome, Failed) for outcome in outcomes),
                "found": found,
                "fixed": found - len(offers),
                "remaining": len(offers),
                "fixable": sum(bool(each["fixes"]) for each in offers),
            },
        }
    )


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "name": fix.name,
        "title": fix.title,
        "applicability": fix.applicability.value,
        "changes": list(fix.notes),
        "hazards": [_hazard(hazard) for hazard in fix.hazards],
    }


def _hazard(hazard: Hazard) -> dict[str, Any]:
    return {"name": hazard.name, "message": hazard.message}


def _release(release: Sequence[int]) -> str:
    return ".".join(map(str, release))


def rules_json(rules: Iterable[Rule]) -> str:
    """Rules with their documentation (Markdown)."""
    return _dump({"version": VERSION, "rules": [_rule(rule) for rule in rules]})


def _diagnostics(outcomes: Iterable[Outcome]) -> list[Diagnostic]:
    return [found for outcome in outcomes if isinstance(outcome, Checked) for found in outcome.diagnostics]


def _finding(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "path": diagnostic.path,
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        "end_line": diagnostic.span.end_line,
        "end_column": diagnostic.span.end_column,
        "code": diagnostic.code,
        "name": diagnostic.name,
        "level": diagnostic.level.value,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "evidence": [_step(step) for step in diagnostic.evidence],
    }


def _step(step: Step) -> dict[str, Any]:
    return {"path": step.path, "line": step.span.line, "column": step.span.column, "message": step.message}


def _task(entry: Reported) -> dict[str, Any]:
    task = entry.task
    return {
        "path": task.path,
        "line": task.span.line,
        "column": task.span.column,
        "end_line": task.span.end_line,
        "end_column": task.span.end_column,
        "call": task.call,
        "spawned": task.spawned,
        "function": task.function,
        "handle": task.handle,
        "owner": task.owner,
        "fate": task.fate.value,
        "paths": [path.value for path in task.paths],
        "rule": entry.rule,
        "evidence": [_step(step) for step in task.evidence],
    }


def _unparsable(diagnostic: Diagnostic) -> dict[str, Any]:
    span = diagnostic.span
    return {"path": diagnostic.path, "line": span.line, "column": span.column, "message": diagnostic.message}


def _failure(outcome: Failed) -> dict[str, Any]:
    return {"path": outcome.path, "line": None, "column": None, "message": outcome.error}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "level": rule.level.value,
        "default": rule.default,
        "summary": rule.summary,
        "documentation": rule.documentation,
    }


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
