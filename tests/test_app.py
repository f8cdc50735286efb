"""The use cases as a whole: settings by project, worker processes, what cannot be checked."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import anyio
import pytest

from leaklint.adapters import pool, workers
from leaklint.adapters.files import File, read
from leaklint.app import Options, Run, check, check_stdin
from leaklint.engine import Input, check_program
from leaklint.model.diagnostic import Checked, Failed, Outcome, Skipped
from leaklint.model.errors import UserError
from leaklint.policy.config import Overrides

LEAK = "import asyncio\n\n\nasync def main():\n    asyncio.create_task(work())\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def project(root: Path, count: int = 5) -> list[str]:
    """A package of so many files with a leak each, and their paths."""
    names = [f"pkg/m{number:03}.py" for number in range(count)]
    (root / "pkg").mkdir()
    for name in names:
        (root / name).write_text(LEAK)
    return names


def findings(run: Run) -> list[tuple[str, int, str]]:
    return [(found.path, found.span.line, found.code) for found in run.diagnostics]


def test_a_run(root: Path) -> None:
    project(root, 2)
    (root / "pkg/quiet.py").write_text("import os\n")
    (root / "pkg/broken.py").write_bytes(b"create_task = (\n")
    (root / "pkg/latin.py").write_bytes(b"x = '\xe9'\n")
    run = check(["pkg"], options=Options())
    assert [(type(outcome), outcome.path) for outcome in run.outcomes] == [
        (Checked, "pkg/broken.py"),
        (Checked, "pkg/latin.py"),
        (Checked, "pkg/m000.py"),
        (Checked, "pkg/m001.py"),
        (Skipped, "pkg/quiet.py"),
    ]
    assert findings(run) == [
        ("pkg/broken.py", 1, "LK001"),
        ("pkg/latin.py", 1, "LK001"),
        ("pkg/m000.py", 5, "LK101"),
        ("pkg/m001.py", 5, "LK101"),
    ]
    assert [(entry.task.path, entry.task.function) for entry in run.tasks] == [
        ("pkg/m000.py", "m000.main"),
        ("pkg/m001.py", "m001.main"),
    ]
    assert run.failures == ()
    assert run.lines_of("pkg/m000.py") == LEAK.split("\n")
    assert run.lines_of("pkg/latin.py") == ["x = 'é'", ""]
    (root / "pkg/m000.py").unlink()
    assert run.lines_of("pkg/m000.py") == ()
    assert run.lines_of("elsewhere.py") == ()


def test_a_named_file_is_always_parsed(root: Path) -> None:
    (root / "odd.txt").write_text("x = = 1\n")
    (root / "same.py").write_text("x = = 1\n")
    assert findings(check(["."], options=Options())) == []
    assert findings(check(["odd.txt", "same.py"], options=Options())) == [
        ("odd.txt", 1, "LK001"),
        ("same.py", 1, "LK001"),
    ]


@pytest.mark.usefixtures("root")
def test_nothing_to_check() -> None:
    assert check(["."], options=Options()) == Run(())


def test_a_file_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(root, 3)
    lost = Failed("pkg/m001.py", "cannot be read: Permission denied", None)
    monkeypatch.setattr("leaklint.adapters.files.read", lambda file: lost if file.path == lost.path else read(file))
    run = check(["pkg"], options=Options())
    assert run.failures == (lost,)
    assert [path for path, _, _ in findings(run)] == ["pkg/m000.py", "pkg/m002.py"]


# -- the rest of the project ---------------------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that the engine is given from now on: their files, with a star before those that are reported on."""
    programs: list[list[str]] = []

    def record(inputs: Sequence[Input]) -> tuple[Outcome, ...]:
        programs.append([f"{'*' * (each.settings is not None)}{each.path} {each.module}" for each in inputs])
        return check_program(inputs)

    monkeypatch.setattr(pool, "check_program", record)
    return programs


