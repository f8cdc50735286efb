"""What a coroutine may do when it runs in a task that somebody waits for, or cancels.

Each predicate follows the coroutine through the functions of the program. What it meets there and cannot follow is
`unresolved-callee`, the same hazard from each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leaklint.analysis.cancellation.catching import catches_cancellation
from leaklint.analysis.cancellation.suspending import is_true
from leaklint.analysis.kinds import last_name, path_of
from leaklint.catalog import Role
from leaklint.fixing.hazards.lingering import lingers
from leaklint.fixing.hazards.points import Cleanup, Does, Point, functions_of, points_of, unknown
from leaklint.fixing.hazards.raising import errors_in
from leaklint.fixing.hazards.successors import successor
from leaklint.fixing.hazards.swallowing import Swallow, swallows
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fix import Hazard, Target
from leaklint.model.walk import text, walk

__all__ = [
    "Cleanup",
    "cleanups",
    "exits",
    "may_be_cut",
    "may_end_by_cancellation",
    "may_exit",
    "may_fail_when_cancelled",
    "may_not_end",
    "may_outlive_cancellation",
    "never_ends",
]

EXITS = frozenset({"builtins.SystemExit", "builtins.KeyboardInterrupt"})
"""What ends the program."""
UNRESOLVED = "unresolved-callee"
_Found = tuple[str, Span, code.Function]
"""What is found, and where."""
_PARSING = frozenset({"parse_args", "parse_known_args"})
"""What exits when it does not like what it parses: https://docs.python.org/3/library/argparse.html#exiting-methods"""
MOST = 3
"""So many hazards of one name say enough."""


