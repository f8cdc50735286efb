"""Queues without a limit: who puts something into one never waits.

https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.resolve import Use, argument, resolved
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_QUEUES = frozenset(f"asyncio.{name}" for name in ("Queue", "LifoQueue", "PriorityQueue"))
_DEEPEST = 4


def takes_all(queue: Expr, function: code.Function, study: Study) -> bool:
    """Whether all that a name or attribute of a function may hold is plainly a queue without a limit."""
    made = list(_made(queue, function, study, 0))
    return bool(made) and all(each is not None and _is_unlimited(each) for each in made)


def _is_unlimited(made: Expr) -> bool:
    match made:
        case code.Call(func=func, args=args, keywords=keywords):
            path = path_of(func.value if isinstance(func, code.Subscript) else func)
            sizes = (*args, *(keyword.value for keyword in keywords))
            return path in _QUEUES and all(isinstance(each, code.Constant) and each.value == 0 for each in sizes)
    return False


def _made(expr: Expr, function: code.Function, study: Study, depth: int) -> Iterator[Expr | None]:
    """The calls that make what an expression stands for; None for what is not plain to see."""
    match expr:
        case _ if depth > _DEEPEST:
            yield None
            return
        case code.Name(id=name):
            scope: code.Function | None = function
            while scope is not None and name not in scope.local_names:
                scope = study.program.enclosing(scope)
            found = _bound(name, scope, study) if scope is not None else iter([(None, function)])
        case code.Global(path=path):
            prefix, _, name = path.rpartition(".")
            module = study.program.scopes.get(prefix)
            found = _bound(name, module, study) if module is not None else iter([(None, function)])
        case code.Attribute(value=holder, attr=attr) if (owner := study.kinds.of(holder, function)) is not None:
            found = _assigned(owner, attr, study)
        case _:
            yield expr if isinstance(expr, code.Call) else None
            return
    for value, where in found:
        yield from (None,) if value is None else _made(value, where, study, depth + 1)


def _bound(name: str, scope: code.Function, study: Study) -> Iterator[tuple[Expr | None, code.Function]]:
    """What is bound to a name of a scope, and where that is read."""
    if any(param.name == name for param in scope.params):
        yield from _passed(name, scope, study)
    bound = [each for each in study.kinds.bindings(scope).get(name, ()) if each.how == "value"]
    yield from ((each.expr, each.function) for each in bound)
    targets = [target for each in walk(scope.body, code.Assign) if each.value for target in each.targets]
    targets += [each.target for each in walk(scope.body, code.For)]
    targets += [item.target for each in walk(scope.body, code.With) for item in each.items if item.target is not None]
    names = [last_name(each) for each in walk(tuple(targets), (code.Name, code.Global))]
    if names.count(name) > len(bound):
        yield None, scope  # by a loop, or out of something


def _passed(name: str, function: code.Function, study: Study) -> Iterator[tuple[Expr | None, code.Function]]:
    """What the program passes for a parameter."""
    callees: set[int] = set()
    for caller in study.program.mentioning(function.name, function.qualname):
        for call in walk(caller.body, code.Call):
            called = resolved(call.func, caller, study.kinds)
            if called is not None and called.qualname == function.qualname:
                yield argument(Use(caller, call), name, function), caller
                callees.add(id(call.func))
        for node in walk(caller.body, (code.Name, code.Global, code.Attribute)):
            if last_name(node) == function.name and id(node) not in callees:
                called = resolved(node, caller, study.kinds)
                if called is not None and called.qualname == function.qualname:
                    yield None, caller  # it is called from somewhere else


def _assigned(owner: str, attr: str, study: Study) -> Iterator[tuple[Expr | None, code.Function]]:
    """What the program assigns to an attribute of a class, or of what shares instances with it."""
    family = study.program.family(owner)
    for where in study.program.mentioning(attr, owner):
        for assign in walk(where.body, code.Assign):
            for target in assign.targets:
                is_it = isinstance(target, code.Attribute) and target.attr == attr and assign.value is not None
                if is_it and isinstance(target, code.Attribute) and study.kinds.of(target.value, where) in family:
                    yield assign.value, where
