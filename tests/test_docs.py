"""What the documentation says is what the tool does."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from doctest import DocTestParser, DocTestRunner
from pathlib import Path

import pytest
from examples import FIXTURES, ROOT

from leaklint.rules import all_rules

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
INSTALL = re.compile(
    r"\b(?:pipx? (?:install|run)|uvx|uv (?:add|pip install|tool install)|poetry add)\b[^\n&|;`]*\bleaklint\b(?!-async)"
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in this language."""
    return [body for name, body in BLOCK.findall(text) if name == language]


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_console_blocks_show_what_the_tool_prints(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shutil.copytree(FIXTURES, tmp_path / "fixtures")
    for block in blocks(text, "python"):
        if named := re.match(r"# (\w+\.py)\n", block):
            (tmp_path / named[1]).write_text(block, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    for block in blocks(text, "console"):
        command, _, shown = block.partition("\n")
        arguments = shlex.split(command.removeprefix("$ leaklint "))
        run = [sys.executable, "-m", "leaklint", *arguments]
        done = subprocess.run(run, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=False)
        assert (done.returncode, done.stdout.decode()) == (1, shown)


def test_the_readme_shows_the_tool_at_work() -> None:
    assert [block.split("\n")[0] for block in blocks(README, "console")] == ["$ leaklint check shop.py"]


def test_examples_for_python_give_what_they_show() -> None:
    (session,) = blocks(README, "pycon")
    test = DocTestParser().get_doctest(session, {}, "README.md", "README.md", 0)
    result = DocTestRunner().run(test)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_the_readme_has_two_commands_to_start_with_and_ci_runs_both() -> None:
    commands = [block.strip() for block in blocks(README, "") if block.startswith("python3 -m venv")]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").split("\n")
    assert len(commands) == 2
    assert [command for command in commands if any(line.startswith(command) for line in ci)] == commands


def test_the_pages_of_the_rules_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate_rules.py"))["pages"]()
    committed = {page.name: page.read_bytes().decode() for page in (ROOT / "docs" / "rules").iterdir()}
    assert committed == pages


def test_the_tables_of_the_fixes_are_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_fixes.py"))["page"]()
    assert (ROOT / "docs" / "fixes.md").read_text(encoding="utf-8") == page


def test_the_changelog_names_every_rule() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [rule.code for rule in all_rules() if f"{rule.name} ({rule.code})" not in changelog] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_nobody_is_told_to_install_the_project_of_somebody_else() -> None:
    sources = [*PAGES, *(ROOT / "leaklint").rglob("*.py"), ROOT / ".pre-commit-hooks.yaml"]
    assert [page_name(each) for each in sources if INSTALL.search(each.read_text(encoding="utf-8"))] == []
