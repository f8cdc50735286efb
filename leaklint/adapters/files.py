"""The files to look at: found below the given paths, read, and what is known of them without reading (module, project)."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from pathspec import GitIgnoreSpec, Pattern

from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError
from leaklint.policy.config import ConfigError, Settings, parse_pyproject

__all__ = [
    "Discovery",
    "Exclusion",
    "File",
    "Layout",
    "Project",
    "discover",
    "display_path",
    "read",
    "working_directory",
]

SUFFIXES = (".py", ".pyw")
DEFAULT_EXCLUDE = frozenset(
    """
    .bzr .direnv .eggs .git .git-rewrite .hg .ipynb_checkpoints .mypy_cache .nox .pants.d .pyenv .pytest_cache .pytype
    .ruff_cache .svn .tox .venv .vscode __pycache__ __pypackages__ _build buck-out build dist node_modules site-packages
    venv
    """.split()
)
"""Names of directories that are never entered (the same as ruff's), unless they are given themselves."""


@dataclass(frozen=True, slots=True)
class File:
    """A Python file to look at."""

    path: str
    """As the user would write it: relative to the working directory, with forward slashes."""
    location: str
    """What to open."""
    module: str
    """The dotted name."""
    explicit: bool
    """Named itself, not found in a directory."""


@dataclass(frozen=True, slots=True)
class Discovery:
    files: tuple[File, ...]
    """Sorted by path, each file once."""
    failures: tuple[Failed, ...]
    """Directories that could not be read."""


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

    Raises `UserError` for a path that does not exist.
    """
    walk = _Walk(exclusion_for, layout)
    for path in paths:
        walk.add(path)
    return walk.found


def read(file: File) -> bytes | Failed:
    """The bytes of a file."""
    try:
        with open(file.location, "rb") as stream:
            return stream.read()
    except (OSError, MemoryError) as error:
        return _cannot_read(file.path, error)


def display_path(location: str) -> str:
    """A path as the user would write it: relative to the working directory, with forward slashes.

    On Windows, a path on another drive stays absolute.
    """
    try:
        shown = os.path.relpath(location)
    except ValueError:
        shown = os.path.abspath(location)
    return shown.replace(os.sep, "/")


def working_directory() -> str:
    """The working directory; raises `UserError` if it has been removed."""
    try:
        return os.getcwd()
    except OSError as error:
        raise UserError(f"the working directory cannot be read: {error.strerror}") from None


def _cannot_read(path: str, error: OSError | MemoryError) -> Failed:
    why = (error.strerror or str(error)) if isinstance(error, OSError) else "it does not fit into memory"
    return Failed(path, f"cannot be read: {why}", None)


# -- projects and packages -------------------------------------------------------------------------------------------


class Project(NamedTuple):
    """What configures a directory."""

    root: str
    """The directory of its `pyproject.toml`, or the working directory if there is none."""
    settings: Settings


@dataclass(slots=True)
class Layout:
    """Where projects and packages begin. Every directory is looked up once in the life of this object."""

    _projects: dict[str, Project] = field(default_factory=dict)
    _packages: dict[str, str] = field(default_factory=dict)

    def project(self, directory: str) -> Project:
        """What configures a directory: the nearest `pyproject.toml`, here or further up, with a `[tool.leaklint]` table.

        One without such a table hides nothing, as with ruff. Raises `ConfigError` for a mistake in the table, and for
        a file that speaks of leaklint but cannot be read.
        """
        directory = os.path.abspath(directory)
        if directory not in self._projects:
            parent = os.path.dirname(directory)
            settings = _settings(os.path.join(directory, "pyproject.toml"))
            if settings is not None:
                self._projects[directory] = Project(directory, settings)
            elif parent != directory:
                self._projects[directory] = self.project(parent)
            else:
                self._projects[directory] = Project(working_directory(), Settings.default())
        return self._projects[directory]

    def module_name(self, location: str) -> str:
        """The dotted name under which a file would be imported: packages reach up as far as `__init__.py` does."""
        directory, name = os.path.split(os.path.abspath(location))
        stem = os.path.splitext(name)[0]
        package = self._package(directory)
        if stem == "__init__":
            return package
        return f"{package}.{stem}" if package else stem

    def _package(self, directory: str) -> str:
        if directory not in self._packages:
            parent, name = os.path.split(directory)
            is_package = bool(name) and os.path.isfile(os.path.join(directory, "__init__.py"))
            above = self._package(parent) if is_package else ""
            self._packages[directory] = f"{above}.{name}".lstrip(".") if is_package else ""
        return self._packages[directory]


def _settings(pyproject: str) -> Settings | None:
    """What a `pyproject.toml` says about leaklint; None if there is no such file or it says nothing."""
    try:
        with open(pyproject, "rb") as stream:
            data = stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{display_path(pyproject)}: cannot be read: {error.strerror}") from None
    if b"leaklint" not in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{display_path(pyproject)}: not valid TOML: it is not in UTF-8") from None
    return parse_pyproject(text, origin=display_path(pyproject))


# -- patterns --------------------------------------------------------------------------------------------------------


class _Patterns:
    """Patterns in the manner of `.gitignore`, less those that are against the directory that was asked for."""

    def __init__(self, root: str, patterns: Iterable[Pattern], *, given: str) -> None:
        inside = _below(given, root)
        self._root = root
        self._spec = GitIgnoreSpec(
            pattern for pattern in patterns if not inside or pattern.match_file(f"{inside}/") is None
        )

    def verdict(self, location: str) -> bool | None:
        """True: left out; False: a negated pattern takes it back in; None: nothing is said about it.

        The location of a directory has a separator at its end.
        """
        inside = _below(location, self._root)
        return self._spec.check_file(inside).include if inside else None


def _git_patterns(path: str) -> list[Pattern]:
    """The patterns in a file of git's; like git, pass over a file that is not there and a pattern that is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            lines = stream.read().split("\n")
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            found += GitIgnoreSpec.from_lines([line]).patterns
    return found


def _exclude_patterns(exclusion: Exclusion) -> list[Pattern]:
    found = []
    for text in exclusion.patterns:
        try:
            found += GitIgnoreSpec.from_lines([text]).patterns
        except ValueError:
            raise UserError(f"`exclude`: `{text}` is not a pattern") from None
    return found


def _below(location: str, root: str) -> str | None:
    """The part of a path below a directory, with forward slashes; None if it is not below it."""
    prefix = root if root.endswith(os.sep) else root + os.sep
    return location[len(prefix) :].replace(os.sep, "/") if location.startswith(prefix) else None


def _repository(directory: str) -> str | None:
    """The root of the git repository that holds this directory."""
    while not os.path.exists(os.path.join(directory, ".git")):
        directory, inside = os.path.dirname(directory), directory
        if directory == inside:
            return None
    return directory


def _above(directory: str, top: str) -> Iterator[str]:
    """The directories from the top down to this one, the last left out."""
    if directory != top:
        parent = os.path.dirname(directory)
        yield from _above(parent, top)
        yield parent


# -- walking ---------------------------------------------------------------------------------------------------------


class _Folder(NamedTuple):
    """A directory to look into."""

    location: str
    real: str
    """The same without symbolic links."""
    shown: str
    """What the display path of a file in it begins with."""
    ignore: tuple[_Patterns, ...]
    """What git ignores, from the root of the repository downwards."""


class _Candidate(NamedTuple):
    """A file, and by how it was reached: of several ways to one file, the least is kept."""

    in_folder: bool
    is_link: bool
    path: str
    location: str


class _Walk:
    """What was found below some paths."""

    def __init__(self, exclusion_for: Callable[[str], Exclusion], layout: Layout) -> None:
        self._exclusion_for = exclusion_for
        self._layout = layout
        self._found: dict[str, _Candidate] = {}
        self._failures: dict[str, Failed] = {}

    @property
    def found(self) -> Discovery:
        files = (
            File(each.path, each.location, self._layout.module_name(each.location), explicit=not each.in_folder)
            for each in self._found.values()
        )
        return Discovery(tuple(sorted(files, key=lambda file: file.path)), tuple(self._failures.values()))

    def add(self, path: str) -> None:
        """Take a path that was given: a file, or a directory with all that is in it."""
        location = _absolute(path)
        if _is_directory(path):
            self._walk(location)
        else:
            self._take(os.path.realpath(location), _Candidate(False, False, display_path(location), location))

    def _take(self, real: str, candidate: _Candidate) -> None:
        self._found[real] = min(candidate, self._found.get(real, candidate))

    def _walk(self, given: str) -> None:
        excluded: dict[Exclusion, _Patterns] = {}
        folders = [self._given(given)]
        while folders:
            folder = folders.pop()
            exclusion = self._exclusion_for(folder.location)
            if exclusion not in excluded:
                excluded[exclusion] = _Patterns(exclusion.root, _exclude_patterns(exclusion), given=given)
            own = _git_patterns(os.path.join(folder.location, ".gitignore"))
            ignore = (*folder.ignore, _Patterns(folder.location, own, given=given)) if own else folder.ignore
            for entry in self._entries(folder):
                is_folder = _is_folder(entry)
                location = os.path.join(folder.location, entry.name)
                wanted = entry.name not in DEFAULT_EXCLUDE if is_folder else _is_python(entry)
                name = location + os.sep if is_folder else location
                if not wanted or excluded[exclusion].verdict(name) or _is_ignored(name, ignore):
                    continue
                real = os.path.join(folder.real, entry.name)
                shown = folder.shown + entry.name
                if is_folder:
                    folders.append(_Folder(location, real, f"{shown}/", ignore))
                elif entry.is_symlink():
                    self._take(os.path.realpath(location), _Candidate(True, True, shown, location))
                else:
                    self._take(real, _Candidate(True, False, shown, location))

    def _given(self, location: str) -> _Folder:
        """The directory to begin with: what git ignores in it is also said further up, as far as the repository goes."""
        shown = display_path(location)
        ignore: list[_Patterns] = []
        if root := _repository(location):
            ignore.append(_Patterns(root, _git_patterns(os.path.join(root, ".git", "info", "exclude")), given=location))
            for directory in _above(location, root):
                patterns = _git_patterns(os.path.join(directory, ".gitignore"))
                ignore.append(_Patterns(directory, patterns, given=location))
        prefix = "" if shown == "." else shown if shown.endswith("/") else f"{shown}/"
        return _Folder(location, os.path.realpath(location), prefix, tuple(ignore))

    def _entries(self, folder: _Folder) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder.location) as entries:
                return list(entries)
        except OSError as error:
            path = folder.shown.rstrip("/") or "."
            self._failures[folder.real] = _cannot_read(path, error)
            return []


