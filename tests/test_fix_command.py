"""`leaklint fix`: what it writes, what it tells on both streams, and its exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from leaklint import cli, mending
from leaklint.app import Options
from leaklint.engine import Input
from leaklint.fixing import Fixed, fix_program
from leaklint.mending import Choosing, Mended, Plan
from leaklint.mending.matching import earlier
from leaklint.mending.plan import needed_anyio
from leaklint.model.code import Span
from leaklint.model.fix import Environment, Fix, Import, Proposal, Replace, Rewritten, Wrap
from leaklint.report import diff
from leaklint.report.frame import Look

Result = tuple[int, str, str]
Leaklint = Callable[..., Result]

LEAK = """\
import asyncio


async def beat() -> None:
    await asyncio.sleep(0.01)


async def main() -> None:
    asyncio.create_task(beat())


asyncio.run(main())
"""
MENDED = """\
import asyncio

import anyio


async def beat() -> None:
    await asyncio.sleep(0.01)


async def main() -> None:
    async with anyio.create_task_group() as tg:
        tg.create_task(beat())


asyncio.run(main())
"""
ENDLESS = """\
import asyncio


async def beat() -> None:
    while True:
        await asyncio.sleep(1)


async def main() -> None:
    asyncio.create_task(beat())


asyncio.run(main())
"""
BOTH = """\
import asyncio


async def tick() -> None:
    await asyncio.sleep(0.01)


async def beat() -> None:
    while tick:
        await asyncio.sleep(1)


async def quick() -> None:
    asyncio.create_task(tick())


async def slow() -> None:
    asyncio.create_task(beat())
"""
CLOSING = """\
import asyncio

from opening import opened


async def main() -> None:
    link = opened()

    async def pump() -> None:
        try:
            await asyncio.sleep(0)
        except Exception:
            pass
        finally:
            link.close()

    await asyncio.gather(pump(), pump())
