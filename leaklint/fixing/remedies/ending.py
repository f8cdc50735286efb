"""Ends what a wait leaves running, in a `finally`: cancels the tasks and waits for them.

```python
try:
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
finally:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
```

The tasks stay what they are, and errors reach the function as they did: no group, nothing that an `except` would miss.
The `finally` covers all statements from the spawns to the last use of a handle, so what the program does with its tasks
it still does. What is done by then is not touched: `cancel()` does nothing to it. `wait` raises nothing and takes the
errors from nobody: those that the program does not look at are logged as before. If the statements end with what
cancels all the tasks and waits for them, that becomes the `finally`, as it is.
https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancel
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaklint.catalog import Role
from leaklint.fixing.endings import Ending, ending
from leaklint.fixing.hazards.again import cancelled_again
from leaklint.fixing.hazards.children import cleanups, may_outlive_cancellation
from leaklint.fixing.hazards.limits import limits_of
from leaklint.fixing.hazards.pausing import goes_on_with_some, pauses_before
from leaklint.fixing.hazards.resources import limited
from leaklint.fixing.members import Kind, Member, members
from leaklint.fixing.study import Finding, Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.model.fix import Fix, Hazard
from leaklint.model.walk import text, walk

NAME = "end-rest"
CODES = frozenset({"LK104", "LK201", "LK202", "LK204"})

_BY_ERROR = frozenset({PathKind.SIBLING, PathKind.EXCEPTION, PathKind.CANCELLATION})
"""The ways out on which the function fails: there the siblings of what failed are cancelled in every fix."""


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A `finally` that cancels the tasks which a wait was given, and waits for them."""
    task = finding.subject
    function = study.function_of(task) if isinstance(task, Task) else None
    if function is None or not isinstance(task, Task):
        return ()
    call = _wait_for(task, function, study)
    arguments = _tasks_of(call, function, study) if call is not None else None
    if call is None or arguments is None:
        return ()
    given = members(arguments, function, study)
    if task.pattern is None and task.handle is not None and _is_held_alone(task, function):
        return ()
    if finding.diagnostic.code == "LK201" and not any(member.kind is Kind.TASK for member in given):
        return ()  # there are no handles: the coroutines can be given to a group
    if _is_never_awaited(call, function):
        message = f"nothing awaits `{text(call.func)}` on line {call.span.line}"
        return (Hazard("starts-later", message, blocks=True),)
    found = ending(call, arguments, function, study)
    if not isinstance(found, Ending):
        return found
    line = call.span.line
    notes = (f"what line {line} leaves running is cancelled and waited for when the last use of the tasks is past",)
    hazards = [*_hazards(task, call, given, function, study), *_pauses(call, found, function, study)]
    for member in given:
        hazards += cancelled_again(member.coroutine, found.names, found.extent, function, study)
    title = "cancel what is left running and wait for it"
    return Fix(NAME, title, study.path, found.edits, tuple(dict.fromkeys(hazards)), notes)


def _wait_for(task: Task, function: code.Function, study: Study) -> code.Call | None:
    """The wait that a finding is about, or the first one that is given the task."""
    calls = list(walk(function.body, code.Call))
    if task.pattern is not None:
        return next((call for call in calls if call.span == task.span), None)
    for call in calls:
        given = members(_tasks_of(call, function, study) or (), function, study)
        if any(member.spawn is not None and member.spawn.span == task.span for member in given):
            return call
    return None


def _is_held_alone(task: Task, function: code.Function) -> bool:
    """Whether a variable holds the task and nothing else: `cancel-on-exit` does better then."""
    assigned = (each.value for each in walk(function.body, code.Assign))
    return any(isinstance(value, code.Call) and value.span == task.span for value in assigned)


def _tasks_of(call: code.Call, function: code.Function, study: Study) -> tuple[Expr, ...] | None:
    """What a wait waits for, as arguments: `*tasks` is a list of tasks."""
    match study.kinds.role_of_callee(call.func, function):
        case Role.GATHER:
            return call.args
        case Role.WAIT | Role.AS_COMPLETED if call.args:
            return (code.Starred(call.args[0]),)
    return None


def _is_never_awaited(call: code.Call, function: code.Function) -> bool:
    """Whether a wait stands alone, as a statement."""
    return any(statement.value is call for statement in walk(function.body, code.Evaluate))


def _pauses(wait: code.Call, found: Ending, function: code.Function, study: Study) -> Iterator[Hazard]:
    """What the function goes on with at once when it has cancelled the tasks that a wait left running, and who may not
    have the time to wait for them.
    """
    if goes_on_with_some(wait):
        yield from pauses_before(found.wrap.last, function)
        if any(cleanups(member.coroutine, function, study) for member in found.given):
            yield from limited(function, study)


def _hazards(
    task: Task, call: code.Call, given: Sequence[Member], function: code.Function, study: Study
) -> Iterator[Hazard]:
    if task.fate is not Fate.CANCELLED and not _BY_ERROR.issuperset(task.paths):
        yield Hazard("work-is-cut", "what is still running when the tasks are not needed any more is cancelled")
    yield from limits_of(function, study, apart_from=call.span)
    for member in given:
        yield from may_outlive_cancellation(member.coroutine, function, study)
