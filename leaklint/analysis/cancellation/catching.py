"""The places that catch a cancellation: `except`, `contextlib.suppress`, and a `finally` that is left by a jump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from leaklint.analysis.cancellation.suspending import Suspending, Suspension
from leaklint.analysis.kinds import path_of
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.walk import text, walk

_NAMED = frozenset(
    "asyncio.CancelledError asyncio.exceptions.CancelledError anyio.get_cancelled_exc_class trio.Cancelled".split()
)
_ALL = "builtins.BaseException"


class Around(NamedTuple):
    """A statement around a place."""

    statement: code.Stmt
    part: str
    """`body`, `handler`, `orelse` or `final`."""
    after: Block
    """What follows the statement in its block."""
    is_ending: bool = False
    """The place is in what runs when the task is being cancelled."""


Chain = tuple[Around, ...]
"""The statements around a place, innermost first."""


@dataclass(frozen=True)
class Catch:
    """A place that catches a cancellation."""

    written: str
    span: Span
    awaits: tuple[Suspension, ...]
    """Where the cancellation comes from."""
    types: tuple[Expr, ...]
    name: str | None
    """What the handler calls the error."""
    body: Block
    before: Block
    """What stands before it in the function."""
    around: Chain

    @property
    def is_explicit(self) -> bool:
        """Whether it names cancellation."""
        return any(path_of(type_) in _NAMED for type_ in self.types)


def catches_cancellation(types: tuple[Expr, ...]) -> bool:
    """Whether a handler of these types catches a cancellation.

    It derives from BaseException alone since Python 3.8:
    https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.CancelledError
    """
    return not types or any(path_of(type_) in _NAMED or path_of(type_) == _ALL for type_ in types)


def catches_of(suspending: Suspending) -> Iterator[Catch]:
    """The places in a function that catch a cancellation which comes from outside."""
    for statement, around in chains(suspending.function.body, ()):
        if isinstance(statement, code.Try):
            yield from _caught(statement, around, suspending)
        elif isinstance(statement, code.With):
            yield from _suppressed(statement, around, suspending)


def chains(block: Block, around: Chain) -> Iterator[tuple[code.Stmt, Chain]]:
    """Every statement of a block and within, with itself and all around it."""
    for index, statement in enumerate(block):
        after = block[index + 1 :]
        yield statement, (Around(statement, "handler", after), *around)
        for part, inner, is_ending in _parts(statement):
            yield from chains(inner, (Around(statement, part, after, is_ending), *around))


def _parts(statement: code.Stmt) -> Iterator[tuple[str, Block, bool]]:
    match statement:
        case code.If(branches=branches, orelse=orelse):
            yield from (("body", branch.body, False) for branch in branches)
            yield "body", orelse, False
        case code.While(body=body, orelse=orelse) | code.For(body=body, orelse=orelse):
            yield "body", body, False
            yield "orelse", orelse, False
        case code.With(body=body):
            yield "body", body, False
        case code.Match(cases=cases):
            yield from (("body", case.body, False) for case in cases)
        case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
            yield "body", body, False
            yield from (("handler", each.body, catches_cancellation(each.types)) for each in handlers)
            yield "orelse", orelse, False
            yield "final", final, True


def _caught(statement: code.Try, around: Chain, suspending: Suspending) -> Iterator[Catch]:
    handler = next((each for each in statement.handlers if catches_cancellation(each.types)), None)
    last = statement.final[-1] if statement.final else None
    jumps = isinstance(last, code.Break | code.Continue | code.Return)
    awaits = tuple(_raising(statement.body, suspending)) if handler or jumps else ()
    before = _before(statement, suspending)
    if not awaits:
        return
    if handler is not None and not (jumps and _raises(handler.body)):
        written, span = _header(handler)
        yield Catch(written, span, awaits, handler.types, handler.name, handler.body, before, around)
    elif jumps and last is not None:
        written = f"finally: {type(last).__name__.lower()}"
        yield Catch(written, last.span, awaits, (), None, statement.final, before, around)


def _header(handler: code.Handler) -> tuple[str, Span]:
    """An `except` clause without its body: as it is written, and where."""
    line, column = handler.span[:2]
    names = ", ".join(map(text, handler.types))
    if not handler.types:
        return "except:", Span(line, column, line, column + len("except"))
    last = handler.types[-1]
    end = (line, column + len("except")) if isinstance(last, code.Starred) else last.span[2:]
    return f"except {names}" if len(handler.types) == 1 else f"except ({names})", Span(line, column, *end)


def _suppressed(statement: code.With, around: Chain, suspending: Suspending) -> Iterator[Catch]:
    for item in statement.items:
        match item.context:
            case code.Call(func=code.Global(path="contextlib.suppress", text=name), args=args, span=span) if args:
                awaits = tuple(_raising(statement.body, suspending)) if catches_cancellation(args) else ()
                if awaits:
                    written = f"{name}({', '.join(map(text, args))})"
                    yield Catch(written, span, awaits, args, None, (), _before(statement, suspending), around)


def _before(statement: code.Stmt, suspending: Suspending) -> Block:
    """What stands before a statement in its function."""
    place = statement.span[:2]
    return tuple(each for each, _ in chains(suspending.function.body, ()) if each.span[2:] <= place)


def _raising(block: Block, suspending: Suspending) -> Iterator[Suspension]:
    """The suspensions of a block whose cancellation leaves it."""
    for statement in block:
        if isinstance(statement, code.Try):
            handler = next((each for each in statement.handlers if catches_cancellation(each.types)), None)
            if handler is None or _raises(handler.body):
                yield from _raising(statement.body, suspending)
            for each in statement.handlers:
                yield from _raising(each.body, suspending)
            yield from _raising((*statement.orelse, *statement.final), suspending)
        else:
            yield from suspending.suspensions(statement)


def _raises(block: Block) -> bool:
    return any(True for _ in walk(block, code.Raise))
