"""The files to look at: found among and below the given paths, with the files around them, and read."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.adapters.folders import Candidate, Exclusion, Walk, beside, cannot_read
from leaklint.adapters.projects import Layout, below, display_path
from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError

__all__ = ["Discovery", "Exclusion", "File", "Group", "Sources", "discover", "is_excluded", "read", "surroundings"]


@dataclass(frozen=True, slots=True)
class File:
    """A Python file to look at."""

    path: str
    """As the user would write it: relative to the working directory, with forward slashes."""
    location: str
    """Absolute."""
    explicit: bool = False
    """Named itself, not found in a directory."""
    named: bool = True
    """Given, or found in a directory that was given. The others are read for what they say about these."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are looked at together: those of a project, or of as much of one as can be seen."""

    root: str
    """The directory that holds them all."""
    files: tuple[File, ...]
    """Sorted by path, each file once; at least one is named."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found."""

    groups: tuple[Group, ...]
    """Every named file is named in one of them; which files are with it there depends on no other named file."""
    failures: tuple[Failed, ...]
    """The given directories, and directories in them, that could not be read."""

    @property
    def files(self) -> tuple[File, ...]:
        """The named files, sorted by path."""
        return tuple(sorted((file for group in self.groups for file in group.files if file.named), key=_path_of))


def discover(
    paths: Iterable[str],
    *,
    exclusion_for: Callable[[str], Exclusion],
    layout: Layout,
    force: bool = False,
    isolated: bool = False,
) -> Discovery:
    """Find the Python files among and below these paths, and the files around them.

    A file that is named itself is always taken. In a directory, files ending in `.py` or `.pyw` are taken, unless a
    default exclusion, a `.gitignore` (from the repository's root downwards, or from the given directory downwards
    outside of a repository) or a pattern of `exclusion_for(directory)` is against it. What leads to a given directory
    is never held against it: `leaklint check build` looks into `build`. Links to directories are not followed, but for
    a given one; links to files are, and a file that is reached in two ways is taken once.

    With `force`, a given path is left out if it would not be found from the root of its exclusion. What leads to that
    root is never held against it: a checkout may lie in a directory called `build`.

    Around a file is what a walk from the root of its project finds, down to where other projects begin. Without a
    marker of a root, that is the given directory. A file that such a walk does not find, and one that was named itself
    without a marker, has its topmost package around it, a script the files beside it. With `isolated`, nothing is.

    Raises `UserError` for a path that does not exist and for a pattern that is none.
    """
    walk = Walk(exclusion_for)
    found: dict[str, Candidate] = {}
    failures: dict[str, Failed] = {}
    folders = []
    for path in paths:
        location = _absolute(path)
        is_folder = _is_directory(path)
        if force and walk.is_excluded(location, is_folder=is_folder):
            continue
        if is_folder:
            folders.append(location)
            below_it = walk.below(location)
            failures.update(below_it.failures)
            candidates: Sequence[Candidate] = below_it.candidates
        else:
            candidates = [_named(location)]
        for each in candidates:
            found[each.real] = min(each, found.get(each.real, each))
    if isolated:
        groups = [_alone(each) for each in found.values()]
    else:
        groups = _Around(walk, layout, sorted(folders, key=len)).groups(found)
    return Discovery(tuple(groups), tuple(failures.values()))


def surroundings(
    location: str, *, exclusion_for: Callable[[str], Exclusion], layout: Layout, isolated: bool = False
) -> Group:
    """A file (an absolute path, which need not exist) among the files around it, as if it were there and named."""
    each = _named(location)
    if isolated:
        return _alone(each)
    (group,) = _Around(Walk(exclusion_for), layout, ()).groups({each.real: each})
    return group


def is_excluded(location: str, *, exclusion_for: Callable[[str], Exclusion]) -> bool:
    """Whether a file (an absolute path, which need not exist) would be left out by `discover` with `force`."""
    return Walk(exclusion_for).is_excluded(location, is_folder=False)


def read(file: File) -> bytes | Failed:
    """The bytes of a file."""
    try:
        with open(file.location, "rb") as stream:
            return stream.read()
    except (OSError, MemoryError) as error:
        return cannot_read(file.path, error)


@dataclass(frozen=True, slots=True)
class Sources:
    """Files that are read once and used twice: first for what they import, then for all else."""

    _kept: dict[str, bytes | Failed] = field(default_factory=dict)

    def peek(self, file: File) -> bytes | Failed:
        """The bytes of a file, which are kept."""
        if file.location not in self._kept:
            self._kept[file.location] = read(file)
        return self._kept[file.location]

    def take(self, file: File) -> bytes | Failed:
        """The bytes of a file, which are kept no longer."""
        return self._kept.pop(file.location) if file.location in self._kept else read(file)

    def put(self, file: File, data: bytes) -> None:
        """Have this taken for the bytes of a file."""
        self._kept[file.location] = data

    def clear(self) -> None:
        """Keep nothing any longer."""
        self._kept.clear()


