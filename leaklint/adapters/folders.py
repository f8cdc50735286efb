"""Walking directories: the Python files below them, less what is left out by default, by git or by configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

from leaklint.adapters.projects import MARKERS, below, display_path
from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError

__all__ = ["Candidate", "Exclusion", "Found", "Walk", "beside", "cannot_read"]

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
class Exclusion:
    """Patterns in the manner of `.gitignore`, and the directory that they are relative to."""

    root: str
    patterns: tuple[str, ...]


class Candidate(NamedTuple):
    """A file and how it was reached: of several ways to one file, the least is kept."""

    in_folder: bool
    is_link: bool
    path: str
    """As the user would write it."""
    location: str
    """Absolute."""
    real: str
    """The same without symbolic links."""


class Found(NamedTuple):
    """What lies below a directory."""

    candidates: tuple[Candidate, ...]
    failures: Mapping[str, Failed]
    """The directories that could not be read, by their location without links."""


class _Folder(NamedTuple):
    """A directory to look into."""

    location: str
    real: str
    """The same without symbolic links."""
    ignore: tuple[_Patterns, ...]
    """What git ignores, from the root of the repository downwards."""


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


class Walk:
    """Walks below directories, each of which is walked once in the life of this object.

    A pattern of `exclusion_for(directory)` that is none raises `UserError` when the walk comes by.
    """

    def __init__(self, exclusion_for: Callable[[str], Exclusion]) -> None:
        self._exclusion_for = exclusion_for
        self._excluded: dict[tuple[str, Exclusion], _Patterns] = {}
        self._ways: dict[tuple[str, str], _Look | None] = {}
        self._found: dict[tuple[str, bool], Found] = {}

    def below(self, given: str, *, into_projects: bool = True) -> Found:
        """The Python files below a directory.

        Without `into_projects`, the projects that begin further down need not be entered.
        """
        if (given, True) not in self._found and (given, into_projects) not in self._found:
            self._found[given, into_projects] = self._walk(given, into_projects=into_projects)
        return self._found.get((given, True)) or self._found[given, into_projects]

    def is_excluded(self, location: str, *, is_folder: bool) -> bool:
        """Whether a walk from the root of its exclusion would not come by. What is not below that root is not."""
        root = self._exclusion_for(location if is_folder else os.path.dirname(location)).root
        return below(location, root) is not None and not self.would_find(location, root, is_folder=is_folder)

    def would_find(self, location: str, root: str, *, is_folder: bool = False) -> bool:
        """Whether a walk from this root would come by something, which need not exist, below it."""
        parent, name = os.path.split(location)
        look = self._way(parent, root)
        return look is not None and look.wants(name, is_folder=is_folder)

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

    def _walk(self, given: str, *, into_projects: bool) -> Found:
        found: list[Candidate] = []
        failures: dict[str, Failed] = {}
        folders = [_given_folder(given)]
        while folders:
            folder = folders.pop()
            try:
                entries = _entries(folder.location)
            except OSError as error:
                failures[folder.real] = cannot_read(display_path(folder.location), error)
                continue
            if not into_projects and folder.location != given and any(entry.name in MARKERS for entry in entries):
                continue
            look = self._look(folder, given=given)
            shown = _prefix(folder.location)
            for entry in entries:
                is_folder = _is_folder(entry)
                if not (is_folder or _is_python(entry)) or not look.wants(entry.name, is_folder=is_folder):
                    continue
                if is_folder:
                    folders.append(look.enter(entry.name))
                else:
                    found.append(_candidate(entry, folder.location, folder.real, shown))
        return Found(tuple(found), failures)

    def _look(self, folder: _Folder, *, given: str) -> _Look:
        """What is wanted in a directory on the way from a given one."""
        exclusion = self._exclusion_for(folder.location)
        if (given, exclusion) not in self._excluded:
            lines = [_checked_pattern(text) for text in exclusion.patterns]
            self._excluded[given, exclusion] = _Patterns(exclusion.root, lines, given=given)
        ignore = (*folder.ignore, *_git_patterns(folder.location, ".gitignore", given=given))
        return _Look(folder, self._excluded[given, exclusion], ignore)


def beside(location: str) -> tuple[Candidate, ...]:
    """The Python files in a directory, whatever is against them; none if it cannot be read."""
    try:
        entries = _entries(location)
    except OSError:
        return ()
    real, shown = os.path.realpath(location), _prefix(location)
    return tuple(_candidate(entry, location, real, shown) for entry in entries if _is_python(entry))


def cannot_read(path: str, error: OSError | MemoryError) -> Failed:
    """The outcome for a file or directory that cannot be read; `path` is as the user would write it."""
    why = (error.strerror or str(error)) if isinstance(error, OSError) else "it does not fit into memory"
    return Failed(path, f"cannot be read: {why}", None)


def _entries(location: str) -> list[os.DirEntry[str]]:
    with os.scandir(location) as entries:
        return list(entries)


def _candidate(entry: os.DirEntry[str], directory: str, real: str, shown: str) -> Candidate:
    location = os.path.join(directory, entry.name)
    is_link = entry.is_symlink()
    real = os.path.realpath(location) if is_link else os.path.join(real, entry.name)
    return Candidate(in_folder=True, is_link=is_link, path=shown + entry.name, location=location, real=real)


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
        inside = below(given, root)
        self._spec = GitIgnoreSpec.from_lines(
            text for text in patterns if not inside or _spec(text).check_file(f"{inside}/").include is None
        )

    def verdict(self, location: str) -> bool | None:
        """True: leave it out; False: a negated pattern takes it back in; None: nothing is said about it.

        The location of a directory has a separator at its end.
        """
        inside = below(location, self._root)
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
