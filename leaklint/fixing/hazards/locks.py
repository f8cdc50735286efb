"""What a task needs to clean up, and who waits for it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import called_on
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.callers import sites
from leaklint.fixing.hazards.children import cleanups, name_of
from leaklint.fixing.hazards.handles import coroutine_of
from leaklint.fixing.study import Study, path_to
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.fate import Task
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_MOST = 500
"""So many callers are asked what they hold."""


def may_deadlock(
    task: Task, spawner: code.Function, place: Span, waiter: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`needs-held-lock`: the task may need for its cleanup what the function that waits for it, at a place, holds, or
    one that calls it.
    """
    coroutine = coroutine_of(task, spawner, study)
    return () if coroutine is None else _held(coroutine, task.spawned, spawner, place, waiter, study)


def children_may_deadlock(
    children: Sequence[Expr], place: Span, function: code.Function, study: Study
) -> Iterator[Hazard]:
    """`needs-held-lock`: the same of the coroutines of a group at a place."""
    for child in children:
        yield from _held(child, name_of(child), function, place, function, study)


def _held(
    coroutine: Expr, spawned: str, spawner: code.Function, place: Span, waiter: code.Function, study: Study
) -> tuple[Hazard, ...]:
    needed: dict[str, str] = {}
    for cleanup in cleanups(coroutine, spawner, study):
        needed |= _needed(cleanup.block, cleanup.function, study, set())
    for function, span in _waiting(waiter, place, study) if needed else ():
        held = sorted(needed.keys() & (_entered(span, function) | _acquired(span, function)))
        if held:
            said = f"`{spawned}` needs `{needed[held[0]]}` to clean up, which `{function.name}` holds"
            return (Hazard("needs-held-lock", said, blocks=True),)
    return ()


def _waiting(waiter: code.Function, place: Span, study: Study) -> Iterator[tuple[code.Function, Span]]:
    """The function that waits, and those that call it, each with the place where it does."""
    left = deque([(waiter, place)])
    seen = {(waiter.qualname, place)}
    while left and len(seen) < _MOST:
        function, span = left.popleft()
        yield function, span
        for site in sites(function, study):
            key = (site.caller.qualname, site.span)
            if key not in seen and not site.is_guessed:
                seen.add(key)
                left.append((site.caller, site.span))


def _needed(block: Block, function: code.Function, study: Study, seen: set[str]) -> dict[str, str]:
    """What statements, and the functions that they call, enter and acquire: by name, as it is written."""
    taken = [item.context for inner in walk(block, code.With) if inner.is_async for item in inner.items]
    taken += [lock for lock, _ in _called(block, "acquire")]
    found = {_name(lock): text(lock) for lock in taken}
    for call in walk(block, code.Call):
        for called in targets(call.func, function, study) or ():
            if called.qualname not in seen:
                seen.add(called.qualname)
                found = _needed(called.body, called, study, seen) | found
    return found


def _entered(place: Span, function: code.Function) -> set[str]:
    """What is entered around a place."""
    steps = [step.statement for step in path_to(place, function.body)]
    around = [statement for statement in steps if isinstance(statement, code.With) and statement.is_async]
    return {_name(item.context) for statement in around for item in statement.items}


def _acquired(place: Span, function: code.Function) -> set[str]:
    """What is acquired before a place, and not released until then."""
    acquired = {_name(lock): span for lock, span in _called(function.body, "acquire") if span < place}
    released = {_name(lock): span for lock, span in _called(function.body, "release") if span < place}
    return {lock for lock, span in acquired.items() if span > released.get(lock, Span(0, 0, 0, 0))}


def _called(block: Block, method: str) -> Iterator[tuple[Expr, Span]]:
    """What a method is called on, and where."""
    for call in walk(block, code.Call):
        if last_name(call.func) == method and (owner := called_on(call.func)) is not None:
            yield owner, call.span


def _name(lock: Expr) -> str:
    """The last part of a name: what is `self.lock` to one is `client.lock` to another. A call is what is written."""
    return text(lock) if isinstance(lock, code.Call) else last_name(lock) or text(lock)
