"""Errors that plain operations raise, with no `raise` and no call in sight: a division by zero, an item too many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.program import Program
from leaklint.fixing.hazards.receivers import classes_of
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

BY_DATA = frozenset({"builtins.ValueError", "builtins.ZeroDivisionError", "builtins.OverflowError"})
"""Those of them that tell of what a program is given, and not of a slip of who wrote it."""
_OF_UNPACKING = frozenset({"builtins.ValueError", "builtins.TypeError"})
_OF_OPERATORS = frozenset({"builtins.TypeError"})
_OF_DIVISIONS = frozenset({"builtins.ZeroDivisionError", "builtins.OverflowError", *_OF_OPERATORS})
_OF_ATTRIBUTES = frozenset({"builtins.AttributeError"})
"""https://docs.python.org/3/library/exceptions.html"""
_PAIRS = frozenset({"builtins.enumerate", "builtins.zip"})
_PROPERTIES = frozenset({"property", "cached_property", "setter", "getter", "deleter"})
_OPERATORS = frozenset(
    f"__{prefix}{name}__"
    for name in "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift".split()
    for prefix in ("", "r", "i")
)
_COMPARISONS = frozenset("__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __contains__".split())
"""https://docs.python.org/3/reference/datamodel.html#special-method-names"""


@remembered
def implied(root: object, function: code.Function, study: Study) -> frozenset[str]:
    """The classes of such errors that the expressions of a place, or a simple statement, may raise."""
    del function, study
    found: set[str] = set()
    for node in walk(root, (code.Operation, code.Attribute, code.Compare, code.Comprehension)):
        match node:
            case code.Operation(divides=divides):
                found |= _OF_DIVISIONS if divides else _OF_OPERATORS
            case code.Attribute():
                found |= _OF_ATTRIBUTES
            case code.Compare():
                found |= _OF_OPERATORS
            case code.Comprehension(clauses=clauses):
                for clause in clauses:
                    found |= unpacking(clause.target, clause.iterable)
    match root:
        case code.Assign(targets=targets, value=value) if value is not None:
            found |= _OF_UNPACKING if any(_takes_apart(target, value) for target in targets) else frozenset()
    return frozenset(found)


def unpacking(target: Expr, iterable: Expr) -> frozenset[str]:
    """What a loop over something may raise that takes each item apart."""
    is_pair = path_of(iterable) in _PAIRS or last_name(iterable) == "items"
    return _OF_UNPACKING if isinstance(target, code.Display) and not is_pair else frozenset()


def _takes_apart(target: Expr, value: Expr) -> bool:
    """Whether a value is taken apart that may have another number of items. What is awaited always has the same."""
    match target, value:
        case (code.Display(items=targets), code.Display(items=values)) if len(targets) == len(values):
            return any(map(_takes_apart, targets, values))
    return isinstance(target, code.Display) and not isinstance(value, code.Await)


@remembered
def special(root: object, function: code.Function, study: Study) -> tuple[code.Function, ...]:
    """The methods of the program that the expressions of a place run without a call: properties and operators."""
    named = _special(study.program)
    if not named:
        return ()
    found: dict[str, code.Function] = {}
    for node in walk(root, (code.Operation, code.Attribute, code.Compare)):
        for each in _run_by(node, function, named, study):
            found[each.qualname] = each
    return tuple(found.values())


def methods_of(expr: Expr, names: tuple[str, ...], function: code.Function, study: Study) -> tuple[code.Function, ...]:
    """The methods of these names of what an expression gives, as far as that is of classes of the program."""
    owners = classes_of(expr, function, study) or ()
    found = (study.program.method(owner, name) for owner in sorted(owners) for name in names)
    return tuple(each for each in found if each is not None)


def _run_by(
    node: code.Operation | code.Attribute | code.Compare,
    function: code.Function,
    named: Mapping[str, tuple[code.Function, ...]],
    study: Study,
) -> Iterator[code.Function]:
    if isinstance(node, code.Attribute):
        every = named.get(node.attr, ())
        owner = study.kinds.of(node.value, function) if every else None
        family = study.program.family(owner) if owner in study.program.classes else ()
        yield from (each for each in every if owner is None or each.owner in family)
        return
    for name in _OPERATORS if isinstance(node, code.Operation) else _COMPARISONS:
        yield from named.get(name, ())


@lru_cache(maxsize=4)
def _special(program: Program) -> Mapping[str, tuple[code.Function, ...]]:
    """By name: the properties of the classes of a program, and the methods that operators run."""
    found: dict[str, tuple[code.Function, ...]] = defaultdict(tuple)
    for module in program.modules:
        for each in module.functions:
            is_property = any(last_name(decorator) in _PROPERTIES for decorator in each.decorators)
            if each.owner is not None and (is_property or each.name in _OPERATORS | _COMPARISONS):
                found[each.name] += (each,)
    return dict(found)
