"""The command line: arguments, output on both streams, exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from leaklint import __version__, cli
from leaklint.report import machine, text
from leaklint.rules import all_rules, find_rule

Result = tuple[int, str, str]
Leaklint = Callable[..., Result]

DROPPED = """\
import asyncio


async def main():
    asyncio.create_task(work())


async def work(): ...
"""
CLEAN = "import asyncio\n\nasyncio.run(asyncio.sleep(1))\n"


@pytest.fixture
def leaklint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Leaklint:
    """Run a command line in an empty directory; give its exit code and what it writes to both streams."""
    for name in ("NO_COLOR", "FORCE_COLOR", "LEAKLINT_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*args: str, stdin: str | bytes = b"") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(SystemExit) as caught:
            cli.main(args)
        assert isinstance(caught.value.code, int)
        return (caught.value.code, *capsys.readouterr())

    return run


def process(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "leaklint", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, **options.pop("env", {})},
        **options,
    )


# -- the program ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(leaklint: Leaklint, flag: str) -> None:
    assert leaklint(flag) == (0, f"leaklint {__version__}\n", "")


def test_help(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("--help")
    assert (code, said) == (0, "")
    assert leaklint("-h") == (0, shown, "")
    assert leaklint() == (2, "", shown)
    commands = [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines()]
    assert commands == ["check", "rule", "tasks"]


def test_help_of_a_command_has_headings(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("check", "--help")
    assert (code, said) == (0, "")
    headings = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Rule selection:", "File selection:", "Output:", "Miscellaneous:"]
    assert leaklint("check", "-h") == (0, shown, "")


@pytest.mark.parametrize(
    ("args", "message", "command"),
    [
        (["chekc"], "unknown command `chekc`, did you mean `check`?", "leaklint"),
        (["lint"], "unknown command `lint` (commands: check, rule, tasks)", "leaklint"),
        (["check", "--jobs", "0"], "Invalid value for '-j' / '--jobs': 0 is not in the range x>=1.", "leaklint check"),
    ],
)
def test_mistaken_usage(leaklint: Leaklint, args: list[str], message: str, command: str) -> None:
    assert leaklint(*args) == (2, "", f"leaklint: error: {message}\nTry '{command} --help' for help.\n")


def test_unknown_option_and_format(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("check", "--slect", "LK101")
    assert (code, shown) == (2, "")
    assert said.startswith("leaklint: error: No such option")
    assert "'--select'" in said or "--select" in said
    for args in (["check", "--format", "xml"], ["check", "--output-format", "xml"]):
        code, shown, said = leaklint(*args)
        assert (code, shown) == (2, "")
        assert "'xml' is not one of 'full', 'concise', 'json'." in said


def test_python_dash_m_is_the_command() -> None:
    run = process("chekc")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "leaklint: error: unknown command `chekc`, did you mean `check`?\nTry 'leaklint --help' for help.\n"
    )


def test_version_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom leaklint.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'libcst', 'rich', 'anyio', 'pathspec', 'leaklint.rules'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == f"leaklint {__version__}\n[]\n"


# -- rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["LK101", "lk101", "dropped-task", "Dropped-Task"])
def test_rule(leaklint: Leaklint, name: str) -> None:
    found = find_rule("LK101")
    assert found is not None
    assert leaklint("rule", name) == (0, text.rule_pages([found]), "")
    assert leaklint("rule", name, "--format", "json") == (0, machine.rules_json([found]), "")
    assert leaklint("rule", name, "--output-format", "json") == (0, machine.rules_json([found]), "")


def test_all_rules(leaklint: Leaklint) -> None:
    assert leaklint("rule", "--all") == (0, text.rule_pages(all_rules()), "")
    code, shown, _ = leaklint("rule", "--all", "--format", "json")
    assert code == 0
    assert [rule["code"] for rule in json.loads(shown)["rules"]] == [rule.code for rule in all_rules()]


def test_rule_in_colour_is_rendered(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("rule", "LK101", "--color", "always")
    assert (code, said) == (0, "")
    assert "\x1b[" in shown
    assert "```" not in shown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["droped-task"], "unknown rule `droped-task`, did you mean `dropped-task`?"),
        (["zzz"], "unknown rule `zzz`; `leaklint rule --all` shows them all"),
        (["\x1b[31m"], "unknown rule `\\x1b[31m`; `leaklint rule --all` shows them all"),
        ([], "give the code or name of one rule, or --all"),
        (["LK101", "--all"], "give the code or name of one rule, or --all"),
    ],
)
def test_mistaken_rule(leaklint: Leaklint, args: list[str], message: str) -> None:
    assert leaklint("rule", *args) == (2, "", f"leaklint: error: {message}\n")


# -- colour, width, encoding, progress -----------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_when_to_colour(
    monkeypatch: pytest.MonkeyPatch, choice: str, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli._wants_color(choice, Terminal() if terminal else io.StringIO()) is expected


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "│"), ("cp1252", "|"), ("cp437", "|"), ("ascii", "|")])
def test_box_characters_where_the_encoding_has_them(monkeypatch: pytest.MonkeyPatch, encoding: str, bar: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert cli._look("auto").bar == bar


def test_progress_is_shown_to_a_terminal_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for patience, stream, shown, expected in (
        (0.0, Terminal(), True, "3/9"),
        (60.0, Terminal(), True, ""),
        (0.0, Terminal(), False, ""),
        (0.0, io.StringIO(), True, ""),
    ):
        monkeypatch.setattr(cli, "PATIENCE", patience)
        monkeypatch.setattr(sys, "stderr", stream)
        with cli._waiting(shown=shown) as note:
            note(3, 9)
        assert expected in stream.getvalue()
        assert bool(stream.getvalue()) is bool(expected)


def test_a_reader_that_goes_away_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "leaklint", "rule", "--all"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "leaklint", "rule", "--all"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert run.returncode == 2
    assert run.stderr == b"leaklint: error: cannot write the output: No space left on device\n"


def test_a_narrow_encoding_is_no_error() -> None:
    run = process("rule", "LK\u00e9", env={"PYTHONIOENCODING": "ascii"})
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "leaklint: error: unknown rule `LK\\xe9`; `leaklint rule --all` shows them all\n"
