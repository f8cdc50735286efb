"""Context managers around tasks: who holds what, and for how long, when a group waits."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.spawns import Spawn
from leaklint.fixing.hazards.awaiting import Entry, entered
from leaklint.fixing.study import Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Block
from leaklint.model.fix import Hazard
from leaklint.model.walk import walk


def misplaced(block: Block, spawns: tuple[Spawn, ...], function: code.Function, study: Study) -> Iterator[Hazard]:
    """`resource-order`, `time-limit`: a group in these statements would wait while something is held that the tasks may
    need, under a time limit that was not theirs, or only when what they use is closed.
    """
    loose = tuple(spawn for spawn in spawns if not _is_awaited(spawn, block, function))
    if not loose or not block:
        return
    for step in path_to(block[0].span, function.body)[:-1]:
        if isinstance(step.statement, code.With):
            yield from _around(step.statement, function, study)
    for statement in walk(block, code.With):
        for spawn in loose:
            inside = any(contains(inner.span, spawn.call.span) for inner in statement.body)
            used = {name.id for name in walk(spawn.call, code.Name)}
            for item in statement.items if inside else ():
                name = next((each.id for each in walk(item.target, code.Name) if each.id in used), None)
                if name is not None:
                    said = f"`{spawn.spawned}` uses `{name}`, which is closed at the end of the `with` on line"
                    yield Hazard("resource-order", f"{said} {statement.span.line}: the group would wait after that")


def _around(statement: code.With, function: code.Function, study: Study) -> Iterator[Hazard]:
    for item in statement.items:
        found = entered(item.context, function, study, is_async=statement.is_async)
        if found.entry is Entry.LOCK or found.said.lower().endswith(("lock", "mutex", "semaphore")):
            said = f"`{found.said}`, entered on line {statement.span.line}, would be held until the tasks have ended"
            yield Hazard("resource-order", said)
        if found.entry is Entry.SCOPE:
            said = f"`{found.said}` on line {statement.span.line} would hold for the tasks, too"
            yield Hazard("time-limit", said)


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
