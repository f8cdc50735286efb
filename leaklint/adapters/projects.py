"""Where projects and packages begin: what configures a directory, and the dotted name of a module."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leaklint.model.errors import UserError
from leaklint.policy.config import ConfigError, Settings, parse_pyproject

__all__ = ["Layout", "Project", "display_path", "working_directory"]


class Project(NamedTuple):
    """What configures a directory."""

    root: Path
    """The directory of its `pyproject.toml`, or the working directory if there is none."""
    settings: Settings


@dataclass(slots=True)
class Layout:
    """Where projects and packages begin. Every directory is looked at once in the life of this object."""

    _projects: dict[Path, Project] = field(default_factory=dict)
    _packages: dict[Path, str] = field(default_factory=dict)

    def project(self, directory: Path) -> Project:
        """What configures a directory (an absolute path).

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

    def module_name(self, location: Path) -> str:
        """The dotted name of the module in a file (an absolute path): a package reaches up as far as `__init__.py`."""
        package = self._package(location.parent)
        if location.stem == "__init__":
            return package or location.parent.name
        return f"{package}.{location.stem}" if package else location.stem

    def _package(self, directory: Path) -> str:
        if directory not in self._packages:
            is_package = (directory / "__init__.py").is_file() and directory.name
            above = self._package(directory.parent) if is_package else ""
            self._packages[directory] = f"{above}.{directory.name}".lstrip(".") if is_package else ""
        return self._packages[directory]


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
