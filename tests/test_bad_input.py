"""Input that nobody writes by hand: nested thousands deep, megabytes long. Every file gets a verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import leaklint

SPAWN = "asyncio.create_task(f())"
DEEP = 5000


def blocks(header: str, depth: int) -> str:
    """Blocks in blocks, with a spawn in the innermost."""
    return "\n".join([*(" " * level + header for level in range(depth)), " " * depth + SPAWN])


NESTED = {
    "parentheses": f"x = {'(' * DEEP}{SPAWN}{')' * DEEP}",
    "lists": f"x = {'[' * DEEP}{SPAWN}{']' * DEEP}",
    "dicts": f"x = {'{1: ' * DEEP}{SPAWN}{'}' * DEEP}",
    "calls": f"x = {'f(' * DEEP}{SPAWN}{')' * DEEP}",
    "unclosed": f"x = {'(' * DEEP}{SPAWN}",
    "not": f"x = {'not ' * DEEP}{SPAWN}",
    "minus": f"x = {'-' * DEEP}{SPAWN}",
    "lambdas": f"x = {'lambda: ' * DEEP}{SPAWN}",
    "conditionals": f"x = {'a if b else ' * DEEP}{SPAWN}",
    "walrus": f"x = {'(a := ' * DEEP}{SPAWN}{')' * DEEP}",
    "powers": f"x = {'a ** ' * DEEP}{SPAWN}",
    "sums": f"x = {'a + ' * DEEP}{SPAWN}",
    "comparisons": f"x = {'a < ' * DEEP}{SPAWN}",
    "or": f"x = {'a or ' * DEEP}{SPAWN}",
    "and-or": f"x = {'a or b and ' * DEEP}{SPAWN}",
    "attributes": f"x = a{'.b' * DEEP}; {SPAWN}",
    "methods": f"x = a{'.b()' * DEEP}; {SPAWN}",
    "subscripts": f"x = a{'[0]' * DEEP}; {SPAWN}",
    "comprehension": f"[{SPAWN} for a in b{' for a in b' * DEEP}]",
    "comprehensions": f"x = {'[' * 90}{SPAWN}{' for a in b]' * 90}",
    "f-string": f"x = f'{'{a}' * DEEP}'; {SPAWN}",
    "f-string-formats": f"x = f'{'{a:' * DEEP}{'}' * DEEP}'; {SPAWN}",
    "f-strings": "x = " + 'f"{' * DEEP + "a" + '}"' * DEEP + f"; {SPAWN}",
    "if": blocks("if x:", DEEP),
    "for": blocks("for x in y:", DEEP),
    "if-95": blocks("if x:", 95),
    "with-19": blocks("with x:", 19),
    "functions-95": blocks("async def g():", 95),
    "elif": "if x: pass\n" + "elif x: pass\n" * DEEP + SPAWN,
    "decorators": "@d\n" * DEEP + f"def g(): {SPAWN}",
    "annotation": f"def g(x: '{'(' * DEEP}a{')' * DEEP}'): {SPAWN}",
    "patterns": f"match x:\n case {'[' * 90}a{']' * 90}: {SPAWN}",
    "stars": "from m import *\n" * DEEP + "".join(f"n{number}()\n" for number in range(DEEP)) + SPAWN,
}


def test_every_nested_file_gets_a_verdict(tmp_path: Path) -> None:
    """In a process of its own: the parser of some Python might crash."""
    for name, text in NESTED.items():
        (tmp_path / f"{name}.py").write_text(f"import asyncio\n{text}\n")
    run = subprocess.run(
        [sys.executable, "-m", "leaklint", "check", "-j1", "-q", "--format", "concise"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(leaklint.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (1, "")
    verdicts = {(line.partition(".py:")[0], line.split()[1]) for line in run.stdout.splitlines()}
    assert {name for name, _ in verdicts} == set(NESTED)
    assert {code for _, code in verdicts} == {"LK001", "LK101", "LK207"}


ROW = "    'some string value', 12345, 0x10, 3.5, None,\n"
ROWS = 208_000
"""So many rows are ten megabytes."""


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        pytest.param(["DATA = [\n", ROW * ROWS, f"    {SPAWN},\n]\n"], "LK101", id="one list"),
        pytest.param(["DATA = [\n", ROW * ROWS, f"    {SPAWN},\n"], "LK001", id="one list, unclosed"),
        pytest.param([*(f"def f{n}(a):\n    return {n}\n\n" for n in range(200_000)), SPAWN], "LK101", id="functions"),
    ],
)
def test_a_huge_file_gets_a_verdict(pieces: list[str], code: str) -> None:
    checked = leaklint.check_source("".join(["import asyncio\n", *pieces]))
    assert [found.code for found in checked.diagnostics] == [code]
