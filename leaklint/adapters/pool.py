"""Checking many files, in worker processes where that pays: the same outcomes in the same order, however many work."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from leaklint.adapters.files import File, read
from leaklint.engine import check_source
from leaklint.model.diagnostic import Failed, Outcome
from leaklint.policy.config import Settings

__all__ = ["Job", "check_file", "default_jobs", "run"]

Progress = Callable[[int, int], None]
"""Called with the number of files done and that of all files."""

FEW = 32
"""So many files are checked before a second process would have started."""
MOST_WORKERS = 60
"""Windows can wait for no more than 63 things at once."""
MOST_IN_BATCH = 32


class Job(NamedTuple):
    """A file and what is configured for it."""

    file: File
    settings: Settings


def run(jobs: Sequence[Job], *, workers: int | None = None, on_progress: Progress | None = None) -> list[Outcome]:
    """Check files; the outcomes are in the order of the jobs.

    `workers` is the number of processes: None chooses by the machine and the number of files, 1 starts none. A worker
    that dies (of a fault in the interpreter, or of lack of memory) costs the one file it was at: that is `Failed`.
    """
    count = min(workers or default_jobs(), len(jobs), MOST_WORKERS)
    is_child = multiprocessing.current_process().daemon
    if count <= 1 or is_child or (workers is None and len(jobs) <= FEW):
        return _run_here(jobs, 0, len(jobs), on_progress)
    return _run_in_processes(jobs, count, on_progress)


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


# -- in this process -------------------------------------------------------------------------------------------------


def _run_here(jobs: Sequence[Job], done: int, total: int, on_progress: Progress | None) -> list[Outcome]:
    outcomes = []
    with _collector_off():
        for job in jobs:
            outcomes.append(check_file(job))
            if on_progress:
                on_progress(done + len(outcomes), total)
    return outcomes


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


# -- in worker processes ---------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Worker:
    """The parent's side of a worker process."""

    process: BaseProcess
    connection: Connection
    batch: range = range(0)
    """The indices of the jobs that it is at."""
    ready: bool = False
    """It has reported for work."""


def _run_in_processes(jobs: Sequence[Job], count: int, on_progress: Progress | None) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    size = max(1, min(MOST_IN_BATCH, len(jobs) // (count * 4)))
    waiting = deque(range(start, min(start + size, len(jobs))) for start in range(0, len(jobs), size))
    workers = _start(count)
    try:
        while workers and len(outcomes) < len(jobs):
            for worker in _reporting(workers):
                if not _exchange(worker, jobs, outcomes, waiting):
                    workers.remove(worker)
                    workers += _replace(worker, jobs, outcomes, waiting)
            if on_progress:
                on_progress(len(outcomes), len(jobs))
    finally:
        _stop(workers)
    # If no worker could be started: a system without processes, or a program whose main module cannot be run again.
    left = [index for index in range(len(jobs)) if index not in outcomes]
    here = _run_here([jobs[index] for index in left], len(outcomes), len(jobs), on_progress)
    outcomes.update(zip(left, here, strict=True))
    return [outcomes[index] for index in range(len(jobs))]


def _exchange(worker: _Worker, jobs: Sequence[Job], outcomes: dict[int, Outcome], waiting: deque[range]) -> bool:
    """Take a worker's outcomes and give it the next batch; False if it is dead."""
    try:
        outcomes.update(zip(worker.batch, worker.connection.recv(), strict=True))
        worker.ready, worker.batch = True, range(0)
        if waiting:
            worker.connection.send([jobs[index] for index in waiting[0]])
            worker.batch = waiting.popleft()
    except (EOFError, OSError):
        return False
    return True


def _replace(dead: _Worker, jobs: Sequence[Job], outcomes: dict[int, Outcome], waiting: deque[range]) -> list[_Worker]:
    """See to the batch that a worker died of, file by file until it is clear which it was; start another worker.

    A worker that died before it reported for work has none to replace it: that would die as well.
    """
    dead.process.join()
    dead.connection.close()
    if len(dead.batch) == 1:
        code = dead.process.exitcode or 0
        how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
        path = jobs[dead.batch[0]].file.path
        outcomes[dead.batch[0]] = Failed(path, f"the process that checked it died ({how})", None)
    else:
        waiting.extendleft(range(index, index + 1) for index in reversed(dead.batch))
    return _start(1) if dead.ready else []


def _reporting(workers: list[_Worker]) -> list[_Worker]:
    """Wait for workers which have something to say, or are dead."""
    ready = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


def _start(count: int) -> list[_Worker]:
    """Start so many workers, fewer if the system has no more."""
    workers: list[_Worker] = []
    with _interrupts_held(), suppress(OSError):
        for _ in range(count):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            workers.append(_Worker(process, ours))
    return workers


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.join()
        worker.connection.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Have the processes started meanwhile pay no attention to Ctrl-C: that is for the parent to act on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    """Check batches of files until the parent has no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    with suppress(EOFError, OSError):
        connection.send([])
        while True:
            connection.send([check_file(job) for job in connection.recv()])
            gc.collect()
