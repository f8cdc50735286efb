"""Ends a task on every way out of the function that spawns it, by a `try` with a `finally` that cancels it and waits.

```python
task = asyncio.create_task(fetch())
try:
    await check()
    print(await task)
finally:
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
```

The `try` is around all that uses the handle. Where the function goes straight through nothing changes: the task is done
by then. On every other way out it is cancelled, and the function waits until it has ended; an error stays the one that
it was. Where the statements end with what cancels the task and waits for it, that becomes the `finally`, as it is.
There is no group, so it takes any awaitable and works in asynchronous generators, whose `finally` may await
(https://peps.python.org/pep-0525/#finalization).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from leaklint.analysis.kinds import last_name
from leaklint.catalog import Role
from leaklint.fixing.endings import finally_
from leaklint.fixing.hazards.again import cancelled_again
from leaklint.fixing.hazards.escaping import escapes
from leaklint.fixing.hazards.handlers import clauses_for_unfinished
from leaklint.fixing.hazards.handles import (
    coroutine_of,
    may_be_no_future,
    may_go_on,
    may_run_out_of_time,
)
from leaklint.fixing.hazards.limits import limits_of
from leaklint.fixing.hazards.locks import may_deadlock
from leaklint.fixing.hazards.pausing import goes_on_with_some, passes_at_once, pauses_before
from leaklint.fixing.own_endings import Own, own_ending
from leaklint.fixing.study import Finding, Step, Study, blocks_of, contains, path_to
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.model.fix import Edit, Fix, Hazard, Wrap
from leaklint.model.walk import text, walk

NAME = "cancel-on-exit"
CODES = frozenset({"LK104"})

_LOOPS = (code.For, code.While)
_CUT = {
    PathKind.EARLY_EXIT: "leaves it running",
    PathKind.TIMEOUT: "leaves it running when the time is up",
    PathKind.PARTIAL_WAIT: "leaves it running when another one is done",
}


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A `try` from the spawn to the last use of its handle."""
    task = finding.subject
    if not isinstance(task, Task) or task.fate is not Fate.HAZARD:
        return ()
    function = study.function_of(task)
    around = path_to(task.span, function.body) if function is not None else ()
    if function is None or not around:
        return ()
    if function.kind != "function" or not function.is_async:
        said = f"`{function.name}` is no coroutine function: it cannot wait"
        return (Hazard("not-a-coroutine-function", said, blocks=True),)
    handle = _bound(around[-1].statement, task.span)
    if handle is None:
        return (Hazard("no-plain-handle", "its handle is not bound to a variable of its own", blocks=True),)
    return _Ending(task, handle, around, function, study).answer()


def _bound(statement: code.Stmt, spawn: Span) -> str | None:
    """The variable that a statement binds to a spawn, and to nothing else."""
    match statement:
        case code.Assign(targets=[code.Name(id=name)], value=code.Call(span=span)) if span == spawn:
            return name
    return None


class _Region(NamedTuple):
    """The statements from the spawn to the last use of its handle, or somewhat further."""

    block: code.Block
    first: code.Stmt
    last: code.Stmt
    used: code.Stmt
    """The last that uses the handle; the others that follow pass without a pause, before there is one."""
    holds_spawn: bool
    """The spawn is within them: on some paths there is none."""

    @property
    def extent(self) -> Span:
        return Span(*self.first.span[:2], *self.last.span[2:])


