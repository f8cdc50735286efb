"""What a coroutine does on its way through the functions of the program, as a flat list of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.cancellation.catching import catches_cancellation
from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.program import Program
from leaklint.catalog import GROUP_SPAWNS, Role
from leaklint.fixing.hazards.awaiting import Entered, Entry, Sort, entered, meaning
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.current import given_away, is_itself
from leaklint.fixing.hazards.loops import endless_iteration, endless_loop, waits
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.walk import text, walk

_DEEPEST = 12
"""Calls are followed so far."""


class Does(Enum):
    """What happens at a point."""

    SUSPENDS = "waits for a while"
    STAYS = "may wait for ever"
    HANDLE = "waits for what others can cancel"
    CANCELLED = "raises a cancellation, or cancels itself"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Statements that run while a cancellation is on its way, and that await."""

    function: code.Function
    block: Block
    """The body of a `finally`, of an `except` that catches cancellations, of an `__aexit__`."""
    what: str
    """`finally`, `except`, or the name of the method."""
    is_here: bool
    """Whether it is in the file under repair."""

    @property
    def first(self) -> Span:
        """The place of the first statement."""
        return self.block[0].span

    @property
    def last(self) -> Span:
        """The place of the last statement."""
        return self.block[-1].span


class Point(NamedTuple):
    """One thing that a coroutine may do."""

    does: Does
    said: str
    span: Span
    function: code.Function
    limited: bool
    """A time limit is around it."""
    shielded: bool
    """Cancellations of AnyIO do not reach it."""
    caught: bool
    """A cancellation that it raises is caught."""
    cleanup: Cleanup | None
    """The outermost clean-up around it, in its function."""
    cleaning: bool
    """It runs while something is cleaned up, here or in a caller."""


@dataclass(frozen=True)
class _Around:
    """What is around a point."""

    function: code.Function
    limited: bool = False
    shielded: bool = False
    caught: bool = False
    cleanup: Cleanup | None = None
    cleaning: bool = False


def points_of(coroutine: Expr, function: code.Function, study: Study) -> tuple[Point, ...]:
    """What awaiting an expression of a function may do, in the order in which it is written."""
    return tuple(_traced(coroutine, function, study).points)


def functions_of(coroutine: Expr, function: code.Function, study: Study) -> tuple[code.Function, ...]:
    """The functions of the program that run when an expression of a function is awaited, in the order of the calls."""
    return tuple(_traced(coroutine, function, study).functions.values())


def points_in(block: Block, function: code.Function, study: Study) -> tuple[Point, ...]:
    """What the statements of a function may do, besides what comes of waiting for the tasks that it spawns."""
    tracing = _Tracing(study, function, stack=[function.qualname])
    tracing.block(block, _Around(function))
    return tuple(tracing.points)


def _traced(coroutine: Expr, function: code.Function, study: Study) -> _Tracing:
    known = _tracings(study.program)
    key = (id(coroutine), function.qualname, study.path)
    if key not in known:
        tracing = _Tracing(study, waiter=function)
        tracing.await_(coroutine, span_of(coroutine), _Around(function))
        known[key] = (coroutine, tracing)
    return known[key][1]


@lru_cache(maxsize=2)
def _tracings(program: Program) -> dict[tuple[int, str, str], tuple[Expr, _Tracing]]:
    """The coroutines of a program that have been followed, by the `id` of the expression, function and file."""
    del program
    return {}


def span_of(expr: Expr) -> Span:
    """The place of an expression."""
    return span_of(expr.value) if isinstance(expr, code.Starred) else expr.span


