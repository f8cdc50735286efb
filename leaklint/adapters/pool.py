"""Checking many files, in worker processes where that pays: the same outcomes in the same order, however many work."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from leaklint.adapters.files import File, read
from leaklint.engine import check_source
from leaklint.model.diagnostic import Failed, Outcome
from leaklint.policy.config import Settings

__all__ = ["Job", "check_file", "default_jobs", "run", "serve"]

Progress = Callable[[int, int], None]
"""Called with the number of files done and that of all files."""

FEW = 256
"""So many files are checked in the time in which worker processes start."""


class Job(NamedTuple):
    """A file and what is configured for it."""

    file: File
    settings: Settings


def run(jobs: Sequence[Job], *, workers: int | None = None, on_progress: Progress | None = None) -> list[Outcome]:
    """Check files; the outcomes are in the order of the jobs.

    `workers` is the number of processes: None chooses by the machine and the number of files, 1 starts none. A worker
    that dies (of a fault in the interpreter, or of lack of memory) costs the one file it was at: that is `Failed`.
    Where no worker can be started, and in a coroutine (whose thread has an event loop already), this process checks.
    """
    count = min(workers or default_jobs(), len(jobs))
    note = on_progress or _ignore
    outcomes: dict[int, Outcome] = {}
    if count > 1 and (workers is not None or len(jobs) > FEW):
        from leaklint.adapters.workers import check_in_workers

        outcomes = check_in_workers(jobs, count=count, on_progress=note)
    with _collector_off():
        for index, job in enumerate(jobs):
            if index not in outcomes:
                outcomes[index] = check_file(job)
                note(len(outcomes), len(jobs))
    return [outcomes[index] for index in range(len(jobs))]


def default_jobs() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_file(job: Job) -> Outcome:
    """Read and check one file. Never raises."""
    file = job.file
    data = read(file)
    if isinstance(data, Failed):
        return data
    return check_source(data, path=file.path, module=file.module, settings=job.settings, always_parse=file.explicit)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """What a worker does: check batches of jobs until there are no more, or nobody wants the outcomes any more."""
    with _collector_off(), suppress(EOFError, OSError):
        while True:
            outcomes = pickle.dumps([check_file(job) for job in pickle.load(requests)])
            answers.write(len(outcomes).to_bytes(8, "big") + outcomes)
            answers.flush()
            gc.collect()


@contextmanager
def _collector_off() -> Iterator[None]:
    """Syntax trees are many objects and no garbage: searching them for cycles costs time and finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _ignore(_done: int, _total: int) -> None:
    pass
