"""Finding files: what is taken, what is left out, and what is said about paths that are no good."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from leaklint.adapters.files import Discovery, Exclusion, File, Group, Sources, discover, read
from leaklint.adapters.projects import Layout, Project, display_path
from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError
from leaklint.policy.config import ConfigError, Settings


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def found(*paths: str, exclude: tuple[str, ...] = (), force: bool = False) -> Discovery:
    return discover(paths, exclusion_for=lambda _: Exclusion(str(Path.cwd()), exclude), layout=Layout(), force=force)


def names(*paths: str, exclude: tuple[str, ...] = (), force: bool = False) -> list[str]:
    discovery = found(*paths, exclude=exclude, force=force)
    assert discovery.failures == ()
    return [file.path for file in discovery.files]


def test_what_is_known_of_a_file(root: Path) -> None:
    make(root, "src/pkg/__init__.py", "src/pkg/sub/__init__.py", "src/pkg/sub/mod.py", "run.py")
    assert found(".", "src/pkg/sub/mod.py") == Discovery(
        groups=(
            Group(
                str(root),
                (
                    File("run.py", str(root / "run.py")),
                    File("src/pkg/__init__.py", str(root / "src/pkg/__init__.py")),
                    File("src/pkg/sub/__init__.py", str(root / "src/pkg/sub/__init__.py")),
                    File("src/pkg/sub/mod.py", str(root / "src/pkg/sub/mod.py"), explicit=True),
                ),
            ),
        ),
        failures=(),
    )


def test_python_files_in_directories_and_any_file_that_is_named(root: Path) -> None:
    make(root, "a.py", "gui.pyw", "stub.pyi", "notes.txt", "script", "b/c.py", "d.py/e.py", "py", ".hidden.py")
    assert names(".") == [".hidden.py", "a.py", "b/c.py", "d.py/e.py", "gui.pyw"]
    assert names("script", "stub.pyi", "b") == ["b/c.py", "script", "stub.pyi"]


def test_every_file_once(root: Path) -> None:
    make(root, "pkg/a.py")
    assert found("pkg", "./pkg/a.py", "pkg/../pkg/a.py", str(root / "pkg"), ".").files == (
        File("pkg/a.py", str(root / "pkg/a.py"), explicit=True),
    )


def test_paths_are_shown_from_the_working_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, "a.py", "pkg/b.py", "here/c.py")
    monkeypatch.chdir(root / "here")
    assert names("..") == ["../a.py", "../pkg/b.py", "c.py"]
    assert names(str(root / "pkg")) == ["../pkg/b.py"]
    assert display_path(root) == ".."


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_odd_names(root: Path) -> None:
    odd = ["a b.py", "line\nend.py", "\x1b[31mred.py", "[bold]x.py", "é.py", os.fsdecode(b"\xff.py"), "-.py"]
    make(root, *odd)
    assert names(".") == sorted(odd)
    assert names(*(f"./{name}" for name in odd)) == sorted(odd)


# -- exclusion -----------------------------------------------------------------------------------------------------


def test_default_exclusions_hold_only_below_what_is_given(root: Path) -> None:
    make(root, "a.py", "venv/lib/site-packages/pkg/b.py", "pkg/node_modules/c.py", ".tox/d.py", "pkg/build.py")
    assert names(".") == ["a.py", "pkg/build.py"]
    assert names("venv/lib/site-packages/pkg") == ["venv/lib/site-packages/pkg/b.py"]
    assert names("venv") == []
    assert names("pkg/node_modules", ".tox/d.py") == [".tox/d.py", "pkg/node_modules/c.py"]


def test_configured_exclusions(root: Path) -> None:
    make(root, "a.py", "gen/a.py", "gen/keep.py", "pkg/gen/b.py", "pkg/x_pb2.py", "docs/conf.py", "pkg/docs/conf.py")
    exclude = ("gen/*", "!gen/keep.py", "*_pb2.py", "/docs", "# comment", "")
    assert names(".", exclude=exclude) == ["a.py", "gen/keep.py", "pkg/docs/conf.py", "pkg/gen/b.py"]
    assert names("docs", "gen", exclude=exclude) == ["docs/conf.py", "gen/keep.py"]
    assert names("pkg/x_pb2.py", exclude=exclude) == ["pkg/x_pb2.py"]


def test_exclusions_never_look_above_their_root(root: Path) -> None:
    make(root, "a.py")
    assert names(".", exclude=("work", "/work", root.parent.name)) == ["a.py"]


def test_what_is_named_can_be_left_out_too(root: Path) -> None:
    make(root, "a.py", "a_pb2.py", "build/b.py", "pkg/venv/lib/c.py", "pkg/d.py", "out/e.py", "gen/f.py", "gen/g.py")
    (root / ".gitignore").write_text("out/\n")
    (root / "pkg/.gitignore").write_text("d.py\n")
    exclude = ("*_pb2.py", "gen/*", "!gen/g.py")
    given = [str(path) for path in root.rglob("*.py")] + ["build", "pkg/venv", "out", "gen", "../work", "odd.txt"]
    (root / "odd.txt").touch()
    assert names(*given, exclude=exclude, force=True) == ["a.py", "gen/g.py", "odd.txt"]
    assert names("pkg/d.py", "pkg", "build", "out/e.py", force=True) == []


@pytest.mark.parametrize("folder", ["build", "dist/venv", "site-packages/work"])
def test_the_way_to_a_project_is_never_held_against_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    make(root, f"{folder}/a.py", f"{folder}/pkg/b.py", f"{folder}/build/c.py", "dist/d.py", "e.py")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("build/\ndist\n")
    monkeypatch.chdir(root / folder)
    assert names(".", str(root / folder), "a.py", "pkg/b.py", "build/c.py", force=True) == ["a.py", "pkg/b.py"]
    assert names("a.py", "pkg/b.py", exclude=(folder, "build", "work"), force=True) == ["a.py", "pkg/b.py"]
    above = [os.path.relpath(root / name) for name in ("e.py", "dist/d.py")]
    assert names(*above, force=True) == sorted(above)


def test_a_faulty_pattern(root: Path) -> None:
    make(root, "a.py")
    with pytest.raises(UserError) as caught:
        found(".", exclude=("!",))
    assert str(caught.value) == "`exclude`: `!` is not a pattern"


def test_gitignore_files(root: Path) -> None:
    make(
        root, "a.py", "out/b.py", "pkg/out/c.py", "pkg/tmp_d.py", "pkg/keep/tmp_e.py", "pkg/local.py", "f.py", "f/g.py"
    )
    (root / ".git/info").mkdir(parents=True)
    (root / ".git/info/exclude").write_text("local.py\n")
    (root / ".gitignore").write_bytes(b"# \xff\r\n/out/\r\ntmp_*\n!\nf.py\n")
    (root / "pkg/keep/.gitignore").parent.mkdir(exist_ok=True)
    (root / "pkg/keep/.gitignore").write_text("!tmp_e.py\n")
    everything = ["a.py", "f/g.py", "pkg/keep/tmp_e.py", "pkg/out/c.py"]
    assert names(".") == everything
    assert names("pkg") == ["pkg/keep/tmp_e.py", "pkg/out/c.py"]
    assert names("out", "pkg/tmp_d.py") == ["out/b.py", "pkg/tmp_d.py"]
    listed = ["ls-files", "--others", "--exclude-standard", "*.py"]
    subprocess.run(["git", "init", "-q", "."], check=True)
    (root / ".git/info/exclude").write_text("local.py\n")
    git = subprocess.run(["git", *listed], check=True, capture_output=True, text=True).stdout
    assert sorted(git.split()) == everything


def test_gitignore_outside_of_a_repository(root: Path) -> None:
    make(root, "a.py", "pkg/b.py", "pkg/c.py")
    (root / ".gitignore").write_text("a.py\nb.py\n")
    assert names(".") == ["pkg/c.py"]
    assert names("pkg") == ["pkg/b.py", "pkg/c.py"]


def test_a_directory_that_ignores_itself_can_be_given(root: Path) -> None:
    make(root, ".git/HEAD", "env/lib/pkg/a.py")
    (root / "env/.gitignore").write_text("*\n")
    assert names(".") == []
    assert names("env/lib/pkg") == ["env/lib/pkg/a.py"]
    assert names("env") == []


# -- links, and what cannot be read --------------------------------------------------------------------------------


def test_links(root: Path) -> None:
    make(root, "pkg/a.py", "outside.txt", "elsewhere/b.py")
    (root / "pkg/loop").symlink_to("..", target_is_directory=True)
    (root / "pkg/self.py").symlink_to("self.py")
    (root / "pkg/broken.py").symlink_to("missing.py")
    (root / "pkg/again.py").symlink_to("a.py")
    (root / "pkg/linked.py").symlink_to("../outside.txt")
    (root / "link").symlink_to("elsewhere", target_is_directory=True)
    assert names("pkg") == ["pkg/a.py", "pkg/linked.py"]
    assert names(".") == ["elsewhere/b.py", "pkg/a.py", "pkg/linked.py"]
    assert names("link") == ["link/b.py"]
    assert names("pkg/again.py", "pkg") == ["pkg/again.py", "pkg/linked.py"]
    assert names("link/../pkg") == ["pkg/a.py", "pkg/linked.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_a_directory_is_not_opened(root: Path) -> None:
    make(root, "a.py")
    os.mkfifo(root / "pipe.py")
    assert names(".") == ["a.py"]


def test_a_directory_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, "a.py", "secret/b.py")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    discovery = found(".", "secret")
    assert [file.path for file in discovery.files] == ["a.py"]
    assert discovery.failures == (Failed("secret", "cannot be read: Permission denied", None),)


def test_reading(root: Path) -> None:
    (root / "a.py").write_bytes(b"x\r\n\xff")
    here = File("a.py", str(root / "a.py"))
    gone = File("b.py", str(root / "b.py"))
    missing = Failed("b.py", "cannot be read: No such file or directory", None)
    assert read(here) == b"x\r\n\xff"
    assert read(gone) == missing
    sources = Sources()
    assert [sources.peek(here), sources.peek(gone)] == [b"x\r\n\xff", missing]
    (root / "a.py").write_bytes(b"new")
    (root / "b.py").write_bytes(b"here")
    assert [sources.peek(here), sources.take(here), sources.take(here)] == [b"x\r\n\xff", b"x\r\n\xff", b"new"]
    sources.put(here, b"other")
    assert sources.peek(here) == b"other"
    sources.clear()
    assert [sources.take(here), sources.take(gone)] == [b"new", b"here"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("clent.py", "no such file or directory: `clent.py`, did you mean `client.py`?"),
        ("pgk/mod.py", "no such file or directory: `pgk/mod.py`, did you mean `pkg/mod.py`?"),
        ("pgk/other.py", "no such file or directory: `pgk/other.py`, did you mean `pkg`?"),
        ("pkg/mood.py", "no such file or directory: `pkg/mood.py`, did you mean `pkg/mod.py`?"),
        ("client.py/x.py", "no such file or directory: `client.py/x.py`, did you mean `client.py`?"),
        ("zzz", "no such file or directory: `zzz`"),
        ("", "no such file or directory: ``"),
        ("nu\0ll", "no such file or directory: `nu\0ll`"),
        ("lost.py", "broken symbolic link: `lost.py`"),
    ],
)
def test_a_path_that_does_not_exist(root: Path, path: str, message: str) -> None:
    make(root, "client.py", "pkg/mod.py")
    (root / "lost.py").symlink_to("nowhere.py")
    with pytest.raises(UserError) as caught:
        found(path)
    assert str(caught.value) == message


# -- projects ------------------------------------------------------------------------------------------------------


def test_the_nearest_configuration_with_a_table_of_ours(root: Path) -> None:
    make(root, "pkg/inner/deep/a.py", "pkg/other/b.py")
    (root / "pyproject.toml").write_text("[tool.leaklint]\nstrict = true\n")
    (root / "pkg/pyproject.toml").write_text("[project]\nname = 'leaklint-plugin'\n")
    (root / "pkg/inner/pyproject.toml").write_text("[tool.leaklint]\nexclude = ['x']\n")
    (root / "pkg/other/pyproject.toml").write_text("not TOML, and not our business")
    layout = Layout()
    assert layout.project(root / "pkg/inner/deep") == Project(root / "pkg/inner", Settings(exclude=("x",)))
    assert layout.project(root / "pkg/other") == Project(root, Settings(strict=True))
    assert Layout().project(root.parent) == Project(root, Settings())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[tool.leaklint]\nx = 1\n", "pyproject.toml: unknown key `x` in [tool.leaklint] (valid keys: "),
        (b"[tool.leaklint]\nselect = [\n", "pyproject.toml:3:1: not valid TOML: "),
        (b"[tool.leaklint]\n# \xff\n", "pyproject.toml: not valid TOML: it is not in UTF-8"),
    ],
)
def test_a_faulty_configuration(root: Path, data: bytes, message: str) -> None:
    (root / "pyproject.toml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        Layout().project(root)
    assert str(caught.value).startswith(message)


def test_module_names(root: Path) -> None:
    make(root, "a/b/__init__.py", "a/b/c/__init__.py", "a/b/c/d.py", "a/b/e/f.py", "my-script.py")
    layout = Layout()
    named = {
        "a/b/c/d.py": "b.c.d",
        "a/b/c/__init__.py": "b.c",
        "a/b/e/f.py": "f",
        "my-script.py": "my-script",
        "no/such/__init__.py": "such",
    }
    assert {name: layout.module_name(str(root / name)) for name in named} == named
