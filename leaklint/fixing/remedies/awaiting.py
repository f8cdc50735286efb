"""Waits for tasks that are cancelled, where they are cancelled.

`asyncio.wait` raises nothing of what the tasks raise, lets a cancellation of the function that waits through, and
takes tasks that are done. (`gather` with `return_exceptions=True` would take no tasks, too, where `wait` refuses; but
a cancellation of the waiting function cancels its tasks a second time, which cuts their cleanup, and what they have
raised is never logged: an experiment on Python 3.10 to 3.13.) What the function did without a pause it still does
without one: it waits only where it would pause or go on elsewhere, for the handle as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import called_on
from leaklint.fixing.cancelling import Cancel, is_plain
from leaklint.fixing.hazards.handles import (
    may_be_no_future,
    may_go_on,
    may_hold_others,
    may_run_out_of_time,
    may_wait_for_itself,
)
from leaklint.fixing.hazards.limits import limits_of
from leaklint.fixing.hazards.locks import may_deadlock
from leaklint.fixing.hazards.otherloops import other_loops
from leaklint.fixing.hazards.pausing import pauses_before
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate, Step, Task
from leaklint.model.fix import Edit, Fix, Hazard, Insert, Substitute
from leaklint.model.walk import text, walk

NAME = "wait-after-cancel"
CODES = frozenset({"LK103", "LK104"})

_CANCELS = " cancels it"
"""How a step of the evidence ends at which the task is cancelled."""


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A wait after each cancel that nothing waits after, in the function that the evidence names."""
    task = finding.subject
    spawner = study.function_of(task) if isinstance(task, Task) else None
    if not isinstance(task, Task) or spawner is None:
        return ()
    step = _cancelled_at(task)
    if step is None:
        return ()
    if step.path != study.path:
        said = f"{step.message.removesuffix(_CANCELS)} in {step.path} cancels it, and a fix edits one file"
        return (Hazard("cancelled-elsewhere", said, blocks=True),)
    found = _function_with(step.span, study)
    if found is None:
        return ()
    waiter, call = found
    if waiter.kind != "function" or not waiter.is_async:
        name = f"`{waiter.name}`" if waiter.kind == "function" else "what cancels it"
        return (Hazard("not-a-coroutine-function", f"{name} is no coroutine function: it cannot wait", blocks=True),)
    return _waiting(waiter, call, study)


def _cancelled_at(task: Task) -> Step | None:
    """The step of the evidence at which a task is cancelled."""
    return next((step for step in reversed(task.evidence) if step.message.endswith(_CANCELS)), None)


def _function_with(span: code.Span, study: Study) -> tuple[code.Function, code.Call] | None:
    """The call of `cancel` at a place, and the scope that it is in."""
    for function in study.facts.functions:
        for call in walk(function.body, code.Call):
            if call.span == span and last_name(call.func) == "cancel":
                return function, call
    return None


