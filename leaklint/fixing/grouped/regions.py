"""Where a task group begins and ends: the smallest block that holds the spawns and the uses of their handles, or, if a
task may be running when that ends, all up to the end of the function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from leaklint.analysis.kinds import path_of
from leaklint.analysis.spawns import Spawn
from leaklint.fixing.grouped.bundles import Bundle
from leaklint.fixing.grouped.variables import JOINS, Kind, Use, Variable, held
from leaklint.fixing.study import Step, Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.walk import walk

_ANYIO = frozenset({"anyio.create_task_group", "anyio.abc.TaskGroup"})
_NATIVE = "asyncio.TaskGroup"
_SCOPES = frozenset({"anyio.CancelScope", "anyio.move_on_after", "anyio.fail_after"})
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """The statements that the group is around."""

    block: Block
    first: int
    last: int
    tail: int
    """The statements of `block` after `last` up to here only read results: they come after the group."""
    group: str | None = None
    """What a group is called that is there already; it is around all of `block`."""
    is_native: bool = False
    """Whether that is a group of asyncio."""
    is_joined: bool = False
    """Whether the function waits for every task at the end of it as it is."""

    @property
    def inside(self) -> Block:
        """The statements in the group."""
        return self.block[self.first : self.last + 1]

    @property
    def span(self) -> Span:
        """All of it, with what reads results."""
        return _joint(self.block[self.first].span, self.block[max(self.tail, self.last)].span)

    def holds(self, span: Span) -> bool:
        """Whether a place is in the group."""
        return contains(_joint(self.block[self.first].span, self.block[self.last].span), span)


def region_of(bundles: Sequence[Bundle], study: Study) -> Region:
    """Where the group for the tasks of these bundles begins and ends, all of one function."""
    function = bundles[0].function
    existing = _existing(bundles, function, study)
    if existing is not None:
        return existing
    return _joined(bundles, function) or _to_the_end(bundles, function)


def _to_the_end(bundles: Sequence[Bundle], function: code.Function) -> Region:
    """From the outermost statement that spawns to the end of the function, or of the cancel scope around it."""
    paths = [path_to(spawn.call.span, function.body) for bundle in bundles for spawn in bundle.spawns]
    depth = max((level + 1 for level, step in enumerate(paths[0]) if _is_scope(step)), default=0)
    shared = all(len(path) > depth and path[depth].block is paths[0][depth].block for path in paths)
    depth = depth if shared else 0
    block = paths[0][depth].block
    first = min(path[depth].position for path in paths)
    spawning = max(path[depth].position for path in paths)
    return _with_tail(bundles, block, first, spawning, len(block) - 1)


def _is_scope(step: Step) -> bool:
    """Whether a statement enters a cancel scope of AnyIO, whose cancellation has to reach the group."""
    return isinstance(step.statement, code.With) and any(
        path_of(item.context) in _SCOPES or (path_of(item.context) in _ANYIO and item.target is None)
        for item in step.statement.items
        if not isinstance(item.context, code.Starred)
    )


# -- a group that is there already -------------------------------------------------------------------------------------


def _existing(bundles: Sequence[Bundle], function: code.Function, study: Study) -> Region | None:
    """The innermost group in the function that is around all spawns and all uses of their handles."""
    spans = [span for bundle in bundles for span in _spans(bundle)]
    found = None
    for step in path_to(spans[0], function.body):
        match step.statement:
            case code.With(items=items, body=body, is_async=True) if body and all(
                contains(_joint(body[0].span, body[-1].span), span) for span in spans
            ):
                for item in items:
                    kind = study.kinds.of(item.context, function)
                    kind = kind or path_of(item.context)
                    if isinstance(item.target, code.Name) and (kind in _ANYIO or kind == _NATIVE):
                        end = len(body) - 1
                        joined = _joined(bundles, function) is not None
                        found = Region(body, 0, end, end, item.target.id, kind == _NATIVE, joined)
    return found


def _spans(bundle: Bundle) -> Iterator[Span]:
    yield from (spawn.call.span for spawn in bundle.spawns)
    for use in bundle.uses:
        if use.kind is not Kind.EMPTY:
            yield _span(use)


def _span(use: Use) -> Span:
    assert not isinstance(use.node, code.Starred)
    return use.node.span


# -- a region in which every task is waited for ------------------------------------------------------------------------


def _joined(bundles: Sequence[Bundle], function: code.Function) -> Region | None:
    """The smallest region at whose end every task has been waited for, whichever way it has gone through."""
    joins = [(bundle, use, path_to(_span(use), function.body)) for bundle in bundles for use in bundle.uses_by(*JOINS)]
    spawns = [(b, spawn, path_to(spawn.call.span, function.body)) for b in bundles for spawn in b.spawns]
    if not joins:
        return None
    depth = _common_depth([*(path for *_, path in joins), *(path for *_, path in spawns)])
    for level in range(depth, -1, -1):
        ends = [_end_of(spawn, path, bundle, joins, level) for bundle, spawn, path in spawns]
        if None not in ends:
            block = spawns[0][2][level].block
            positions = [path[level].position for *_, path in spawns]
            end = max(end for end in ends if end is not None)
            return replace(_with_tail(bundles, block, min(positions), max(positions), end), is_joined=True)
    return None


def _common_depth(paths: Sequence[Path]) -> int:
    """How deep the innermost block lies that all of these go through."""
    depth = 0
    for level in range(min(map(len, paths))):
        if any(path[level].block is not paths[0][level].block for path in paths):
            break
        depth = level
        if any(path[level].position != paths[0][level].position for path in paths):
            break
    return depth


def _end_of(
    spawn: Spawn, path: Path, bundle: Bundle, joins: Sequence[tuple[Bundle, Use, Path]], level: int
) -> int | None:
    """The statement of the block at which a task has surely been waited for."""
    within_loop = any(isinstance(step.statement, code.For | code.While) for step in path[level:])
    is_alone = _is_bound_once(spawn, bundle)
    for owner, use, way in joins:
        is_later = way[level].position > path[level].position or (
            way[level].position == path[level].position and len(way) == level + 1
        )
        if owner is bundle and is_later and _is_sure(way[level:], bundle):
            is_whole = _waits_for_all(use, way[level:])
            if _covers(use, spawn, bundle) and (is_whole or (is_alone and not within_loop)):
                return way[level].position
    return None


def _is_bound_once(spawn: Spawn, bundle: Bundle) -> bool:
    """Whether no other spawn is bound to the same name."""
    born = bundle.uses_by(Kind.BORN)
    names = {use.variable for use in born if _is_within(spawn.call, use)}
    return not any(use.variable in names and not _is_within(spawn.call, use) for use in born)


def _is_within(call: code.Call, use: Use) -> bool:
    return any(node is call for other in use.others for node in walk(other, code.Call))


def _waits_for_all(use: Use, way: Path) -> bool:
    """Whether a wait is for all handles of a container, not for the one that a name holds at the time."""
    if use.kind is Kind.GATHERED:
        return any(isinstance(part, code.Starred) for part in use.others)
    if use.kind is Kind.WAITED:
        return not isinstance(use.others[0], code.Display)
    return use.variable.within is not None or any(isinstance(step.statement, code.For) for step in way)


def _covers(use: Use, spawn: Spawn, bundle: Bundle) -> bool:
    """Whether what a wait is for leads back to a spawn."""
    todo, seen = [use.variable], {use.variable}
    while todo:
        variable = todo.pop()
        for each in bundle.uses_by(Kind.BORN):
            if each.variable == variable:
                if _is_within(spawn.call, each):
                    return True
                for other in each.others:
                    named = [Variable(name.id) for name in held(other) or ()]
                    todo += [name for name in named if name not in seen]
                    seen.update(named)
    return False


def _is_sure(way: Path, bundle: Bundle) -> bool:
    """Whether a wait is reached, whichever way through the statement of the block."""
    names = {variable.name for variable in bundle.variables}
    for step, inner in pairwise(way):
        match step.statement:
            case code.With():
                continue
            case code.Try(body=body, final=final) if inner.block is body or inner.block is final:
                continue
            case code.If(branches=[branch], orelse=()) if _mentions(branch.test, names):
                continue
            case code.For(iterable=iterable) if held(iterable) and _mentions(iterable, names):
                continue
        return False
    return True


def _mentions(expr: Expr, names: set[str]) -> bool:
    return any(name.id in names for name in walk(expr, code.Name))


# -- what comes after the group ----------------------------------------------------------------------------------------


def _with_tail(bundles: Sequence[Bundle], block: Block, first: int, spawning: int, end: int) -> Region:
    """A region without the statements at its end that only wait, or read results."""
    joins = {id(use.node) for bundle in bundles for use in bundle.uses_by(Kind.AWAITED, Kind.GATHERED, Kind.WAITED)}
    last = end
    while last > spawning and is_read(block[last], joins):
        last -= 1
    return Region(block, first, last, end)


def is_read(statement: code.Stmt, joins: set[int]) -> bool:
    """Whether a statement does nothing but wait for tasks of the group, and give their results on."""
    match statement:
        case code.Evaluate(value=value) | code.Return(value=code.Await() as value):
            return id(value) in joins or _reads_in_call(value, joins)
        case code.Assign(value=value) | code.Return(value=value) if value is not None:
            return _has_join(value, joins) and (_only_reads(value, joins) or _reads_in_call(value, joins))
        case code.For(body=(code.Evaluate(value=code.Await() as awaited),), orelse=()):
            return id(awaited) in joins
    return False


def _has_join(value: Expr, joins: set[int]) -> bool:
    return any(id(node) in joins for node in walk(value, code.Await))


def _reads_in_call(value: Expr, joins: set[int]) -> bool:
    match value:
        case code.Call(func=code.Name() | code.Global(), args=args, keywords=keywords):
            given = (*args, *(keyword.value for keyword in keywords))
            return _has_join(value, joins) and all(_only_reads(arg, joins) for arg in given)
    return False


def _only_reads(value: Expr, joins: set[int]) -> bool:
    if id(value) in joins:
        return True
    match value:
        case code.Name() | code.Global() | code.Constant():
            return True
        case code.Starred(value=inner) | code.Attribute(value=inner):
            return _only_reads(inner, joins)
        case code.Display(items=items) | code.Operation(operands=items):
            return all(_only_reads(item, joins) for item in items)
        case code.Comprehension(element=element, clauses=(clause,)):
            return _only_reads(element, joins) and _only_reads(clause.iterable, joins) and not clause.conditions
    return False


def _joint(first: Span, last: Span) -> Span:
    return Span(first.line, first.column, last.end_line, last.end_column)
