"""Which files form a program and are judged together: those whose trees import one another, directly or over others.

A tree is what is imported as one: a package from its topmost `__init__.py` downwards, or a module in no package. What a
file imports is read off the lines that look like imports. A line too many joins what need not be joined.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import PurePath
from typing import NamedTuple

from leaklint.adapters.files import File, Group
from leaklint.adapters.projects import Layout, dotted, without_suffix
from leaklint.adapters.projects import below as inside
from leaklint.catalog import CATALOG
from leaklint.model.diagnostic import Failed

__all__ = ["Member", "Program", "programs"]

LIBRARIES = sys.stdlib_module_names | {name.partition(".")[0] for name in CATALOG}
"""Who imports one of these means a script of that name only where the script lies beside it."""


class Member(NamedTuple):
    """A file of a program."""

    file: File
    module: str
    """The dotted name, which no other file of the program has."""
    tree: str
    """The package or module that holds it, given as a path without suffix."""
    aliases: tuple[tuple[str, str], ...] = ()
    """What its imports call differently: a dotted name as they write it, and what the program calls it."""


Program = tuple[Member, ...]


def programs(group: Group, *, layout: Layout, read: Callable[[File], bytes | Failed]) -> list[Program]:
    """The programs that the files of a group form, less those of which no file is named; their files sorted by path.

    Without collisions a module is named from its tree (`pkg.mod`); where two trees of a program have the same name,
    theirs begin with the path from the root (`services.a.app.main`).
    """
    trees = {file.location: layout.tree(file.location) for file in group.files}
    if len(group.files) == 1:
        (file,) = group.files
        return [(Member(file, layout.module_name(file.location), trees[file.location]),)]
    index = _Index(trees, group.root, layout)
    reached = {file.location: index.imports(file.location, read(file)) for file in group.files}
    leader = _leaders(trees.values(), ((trees[each], to.tree) for each, imports in reached.items() for to in imports))
    parts: dict[str, list[File]] = {}
    for file in group.files:
        parts.setdefault(leader[trees[file.location]], []).append(file)
    return [
        _program(files, trees, reached, _names({trees[file.location] for file in files}, index.scripts, group.root))
        for files in parts.values()
        if any(file.named for file in files)
    ]


def _program(
    files: Sequence[File], trees: Mapping[str, str], reached: Mapping[str, frozenset[_Import]], names: Mapping[str, str]
) -> Program:
    def name(path: str, tree: str) -> str:
        return dotted(names[tree], path, tree)

    modules = _distinct(
        [name(without_suffix(file.location), trees[file.location]) for file in files],
        [_is_package(file.location) for file in files],
    )
    members = []
    for file, module in zip(files, modules, strict=True):
        package = module if _is_package(file.location) else module.rpartition(".")[0]
        pairs = {(each.written(package), name(each.path, each.tree)) for each in reached[file.location]}
        aliases = tuple(sorted(pair for pair in pairs if pair[0] != pair[1]))
        members.append(Member(file, module, trees[file.location], aliases))
    return tuple(members)


def _names(trees: set[str], scripts: set[str], root: str) -> dict[str, str]:
    """What the trees of a program are called: by their own name where that says which is meant."""
    plain = {tree: os.path.basename(tree) for tree in trees}
    often = Counter(plain.values())
    return {
        tree: name
        if often[name] == 1 and not (tree in scripts and name in LIBRARIES)
        else (inside(tree, root) or name).replace("/", ".")
        for tree, name in plain.items()
    }


def _distinct(names: Sequence[str], packages: Sequence[bool]) -> list[str]:
    """The names, with a number after those that others have; `pkg/__init__.py` goes before `pkg.py`, as in Python."""
    taken: dict[str, int] = {}
    for index in sorted(range(len(names)), key=lambda index: not packages[index]):
        name, number = names[index], 2
        while name in taken:
            name, number = f"{names[index]}~{number}", number + 1
        taken[name] = index
    return sorted(taken, key=taken.__getitem__)


def _is_package(location: str) -> bool:
    return os.path.splitext(os.path.basename(location))[0] == "__init__"


def _leaders(trees: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each tree one that stands for all those it is connected to."""
    leader = {tree: tree for tree in trees}

    def find(tree: str) -> str:
        while leader[tree] != tree:
            leader[tree] = leader[leader[tree]]
            tree = leader[tree]
        return tree

    for one, other in edges:
        leader[find(one)] = find(other)
    return {tree: find(tree) for tree in leader}


# -- imports ---------------------------------------------------------------------------------------------------------


class _Import(NamedTuple):
    """An import that leads to a tree of the project."""

    level: int
    """The number of dots before the name."""
    name: tuple[str, ...]
    """The part of it that leads to `path`."""
    path: str
    """Of a module, without suffix."""
    tree: str
    """What holds the module."""

    def written(self, package: str) -> str:
        """The name, made absolute as imports in this package are."""
        name = ".".join(self.name)
        if not self.level:
            return name
        parents = package.split(".") if package else []
        more = self.level - 1 - len(parents)
        return "." * (more + 1) + name if more >= 0 else ".".join([*parents[:-more], name])


