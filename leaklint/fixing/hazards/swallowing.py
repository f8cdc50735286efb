"""Where a coroutine catches a cancellation and goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.cancellation.catching import Chain, chains
from leaklint.analysis.cancellation.suspending import Suspending
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.suppressing import catches_in
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Block, Span
from leaklint.model.walk import walk


class Swallow(NamedTuple):
    """A place that catches a cancellation."""

    written: str
    span: Span
    function: code.Function


def swallows(functions: Sequence[code.Function], study: Study) -> Iterator[Swallow]:
    """Where functions that call one another, the first of which is run by a task, catch a cancellation after which the
    task awaits again. Unlike the rule about this, it does not ask whether that is meant.
    """
    for function in functions:
        if function.is_async:
            suspending = Suspending(function, study.kinds)
            for catch in catches_in(function.body, function, study):
                exits = catch.exits
                if any(_goes_on(catch.around, each, suspending, functions, study, set()) for each in exits):
                    yield Swallow(catch.written, catch.span, function)


def _goes_on(
    around: Chain,
    last: code.Stmt | None,
    suspending: Suspending,
    functions: Sequence[code.Function],
    study: Study,
    seen: set[str],
) -> bool:
    """Whether anything may be awaited after the innermost of the statements around, which is left by `last`."""
    returns, breaks = isinstance(last, code.Return), isinstance(last, code.Break)
    for outer in () if returns else around:
        if isinstance(outer.statement, code.While | code.For) and outer.part == "body":
            if not breaks:
                return True
            breaks = False
        if not breaks and any(True for _ in suspending.suspensions(outer.after)):
            return True
        if any(isinstance(each, code.Raise) for each in outer.after):
            return False
        if any(isinstance(each, code.Return) for each in outer.after):
            break
    function = suspending.function
    if function.qualname in seen:
        return False
    seen.add(function.qualname)
    return any(
        _goes_on(chain, statement, Suspending(caller, study.kinds), functions, study, seen)
        for caller in functions
        for statement, chain, awaited in _awaiting(caller.body, caller, study)
        if any(each is function for each in awaited)
    )


@remembered
def _awaiting(
    body: Block, caller: code.Function, study: Study
) -> tuple[tuple[code.Stmt, Chain, tuple[code.Function, ...]], ...]:
    """The simple statements in the body of a caller that await functions of the program, with what is around them."""
    return tuple(
        (statement, chain, awaited)
        for statement, chain in chains(body, ())
        if isinstance(statement, code.Evaluate | code.Assign | code.Augment | code.Return)
        if (awaited := tuple(_awaited(statement, caller, study)))
    )


def _awaited(statement: code.Stmt, caller: code.Function, study: Study) -> Iterator[code.Function]:
    for await_ in walk(statement, code.Await):
        if isinstance(await_.value, code.Call):
            yield from targets(await_.value.func, caller, study) or ()
