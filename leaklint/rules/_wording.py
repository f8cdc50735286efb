"""Words that several rules share."""

from __future__ import annotations

from leaklint.model.code import Function
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Misuse, Task
from leaklint.rules import Subject

GROUP = "`anyio.create_task_group()`, or `asyncio.TaskGroup()` on Python 3.11+"
CANCEL_AND_WAIT = "cancel it and `await asyncio.gather(task, return_exceptions=True)`"
LONGEST = 60
"""Characters of the user's source that a message repeats."""


def quoted(source: str) -> str:
    """A piece of the user's source in backticks, on one line, shortened when it is long."""
    line = " ".join(source.replace("`", "'").split())
    return f"`{line if len(line) <= LONGEST else line[: LONGEST - 3] + '...'}`"


def the_task(task: Task) -> str:
    """The task by what runs in it, or else by the call that spawns it."""
    return f"the task of {quoted(task.spawned)}" if task.spawned else f"the task that {quoted(task.call)} spawns"


def function_name(subject: Subject, task: Task) -> str:
    """The function that spawns it, by its own name; in words where it has none."""
    scope = spawner(subject, task)
    unnamed = {"module": "the top level of the module", "class": "the class body", "lambda": "the lambda"}
    return unnamed.get(scope.kind if scope else "", quoted(task.function.rpartition(".")[2]))


def owner_name(subject: Subject, task: Task) -> str:
    """The class or module that keeps the handle, without the name of the module that is looked at."""
    owner = task.owner or task.function
    return quoted(owner.removeprefix(f"{subject.facts.module}.") if subject.facts else owner)


def owned_by_class(subject: Subject, task: Task) -> bool:
    """Whether a class of this file keeps the handle."""
    return subject.facts is not None and any(found.qualname == task.owner for found in subject.facts.classes)


def spawner(subject: Subject, task: Task) -> Function | None:
    """The scope that spawns it: of those with the right name, the innermost around the spawn."""
    scopes = subject.facts.functions if subject.facts else ()
    around = (scope for scope in scopes if scope.qualname == task.function and scope.span[:2] <= task.span[:2])
    return max(around, key=lambda scope: scope.span, default=None)


def can_wait(subject: Subject, task: Task) -> bool:
    """Whether the function that spawns it may use `await`."""
    scope = spawner(subject, task)
    return scope is None or scope.is_async


def about(task: Task, *, code: str, name: str, level: Level, message: str, advice: str) -> Diagnostic:
    """A diagnostic about a task, at its spawn. `advice` becomes the help, with a word on a guess made from a name."""
    guess = f"; {quoted(task.call)} is taken for a spawn because of its name only" if task.likely else ""
    return Diagnostic(
        path=task.path,
        span=task.span,
        code=code,
        name=name,
        level=level,
        message=message,
        label="spawned here",
        help=f"{advice}{guess}",
        evidence=task.evidence,
    )


def misused(misuse: Misuse, *, code: str, name: str, level: Level, message: str, label: str, advice: str) -> Diagnostic:
    """A diagnostic about a misuse, at its place."""
    return Diagnostic(
        path=misuse.path,
        span=misuse.span,
        code=code,
        name=name,
        level=level,
        message=message,
        label=label,
        help=advice,
        evidence=misuse.evidence,
    )