def _is_ignored(location: str, ignore: tuple[_Patterns, ...]) -> bool:
    """Whether git ignores it: the last word is with the patterns furthest down."""
    verdicts = (patterns.verdict(location) for patterns in reversed(ignore))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory itself, no link to one. (A junction is a link of Windows', known since Python 3.12.)"""
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_dir(follow_symlinks=False) and not (is_junction and is_junction())


def _is_python(entry: os.DirEntry[str]) -> bool:
    """Whether it is called like a Python file and is a file, or a link to one: no pipe, no broken link."""
    return entry.name.endswith(SUFFIXES) and os.path.isfile(entry.path)


# -- given paths -----------------------------------------------------------------------------------------------------


def _absolute(path: str) -> str:
    """The absolute path. `link/..` is where the link leads, not where it stands: such links are resolved."""
    if os.pardir in re.split(r"[\\/]", path):
        directory, name = os.path.split(path)
        return os.path.realpath(path) if name in ("", os.pardir) else os.path.join(os.path.realpath(directory), name)
    return os.path.abspath(path)


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
    """The path with its first name that does not exist replaced by the nearest that does."""
    parent, name = os.path.split(path.rstrip("/" + os.sep))
    if not name:
        return None
    if parent and not os.path.isdir(parent):
        better = _nearest(parent)
        return better and next((full for full in [os.path.join(better, name)] if os.path.exists(full)), better)
    try:
        found = difflib.get_close_matches(name, sorted(os.listdir(parent or os.curdir)), n=1)
    except OSError:
        return None
    return os.path.join(parent, found[0]) if found else None