def may_not_end(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`may-never-end`: who waits for it may wait for ever."""
    child = name_of(coroutine)
    points = points_of(coroutine, function, study)
    staying = [
        (f"`{child}` may never end: {_waited_for(point)}", point.span, point.function)
        for point in points
        if point.does in (Does.STAYS, Does.HANDLE) and not point.limited
    ]
    again = successor(coroutine, function, study)
    if again is not None:
        staying.append((f"`{child}` may never end: it spawns `{again.name}` again", again.span, again))
    return _hazards("may-never-end", staying, points, coroutine, function, study)


def _waited_for(point: Point) -> str:
    return f"it waits for `{point.said}`" if point.does is Does.HANDLE else point.said


def never_ends(coroutine: Expr, function: code.Function, study: Study) -> bool:
    """Whether a coroutine plainly runs until it is cancelled or fails: it comes to a `while True` without a way out."""
    return any(
        isinstance(statement, code.While)
        and is_true(statement.test)
        and not any(True for _ in walk(statement.body, (code.Break, code.Return)))
        for called in functions_of(coroutine, function, study)[:1]
        for statement in called.body
    )


def may_be_cut(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`cleanup-is-cut`: it awaits while it cleans up, which AnyIO's cancellation ends at the first such await.

    A task of asyncio is cancelled once, so what it awaits afterwards runs on: no hazard if that is the target.
    """
    child = name_of(coroutine)
    points = points_of(coroutine, function, study)
    cut: dict[int, _Found] = {}
    for point in points if study.environment.target is Target.ANYIO else ():
        if point.cleanup is not None and point.does is not Does.CANCELLED and not point.shielded:
            where = "" if point.cleanup.what == "__aexit__" else f" in `{point.cleanup.what}`"
            said = f"a cancellation of `{child}` cuts what it awaits{where}"
            cut.setdefault(id(point.cleanup.block), (said, point.span, point.function))
    return _hazards("cleanup-is-cut", list(cut.values()), points, coroutine, function, study)


def cleanups(coroutine: Expr, function: code.Function, study: Study) -> tuple[Cleanup, ...]:
    """The statements that `may_be_cut` is about: those of a `finally`, an `except`, an `__aexit__`."""
    found: dict[tuple[str, Span], Cleanup] = {}
    for point in points_of(coroutine, function, study):
        if point.cleanup is not None and point.does is not Does.CANCELLED and not point.shielded:
            found.setdefault((point.cleanup.function.qualname, point.cleanup.first), point.cleanup)
    return tuple(found.values())


def may_end_by_cancellation(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`foreign-cancellation`: it may end with a `CancelledError` of others: a group of AnyIO then ends in silence, one
    of asyncio takes the task for done.
    """
    child = name_of(coroutine)
    points = points_of(coroutine, function, study)
    cancelled = []
    for point in points:
        if point.does in (Does.CANCELLED, Does.HANDLE) and not point.caught:
            why = (
                point.said if point.does is Does.CANCELLED else f"`{point.said}`, which it waits for, may be cancelled"
            )
            cancelled.append((f"`{child}` may end with a `CancelledError`: {why}", point.span, point.function))
    return _hazards("foreign-cancellation", cancelled, points, coroutine, function, study)


def may_outlive_cancellation(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`swallows-cancellation`, `may-never-end`: when it is cancelled, it may go on, or wait for others."""
    child = name_of(coroutine)
    points = points_of(coroutine, function, study)
    found = [
        (f"`{child}` goes on when it is cancelled: `{each.written}`", each.span, each.function)
        for each in _swallows(coroutine, function, study)
    ]
    waiting = [
        (f"`{child}` may not end when it is cancelled: cleaning up, {_waited_for(each)}", each.span, each.function)
        for each in _lingers(coroutine, function, study)
    ]
    hazards = (
        *_hazards("swallows-cancellation", found, points, coroutine, function, study),
        *_hazards("may-never-end", waiting, points, coroutine, function, study),
    )
    return tuple(dict.fromkeys(hazards))


@remembered
def _swallows(coroutine: Expr, function: code.Function, study: Study) -> tuple[Swallow, ...]:
    return tuple(swallows(functions_of(coroutine, function, study), study))


@remembered
def _lingers(coroutine: Expr, function: code.Function, study: Study) -> tuple[Point, ...]:
    return tuple(lingers(coroutine, function, study))


def may_fail_when_cancelled(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`raises-in-cleanup`: an error that it raises while it is cancelled takes the place of the cancellation that ended
    the group.
    """
    child = name_of(coroutine)
    found: dict[str, Hazard] = {}
    for called in functions_of(coroutine, function, study):
        for what, block in _cleaning(called):
            errors = errors_in(block, called, study)
            if errors.types:
                at = place(block[0].span, called, child, function, study)
                message = f"`{child}` raises `{min(errors.types).rpartition('.')[2]}` in `{what}`{at}"
                found.setdefault(message, Hazard("raises-in-cleanup", message))
    return tuple(found.values())[:MOST]


def may_exit(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`exit-inside`: it ends the program. The status stays, but a group wraps the `SystemExit`, which is printed with a
    traceback, and which an `except SystemExit` around a `gather` does not match any more.
    """
    child = name_of(coroutine)
    found: dict[str, Hazard] = {}
    for called in functions_of(coroutine, function, study):
        for node in walk(called.body, (code.Raise, code.Call)):
            if (written := exits(node, called, study)) is not None:
                said = f"`{child}` ends the program by `{written}`{place(node.span, called, child, function, study)}"
                found.setdefault(called.qualname, Hazard("exit-inside", f"{said}, which would print a traceback"))
    return tuple(found.values())[:MOST]


def exits(node: code.Raise | code.Call, function: code.Function, study: Study) -> str | None:
    """What ends the program at a node of a function, as it is written; None if that does not."""
    if isinstance(node, code.Call):
        leaves = study.kinds.role_of_callee(node.func, function) is Role.LEAVES or last_name(node) in _PARSING
        return text(node.func) if leaves else None
    return text(node.value) if node.value is not None and path_of(node.value) in EXITS else None


def _cleaning(function: code.Function) -> Iterator[tuple[str, code.Block]]:
    """What a function does when it is cancelled."""
    for statement in walk(function.body, code.Try):
        if statement.final:
            yield "finally", statement.final
        for handler in statement.handlers:
            if handler.body and catches_cancellation(handler.types):
                yield "except", handler.body


def _hazards(
    name: str,
    found: Iterable[_Found],
    points: tuple[Point, ...],
    coroutine: Expr,
    function: code.Function,
    study: Study,
) -> tuple[Hazard, ...]:
    """A hazard for each message and the place it is about, the first few; and what is not known."""
    child = name_of(coroutine)
    messages = dict.fromkeys(said + place(span, where, child, function, study) for said, span, where in found)
    hazards = [Hazard(name, message) for message in list(messages)[:MOST]]
    return (*hazards, *unresolved(points, function, study))


def unresolved(points: tuple[Point, ...], function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`unresolved-callee`: the first point of a function, or of a child of it, of which nothing is known. Whoever asks,
    it is the same hazard.
    """
    blind = unknown(points)
    if blind is None:
        return ()
    is_there = blind.function is function
    where = "" if is_there else f": awaited{place(blind.span, blind.function, '', function, study)}"
    return (Hazard(UNRESOLVED, f"what `{blind.said}` does is not known{where}"),)


def place(span: Span, where: code.Function, child: str, function: code.Function, study: Study) -> str:
    """` on line 12 of ...`: where something is, for who knows which function and child it is about."""
    of = "" if where.name in (child, function.name) else f" of `{where.name}`"
    path = study.program.paths[where.qualname]
    return f" on line {span.line}{of}" + ("" if path == study.path else f" in {path}")


def name_of(coroutine: Expr) -> str:
    """What a coroutine is called: the last name of its function."""
    return last_name(coroutine) or text(coroutine)