# -- around a file ---------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """What the files around a file are found by."""

    root: str
    folder: str | None
    """What lies below it, up to other projects."""
    beside: str | None = None
    """Also the files in this directory."""
    besides: str | None = None
    """Also this file."""


@dataclass(frozen=True, slots=True)
class _Around:
    """Which files are around a file."""

    walk: Walk
    layout: Layout
    given: Sequence[str]
    """The directories that were given, those further up first."""
    _known: dict[_Place, Mapping[str, Candidate]] = field(default_factory=dict)

    def groups(self, found: Mapping[str, Candidate]) -> list[Group]:
        """The named files, given by their real locations, among the files around them."""
        named: dict[_Place, dict[str, Candidate]] = {}
        for each in found.values():
            named.setdefault(self.place(each), {})[each.real] = each
        return [Group(place.root, self.among(wanted, place)) for place, wanted in named.items()]

    def among(self, wanted: Mapping[str, Candidate], place: _Place) -> tuple[File, ...]:
        """The files at a place and those wanted, which are called as they were named but lie where they were found."""
        found = self.files(place)
        others = (_file(each, named=False) for real, each in found.items() if real not in wanted)
        named = (_file(each, location=found.get(real, each).location) for real, each in wanted.items())
        return tuple(sorted((*others, *named), key=_path_of))

    def place(self, each: Candidate) -> _Place:
        """Where the files around a file are found. This depends on no other named file."""
        directory = os.path.dirname(each.location)
        given = (folder for folder in self.given if below(each.location, folder) is not None)
        root = self.layout.root(directory) or next(given, None)
        if root and self.is_in(each, _Place(root, root)):
            return _Place(root, root)
        package = self.layout.package(directory)
        above = os.path.dirname(package or each.location)
        if package and self.is_in(each, _Place(above, package)):
            return _Place(above, package)
        place = _Place(above, package, beside=directory)
        return place if each.real in self.files(place) else place._replace(besides=each.real)

    def is_in(self, each: Candidate, place: _Place) -> bool:
        """Whether a file is at a place, or would be if it existed."""
        return each.real in self.files(place) or (
            not os.path.lexists(each.location) and self.walk.would_find(each.location, place.root)
        )

    def files(self, place: _Place) -> Mapping[str, Candidate]:
        """The files at a place, by their real locations."""
        if place not in self._known:
            found: dict[str, Candidate] = {}
            for each in (*self.in_project(place.folder), *(beside(place.beside) if place.beside else ())):
                found[each.real] = min(each, found.get(each.real, each))
            self._known[place] = found
        return self._known[place]

    def in_project(self, folder: str | None) -> list[Candidate]:
        """The files below a directory that belong to the same project as it does."""
        if folder is None:
            return []
        root = self.layout.root(folder)
        candidates = self.walk.below(folder, into_projects=False).candidates
        return [each for each in candidates if self.layout.root(os.path.dirname(each.location)) == root]


def _named(location: str) -> Candidate:
    real = os.path.realpath(location)
    return Candidate(in_folder=False, is_link=False, path=display_path(location), location=location, real=real)


def _alone(each: Candidate) -> Group:
    return Group(os.path.dirname(each.location), (_file(each),))


def _file(each: Candidate, *, location: str | None = None, named: bool = True) -> File:
    return File(each.path, location or each.location, explicit=not each.in_folder, named=named)


def _path_of(file: File) -> str:
    return file.path


# -- given paths -----------------------------------------------------------------------------------------------------


def _absolute(path: str) -> str:
    """The absolute path. (`link/..` is where the link leads, not where it stands: there, links are resolved.)"""
    if os.pardir not in re.split(r"[\\/]", path):
        return os.path.abspath(path)
    directory, name = os.path.split(path)
    return os.path.realpath(path) if name in ("", os.pardir) else os.path.join(os.path.realpath(directory), name)


def _is_directory(path: str) -> bool:
    """Whether the path is a directory; raises `UserError` if there is nothing."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if os.path.islink(path):
            raise UserError(f"broken symbolic link: `{path}`") from None
        near = _nearest(path)
        hint = f", did you mean `{near}`?" if near else ""
        raise UserError(f"no such file or directory: `{path}`{hint}") from None
    except OSError as error:
        raise UserError(f"cannot be read: `{path}`: {error.strerror}") from None


def _nearest(path: str) -> str | None:
    """The path with the first name that does not exist replaced by the most similar one that does."""
    parent, name = os.path.split(path.rstrip("/" + os.sep))
    if name and parent and not os.path.isdir(parent):
        better = _nearest(parent)
        whole = better and os.path.join(better, name)
        return whole if whole and os.path.exists(whole) else better
    try:
        found = difflib.get_close_matches(name, sorted(os.listdir(parent or os.curdir)), n=1)
    except (OSError, ValueError):
        return None
    return os.path.join(parent, found[0]) if found else None
