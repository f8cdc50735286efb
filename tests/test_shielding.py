"""Shields around the cleanup of children: what they are put around, and that the cleanup then runs to its end."""

from __future__ import annotations

import asyncio
from textwrap import dedent
from types import ModuleType

import pytest

from leaklint.engine import Input, examine
from leaklint.fixing.rewrite import rewrite
from leaklint.fixing.shielding import Shielding, shields
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.fix import Environment, Target
from leaklint.model.walk import walk
from leaklint.policy.config import Settings

HOST = """
import anyio, asyncio

log = []

async def host():
    async with anyio.create_task_group() as tg:
        tg.create_task(child())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tg.cancel_scope.cancel()
"""


def study_of(source: str, target: Target = Target.ANYIO) -> Study:
    data = source.encode()
    examination = examine([Input("case.py", "case", data, Settings.default(), always_parse=True)])
    return Study(examination.studied["case.py"], data, Environment(target))


def shielding_of(source: str, target: Target = Target.ANYIO) -> Shielding:
    study = study_of(source, target)
    host = study.program.functions["case.host"]
    child = next(
        call for call in walk(host.body, code.Call) if isinstance(call.func, code.Global) and "child" in call.func.path
    )
    return shields(child, host, study)


def logged(source: str) -> list[str]:
    module = ModuleType("case")
    exec(compile(source, "case.py", "exec"), module.__dict__)
    asyncio.run(module.host())
    found: list[str] = module.log
    return found


CASES = {
    "finally": """
        async def child():
            try:
                await asyncio.sleep(9)
            finally:
                log.append("begin")
                await asyncio.sleep(0)
                log.append("end")
        """,
    "except": """
        async def child():
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                log.append("begin")
                await asyncio.sleep(0)
                log.append("end")
                raise
        """,
    "called": """
        async def work():
            try:
                await asyncio.sleep(9)
            finally:
                await close()

        async def close():
            log.append("begin")
            await asyncio.sleep(0)
            log.append("end")

        async def child():
            await work()
        """,
    "loop": """
        async def child():
            while True:
                try:
                    await asyncio.sleep(9)
                finally:
                    log.append("begin")
                    for _ in range(2):
                        await asyncio.sleep(0)
                    log.append("end")
        """,
}


@pytest.mark.parametrize("case", CASES)
def test_the_cleanup_runs_to_its_end(case: str) -> None:
    source = HOST + dedent(CASES[case])
    shielding = shielding_of(source)
    assert shielding.hazards == ()
    assert logged(source) == ["begin"]
    assert logged(rewrite(source.encode(), shielding.edits, module="case").decode()) == ["begin", "end"]


@pytest.mark.parametrize("case", CASES)
def test_once_is_enough(case: str) -> None:
    source = HOST + dedent(CASES[case])
    once = rewrite(source.encode(), shielding_of(source).edits, module="case").decode()
    assert shielding_of(once) == Shielding((), (), ())


def test_only_what_awaits_is_shielded() -> None:
    source = HOST + dedent(CASES["except"])
    fixed = rewrite(source.encode(), shielding_of(source).edits, module="case").decode()
    lines = [line for line in fixed.splitlines() if line not in source.splitlines()]
    assert lines == ["        with anyio.CancelScope(shield=True):", "            await asyncio.sleep(0)"]


def test_tasks_of_asyncio_need_none() -> None:
    assert shielding_of(HOST + dedent(CASES["finally"]), Target.ASYNCIO) == Shielding((), (), ())


def test_what_cannot_be_shielded_remains_a_hazard() -> None:
    source = HOST + dedent(
        """
        class Door:
            async def __aenter__(self): ...

            async def __aexit__(self, *exc):
                await asyncio.sleep(0)

        async def child():
            async with Door():
                await asyncio.sleep(9)
        """
    )
    shielding = shielding_of(source)
    assert shielding.edits == ()
    assert [hazard.name for hazard in shielding.hazards] == ["cleanup-is-cut"]


def test_time_limits_of_anyio_do_not_end_a_shielded_cleanup() -> None:
    limit = """
        async def other():
            with anyio.move_on_after(1):
                await child()
        """
    shielding = shielding_of(HOST + dedent(CASES["finally"]) + dedent(limit))
    assert [hazard.name for hazard in shielding.hazards] == ["outlasts-time-limit"]
