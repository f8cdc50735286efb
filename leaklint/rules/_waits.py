"""Words that the rules share which report a wait: a call that leaves running what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

WHEN = {
    PathKind.EXCEPTION: "an exception is raised{}",
    PathKind.EARLY_EXIT: "the function is left early{}",
    PathKind.TIMEOUT: "the time limit{} strikes",
    PathKind.SIBLING: "another awaitable of the gather{} fails first",
    PathKind.PARTIAL_WAIT: "the wait{} returns without it",
    PathKind.CANCELLATION: "the function is cancelled{}",
}
"""What leaves the task running, by the kind of path; with `{}` where the line is to be named."""


def about(task: Task, *, code: str, name: str, message: str, advice: str) -> Diagnostic:
    """A warning about a wait, at its call."""
    found = words.about(task, code=code, name=name, level=Level.WARNING, message=message, advice=advice)
    return replace(found, label="leaves it running")


def leaves(subject: Subject, task: Task, when: Mapping[PathKind, str]) -> str:
    """What the wait does to the task: by its fate and, for a hazard, by the kinds of path that leave the task running.

    `when` has a clause for each kind, with `{}` where the line is to be named.
    """
    this, what = f"this {words.quoted(task.call)}", words.the_task(task)
    kept = f"{this} is kept in {words.quoted(task.handle)}" if task.handle else f"{this} is kept beyond the function"
    if task.fate is Fate.HAZARD:
        return f"{this} leaves {what} running when {paths(task, when)}"
    if task.fate is Fate.KEPT:
        return f"{kept}, but nothing of {words.owner_name(subject, task)} waits for it: {what} is left running"
    if task.fate is Fate.CANCELLED:
        return f"{this} is cancelled, but nobody waits until {what} has ended"
    return f"nobody awaits {this}: {what} is left running, and its errors are lost"


def paths(task: Task, when: Mapping[PathKind, str]) -> str:
    """Every kind of path, the first with the line where it leaves the task running, if that is not the wait's own."""
    step = task.leaving
    elsewhere = step and step.path == task.path and step.span.line != task.span.line
    place = f" on line {step.span.line}" if step and elsewhere else ""
    return ", or when ".join(when[kind].format("" if index else place) for index, kind in enumerate(task.paths))
