"""Calls that start the followed task without being spawns, and the members of a `gather` that cannot fail."""

from __future__ import annotations

from leaklint.analysis.hidden import coroutines_of
from leaklint.analysis.interpreter import library
from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.failing import is_one_of_many, never_raises
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import HANDLE, Value
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.fate import Pattern


def started(called: Called, frame: Frame) -> Value | None:
    """What the call of a site gives if it is no spawn (see `analysis.hidden`); None for a spawn."""
    site = frame.site
    match site.spawn.pattern if site is not None and site.source is None else None:
        case Pattern.GATHER:
            return library.gather(called, frame, harmless=_are_harmless(called, frame))
        case Pattern.WAIT:
            return library.wait(called, frame)
        case Pattern.SHIELD:
            return library.shield(HANDLE, called, frame)
        case Pattern.AS_COMPLETED:
            return library.as_completed(called, frame)
    return None


def is_harmless_alike(called: Called, frame: Frame) -> bool:
    """Whether what is gathered is one container, in which all tasks run one coroutine function that cannot fail."""
    site = frame.site
    inner = site.spawn.spawned_call if site is not None and site.source is None else None
    return (
        len(called.args) == 1
        and isinstance(inner, code.Call)
        and not is_one_of_many(frame.function)
        and _fails_not(inner, frame)
    )


def _are_harmless(called: Called, frame: Frame) -> bool:
    """Whether every coroutine that a call is given is of a function that cannot fail."""
    made = [coroutines_of(arg, frame.function, frame.shared.kinds) for arg in called.expr.args]
    return all(coroutines and all(_fails_not(each, frame) for each in coroutines) for coroutines in made)


def _fails_not(coroutine: code.Call, frame: Frame) -> bool:
    """Whether a coroutine is of a function that plainly raises nothing: of the library, or of the program."""
    kinds, func = frame.shared.kinds, coroutine.func
    of_library = kinds.role_of_kind(kinds.of_receiver(func, frame.function)), kinds.role_of_callee(func, frame.function)
    if Role.HARMLESS in of_library:
        return True
    if isinstance(func, code.Attribute) and func.attr == "wait" and not coroutine.args:
        return resolved(func, frame.function, kinds) is None  # that of an event or a process
    function = resolved(coroutine.func, frame.function, frame.shared.kinds)
    return function is not None and never_raises(function, frame)
