"""Nine ways to leak a task that check tools pass over, all found in one run with the default settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from leaklint.cli import main

PATTERNS = """\
import asyncio

_background = set()


class Poller:
    def start(self) -> None:
        self._task = asyncio.create_task(self._run())  # LK102 on an attribute, never awaited or cancelled

    async def _run(self) -> None:
        await asyncio.sleep(3600)


async def work() -> None:
    await asyncio.sleep(1)


async def never_discarded() -> None:
    _background.add(asyncio.create_task(work()))  # LK102 in a set that only grows


async def chained() -> None:
    asyncio.get_running_loop().create_task(work())  # LK101 a method of the running loop


async def not_awaited() -> None:
    asyncio.gather(work(), work())  # LK201 a gather that nobody awaits


def from_a_thread(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.run_coroutine_threadsafe(work(), loop)  # LK205 a future that nobody looks at


async def only_printed() -> None:
    tasks = [asyncio.create_task(work()) for _ in range(3)]  # LK101 a list of tasks that is only printed
    print(tasks)


async def comprehension() -> None:
    [asyncio.create_task(work()) for _ in range(3)]  # LK101 a list of tasks that is thrown away


async def shielded() -> None:
    await asyncio.shield(work())  # LK203 a coroutine behind a shield


async def cancelled() -> None:
    task = asyncio.create_task(work())  # LK103 cancelled, not awaited
    task.cancel()
"""


def test_all_nine_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("patterns.py").write_text(PATTERNS)
    result = CliRunner().invoke(main, ["check", "--isolated", "--output-format", "concise"])
    found = [(line.split(":")[1], line.split()[1]) for line in result.stdout.splitlines() if "patterns.py:" in line]
    lines = enumerate(PATTERNS.splitlines(), 1)
    marked = [(str(number), line.partition("  # ")[2].split()[0]) for number, line in lines if "  # LK" in line]
    assert found == marked
    assert (len(marked), result.exit_code) == (9, 1)
