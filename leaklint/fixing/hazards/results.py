"""Whether the program can do with a tuple of results where it had a list.

`anyio.gather` gives a tuple: https://anyio.readthedocs.io/en/stable/api.html#anyio.gather
"""

from __future__ import annotations

from leaklint.analysis.kinds import path_of
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_TAKING = frozenset(
    f"builtins.{name}"
    for name in """all any bool dict enumerate filter frozenset iter len list map max min next reversed set sorted sum
    tuple zip""".split()
) | {"itertools.chain", "itertools.chain.from_iterable", "itertools.zip_longest", "itertools.islice"}
"""Functions that take any iterable, and look at nothing else of it."""
_TAKING_METHODS = frozenset({"extend", "update", "join", "writelines", "fromkeys", "union"})
_SHARED_METHODS = frozenset({"index", "count"})


def needs_list(expr: Expr, function: code.Function, study: Study) -> bool:
    """Whether the value of an expression, a list so far, is used in a way that a tuple may not be.

    A list is said to be needed wherever the value goes out of sight.
    """
    return not _is_ignored(expr, function) and not _is_only_read(expr, function, study)


def _is_ignored(expr: Expr, function: code.Function) -> bool:
    for statement in walk(function.body, code.Evaluate):
        match statement.value:
            case value if value is expr:
                return True
            case code.Boolean(values=[*_, last]) if last is expr:
                return True
    return False


def _is_only_read(expr: Expr, function: code.Function, study: Study) -> bool:
    for assign in walk(function.body, code.Assign):
        if assign.value is expr:
            return assign.annotation is None and all(_is_read(each, function, study) for each in assign.targets)
    return _is_taken(expr, function, study)


def _is_read(target: Expr, function: code.Function, study: Study) -> bool:
    """Whether what is assigned to a target is only read."""
    if isinstance(target, code.Display):
        return True
    if not isinstance(target, code.Name) or _is_shared(target.id, function, study):
        return False
    if len(study.kinds.bindings(function).get(target.id, ())) > 1:
        return False
    written = {id(each) for assign in walk(function.body, code.Assign) for each in assign.targets}
    loads = (name for name in walk(function.body, code.Name) if name.id == target.id and id(name) not in written)
    return all(_is_taken(name, function, study) for name in loads)


def _is_shared(name: str, function: code.Function, study: Study) -> bool:
    """Whether a name is another scope's, too."""
    if name not in function.local_names:
        return True
    return any(name in scope.free_names for scope in study.program.inside(function) if scope is not function)


def _is_taken(expr: Expr, function: code.Function, study: Study) -> bool:
    """Whether an expression stands where any iterable would do."""
    for node in walk(function.body, (code.Call, code.Subscript, code.Compare)):
        match node:
            case code.Call(func=code.Attribute(value=value, attr=attr)) if value is expr:
                return attr in _SHARED_METHODS
            case code.Call(func=func, args=args) if any(arg is expr for arg in args):
                is_method = isinstance(func, code.Attribute) and func.attr in _TAKING_METHODS
                return is_method or path_of(node) in _TAKING
            case code.Subscript(value=value, index=index) if value is expr:
                return _is_position(index, study)
            case code.Compare(op=op, right=right) if right is expr:
                return op in ("in", "not in")
    iterables = [each.iterable for each in walk(function.body, code.For)]
    iterables += [clause.iterable for each in walk(function.body, code.Comprehension) for clause in each.clauses]
    if any(each is expr for each in iterables):
        return True
    for statement in walk(function.body, (code.If, code.While)):
        tests = [branch.test for branch in statement.branches] if isinstance(statement, code.If) else [statement.test]
        if any(test is expr or (isinstance(test, code.Not) and test.value is expr) for test in tests):
            return True
    return any(each.value is expr for each in walk(function.body, code.Starred))


def _is_position(index: Expr, study: Study) -> bool:
    """Whether an index gives an element (a slice gives a container)."""
    return not isinstance(index, code.Starred) and ":" not in study.written(index.span)
