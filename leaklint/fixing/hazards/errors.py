"""Errors that may be raised, and the `except` clauses that catch them."""

from __future__ import annotations

from typing import NamedTuple

from leaklint.analysis.kinds import path_of
from leaklint.fixing.hazards.clauses import ALIASES, bases_of, class_of, is_foreign, spelled_out
from leaklint.fixing.hazards.implied import BY_DATA
from leaklint.fixing.study import Study
from leaklint.model.code import Expr

ENDINGS = frozenset(
    """asyncio.CancelledError asyncio.exceptions.CancelledError builtins.KeyboardInterrupt builtins.SystemExit
    builtins.GeneratorExit anyio.get_cancelled_exc_class""".split()
)
"""What ends a task or a program, and is no error."""
BROAD = frozenset({"builtins.Exception", "builtins.BaseException"})


class Errors(NamedTuple):
    """What may be raised."""

    types: frozenset[str] = frozenset()
    """Dotted paths of the classes that the code names, or that its calls are known for."""
    anything: bool = False
    """Others may be raised, too."""
    implied: frozenset[str] = frozenset()
    """Dotted paths of the classes that plain operations may raise, which matter to who names them."""

    def __or__(self, other: Errors) -> Errors:
        return Errors(self.types | other.types, self.anything or other.anything, self.implied | other.implied)

    def __bool__(self) -> bool:
        return bool(self.types or self.implied) or self.anything

    @property
    def is_likely(self) -> bool:
        """Whether the code says, or leaves open, that something is raised, or data may make it fail."""
        return bool(self.types) or self.anything or not self.implied.isdisjoint(BY_DATA)


NONE = Errors()
ANY = Errors(anything=True)


def matches(types: tuple[Expr, ...], errors: Errors, study: Study) -> bool:
    """Whether an `except` clause may catch one of the errors. (Who catches all is not asking for a slip of the pen.)"""
    if is_broad(types):
        return errors.is_likely
    return (errors.anything and not is_ending(types)) or bool(caught(types, errors, study))


def is_ending(types: tuple[Expr, ...]) -> bool:
    """Whether an `except` clause is about cancellations and the like alone."""
    return bool(types) and all(path_of(each) in ENDINGS for each in types)


def is_broad(types: tuple[Expr, ...]) -> bool:
    """Whether an `except` clause catches every error."""
    return not types or any(path_of(each) in BROAD for each in types)


def caught(types: tuple[Expr, ...], errors: Errors, study: Study) -> Errors:
    """Those of the errors, as far as they are known, that an `except` clause certainly or possibly catches."""
    if is_broad(types):
        return errors
    wanted = _wanted(types, study)
    if "" in wanted:
        return errors._replace(anything=False)
    found = surely_caught(types, errors, study)
    # a class of a library may be a base of anything that is no builtin, and may have any builtin for a base
    if any(is_foreign(path, study) for path in wanted):
        found |= Errors(frozenset(each for each in errors.types if not each.startswith("builtins.")))
    if not wanted.issubset(study.program.classes):
        found |= Errors(frozenset(each for each in errors.types if _is_from_elsewhere(each, study)))
    return found


def surely_caught(types: tuple[Expr, ...], errors: Errors, study: Study) -> Errors:
    """Those of the errors, as far as they are known, that an `except` clause certainly catches."""
    if is_broad(types):
        return errors
    wanted = _wanted(types, study)
    types_, implied_ = (
        frozenset(each for each in group if not wanted.isdisjoint(bases_of(each, study)))
        for group in (errors.types, errors.implied)
    )
    return Errors(types_, implied=implied_)


def left_by(types: tuple[Expr, ...], errors: Errors, study: Study) -> Errors:
    """Those of the errors that an `except` clause may let pass."""
    if is_broad(types):
        return NONE
    sure = surely_caught(types, errors, study)
    return Errors(errors.types - sure.types, errors.anything, errors.implied - sure.implied)


def _is_from_elsewhere(path: str, study: Study) -> bool:
    """Whether not all bases of a class are known."""
    return any(is_foreign(each, study) for each in bases_of(path, study))


def _wanted(types: tuple[Expr, ...], study: Study) -> frozenset[str]:
    """The classes that an `except` clause names; the empty name stands for one that is not known."""
    paths = (class_of(each, study) or "" for each in spelled_out(types, study))
    return frozenset(ALIASES.get(path, path) for path in paths)
