"""What a container holds: the class of all that is seen to be put into it, and which methods are called on that.

A container is what a local name or an attribute is bound to. One that anything unknown is put into holds the unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leaklint.analysis.kinds import Binding, Kinds, last_name, path_of
from leaklint.catalog import ADDING
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_DEEPEST = 4
_SAME = frozenset(f"builtins.{name}" for name in ("list", "tuple", "set", "frozenset", "sorted", "reversed"))
"""Callables that give the elements of their first argument."""
_MADE_EMPTY = frozenset({"builtins.list", "builtins.set", "builtins.dict", "collections.deque"})
_ADDING_ONE = frozenset({"add", "append", "appendleft", "insert", "setdefault"})
_MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict"})


def called_on_element(callee: Expr, function: code.Function, kinds: Kinds) -> code.Function | None:
    """The method that a callee reaches where it is called on the variable of a loop; None when that is not known."""
    if not isinstance(callee, code.Attribute) or not isinstance(callee.value, code.Name):
        return None
    name = callee.value.id
    if any(param.name == name for param in function.params) or name in kinds.bindings(function):
        return None
    found = {kind for target, iterable in _loops(function) for kind in _bound(name, target, iterable, function, kinds)}
    kind = found.pop() if len(found) == 1 else None
    return kinds.program.method(kind, callee.attr) if kind is not None else None


def _loops(function: code.Function) -> Iterator[tuple[Expr, Expr]]:
    """What the loops and comprehensions of a scope bind, and what they go over."""
    for node in walk(function.body, (code.For, code.Comprehension)):
        if isinstance(node, code.Comprehension):
            yield from ((clause.target, clause.iterable) for clause in node.clauses)
        else:
            yield node.target, node.iterable


def _bound(name: str, target: Expr, iterable: Expr, function: code.Function, kinds: Kinds) -> Iterator[str | None]:
    """The classes of what a loop binds a name to; nothing if it does not."""
    match target, iterable:
        case code.Name(id=bound), _ if bound == name:
            yield from _Elements(kinds).of(iterable, function)
        case (
            code.Display(items=[_, code.Name(id=bound)]),
            code.Call(func=code.Attribute(value=mapping, attr="items")),
        ) if bound == name:
            yield from _Elements(kinds, mapped=True).of(mapping, function)
        case code.Display(), _ if any(each.id == name for each in walk(target, code.Name)):
            yield None


class _Elements:
    """The classes of the elements of containers; None among them stands for what is not known."""

    def __init__(self, kinds: Kinds, *, mapped: bool = False) -> None:
        """`mapped`: the values of mappings are asked for."""
        self._kinds = kinds
        self._mapped = mapped

    def of(self, container: Expr, function: code.Function, depth: int = 0) -> set[str | None]:
        """The classes of what an expression holds, read in a function."""
        if depth > _DEEPEST:
            return {None}
        match container:
            case code.Call(func=code.Attribute(value=inner, attr="values"), args=[]):
                return _Elements(self._kinds, mapped=True).of(inner, function, depth + 1)
            case code.Call(func=code.Attribute(value=inner, attr="copy"), args=[]):
                return self.of(inner, function, depth + 1)
            case code.Call(args=[]) if path_of(container) in _MADE_EMPTY:
                return set()
            case code.Call(args=[inner, *_]) if path_of(container) in _SAME and not isinstance(inner, code.Starred):
                return self.of(inner, function, depth + 1)
            case code.Display(kind=kind, items=items) if (kind == "dict") == self._mapped or not items:
                return {self._kinds.of(item, function) for item in items}
            case code.Comprehension(kind=kind, element=element) if (kind == "dict") == self._mapped:
                return {self._kinds.of(element, function)}
            case code.Constant():
                return set()
            case code.Name(id=name):
                return self._of_name(name, function, depth)
            case code.Attribute(value=value, attr=attr) if (owner := self._kinds.of(value, function)) is not None:
                return self._of_attribute(owner, attr, function, depth)
        return {None}

    def _of_name(self, name: str, function: code.Function, depth: int) -> set[str | None]:
        is_given = any(param.name == name for param in function.params)
        bindings = self._kinds.bindings(function).get(name, ())
        found = self._of_bindings((b for b in bindings if b.how == "type" or not is_given), depth)
        for kept, value in self._put(function):
            if isinstance(kept, code.Name) and kept.id == name:
                found |= self._of_value(value, function)
        return found

    def _of_attribute(self, owner: str, attr: str, function: code.Function, depth: int) -> set[str | None]:
        found = self._of_bindings(self._kinds.assigned(owner, attr), depth)
        for user in self._kinds.program.mentioning(attr, function.qualname):
            for kept, value in self._put(user):
                if isinstance(kept, code.Attribute) and kept.attr == attr:
                    into = self._kinds.of(kept.value, user)
                    if into is None or into in self._kinds.program.family(owner):
                        found |= self._of_value(value, user)
        return found

    def _of_bindings(self, bindings: Iterable[Binding], depth: int) -> set[str | None]:
        """What the container holds that something is bound to; an annotation that says so decides."""
        found: set[str | None] = set()
        is_bound = False
        for how, expr, function in bindings:
            if how == "type" and (kind := self._annotated(expr)) is not None:
                return {kind}
            if how != "type":
                is_bound = True
                found |= self.of(expr, function, depth + 1) if how == "value" else {None}
        return found if is_bound else {None}

    def _of_value(self, value: Expr, function: code.Function) -> set[str | None]:
        return {None if isinstance(value, code.Starred) else self._kinds.of(value, function)}

    def _annotated(self, annotation: Expr) -> str | None:
        """The class of the elements of what an annotation names: `list[Peer]`, `dict[str, Peer]`."""
        match annotation:
            case code.Subscript(value=value, index=code.Display(items=[_, held])) if last_name(value) in _MAPPINGS:
                return self._kinds.annotated(held) if self._mapped else None
            case code.Subscript(index=code.Global() as held) if not self._mapped:
                return self._kinds.annotated(held)
        return None

    def _put(self, function: code.Function) -> Iterator[tuple[Expr, Expr]]:
        """What a scope puts into containers, each with the container; several elements, or what may be, as starred."""
        for statement in walk(function.body, (code.Assign, code.Augment)):
            if isinstance(statement, code.Augment):
                yield statement.target, code.Starred(statement.value)
                continue
            for target in statement.targets:
                if isinstance(target, code.Subscript) and statement.value is not None:
                    yield target.value, statement.value if self._mapped else code.Starred(statement.value)
        for call in walk(function.body, code.Call):
            match call:
                case code.Call(func=code.Attribute(value=kept, attr=attr), args=[*_, value]) if attr in _ADDING_ONE:
                    yield kept, value
                case code.Call(func=code.Attribute(value=kept, attr=attr), args=[*_, value]) if attr in ADDING:
                    yield kept, code.Starred(value)
