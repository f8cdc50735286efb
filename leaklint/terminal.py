"""Standard output and standard error: colour, width, encoding, readers that go away, the progress bar.

The only module that prints.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

import click

from leaklint.model.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

    from leaklint.report.frame import Look

__all__ = ["ask", "look_of", "say", "tolerate_any_text", "waiting", "wants_color", "write", "write_bytes"]

PATIENCE = 2.0
"""Seconds that a terminal waits before it is shown a progress bar."""
PIPED_WIDTH = 140
"""Cells in a line of output that does not go to a terminal."""


def look_of(color: str, stream: IO[str] | None = None) -> Look:
    """How output to a stream (standard output, if none is given) is to look, given the choice of `--color`."""
    from leaklint.report.frame import Look

    stream = stream or sys.stdout
    terminal = stream is not None and stream.isatty()
    return Look(
        color=wants_color(color, stream),
        unicode=_takes_box_characters(stream),
        width=shutil.get_terminal_size().columns if terminal else PIPED_WIDTH,
        terminal=terminal,
    )


def wants_color(choice: str, stream: IO[str] | None) -> bool:
    """`--color` goes before NO_COLOR, that before FORCE_COLOR, that before what the stream is."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _takes_box_characters(stream: IO[str] | None) -> bool:
    try:
        "│⋮…".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def tolerate_any_text(stream: IO[str] | None) -> None:
    """Have a stream write what its encoding lacks as escapes, rather than fail."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def write(text: str, stream: IO[str] | None, *, color: bool = False) -> None:
    """Write to a stream. A reader that has seen enough (`| head`) changes nothing: the exit code stays."""
    try:
        click.echo(text, file=stream, nl=False, color=color)
    except OSError as error:
        _mute(stream)
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL for a closed pipe
            raise UserError(f"cannot write the output: {error.strerror}") from None


def write_bytes(data: bytes) -> None:
    """Write to standard output what is no text of ours, as `write` does."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:  # something in Python's memory
        write(data.decode("utf-8", "surrogateescape"), sys.stdout)
        return
    try:
        sys.stdout.flush()
        stream.write(data)
        stream.flush()
    except OSError as error:
        _mute(sys.stdout)
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise UserError(f"cannot write the output: {error.strerror}") from None


def ask(question: str, *, color: bool) -> str | None:
    """The answer to a question, without white space around it; None if the input has ended."""
    write(question, sys.stdout, color=color)
    sys.stdout.flush()
    answer = sys.stdin.readline()
    return answer.strip() if answer else None


def _mute(stream: IO[str] | None) -> None:
    """Send a broken stream to nowhere, or Python would complain when it flushes it at exit."""
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(message: str, kind: str | None = None) -> None:
    """Write one line to standard error."""
    from leaklint.report.frame import visible

    color = wants_color("auto", sys.stderr)
    styles = {"error": "bright_red", "warning": "yellow"}
    label = f"{click.style(kind, fg=styles[kind], bold=True)}: " if kind else ""
    write(f"leaklint: {label}{visible(message)}\n", sys.stderr, color=color)


class Waiting(Protocol):
    """Is told how many things are done, of how many."""

    def __call__(self, done: int, total: int, /, what: str = ...) -> None: ...


@contextmanager
def waiting(*, shown: bool) -> Iterator[Waiting]:
    """Give a function that is told how many files are done, of how many, or how much of something else.

    It draws a progress bar on standard error if that is a terminal which has waited for `PATIENCE` seconds, until all
    are done.
    """
    started = time.monotonic()
    may_draw = shown and sys.stderr is not None and sys.stderr.isatty()
    bar: Progress | None = None

    def note(done: int, total: int, what: str = "checking files") -> None:
        nonlocal bar
        if bar is None and may_draw and time.monotonic() - started > PATIENCE:
            bar = _progress_bar()
            bar.add_task(what, total=total)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], description=what, completed=done, total=total)
            if done == total:
                bar.stop()
                bar = None

    try:
        yield note
    finally:
        if bar is not None:
            bar.stop()


def _progress_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
