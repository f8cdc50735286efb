"""Names across modules: over re-exports, star imports and aliases to the place of the definition."""

from __future__ import annotations

import builtins
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.facts import ModuleFacts, ModuleNames
from leaklint.model.rewrite import Rewriter

Aliases = tuple[tuple[str, str], ...]
_BUILTINS = frozenset(f"builtins.{name}" for name in dir(builtins))
_LONGEST_WAY = 12
"""So many re-exports are followed from one module to the next."""


class Target(NamedTuple):
    """Where a dotted path leads: to a definition, variable or module, and on to attributes of its value."""

    path: str
    attributes: tuple[str, ...] = ()
    unread: str | None = None
    """The module of the program on the way that has not been read."""


class Names:
    """The names that the modules of a program give each other."""

    def __init__(self, every: Mapping[str, Aliases]) -> None:
        """`every` has the names of all modules of the program, with what their imports write for other modules: pairs
        of a first part as it is written and as the program calls it.
        """
        self._every = every
        self._trees = frozenset(map(tree_of, every))
        self._known: dict[str, ModuleNames] = {}
        self._imports: dict[str, dict[str, str]] = {}
        self._targets: dict[str, Target] = {}

    def add(self, names: ModuleNames) -> None:
        """One more module has been read."""
        self._known[names.module] = names
        self._imports[names.module] = dict(names.imports)
        self._targets.clear()

    def target(self, path: str, module: str) -> Target:
        """Where a path that a module writes leads."""
        if path.startswith("builtins."):
            if path in _BUILTINS or not (names := self._known.get(module)) or not names.stars:
                return Target(path)
            return self._by_star(names, path.removeprefix("builtins."), (), _LONGEST_WAY) or Target(path)
        if self._every.get(module):
            return self._follow(path, module, _LONGEST_WAY)
        if path not in self._targets:
            self._targets[path] = self._follow(path, module, _LONGEST_WAY)
        return self._targets[path]

    def is_inside(self, path: str, module: str) -> bool:
        """Whether a path that a module writes may lead into the program, and not to a library."""
        by_star = path.startswith("builtins.") and path not in _BUILTINS
        return by_star or tree_of(renamed(path, self._every.get(module, ()))) in self._trees

    def trees(self, facts: ModuleFacts) -> set[str]:
        """The top-level packages of the program that a module can know of: its own, and those that it refers to."""
        written = {word.partition(".")[0] for function in facts.functions for word in function.words if "." in word}
        aliased = {tree_of(name) for _, name in self._every.get(facts.module, ())}
        return ((written | aliased) & self._trees) | {tree_of(facts.module)}

    def module_of(self, path: str) -> str | None:
        """The longest beginning of a path that is a module of the program."""
        while path and path not in self._every:
            path = path.rpartition(".")[0]
        return path or None

    def _follow(self, written: str, module: str, steps: int) -> Target:
        path = renamed(written, self._every.get(module, ()))
        holder = self.module_of(path)
        if holder is None or holder == path or not steps:
            return Target(path)
        names = self._known.get(holder)
        if names is None:
            return Target(path, unread=holder)
        name, *attributes = path[len(holder) + 1 :].split(".")
        return self._member(names, name, tuple(attributes), steps) or Target(path)

    def _member(self, names: ModuleNames, name: str, attributes: tuple[str, ...], steps: int) -> Target | None:
        """Where a name of a module leads, and attributes of it; None when the module does not bind it."""
        path = f"{names.module}.{name}"
        if path in names.defined:
            return _attributes(path, attributes, names.defined)
        imported = self._imports[names.module].get(name)
        if imported is not None:
            return self._follow(".".join([imported, *attributes]), names.module, steps - 1)
        if name in names.variables:
            return Target(path, attributes)
        return self._by_star(names, name, attributes, steps)

    def _by_star(self, names: ModuleNames, name: str, attributes: tuple[str, ...], steps: int) -> Target | None:
        for written in names.stars if steps else ():
            star = renamed(written, self._every.get(names.module, ()))
            source = self._known.get(star)
            if source is None:
                if star in self._every:
                    return Target(f"{names.module}.{name}", attributes, unread=star)
            elif (name in source.public) if source.public is not None else not name.startswith("_"):
                found = self._member(source, name, attributes, steps - 1)
                if found is not None:
                    return found
        return None


def _attributes(path: str, attributes: tuple[str, ...], defined: frozenset[str]) -> Target:
    """Attributes of a definition: as far as they lead to definitions, and one further, they are part of its path."""
    for position, name in enumerate(attributes):
        path = f"{path}.{name}"
        if path not in defined:
            return Target(path, attributes[position + 1 :])
    return Target(path)


def tree_of(path: str) -> str:
    """The top-level package of a dotted name."""
    return path.partition(".")[0]


def renamed(path: str, aliases: Aliases) -> str:
    """A dotted path as the program calls it, given what the imports of a file write."""
    for written, name in aliases:
        if path == written or path.startswith(f"{written}."):
            return name + path[len(written) :]
    return path


def link(modules: Iterable[ModuleFacts], names: Names) -> tuple[ModuleFacts, ...]:
    """The modules with every global name leading to where it is defined."""
    return tuple(_linked(facts, names) for facts in modules)


def _linked(facts: ModuleFacts, names: Names) -> ModuleFacts:
    paths = {word for function in facts.functions for word in function.words if "." in word}
    targets = {path: target for path in paths if _moves(target := names.target(path, facts.module), path)}
    if not targets:
        return facts
    by_name: dict[str, list[code.Function]] = defaultdict(list)
    for function in facts.functions:
        by_name[function.qualname].append(function)
    dirty: set[int] = set()
    waiting = [function for function in facts.functions if not function.words.isdisjoint(targets)]
    while waiting:
        scope = waiting.pop()
        if id(scope) not in dirty:
            dirty.add(id(scope))
            waiting += by_name.get(_around(scope), ())
    touched = {
        id(f) for f in facts.functions if id(f) in dirty or any(id(p) in dirty for p in by_name.get(_around(f), ()))
    }

    def exchange(node: code.Global) -> Expr:
        target = targets.get(node.path)
        return _exchanged(node, target) if target is not None else node

    def words(before: frozenset[str]) -> frozenset[str]:
        changed = [targets[word] for word in before if word in targets]
        new = {part for target in changed for part in (target.path, target.path.rpartition(".")[2], *target.attributes)}
        return (before - set(targets)) | new

    rewriter = Rewriter(exchange, words, dirty=dirty, touched=touched)
    return replace(
        facts,
        functions=tuple(map(rewriter.scope, facts.functions)),
        classes=tuple(map(rewriter.class_, facts.classes)),
    )


def _around(scope: code.Function) -> str:
    """The qualified name of the scope around another one."""
    return scope.qualname.rpartition(".")[0]


def _moves(target: Target, path: str) -> bool:
    return target.unread is None and (target.path != path or bool(target.attributes))


def _exchanged(node: code.Global, target: Target) -> Expr:
    """A global name with the path of its target; attributes of a variable's value stand outside of the name."""
    parts = node.text.split(".")
    written = len(parts) - len(target.attributes)
    if written < 1:
        return code.Global(target.path, node.text, node.span)  # an alias that stands for an attribute: not taken apart
    one_line = node.span.line == node.span.end_line
    line, column, *_ = node.span

    def span(count: int) -> Span:
        return Span(line, column, line, column + len(".".join(parts[:count]))) if one_line else node.span

    found: Expr = code.Global(target.path, ".".join(parts[:written]), span(written))
    for position, attribute in enumerate(target.attributes, written + 1):
        found = code.Attribute(found, attribute, span(position))
    return found
