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


def check_in_workers(jobs: Sequence[Job], *, count: int, on_progress: Callable[[int, int], None]) -> dict[int, Outcome]:
    """Check files in so many processes; gives the outcomes by the index of their job.

    Outcomes are missing where no worker could be started: on a system without processes, or in a coroutine, as its
    thread cannot run another event loop. When this is left, by Ctrl-C or otherwise, all workers have ended.
    """
    size = max(1, min(MOST_IN_BATCH, len(jobs) // (count * 4)))
    batches = [range(start, min(start + size, len(jobs))) for start in range(0, len(jobs), size)]
    work = _Work(jobs, {}, batches[::-1], on_progress)
    if sys.executable and not _in_event_loop():
        try:
            anyio.run(work.share, count)
        except asyncio.CancelledError:  # so Ctrl-C is called on Python 3.10
            raise KeyboardInterrupt from None
    return work.outcomes


def _in_event_loop() -> bool:
    try:
        anyio.current_time()
    except RuntimeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do, and what is done."""

    jobs: Sequence[Job]
    outcomes: dict[int, Outcome]
    waiting: list[range]
    """The indices of jobs that nobody is at, in batches; the last one is the next."""
    on_progress: Callable[[int, int], None]

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
        batch = range(0)
        try:
            await requests.send(pickle.dumps(sys.path))
            await replies.receive_until(READY, 1 << 16)
            while self.waiting:
                batch = self.waiting.pop()
                await requests.send(pickle.dumps([self.jobs[index] for index in batch]))
                length = int.from_bytes(await replies.receive_exactly(8), "big")
                self.outcomes.update(zip(batch, pickle.loads(await replies.receive_exactly(length)), strict=True))
                self.on_progress(len(self.outcomes), len(self.jobs))
        except anyio.DelimiterNotFound:
            return False
        except _GONE:
            self.see_to(batch, await process.wait())
        return bool(batch)

    def see_to(self, batch: range, code: int) -> None:
        """A worker died of this batch: have its files checked one by one, until it is clear which it was."""
        if len(batch) == 1:
            how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
            path = self.jobs[batch[0]].file.path
            self.outcomes[batch[0]] = Failed(path, f"the process that checked it died ({how})", None)
        else:
            self.waiting.extend(range(index, index + 1) for index in reversed(batch))
