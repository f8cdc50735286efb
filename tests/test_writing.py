"""Files are written whole or not at all, and only where nothing is against it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from leaklint.adapters import writing
from leaklint.adapters.writing import NotWritten, obstacle, replace, trees, undisturbed

OLD, NEW = b"old\r\n", b"\xef\xbb\xbfnew\xe9"


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob(".leaklint-*")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_bytes(OLD)
    return path


# -- replacing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o660, 0o4755])
def test_content_is_replaced_and_the_mode_kept(file: Path, mode: int) -> None:
    file.chmod(mode)
    replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == NEW
    assert file.stat().st_mode & 0o7777 == mode
    assert leftovers(file.parent) == []


def test_owner_and_extended_attributes_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may give files away, and not every file system has attributes: this is what the system is asked."""
    owner = file.stat().st_uid, file.stat().st_gid
    asked: list[object] = []
    monkeypatch.setattr(os, "chown", lambda _path, *given: asked.append(given))
    monkeypatch.setattr(os, "listxattr", lambda _path: ["user.a"], raising=False)
    monkeypatch.setattr(os, "getxattr", lambda _path, name: name.encode(), raising=False)
    monkeypatch.setattr(os, "setxattr", lambda _path, *given: asked.append(given), raising=False)
    replace(str(file), before=OLD, after=NEW)
    assert asked == [owner, ("user.a", b"user.a")]


def test_what_the_system_forbids_to_keep_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", forbid)
    monkeypatch.setattr(os, "listxattr", forbid, raising=False)
    replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == NEW


def test_what_changed_meanwhile_is_not_written(file: Path) -> None:
    file.write_bytes(b"edited")
    with pytest.raises(NotWritten, match="changed on disk since it was read"):
        replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == b"edited"
    assert leftovers(file.parent) == []


def test_what_changes_while_it_is_written_is_not_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_descriptor: int) -> None:
        file.write_bytes(b"edited")

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(NotWritten, match="changed on disk"):
        replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == b"edited"


def test_what_another_run_wrote_already_is_no_mistake(file: Path) -> None:
    file.write_bytes(NEW)
    replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == NEW
    assert leftovers(file.parent) == []


def test_what_was_removed_is_not_made_anew(file: Path) -> None:
    file.unlink()
    with pytest.raises(NotWritten, match=r"cannot be written: No such file"):
        replace(str(file), before=OLD, after=NEW)
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_full_disk_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(NotWritten, match=r"^cannot be written: No space left on device$"):
        replace(str(file), before=OLD, after=NEW)
    assert file.read_bytes() == OLD
    assert leftovers(file.parent) == []


def test_a_disk_that_is_really_full(file: Path) -> None:
    """Files of a process are limited to fewer bytes than are to be written."""
    script = f"""
        import resource, signal
        from leaklint.adapters.writing import NotWritten, replace
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            replace({str(file)!r}, before={OLD!r}, after=b"x" * 5000)
        except NotWritten as error:
            print(error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert run.stdout == "cannot be written: File too large\n"
    assert file.read_bytes() == OLD
    assert leftovers(file.parent) == []


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.parent / "link.py"
    link.symlink_to("a.py")
    replace(str(link), before=OLD, after=NEW)
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_a_kill_at_any_moment_leaves_the_file_whole(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.py" for number in range(4)]
    contents = [b"a" * 300_000, b"b" * 300_000]
    for file in files:
        file.write_bytes(contents[0])
    script = f"""
        from leaklint.adapters.writing import replace
        paths, (one, other) = {[str(file) for file in files]!r}, (b"a" * 300_000, b"b" * 300_000)
        current = {{path: open(path, "rb").read() for path in paths}}
        print("ready", flush=True)
        while True:
            for path in paths:
                new = other if current[path] == one else one
                replace(path, before=current[path], after=new)
                current[path] = new
    """
    chance = random.Random(5)  # noqa: S311 - no secret
    for _ in range(15):
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert {file.read_bytes() for file in files} <= set(contents)
    assert all(not name.endswith(".py") for name in leftovers(tmp_path))


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def test_ctrl_c_waits_for_what_has_begun() -> None:
    done = []

    def work() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("first")
            signal.raise_signal(signal.SIGINT)
            done.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first", "second"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_handled_by_others_is_left_to_them() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with undisturbed():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)


# -- obstacles ---------------------------------------------------------------------------------------------------------


def test_nothing_is_against_a_plain_file(file: Path) -> None:
    assert obstacle(str(file), trees([str(file)])) is None
    assert obstacle(str(file), trees([str(file.parent)])) is None


@pytest.mark.parametrize("mode", [0o444, 0o555, 0o400])
def test_a_file_without_permission_to_write_is_left_alone_even_by_root(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert obstacle(str(file), trees([str(file)])) == "it is read-only"


def test_a_file_of_others_is_left_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert obstacle(str(file), trees([str(file)])) == "you are not permitted to write it"


def test_hard_links_are_not_parted(file: Path) -> None:
    os.link(file, file.parent / "b.py")
    assert obstacle(str(file), trees([str(file)])) == "it has 2 hard links, and writing it would part them"


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert obstacle(str(tmp_path / "pipe.py"), trees([str(tmp_path)])) == "it is no regular file"
    assert obstacle(str(tmp_path / "none.py"), trees([str(tmp_path)])) == "it cannot be read: No such file or directory"


def test_links_out_of_what_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in ("src", "lib"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "a.py").write_bytes(OLD)
    (tmp_path / "src" / "out.py").symlink_to("../lib/a.py")
    (tmp_path / "src" / "in.py").symlink_to("a.py")
    (tmp_path / "linked").symlink_to("lib")
    why = "it is a link to `lib/a.py`, outside of what was named"
    assert obstacle("src/out.py", trees(["src"])) == why
    assert obstacle("src/out.py", trees(["src/out.py"])) == why
    assert obstacle("src/out.py", trees(["src", "lib"])) is None
    assert obstacle("src/out.py", trees(["."])) is None
    assert obstacle("src/in.py", trees(["src"])) is None
    assert obstacle("linked/a.py", trees(["linked"])) is None
    assert obstacle("linked/a.py", trees(["linked/a.py"])) is None
    assert obstacle("linked/a.py", trees(["src"])) == why


def test_trees_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    assert trees([str(tmp_path), str(tmp_path / "a.py"), str(tmp_path)]) == (os.path.realpath(tmp_path),)


def test_temporary_files_are_no_python_files() -> None:
    assert writing.PREFIX.startswith(".")
