"""What a task's handle is called where it is spawned."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.state import Place
from leaklint.analysis.interpreter.words import key_of
from leaklint.analysis.kinds import pairs
from leaklint.catalog import ADDING
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk


def place_text(place: Place, function: code.Function) -> str:
    """A place as the function that stores there writes it."""
    for node in walk(function.body, (code.Attribute, code.Subscript, code.Global)):
        match node:
            case code.Attribute(attr=attr) if attr == place.name:
                return text(node)
            case code.Subscript(index=index) if place.name == f"[{key_of(index)}]":
                return text(node)
            case code.Global(path=path) if path == place.name:
                return text(node)
    return place.name.rpartition(".")[2]


def bound_name(spawn: Expr, function: code.Function) -> str | None:
    """The name that the handle goes to in the statement of the spawn, alone or as one of several."""
    for node in walk(function.body, (code.Assign, code.Walrus, code.Call)):
        match node:
            case code.Assign(targets=targets, value=value) if value is not None:
                for target, part in pairs(targets[0], value):
                    if spawn in _outcomes(part) and not isinstance(target, code.Display):
                        return text(target)
            case code.Walrus(target=target, value=value) if spawn in _outcomes(value):
                return text(target)
            case code.Call(func=code.Attribute(value=container, attr=attr), args=args) if attr in ADDING:
                if any(spawn in _outcomes(arg) for arg in args):
                    return text(container)
    return None


def _outcomes(expr: Expr) -> Iterator[Expr]:
    """The expressions that the value of an expression may be, or may hold."""
    yield expr
    match expr:
        case code.Display(items=items):
            inner: tuple[Expr, ...] = items
        case code.Comprehension(element=element):
            inner = (element,)
        case code.Conditional(then=then, orelse=orelse):
            inner = (then, orelse)
        case code.Walrus(value=value) | code.Starred(value=value):
            inner = (value,)
        case code.Boolean(values=values):
            inner = values
        case _:
            inner = ()
    for part in inner:
        yield from _outcomes(part)
