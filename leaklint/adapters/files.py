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

__all__ = ["Discovery", "Exclusion", "File", "discover", "read"]

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


def discover(paths: Iterable[str], *, exclusion_for: Callable[[str], Exclusion], layout: Layout) -> Discovery:
    """Find the Python files among and below these paths.

    A file that is named itself is always taken. In a directory, files ending in `.py` or `.pyw` are taken, unless a
    default exclusion, a `.gitignore` (from the repository's root downwards, or from the given directory downwards
    outside of a repository) or a pattern of `exclusion_for(directory)` is against it. What leads to a given directory
    is never held against it: `leaklint check build` looks into `build`. Links to directories are not followed, but for
    a given one; links to files are, and a file that is reached in two ways is taken once.

    Raises `UserError` for a path that does not exist and for a pattern that is none.
    """
    walk = _Walk(exclusion_for)
    for path in paths:
        walk.add(path)
    files = (
        File(each.path, each.location, layout.module_name(Path(each.location)), explicit=not each.in_folder)
        for each in walk.found.values()
    )
    return Discovery(tuple(sorted(files, key=lambda file: file.path)), tuple(walk.failures.values()))


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


class _Walk:
    """What was found below the paths added so far."""

    def __init__(self, exclusion_for: Callable[[str], Exclusion]) -> None:
        self.found: dict[str, _Candidate] = {}
        self.failures: dict[str, Failed] = {}
        self._exclusion_for = exclusion_for

    def add(self, path: str) -> None:
        location = _absolute(path)
        if _is_directory(path):
            self._walk(location)
        else:
            candidate = _Candidate(in_folder=False, is_link=False, path=display_path(location), location=location)
            self._take(os.path.realpath(location), candidate)

    def _take(self, real: str, candidate: _Candidate) -> None:
        self.found[real] = min(candidate, self.found.get(real, candidate))

    def _walk(self, given: str) -> None:
        excluded: dict[Exclusion, _Patterns] = {}
        folders = [_given_folder(given)]
        while folders:
            folder = folders.pop()
            exclusion = self._exclusion_for(folder.location)
            if exclusion not in excluded:
                lines = [_checked_pattern(text) for text in exclusion.patterns]
                excluded[exclusion] = _Patterns(exclusion.root, lines, given=given)
            ignore = (*folder.ignore, *_git_patterns(folder.location, ".gitignore", given=given))
            shown = _prefix(folder.location)
            for entry in self._entries(folder):
                is_folder = _is_folder(entry)
                wanted = entry.name not in NEVER_ENTERED if is_folder else _is_python(entry)
                location = os.path.join(folder.location, entry.name)
                marked = location + os.sep if is_folder else location
                if wanted and not excluded[exclusion].verdict(marked) and not _is_ignored(marked, ignore):
                    real = os.path.join(folder.real, entry.name)
                    if is_folder:
                        folders.append(_Folder(location, real, ignore))
                    else:
                        is_link = entry.is_symlink()
                        path = shown + entry.name
                        candidate = _Candidate(in_folder=True, is_link=is_link, path=path, location=location)
                        self._take(os.path.realpath(location) if is_link else real, candidate)

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
