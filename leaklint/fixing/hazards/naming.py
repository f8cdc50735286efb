"""The variables and attributes that hold what an expression gives, by how they are written."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.resolve import called_on
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk


def holders(expr: Expr) -> Iterator[str]:
    """What holds the value of an expression, or what that is taken from: `tasks` for `list(tasks)` and `*tasks[1:]`."""
    match expr:
        case code.Name() | code.Global() | code.Attribute():
            yield text(expr)
        case code.Call(func=func, args=args):
            owner = called_on(func)
            parts = (*args, *((owner,) if owner is not None else ()))
            yield from (name for part in parts for name in holders(part))
        case code.Display(items=items):
            yield from (name for item in items for name in holders(item))
        case code.Starred(value=value) | code.Subscript(value=value) | code.Await(value=code.Call() as value):
            yield from holders(value)
        case code.Comprehension(clauses=clauses):
            yield from (name for clause in clauses for name in holders(clause.iterable))


def with_iterated(names: set[str], body: code.Block) -> set[str]:
    """Names, and what holds that over which a loop iterates that binds one of them."""
    loops = [(each.target, each.iterable) for each in walk(body, code.For)]
    loops += [(clause.target, clause.iterable) for each in walk(body, code.Comprehension) for clause in each.clauses]
    over = [iterable for target, iterable in loops if not names.isdisjoint(each.id for each in walk(target, code.Name))]
    return {*names, *(name for iterable in over for name in holders(iterable))}
