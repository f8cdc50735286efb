"""Where projects and packages begin: what configures a directory, and the dotted name of a module."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leaklint.model.errors import UserError
from leaklint.policy.config import ConfigError, Settings, parse_pyproject
from leaklint.policy.requirements import Requirements, parse_requirements

__all__ = [
    "MARKERS",
    "Declared",
    "Layout",
    "Project",
    "below",
    "display_path",
    "dotted",
    "without_suffix",
    "working_directory",
]

MARKERS = frozenset({".git", "pyproject.toml"})
"""What stands in the directory in which a project begins."""


class Project(NamedTuple):
    """What configures a directory."""

    root: Path
    """The directory of its `pyproject.toml`, or the working directory if there is none."""
    settings: Settings


class Declared(NamedTuple):
    """What the project around a directory asks for."""

    path: str | None
    """The `pyproject.toml` that says so, as the user would write it."""
    requirements: Requirements


@dataclass(slots=True)
class Layout:
    """Where projects and packages begin. Every directory (an absolute path) is looked at once in the life of this."""

    _projects: dict[Path, Project] = field(default_factory=dict)
    _roots: dict[str, str | None] = field(default_factory=dict)
    _packages: dict[str, str | None] = field(default_factory=dict)
    _declared: dict[Path, Declared] = field(default_factory=dict)

    def project(self, directory: Path) -> Project:
        """What configures a directory.

        That is the nearest `pyproject.toml`, here or further up, with a `[tool.leaklint]` table; one without such a
        table hides nothing, as with ruff. Raises `ConfigError` for a mistake in the table, and for a file that cannot
        be read, or speaks of leaklint but is not TOML.
        """
        if directory not in self._projects:
            settings = _settings(directory / "pyproject.toml")
            if settings is not None:
                self._projects[directory] = Project(directory, settings)
            elif directory != directory.parent:
                self._projects[directory] = self.project(directory.parent)
            else:
                self._projects[directory] = Project(working_directory(), Settings.default())
        return self._projects[directory]

    def declared(self, directory: Path) -> Declared:
        """What the project around a directory asks for.

        That is the nearest `pyproject.toml` that describes a project, here or further up within the repository. One
        that cannot be read, or is not TOML, asks for nothing.
        """
        if directory not in self._declared:
            pyproject = directory / "pyproject.toml"
            found = _requirements(pyproject)
            if found is not None:
                self._declared[directory] = Declared(display_path(pyproject), found)
            elif directory == directory.parent or (directory / ".git").exists():
                self._declared[directory] = Declared(None, Requirements())
            else:
                self._declared[directory] = self.declared(directory.parent)
        return self._declared[directory]

    def root(self, directory: str) -> str | None:
        """The directory in which the project around a directory begins: the nearest with a marker; None without one."""
        if directory not in self._roots:
            parent = os.path.dirname(directory)
            if parent == directory:  # a marker there would make one project of all that the machine holds
                self._roots[directory] = None
            elif any(os.path.exists(os.path.join(directory, marker)) for marker in MARKERS):
                self._roots[directory] = directory
            else:
                self._roots[directory] = self.root(parent)
        return self._roots[directory]

    def package(self, directory: str) -> str | None:
        """The topmost package around a directory: packages reach up as far as `__init__.py`; None if it is in none."""
        if directory not in self._packages:
            parent, name = os.path.split(directory)
            is_package = name and os.path.isfile(os.path.join(directory, "__init__.py"))
            self._packages[directory] = (self.package(parent) or directory) if is_package else None
        return self._packages[directory]

    def tree(self, location: str) -> str:
        """What is imported as one from outside and holds this file: its topmost package, or the module that it is.

        Given as a path without suffix.
        """
        return self.package(os.path.dirname(location)) or without_suffix(location)

    def module_name(self, location: str) -> str:
        """The dotted name of the module in a file."""
        tree = self.tree(location)
        return dotted(os.path.basename(tree), without_suffix(location), tree)


def dotted(name: str, path: str, tree: str) -> str:
    """The dotted name of the module with this path (without suffix), in a tree that has this name."""
    inside = below(path, tree)
    return ".".join([name, *inside.split("/")]) if inside else name


def below(location: str, root: str) -> str | None:
    """The part of a path below a directory, with forward slashes; None if it is not below it."""
    prefix = root if root.endswith(os.sep) else root + os.sep
    return location[len(prefix) :].replace(os.sep, "/") if location.startswith(prefix) else None


def without_suffix(location: str) -> str:
    """The path that a module is imported by: a package by its directory."""
    stem = os.path.splitext(location)[0]
    return os.path.dirname(stem) if os.path.basename(stem) == "__init__" else stem


def display_path(location: str | Path) -> str:
    """A path as the user would write it: relative to the working directory, with forward slashes.

    On Windows, a path on another drive stays absolute.
    """
    try:
        return os.path.relpath(location, working_directory()).replace(os.sep, "/")
    except ValueError:
        return Path(location).absolute().as_posix()


def working_directory() -> Path:
    """The working directory; raises `UserError` if it has been removed."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UserError(f"the working directory cannot be read: {error.strerror}") from None


def _settings(pyproject: Path) -> Settings | None:
    """What a `pyproject.toml` says about leaklint; None if there is no such file or it says nothing."""
    try:
        data = pyproject.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{display_path(pyproject)}: cannot be read: {error.strerror}") from None
    if b"leaklint" not in data:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{display_path(pyproject)}: not valid TOML: it is not in UTF-8") from None
    return parse_pyproject(text, origin=display_path(pyproject))


def _requirements(pyproject: Path) -> Requirements | None:
    """What a `pyproject.toml` asks for; None if there is no such file or it describes no project."""
    try:
        return parse_requirements(pyproject.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return None
