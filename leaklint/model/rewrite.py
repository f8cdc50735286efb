"""Lowered code with other names in it."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any, get_args

from leaklint.model import code

_LEAVES = ("Span", "str", "str | None", "bool", "object", "frozenset[str]")
_FIELDS = {
    class_: tuple(name for name, type_ in class_.__annotations__.items() if type_ not in _LEAVES)
    for class_ in (*get_args(code.Expr), *get_args(code.Stmt), code.Class)
}
_HEADER = ("params", "decorators", "returns")


class Rewriter:
    """Rebuilds code with `exchange` applied to every global name. What does not change stays the same object, and a
    scope that occurs in several places is rebuilt once.
    """

    def __init__(
        self,
        exchange: Callable[[code.Global], code.Expr],
        words: Callable[[frozenset[str]], frozenset[str]],
        *,
        dirty: Container[int],
        touched: Container[int],
    ) -> None:
        """`words` gives the new words of a scope. `dirty` are the `id`s of the scopes in whose bodies something may
        change; `touched` are these and the ones in whose decorators, defaults and annotations something may.
        """
        self._exchange = exchange
        self._words = words
        self._dirty = dirty
        self._touched = touched
        self._scopes: dict[int, Any] = {}

    def scope(self, function: code.Function) -> code.Function:
        """A function, lambda, class body or module."""
        if id(function) not in self._touched:
            return function
        if id(function) not in self._scopes:
            fields = (*_HEADER, "body") if id(function) in self._dirty else _HEADER
            changed = self._changed(function, fields)
            if id(function) in self._dirty:
                changed["words"] = self._words(function.words)
            self._scopes[id(function)] = replace(function, **changed) if changed else function
        rebuilt: code.Function = self._scopes[id(function)]
        return rebuilt

    def class_(self, scope: code.Class) -> code.Class:
        """A class, with its body and its methods."""
        if id(scope.body) not in self._touched:
            return scope
        if id(scope) not in self._scopes:
            changed = self._changed(scope, _FIELDS[code.Class])
            self._scopes[id(scope)] = replace(scope, **changed) if changed else scope
        rebuilt: code.Class = self._scopes[id(scope)]
        return rebuilt

    def _changed(self, node: object, fields: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for name in fields:
            before = getattr(node, name)
            after = self._rebuilt(before)
            if after is not before:
                found[name] = after
        return found

    def _rebuilt(self, node: Any) -> Any:
        class_ = node.__class__
        if class_ is code.Global:
            return self._exchange(node)
        if class_ is code.Function:
            return self.scope(node)
        if class_ is code.Class:
            return self.class_(node)
        if isinstance(node, tuple):
            parts = [self._rebuilt(part) for part in node]
            if all(after is before for after, before in zip(parts, node, strict=True)):
                return node
            return class_(*parts) if hasattr(class_, "_fields") else tuple(parts)
        if class_ in _FIELDS:
            changed = self._changed(node, _FIELDS[class_])
            return replace(node, **changed) if changed else node
        return node