class _Index:
    """The trees of a group, to be looked up."""

    def __init__(self, trees: Mapping[str, str], root: str, layout: Layout) -> None:
        self.scripts = {tree for location, tree in trees.items() if location.startswith(f"{tree}.")}
        """The trees that are one module."""
        self._layout = layout
        self._root = root
        self._tree_of = trees
        self._trees = frozenset(trees.values())
        self._by_end: dict[str, str | None] = {}
        self._words: set[str] = set()
        self._holders: set[str] = set()
        self._bases: dict[tuple[str, int], str | None] = {}
        self._absolute: dict[tuple[str, tuple[str, ...]], list[_Import]] = {}
        for tree in self._trees:
            self._holders.update(map(str, PurePath(tree).parents))
            parts = [part for part in tree.split(os.sep) if part]
            self._words.update(parts)
            for start in range(len(parts)):
                if start < len(parts) - 1 or not self._is_like_a_library(tree):
                    end = ".".join(parts[start:])
                    self._by_end[end] = None if end in self._by_end else tree

    def imports(self, location: str, data: bytes | Failed) -> frozenset[_Import]:
        """What the imports of a file lead to."""
        found: set[_Import] = set()
        directory, start = os.path.dirname(location), os.path.dirname(self._tree_of[location])
        for before, after in () if isinstance(data, Failed) else _import_lines(data):
            level, module = _module(before)
            base = self._base(directory, level) if level else start
            if base is None or (module and not level and module[0] not in self._words):
                continue
            for name in _names_in(module, after):
                found.update(self._relative(location, base, level, name) if level else self._absolutely(start, name))
        return frozenset(found)

    def _absolutely(self, start: str, name: tuple[str, ...]) -> list[_Import]:
        """What an absolute name leads to, in a tree that lies in the directory `start`."""
        if (start, name) not in self._absolute:
            self._absolute[start, name] = self._nearest(start, name) or self._anywhere(name)
        return self._absolute[start, name]

    def _nearest(self, start: str, name: tuple[str, ...]) -> list[_Import]:
        """What a name leads to beside the tree that imports it, or else further up, as far as the root."""
        directory = start
        while True:
            found = [
                each
                for each in self._at(directory, 0, name)
                if directory == start or not self._is_like_a_library(each.tree)
            ]
            parent = os.path.dirname(directory)
            if found or directory in (self._root, parent):
                return found
            directory = parent

    def _anywhere(self, name: tuple[str, ...]) -> list[_Import]:
        """What a name leads to, if only one tree can be meant."""
        ends = ((count, self._by_end.get(".".join(name[:count]))) for count in range(1, len(name) + 1))
        return [_Import(0, name[:count], tree, tree) for count, tree in ends if tree]

    def _relative(self, location: str, base: str, level: int, name: tuple[str, ...]) -> list[_Import]:
        """What a name seen from a directory leads to, other than the tree that imports it."""
        own = self._tree_of[location]
        found = [each for each in self._at(base, level, name) if each.tree != own]
        package = self._layout.package(base)
        if not found and package in self._trees and package != own:
            return [_Import(level, name[:1], os.path.join(base, name[0]), package)]
        return found

    def _base(self, directory: str, level: int) -> str | None:
        """The directory that a relative import in a directory starts from; None if it cannot leave the tree."""
        if (directory, level) not in self._bases:
            base = directory
            for _ in range(level - 1):
                base = os.path.dirname(base)
            package = self._layout.package(base)
            stays = package and package == self._layout.package(directory) and base not in self._holders
            self._bases[directory, level] = None if stays else base
        return self._bases[directory, level]

    def _at(self, directory: str, level: int, name: tuple[str, ...]) -> list[_Import]:
        """What a name leads to, seen from a directory."""
        if directory not in self._holders:
            return []
        paths = accumulate(name, lambda path, part: f"{path}{os.sep}{part}", initial=directory.rstrip(os.sep))
        return [
            _Import(level, name[:count], path, path)
            for count, path in enumerate(paths)
            if count and path in self._trees
        ]

    def _is_like_a_library(self, tree: str) -> bool:
        return tree in self.scripts and os.path.basename(tree) in LIBRARIES


_IMPORT = re.compile(rb"import\b[ \t]*(\([^)]*\)|[^\n]*)")
_NO_NAME = re.compile(r"#[^\n]*|;.*|[()\\]")


def _import_lines(data: bytes) -> set[tuple[bytes, bytes]]:
    """What stands before and after the word `import` in lines that begin like an import."""
    found = set()
    for match in _IMPORT.finditer(data):
        start = match.start()
        before = data[data.rfind(b"\n", 0, start) + 1 : start].strip()
        if not before or before.startswith(b"from"):
            found.add((before, match[1]))
    return found


@cache
def _module(before: bytes) -> tuple[int, tuple[str, ...]]:
    """The dots before the module that names are imported from, and its parts; none for `import`."""
    source = before.decode("utf-8", "replace").removeprefix("from").strip()
    module = source.lstrip(".")
    return len(source) - len(module), tuple(module.split(".")) if module else ()


def _names_in(module: tuple[str, ...], after: bytes) -> Iterator[tuple[str, ...]]:
    """The names that an import imports, each by its parts."""
    for each in _NO_NAME.sub(" ", after.decode("utf-8", "replace")).split(","):
        words = each.split()
        name = (*module, *(words[0].split(".") if words and words[0] != "*" else ()))
        if name and all(part.isidentifier() for part in name):
            yield name
