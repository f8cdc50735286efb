"""The Python API: what `leaklint` offers, what it loads, and what its functions give back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import leaklint
from leaklint import Diagnostic, Fate, Level, Span

DROPPED = """\
import asyncio


async def main() -> None:
    asyncio.create_task(asyncio.sleep(1))
"""

JOINED = """\
import asyncio


async def main() -> None:
    task = asyncio.create_task(asyncio.sleep(1))
    await task
"""


def codes(checked: leaklint.Checked | leaklint.Run) -> list[str]:
    return [found.code for found in checked.diagnostics]


# -- the module ----------------------------------------------------------------------------------------------------


def test_import_loads_next_to_nothing() -> None:
    """Without `site`, so that nothing else has loaded anything before."""
    heavy = {"anyio", "ast", "asyncio", "click", "dataclasses", "inspect", "libcst", "pathlib", "rich", "tokenize"}
    script = "import sys, leaklint; print(*sorted(sys.modules))"
    home = Path(leaklint.__file__).parents[1]
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=home, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if name.partition(".")[0] == "leaklint"] == ["leaklint"]
    assert heavy.intersection(loaded) == set()


def test_all_names_exist_and_nothing_else_is_public() -> None:
    assert [name for name in leaklint.__all__ if not hasattr(leaklint, name)] == []
    assert len(set(leaklint.__all__)) == len(leaklint.__all__)
    here = {name for name, value in vars(leaklint).items() if getattr(value, "__module__", None) == "leaklint"}
    assert {name for name in here if not name.startswith("_")} == {"check_source", "check_paths", "explain"}
    assert set(leaklint.__all__) <= set(dir(leaklint))


def test_values_are_those_of_the_model() -> None:
    from leaklint.model import diagnostic

    assert leaklint.Diagnostic is diagnostic.Diagnostic
    assert "Diagnostic" in vars(leaklint)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError) as error:
        leaklint.__getattr__("fix")
    assert str(error.value) == "module 'leaklint' has no attribute 'fix'"


def test_version_is_that_of_the_changelog() -> None:
    assert leaklint.__version__.count(".") == 2


# -- check_source --------------------------------------------------------------------------------------------------


def test_check_source() -> None:
    checked = leaklint.check_source(DROPPED, path="pkg/mod.py")
    (found,) = checked.diagnostics
    assert found == Diagnostic(
        path="pkg/mod.py",
        span=Span(5, 5, 5, 42),
        code="LK101",
        name="dropped-task",
        level=Level.ERROR,
        message=found.message,
        label="spawned here",
        help=found.help,
        evidence=found.evidence,
    )
    assert [(entry.task.fate, entry.rule, entry.task.path) for entry in checked.tasks] == [
        (Fate.DROPPED, "LK101", "pkg/mod.py")
    ]
    assert checked.path == "pkg/mod.py"


def test_source_without_a_spawn_is_checked() -> None:
    assert leaklint.check_source("print(1)\n") == leaklint.Checked("<string>", diagnostics=(), tasks=())


def test_strict_lists_what_is_waited_for_by_hand() -> None:
    assert codes(leaklint.check_source(JOINED)) == []
    assert codes(leaklint.check_source(JOINED, strict=True)) == ["LK106"]
    assert leaklint.check_source(JOINED).waited_by_hand == 1


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (["LK101"], None, ["LK101"]),
        ("LK101", None, ["LK101"]),
        (["dropped-task", "LK0"], None, ["LK101"]),
        (["LK102"], None, []),
        (None, ["LK1"], []),
        (None, "dropped-task", []),
        (["ALL"], ["LK101"], []),
    ],
)
def test_selectors(select: list[str] | str | None, ignore: list[str] | str | None, expected: list[str]) -> None:
    assert codes(leaklint.check_source(DROPPED, select=select, ignore=ignore)) == expected


def test_unknown_selector() -> None:
    with pytest.raises(leaklint.UserError) as error:
        leaklint.check_source(DROPPED, select=["droped-task"])
    assert str(error.value) == "`select`: unknown rule `droped-task`, did you mean `dropped-task`?"


@pytest.mark.parametrize("cookie", ["", "# coding: latin-1\n", "# coding: utf-8\n", "\ufeff"])
def test_text_is_read_as_it_is_whatever_its_coding_comment_says(cookie: str) -> None:
    source = cookie + DROPPED.replace("    asyncio.create", "    'é'; asyncio.create")
    (found,) = leaklint.check_source(source).diagnostics
    assert (found.code, found.span.column) == ("LK101", 10)


@pytest.mark.parametrize(
    "source",
    ["def\n", "x = '\udc80'\n", "# coding: latin-1\nx = '\u20ac' +\n", "# coding: nonsense\n", "x = 1\0\n", b"\xff\n"],
)
def test_source_that_cannot_be_read(source: str | bytes) -> None:
    assert codes(leaklint.check_source(source)) == ["LK001"]


# -- check_paths ---------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(DROPPED, encoding="utf-8")
    (tmp_path / "b.py").write_text(JOINED, encoding="utf-8")
    (tmp_path / "c.py").write_text("print(1)\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.leaklint]\nstrict = true\n", encoding="utf-8")
    return tmp_path


def test_check_paths(project: Path) -> None:
    run = leaklint.check_paths(["."])
    assert [(type(outcome).__name__, outcome.path) for outcome in run.outcomes] == [
        ("Checked", "a.py"),
        ("Checked", "b.py"),
        ("Skipped", "c.py"),
    ]
    assert [(found.path, found.code) for found in run.diagnostics] == [("a.py", "LK101"), ("b.py", "LK106")]
    assert leaklint.check_paths([project]) == run
    assert leaklint.check_paths(".", jobs=1) == run


def test_options_override_the_configuration(project: Path) -> None:
    assert codes(leaklint.check_paths([project], strict=False)) == ["LK101"]
    assert codes(leaklint.check_paths([project], isolated=True)) == ["LK101"]
    assert codes(leaklint.check_paths([project], ignore=["dropped-task"])) == ["LK106"]
    assert codes(leaklint.check_paths([project], exclude=["a.py"])) == ["LK106"]


def test_the_rest_of_the_project_is_read_unless_files_are_isolated(project: Path) -> None:
    (project / "c.py").write_text("import a\n", encoding="utf-8")
    run, alone = (leaklint.check_paths(["a.py"], isolated_files=isolated) for isolated in (False, True))
    assert run == alone
    assert (list(run.lines_of("c.py")), list(alone.lines_of("c.py"))) == (["import a", ""], [])


def test_missing_path(project: Path) -> None:
    with pytest.raises(leaklint.UserError):
        leaklint.check_paths([project / "missing.py"])


# -- explain -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["LK101", "lk101", "dropped-task"])
def test_explain(rule: str) -> None:
    found = leaklint.explain(rule)
    assert (found.code, found.name) == ("LK101", "dropped-task")
    assert found.documentation.startswith("A task whose handle nobody keeps.\n\n## What it does\n")


@pytest.mark.parametrize(
    ("rule", "message"),
    [("LK11", "unknown rule `LK11`, did you mean `LK101`?"), ("E501", "unknown rule `E501`")],
)
def test_explain_unknown_rule(rule: str, message: str) -> None:
    with pytest.raises(leaklint.UserError) as error:
        leaklint.explain(rule)
    assert str(error.value) == message
