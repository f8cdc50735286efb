"""Calls that start the followed task without being spawns, and whether one member of a `gather` can outlive another."""

from __future__ import annotations

from typing import NamedTuple

from leaklint.analysis.hidden import coroutines_of
from leaklint.analysis.interpreter import library
from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import HANDLE, Value
from leaklint.analysis.outcomes import is_one_of_many
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Pattern


class _Member(NamedTuple):
    """What is known of one member of a `gather`, or of many that are alike."""

    raises: bool
    suspends: bool
    is_many: bool


def started(called: Called, frame: Frame) -> Value | None:
    """What the call of a site gives if it is no spawn (see `analysis.hidden`); None for a spawn."""
    site = frame.site
    match site.spawn.pattern if site is not None and site.source is None else None:
        case Pattern.GATHER:
            return library.gather(called, frame, harmless=is_harmless_gather(called, frame))
        case Pattern.WAIT:
            return library.wait(called, frame)
        case Pattern.SHIELD:
            return library.shield(HANDLE, called, frame)
        case Pattern.AS_COMPLETED:
            fails = any(member.raises for member in _members(called.expr, frame))
            return library.as_completed(called, frame, harmless=not fails)
    return None


def is_harmless_gather(called: Called, frame: Frame) -> bool:
    """Whether no member of a `gather` can fail while another is suspended."""
    return _are_harmless_alike(called, frame) or not _outlives(_members(called.expr, frame))


def _are_harmless_alike(called: Called, frame: Frame) -> bool:
    """Whether what is gathered is one container, in which all tasks run one coroutine function that cannot fail."""
    site = frame.site
    inner = site.spawn.spawned_call if site is not None and site.source is None else None
    if len(called.args) != 1 or not isinstance(inner, code.Call) or is_one_of_many(frame.function):
        return False
    return not frame.shared.outcomes.coroutine(inner, frame.function).raises


def _outlives(members: list[_Member]) -> bool:
    """Whether one member can fail while another is suspended."""
    failing = [index for index, member in enumerate(members) if member.raises]
    suspended = [index for index, member in enumerate(members) if member.suspends]
    return any(one != other or members[one].is_many for one in failing for other in suspended)


def _members(call: code.Call, frame: Frame) -> list[_Member]:
    """The members that a call is given, one after the other or in containers."""
    return [member for argument in call.args for member in _given_as(argument, frame)]


def _given_as(argument: Expr, frame: Frame) -> list[_Member]:
    is_many = isinstance(argument, code.Starred)
    inner = _gathered(argument, frame)
    if inner is not None:
        members = _members(inner, frame)
        fails = not library.returns_exceptions(inner) and any(member.raises for member in members)
        return [_Member(fails, any(member.suspends for member in members), is_many=False)]
    made = coroutines_of(argument, frame.function, frame.shared.kinds)
    known = [_Member(*frame.shared.outcomes.coroutine(each, frame.function), is_many) for each in made]
    return known or [_Member(raises=True, suspends=True, is_many=is_many)]


def _gathered(argument: Expr, frame: Frame) -> code.Call | None:
    """The `gather` that a member is, also under a name."""
    if isinstance(argument, code.Name):
        bound = [binding.expr for binding in frame.shared.kinds.bindings(frame.function).get(argument.id, ())]
        argument = bound[0] if len(bound) == 1 else argument
    if isinstance(argument, code.Call) and frame.role(argument.func) is Role.GATHER:
        return argument
    return None
