"""The index over the facts of one or more modules: who defines what, and who mentions what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Step
from leaklint.model.walk import walk

_ENTERING = {"enter_async_context", "enter_context", "push_async_exit"}


class Program:
    """Read-only views over module facts; everything is computed once, when it is first asked for."""

    def __init__(self, modules: Iterable[ModuleFacts]) -> None:
        self.modules = tuple(modules)
        self._ancestors: dict[str, list[str]] = {}
        self._families: dict[str, list[str]] = {}

    @cached_property
    def functions(self) -> dict[str, code.Function]:
        """By qualified name; of several definitions the last one, as at run time (a property's setter is none)."""
        return {
            f.qualname: f for m in self.modules for f in m.functions if f.kind == "function" and not _is_accessor(f)
        }

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
        if name not in self._ancestors:
            self._ancestors[name] = self._find_ancestors(name)
        return self._ancestors[name]

    def _find_ancestors(self, name: str) -> list[str]:
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
        if name not in self._families:
            self._families[name] = self._find_family(name)
        return self._families[name]

    def _find_family(self, name: str) -> list[str]:
        found = list(self.ancestors(name))
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

    def method_above(self, owner: str | None, name: str) -> code.Function | None:
        """The method that `super()` reaches in a class, as far as its bases are known."""
        above = self.ancestors(owner)[1:] if owner else ()
        return next((found for base in above if (found := self.functions.get(f"{base}.{name}"))), None)

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

    def step(self, function: code.Function, span: Span, message: str) -> Step:
        """A step of the evidence, at a place in a function."""
        return Step(self.paths[function.qualname], span, message)

    def enclosing(self, function: code.Function) -> code.Function | None:
        parent = function.qualname.rpartition(".")[0]
        return self.scopes.get(parent)

    @cached_property
    def _children(self) -> dict[str, list[code.Function]]:
        found: dict[str, list[code.Function]] = defaultdict(list)
        for module in self.modules:
            for scope in module.functions:
                found[scope.qualname.rpartition(".")[0]].append(scope)
        return found

    def inside(self, function: code.Function) -> Iterator[code.Function]:
        """A scope and all that are nested in it."""
        yield function
        for child in self._children.get(function.qualname, ()):
            yield from self.inside(child)

    # -- mentions ------------------------------------------------------------------------------------------------

    def mentioning(self, word: str, home: str) -> list[code.Function]:
        """The scopes whose own code mentions an attribute, a local name, a string key or a global path.

        Only those are asked that can know of `home`, a dotted name: in its top-level package, and in those that refer
        to that package.
        """
        return [scope for tree in self._knowing(home) for scope in self._mentions.get((tree, word), ())]

    def entering(self, home: str) -> list[code.Function]:
        """The scopes that enter a context manager, of those that can know of `home`."""
        return [scope for tree in self._knowing(home) for scope in self._entering.get(tree, ())]

    def _knowing(self, home: str) -> list[str]:
        tree = home.partition(".")[0]
        return [tree, *sorted(self._referring.get(tree, ()))]

    @cached_property
    def _mentions(self) -> dict[tuple[str, str], list[code.Function]]:
        """By top-level package and word."""
        found: dict[tuple[str, str], list[code.Function]] = defaultdict(list)
        for module in self.modules:
            tree = module.module.partition(".")[0]
            for function in module.functions:
                for word in function.words:
                    found[tree, word].append(function)
        return found

    @cached_property
    def _referring(self) -> dict[str, set[str]]:
        """By top-level package, the others that refer to it."""
        trees = {module.module.partition(".")[0] for module in self.modules}
        found: dict[str, set[str]] = defaultdict(set)
        for tree, word in self._mentions:
            named = word.partition(".")[0]
            if named in trees and named != tree and "." in word:
                found[named].add(tree)
        return found

    @cached_property
    def _entering(self) -> dict[str, list[code.Function]]:
        found: dict[str, list[code.Function]] = defaultdict(list)
        for module in self.modules:
            for function in module.functions:
                if _ENTERING & function.words or any(True for _ in walk(function.body, code.With)):
                    found[module.module.partition(".")[0]].append(function)
        return found


def _is_accessor(function: code.Function) -> bool:
    """Whether it only adds to a property: its setter or deleter."""
    return any(isinstance(each, code.Attribute) and each.attr in ("setter", "deleter") for each in function.decorators)
