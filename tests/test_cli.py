"""The command line: arguments, output on both streams, exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from leaklint import Diagnostic, __version__, app, check_source, cli, terminal
from leaklint.adapters import pool
from leaklint.app import Run
from leaklint.engine import Input, check_program
from leaklint.model.diagnostic import Failed, Outcome
from leaklint.report import machine, text
from leaklint.report.frame import Look
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
BY_HAND = """\
import asyncio


async def main():
    task = asyncio.create_task(asyncio.sleep(1))
    await task
"""


def dropped(path: str) -> tuple[Diagnostic, ...]:
    """What there is to find in `DROPPED`."""
    return check_source(DROPPED, path=path).diagnostics


def frame(path: str, look: Look | None = None) -> str:
    return text.full(dropped(path), lines_of=lambda _: DROPPED.split("\n"), look=look)


def line(path: str, look: Look | None = None) -> str:
    return text.concise(dropped(path), look=look)


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


def process(*args: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line as a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "leaklint", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(Path(cli.__file__).parents[1]), **(env or {})},
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
    assert commands == ["check", "fix", "rule", "tasks", "why"]


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
        (["lint"], "unknown command `lint` (commands: check, fix, rule, tasks, why)", "leaklint"),
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
    ("choice", "environment", "is_terminal", "expected"),
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
    monkeypatch: pytest.MonkeyPatch, choice: str, environment: dict[str, str], is_terminal: bool, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal.wants_color(choice, Terminal() if is_terminal else io.StringIO()) is expected


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "│"), ("cp1252", "|"), ("cp437", "|"), ("ascii", "|")])
def test_box_characters_where_the_encoding_has_them(monkeypatch: pytest.MonkeyPatch, encoding: str, bar: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert terminal.look_of("auto").bar == bar


def test_progress_is_shown_to_a_terminal_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for patience, stream, shown, expected in (
        (0.0, Terminal(), True, "3/9"),
        (60.0, Terminal(), True, ""),
        (0.0, Terminal(), False, ""),
        (0.0, io.StringIO(), True, ""),
    ):
        monkeypatch.setattr(terminal, "PATIENCE", patience)
        monkeypatch.setattr(sys, "stderr", stream)
        with terminal.waiting(shown=shown) as note:
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


# -- check ---------------------------------------------------------------------------------------------------------


def test_check(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    (tmp_path / "b.py").write_text(CLEAN)
    found = (1, frame("a.py") + "Found 1 error in 1 of 2 files.\n", "")
    assert leaklint("check") == found
    assert leaklint("check", ".") == found
    assert leaklint("check", "a.py", "b.py") == found
    assert leaklint("check", "--output-format", "full") == found
    assert leaklint("check", "b.py") == (0, "All checks passed! 1 file checked.\n", "")


def test_check_formats(leaklint: Leaklint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    concise = (1, line("a.py") + "Found 1 error in 1 file.\n", "")
    assert leaklint("check", "--format", "concise") == concise
    assert leaklint("check", "--output-format=concise") == concise
    code, shown, said = leaklint("check", "--format", "json")
    assert (code, said) == (1, "")
    assert [(found["path"], found["line"], found["code"]) for found in json.loads(shown)["findings"]] == [
        ("a.py", 5, "LK101")
    ]
    monkeypatch.setenv("LEAKLINT_OUTPUT_FORMAT", "concise")
    assert leaklint("check") == concise
    assert leaklint("check", "--format", "json") == (code, shown, said)
    monkeypatch.setenv("LEAKLINT_OUTPUT_FORMAT", "xml")
    code, shown, said = leaklint("check")
    assert (code, shown) == (2, "")
    assert "'xml' is not one of 'full', 'concise', 'json'." in said


def test_check_in_colour(leaklint: Leaklint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    look = Look(color=True)
    coloured = (1, line("a.py", look) + "Found \x1b[1;91m1 error\x1b[0m in 1 file.\n", "")
    assert leaklint("check", "--color", "always", "-q") == (1, frame("a.py", look), "")
    assert leaklint("check", "--format", "concise", "--color", "always") == coloured
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert leaklint("check", "--format", "concise") == coloured
    plain = (1, line("a.py") + "Found 1 error in 1 file.\n", "")
    assert leaklint("check", "--format", "concise", "--color", "never") == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert leaklint("check", "--format", "concise") == plain


def test_what_is_written(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    found = line("a.py")
    check = ("check", "--format", "concise")
    assert leaklint(*check, "--quiet") == (1, found, "")
    assert leaklint(*check, "-q") == (1, found, "")
    assert leaklint(*check, "--silent") == (1, "", "")
    assert leaklint(*check, "-s") == (1, "", "")
    assert leaklint(*check, "--exit-zero") == (0, found + "Found 1 error in 1 file.\n", "")
    code, shown, said = leaklint(*check, "--verbose")
    assert (code, shown) == (1, found + "Found 1 error in 1 file.\n")
    assert re.fullmatch(r"leaklint: 1 file looked at in \d+\.\d\d s\n", said)
    (tmp_path / "a.py").write_text(CLEAN)
    assert leaklint("check", "-q") == (0, "", "")


def test_selecting_rules(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    clean = (0, "All checks passed! 1 file checked.\n", "")
    found = (1, line("a.py") + "Found 1 error in 1 file.\n", "")
    check = ("check", "--format", "concise")
    assert leaklint(*check, "--ignore", "LK101") == clean
    assert leaklint(*check, "--ignore", "LK102, dropped-task") == clean
    assert leaklint(*check, "--select", "LK102,LK103") == clean
    assert leaklint(*check, "--select", "LK102", "--select", "dropped-task") == found
    assert leaklint(*check, "--select", "all", "--ignore", "LK1") == clean
    for option in ("--select", "--ignore"):
        message = f"{option}: unknown rule `droped-task`, did you mean `dropped-task`?"
        assert leaklint(*check, option, "LK101,droped-task") == (2, "", f"leaklint: error: {message}\n")


def test_tasks_waited_for_by_hand(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BY_HAND)
    passed = "All checks passed! 1 file checked.\n"
    by_hand = "1 task is waited for by hand, outside any task group (--strict lists it).\n"
    assert leaklint("check") == (0, passed + by_hand, "")
    code, shown, said = leaklint("check", "--strict", "--format", "concise")
    assert (code, said) == (1, "")
    assert shown.startswith("a.py:5:12: LK106 ")
    assert shown.endswith("\nFound 1 note in 1 file.\n")
    (tmp_path / "pyproject.toml").write_text("[tool.leaklint]\nstrict = true\n")
    assert leaklint("check", "--format", "concise") == (1, shown, "")
    assert leaklint("check", "--no-strict") == (0, passed + by_hand, "")
    assert leaklint("check", "--isolated") == (0, passed + by_hand, "")


def test_comments_for_other_linters(leaklint: Leaklint, tmp_path: Path) -> None:
    text = "import asyncio\n\nasync def main():\n    asyncio.create_task(main())  # noqa: RUF006\n"
    (tmp_path / "a.py").write_text(text)
    clean = (0, "All checks passed! 1 file checked.\n", "")
    assert leaklint("check") == clean
    code, shown, said = leaklint("check", "--no-honor-noqa", "--format", "concise")
    assert (code, said) == (1, "")
    assert shown.startswith("a.py:4:5: LK101 ")
    (tmp_path / "pyproject.toml").write_text("[tool.leaklint]\nhonor-noqa = false\n")
    assert leaklint("check", "--format", "concise") == (1, shown, "")
    assert leaklint("check", "--honor-noqa") == clean
    assert leaklint("why", "a.py:4", "--isolated")[1].count("; a comment silences it here\n") == 1


def test_configuration(leaklint: Leaklint, tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(DROPPED)
    (tmp_path / "pyproject.toml").write_text('[tool.leaklint]\nexclude = ["b.py"]\nignore = ["LK101"]\n')
    assert leaklint("check") == (0, "All checks passed! 2 files checked.\n", "")
    assert leaklint("check", "--exclude", "a.*, b.py", "--ignore", "LK102", "-q", "--format", "concise") == (
        1,
        line("c.py"),
        "",
    )
    assert leaklint("check", "--isolated", "-q", "--format", "concise") == (
        1,
        "".join(line(name) for name in ("a.py", "b.py", "c.py")),
        "",
    )


def test_excluded_files_that_are_named(leaklint: Leaklint, tmp_path: Path) -> None:
    for name in ("a.py", "build/b.py", "pkg/c.py", "pkg/gen/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(DROPPED)
    (tmp_path / "pkg/pyproject.toml").write_text('[tool.leaklint]\nexclude = ["gen"]\n')
    given = ("check", "-q", "--format", "concise", "a.py", "build/b.py", "pkg/c.py", "pkg/gen/d.py")
    every = "".join(line(name) for name in given[4:])
    assert leaklint(*given) == (1, every, "")
    assert leaklint(*given, "--force-exclude") == (1, line("a.py") + line("pkg/c.py"), "")
    assert leaklint(*given, "--force-exclude", "--exclude", "a.py") == (1, line("pkg/c.py") + line("pkg/gen/d.py"), "")
    passed = "All checks passed! 0 files checked.\n"
    warning = "leaklint: warning: no Python files found in build/b.py that are not excluded\n"
    assert leaklint("check", "--force-exclude", "build/b.py") == (0, passed, warning)
    stdin = ("check", "--force-exclude", "--format", "concise", "--stdin-filename")
    assert leaklint(*stdin, "build/b.py", stdin=DROPPED) == (0, passed, warning)
    assert leaklint(*stdin, "pkg/new.py", "-q", stdin=DROPPED) == (1, line("pkg/new.py"), "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[tool.leaklint]\nselct = ["LK101"]\n',
            (
                "pyproject.toml: unknown key `selct` in [tool.leaklint], did you mean `select`? "
                "(valid keys: `exclude`, `honor-noqa`, `ignore`, `known-owners`, `known-spawners`, `select`, `strict`, "
                "`target`)"
            ),
        ),
        ('[tool.leaklint]\nstrict = "yes"\n', "pyproject.toml: `strict` must be true or false, not a string"),
        ('[tool.leaklint]\nselect = ["LK9"]\n', "pyproject.toml: `select`: unknown rule `LK9`"),
        ("[tool.leaklint]\nstrict = yes\n", "pyproject.toml:2:10: not valid TOML: Invalid value"),
    ],
)
def test_mistakes_in_the_configuration(leaklint: Leaklint, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.py").write_text(CLEAN)
    (tmp_path / "pyproject.toml").write_text(text)
    assert leaklint("check") == (2, "", f"leaklint: error: {message}\n")
    assert leaklint("tasks") == (2, "", f"leaklint: error: {message}\n")
    assert leaklint("check", "--isolated") == (0, "All checks passed! 1 file checked.\n", "")


def test_missing_path(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text(CLEAN)
    message = "leaklint: error: no such file or directory: `sorce.py`, did you mean `source.py`?\n"
    assert leaklint("check", "sorce.py") == (2, "", message)
    assert leaklint("tasks", "source.py", "sorce.py") == (2, "", message)


def test_nothing_to_check(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    warning = "leaklint: warning: no Python files found in empty\n"
    assert leaklint("check", "empty") == (0, "All checks passed! 0 files checked.\n", warning)
    assert leaklint("tasks", "empty") == (0, "Found no tasks.\n", warning)
    assert leaklint("check", "-q", "empty") == (0, "", "")
    code, shown, said = leaklint("check", "--format", "json", "empty")
    assert (code, json.loads(shown)["findings"], said) == (0, [], warning)


def test_standard_input(leaklint: Leaklint, tmp_path: Path) -> None:
    check = ("check", "--format", "concise", "-q")
    assert leaklint(*check, "-", stdin=DROPPED) == (1, line("<stdin>"), "")
    found = (1, line("pkg/new.py"), "")
    assert leaklint(*check, "-", "--stdin-filename", "pkg/new.py", stdin=DROPPED) == found
    assert leaklint(*check, "--stdin-filename", "pkg/new.py", stdin=DROPPED) == found
    assert leaklint("check", "-", "-q", stdin=DROPPED) == (1, frame("<stdin>"), "")
    (tmp_path / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK101"]\n')
    assert leaklint(*check, "-", stdin=DROPPED) == (0, "", "")
    together = "leaklint: error: `-` (standard input) cannot be checked together with other paths\n"
    assert leaklint("check", "-", "a.py") == (2, "", together)
    alone = "leaklint: error: --stdin-filename is for standard input: give `-` as the only path\n"
    assert leaklint("check", "--stdin-filename", "b.py", "a.py") == (2, "", alone)


@pytest.mark.parametrize("command", ["check", "tasks"])
def test_the_rest_of_the_project(
    leaklint: Leaklint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a.py").write_text(DROPPED)
    (tmp_path / "b.py").write_text("import a\n")
    programs: list[list[str]] = []

    def record(inputs: Sequence[Input]) -> tuple[Outcome, ...]:
        programs.append([each.path for each in inputs])
        return check_program(inputs)

    monkeypatch.setattr(pool, "check_program", record)
    whole = leaklint(command, "a.py")
    assert leaklint(command, "--isolated-files", "a.py") == whole
    leaklint(command, "-", "--stdin-filename", "b.py", stdin="import a")
    leaklint(command, "-", stdin="import a")
    assert programs == [["a.py", "b.py"], ["a.py"], ["a.py", "b.py"], ["<stdin>"]]


def test_broken_files_do_not_hide_the_others(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    (tmp_path / "b.py").write_bytes(b"asyncio.create_task(\xff)\n")
    code, shown, said = leaklint("check", "--format", "concise", "-q", "--select", "LK101")
    assert (code, said) == (1, "")
    first, second = shown.splitlines()
    assert f"{first}\n" == line("a.py")
    assert second.startswith("b.py:1:21: LK001 ")


def test_files_that_could_not_be_looked_at(leaklint: Leaklint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    failed = (
        Failed("b\n.py", "cannot be read: Permission denied", None),
        Failed("c.py", "leaklint itself failed on this file: KeyError: 'x'", "Traceback: ...\n"),
    )
    real = app.check
    monkeypatch.setattr(app, "check", lambda *args, **options: Run((*real(*args, **options).outcomes, *failed)))
    errors = (
        "leaklint: error: b\\n.py: cannot be read: Permission denied\n"
        "leaklint: error: c.py: leaklint itself failed on this file: KeyError: 'x'\n"
    )
    shown = line("a.py") + "Found 1 error in 1 file. 2 could not be looked at.\n"
    assert leaklint("check", "--format", "concise") == (2, shown, errors)
    assert leaklint("check", "--format", "concise", "--exit-zero") == (2, shown, errors)
    assert leaklint("check", "--silent") == (2, "", errors)
    code, _, said = leaklint("tasks")
    assert (code, said) == (2, errors)
    code, _, said = leaklint("check", "-v")
    assert (code, said.partition("\n")[2]) == (2, errors + "Traceback: ...\n")


def test_interruption_and_faults(leaklint: Leaklint, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> None:
        def check(*_: object, **__: object) -> NoReturn:
            raise error

        monkeypatch.setattr(app, "check", check)

    fail(KeyboardInterrupt())
    assert leaklint("check") == (130, "", "\n")
    fail(ZeroDivisionError("by zero"))
    fault = "leaklint: error: leaklint itself failed: ZeroDivisionError: by zero (--verbose shows the traceback)\n"
    assert leaklint("check") == (2, "", fault)
    monkeypatch.setattr(sys, "argv", ["leaklint", "check", "--verbose"])
    code, shown, said = leaklint("check", "--verbose")
    assert (code, shown) == (2, "")
    assert said.startswith(fault + "Traceback (most recent call last):\n")
    assert said.endswith("\nZeroDivisionError: by zero\n")


# -- tasks ---------------------------------------------------------------------------------------------------------


def test_tasks(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DROPPED)
    (tmp_path / "b.py").write_text(BY_HAND)
    table = """\
