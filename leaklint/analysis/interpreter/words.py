"""The names in the code of a function: what may hold the handle, what conditions ask, which keys are constant."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk


def handle_words(function: code.Function, *spawns: Expr) -> set[str]:
    """The names and attributes that the statements of spawns store their handles in."""
    wanted = set(map(id, spawns))
    found: set[str] = set()
    for statement in walk(function.body, (code.Assign, code.Augment, code.Evaluate)):
        if not any(id(node) in wanted for node in walk(statement, (code.Call, code.Await, code.Attribute))):
            continue
        match statement:
            case code.Assign(targets=targets):
                stores: tuple[Expr, ...] = targets
            case code.Augment(target=target):
                stores = (target,)
            case code.Evaluate(value=code.Call(func=code.Attribute(value=value))):
                stores = (value,)
            case _:
                continue
        for node in walk(stores, (code.Name, code.Attribute)):
            found.add(node.id if isinstance(node, code.Name) else node.attr)
    return found - {"self", "cls"}


def named(root: object) -> Iterator[str]:
    return (name.id for name in walk(root, code.Name))


def flowing(root: object) -> Iterator[str]:
    """The names whose values an expression may pass on; what is awaited gives something else, save for `wait`."""
    results = {
        id(name)
        for await_ in walk(root, code.Await)
        if not (isinstance(await_.value, code.Call) and last_name(await_.value.func) == "wait")
        for name in walk(await_.value, code.Name)
    }
    return (name.id for name in walk(root, code.Name) if id(name) not in results)


def atoms(test: Expr) -> Iterator[Expr]:
    """The simple conditions that a test is made of."""
    match test:
        case code.Boolean(values=values):
            for value in values:
                yield from atoms(value)
        case code.Not(value=value):
            yield from atoms(value)
        case code.Name() | code.Global() | code.Attribute():
            yield test
        case code.Compare(left=code.Name() | code.Global() | code.Attribute(), right=right):
            if isinstance(right, code.Name | code.Global | code.Attribute | code.Constant):
                yield test


def outcomes_of(name: str, value: object) -> tuple[tuple[str, bool], ...]:
    """What the conditions on a name are that has a constant value."""
    is_none = value is None
    return ((name, bool(value)), (f"{name} is None", is_none), (f"{name} is not None", not is_none))


def key_of(index: Expr) -> str | None:
    """A key that means the same wherever it is written: a string, or a global name."""
    match index:
        case code.Constant(value=str(key)):
            return repr(key)
        case code.Global(path=path):
            return path
    return None