def _waiting(waiter: code.Function, first: code.Call, study: Study) -> Fix | tuple[Hazard, ...]:
    handle = called_on(first.func)
    if handle is None:
        return ()
    together = _together(first, waiter, study)
    tasks = [(task, spawner) for call in together for task, spawner in _tasks_cancelled_by(call, study)]
    wait, imports = study.spelled("asyncio.wait", waiter)
    if any(may_wait_for_itself(task, spawner, waiter, study) for task, spawner in tasks):
        together = [first]  # each by itself, unless it is the task that gets here
        tasks = list(_tasks_cancelled_by(first, study))
    guarded = any(may_wait_for_itself(task, spawner, waiter, study) for task, spawner in tasks)
    edits: list[Edit] = []
    hazards: list[Hazard] = []
    calls = together[:1] if len(together) > 1 else list(_calls_like(first, handle, waiter))
    for call in calls:
        others = tuple(called_on(each.func) or handle for each in together[1:])
        cancel = Cancel(call, called_on(call.func) or handle, others, waiter, study, wait, guarded)
        answer = cancel.edits()
        if isinstance(answer, Hazard):
            return (answer,)
        edits += [edit for edit in answer.edits if edit not in edits]
        hazards += answer.hazards
    lines = [line for edit in edits if isinstance(edit, Insert | Substitute) for line in edit.lines]
    if any("current_task" in line for line in lines):
        imports = (*imports, *study.spelled("asyncio.current_task", waiter)[1])
    for task, spawner in tasks:
        hazards += [*may_deadlock(task, spawner, first.span, waiter, study), *may_go_on(task, spawner, study)]
        hazards += [*may_run_out_of_time(task, spawner, waiter, study), *other_loops(spawner, waiter, study)]
    for call in together:
        hazards += may_be_no_future(called_on(call.func) or handle, waiter, study)
    hazards += limits_of(waiter, study)
    waits = [
        edit for edit in edits if isinstance(edit, Insert | Substitute) and any(wait in line for line in edit.lines)
    ]
    hazards += [hazard for edit in waits for hazard in pauses_before(edit.span, waiter)]
    holder = Cancel(first, handle, (), waiter, study, wait, guarded).holder()
    if holder is not None:
        hazards += may_hold_others(holder, [task.span for task, _ in tasks], waiter, study)
    blocking = tuple(hazard for hazard in hazards if hazard.blocks)
    if blocking:
        return blocking
    notes = tuple(dict.fromkeys(f"`{waiter.name}` now waits until `{task.spawned}` has ended" for task, _ in tasks))
    edits += imports
    return Fix(NAME, "wait for what is cancelled", study.path, tuple(edits), tuple(dict.fromkeys(hazards)), notes)


def _tasks_cancelled_by(call: code.Call, study: Study) -> Iterator[tuple[Task, code.Function]]:
    """The tasks that a call cancels last, with the functions that spawn them."""
    for task in study.studied.findings.tasks:
        step = _cancelled_at(task) if task.fate is Fate.CANCELLED else None
        spawner = study.function_of(task)
        if step is not None and spawner is not None and (step.path, step.span) == (study.path, call.span):
            yield task, spawner


def _together(first: code.Call, waiter: code.Function, study: Study) -> list[code.Call]:
    """A call of `cancel`, and those right before and after it of tasks that nobody waits for, either."""
    around = path_to(first.span, waiter.body)
    block, position = around[-1]
    found = {position: first}
    if _is_plain_cancel(block[position]) is first:
        for step in (-1, 1):
            at = position + step
            while 0 <= at < len(block) and (call := _is_plain_cancel(block[at])) is not None:
                if not any(_tasks_cancelled_by(call, study)):
                    break
                found[at] = call
                at += step
    return [found[at] for at in sorted(found)]


def _is_plain_cancel(statement: code.Stmt) -> code.Call | None:
    """The call of a statement that does no more than to cancel a task by its handle."""
    match statement:
        case code.Evaluate(value=code.Call(func=func) as call) if last_name(func) == "cancel":
            handle = called_on(func)
            return call if handle is not None and is_plain(handle) else None
    return None


def _calls_like(first: code.Call, handle: Expr, waiter: code.Function) -> Iterator[code.Call]:
    """A call of `cancel`, and the others of the same handle after which nothing waits."""
    for call in walk(waiter.body, code.Call):
        if call is first:
            yield call
        elif last_name(call.func) == "cancel" and (other := called_on(call.func)) is not None:
            yield from () if text(other) != text(handle) or _is_waited_for(call, text(handle), waiter) else (call,)


def _is_waited_for(call: code.Call, handle: str, waiter: code.Function) -> bool:
    """Whether something that mentions the handle is awaited after a call."""
    awaited = (node for node in walk(waiter.body, code.Await) if node.span[:2] > call.span[:2])
    return any(handle in _texts(node.value) for node in awaited)


def _texts(root: object) -> set[str]:
    return {text(node) for node in walk(root, (code.Name, code.Global, code.Attribute))}
