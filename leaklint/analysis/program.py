"""The index over the facts of one or more modules: who defines what, and who mentions what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from leaklint.model import code
from leaklint.model.facts import ModuleFacts
from leaklint.model.walk import walk


class Program:
    """Read-only views over module facts; everything is computed once, when it is first asked for."""

    def __init__(self, modules: Iterable[ModuleFacts]) -> None:
        self.modules = tuple(modules)
        self._words: dict[code.Function, frozenset[str]] = {}

    @cached_property
    def functions(self) -> dict[str, code.Function]:
        """By qualified name; of several definitions the last one, as at run time."""
        return {f.qualname: f for m in self.modules for f in m.functions if f.kind == "function"}

    @cached_property
    def scopes(self) -> dict[str, code.Function]:
        """Functions, lambdas, class bodies and modules, by qualified name."""
        return {f.qualname: f for m in self.modules for f in m.functions}

    @cached_property
    def classes(self) -> dict[str, code.Class]:
        return {c.qualname: c for m in self.modules for c in m.classes}

    @cached_property
    def paths(self) -> dict[str, str]:
        """The file of every scope."""
        return {f.qualname: m.path for m in self.modules for f in m.functions}

    @cached_property
    def _subclasses(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for scope in self.classes.values():
            for base in self._bases(scope):
                found[base].append(scope.qualname)
        return found

    def _bases(self, scope: code.Class) -> Iterator[str]:
        for base in scope.bases:
            named = base.value if isinstance(base, code.Subscript) else base
            if isinstance(named, code.Global):
                yield named.path

    def ancestors(self, name: str) -> list[str]:
        """A class and its known bases, nearest first."""
        found: list[str] = []
        queue = [name]
        while queue:
            current = queue.pop(0)
            if current not in found:
                found.append(current)
                if current in self.classes:
                    queue.extend(self._bases(self.classes[current]))
        return found

    def family(self, name: str) -> list[str]:
        """A class and all that may share an instance with it: bases, what derives from it, and the bases of that."""
        found = self.ancestors(name)
        queue = [name]
        while queue:
            for derived in self._subclasses.get(queue.pop(), ()):
                if derived not in found:
                    queue.append(derived)
                found += [ancestor for ancestor in self.ancestors(derived) if ancestor not in found]
        return found

    def method(self, owner: str, name: str) -> code.Function | None:
        """The method a call on an instance reaches, as far as the bases are known."""
        for ancestor in self.ancestors(owner):
            if found := self.functions.get(f"{ancestor}.{name}"):
                return found
        return None

    def owner_of(self, function: code.Function) -> str | None:
        """The class whose instance `self` is in a function, nested ones included."""
        scope: code.Function | None = function
        while scope is not None:
            if scope.kind == "class":
                return scope.qualname
            if scope.owner:
                return scope.owner
            scope = self.enclosing(scope)
        return None

    def enclosing(self, function: code.Function) -> code.Function | None:
        parent = function.qualname.rpartition(".")[0]
        return self.scopes.get(parent)

    # -- mentions ------------------------------------------------------------------------------------------------

    @cached_property
    def _mentions(self) -> dict[str, list[code.Function]]:
        found: dict[str, list[code.Function]] = defaultdict(list)
        for module in self.modules:
            for function in module.functions:
                for word in self.words(function):
                    found[word].append(function)
        return found

    def words(self, function: code.Function) -> frozenset[str]:
        """The attribute names, names, global paths and string keys that occur in a scope's own code."""
        if function not in self._words:
            self._words[function] = frozenset(_words(function))
        return self._words[function]

    def mentioning(self, word: str) -> list[code.Function]:
        """The scopes whose own code mentions an attribute, a local name, a string key or a global path."""
        return self._mentions.get(word, [])


def _words(function: code.Function) -> Iterator[str]:
    for node in walk(function.body, (code.Name, code.Global, code.Attribute, code.Subscript)):
        match node:
            case code.Name(id=name):
                yield name
            case code.Global(path=path):
                yield path
                yield path.rpartition(".")[2]
            case code.Attribute(attr=attr):
                yield attr
            case code.Subscript(index=code.Constant(value=str(key))):
                yield key
