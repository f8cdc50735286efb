"""The methods of a handle."""

from __future__ import annotations

from leaklint.analysis.interpreter.callbacks import containers_of, is_set_elsewhere, set_by_callback
from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame, bind
from leaklint.analysis.interpreter.state import HANDED, Result, Status, Waiter, Way, holds
from leaklint.model import code
from leaklint.model.fate import PathKind
from leaklint.model.walk import text


def handle_method(attr: str, called: Called, frame: Frame) -> list[Result] | None:
    """The outcomes of calling a method of the handle; None for one that tasks do not have."""
    match attr:
        case "cancel":
            return [cancel(called, frame)]
        case "result" | "exception":
            seen = called.state.with_status(Status.SEEN_DONE) if called.state.alive else called.state
            frame.leave(Way.EXCEPTION, seen, called.trail, called.expr.span)
            return [Result(seen, called.trail, None)]
        case "add_done_callback":
            return [_signalled(called, frame)]
        case "remove_done_callback" | "done" | "cancelled" | "get_name" | "set_name" | "get_coro":
            return called.result()
        case "__await__" | "__iter__":
            if frame.function.name != "__await__":
                return called.result(Waiter())
            return frame.wait(Waiter(), called.result()[0], called.expr.span)  # who awaits this object waits
        case "get_loop" | "get_stack" | "print_stack" | "uncancel" | "cancelling":
            return called.result()
    return None


def _signalled(called: Called, frame: Frame) -> Result:
    """A done-callback that sets an event or a future: to wait for that is to wait for the task."""
    state, trail = called.state, called.trail
    for callback, value in zip(called.expr.args, called.args, strict=True):
        for target in set_by_callback(callback, value, frame):
            if is_set_elsewhere(target, frame):
                continue
            place = frame.place(target, state)
            if place is not None and not holds(state.get(place)):
                waiter = Waiter(frozenset({PathKind.CANCELLATION}), is_signal=True)
                state = bind(state, place, waiter)
                trail = (*trail, frame.step(called.expr.span, f"its end sets `{text(target)}`"))
                if isinstance(target, code.Name) and frame.is_foreign(target.id):
                    state = state.set(HANDED, waiter)  # whoever gave it may wait for it
                for container, held in containers_of(target, waiter, frame.function):
                    state = bind(state, frame.name_place(container), held)
    return Result(state, trail, None)


def cancel(called: Called, frame: Frame) -> Result:
    """The task is cancelled. (Whoever cancels it does not count on those who were given it before.)"""
    state = called.state.cancelled().set(HANDED, None)
    trail = called.trail
    if state.status is not called.state.status:
        trail = (*trail, frame.act(called.expr.span, "cancels it"))
    return Result(state, trail, None)
