"""Iteration over lowered code, and its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TypeVar, get_args, overload

from leaklint.model import code

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def walk(root: object, kind: type[A]) -> Iterator[A]: ...
@overload
def walk(root: object, kind: tuple[type[A], type[B]]) -> Iterator[A | B]: ...
@overload
def walk(root: object, kind: tuple[type[A], type[B], type[C]]) -> Iterator[A | B | C]: ...
@overload
def walk(root: object, kind: tuple[type[A], type[B], type[C], type[D]]) -> Iterator[A | B | C | D]: ...
def walk(root: object, kind: type[object] | tuple[type[object], ...]) -> Iterator[object]:
    """Every node of a kind within `root` (a node, block or tuple of them), in source order, `root` included.

    The bodies of functions, lambdas and classes within are left out: they are scopes of their own.
    """
    wanted = kind if isinstance(kind, tuple) else (kind,)
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        class_ = node.__class__
        if class_ in wanted:
            yield node
        parts = _PARTS.get(class_)
        if parts is not None:
            stack.extend(parts(node))
        elif isinstance(node, tuple):
            stack.extend(node[::-1])


def _parts(class_: type) -> Callable[[object], Iterable[object]]:
    """What gives the fields of a node that can hold other nodes, last first."""
    leaves = ("Span", "str", "str | None", "bool", "object", "Function", "Class", "frozenset[str]")
    names = tuple(name for name, type_ in reversed(class_.__annotations__.items()) if type_ not in leaves)
    if not names:
        return lambda _: ()
    if len(names) == 1:
        only = attrgetter(names[0])
        return lambda node: (only(node),)
    every: Callable[[object], Iterable[object]] = attrgetter(*names)
    return every


_PARTS = {class_: _parts(class_) for class_ in (*get_args(code.Expr), *get_args(code.Stmt))}


def text(node: code.Expr) -> str:
    """An expression about as it is written; what the analysis folded away is an ellipsis."""
    match node:
        case code.Name(id=name):
            return name
        case code.Global(text=written):
            return written
        case code.Attribute(value=value, attr=attr):
            return f"{text(value)}.{attr}"
        case code.Subscript(value=value, index=index):
            return f"{text(value)}[{text(index)}]"
        case code.Call(func=func, args=args, keywords=keywords):
            inner = ", ".join([*map(text, args), *(f"{k.name}={text(k.value)}" for k in keywords)])
            return f"{text(func)}({inner if len(inner) <= 30 else '...'})"
        case code.Await(value=value):
            return f"await {text(value)}"
        case code.Starred(value=value):
            return f"*{text(value)}"
        case code.Not(value=value):
            return f"not {text(value)}"
        case code.Compare(left=left, op=op, right=right):
            return f"{text(left)} {op} {text(right)}"
        case code.Constant(value=value):
            return "..." if value is ... else repr(value)
        case code.Lambda():
            return "lambda"
    return "..."
