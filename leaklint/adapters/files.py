"""The files to look at: found among and below the given paths, and read."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

from leaklint.adapters.projects import Layout, display_path
from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError

__all__ = ["Discovery", "Exclusion", "File", "discover", "is_excluded", "read"]

SUFFIXES = (".py", ".pyw")
NEVER_ENTERED = frozenset(
    """
    .bzr .direnv .eggs .git .git-rewrite .hg .ipynb_checkpoints .mypy_cache .nox .pants.d .pyenv .pytest_cache .pytype
    .ruff_cache .svn .tox .venv .vscode __pycache__ __pypackages__ _build buck-out build dist node_modules site-packages
    venv
    """.split()
)
"""Names of directories, the same as ruff's."""


@dataclass(frozen=True, slots=True)
class File:
    """A Python file to look at."""

    path: str
    """As the user would write it: relative to the working directory, with forward slashes."""
    location: str
    """Absolute."""
    module: str
    """The dotted name."""
    explicit: bool
    """Named itself, not found in a directory."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found."""

    files: tuple[File, ...]
    """Sorted by path, each file once."""
    failures: tuple[Failed, ...]
    """The directories that could not be read."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Patterns in the manner of `.gitignore`, and the directory that they are relative to."""

    root: str
    patterns: tuple[str, ...]


def discover(
    paths: Iterable[str], *, exclusion_for: Callable[[str], Exclusion], layout: Layout, force: bool = False
) -> Discovery:
    """Find the Python files among and below these paths.

    A file that is named itself is always taken. In a directory, files ending in `.py` or `.pyw` are taken, unless a
    default exclusion, a `.gitignore` (from the repository's root downwards, or from the given directory downwards
    outside of a repository) or a pattern of `exclusion_for(directory)` is against it. What leads to a given directory
    is never held against it: `leaklint check build` looks into `build`. Links to directories are not followed, but for
    a given one; links to files are, and a file that is reached in two ways is taken once.

    With `force`, a given path is left out if it would not be found from the root of its exclusion. What leads to that
    root is never held against it: a checkout may lie in a directory called `build`.

    Raises `UserError` for a path that does not exist and for a pattern that is none.
    """
    walk = _Walk(exclusion_for)
    for path in paths:
        walk.add(path, force=force)
    files = (
        File(each.path, each.location, layout.module_name(Path(each.location)), explicit=not each.in_folder)
        for each in walk.found.values()
    )
    return Discovery(tuple(sorted(files, key=lambda file: file.path)), tuple(walk.failures.values()))


def is_excluded(location: str, *, exclusion_for: Callable[[str], Exclusion]) -> bool:
    """Whether a file (an absolute path, which need not exist) would be left out by `discover` with `force`."""
    return _Walk(exclusion_for).is_excluded(location, is_folder=False)


def read(file: File) -> bytes | Failed:
    """The bytes of a file."""
    try:
        with open(file.location, "rb") as stream:
            return stream.read()
    except (OSError, MemoryError) as error:
        return _cannot_read(file.path, error)


def _cannot_read(path: str, error: OSError | MemoryError) -> Failed:
    why = (error.strerror or str(error)) if isinstance(error, OSError) else "it does not fit into memory"
    return Failed(path, f"cannot be read: {why}", None)


# -- walking ---------------------------------------------------------------------------------------------------------


class _Folder(NamedTuple):
    """A directory to look into."""

    location: str
    real: str
    """The same without symbolic links."""
    ignore: tuple[_Patterns, ...]
    """What git ignores, from the root of the repository downwards."""


class _Candidate(NamedTuple):
    """A file and how it was reached: of several ways to one file, the least is kept."""

    in_folder: bool
    is_link: bool
    path: str
    location: str


class _Look(NamedTuple):
    """A look into a directory: what is against the things in it."""

    folder: _Folder
    excluded: _Patterns
    ignore: tuple[_Patterns, ...]

    def wants(self, name: str, *, is_folder: bool) -> bool:
        """Whether nothing is against it."""
        location = os.path.join(self.folder.location, name) + (os.sep if is_folder else "")
        return not (
            (is_folder and name in NEVER_ENTERED)
            or self.excluded.verdict(location)
            or _is_ignored(location, self.ignore)
        )

    def enter(self, name: str) -> _Folder:
        """The directory of this name in it."""
        return _Folder(os.path.join(self.folder.location, name), os.path.join(self.folder.real, name), self.ignore)


