"""Which functions of the program a callee may reach: all of them, or it is not known."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.origins import bound_from_outside
from leaklint.fixing.hazards.receivers import classes_of
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_SAYING_NOTHING = frozenset(
    """staticmethod classmethod abstractmethod override final overload no_type_check deprecated wraps""".split()
)
"""Decorators that leave a function what it is."""


@remembered
def targets(callee: Expr, caller: code.Function, study: Study) -> tuple[code.Function, ...] | None:
    """The functions that a callee, read in a function, may reach, overriding methods included; None if others may be
    meant: the name is rebound, a decorator puts something else in its place, it is nowhere defined, or it is a method
    of something that may be of another class.
    """
    named = _named(callee, caller, study)
    if not named or any(_is_sketch(each) or _is_rebound(callee, each, caller, study) for each in named):
        return None
    every = dict.fromkeys(each for found in named for each in (found, *_overriding(callee, found, caller, study)))
    if any(not is_itself(each, study.program) for each in every):
        return None
    return tuple(each for each in every if not _is_sketch(each))


def _named(callee: Expr, caller: code.Function, study: Study) -> tuple[code.Function, ...]:
    """The functions of that name which a callee may reach, those that override them left out; none if that is not
    known.
    """
    found = resolved(callee, caller, study.kinds)
    if found is None or not isinstance(callee, code.Attribute) or path_of(callee.value) == "builtins.super":
        return () if found is None else (found,)
    methods = [
        study.program.method(each, callee.attr) for each in sorted(classes_of(callee.value, caller, study) or ())
    ]
    return () if None in methods else tuple(each for each in methods if each is not None)


def manager(callee: Expr, caller: code.Function, study: Study) -> code.Function | None:
    """The generator function that makes the context manager which a callee gives; None if it does not, or if that is
    not known.
    """
    found = resolved(callee, caller, study.kinds)
    if found is None or not found.is_generator or _is_rebound(callee, found, caller, study):
        return None
    others = [each for each in found.decorators if last_name(each) not in _SAYING_NOTHING]
    is_manager = len(others) == 1 and study.kinds.role_of(path_of(others[0])) is Role.CONTEXT_MANAGER
    return found if is_manager and not _overriding(callee, found, caller, study) else None


def is_itself(function: code.Function, program: Program) -> bool:
    """Whether a call of the name runs the function as it is written: no decorator, no second definition."""
    plain = all(last_name(decorator) in _SAYING_NOTHING for decorator in function.decorators)
    return plain and _definitions(program)[function.qualname] == 1


@lru_cache(maxsize=4)
def _definitions(program: Program) -> Counter[str]:
    """How often each function is defined."""
    return Counter(f.qualname for module in program.modules for f in module.functions if f.kind == "function")


def _is_rebound(callee: Expr, found: code.Function, caller: code.Function, study: Study) -> bool:
    """Whether something else may have been assigned to the name of a function."""
    kinds, program = study.kinds, study.program
    if found.owner is not None:
        related = program.family(found.owner)
        is_outside = any(True for _ in bound_from_outside(found.owner, found.name, study))
        return is_outside or not kinds.declaring(found.name).isdisjoint(related)
    del callee, caller
    scope = program.enclosing(found)
    return scope is not None and bool(kinds.bindings(scope).get(found.name))


def _overriding(callee: Expr, found: code.Function, caller: code.Function, study: Study) -> list[code.Function]:
    """The methods that a call on an instance may reach in what derives from its class."""
    match callee:
        case code.Attribute(value=code.Call(func=code.Global(path="builtins.super"))):
            return []
        case code.Attribute(value=value) if found.owner is not None:
            program = study.program
            derived = [
                each
                for owner in sorted(classes_of(value, caller, study) or (found.owner,))
                for each in program.family(owner)
                if each != owner and owner in program.ancestors(each)
            ]
            named = (program.functions.get(f"{each}.{found.name}") for each in derived)
            return [each for each in named if each is not None]
    return []


def _is_sketch(function: code.Function) -> bool:
    """Whether a method is there for others to define: abstract, or it does nothing, or no more than to raise."""
    if any(last_name(decorator) == "abstractmethod" for decorator in function.decorators):
        return True
    match function.body:
        case (code.Raise(value=value),):
            return value is not None and last_name(value) == "NotImplementedError"
    says = (isinstance(each, code.Evaluate) and isinstance(each.value, code.Constant) for each in function.body)
    return function.is_async and function.owner is not None and all(says)


def returned(function: code.Function) -> tuple[Expr, ...] | None:
    """What a function that does not wait may return; None if it may end without."""
    found = [each.value for each in walk(function.body, code.Return)]
    last = function.body[-1] if function.body else None
    if not isinstance(last, code.Return) or None in found or function.is_generator:
        return None
    return tuple(each for each in found if each is not None)
