"""Where a coroutine is suspended, what for, and whether it gets there: small questions about its control flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from leaklint.analysis.kinds import Kinds, last_name
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.walk import walk

Suspension = code.Await | code.For | code.With | code.Comprehension
"""What gives the event loop a turn, and can raise a cancellation there."""

_ENDING = frozenset(
    """abort aclose aexit cancel cancelled cleanup close closed closing disconnect dispose exit finalize kill leave
    logout quit shutdown stop stopped teardown terminate""".split()
)
_CLEANING = _ENDING | frozenset(
    """clean clear delete end finish finished flush join release remove reset rollback unlink unlock unregister
    unsubscribe""".split()
)
"""Words in the names of functions that undo or end something: who is told to stop may still await these."""


def is_ending(name: str) -> bool:
    """Whether a function by its name ends something. (To handle an end is to go on.)"""
    words = _words(name)
    return words[0] != "handle" and not _ENDING.isdisjoint(words)


def _is_cleaning(name: str) -> bool:
    return not _CLEANING.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return name.lower().strip("_").split("_")


class Way(Enum):
    """How a block is left, when it is certain that no work is awaited before."""

    END = "by its end"
    BREAK = "by break"
    CONTINUE = "by continue"
    RETURN = "by return"
    RAISE = "by an error"
    UNSURE = "it depends"


Course = Suspension | Way
"""What a block comes to first: work that it certainly awaits, or a way out."""


@dataclass(frozen=True)
class Suspending:
    """The suspensions of one function."""

    function: code.Function
    kinds: Kinds
    counts_work: bool = True
    """Whether work that is awaited ends a course."""

    # -- what is awaited -----------------------------------------------------------------------------------------

    def suspensions(self, root: object) -> Iterator[Suspension]:
        """Where a block or expression can be cancelled from outside, in source order."""
        for node in walk(root, (code.Await, code.For, code.With, code.Comprehension)):
            match node:
                case code.Await(value=value):
                    if not self._is_handle(value):
                        yield node
                case code.For(is_async=True):
                    yield node
                case code.With(is_async=True):
                    yield node
                case code.Comprehension(clauses=clauses) if any(clause.is_async for clause in clauses):
                    yield node

    def work(self, root: object) -> Iterator[Suspension]:
        """Those that do more than to clean up. (To enter a context manager is no work yet: its body is.)"""
        for node in self.suspensions(root):
            match node:
                case code.Await(value=value):
                    if not self._is_cleanup(value):
                        yield node
                case code.For() | code.Comprehension():
                    yield node

    def _is_handle(self, value: Expr) -> bool:
        """Whether a task or future is awaited, or a few of them: one that is cancelled raises the same error here."""
        match value:
            case code.Call(func=func, args=args):
                if self.kinds.role_of_callee(func, self.function) in (Role.GATHER, Role.WAIT_FOR, Role.SHIELD):
                    first = args if last_name(func) == "gather" else args[:1]
                    return bool(first) and all(self._is_handle(arg) for arg in first)
                return last_name(func) == "wrap_future"
            case code.Starred(value=inner):
                return self._is_handle(inner)
            case code.Conditional(then=then, orelse=orelse):
                return self._is_handle(then) and self._is_handle(orelse)
            case code.Name() | code.Global() | code.Attribute() | code.Subscript():
                return True
        return False

    def _is_cleanup(self, value: Expr) -> bool:
        match value:
            case code.Call(func=func, args=args):
                role = self.kinds.role_of_callee(func, self.function)
                if role in (Role.GATHER, Role.WAIT_FOR, Role.SHIELD):
                    return bool(args) and all(self._is_cleanup(arg) for arg in args if isinstance(arg, code.Call))
                return role in (Role.WAIT, Role.CANCEL_AND_WAIT) or _is_cleaning(last_name(func))
        return False

    def awaits_handles(self, value: Expr, depth: int = 2) -> bool:
        """Whether a function of the program that is called there awaits a task or future, which others may cancel."""
        called = resolved(value.func, self.function, self.kinds) if isinstance(value, code.Call) else None
        if called is None:
            return False
        inner = Suspending(called, self.kinds)
        return any(
            inner._is_handle(node.value) or (depth > 0 and inner.awaits_handles(node.value, depth - 1))
            for node in walk(called.body, code.Await)
        )

    # -- where it gets -------------------------------------------------------------------------------------------

    def course(self, block: Block) -> Course:
        """What a block comes to first."""
        for statement in block:
            found = self._step(statement)
            if found is not Way.END:
                return found
        return Way.END

    def _step(self, statement: code.Stmt) -> Course:
        match statement:
            case code.Return(value=value):
                return self.first(value) or Way.RETURN
            case code.Raise(value=value):
                return self.first(value) or Way.RAISE
            case code.Break():
                return Way.BREAK
            case code.Continue():
                return Way.CONTINUE
            case code.If(branches=branches, orelse=orelse):
                first = self.first(branches[0].test)
                return first or _joined([*(self.course(branch.body) for branch in branches), self.course(orelse)])
            case code.Match(subject=subject, cases=cases):
                others = [] if any(case.irrefutable for case in cases) else [Way.END]
                return self.first(subject) or _joined([*(self.course(case.body) for case in cases), *others])
            case code.While(test=test, body=body):
                return self.first(test) or self._turn(self.course(body), certain=is_true(test))
            case code.For(iterable=iterable, body=body, is_async=is_async):
                if is_async and self.counts_work:
                    return statement
                return self.first(iterable) or self._turn(self.course(body), certain=False)
            case code.With(items=items, body=body):
                inner = Way.END if any(map(_is_shield, items)) else self.course(body)
                return self.first([item.context for item in items]) or inner
            case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                inner = self.course((*body, *orelse))
                if not isinstance(inner, Way):
                    return inner
                last = self.course(final)
                if last is not Way.END:
                    return last
                return Way.UNSURE if inner is Way.RAISE and handlers else inner
        if self.leaves(statement):
            return Way.RAISE
        return self.first(statement) or Way.END

    def first(self, root: object) -> Suspension | None:
        """The work that is awaited first in an expression, or anywhere in a block."""
        return next(self.work(root), None) if root is not None and self.counts_work else None

    def _turn(self, course: Course, *, certain: bool) -> Course:
        """The course of a loop, by that of its body."""
        match course:
            case Way.RETURN | Way.RAISE:
                return course if certain else Way.UNSURE
            case Way.END | Way.CONTINUE:
                return Way.UNSURE if certain else Way.END
            case Way.BREAK:
                return Way.END
        return course

    def way_out(self, handler: Block) -> Way:
        """How a handler is left. What it awaits itself is taken for its cleanup."""
        if any(True for _ in walk(handler, code.Raise)) or self.leaves(handler):
            return Way.UNSURE
        last = handler[-1] if handler else None
        jumps = sum(1 for _ in walk(handler, (code.Break, code.Continue, code.Return)))
        if jumps > isinstance(last, code.Break | code.Continue | code.Return):
            return Way.UNSURE
        match last:
            case code.Break():
                return Way.BREAK
            case code.Continue():
                return Way.CONTINUE
            case code.Return():
                return Way.RETURN
        return Way.END

    def leaves(self, root: object) -> bool:
        """Whether something in it ends the function, the loop or the process by a call."""
        return any(self._ends(call) for call in walk(root, code.Call))

    def _ends(self, call: code.Call) -> bool:
        if self.kinds.role_of_callee(call.func, self.function) in (Role.LEAVES, Role.ENDS):
            return True
        called = resolved(call.func, self.function, self.kinds)
        return called is not None and any(True for _ in walk(called.body, code.Raise))


def _joined(courses: Iterable[Course]) -> Course:
    """The course of a statement, by those of its branches."""
    found = list(courses)
    ways = {each for each in found if isinstance(each, Way)}
    if not ways:
        return found[0]
    if len(ways) == len(found) or ways != {Way.END}:
        return (
            ways.pop() if len(ways) == 1 and len(found) == sum(isinstance(each, Way) for each in found) else Way.UNSURE
        )
    return Way.END


def is_true(test: Expr) -> bool:
    """Whether a condition is always true."""
    return isinstance(test, code.Constant) and bool(test.value)


def _is_shield(item: code.Item) -> bool:
    """Whether a context manager keeps cancellations out: `CancelScope(shield=True)`."""
    context = item.context
    return isinstance(context, code.Call) and any(k.name == "shield" and is_true(k.value) for k in context.keywords)
