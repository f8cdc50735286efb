"""What a project asks for in its `pyproject.toml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaklint.adapters.projects import Declared, Layout
from leaklint.policy.requirements import Release, Requirements, parse_requirements


def asked(text: str) -> Requirements:
    found = parse_requirements(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("requirement", "release"),
    [
        ("anyio", (0,)),
        ("anyio>=4.4", (4, 4)),
        ("anyio >= 4.4, < 5", (4, 4)),
        ("anyio<5,>=4.4.1", (4, 4, 1)),
        ("AnyIO[trio]~=4.2", (4, 2)),
        ("anyio==4.*", (4,)),
        ("anyio==4.11.0", (4, 11, 0)),
        ("anyio===4.11", (4, 11)),
        ("anyio>4.3", (4, 3)),
        ("anyio>=4.15.0rc1", (4, 15, 0)),
        ("anyio (>=4.4)", (4, 4)),
        ("anyio!=4.5", (0,)),
        ("anyio<5", (0,)),
        ("anyio<=4.5", (0,)),
        ("anyio>=v4.4", (4, 4)),
        ('anyio>=4.4; python_version >= "3.10"', (4, 4)),
        ("anyio @ git+https://example.org/anyio@4.9", (0,)),
        ("anyio-extras>=9", None),
        ("trio>=0.25", None),
        ("", None),
    ],
)
def test_a_requirement(requirement: str, release: Release | None) -> None:
    assert asked(f"[project]\ndependencies = ['{requirement}']\n").anyio == release


@pytest.mark.parametrize(
    ("dependency", "release"),
    [
        ('"^4.2"', (4, 2)),
        ('"~4.2.1"', (4, 2, 1)),
        ('"*"', (0,)),
        ('"4.*"', (4,)),
        ('"4.2"', (4, 2)),
        ('">=4.2,<5"', (4, 2)),
        ('">=4.2 <5"', (4, 2)),
        ('"^4.2 || ^3.7"', (3, 7)),
        ('{ version = "^4.2", extras = ["trio"] }', (4, 2)),
        ('{ version = "^4.2", optional = true }', None),
        ('{ git = "https://example.org/anyio" }', (0,)),
        ('[{ version = "^4.2", python = ">=3.10" }, { version = "^3.7", python = "<3.10" }]', (3, 7)),
    ],
)
def test_a_dependency_of_poetry(dependency: str, release: Release | None) -> None:
    assert asked(f"[tool.poetry.dependencies]\nanyio = {dependency}\n") == Requirements(release, None, listed=True)


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ('[project]\nrequires-python = ">=3.9"\n', Requirements(None, (3, 9), listed=True)),
        ('[project]\nrequires-python = ">=3.10,<4"\ndependencies = []\n', Requirements(None, (3, 10), listed=True)),
        ('[project]\nname = "a"\ndynamic = ["dependencies"]\n', Requirements()),
        ('[project]\nname = "a"\ndynamic = ["version"]\n', Requirements(listed=True)),
        ('[tool.poetry]\nname = "a"\n', Requirements()),
        ('[tool.poetry.dependencies]\npython = "^3.11"\n', Requirements(None, (3, 11), listed=True)),
        ('[project]\ndependencies = ["anyio>=4.4", "anyio>=4.1"]\n', Requirements((4, 1), None, listed=True)),
        ('[project]\noptional-dependencies.net = ["anyio>=4.4"]\n', Requirements(listed=True)),
        ('[project]\ndependencies = ["anyio>=4.4"]\n[tool.poetry]\n', Requirements((4, 4), None, listed=True)),
        ('[project]\ndependencies = "anyio"\nrequires-python = 3\n', Requirements(listed=True)),
        ("[project]\ndependencies = [1, {}]\n", Requirements(listed=True)),
    ],
)
def test_a_project(text: str, requirements: Requirements) -> None:
    assert parse_requirements(text) == requirements


@pytest.mark.parametrize("text", ["", "[tool.black]\n", "project = 1\n", "[project\n", "[tool]\npoetry = 1\n"])
def test_no_project(text: str) -> None:
    assert parse_requirements(text) is None


def test_the_nearest_project_counts_within_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["anyio>=4.1"]\n')
    inner, other = tmp_path / "packages" / "a", tmp_path / "other"
    (inner / "src").mkdir(parents=True)
    (other / ".git").mkdir(parents=True)
    (tmp_path / "packages" / "pyproject.toml").write_text("[tool.black]\n")
    layout = Layout()
    assert layout.declared(inner / "src") == Declared("pyproject.toml", Requirements((4, 1), None, listed=True))
    assert layout.declared(other) == Declared(None, Requirements())
    (inner / "pyproject.toml").write_bytes(b'[project]\ndependencies = ["anyio>=4.2"] # \xff\n')
    assert Layout().declared(inner / "src").path == "pyproject.toml"
    (inner / "pyproject.toml").write_bytes(b'\xef\xbb\xbf[project]\ndependencies = ["anyio>=4.2"]\n')
    assert Layout().declared(inner / "src") == Declared(
        "packages/a/pyproject.toml", Requirements((4, 2), None, listed=True)
    )