@dataclass(frozen=True)
class _Ending:
    """A task, and the function that it shall not outlive."""

    task: Task
    handle: str
    around: tuple[Step, ...]
    """The statements around the spawn."""
    function: code.Function
    study: Study
    until: code.Stmt | None = None
    """The statement before which the `try` has to end."""

    def answer(self) -> Fix | tuple[Hazard, ...]:
        """The fix, or what stands in its way."""
        against = self.against()
        if against:
            return against
        wait, imports = self.study.spelled("asyncio.wait", self.function)
        together = self._together()
        own = self._own(together)
        if own is not None:
            together = [replace(each, until=own.statements[0]) for each in together]
        if own is not None and own.waits:
            edits: tuple[Edit, ...] = (self._wrap_around(together, finally_(own.lines(self.study))), *own.removal)
        else:
            wrap = together[0].wrap(wait) if len(together) == 1 else self._wrap_all(together, wait)
            edits = (wrap, *(own.removal if own is not None else ()), *imports)
        hazards = tuple(dict.fromkeys(hazard for each in together for hazard in each.hazards()))
        name = self.function.name
        notes = tuple(
            f"whatever ends `{name}`, `{each.task.spawned}` is cancelled if it still runs, and waited for"
            for each in together
        )
        return Fix(NAME, "cancel it on every way out", self.study.path, edits, hazards, tuple(dict.fromkeys(notes)))

    def against(self) -> tuple[Hazard, ...]:
        """What stands in the way."""
        region = self.region
        if isinstance(region, Hazard):
            return (region,)
        escaping = escapes(self.handle, self.function, self.study)
        locks = may_deadlock(self.task, self.function, self.task.span, self.function, self.study)
        return (*self._rebound(region), *(each for each in escaping if each.blocks), *locks)

    def hazards(self) -> Iterator[Hazard]:
        """What may change for this task."""
        yield from self._cut()
        yield from self._cut_where_it_goes_on()
        if self._is_just_cancelled(self.extent.used):
            yield from pauses_before(self.extent.last.span, self.function)
            yield from may_run_out_of_time(self.task, self.function, self.function, self.study)
        yield from escapes(self.handle, self.function, self.study)
        yield from may_go_on(self.task, self.function, self.study)
        yield from self._cut_again()
        yield from limits_of(self.function, self.study)
        yield from may_be_no_future(code.Name(self.handle, self.task.span), self.function, self.study)

    # -- what is written -----------------------------------------------------------------------------------------

    def wrap(self, wait: str) -> Wrap:
        """The `try` for this task alone."""
        region = self.extent
        ended = f"not {self.handle}.done()"
        running = f"{self.handle} is not None and {ended}" if self._may_be_none(region) else ended
        body = (f"if {running}:", f"    {self.handle}.cancel()", f"    await {wait}([{self.handle}])")
        unset = region.holds_spawn and not self._is_bound_before(region)
        template = (f"{self.handle} = None\n" if unset else "") + finally_(body)
        return Wrap(region.first.span, region.last.span, template, self.function.qualname)

    def _wrap_all(self, together: Sequence[_Ending], wait: str) -> Wrap:
        """One `finally` for several tasks: all are cancelled before the first is waited for."""
        running = self.study.free_name("running", self.function)
        names = [self.study.free_name(wish, self.function) for wish in ("task", "each")]
        each = names["task" not in names]
        chosen = f"[{each} for {each} in ({', '.join(other.handle for other in together)}) if not {each}.done()]"
        body = (f"if {running} := {chosen}:", f"    for {each} in {running}:", f"        {each}.cancel()")
        return self._wrap_around(together, finally_((*body, f"    await {wait}({running})")))

    def _wrap_around(self, together: Sequence[_Ending], template: str) -> Wrap:
        last = max((other.extent.last for other in together), key=lambda statement: statement.span)
        return Wrap(together[-1].extent.first.span, last.span, template, self.function.qualname)

    def _own(self, together: Sequence[_Ending]) -> Own | None:
        """The last statements, if they end the tasks already."""
        region, last = together[-1].extent, max((each.extent.last for each in together), key=lambda each: each.span)
        if region.holds_spawn or last not in region.block:
            return None
        statements = region.block[region.block.index(region.first) : region.block.index(last) + 1]
        return own_ending(statements, {each.handle for each in together}, self.function, self.study)

    def _together(self) -> list[_Ending]:
        """The tasks that are spawned by the statements right before and after, and leak as well; and this one."""
        block, position = self.around[-1]
        found = {position: self}
        if self._is_plain():
            for step in (-1, 1):
                at = position + step
                while 0 <= at < len(block) and (other := self._spawned_at(block[at])) is not None:
                    found[at] = other
                    at += step
        return [found[at] for at in sorted(found)]

    def _spawned_at(self, statement: code.Stmt) -> _Ending | None:
        """Another task that a statement spawns; None if that is not to be ended in the same way."""
        for task in self.study.studied.findings.tasks:
            handle = _bound(statement, task.span)
            if handle is not None and task.cause is None and task.fate is Fate.HAZARD:
                other = _Ending(task, handle, path_to(task.span, self.function.body), self.function, self.study)
                return other if not other.against() and other._is_plain() else None
        return None

    def _is_plain(self) -> bool:
        """Whether the spawn is certain to come, and calls nothing but the function whose coroutine it is given."""
        region, spawn = self.extent, self.around[-1].statement
        calls = sum(1 for _ in walk(spawn, code.Call))
        return not self._may_be_none(region) and calls <= 2 and not any(walk(spawn, code.Await))

    @property
    def extent(self) -> _Region:
        """The region, if nothing stands in the way."""
        assert isinstance(self.region, _Region)
        return self.region

    # -- from where to where -------------------------------------------------------------------------------------

    @cached_property
    def region(self) -> _Region | Hazard:
        """The statements that are to stand in the `try`."""
        level = len(self.around) - 1
        for use in self._uses:
            path = path_to(use, self.function.body)
            shared = 0
            while shared < min(level, len(path) - 1) and path[shared] == self.around[shared]:
                if not _same_block(use, self.task.span, path[shared].statement):
                    break
                shared += 1
            if use < self.task.span:
                # it is used before the spawn, so it comes from an earlier turn of a loop around both
                loops = [i for i in range(shared + 1) if isinstance(self.around[i].statement, _LOOPS)]
                loops = [i for i in loops if contains(self.around[i].statement.span, use)]
                if not loops:
                    return Hazard("handle-is-reused", f"`{self.handle}` is used on line {use.line}, too", blocks=True)
                shared = loops[-1]
            level = min(level, shared)
        block, position = self.around[level]
        holds_spawn = level < len(self.around) - 1
        used = [i for i in range(position, len(block)) if any(contains(block[i].span, use) for use in self._uses)]
        first = position if holds_spawn else position + 1
        last = max(used, default=position)
        if self.until is not None:
            last = min(last, block.index(self.until) - 1)
        elif self._is_just_cancelled(block[last]):
            while last + 1 < len(block) and passes_at_once(block[last + 1]):
                last += 1
        if last < first:
            return Hazard("handle-is-unused", f"nothing after the spawn uses `{self.handle}`", blocks=True)
        return _Region(block, block[first], block[last], block[max(used)], holds_spawn)

    @cached_property
    def _uses(self) -> list[Span]:
        """Where the handle is read, or a set with it that a wait gives back."""
        bound = {id(target) for each in walk(self.function.body, code.Assign) for target in each.targets}
        deleted = {id(target) for each in walk(self.function.body, code.Delete) for target in each.targets}
        names = walk(self.function.body, code.Name)
        wanted = {self.handle, *self._given_back()}
        return [name.span for name in names if name.id in wanted and id(name) not in bound | deleted]

    def _given_back(self) -> Iterator[str]:
        """The variables that hold what is pending after a wait, and are bound to nothing else."""
        targets = [each.targets for each in walk(self.function.body, code.Assign)]
        bound = [name.id for name in walk(tuple(targets), code.Name)]
        for assign in walk(self.function.body, code.Assign):
            match assign:
                case code.Assign(targets=[code.Display(items=[_, code.Name(id=name)])], value=code.Await(value=wait)):
                    is_wait = isinstance(wait, code.Call) and self._is_wait(wait)
                    if (
                        is_wait
                        and bound.count(name) == 1
                        and any(each.id == self.handle for each in walk(wait, code.Name))
                    ):
                        yield name

    def _is_wait(self, call: code.Call) -> bool:
        return self.study.kinds.role_of_callee(call.func, self.function) is Role.WAIT

    def _rebound(self, region: _Region) -> Iterator[Hazard]:
        """Where the variable is bound to something else, or unbound, so that `finally` would not see the task."""
        for node in walk(self.function.body, (code.Assign, code.Delete, code.For, code.With)):
            if not _binds(node, self.handle) or _spawns(node, self.task.span):
                continue
            is_harmless = _is_none(node) or self._is_alternative(node)
            if contains(region.extent, node.span) and not is_harmless:
                yield Hazard(
                    "handle-is-reused", f"`{self.handle}` is bound again on line {node.span.line}", blocks=True
                )

    def _is_alternative(self, node: code.Stmt) -> bool:
        """Whether a statement binds another task, in another branch than the spawn."""
        if not isinstance(node, code.Assign) or not isinstance(node.value, code.Call):
            return False
        for step, other in zip(self.around, path_to(node.span, self.function.body), strict=False):
            if step != other:
                return False
            if not _same_block(node.span, self.task.span, step.statement):
                return isinstance(step.statement, code.If | code.Match)
        return False

    def _may_be_none(self, region: _Region) -> bool:
        unset = [each for each in walk(self.function.body, code.Assign) if _binds(each, self.handle) and _is_none(each)]
        return region.holds_spawn or any(contains(region.extent, each.span) for each in unset)

    def _is_bound_before(self, region: _Region) -> bool:
        """Whether the variable is certainly bound where the region begins."""
        if any(param.name == self.handle for param in self.function.params):
            return True
        for block, position in self.around:
            before = [each for each in block[:position] if isinstance(each, code.Assign) and each.value is not None]
            if any(_binds(each, self.handle) for each in before):
                return True
            if block is region.block:
                break
        return False

    # -- hazards -------------------------------------------------------------------------------------------------

    def _cut(self) -> Iterator[Hazard]:
        """`work-is-cut`: where the function left the task running, it is now cancelled."""
        for kind in self.task.paths:
            if kind in _CUT:
                at = self.task.leaving
                where = f" on line {at.span.line}" if at is not None and kind is self.task.paths[0] else ""
                said = f"`{self.function.name}` {_CUT[kind]}{where}, and `{self.task.spawned}` would be cut"
                yield Hazard("work-is-cut", said)
        block = self.extent.block
        results = [call for call in walk(block, code.Call) if last_name(call) == "result" and not call.args]
        for clause in clauses_for_unfinished(results, block, self.study):
            yield Hazard("work-is-cut", f"{clause} goes on while it runs, and `{self.task.spawned}` would be cut")

    def _cut_again(self) -> Iterator[Hazard]:
        """`cleanup-is-cut`: the statements may have cancelled the task themselves."""
        coroutine = coroutine_of(self.task, self.function, self.study)
        if coroutine is not None:
            yield from cancelled_again(coroutine, (self.handle,), self.extent.extent, self.function, self.study)

    def _cut_where_it_goes_on(self) -> Iterator[Hazard]:
        """`work-is-cut`: the last use of the handle is a wait that returns with tasks pending; the function goes on,
        and ends the task later, which is now cut right after the wait.
        """
        for call in walk(self.extent.last, code.Call):
            if self._is_wait(call) and goes_on_with_some(call):
                said = f"`{text(call.func)}` on line {call.span.line} returns while some still run"
                yield Hazard("work-is-cut", f"{said}, and `{self.task.spawned}` would be cut there")

    def _is_just_cancelled(self, last: code.Stmt) -> bool:
        """Whether the last statement that uses the handle is to cancel the task, without a wait."""
        waits = any(any(name.id == self.handle for name in walk(each, code.Name)) for each in walk(last, code.Await))
        return not waits and any(last_name(call) == "cancel" for call in walk(last, code.Call))


def _same_block(one: Span, other: Span, statement: code.Stmt) -> bool:
    """Whether two places in a statement are in the same one of its blocks."""
    return any(path_to(one, block) and path_to(other, block) for block in blocks_of(statement))


def _spawns(node: code.Stmt, spawn: Span) -> bool:
    return isinstance(node, code.Assign) and contains(node.span, spawn)


def _is_none(node: code.Stmt) -> bool:
    match node:
        case code.Assign(value=code.Constant(value=None)):
            return True
    return isinstance(node, code.Assign) and node.value is None


def _binds(node: code.Stmt, name: str) -> bool:
    """Whether a statement binds a variable, or unbinds it."""
    match node:
        case code.Assign(targets=targets) | code.Delete(targets=targets):
            pass
        case code.For(target=target):
            targets = (target,)
        case code.With(items=items):
            targets = tuple(item.target for item in items if item.target is not None)
        case _:
            return False
    flat = [each for target in targets for each in (target.items if isinstance(target, code.Display) else (target,))]
    return any(isinstance(each, code.Name) and each.id == name for each in flat)