class _Walk:
    """What was found below the paths added so far."""

    def __init__(self, exclusion_for: Callable[[str], Exclusion]) -> None:
        self.found: dict[str, _Candidate] = {}
        self.failures: dict[str, Failed] = {}
        self._exclusion_for = exclusion_for
        self._excluded: dict[tuple[str, Exclusion], _Patterns] = {}
        self._ways: dict[tuple[str, str], _Look | None] = {}

    def add(self, path: str, *, force: bool) -> None:
        location = _absolute(path)
        is_folder = _is_directory(path)
        if force and self.is_excluded(location, is_folder=is_folder):
            return
        if is_folder:
            self._walk(location)
        else:
            candidate = _Candidate(in_folder=False, is_link=False, path=display_path(location), location=location)
            self._take(os.path.realpath(location), candidate)

    def is_excluded(self, location: str, *, is_folder: bool) -> bool:
        """Whether a walk from the root of its exclusion would not come by. What is not below that root is not."""
        parent, name = os.path.split(location)
        root = self._exclusion_for(location if is_folder else parent).root
        if _below(location, root) is None:
            return False
        look = self._way(parent, root)
        return look is None or not look.wants(name, is_folder=is_folder)

    def _way(self, directory: str, root: str) -> _Look | None:
        """A look into a directory on the way down from a root; None if that is closed."""
        if (directory, root) not in self._ways:
            if directory == root:
                folder: _Folder | None = _given_folder(root)
            else:
                parent, name = os.path.split(directory)
                look = self._way(parent, root)
                folder = look.enter(name) if look and look.wants(name, is_folder=True) else None
            self._ways[directory, root] = self._look(folder, given=root) if folder else None
        return self._ways[directory, root]

    def _take(self, real: str, candidate: _Candidate) -> None:
        self.found[real] = min(candidate, self.found.get(real, candidate))

    def _walk(self, given: str) -> None:
        folders = [_given_folder(given)]
        while folders:
            folder = folders.pop()
            look = self._look(folder, given=given)
            shown = _prefix(folder.location)
            for entry in self._entries(folder):
                is_folder = _is_folder(entry)
                if not (is_folder or _is_python(entry)) or not look.wants(entry.name, is_folder=is_folder):
                    continue
                if is_folder:
                    folders.append(look.enter(entry.name))
                    continue
                location, real = os.path.join(folder.location, entry.name), os.path.join(folder.real, entry.name)
                is_link = entry.is_symlink()
                candidate = _Candidate(in_folder=True, is_link=is_link, path=shown + entry.name, location=location)
                self._take(os.path.realpath(location) if is_link else real, candidate)

    def _look(self, folder: _Folder, *, given: str) -> _Look:
        """What is wanted in a directory on the way from a given one."""
        exclusion = self._exclusion_for(folder.location)
        if (given, exclusion) not in self._excluded:
            lines = [_checked_pattern(text) for text in exclusion.patterns]
            self._excluded[given, exclusion] = _Patterns(exclusion.root, lines, given=given)
        ignore = (*folder.ignore, *_git_patterns(folder.location, ".gitignore", given=given))
        return _Look(folder, self._excluded[given, exclusion], ignore)

    def _entries(self, folder: _Folder) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder.location) as entries:
                return list(entries)
        except OSError as error:
            self.failures[folder.real] = _cannot_read(display_path(folder.location), error)
            return []


def _given_folder(location: str) -> _Folder:
    """The directory to begin with. What git ignores in it is also said further up, as far as the repository goes."""
    ignore: list[_Patterns] = []
    above = [str(parent) for parent in Path(location).parents]
    top = next((each for each in [location, *above] if os.path.exists(os.path.join(each, ".git"))), None)
    if top is not None:
        ignore += _git_patterns(top, ".git/info/exclude", given=location)
        for directory in reversed(above):
            if directory.startswith(top):
                ignore += _git_patterns(directory, ".gitignore", given=location)
    return _Folder(location, os.path.realpath(location), tuple(ignore))


def _prefix(directory: str) -> str:
    """What the display path of a file in this directory begins with."""
    shown = display_path(directory)
    return "" if shown == "." else f"{shown.rstrip('/')}/"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory itself, no link to one. (A junction is a link of Windows', known since Python 3.12.)"""
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_dir(follow_symlinks=False) and not (is_junction and is_junction())


def _is_python(entry: os.DirEntry[str]) -> bool:
    """Whether it is called like a Python file and is a file, or a link to one: no pipe, no broken link."""
    return entry.name.endswith(SUFFIXES) and os.path.isfile(entry.path)


# -- patterns --------------------------------------------------------------------------------------------------------


class _Patterns:
    """Patterns in the manner of `.gitignore`, less those that are against the directory that was asked for."""

    def __init__(self, root: str, patterns: Iterable[str], *, given: str) -> None:
        self._root = root
        inside = _below(given, root)
        self._spec = GitIgnoreSpec.from_lines(
            text for text in patterns if not inside or _spec(text).check_file(f"{inside}/").include is None
        )

    def verdict(self, location: str) -> bool | None:
        """True: leave it out; False: a negated pattern takes it back in; None: nothing is said about it.

        The location of a directory has a separator at its end.
        """
        inside = _below(location, self._root)
        return self._spec.check_file(inside).include if inside else None


def _is_ignored(location: str, ignore: tuple[_Patterns, ...]) -> bool:
    """Whether git ignores it: the last word is with the patterns furthest down."""
    verdicts = (patterns.verdict(location) for patterns in reversed(ignore))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _git_patterns(directory: str, name: str, *, given: str) -> Iterator[_Patterns]:
    """What a file of git's in this directory says. As with git, a missing file and a faulty pattern say nothing."""
    try:
        with open(os.path.join(directory, name), encoding="utf-8-sig", errors="surrogateescape") as stream:
            lines = stream.read().split("\n")
    except OSError:
        return
    yield _Patterns(directory, filter(_is_pattern, lines), given=given)


def _spec(text: str) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines([text])


def _is_pattern(text: str) -> bool:
    try:
        _spec(text)
    except ValueError:
        return False
    return True


def _checked_pattern(text: str) -> str:
    if not _is_pattern(text):
        raise UserError(f"`exclude`: `{text}` is not a pattern")
    return text


def _below(location: str, root: str) -> str | None:
    """The part of a path below a directory, with forward slashes; None if it is not below it."""
    prefix = root if root.endswith(os.sep) else root + os.sep
    return location[len(prefix) :].replace(os.sep, "/") if location.startswith(prefix) else None


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