def test_the_rest_of_the_project_is_read_but_not_reported_on(root: Path, judged: list[list[str]]) -> None:
    project(root, 3)
    (root / "pkg/__init__.py").touch()
    (root / "pyproject.toml").touch()
    (root / "use.py").write_text(f"import pkg.m001\n{LEAK}")
    seen: list[tuple[int, int]] = []
    run = check(["pkg/m001.py"], options=Options(), on_progress=lambda done, total: seen.append((done, total)))
    assert judged == [
        ["pkg/__init__.py pkg", "pkg/m000.py pkg.m000", "*pkg/m001.py pkg.m001", "pkg/m002.py pkg.m002", "use.py use"]
    ]
    assert [outcome.path for outcome in run.outcomes] == ["pkg/m001.py"]
    assert [entry.task.function for entry in run.tasks] == ["pkg.m001.main"]
    assert seen == [(1, 1)]
    assert run.lines_of("use.py")[0] == "import pkg.m001"
    assert check(["pkg/m001.py"], options=Options(), jobs=2) == run
    assert len(judged) == 1


@pytest.mark.parametrize("paths", [["pkg/m001.py", "use.py"], ["."]])
def test_without_the_rest_of_the_project(root: Path, judged: list[list[str]], paths: list[str]) -> None:
    project(root, 2)
    (root / "pyproject.toml").touch()
    (root / "use.py").write_text("import m001\n")
    run = check(paths, options=Options(isolated_files=True))
    wanted = ["*pkg/m000.py m000", "*pkg/m001.py m001", "*use.py use"]
    assert sorted(judged) == [[each] for each in wanted if paths == ["."] or "m000" not in each]
    assert run.lines_of("pkg/m000.py") == (LEAK.split("\n") if paths == ["."] else ())


def test_the_root_is_found_without_configuration(root: Path, judged: list[list[str]]) -> None:
    project(root, 1)
    (root / "pyproject.toml").write_text("[tool.leaklint]\nignore = ['LK101']\n")
    (root / "use.py").write_text("import m000\n")
    assert findings(check(["pkg/m000.py"], options=Options(isolated=True))) == [("pkg/m000.py", 5, "LK101")]
    assert judged == [["*pkg/m000.py m000", "use.py use"]]


