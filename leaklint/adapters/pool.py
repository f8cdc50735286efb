"""Checking programs, in worker processes where that pays: the same outcomes, however many work."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from leaklint.adapters.files import File, Sources
from leaklint.engine import Input, check_program
from leaklint.model.diagnostic import Failed, Outcome
from leaklint.policy.config import Settings

__all__ = ["Entry", "Job", "check_job", "collector_off", "default_jobs", "inputs_of", "run", "serve"]

Progress = Callable[[int, int], None]
"""Called with the number of files done and that of all files that outcomes are wanted of."""

FEW = 256
"""So many files are checked in the time in which worker processes start."""


class Entry(NamedTuple):
    """A file of a program, and what is configured for it."""

    file: File
    module: str
    settings: Settings | None
    """None for a file that no outcome is wanted of."""
    aliases: tuple[tuple[str, str], ...] = ()


class Job(NamedTuple):
    """A program: files that are judged together."""

    entries: tuple[Entry, ...]

    @property
    def wanted(self) -> tuple[Entry, ...]:
        """The files that outcomes are wanted of."""
        return tuple(entry for entry in self.entries if entry.settings is not None)


def run(
    jobs: Sequence[Job], *, sources: Sources, workers: int | None = None, on_progress: Progress | None = None
) -> list[Outcome]:
    """Check programs; gives one outcome for each file that one is wanted of, program by program.

    `workers` is the number of processes: None chooses by the machine and the work, 1 starts none. A worker that dies of
    a program (of a fault in the interpreter, or of lack of memory) has its files checked one by one, and costs the one
    file it was at: that is `Failed`. Where no worker can be started, and in a coroutine (whose thread has an event loop
    already), this process checks.
    """
    note = on_progress or _ignore
    total = sum(len(job.wanted) for job in jobs)
    outcomes: dict[str, Outcome] = {}
    count = min(workers or default_jobs(), len(jobs))
    pays = count > 1 and sum(len(job.entries) for job in jobs) > FEW
    if jobs and (pays if workers is None else workers > 1):
        from leaklint.adapters.workers import check_in_workers

        sources.clear()
        outcomes = check_in_workers(jobs, count=count, on_progress=note)
    with collector_off():
        for job in jobs:
            if any(entry.file.path not in outcomes for entry in job.wanted):
                outcomes.update((outcome.path, outcome) for outcome in check_job(job, sources))
                note(len(outcomes), total)
    return [outcomes[entry.file.path] for job in jobs for entry in job.wanted]


def default_jobs() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_job(job: Job, sources: Sources) -> list[Outcome]:
    """Read and check one program; the outcomes of the wanted files are in no particular order. Never raises."""
    inputs, failures = inputs_of(job, sources)
    return [*failures, *check_program(inputs)]


def inputs_of(job: Job, sources: Sources) -> tuple[list[Input], list[Failed]]:
    """The files of a program as the engine takes them, and the wanted ones that cannot be read."""
    inputs, failures = [], []
    for entry in job.entries:
        file = entry.file
        data = sources.take(file)
        if isinstance(data, bytes):
            inputs.append(Input(file.path, entry.module, data, entry.settings, file.explicit, entry.aliases))
        elif entry.settings is not None:
            failures.append(data)
    return inputs, failures


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """What a worker does: check batches of programs until there are no more, or nobody wants the outcomes any more."""
    with collector_off(), suppress(EOFError, OSError):
        while True:
            outcomes = pickle.dumps([outcome for job in pickle.load(requests) for outcome in check_job(job, Sources())])
            answers.write(len(outcomes).to_bytes(8, "big") + outcomes)
            answers.flush()
            gc.collect()


@contextmanager
def collector_off() -> Iterator[None]:
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
