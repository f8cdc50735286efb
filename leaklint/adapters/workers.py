"""Worker processes, each looked after by a task of an anyio task group.

A worker is started as `python -I`, without the current directory on its path, and told what to import from. So nothing
in a checked directory is ever run, whatever it is called (`signal.py`, `anyio/`), and the main module of the program is
not run again. `anyio.to_process` and the methods of `multiprocessing` that do not fork do both.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from leaklint.adapters.pool import Job
from leaklint.model.diagnostic import Failed, Outcome

__all__ = ["check_in_workers"]

MOST_IN_BATCH = 32
"""So many files of small programs are checked at once."""
Batch = list[Job]

READY = b"\nleaklint is ready\n"
"""What a worker says first. (What the site's own start-up code may print comes before it.)"""
PROGRAM = f"""
import pickle, sys
requests, answers, sys.stdout = sys.stdin.buffer, sys.stdout.buffer, sys.stderr
sys.path[:] = pickle.load(requests)
from leaklint.adapters.pool import serve
answers.write({READY!r})
answers.flush()
serve(requests, answers)
"""

_GONE = (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead, OSError)
"""Said by the streams of a process that has ended."""


def check_in_workers(jobs: Sequence[Job], *, count: int, on_progress: Callable[[int, int], None]) -> dict[str, Outcome]:
    """Check programs in so many processes; gives the outcomes of the wanted files by path.

    Outcomes are missing where no worker could be started: on a system without processes, or in a coroutine, as its
    thread cannot run another event loop. When this is left, by Ctrl-C or otherwise, all workers have ended.
    """
    total = sum(len(job.wanted) for job in jobs)
    work = _Work({}, batches(jobs, count=count)[::-1], lambda done: on_progress(done, total))
    if sys.executable and not _in_event_loop():
        try:
            anyio.run(work.share, min(count, len(work.waiting)))
        except asyncio.CancelledError:  # so Ctrl-C is called on Python 3.10
            raise KeyboardInterrupt from None
    return work.outcomes


def batches(jobs: Sequence[Job], *, count: int) -> list[Batch]:
    """The programs, the largest first, so that none is left to one worker at the end; small ones together."""
    size = max(1, min(MOST_IN_BATCH, sum(len(job.entries) for job in jobs) // (count * 4)))
    found: list[Batch] = []
    room = 0
    for job in sorted(jobs, key=lambda job: -len(job.entries)):
        if len(job.entries) > room:
            found.append([])
            room = size
        found[-1].append(job)
        room -= len(job.entries)
    return found


def _in_event_loop() -> bool:
    try:
        anyio.current_time()
    except RuntimeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do, and what is done."""

    outcomes: dict[str, Outcome]
    """By path."""
    waiting: list[Batch]
    """The programs that nobody is at; the last batch is the next."""
    on_progress: Callable[[int], None]

    async def share(self, count: int) -> None:
        """Share the work among so many workers."""
        async with anyio.create_task_group() as tg:
            for _ in range(count):
                tg.start_soon(self.employ)

    async def employ(self) -> None:
        """Keep one worker busy, and replace it if it dies of a batch; end when nothing waits, or no worker starts."""
        started = True
        while self.waiting and started:
            try:
                process = await anyio.open_process(
                    [sys.executable, "-I", "-c", PROGRAM],
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is not for the workers: they are killed when this is cancelled
                )
            except (OSError, NotImplementedError):
                return
            async with process:
                try:
                    started = await self.instruct(process)
                finally:
                    with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
                        process.kill()
                        await process.wait()

    async def instruct(self, process: Process) -> bool:
        """Hand a worker batch after batch; False if it never started."""
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None
        replies = BufferedByteReceiveStream(answers)
        batch: Batch = []
        try:
            await requests.send(pickle.dumps(sys.path))
            await replies.receive_until(READY, 1 << 16)
            while self.waiting:
                batch = self.waiting.pop()
                await requests.send(pickle.dumps(batch))
                length = int.from_bytes(await replies.receive_exactly(8), "big")
                outcomes: list[Outcome] = pickle.loads(await replies.receive_exactly(length))
                self.note(outcomes)
        except anyio.DelimiterNotFound:
            return False
        except _GONE:
            self.see_to(batch, await process.wait())
        return bool(batch)

    def see_to(self, batch: Batch, code: int) -> None:
        """A worker died of this batch: have it checked program by program, then file by file."""
        if len(batch) > 1:
            self.waiting.extend([job] for job in reversed(batch))
        elif batch and len(batch[0].entries) > 1:
            self.waiting.extend(reversed(batches([Job((entry,)) for entry in batch[0].wanted], count=1)))
        elif batch:
            how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
            path = batch[0].entries[0].file.path
            self.note([Failed(path, f"the process that checked it died ({how})", None)])

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Keep these outcomes."""
        self.outcomes.update((outcome.path, outcome) for outcome in outcomes)
        self.on_progress(len(self.outcomes))