def test_what_is_wrong_with_the_rest_of_the_project_is_no_concern(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(root, 3)
    (root / "pkg/__init__.py").touch()
    (root / ".git").mkdir()
    (root / "pkg/m002.py").write_text("create_task = (\n")
    (root / "other").mkdir()
    (root / "other/pyproject.toml").write_text("[tool.leaklint]\nmistaken = true\n")
    lost = Failed("pkg/m001.py", "cannot be read: Permission denied", None)
    monkeypatch.setattr("leaklint.adapters.files.read", lambda file: lost if file.path == lost.path else read(file))
    seen: list[tuple[int, int]] = []
    run = check(["pkg/m000.py"], options=Options(), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]
    assert [outcome.path for outcome in run.outcomes] == ["pkg/m000.py"]
    assert findings(run) == [("pkg/m000.py", 5, "LK101")]
    assert check(["pkg/m001.py"], options=Options()).outcomes == (lost,)


def test_standard_input_stands_in_for_a_file(root: Path, judged: list[list[str]]) -> None:
    project(root, 1)
    (root / "pkg/__init__.py").touch()
    (root / "pyproject.toml").touch()
    for name in ("pkg/m000.py", "pkg/new.py"):
        run = check_stdin(LEAK.encode() * 2, filename=name, options=Options())
        assert findings(run) == [(name, 5, "LK101"), (name, 10, "LK101")]
        assert run.lines_of(name) == (LEAK * 2).split("\n")
        assert run.lines_of("pkg/__init__.py") == [""]
    check_stdin(b"import pkg", filename="use.py", options=Options())
    check_stdin(b"import pkg", filename="pkg/m000.py", options=Options(isolated_files=True))
    assert findings(check_stdin(LEAK.encode(), filename=None, options=Options())) == [("<stdin>", 5, "LK101")]
    assert judged == [
        ["pkg/__init__.py pkg", "*pkg/m000.py pkg.m000"],
        ["pkg/__init__.py pkg", "pkg/m000.py pkg.m000", "*pkg/new.py pkg.new"],
        ["pkg/__init__.py pkg", "pkg/m000.py pkg.m000", "*use.py use"],
        ["*pkg/m000.py pkg.m000"],
        ["*<stdin> <stdin>"],
    ]


# -- settings ------------------------------------------------------------------------------------------------------


def test_flags_go_before_the_nearest_configuration_before_defaults(root: Path) -> None:
    for name in ("a", "b", "b/deep", "c"):
        (root / name).mkdir()
        (root / name / "m.py").write_text(LEAK)
    (root / "pyproject.toml").write_text("[tool.leaklint]\nexclude = ['c/']\n")
    (root / "b/pyproject.toml").write_text("[tool.leaklint]\nignore = ['LK101']\n")
    paths = [path for path, _, _ in findings(check(["."], options=Options()))]
    assert paths == ["a/m.py"]
    isolated = check(["."], options=Options(isolated=True))
    assert [path for path, _, _ in findings(isolated)] == ["a/m.py", "b/deep/m.py", "b/m.py", "c/m.py"]
    everything = Options(Overrides(ignore=frozenset(), exclude=("deep",)))
    assert [path for path, _, _ in findings(check(["."], options=everything))] == ["a/m.py", "b/m.py", "c/m.py"]
    nothing = Options(Overrides(select=frozenset({"LK102"})), isolated=True)
    assert findings(check(["."], options=nothing)) == []


def test_a_faulty_configuration_ends_the_run(root: Path) -> None:
    project(root)
    (root / "pkg/pyproject.toml").write_text("[tool.leaklint]\nstrict = 'yes'\n")
    with pytest.raises(UserError, match=r"^pkg/pyproject\.toml: `strict` must be true or false, not a string$"):
        check(["."], options=Options())
    assert len(check(["."], options=Options(isolated=True)).diagnostics) == 5


def test_standard_input_is_configured_like_the_file_it_stands_for(root: Path) -> None:
    (root / "pkg").mkdir()
    (root / "pkg/__init__.py").touch()
    run = check_stdin(LEAK.encode(), filename="pkg/new.py", options=Options())
    assert findings(run) == [("pkg/new.py", 5, "LK101")]
    assert [entry.task.function for entry in run.tasks] == ["pkg.new.main"]
    assert run.lines_of("pkg/new.py") == LEAK.split("\n")
    (root / "pkg/pyproject.toml").write_text("[tool.leaklint]\nignore = ['LK101']\n")
    assert findings(check_stdin(LEAK.encode(), filename="pkg/new.py", options=Options())) == []
    assert findings(check_stdin(LEAK.encode(), filename=str(root / "x.py"), options=Options())) == [
        ("x.py", 5, "LK101")
    ]
    assert findings(check_stdin(b"x = = 1", filename=None, options=Options())) == [("<stdin>", 1, "LK001")]


# -- worker processes ----------------------------------------------------------------------------------------------


def test_the_outcome_does_not_depend_on_the_number_of_processes(root: Path) -> None:
    names = project(root, 20)
    (root / "pyproject.toml").write_text("[tool.leaklint]\nstrict = true\n")
    alone = check(["."], options=Options(), jobs=1)
    seen: list[tuple[int, int]] = []
    together = check(["."], options=Options(), jobs=3, on_progress=lambda done, total: seen.append((done, total)))
    assert [outcome.path for outcome in together.outcomes] == names
    assert together == alone
    assert seen == sorted(seen)
    assert seen[-1] == (20, 20)
    assert len(seen) > 3


def test_programs_of_many_sizes(root: Path) -> None:
    """Twelve packages, of one to six files, of which only some are named."""
    (root / "pyproject.toml").touch()
    for number in range(12):
        folder = root / f"pkg{number}"
        folder.mkdir()
        (folder / "__init__.py").write_text(f"import pkg{number // 4}\n")
        for inner in range(number % 6):
            (folder / f"m{inner}.py").write_text(LEAK)
    paths = [str(root / f"pkg{number}") for number in range(1, 12, 2)]
    alone, together = (check(paths, options=Options(), jobs=jobs) for jobs in (1, 2))
    assert [outcome.path.partition("/")[0] for outcome in alone.outcomes if outcome.path.endswith("__init__.py")] == [
        "pkg1", "pkg11", "pkg3", "pkg5", "pkg7", "pkg9"
    ]  # fmt: skip
    assert len(findings(alone)) == 18
    assert together == alone


def test_batches_begin_with_the_largest_program() -> None:
    def job(name: str, size: int) -> pool.Job:
        return pool.Job(tuple(pool.Entry(File(f"{name}{i}.py", f"/{name}{i}.py"), name, None) for i in range(size)))

    jobs = [job("a", 1), job("b", 40), job("c", 2), job("d", 3), job("e", 1), job("f", 1)]
    found = workers.batches(jobs, count=3)
    assert [[each.entries[0].module for each in batch] for batch in found] == [["b"], ["d"], ["c", "a", "e"], ["f"]]


def test_one_program_is_checked_by_a_worker_only_on_demand(root: Path, judged: list[list[str]]) -> None:
    project(root, pool.FEW)
    (root / "pkg/__init__.py").touch()
    run = check(["."], options=Options())
    assert [len(program) for program in judged] == [pool.FEW + 1]
    assert check(["."], options=Options(), jobs=2) == run
    assert len(judged) == 1


def test_progress_without_processes(root: Path) -> None:
    project(root, 3)
    seen: list[tuple[int, int]] = []
    check(["."], options=Options(), jobs=1, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


DYING = """
import os, signal
from leaklint.adapters import pool
check_job = pool.check_job
def die(job, sources):
    names = {entry.file.path[-6:] for entry in job.entries}
    if "007.py" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    if "008.py" in names:
        os.kill(os.getpid(), signal.SIGTERM)
    if "039.py" in names:
        os._exit(7)
    return check_job(job, sources)
pool.check_job = die
"""


@pytest.mark.skipif(os.name == "nt", reason="no signals like these on Windows")
@pytest.mark.parametrize("together", [False, True])
def test_a_worker_that_dies_costs_the_file_it_was_at(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    names = project(root, 40)
    if together:
        names.insert(0, "pkg/__init__.py")
        (root / names[0]).write_text(LEAK)
        (root / "test_pkg.py").write_text("import pkg\n")
    monkeypatch.setattr(workers, "PROGRAM", workers.PROGRAM.replace("answers.write", f"{DYING}\nanswers.write"))
    seen: list[tuple[int, int]] = []
    run = check(["pkg"], options=Options(), jobs=2, on_progress=lambda done, total: seen.append((done, total)))
    first, second, third = (f"pkg/m{number}.py" for number in ("007", "008", "039"))
    assert run.failures == (
        Failed(first, "the process that checked it died (SIGKILL)", None),
        Failed(second, "the process that checked it died (SIGTERM)", None),
        Failed(third, "the process that checked it died (exit code 7)", None),
    )
    assert [path for path, _, _ in findings(run)] == [name for name in names if name not in (first, second, third)]
    assert max(seen) == (len(names), len(names))


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "print('x' * 100_000)", "not Python at all"])
def test_without_workers_this_process_does_the_work(root: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    names = project(root, 10)
    monkeypatch.setattr(workers, "PROGRAM", program)
    seen: list[tuple[int, int]] = []
    run = check(["."], options=Options(), jobs=2, on_progress=lambda done, total: seen.append((done, total)))
    assert [path for path, _, _ in findings(run)] == names
    assert seen == [(number, 10) for number in range(1, 11)]


@pytest.mark.parametrize("executable", ["", "no/such/python", os.devnull])
def test_without_an_interpreter_this_process_does_the_work(
    root: Path, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    names = project(root, 10)
    monkeypatch.setattr(sys, "executable", executable)
    assert [path for path, _, _ in findings(check(["."], options=Options(), jobs=2))] == names


def test_what_a_site_prints_at_its_start_does_no_harm(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = project(root, 10)
    monkeypatch.setattr(workers, "PROGRAM", f"print('Welcome!', flush=True)\n{workers.PROGRAM}")
    assert [path for path, _, _ in findings(check(["."], options=Options(), jobs=2))] == names


def test_nothing_in_the_checked_directory_is_run(root: Path) -> None:
    project(root, 20)
    trap = "open('trap', 'w').write(__name__)\nraise SystemExit\n"
    for name in ("signal.py", "pickle.py", "sitecustomize.py", "anyio/__init__.py", "leaklint/__init__.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(trap)
    assert len(check(["."], options=Options(), jobs=2).diagnostics) == 20
    assert not (root / "trap").exists()


def test_from_a_coroutine(root: Path) -> None:
    names = project(root, 10)

    async def run() -> list[list[str]]:
        here = check(["."], options=Options(), jobs=2)
        elsewhere = await anyio.to_thread.run_sync(lambda: check(["."], options=Options(), jobs=2))
        return [[outcome.path for outcome in run.outcomes] for run in (here, elsewhere)]

    assert anyio.run(run) == [names, names]
    assert anyio.run(run, backend="trio") == [names, names]


# -- interruption --------------------------------------------------------------------------------------------------

COMMAND = "from leaklint.cli import main\nmain()\n"
SCRIPT = "import sys, leaklint\nprint('once', flush=True)\nleaklint.check_paths(sys.argv[3:], jobs=2)\n"
"""A program that uses the API, without `if __name__ == "__main__"`."""


class Busy(NamedTuple):
    process: subprocess.Popen[str]
    pipes: list[BinaryIO]

    def has_ended(self) -> bool:
        """Whether program and workers have: each worker holds the other end of a pipe."""
        for pipe in self.pipes:
            with suppress(BrokenPipeError):
                pipe.write(b"x")
                return False
        return self.process.poll() is not None


def opened(pipe: Path, process: subprocess.Popen[str]) -> BinaryIO:
    """A pipe to write to, as soon as a worker of the process has opened its other end."""
    while process.poll() is None:
        with suppress(OSError):
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        time.sleep(0.01)
    raise AssertionError(process.communicate())


@pytest.fixture
def start(root: Path) -> Iterator[Callable[[str], Busy]]:
    """Start a program in a process group of its own; two workers of it are waiting for pipes to be filled."""
    with ExitStack() as stack:

        def start(program: str) -> Busy:
            paths = [root / "a.py", root / "b.py"]
            for path in paths:
                os.mkfifo(path)
            (root / "program").write_text(program)
            process = subprocess.Popen(
                [sys.executable, "program", "check", "-j2", "a.py", "b.py"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(workers.__file__).parents[2]), *sys.path])},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            return Busy(process, [stack.enter_context(opened(path, process)) for path in paths])

        yield start


@pytest.mark.skipif(os.name == "nt", reason="no process groups and named pipes on Windows")
@pytest.mark.parametrize("kill", [os.killpg, os.kill])
def test_an_interrupt_ends_all_processes_quickly_and_quietly(
    start: Callable[[str], Busy], kill: Callable[[int, int], None]
) -> None:
    busy = start(COMMAND)
    kill(busy.process.pid, signal.SIGINT)
    assert busy.process.communicate(timeout=5) == ("", "\n")
    assert busy.process.returncode == 130
    assert busy.has_ended()


@pytest.mark.skipif(os.name == "nt", reason="no process groups and named pipes on Windows")
def test_an_interrupted_script_has_run_once(start: Callable[[str], Busy]) -> None:
    busy = start(SCRIPT)
    os.killpg(busy.process.pid, signal.SIGINT)
    printed, said = busy.process.communicate(timeout=5)
    assert (printed, said.splitlines()[-1]) == ("once\n", "KeyboardInterrupt")
    assert busy.has_ended()


def test_a_worker_ends_when_nobody_asks_or_listens_any_more(tmp_path: Path) -> None:
    (tmp_path / "answers").touch()
    request = pickle.dumps([])
    answers = io.BytesIO()
    pool.serve(io.BytesIO(request + request[:3]), answers)
    assert answers.getvalue() == len(request).to_bytes(8, "big") + request
    with (tmp_path / "answers").open("rb") as closed:
        pool.serve(io.BytesIO(request), closed)
