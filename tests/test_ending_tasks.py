"""Programs in which a task is cancelled and waited for by a fix behave as before, but that nothing is left running."""

from __future__ import annotations

import asyncio
from textwrap import dedent
from types import ModuleType

import pytest
from symptoms import Loop

from leaklint.engine import Input
from leaklint.fixing import fix_program
from leaklint.model.fix import Environment, Fix, Proposal
from leaklint.policy.config import Settings

Outcome = tuple[str, tuple[str, ...], int]
"""What the host returns or raises, what it and the task have logged meanwhile, and how many tasks are left running."""

CHILD = """
import asyncio

log = []

async def child(mode):
    try:
        if mode == "child fails":
            raise LookupError
        await asyncio.sleep(0.01)
        log.append("worked")
        return 1
    except asyncio.CancelledError:
        await asyncio.sleep(0.005)
        log.append("cleaned")
        raise

async def risky(mode):
    if mode == "host fails":
        raise ValueError
    await asyncio.sleep(0.002)
"""

EXITING = {
    "awaited": """
        async def host(mode):
            task = asyncio.create_task(child(mode))
            await risky(mode)
            result = await task
            log.append("done")
            return result
        """,
    "generator": """
        async def results(mode):
            task = asyncio.create_task(child(mode))
            await risky(mode)
            yield await task

        async def host(mode):
            return [each async for each in results(mode)]
        """,
    "sometimes": """
        async def host(mode):
            log.append("begin")
            if mode != "succeeds":
                task = asyncio.create_task(child(mode))
            await risky(mode)
            if mode != "succeeds":
                return await task
        """,
    "two": """
        async def host(mode):
            one = asyncio.create_task(child(mode))
            other = asyncio.create_task(child(mode))
            await risky(mode)
            return await one, await other
        """,
    "loop": """
        async def host(mode):
            found = []
            for _ in range(3):
                task = asyncio.create_task(child(mode))
                await risky(mode)
                found.append(await task)
            return found
        """,
    "handled": """
        async def host(mode):
            task = asyncio.create_task(child(mode))
            try:
                await risky(mode)
                return await task
            except LookupError:
                log.append("handled")
                raise
        """,
}

WAITING = {
    "attribute": """
        class Service:
            def __init__(self):
                self._task = None
                self.open = False

            async def start(self, mode):
                self._task = asyncio.create_task(child(mode))
                self.open = True

            async def stop(self):
                if self._task is not None:
                    self._task.cancel()
                    self._task = None
                    self.open = False
                log.append("stopped")

        async def host(mode):
            service = Service()
            await service.start(mode)
            try:
                await risky(mode)
                await asyncio.sleep(0.002)
            finally:
                await service.stop()
            return service.open
        """,
    "set": """
        async def host(mode):
            tasks = {asyncio.create_task(child(mode)) for _ in range(3)}
            try:
                await asyncio.sleep(0)
                await risky(mode)
            finally:
                for task in tasks:
                    task.cancel()
            return len(tasks)
        """,
    "empty": """
        async def host(mode):
            tasks = [asyncio.create_task(child(mode)) for _ in mode[:0]]
            try:
                await risky(mode)
            finally:
                for task in tasks:
                    task.cancel()
            return len(tasks)
        """,
    "itself": """
        class Service:
            async def start(self, mode):
                self._task = asyncio.create_task(self._run(mode))

            async def _run(self, mode):
                await risky("")
                if mode == "child fails":
                    await self.stop()
                await child("")

            async def stop(self):
                self._task.cancel()
                log.append("cancelled")

        async def host(mode):
            service = Service()
            await service.start(mode)
            try:
                await risky(mode)
                await asyncio.sleep(0.003)
            finally:
                await service.stop()
        """,
}

MODES = ("succeeds", "child fails", "host fails", "is cancelled", "times out")


def fixed(source: str, name: str) -> str:
    """A program with the fixes of a remedy, of which there must be some."""

    def choose(proposal: Proposal) -> Fix | None:
        return next((fix for fix in proposal.fixes if fix.name == name and not fix.hazards), None)

    inputs = [Input("case.py", "case", source.encode(), Settings.default(), always_parse=True)]
    (rewritten,) = fix_program(inputs, Environment(), choose).rewritten
    return rewritten.after.decode()


def outcome(source: str, mode: str) -> Outcome:
    """Run the host of a program in a mode."""
    module = ModuleType("case")
    exec(compile(source, "case.py", "exec"), module.__dict__)

    async def run() -> Outcome:
        host = asyncio.create_task(module.host(mode))
        if mode == "is cancelled":
            await asyncio.sleep(0.001)
            host.cancel()
        try:
            limit = 0.001 if mode == "times out" else 5
            ended = repr(await asyncio.wait_for(host, limit))
        except (LookupError, ValueError, TimeoutError, asyncio.TimeoutError, asyncio.CancelledError) as error:
            ended = type(error).__name__
        left = len(asyncio.all_tasks()) - 1
        return ended, tuple(module.log), left

    loop = Loop()
    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", EXITING)
def test_a_task_is_ended_on_every_way_out(case: str, mode: str) -> None:
    source = CHILD + dedent(EXITING[case])
    before, after = outcome(source, mode), outcome(fixed(source, "cancel-on-exit"), mode)
    assert after[0] == before[0]
    assert after[1][: len(before[1])] == before[1]
    assert set(after[1][len(before[1]) :]) <= {"cleaned"}
    assert after[2] == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", WAITING)
def test_what_is_cancelled_is_waited_for(case: str, mode: str) -> None:
    source = CHILD + dedent(WAITING[case])
    before, after = outcome(source, mode), outcome(fixed(source, "wait-after-cancel"), mode)
    assert after[0] == before[0]
    assert [each for each in after[1] if each != "cleaned"] == [each for each in before[1] if each != "cleaned"]
    assert after[2] == 0


@pytest.mark.parametrize("case", [*EXITING, *WAITING])
def test_there_was_something_to_mend(case: str) -> None:
    source = CHILD + dedent((EXITING | WAITING)[case])
    assert case == "empty" or any(outcome(source, mode)[2] for mode in MODES)