PLACE      FATE     RULE   SPAWN                               HANDLE  FUNCTION
a.py:5:5   dropped  LK101  asyncio.create_task(work)           -       a.main
b.py:5:12  joined   -      asyncio.create_task(asyncio.sleep)  task    b.main
"""
    counts = "Found 2 tasks in 2 files: 1 dropped and 1 joined.\n"
    assert leaklint("tasks") == (0, table + counts, "")
    assert leaklint("tasks", "--format", "table", "a.py", "b.py") == (0, table + counts, "")
    assert leaklint("tasks", "-q") == (0, table, "")
    assert leaklint("tasks", "-s") == (0, "", "")
    code, shown, said = leaklint("tasks", "--format", "json")
    assert (code, said) == (0, "")
    assert leaklint("tasks", "--output-format", "json") == (code, shown, said)
    inventory = json.loads(shown)
    assert [list(task) for task in inventory["tasks"]] == [TASK_KEYS, TASK_KEYS]
    assert {**inventory, "tasks": len(inventory["tasks"])} == {"version": 1, "tasks": 2, "errors": []}


TASK_KEYS = [
    *("path", "line", "column", "end_line", "end_column", "call", "spawned", "function"),
    *("handle", "owner", "fate", "paths", "rule", "evidence"),
]


def test_tasks_of_broken_files(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = asyncio.create_task(\n")
    (tmp_path / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK001"]\n')
    code, shown, said = leaklint("tasks")
    assert (code, shown) == (0, "Found no tasks.\n")
    message = said.removeprefix("leaklint: warning: a.py:1:24: ").removesuffix("\n")
    assert "was never closed" in message
    code, shown, said = leaklint("tasks", "--format", "json")
    assert (code, said) == (0, f"leaklint: warning: a.py:1:24: {message}\n")
    assert json.loads(shown) == {
        "version": 1,
        "tasks": [],
        "errors": [{"path": "a.py", "line": 1, "column": 24, "message": message}],
    }


# -- the same bytes, whatever the circumstances --------------------------------------------------------------------


def test_jobs_do_not_change_the_output(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"m{number}.py").write_text(DROPPED if number % 3 else BY_HAND)
    runs = [process("check", "-j", jobs, cwd=tmp_path) for jobs in ("1", "2")]
    assert [(run.returncode, run.stderr) for run in runs] == [(1, ""), (1, "")]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.endswith(
        "Found 8 errors in 8 of 12 files.\n"
        "4 tasks are waited for by hand, outside any task group (--strict lists them).\n"
    )


def test_output_in_ascii(tmp_path: Path) -> None:
    (tmp_path / "é.py").write_text(DROPPED)
    run = process("check", "-q", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout == frame("\\xe9.py", Look(unicode=False))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file names are always Unicode")
def test_a_file_name_that_is_no_unicode(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff \n.py")).write_text(DROPPED)
    run = process("check", "-q", "--format", "concise", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (1, line("\\xff \\n.py"), "")
    run = process("tasks", "--format", "json", cwd=tmp_path)
    assert json.loads(run.stdout)["tasks"][0]["path"] == "\udcff \n.py"
