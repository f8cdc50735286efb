"""`try`: which `except` clauses catch what, and what a `finally` does on every way out."""

from __future__ import annotations

from leaklint.analysis.interpreter.frame import Frame, bind
from leaklint.analysis.interpreter.state import (
    Exit,
    Exits,
    Flow,
    State,
    Trail,
    Way,
    merge,
)
from leaklint.analysis.kinds import last_name
from leaklint.model import code
from leaklint.model.code import Block, Expr

RAISED = (Way.EXCEPTION, Way.SIBLING, Way.TIMEOUT, Way.CANCELLATION, Way.ABANDONED, Way.CLOSE)
"""The ways in which an exception leaves."""


def catches(types: tuple[Expr, ...], way: Way) -> bool | None:
    """Whether a handler of these types catches what is raised: True, None for no, False for maybe."""
    if not types:
        return True
    verdicts = [_catches(last_name(type_), way) for type_ in types]
    return True if True in verdicts else False if False in verdicts else None


def _catches(name: str, way: Way) -> bool | None:
    if name in ("BaseException", "BaseExceptionGroup"):
        return True
    if way in (Way.CANCELLATION, Way.ABANDONED):
        return True if name in ("CancelledError", "Cancelled", "get_cancelled_exc_class") else None
    if way is Way.CLOSE:
        return True if name == "GeneratorExit" else None
    if name == "Exception":
        return True
    if name in ("CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"):
        return None
    return way is Way.TIMEOUT and name == "TimeoutError"


def _is_foreign(handler: code.Handler) -> bool:
    """Whether a handler is only for what comes from outside of the program's own doing."""
    outside = ("GeneratorExit", "KeyboardInterrupt", "SystemExit")
    return bool(handler.types) and all(last_name(type_) in outside for type_ in handler.types)


def _raises(block: Block) -> bool:
    """Whether the last statement of a block raises."""
    return bool(block) and isinstance(block[-1], code.Raise)


def run_try(statement: code.Try, flow: Flow, frame: Frame) -> Flow:
    start = flow
    with frame.catching() as leaving:
        with frame.catching() as raised:
            flow = frame.run_block(statement.body, flow)
        flow = frame.run_block(statement.orelse, flow)
        entries: dict[tuple[int, Way], Flow] = {}
        for exit_, (trail, span) in raised.found.items():
            if not _dispatch(statement.handlers, exit_, trail, entries):
                leaving.add(exit_.way, exit_.state, trail, span, exit_.raised)
        for index, handler in enumerate(statement.handlers):
            # something that is taken for harmless raised after all; a handler that raises again adds nothing to that
            unmet = not any(entry == index for entry, _ in entries) and not _is_foreign(handler)
            if unmet and not _raises(handler.body):
                entries[index, Way.EXCEPTION] = start
        ends = [flow]
        for (index, way), entry in sorted(entries.items(), key=lambda item: (item[0][0], item[0][1].name)):
            ends.append(_handle(statement.handlers[index], way, entry, frame))
    flow = merge(*ends)
    if not statement.final:
        frame.exits.update(leaving)
        return flow
    _finish(statement.final, leaving, frame)
    return frame.run_block(statement.final, flow)


def _finish(final: Block, leaving: Exits, frame: Frame) -> None:
    """Runs a `finally` on every way out. What it raises while the task already runs on is the same leak, no new one."""
    finished: dict[tuple[State, bool], tuple[Flow, Exits]] = {}
    for way, state, trail, span in leaving:
        key = state, way is Way.CANCELLATION
        if key not in finished:
            outer, frame.caught = frame.caught, way if way is Way.CANCELLATION else frame.caught
            with frame.catching() as raised:
                finished[key] = frame.run_block(final, {state: trail}), raised
            frame.caught = outer
        flow, raised = finished[key]
        for after, steps in flow.items():
            frame.leave(way, after, steps, span)
        for inner, after, steps, where in raised:
            same = way is Way.CANCELLATION and inner in RAISED and after.alive and after.status is state.status
            frame.leave(way if same else inner, after, steps, span if same else where)


def _dispatch(
    handlers: tuple[code.Handler, ...], exit_: Exit, trail: Trail, entries: dict[tuple[int, Way], Flow]
) -> bool:
    """Sends an exit to the handlers that may catch it; whether one certainly does."""
    if exit_.way not in RAISED:
        return False
    for index, handler in enumerate(handlers):
        named = bool(exit_.raised) and exit_.raised in map(last_name, handler.types)
        certain = True if named else catches(handler.types, exit_.way)
        if certain is not None:
            entries.setdefault((index, exit_.way), {}).setdefault(exit_.state, trail)
        if certain:
            return True
    return False


def _handle(handler: code.Handler, way: Way, entry: Flow, frame: Frame) -> Flow:
    outer, frame.caught = frame.caught, way
    if handler.name:
        entry = {bind(state, frame.name_place(handler.name), None): trail for state, trail in entry.items()}
    flow = frame.run_block(handler.body, entry)
    frame.caught = outer
    return flow
