"""What is shipped: the contents of wheel and sdist, and the pre-commit hook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from examples import ROOT, examples

from leaklint import __version__

STEM = f"leaklint_async-{__version__}"


def build(directory: Path, kind: str) -> Path:
    """Build a `wheel` or `sdist` of the project."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    (built,) = directory.iterdir()
    return built


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path, "wheel")) as wheel:
        names = sorted(wheel.namelist())
        metadata = Parser().parsestr(wheel.read(f"{STEM}.dist-info/METADATA").decode())
        entry_points = wheel.read(f"{STEM}.dist-info/entry_points.txt").decode()
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "leaklint").rglob("*.py")]
    data = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"]
    assert names == sorted([*modules, "leaklint/py.typed", *(f"{STEM}.dist-info/{name}" for name in data)])
    assert entry_points == "[console_scripts]\nleaklint = leaklint.cli:main\n"
    run_time = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(re.split(r"[^\w-]", line)[0] for line in run_time) == [
        "anyio",
        "click",
        "libcst",
        "pathspec",
        "rich",
        "tomli",
    ]


def test_the_sdist_can_run_its_tests(tmp_path: Path) -> None:
    with tarfile.open(build(tmp_path, "sdist")) as sdist:
        names = {name.removeprefix(f"{STEM}/") for name in sdist.getnames()}
    wanted = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    wanted += [example.path for example in examples()]
    wanted += [f"{example.path}.out" for example in examples()]
    wanted += ["pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".ci/run", ".pre-commit-hooks.yaml"]
    assert [name for name in wanted if name not in names] == []


class Hooked:
    """The hooks of this checkout, and a project that uses them, with the files of the demo."""

    def __init__(self, directory: Path) -> None:
        self.hook, self.project = directory / "hook", directory / "project"
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment = outside | {"PRE_COMMIT_HOME": str(directory / "home")}
        shutil.copytree(ROOT / "leaklint", self.hook / "leaklint")
        for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
            shutil.copy(ROOT / name, self.hook)
        self.commit(self.hook)
        shutil.copytree(ROOT / "fixtures" / "demo", self.project)
        (self.project / "clean.py").write_text("import asyncio\n", encoding="utf-8")
        self.commit(self.project)

    def run(self, *command: str, cwd: Path) -> tuple[int, str]:
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def commit(self, directory: Path) -> None:
        identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
        for arguments in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "all")):
            assert self.run("git", *arguments, cwd=directory) == (0, "")

    def try_hook(self, name: str) -> tuple[int, str]:
        command = (sys.executable, "-m", "pre_commit", "try-repo", str(self.hook), name, "--all-files")
        return self.run(*command, cwd=self.project)


@pytest.mark.nightly
def test_the_pre_commit_hook_reports_a_leak(tmp_path: Path) -> None:
    code, output = Hooked(tmp_path).try_hook("leaklint")
    found = re.findall(r"^(?:error|warning)\[(LK\d+)\]", output, re.MULTILINE)
    assert (code, found) == (1, ["LK103", "LK102", "LK101", "LK104"]), output


@pytest.mark.nightly
def test_the_pre_commit_hook_fixes_a_leak(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path)
    leak = "import asyncio\n\n\nasync def main():\n    asyncio.create_task(asyncio.sleep(1))\n"
    (hooked.project / "leak.py").write_text(leak, encoding="utf-8")
    (hooked.project / "build").mkdir()
    (hooked.project / "build" / "excluded.py").write_text(leak, encoding="utf-8")
    assert hooked.run("git", "add", "-f", ".", cwd=hooked.project) == (0, "")
    code, output = hooked.try_hook("leaklint-fix")
    assert code == 1, output
    assert "leak.py:5:5: LK101 fixed (task-group)" in output
    assert "files were modified by this hook" in output
    assert "anyio.create_task_group()" in (hooked.project / "leak.py").read_text(encoding="utf-8")
    assert (hooked.project / "build" / "excluded.py").read_text(encoding="utf-8") == leak