@dataclass
class _Tracing:
    """Follows a coroutine."""

    study: Study
    host: code.Function | None = None
    """The function that the tasks run beside which it spawns itself."""
    waiter: code.Function | None = None
    """The function that would wait for the coroutine."""
    locks: dict[str, bool] = field(default_factory=dict)
    """The names of the locks that have been looked at, and whether they are left; taken for so while that is asked."""
    stack: list[str] = field(default_factory=list)
    """The functions that run, the outermost first."""
    open: list[int] = field(default_factory=list)
    """The `id`s of the expressions that are awaited, the outermost first."""
    points: list[Point] = field(default_factory=list)
    functions: dict[str, code.Function] = field(default_factory=dict)
    seen: set[tuple[str, bool, bool, bool, bool]] = field(default_factory=set)

    # -- what is awaited -----------------------------------------------------------------------------------------

    def await_(self, awaited: Expr, span: Span, around: _Around) -> None:
        """Await an expression. (One that leads back to itself says no more.)"""
        if id(awaited) in self.open:
            return
        self.open.append(id(awaited))
        self._await(awaited, span, around)
        self.open.pop()

    def _await(self, awaited: Expr, span: Span, around: _Around) -> None:
        found = meaning(awaited, around.function, self.study)
        match found.sort:
            case Sort.PLAIN:
                self._add(Does.SUSPENDS, found.said, span, around)
            case Sort.WAITS:
                self._add(Does.STAYS, f"it waits for `{found.said}`", span, around)
            case Sort.HANDLE:
                self._add(Does.HANDLE, found.said, span, around)
            case Sort.UNKNOWN if around.function is self.host and not isinstance(awaited, code.Call):
                self._add(Does.SUSPENDS, found.said, span, around)
            case Sort.UNKNOWN:
                self._add(Does.UNKNOWN, found.said, span, around)
            case Sort.RUNS:
                self._call(found.functions, found.said, span, around)
            case Sort.TASK if around.function is self.host:
                self._add(Does.SUSPENDS, found.said, span, around)
            case Sort.ALL | Sort.LIMITED | Sort.TASK:
                inside = replace(around, limited=around.limited or found.sort is Sort.LIMITED)
                for inner, home in found.inner:
                    self.await_(inner, span_of(inner), replace(inside, function=home))

    def _call(self, functions: tuple[code.Function, ...], said: str, span: Span, around: _Around) -> None:
        if any(self.study.outcomes.suspends(each) for each in functions):
            self._add(Does.SUSPENDS, said, span, around)
        for each in functions:
            self.run(each, each.body, said, span, around)

    def run(self, function: code.Function, body: Block, said: str, span: Span, around: _Around) -> None:
        """Run the code of a function."""
        if function.qualname in self.stack:
            self._add(Does.STAYS, f"`{function.name}` calls itself", span, around)
            return
        # what is called while cleaning up is cut where it is called
        shielded = around.shielded or around.cleanup is not None
        key = (function.qualname, around.limited, shielded, around.caught, around.cleaning)
        if key in self.seen:
            return
        if len(self.stack) > _DEEPEST:
            self._add(Does.UNKNOWN, said, span, around)
            return
        self.seen.add(key)
        self.functions.setdefault(function.qualname, function)
        self.stack.append(function.qualname)
        for call in given_away(function):
            self._add(Does.CANCELLED, "others can get at its task", call.span, replace(around, function=function))
        cleanup = self._cleanup(function, body, function.name) if function.name == "__aexit__" else None
        cleaning = around.cleaning or cleanup is not None
        cleanup = None if shielded else cleanup
        self.block(body, _Around(function, around.limited, shielded, around.caught, cleanup, cleaning))
        self.stack.pop()

    def _add(self, does: Does, said: str, span: Span, around: _Around) -> None:
        here = (around.function, around.limited, around.shielded, around.caught, around.cleanup, around.cleaning)
        self.points.append(Point(does, said, span, *here))

    # -- statements ----------------------------------------------------------------------------------------------

    def block(self, block: Block, around: _Around) -> None:
        """Run statements."""
        for statement in block:
            self._statement(statement, around)

    def _statement(self, statement: code.Stmt, around: _Around) -> None:
        match statement:
            case code.If(branches=branches, orelse=orelse):
                for branch in branches:
                    self._expressions(branch.test, around)
                    self.block(branch.body, around)
                self.block(orelse, around)
            case code.While(test=test, body=body, orelse=orelse):
                if why := endless_loop(statement, around.function):
                    self._add(Does.STAYS, why, statement.span, around)
                self._expressions(test, around)
                self.block((*body, *orelse), around)
            case code.For():
                self._for(statement, around)
            case code.Try():
                self._try(statement, around)
            case code.With():
                self._with(statement, around)
            case code.Match(subject=subject, cases=cases):
                self._expressions(subject, around)
                for case in cases:
                    self._expressions(case.guard, around)
                    self.block(case.body, around)
            case code.Raise(value=value, span=span):
                if value is not None and path_of(value) in _CANCELLED:
                    self._add(Does.CANCELLED, "it raises `CancelledError`", span, around)
                self._expressions(value, around)
            case _:
                self._expressions(statement, around)

    def _for(self, statement: code.For, around: _Around) -> None:
        self._expressions(statement.iterable, around)
        if statement.is_async:
            self._iterate(statement.iterable, statement.span, around)
        elif waits(statement.body) and (why := endless_iteration(statement.iterable, around.function, self.study)):
            self._add(Does.STAYS, why, statement.span, around)
        self.block((*statement.body, *statement.orelse), around)

    def _iterate(self, iterable: Expr, span: Span, around: _Around) -> None:
        """Iterate asynchronously, which ends when others say so."""
        self._add(Does.STAYS, f"`async for` over `{_named(iterable)}`", span, around)
        self._add(Does.UNKNOWN, _named(iterable), span, around)

    def _try(self, statement: code.Try, around: _Around) -> None:
        catching = [each for each in statement.handlers if catches_cancellation(each.types)]
        caught = any(not any(True for _ in walk(each.body, code.Raise)) for each in catching[:1])
        self.block(statement.body, replace(around, caught=around.caught or caught))
        for handler in statement.handlers:
            ending = self._cleaning(handler.body, "except", around) if handler in catching else around
            self.block(handler.body, ending)
        self.block(statement.orelse, around)
        self.block(statement.final, self._cleaning(statement.final, "finally", around))

    def _cleaning(self, block: Block, what: str, around: _Around) -> _Around:
        if not block:
            return around
        if around.cleanup is not None or around.shielded:
            return replace(around, cleaning=True)
        return replace(around, cleanup=self._cleanup(around.function, block, what), cleaning=True)

    def _cleanup(self, function: code.Function, block: Block, what: str) -> Cleanup:
        return Cleanup(function, block, what, self.study.program.paths[function.qualname] == self.study.path)

    def _with(self, statement: code.With, around: _Around) -> None:
        for item in statement.items:
            self._expressions(item.context, around)
            found = entered(item.context, around.function, self.study, is_async=statement.is_async)
            around = self._enter(found, item, statement, around)
        self.block(statement.body, around)

    def _enter(self, found: Entered, item: code.Item, statement: code.With, around: _Around) -> _Around:
        """What is around the body."""
        span = span_of(item.context)
        match found.entry:
            case Entry.NOTHING:
                context = item.context
                suppresses = isinstance(context, code.Call) and path_of(context) == "contextlib.suppress"
                catches = suppresses and isinstance(context, code.Call) and catches_cancellation(context.args)
                return replace(around, caught=around.caught or catches)
            case Entry.SCOPE:
                # what is shielded does not end with a time limit around the shield
                limited = found.limits or (around.limited and not found.shields)
                return replace(around, limited=limited, shielded=around.shielded or found.shields)
            case Entry.GROUP:
                if item.target is not None and _is_passed_on(item.target, statement.body):
                    self._add(Does.STAYS, f"others may spawn into `{text(item.target)}`", span, around)
            case Entry.LOCK:
                freed = self._is_freed(item.context, around.function)
                said = found.said if freed else f"it waits for `{found.said}`"
                self._add(Does.SUSPENDS if freed else Does.STAYS, said, span, around)
            case Entry.UNKNOWN:
                self._add(Does.UNKNOWN, found.said, span, around)
            case Entry.RUNS:
                self._call(found.enters, found.said, span, around)
                if found.leaves != found.enters:
                    for each in found.leaves:
                        self.run(each, each.body, found.said, span, around)
        return around

    def _is_freed(self, lock: Expr, function: code.Function) -> bool:
        """Whether whoever holds a lock leaves it again: it is only used by `async with`, and the statements in there
        end, without waiting for the function that waits for the task.
        """
        word = last_name(lock)
        if word not in self.locks:
            self.locks[word] = True
            scopes = self.study.program.mentioning(word, function.qualname)
            self.locks[word] = all(self._is_freed_in(scope, word) for scope in scopes)
        return self.locks[word]

    def _is_freed_in(self, scope: code.Function, word: str) -> bool:
        blocks = list(walk(scope.body, code.With))
        entering = {id(item.context) for block in blocks for item in block.items}
        bound = {id(target) for each in walk(scope.body, code.Assign) for target in each.targets}
        named = [each for each in walk(scope.body, (code.Name, code.Global, code.Attribute)) if last_name(each) == word]
        holding = [block for block in blocks if any(last_name(item.context) == word for item in block.items)]
        used_otherwise = any(id(each) not in entering | bound for each in named)
        return not used_otherwise and all(self._leaves(block, scope) for block in holding)

    def _leaves(self, block: code.With, function: code.Function) -> bool:
        """Whether the body of a `with` ends, without waiting for the function that waits for the task."""
        inner = _Tracing(self.study, waiter=self.waiter, locks=self.locks)
        inner.block(block.body, _Around(function))
        ends = all(point.does in (Does.SUSPENDS, Does.CANCELLED) or point.limited for point in inner.points)
        return ends and (self.waiter is None or self.waiter.qualname not in inner.functions)

    # -- expressions ---------------------------------------------------------------------------------------------

    def _expressions(self, root: object, around: _Around) -> None:
        for node in walk(root, (code.Await, code.Call, code.Comprehension)):
            match node:
                case code.Await(value=value, span=span):
                    self.await_(value, span, around)
                case code.Comprehension(clauses=clauses, span=span):
                    for clause in clauses:
                        if clause.is_async:
                            self._iterate(clause.iterable, span, around)
                case code.Call():
                    self._plain_call(node, around)

    def _plain_call(self, call: code.Call, around: _Around) -> None:
        """A call that is not awaited: of what cancels the task itself, or spawns into a group."""
        if not isinstance(call.func, code.Attribute):
            return
        kinds, receiver = self.study.kinds, call.func.value
        if call.func.attr == "cancel" and is_itself(receiver, around.function, self.study):
            self._add(Does.CANCELLED, "it cancels itself", call.span, around)
        is_spawn = call.func.attr in GROUP_SPAWNS and bool(call.args)
        if is_spawn and kinds.role_of_kind(kinds.of(receiver, around.function)) is Role.GROUP:
            spawned = call.args[0]
            if isinstance(spawned, code.Call):
                self.await_(spawned, call.span, around)
            elif (found := targets(spawned, around.function, self.study)) is not None:
                self._call(found, text(spawned), call.span, around)
            else:
                self._add(Does.UNKNOWN, text(spawned), call.span, around)


_CANCELLED = ("asyncio.CancelledError", "asyncio.exceptions.CancelledError")


def _named(expr: Expr) -> str:
    return text(expr.func) if isinstance(expr, code.Call) else text(expr)


def _is_passed_on(target: Expr, body: Block) -> bool:
    """Whether what a `with` gives is used for more than to call its methods."""
    name = last_name(target)
    nodes = list(walk(body, (code.Name, code.Attribute)))
    owners = {id(node.value) for node in nodes if isinstance(node, code.Attribute)}
    return any(isinstance(node, code.Name) and node.id == name and id(node) not in owners for node in nodes)


def unknown(points: Iterator[Point] | tuple[Point, ...]) -> Point | None:
    """The first point of which nothing is known."""
    return next((point for point in points if point.does is Does.UNKNOWN), None)