"""
PROJECT = '[project]\nname = "shop"\ndependencies = ["anyio>=4.15"]\n'
HINT = "help: the fixed code needs `anyio>=4.14`: see that it is among the dependencies of the project\n"


@pytest.fixture
def leaklint(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Leaklint:
    """Run a command line in an empty directory; give its exit code and what it writes to both streams."""
    for name in ("NO_COLOR", "FORCE_COLOR", "LEAKLINT_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*args: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as caught:
            cli.main(args)
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(caught.value.code, int)
        out, said = (stream.decode("utf-8", "surrogateescape") for stream in capfdbinary.readouterr())
        return (caught.value.code, out, said)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that depends on AnyIO, with one file that leaks."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "app.py").write_text(LEAK)
    return tmp_path


def process(*args: str, cwd: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "leaklint", *args],
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(),
        input=stdin,
    )


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return {**inherited, "PYTHONPATH": str(Path(cli.__file__).parents[1])}


def leftovers(directory: Path) -> list[Path]:
    return list(directory.rglob(".leaklint-*"))


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_safe_fix_is_written_and_told(leaklint: Leaklint, project: Path) -> None:
    code, shown, said = leaklint("fix")
    assert (code, said) == (0, "")
    lines = shown.splitlines()
    assert lines[0].startswith("app.py:9:5: LK101 fixed (task-group): ")
    assert all(line.startswith("    changes: ") for line in lines[1:-1])
    assert lines[1:-1]
    assert lines[-1] == "Found 1 finding (1 fixed, 0 remaining)."
    assert (project / "app.py").read_text() == MENDED
    assert leaklint("fix") == (0, "Found nothing to fix.\n", "")
    assert leftovers(project) == []
    assert subprocess.run([sys.executable, "app.py"], cwd=project, check=True, capture_output=True).stderr == b""


def test_an_unsafe_fix_is_counted_and_written_on_demand(leaklint: Leaklint, project: Path) -> None:
    file = project / "app.py"
    file.write_text(BOTH)
    code, shown, _ = leaklint("fix", "app.py")
    assert (code, shown.splitlines()[-1]) == (
        1,
        "Found 2 findings (1 fixed, 1 remaining); 1 more with --unsafe-fixes; --show-reasons tells why.",
    )
    code, shown, _ = leaklint("fix", "app.py", "--unsafe-fixes")
    assert code == 0
    assert re.search(r"^    hazard: `beat` may never end", shown, re.MULTILINE)
    assert shown.endswith("Found 1 finding (1 fixed, 0 remaining).\n")
    assert "create_task(beat())" in file.read_text()
    assert "asyncio.create_task" not in file.read_text()


def test_reasons(leaklint: Leaklint, project: Path) -> None:
    (project / "app.py").write_text(ENDLESS)
    code, shown, said = leaklint("fix", "--show-reasons")
    assert (code, said) == (1, "")
    assert shown.startswith("app.py:10:5: LK101 nothing keeps the task of `beat`")
    assert "    unsafe fix (task-group): " in shown
    assert "        hazard: `beat` runs for ever" in shown
    assert shown.endswith("Found 1 finding (0 fixed, 1 remaining); 1 more with --unsafe-fixes.\n")


@pytest.mark.parametrize(
    ("source", "args", "code"),
    [
        (LEAK, [], 0),
        (LEAK, ["--exit-non-zero-on-fix"], 1),
        (LEAK, ["--exit-non-zero-on-fix", "--exit-zero"], 0),
        (LEAK, ["--check"], 1),
        (LEAK, ["--diff"], 1),
        (LEAK, ["--check", "--exit-zero"], 0),
        (LEAK, ["--list-choices"], 0),
        (ENDLESS, [], 1),
        (ENDLESS, ["--exit-zero"], 0),
        (ENDLESS, ["--diff"], 1),
        (ENDLESS, ["--check"], 1),
        (ENDLESS, ["--exit-non-zero-on-fix"], 1),
        (ENDLESS, ["--unsafe-fixes", "--exit-non-zero-on-fix"], 1),
        ("x = 1\n", ["--exit-non-zero-on-fix"], 0),
        ("x = 1\n", ["--diff"], 0),
        ("import asyncio\nasyncio.create_task(\n", [], 1),
    ],
)
def test_exit_codes(leaklint: Leaklint, project: Path, source: str, args: Sequence[str], code: int) -> None:
    (project / "app.py").write_text(source)
    assert leaklint("fix", *args)[0] == code


@pytest.mark.parametrize("args", [["--check"], ["--diff"], ["--list-choices"], ["--check", "--unsafe-fixes"]])
def test_nothing_is_written_where_nothing_is_to_be(leaklint: Leaklint, project: Path, args: Sequence[str]) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.iterdir()}
    leaklint("fix", *args)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.iterdir()} == before


def test_check_tells_at_the_places_of_the_file_as_it_is(leaklint: Leaklint, project: Path) -> None:
    (project / "app.py").write_text(BOTH)
    code, shown, _ = leaklint("fix", "--check", "--show-reasons")
    assert code == 1
    assert re.findall(r"^app\.py:(\d+):5: LK101 (would be fixed|nothing)", shown, re.MULTILINE) == [
        ("14", "would be fixed"),
        ("18", "nothing"),
    ]
    assert "on line 9" in shown
    assert shown.endswith("Found 2 findings (1 would be fixed, 1 would remain); 1 more with --unsafe-fixes.\n")


def test_quiet_and_silent(leaklint: Leaklint, project: Path) -> None:
    code, shown, said = leaklint("fix", "--quiet", "--check")
    assert (code, said) == (1, "")
    assert "Found" not in shown
    assert "would be fixed" in shown
    assert leaklint("fix", "--silent", "--check") == (1, "", "")
    assert leaklint("fix", "--silent", "--diff") == (1, "", "")
    assert leaklint("fix", "--silent") == (0, "", "")
    assert (project / "app.py").read_text() == MENDED


# -- what is fixed -----------------------------------------------------------------------------------------------------


def test_only_the_selected_rules_are_fixed(leaklint: Leaklint, project: Path) -> None:
    assert leaklint("fix", "--select", "LK102") == (0, "Found nothing to fix.\n", "")
    assert leaklint("fix", "--ignore", "LK1") == (0, "Found nothing to fix.\n", "")
    assert (project / "app.py").read_text() == LEAK
    assert leaklint("fix", "--select", "dropped-task")[0] == 0
    assert (project / "app.py").read_text() == MENDED


def test_rules_that_are_not_selected_guard_all_the_same(
    leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Input] = []

    def spy(inputs: Sequence[Input], environment: Environment, choose: Callable[[Proposal], Fix | None]) -> Fixed:
        seen.extend(inputs)
        return fix_program(inputs, environment, choose)

    monkeypatch.setattr("leaklint.mending.program.fix_program", spy)
    (project / "pyproject.toml").write_text(PROJECT + '[tool.leaklint]\nignore = ["LK304"]\n')
    leaklint("fix", "--check", "--select", "LK101,LK106")
    (settings,) = {each.settings for each in seen}
    assert settings is not None
    assert [code for code in ("LK101", "LK104", "LK106", "LK105", "LK304") if settings.enabled(code)] == [
        "LK101",
        "LK104",
        "LK106",
    ]


def test_what_is_suppressed_or_excluded_is_left_alone(leaklint: Leaklint, project: Path) -> None:
    suppressed = LEAK.replace("(beat())", "(beat())  # leaklint: ignore[LK101] -- ends with the process")
    (project / "app.py").write_text(suppressed)
    (project / "noqa.py").write_text(LEAK.replace("(beat())", "(beat())  # noqa: RUF006"))
    (project / "build").mkdir()
    (project / "build" / "made.py").write_text(LEAK)
    assert leaklint("fix", "--force-exclude", ".", "build/made.py") == (0, "Found nothing to fix.\n", "")
    assert (project / "app.py").read_text() == suppressed
    assert (project / "build" / "made.py").read_text() == LEAK


def test_what_only_a_check_finds_is_not_told_as_fixed(leaklint: Leaklint, project: Path) -> None:
    (project / "app.py").write_text(CLOSING)
    (project / "opening.py").write_text("from link import Link\n\ndef opened() -> Link:\n    return Link()\n")
    (project / "link.py").write_text("class Link:\n    def close(self) -> None:\n        self.closed = True\n")
    assert "app.py:17:11: LK201" in leaklint("check", "--output-format", "concise")[1]
    for args in (["fix"], ["fix", "--check"], ["fix", "--diff"]):
        code, *said = leaklint(*args, "--show-reasons")
        assert code == 1
        assert "no fix: only a check finds it" in "".join(said)
        assert re.search(r"Found 1 finding \(0 (would be )?fixed, 1 (would )?remain", "".join(said))


def test_files_that_were_not_named_are_only_read(leaklint: Leaklint, project: Path) -> None:
    (project / "other.py").write_text(LEAK)
    assert leaklint("fix", "app.py")[0] == 0
    assert (project / "other.py").read_text() == LEAK


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LEAK.replace("\n", "\r\n").encode(), MENDED.replace("\n", "\r\n").encode()),
        (b"\xef\xbb\xbf" + LEAK.encode(), b"\xef\xbb\xbf" + MENDED.encode()),
        (
            b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + LEAK.encode(),
            b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + MENDED.encode(),
        ),
        (LEAK.rstrip("\n").encode(), MENDED.rstrip("\n").encode()),
    ],
    ids=["CRLF", "BOM", "latin-1", "no end of the last line"],
)
def test_bytes_that_are_not_edited_stay(leaklint: Leaklint, project: Path, before: bytes, after: bytes) -> None:
    file = project / "app.py"
    file.write_bytes(before)
    file.chmod(0o755)
    assert leaklint("fix")[0] == 0
    assert file.read_bytes() == after
    assert file.stat().st_mode & 0o777 == 0o755


# -- targets and dependencies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pyproject", "said"),
    [
        (PROJECT, ""),
        (
            '[project]\nname = "shop"\n',
            "help: the fixed code needs `anyio>=4.14`: add it to the dependencies in pyproject.toml\n",
        ),
        ('[project]\nname = "shop"\ndynamic = ["dependencies"]\n', HINT),
        ("[tool.black]\n", HINT),
    ],
)
def test_a_missing_dependency_is_told_once(leaklint: Leaklint, project: Path, pyproject: str, said: str) -> None:
    (project / "pyproject.toml").write_text(pyproject)
    (project / "b.py").write_text(LEAK)
    _, shown, _ = leaklint("fix")
    assert "".join(line for line in shown.splitlines(keepends=True) if line.startswith("help:")) == said


def test_an_old_anyio_gets_what_it_has(leaklint: Leaklint, project: Path) -> None:
    (project / "pyproject.toml").write_text(PROJECT.replace("4.15", "4.4"))
    code, shown, _ = leaklint("fix")
    assert (code, "help:" in shown) == (0, False)
    assert "tg.start_soon(beat)" in (project / "app.py").read_text()


@pytest.mark.parametrize("how", ["option", "configuration"])
def test_the_target_is_chosen(leaklint: Leaklint, project: Path, how: str) -> None:
    pyproject = '[project]\nname = "shop"\nrequires-python = ">=3.11"\n'
    (project / "pyproject.toml").write_text(
        pyproject + ('[tool.leaklint]\ntarget = "asyncio"\n' if how == "configuration" else "")
    )
    code, shown, _ = leaklint("fix", "--unsafe-fixes", *(["--target", "asyncio"] if how == "option" else []))
    assert (code, "help:" in shown) == (0, False)
    assert "asyncio.TaskGroup()" in (project / "app.py").read_text()
    assert "anyio" not in (project / "app.py").read_text()


def test_what_fixes_need() -> None:
    span = Span(1, 1, 1, 2)

    def fix(*edits: Replace | Wrap | Import) -> Fix:
        return Fix("a", "b", "c.py", edits)

    group = Wrap(span, span, "async with anyio.create_task_group() as tg:\n    ...", "main")
    assert needed_anyio([]) is None
    assert needed_anyio([fix(Replace(span, "asyncio.gather"))]) is None
    assert needed_anyio([fix(group)]) == (4, 0)
    assert needed_anyio([fix(group, Replace(span, "tg.start_soon(asyncio.create_task)"))]) == (4, 0)
    assert needed_anyio([fix(group, Replace(span, "tg.create_task"))]) == (4, 14)
    assert needed_anyio([fix(group), fix(Replace(span, "anyio.gather"), Import("import anyio"))]) == (4, 15)
    assert needed_anyio([fix(Replace(span, "gather"), Import("from anyio import gather"))]) == (4, 15)


# -- choices -----------------------------------------------------------------------------------------------------------


def proposal(*fixes: tuple[str, bool]) -> Proposal:
    from leaklint import check_source
    from leaklint.model.fix import Hazard

    (finding,) = check_source(LEAK, path="app.py").diagnostics
    return Proposal(
        finding, tuple(Fix(name, "t", "app.py", (), () if safe else (Hazard("h", "m"),)) for name, safe in fixes)
    )


@pytest.mark.parametrize(
    ("choosing", "name"),
    [
        (Choosing(), "b"),
        (Choosing(unsafe=True), "a"),
        (Choosing(preferred=("c", "b")), "c"),
        (Choosing(preferred=("a",)), "b"),
        (Choosing(unsafe=True, preferred=("d", "a")), "d"),
        (Choosing(preferred=("x",)), "b"),
    ],
)
def test_choosing(choosing: Choosing, name: str) -> None:
    chosen = choosing(proposal(("a", False), ("b", True), ("c", True), ("d", False)))
    assert chosen is not None
    assert chosen.name == name


def test_nothing_to_choose_from() -> None:
    assert Choosing()(proposal(("a", False))) is None
    assert Choosing(unsafe=True)(proposal()) is None


def test_choices_are_listed(leaklint: Leaklint, project: Path) -> None:
    (project / "app.py").write_text(BOTH)
    code, shown, said = leaklint("fix", "--list-choices")
    assert (code, said) == (0, "")
    assert re.findall(r"^(?:    (\w+) fix \((task-group)\)|app.py:(\d+))", shown, re.MULTILINE) == [
        ("", "", "14"),
        ("safe", "task-group", ""),
        ("", "", "18"),
        ("unsafe", "task-group", ""),
    ]
    listed = json.loads(leaklint("fix", "--list-choices", "--format", "json")[1])
    assert [[fix["applicability"] for fix in each["fixes"]] for each in listed["remaining"]] == [["safe"], ["unsafe"]]


# -- diffs -------------------------------------------------------------------------------------------------------------


def git(*args: str, cwd: Path, stdin: bytes = b"") -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *args], cwd=cwd, env=outside, input=stdin, check=True, capture_output=True)


@pytest.mark.parametrize("tool", [["git", "apply", "-"], ["patch", "-p1", "--binary"]])
def test_the_diff_is_a_patch(leaklint: Leaklint, project: Path, tool: Sequence[str]) -> None:
    sources = {
        "app.py": LEAK.encode(),
        "sub/with space.py": LEAK.replace("\n", "\r\n").encode(),
        "sub/caf\u00e9.py": b"# -*- coding: latin-1 -*-\n# caf\xe9 \x1b[31m [bold]\n" + LEAK.encode(),
        "end.py": LEAK.rstrip("\n").encode(),
        "bom.py": b"\xef\xbb\xbf" + LEAK.replace("    asyncio", "\f\n    asyncio").encode(),
        "clean.py": b"x = 1\n",
    }
    (project / "sub").mkdir()
    for name, data in sources.items():
        (project / name).write_bytes(data)
    run = process("fix", "--diff", cwd=project)
    assert run.returncode == 1
    assert run.stderr == b"Found 5 findings (5 would be fixed, 0 would remain).\n"
    assert leaklint("fix")[0] == 0
    wanted = {name: (project / name).read_bytes() for name in sources}
    assert wanted["clean.py"] == sources["clean.py"]
    for name, data in sources.items():
        (project / name).write_bytes(data)
    git("init", "-q", cwd=project)
    subprocess.run(tool, cwd=project, input=run.stdout, check=True, capture_output=True)
    assert {name: (project / name).read_bytes() for name in sources} == wanted


def test_a_patch_can_be_applied_below_the_root_of_a_repository(project: Path) -> None:
    git("init", "-q", cwd=project)
    (project / "src").mkdir()
    (project / "src" / "a.py").write_text(LEAK)
    run = process("fix", "--diff", cwd=project / "src")
    git("apply", "-", cwd=project / "src", stdin=run.stdout)
    assert (project / "src" / "a.py").read_text() == MENDED


def test_names_in_patches() -> None:
    def head(path: str) -> bytes:
        return diff.patch([Rewritten(path, b"a\n", b"b\n", ())]).split(b"\n")[0]

    assert head("a.py") == b"--- a/a.py"
    assert head("a b.py") == b"--- a/a b.py\t"
    assert head("caf\u00e9.py") == "--- a/caf\u00e9.py".encode()
    assert head('q"\n\\.py') == b'--- "a/q\\042\\012\\134.py"'
    assert head("\udce9.py") == b'--- "a/\\351.py"'


def test_lines_end_where_patch_says_so() -> None:
    old, new = b"a\rb\fc\x0bd\x85\n1", b"a\rb\fc\x0bd\x85\n2\n"
    assert diff.patch([Rewritten("a.py", old, new, ())]) == (
        b"--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n a\rb\fc\x0bd\x85\n-1\n\\ No newline at end of file\n+2\n"
    )


def test_people_are_shown_what_would_act_on_a_terminal() -> None:
    old, new = b"\n\n# \x1b[31m [bold]\t\xff\n-- a\n", b"\n\n# \x1b[31m [bold]\t\xff\r\n"
    each = Rewritten("a.py", old, new, ())
    shown = diff.shown([each], Look())
    assert "\x1b" not in shown
    assert "-# \\x1b[31m [bold]    \\xff\n" in shown
    assert "+# \\x1b[31m [bold]    \\xff\n" in shown
    coloured = diff.shown([each], Look(color=True)).splitlines()
    assert coloured[0] == "\x1b[1m--- a/a.py\x1b[0m"
    assert coloured[6] == "\x1b[31m--- a\x1b[0m"
    latin = Rewritten("a.py", b"# coding: latin-1\n# \xe9\n", b"# coding: latin-1\n", ())
    assert "-# \u00e9\n" in diff.shown([latin], Look())


@pytest.mark.usefixtures("project")
def test_a_diff_that_is_to_be_coloured(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("fix", "--diff", "--color", "always")
    assert code == 1
    assert "\x1b[32m+    async with anyio.create_task_group() as tg:\x1b[0m\n" in shown
    assert "Found 1 finding" in said


# -- standard input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fixed", "code"),
    [
        (LEAK.encode(), MENDED.encode(), 0),
        (LEAK.replace("\n", "\r\n").encode(), MENDED.replace("\n", "\r\n").encode(), 0),
        (ENDLESS.encode(), ENDLESS.encode(), 1),
        (b"x = \xff\n", b"x = \xff\n", 1),
        (b"x =\r\n", b"x =\r\n", 1),
        (b"", b"", 0),
    ],
)
def test_standard_input(leaklint: Leaklint, project: Path, source: bytes, fixed: bytes, code: int) -> None:
    exit_code, shown, said = leaklint("fix", "-", stdin=source)
    assert (exit_code, shown.encode("utf-8", "surrogateescape")) == (code, fixed)
    assert said.startswith(("Found", "<stdin>:"))
    assert (project / "app.py").read_text() == LEAK


def test_standard_input_with_a_name(leaklint: Leaklint, project: Path) -> None:
    code, shown, said = leaklint("fix", "-", "--stdin-filename", "app.py", stdin=LEAK.encode())
    assert (code, shown) == (0, MENDED)
    assert said.startswith("app.py:9:5: LK101 fixed (task-group): ")
    assert (project / "app.py").read_text() == LEAK
    code, shown, said = leaklint("fix", "-", "--stdin-filename", "app.py", "--diff", stdin=LEAK.encode())
    assert code == 1
    assert shown.startswith("--- a/app.py\n+++ b/app.py\n")
    code, shown, said = leaklint("fix", "-", "--check", stdin=LEAK.encode())
    assert (code, said) == (1, "")
    assert shown.startswith("<stdin>:9:5: LK101 would be fixed")


@pytest.mark.usefixtures("project")
def test_standard_input_that_is_excluded(leaklint: Leaklint) -> None:
    args = ("fix", "-", "--stdin-filename", "build/a.py", "--force-exclude", "--quiet")
    assert leaklint(*args, stdin=LEAK.encode()) == (0, LEAK, "")


# -- files that are not written ----------------------------------------------------------------------------------------


def test_what_is_not_to_be_written_is_left_alone_and_told(leaklint: Leaklint, project: Path) -> None:
    (project / "src").mkdir()
    (project / "lib").mkdir()
    (project / "src" / "app.py").write_text(LEAK)
    (project / "src" / "read_only.py").write_text(LEAK)
    (project / "src" / "read_only.py").chmod(0o444)
    (project / "lib" / "real.py").write_text(LEAK)
    (project / "src" / "link.py").symlink_to("../lib/real.py")
    (project / "src" / "one.py").write_text(LEAK)
    os.link(project / "src" / "one.py", project / "src" / "two.py")
    code, shown, said = leaklint("fix", "src", "--show-reasons")
    assert code == 1
    assert said.splitlines() == [
        "leaklint: warning: src/link.py: left alone: it is a link to `lib/real.py`, outside of what was named",
        "leaklint: warning: src/one.py: left alone: it has 2 hard links, and writing it would part them",
        "leaklint: warning: src/read_only.py: left alone: it is read-only",
        "leaklint: warning: src/two.py: left alone: it has 2 hard links, and writing it would part them",
    ]
    assert shown.count("    no other fix: the file is left alone: it ") == 4
    assert shown.endswith("Found 5 findings (1 fixed, 4 remaining).\n")
    assert (project / "src" / "app.py").read_text() == MENDED
    for name in ("src/read_only.py", "lib/real.py", "src/one.py"):
        assert (project / name).read_text() == LEAK
    assert (project / "src" / "one.py").stat().st_nlink == 2
    assert "read_only" not in leaklint("fix", "src", "--diff")[1]


def test_a_link_within_what_was_named_is_written_through(leaklint: Leaklint, project: Path) -> None:
    (project / "link.py").symlink_to("app.py")
    assert leaklint("fix", "link.py")[0] == 0
    assert (project / "link.py").is_symlink()
    assert (project / "app.py").read_text() == MENDED


def test_a_file_that_changes_meanwhile_is_not_written(
    leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "b.py").write_text(LEAK)

    def slow(inputs: Sequence[Input], environment: Environment, choose: Callable[[Proposal], Fix | None]) -> Fixed:
        if inputs[0].path == "app.py":
            (project / "app.py").write_text("x = 1\n")
        return fix_program(inputs, environment, choose)

    monkeypatch.setattr("leaklint.mending.program.fix_program", slow)
    code, shown, said = leaklint("fix")
    assert code == 2
    assert said == "leaklint: error: app.py: it has changed on disk since it was read: run `leaklint fix` again\n"
    assert "Found 2 findings (1 fixed, 1 remaining)" in shown
    assert "app.py" not in shown.partition("Found")[0]
    assert (project / "app.py").read_text() == "x = 1\n"
    assert (project / "b.py").read_text() == MENDED


def test_a_disk_that_is_full_costs_only_the_files_that_do_not_fit(
    leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "b.py").write_text(LEAK)
    replace = os.replace

    def full(source: str, target: str) -> None:
        if target.endswith("app.py"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, _, said = leaklint("fix")
    assert (code, said) == (2, "leaklint: error: app.py: cannot be written: No space left on device\n")
    assert (project / "app.py").read_text() == LEAK
    assert (project / "b.py").read_text() == MENDED
    assert leftovers(project) == []
    report = json.loads(leaklint("fix", "--format", "json")[1])
    assert [error["path"] for error in report["errors"]] == ["app.py"]
    assert (report["fixed"], report["files"], len(report["remaining"])) == ([], [], 1)


def test_a_fault_in_one_program_costs_no_other(
    leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "b.py").write_text(LEAK)

    def faulty(inputs: Sequence[Input], environment: Environment, choose: Callable[[Proposal], Fix | None]) -> Fixed:
        if inputs[0].path == "app.py":
            raise ZeroDivisionError("oops")
        return fix_program(inputs, environment, choose)

    monkeypatch.setattr("leaklint.mending.program.fix_program", faulty)
    code, shown, said = leaklint("fix")
    assert (code, said) == (
        2,
        "leaklint: error: app.py: leaklint itself failed on this file: ZeroDivisionError: oops\n",
    )
    assert "Found 2 findings (1 fixed, 1 remaining)" in shown
    assert (project / "b.py").read_text() == MENDED


def test_two_runs_at_once(project: Path) -> None:
    names = ["a.py", "b.py", "c.py"]
    for name in names:
        (project / name).write_text(LEAK)
    command = [sys.executable, "-m", "leaklint", "fix", *names]
    runs = [subprocess.Popen(command, cwd=project, env=environment(), stdout=subprocess.PIPE) for _ in range(2)]
    codes = []
    for run in runs:
        run.communicate()
        codes.append(run.returncode)
    assert codes == [0, 0]
    assert {(project / name).read_text() for name in names} == {MENDED}
    assert leftovers(project) == []


# -- kills and Ctrl-C --------------------------------------------------------------------------------------------------


def test_a_kill_leaves_each_file_as_it_was_or_as_it_is_to_be(project: Path) -> None:
    names = [f"m{number}.py" for number in range(30)]
    finished = []
    for delay in (0.0, 0.05, 0.2):
        for name in names:
            (project / name).write_text(LEAK)
        command = [sys.executable, "-m", "leaklint", "fix", "-j1", *names]
        with subprocess.Popen(command, cwd=project, env=environment(), stdout=subprocess.DEVNULL) as run:
            deadline = time.monotonic() + 20
            while all((project / name).read_text() == LEAK for name in names) and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(delay)
            run.send_signal(signal.SIGKILL)
        contents = [(project / name).read_text() for name in names]
        assert set(contents) <= {LEAK, MENDED}
        finished.append(contents.count(MENDED))
    assert finished[0] < len(names)
    assert all(finished)


def test_ctrl_c_tells_what_was_written(leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "b.py").write_text(LEAK)

    def struck(inputs: Sequence[Input], environment: Environment, choose: Callable[[Proposal], Fix | None]) -> Fixed:
        if inputs[0].path == "b.py":
            signal.raise_signal(signal.SIGINT)
        return fix_program(inputs, environment, choose)

    monkeypatch.setattr("leaklint.mending.program.fix_program", struck)
    code, shown, said = leaklint("fix")
    assert (code, said) == (130, "leaklint: error: interrupted; written: app.py\n")
    assert shown.startswith("app.py:9:5: LK101 fixed")
    assert (project / "app.py").read_text() == MENDED
    assert (project / "b.py").read_text() == LEAK
    assert leaklint("fix", "--check")[::2] == (130, "leaklint: error: interrupted; nothing was written\n")
    assert leftovers(project) == []


def test_ctrl_c_during_a_write_lets_it_end(leaklint: Leaklint, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def struck(source: str, target: str) -> None:
        signal.raise_signal(signal.SIGINT)
        replace(source, target)

    monkeypatch.setattr(os, "replace", struck)
    code, _, said = leaklint("fix")
    assert (code, said) == (130, "leaklint: error: interrupted; written: app.py\n")
    assert (project / "app.py").read_text() == MENDED


# -- asking ------------------------------------------------------------------------------------------------------------


def converse(cwd: Path, answers: Sequence[str], *args: str) -> tuple[int, str]:
    """Run `leaklint fix -i` in a terminal of its own, with an answer for each question; give exit code and screen."""
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(cwd)
        os.execve(  # noqa: S606 - a shell would add nothing
            sys.executable, [sys.executable, "-m", "leaklint", "fix", "-i", *args], {**environment(), "NO_COLOR": "1"}
        )
    waiting, screen = list(answers), b""
    seen = 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, screen
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        screen += data
        while screen[seen:].find(b"? for help] ") >= 0:
            seen += screen[seen:].index(b"? for help] ") + 1
            os.write(terminal, waiting.pop(0).encode())
    os.close(terminal)
    _, status = os.waitpid(process_id, 0)
    assert waiting == []
    return os.waitstatus_to_exitcode(status), screen.decode().replace("\r\n", "\n")


THREE = LEAK.replace(
    "    asyncio.create_task(beat())\n\n\n",
    "    asyncio.create_task(beat())\n\n\n"
    "async def second() -> None:\n    asyncio.create_task(beat())\n\n\n"
    "async def third() -> None:\n    asyncio.create_task(beat())\n\n\n",
)


def spawned(file: Path) -> list[bool]:
    """For each of the three spawns, whether it was mended."""
    return [found.startswith("tg") for found in re.findall(r"(\w+)\.create_task\(", file.read_text())]


@pytest.mark.parametrize(
    ("answers", "mended", "code"),
    [
        (["y\n", "y\n", "y\n"], [True, True, True], 0),
        (["n\n", "n\n", "n\n"], [False, False, False], 1),
        (["y\n", "q\n"], [True, False, False], 1),
        (["Y\n", "\x04"], [True, False, False], 1),
        (["n\n", "a\n"], [False, True, True], 1),
        (["\n", "5\n", "what\n", "?\n", "n\n", "yes\n", "1\n"], [False, True, True], 1),
        (["q\n"], [False, False, False], 1),
        (["y\n", "\x03"], [True, False, False], 130),
    ],
)
def test_asking(project: Path, answers: Sequence[str], mended: Sequence[bool], code: int) -> None:
    (project / "app.py").write_text(THREE)
    exit_code, screen = converse(project, answers)
    assert (exit_code, spawned(project / "app.py")) == (code, mended)
    assert screen.startswith("error[LK101]: nothing keeps the task of `beat`")
    assert "--- a/app.py\n+++ b/app.py\n" in screen
    assert "    safe fix (task-group): " in screen
    assert "        changes: " in screen
    count = sum(mended)
    if code == 130:
        assert screen.endswith("leaklint: error: interrupted; written: app.py\n")
    else:
        assert f"Found 3 findings ({count} fixed, {3 - count} remaining)" in screen
    assert leftovers(project) == []


def test_asking_about_an_unsafe_fix(project: Path) -> None:
    (project / "app.py").write_text(ENDLESS.replace("while True:", "while True:  # \x1b[31m"))
    code, screen = converse(project, ["y\n"])
    assert code == 0
    assert "    unsafe fix (task-group): " in screen
    assert "        hazard: `beat` runs for ever" in screen
    assert "\x1b" not in screen
    assert "tg.create_task(beat())" in (project / "app.py").read_text()


def test_asking_about_nothing(project: Path) -> None:
    (project / "app.py").write_text(MENDED)
    assert converse(project, []) == (0, "Found nothing to fix.\n")


def test_all_the_rest_means_the_safe_ones(project: Path) -> None:
    (project / "app.py").write_text(BOTH)
    assert converse(project, ["a\n"])[0] == 1
    assert "asyncio.create_task(beat())" in (project / "app.py").read_text()
    (project / "app.py").write_text(BOTH)
    assert converse(project, ["a\n"], "--unsafe-fixes")[0] == 0


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-i"], "--interactive needs a terminal to ask in; --diff shows the same fixes"),
        (["--diff", "--check"], "--diff and --check exclude each other"),
        (["--interactive", "--list-choices"], "--interactive and --list-choices exclude each other"),
        (["--diff", "--format", "json"], "--diff and --format json exclude each other"),
        (["--choose", "task-grup"], "--choose: unknown fix `task-grup`, did you mean `task-group`?"),
        (["nope.py"], "no such file or directory: `nope.py`"),
        (["-", "app.py"], "`-` (standard input) cannot be checked together with other paths"),
        (["-i", "-"], "--interactive cannot ask where standard input is the source: name files"),
        (
            ["--format", "json", "-"],
            "standard output is for the fixed source: give --check or --list-choices with --format json",
        ),
        (["--select", "LK9"], "--select: unknown rule `LK9`"),
    ],
)
def test_mistakes(leaklint: Leaklint, project: Path, args: Sequence[str], message: str) -> None:
    code, shown, said = leaklint("fix", *args)
    assert (code, shown) == (2, "")
    assert said.startswith(f"leaklint: error: {message}")
    assert (project / "app.py").read_text() == LEAK


def test_a_broken_configuration_is_told_before_anything_is_written(leaklint: Leaklint, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.leaklint]\ntarget = "trio"\n')
    assert leaklint("fix") == (
        2,
        "",
        'leaklint: error: pyproject.toml: `target` must be anyio or asyncio, not "trio"\n',
    )
    assert (project / "app.py").read_text() == LEAK


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_json(leaklint: Leaklint, project: Path) -> None:
    (project / "app.py").write_text(BOTH)
    (project / "pyproject.toml").unlink()
    code, shown, said = leaklint("fix", "--format", "json")
    assert (code, said, shown.isascii()) == (1, "", True)
    report = json.loads(shown)
    assert list(report) == [
        "version",
        "written",
        "fixed",
        "remaining",
        "files",
        "left_alone",
        "needs",
        "errors",
        "summary",
    ]
    (fixed,), (remaining,) = report["fixed"], report["remaining"]
    assert (fixed["path"], fixed["line"], fixed["column"], fixed["code"]) == ("app.py", 14, 5, "LK101")
    assert list(fixed["fix"]) == ["name", "title", "applicability", "changes", "hazards"]
    assert (fixed["fix"]["name"], fixed["fix"]["applicability"], fixed["fix"]["hazards"]) == ("task-group", "safe", [])
    assert fixed["fix"]["changes"]
    (fix,) = remaining["fixes"]
    assert (fix["applicability"], [hazard["name"] for hazard in fix["hazards"]]) == ("unsafe", ["may-never-end"])
    assert report["files"] == ["app.py"]
    assert report["needs"] == [{"path": None, "requirement": "anyio>=4.14"}]
    assert report["summary"] == {"files": 1, "found": 2, "fixed": 1, "remaining": 1, "fixable": 1}


# -- inside ------------------------------------------------------------------------------------------------------------


def test_findings_are_known_again_at_their_first_places() -> None:
    from leaklint import check_source

    before = check_source(THREE, path="app.py").diagnostics
    after = check_source("\n\n" + THREE, path="app.py").diagnostics
    assert earlier(after, before) == list(before)
    assert earlier(after[:2], before) == list(before[:2])
    assert earlier([before[0], after[1]], before) == [before[0], before[1]]
    others = check_source(THREE, path="other.py").diagnostics
    assert earlier(others, before) == list(others)


def test_the_use_case_from_python(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    done: list[Mended] = []
    run = mending.fix(["."], Plan(writing=False), options=Options(), note=done.append)
    assert [found.code for found in run.diagnostics] == ["LK101"]
    assert [each.after for program in done for each in program.rewritten] == [MENDED.encode()]
