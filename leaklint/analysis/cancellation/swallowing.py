"""Cancellations that are caught and forgotten: where a task that was told to stop goes on.

A cancellation that is caught in one function may be lost on another: whoever awaited it goes on as if nothing had
happened. So what follows a handler is followed to the end of the function, and from there to where it is awaited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from leaklint.analysis.cancellation.catching import Around, Catch, Chain, catches_of, chains
from leaklint.analysis.cancellation.deliberate import is_exempt, is_meant, is_told_of
from leaklint.analysis.cancellation.suspending import Course, Suspending, Suspension, Way, is_ending
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.resolve import uses
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse, Pattern
from leaklint.model.walk import walk

LOOP = "loop"
"""The loop around it comes round again."""
ONWARD = "onward"
"""The function goes on to other work."""
_MOST_CALLERS = 3
"""A cancellation is followed through so many functions that return as if nothing had happened."""


class _Going(NamedTuple):
    """Where a task goes on."""

    how: str
    where: Suspension
    function: code.Function
    through: tuple[tuple[code.Function, code.Await], ...] = ()
    """The calls of the functions that it has returned from, the innermost first, with the callers."""


def swallowed(facts: ModuleFacts, kinds: Kinds) -> Iterator[Misuse]:
    """The places in a file that catch a cancellation, after which the task goes on."""
    for function in facts.functions:
        if not function.is_async or function.kind != "function":
            continue
        suspending = Suspending(function, kinds)
        catches = [catch for catch in catches_of(suspending) if not is_meant(catch, suspending)]
        if catches and not is_exempt(function, kinds):
            for catch in catches:
                if going := _onward(catch, catch.around, suspending.way_out(catch.body), suspending, _MOST_CALLERS):
                    yield _misuse(catch, going, function, kinds)


def _misuse(catch: Catch, going: _Going, function: code.Function, kinds: Kinds) -> Misuse:
    step = kinds.program.step
    through = (step(f, call.span, f"returns to `{f.name}`, which goes on") for f, call in going.through)
    first = step(function, place_of(catch.awaits[0]), "may be cancelled here")
    last = "and the loop comes round to this" if going.how == LOOP else "and goes on to this"
    steps = (first, *through, step(going.function, place_of(going.where), last))
    how = f"{going.how} of caller" if going.through else going.how
    return Misuse(Pattern.SWALLOWED, first.path, catch.span, catch.written, function.qualname, how, steps)


# -- where it goes on --------------------------------------------------------------------------------------------------


def _onward(catch: Catch, around: Chain, way: Way, suspending: Suspending, depth: int) -> _Going | None:
    """Where the task goes on when the innermost of the statements around is left in a way."""
    if any(outer.is_ending for outer in around) or _ends(around, suspending.function):
        return None
    for index, outer in enumerate(around):
        if way in (Way.UNSURE, Way.RAISE) or is_told_of(catch, outer.statement, suspending):
            return None
        if way is Way.RETURN:
            continue
        course, is_round = _out_of(outer, way, suspending)
        if not isinstance(course, Way):
            in_loop = is_round or _reaches_loop(around[index:], way, suspending)
            how = LOOP if in_loop else ONWARD
            return None if catch.is_explicit and how == ONWARD else _Going(how, course, suspending.function)
        way = course
    returns = way not in (Way.UNSURE, Way.RAISE)
    return next(_after_return(catch, suspending, depth), None) if returns and depth else None


def _ends(around: Chain, function: code.Function) -> bool:
    """Whether a function that ends something goes on with that. (A task that does so for ever has a loop.)"""
    return is_ending(function.name) and not any(isinstance(outer.statement, code.While) for outer in around)


def _reaches_loop(around: Chain, way: Way, suspending: Suspending) -> bool:
    """Whether a loop around may come round, whatever is awaited before."""
    blind = replace(suspending, counts_work=False)
    for outer in around:
        if isinstance(outer.statement, code.While | code.For) and outer.part == "body" and way is not Way.BREAK:
            return True
        course, _ = _out_of(outer, way, blind)
        assert isinstance(course, Way)
        way = Way.END if course is Way.UNSURE else course
        if way in (Way.RETURN, Way.RAISE):
            return False
    return False


def _after_return(catch: Catch, suspending: Suspending, depth: int) -> Iterator[_Going]:
    """Where those go on that await the function."""
    for use in uses(suspending.function, suspending.kinds).found:
        if not isinstance(use.node, code.Await) or is_exempt(use.caller, suspending.kinds):
            continue
        caller = Suspending(use.caller, suspending.kinds)
        for statement, around in chains(use.caller.body, ()):
            if not any(node is use.node for node in walk(_own(statement), code.Await)):
                continue
            way = Way.RETURN if isinstance(statement, code.Return) else Way.END
            going = _onward(catch, around, way, caller, depth - 1)
            if going is not None:
                yield going._replace(through=((use.caller, use.node), *going.through))


def _own(statement: code.Stmt) -> object:
    """The expressions of a simple statement."""
    return statement if isinstance(statement, code.Evaluate | code.Assign | code.Augment | code.Return) else ()


def _out_of(around: Around, way: Way, suspending: Suspending) -> tuple[Course, bool]:
    """What comes first when the inside of a statement is left, and whether its loop comes round to that."""
    statement = around.statement
    match statement:
        case code.While() | code.For() if around.part == "body":
            if way is not Way.BREAK:
                again = _again(statement, suspending)
                if again is not Way.END:
                    return again, True
            way = Way.END
        case code.Try(orelse=orelse, final=final):
            if way is Way.END and around.part == "body":
                course = suspending.course(orelse)
                if not isinstance(course, Way):
                    return course, False
                way = course
            last = suspending.course(final)
            way = last if isinstance(last, Way) and last is not Way.END else way
    return (suspending.course(around.after) if way is Way.END else way), False


def _again(loop: code.While | code.For, suspending: Suspending) -> Course:
    """What another turn of a loop comes to."""
    if isinstance(loop, code.For):
        return loop if loop.is_async and suspending.counts_work else suspending.course(loop.body)
    return suspending.first(loop.test) or suspending.course(loop.body)


def place_of(node: Suspension) -> Span:
    """Where a suspension is, without the body of a statement."""
    match node:
        case code.For(iterable=iterable, span=span):
            last = iterable
        case code.With(items=items, span=span):
            last = items[-1].context
        case _:
            return node.span
    return span if isinstance(last, code.Starred) else Span(span.line, span.column, *last.span[2:])
