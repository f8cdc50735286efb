"""What fixes write satisfies other tools: flake8-async, ruff and mypy complain of nothing that was not there before."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from repairs import Repair, name_of, repairs

CODES = "ASYNC101,ASYNC111,ASYNC112,ASYNC119,ASYNC121"
"""Task groups: `yield` in one, a variable that is closed too early, one child only, `yield` in a context, `return`."""
KINDS = ("before", "safe", "all")

Complaints = dict[str, Counter[str]]
"""What a tool says of the programs, by the names of their cases: each complaint without its line."""


def files_of(repair: Repair, kind: str) -> dict[str, bytes]:
    """The files of a case, by path: as they are, or after the safe fixes, or after all."""
    files = {each.path: each.data for each in repair.inputs}
    if kind != "before":
        files |= {each.path: each.after for each in repair.fixed(unsafe=kind == "all").rewritten}
    return files


@cache
def written(kind: str, root: Path) -> Path:
    """A directory with a package for each case that is changed."""
    kinds = ("safe", "all") if kind == "before" else (kind,)
    for number, repair in enumerate(repairs()):
        if not any(repair.fixed(unsafe=each == "all").rewritten for each in kinds):
            continue
        for path, data in files_of(repair, kind).items():
            file = root / kind / package(number) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    return root / kind


def package(number: int) -> str:
    return f"case{number}"


def by_case(lines: Iterable[tuple[str, str]], directory: Path) -> Complaints:
    """Complaints by case; `lines` are pairs of a path and what is said of it."""
    names = {package(number): name_of(repair) for number, repair in enumerate(repairs())}
    found: Complaints = {name: Counter() for name in names.values()}
    for path, text in lines:
        parts = Path(path).absolute().relative_to(directory).parts
        found[names[parts[0]]][f"{'/'.join(parts[1:])}: {text}"] += 1
    return found


def run(*command: str, cwd: Path) -> str:
    return subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True, cwd=cwd).stdout


@cache
def functions(path: Path) -> list[tuple[range, str]]:
    """The lines of the functions of a file, the outer ones first."""
    tree = ast.parse(path.read_bytes())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(range(node.lineno, (node.end_lineno or node.lineno) + 1), node.name) for node in found]


def placed(code: str, path: Path, line: int) -> str:
    """A complaint of a linter by its code and function: its text names what a fix may write in another way."""
    around = [name for lines, name in functions(path) if line in lines]
    return f"{code} in {around[-1] if around else 'the module'}"


def flake8(directory: Path) -> Iterator[tuple[str, str]]:
    style = "--format=%(path)s\t%(row)d\t%(code)s"
    for found in run("flake8", "--isolated", f"--select={CODES}", style, ".", cwd=directory).splitlines():
        path, line, code = found.split("\t")
        yield str(directory / path), placed(code, directory / path, int(line))


def ruff(directory: Path) -> Iterator[tuple[str, str]]:
    options = ("--isolated", "--no-cache", "--output-format=json")
    for found in json.loads(run("ruff", "check", *options, ".", cwd=directory)):
        path = Path(found["filename"])
        yield str(path), placed(found["code"], path, found["location"]["row"])


def mypy(directory: Path) -> Iterator[tuple[str, str]]:
    """One run over everything; what is not annotated is checked, too."""
    options = ("--config-file=", "--no-incremental", "--check-untyped-defs", "--explicit-package-bases")
    output = run("mypy", *options, "--hide-error-context", "--no-error-summary", ".", cwd=directory)
    for line in output.splitlines():
        if match := re.match(r"(.+?):\d+: error: (.*)", line):
            yield str(directory / match[1]), match[2]


TOOLS = {"flake8": flake8, "ruff": ruff, "mypy": mypy}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fixes")


@cache
def said_by(tool: str, kind: str, root: Path) -> Complaints:
    directory = written(kind, root)
    return by_case(TOOLS[tool](directory), directory)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", ["safe", "all"])
def test_no_new_complaint(tool: str, kind: str, root: Path) -> None:
    before, after = said_by(tool, "before", root), said_by(tool, kind, root)
    new = {name: list((after[name] - before[name]).elements()) for name in after if after[name] - before[name]}
    assert new == {}, "\n".join(f"{name}: {text}" for name, texts in new.items() for text in texts)


def test_the_tools_complain(tmp_path: Path) -> None:
    source = """\
import os
import anyio

async def child() -> int:
    return "text"

async def f():
    async with anyio.create_task_group() as tg:
        tg.start_soon(child)

async def g():
    async with anyio.create_task_group() as tg:
        tg.start_soon(child)
        await anyio.sleep(1)
        yield 1
"""
    (tmp_path / "m.py").write_text(source)
    said = {tool: {text.split()[0] for _, text in check(tmp_path)} for tool, check in TOOLS.items()}
    assert {"ASYNC112", "ASYNC119"} <= said["flake8"]
    assert "F401" in said["ruff"]
    assert said["mypy"] == {"Incompatible"}
