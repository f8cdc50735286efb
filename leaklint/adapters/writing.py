"""Writing files that were mended: whole or not at all, and only what is the user's to change.

The new content goes to a temporary file in the same directory, from there to the disk, and with `os.replace`, which is
atomic (https://docs.python.org/3/library/os.html#os.replace), in place of the old one. So a kill at any moment leaves
each file as it was or as it is to be.
"""

from __future__ import annotations

import os
import signal
import stat
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from leaklint.adapters.projects import below, display_path

__all__ = ["NotWritten", "obstacle", "replace", "trees", "undisturbed"]

PREFIX = ".leaklint-"
"""Of temporary files. They end in `.tmp`, so no tool takes one that a kill left over for Python."""


class NotWritten(Exception):
    """A file was left as it was; the message says why."""


def trees(paths: Iterable[str]) -> tuple[str, ...]:
    """The directories, without links, that these paths are or stand in: what is outside of them is not written."""
    found = (path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)) for path in paths)
    return tuple(dict.fromkeys(map(os.path.realpath, found)))


def obstacle(location: str, within: Iterable[str]) -> str | None:
    """Why a file is not to be written, if that can be told beforehand; None if nothing is against it.

    `within` are the directories that it must really be in: a link may lead out of what was named.
    """
    real = os.path.realpath(location)
    try:
        state = os.stat(real)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not any(below(real, tree) is not None for tree in within):
        return f"it is a link to `{display_path(real)}`, outside of what was named"
    if not stat.S_ISREG(state.st_mode):
        return "it is no regular file"
    if not state.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):  # root may write it, and is not meant to
        return "it is read-only"
    if not os.access(real, os.W_OK):
        return "you are not permitted to write it"
    if state.st_nlink > 1:
        return f"it has {state.st_nlink} hard links, and writing it would part them"
    return None


def replace(location: str, *, before: bytes, after: bytes) -> None:
    """Write `after` in place of `before`. The file keeps its mode, and its owner where possible.

    Raises `NotWritten` if it has changed since it was read, or cannot be written.
    """
    real = os.path.realpath(location)
    temporary = None
    try:
        state = os.stat(real)
        handle, temporary = tempfile.mkstemp(prefix=PREFIX, suffix=".tmp", dir=os.path.dirname(real))
        with open(handle, "wb") as stream:
            stream.write(after)
            stream.flush()
            os.fsync(stream.fileno())
        _take_after(temporary, real, state)
        content = _content(real)
        if content == after:  # another run was faster
            return
        if content != before:
            raise NotWritten("it has changed on disk since it was read: run `leaklint fix` again")
        os.replace(temporary, real)
        temporary = None
    except (OSError, MemoryError) as error:
        raise NotWritten(f"cannot be written: {getattr(error, 'strerror', None) or 'out of memory'}") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
    _sync_directory(os.path.dirname(real))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put Ctrl-C off until what is done here is done."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    struck = []

    def note(number: int, _frame: FrameType | None) -> None:
        struck.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if struck:
        raise KeyboardInterrupt


def _content(location: str) -> bytes:
    with open(location, "rb") as stream:
        return stream.read()


def _take_after(new: str, old: str, state: os.stat_result) -> None:
    """Give a new file the owner, the extended attributes and the mode of an old one, as far as the system lets us."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(new, state.st_uid, state.st_gid)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(old):
                os.setxattr(new, name, os.getxattr(old, name))
    os.chmod(new, stat.S_IMODE(state.st_mode))


def _sync_directory(directory: str) -> None:
    """Have the new name reach the disk, too, where directories can be opened."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
