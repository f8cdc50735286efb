"""What a project asks for in its `pyproject.toml`: the oldest AnyIO and the oldest Python that it allows.

Only the oldest matters, so specifiers are read as far as they say it: those of packaging
(https://packaging.python.org/en/latest/specifications/version-specifiers/) and those of Poetry
(https://python-poetry.org/docs/dependency-specification/).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Release", "Requirements", "parse_requirements"]

Release = tuple[int, ...]

ANY: Release = (0,)
"""What is allowed without a lower bound."""


class Requirements(NamedTuple):
    """What a project asks for."""

    anyio: Release | None = None
    """The oldest AnyIO that it allows, `(0,)` if there is no bound; None if it does not depend on AnyIO."""
    python: Release | None = None
    """The oldest Python that it allows; None if it does not say."""
    listed: bool = False
    """Whether its dependencies stand here, so that one can be added here."""


def parse_requirements(text: str) -> Requirements | None:
    """What the text of a `pyproject.toml` asks for; None where it describes no project, or is not TOML."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    project, poetry = _table(document, "project"), _table(document, "tool", "poetry")
    if project is None and poetry is None:
        return None
    standard = _of_project(project or {})
    older = _of_poetry(_table(poetry or {}, "dependencies") or {})
    return Requirements(
        _first(standard.anyio, older.anyio), _first(standard.python, older.python), standard.listed or older.listed
    )


def _of_project(project: Mapping[str, Any]) -> Requirements:
    """By the table `[project]`. What is asked for in an extra is no dependency."""
    given, python, dynamic = project.get("dependencies"), project.get("requires-python"), project.get("dynamic")
    found = [_specifier(each) for each in given if isinstance(each, str)] if isinstance(given, list) else []
    elsewhere = isinstance(dynamic, list) and "dependencies" in dynamic
    return Requirements(
        _least(_bound(each) for each in found if each is not None),
        _bound(python) if isinstance(python, str) else None,
        bool(project) and not elsewhere,
    )


def _of_poetry(dependencies: Mapping[str, Any]) -> Requirements:
    """By the table `[tool.poetry.dependencies]`, in which Python stands, too."""
    by_name = {_normal(name): value for name, value in dependencies.items()}
    python = by_name.get("python")
    return Requirements(
        _least(_bound(each) for each in _versions(by_name.get("anyio"))),
        _bound(python) if isinstance(python, str) else None,
        bool(dependencies),
    )


def _versions(value: object) -> list[str]:
    """The versions in a dependency of Poetry: a text, a table, or several of these."""
    if isinstance(value, list):
        return [version for each in value for version in _versions(each)]
    if isinstance(value, dict):
        return [] if value.get("optional") is True else [str(value.get("version", "*"))]
    return [] if value is None else [str(value)]


REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?P<specifier>[^;]*)")


def _specifier(requirement: str) -> str | None:
    """What a requirement says of the version of AnyIO; None if it is about something else."""
    match = REQUIREMENT.match(requirement)
    return match["specifier"] if match and _normal(match["name"]) == "anyio" else None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


CLAUSE = re.compile(r"\s*(?P<operator>===|==|~=|>=|<=|!=|>|<|\^|~|=|)\s*v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)")
BOUNDING = frozenset({"===", "==", "~=", ">=", ">", "^", "~", "=", ""})


def _bound(specifier: str) -> Release:
    """The oldest release that a specifier allows, or the oldest of those that it is a choice between."""
    return _least(_bound_of_all(each) for each in specifier.strip().strip("()").split("||")) or ANY


def _bound_of_all(specifier: str) -> Release:
    clauses = filter(None, (CLAUSE.match(clause) for clause in re.split(r",|(?<=[\w*])\s+(?=[<>=!~^])", specifier)))
    found = [_release(clause["release"]) for clause in clauses if clause["operator"] in BOUNDING]
    return max(found, default=ANY)


def _release(text: str) -> Release:
    return tuple(map(int, text.split(".")))


def _least(releases: Iterable[Release]) -> Release | None:
    return min(releases, default=None)


def _first(one: Release | None, other: Release | None) -> Release | None:
    return other if one is None else one


def _table(document: Mapping[str, Any], *path: str) -> Mapping[str, Any] | None:
    for key in path:
        value = document.get(key)
        if not isinstance(value, dict):
            return None
        document = value
    return document
