"""What is around tasks, and for how long, when a group waits: context managers, `finally`, time limits of callers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.analysis.spawns import Spawn
from leaklint.catalog import Role
from leaklint.fixing.hazards.awaiting import Entry, entered
from leaklint.fixing.hazards.callers import Site, sites
from leaklint.fixing.hazards.children import place
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Block
from leaklint.model.fate import PathKind
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_REACHED = frozenset({PathKind.EARLY_EXIT, PathKind.TIMEOUT, PathKind.PARTIAL_WAIT})
"""The ways out on which no error ends the function, so that a group waits for the task and does not cancel it."""
_MOST_CALLERS = 50
"""So many callers, and callers of those, are looked at."""


def is_left(spawn: Spawn, study: Study) -> bool:
    """Whether the function may end, other than by an error, while a task that it waits for elsewhere still runs."""
    tasks = (task for task in study.studied.findings.tasks if task.span == spawn.call.span)
    return any(not _REACHED.isdisjoint(task.paths) for task in tasks)


def misplaced(block: Block, spawns: tuple[Spawn, ...], function: code.Function, study: Study) -> Iterator[Hazard]:
    """`resource-order`, `time-limit`: a group in these statements would wait while something is held that the tasks may
    need, under a time limit that was not theirs, or only when what they use is closed.
    """
    loose = tuple(spawn for spawn in spawns if not _is_awaited(spawn, block, function) or is_left(spawn, study))
    if not loose or not block:
        return
    for step in path_to(block[0].span, function.body)[:-1]:
        if isinstance(step.statement, code.With):
            yield from _around(step.statement, function, study)
        elif _is_final_around(step.statement, block):
            said = f"the `finally` of line {step.statement.span.line} would run only when the tasks have ended"
            yield Hazard("resource-order", said)
    for statement in walk(block, code.With):
        for spawn in loose:
            inside = any(contains(inner.span, spawn.call.span) for inner in statement.body)
            used = {name.id for name in walk(spawn.call, code.Name)}
            for item in statement.items if inside else ():
                name = next((each.id for each in walk(item.target, code.Name) if each.id in used), None)
                if name is not None:
                    said = f"`{spawn.spawned}` uses `{name}`, which is closed at the end of the `with` on line"
                    yield Hazard("resource-order", f"{said} {statement.span.line}: the group would wait after that")


def _is_final_around(statement: code.Stmt, block: Block) -> bool:
    """Whether a statement around a block runs a `finally` after it."""
    return (
        isinstance(statement, code.Try)
        and bool(statement.final)
        and not any(contains(each.span, block[0].span) for each in statement.final)
    )


def _around(statement: code.With, function: code.Function, study: Study) -> Iterator[Hazard]:
    for item in statement.items:
        found = entered(item.context, function, study, is_async=statement.is_async)
        where = f"`{found.said}`, entered on line {statement.span.line},"
        if found.entry is Entry.LOCK or found.said.lower().endswith(("lock", "mutex", "semaphore")):
            yield Hazard("resource-order", f"{where} would be held until the tasks have ended")
        elif found.entry is Entry.SCOPE:
            said = f"`{found.said}` on line {statement.span.line} would hold for the tasks, too"
            yield Hazard("time-limit", said)
        elif found.entry is not Entry.GROUP:
            yield Hazard("resource-order", f"{where} would be left only when the tasks have ended")


def _is_awaited(spawn: Spawn, block: Block, function: code.Function) -> bool:
    """Whether the handle of a spawn is waited for in the block, at least on some path."""
    names = {
        name.id
        for node in walk(function.body, code.Assign)
        if any(call is spawn.call for call in walk(node.value, code.Call))
        for name in walk(node.targets, code.Name)
    }
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(value=code.Name(id=name), attr="append" | "add"), args=[added]):
                taken = {each.id for each in walk(added, code.Name)}
                if added is spawn.call or taken & names:
                    names.add(name)
    return any(
        part is spawn.call or (isinstance(part, code.Name) and part.id in names)
        for node in walk(block, code.Await)
        for part in walk(node.value, (code.Name, code.Call))
    )


# -- time limits of callers --------------------------------------------------------------------------------------------


def limited(function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`time-limit`: a caller gives a function, which takes longer in a group, so much time and no more."""
    seen, todo = {function.qualname}, deque([function])
    while todo and len(seen) < _MOST_CALLERS:
        for site in sites(todo.popleft(), study):
            if site.is_guessed:
                continue
            limit = _limit_around(site, study)
            if limit is not None:
                at = place(span_of(limit), site.caller, function.name, function, study)
                said = f"`{_said(limit)}`{at} limits the time that `{function.name}` takes"
                return (Hazard("time-limit", said),)
            if site.caller.qualname not in seen:
                seen.add(site.caller.qualname)
                todo.append(site.caller)
    return ()


def _limit_around(site: Site, study: Study) -> code.Expr | None:
    """The time limit that a call is under."""
    caller = site.caller
    for step in path_to(site.span, caller.body):
        statement = step.statement
        if isinstance(statement, code.With):
            for item in statement.items:
                context = item.context
                found = entered(context, caller, study, is_async=statement.is_async)
                is_scope = found.entry is Entry.SCOPE and last_name(context) != "CancelScope"
                if is_scope and not contains(span_of(context), site.span):
                    return context
    bound = [
        target for each in walk(caller.body, code.Assign) if contains(each.span, site.span) for target in each.targets
    ]
    names = {name.id for target in bound for name in walk(target, code.Name)}
    for call in walk(caller.body, code.Call):
        if study.kinds.role_of_callee(call.func, caller) is Role.WAIT_FOR:
            given = (*call.args, *(keyword.value for keyword in call.keywords))
            if any(contains(span_of(each), site.span) for each in given) or any(
                name.id in names for name in walk(given, code.Name)
            ):
                return call
    return None


def _said(limit: code.Expr) -> str:
    return last_name(limit) or text(limit)
