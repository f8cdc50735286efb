"""Where a spawn stands, and which fates that explains."""

from __future__ import annotations

import asyncio
import importlib.util
import textwrap
from pathlib import Path

import pytest

from leaklint.analysis import judge
from leaklint.engine import collect_source
from leaklint.model.facts import ModuleFacts

IMPORTS = """\
import asyncio, atexit, contextvars, functools, signal, weakref
import anyio, asyncer, trio
from tornado.ioloop import IOLoop

async def work(): await asyncio.sleep(1)
"""


def standings(source: str) -> list[str]:
    """For each task, its fate, and where it stands, if that explains it: the pattern, which form, and by what."""
    facts = collect_source((IMPORTS + textwrap.dedent(source)).encode(), path="mod.py", module="mod")
    assert isinstance(facts, ModuleFacts), facts
    found = []
    for task in judge(facts):
        where = (
            f" {task.pattern.value} {task.standing.how} {task.standing.by}" if task.pattern and task.standing else ""
        )
        found.append(f"{task.fate.value}{where}")
    return found


@pytest.mark.parametrize(
    ("register", "by"),
    [
        pytest.param("loop.call_soon(cb)", "`loop.call_soon`", id="a loop by its name"),
        pytest.param(
            "asyncio.get_running_loop().call_later(5, cb)", "`asyncio.get_running_loop().call_later`", id="loop"
        ),
        pytest.param("loop.add_reader(7, cb)", "`loop.add_reader`", id="a reader"),
        pytest.param("loop.call_soon(functools.partial(cb))", "`loop.call_soon`", id="a partial"),
        pytest.param("loop.call_soon(lambda: cb())", "`loop.call_soon`", id="a lambda that only calls it"),
        pytest.param("signal.signal(signal.SIGINT, cb)", "`signal.signal`", id="a signal"),
        pytest.param("weakref.finalize(loop, cb)", "`weakref.finalize`", id="a finalizer"),
        pytest.param("IOLoop.current().add_callback(cb)", "`IOLoop.current().add_callback`", id="tornado"),
        pytest.param("IOLoop.current().call_later(5, cb)", None, id="another loop's method"),
        pytest.param("registry.call_now(cb)", None, id="what else calls back"),
        pytest.param("loop.call_soon(lambda: print(cb))", None, id="a lambda that does something else with it"),
        pytest.param("loop.call_soon(print, cb)", None, id="an argument of the callback"),
        pytest.param("loop.call_later(cb, 5)", None, id="not where the callback stands"),
    ],
)
def test_what_calls_a_function_back(register: str, by: str | None) -> None:
    source = f"def cb(*_): asyncio.create_task(work())\ndef register(loop, registry): {register}"
    assert standings(source) == [f"dropped callback called {by}" if by else "dropped"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "class Timers:\n    def call_later(self, delay, f): f()\n"
            "def cb(): asyncio.create_task(work())\n"
            "def register(timers: Timers): timers.call_later(5, cb)",
            ["dropped"],
            id="a method of the program by the same name",
        ),
        pytest.param(
            "async def main(loop):\n    f = lambda: print(asyncio.ensure_future(work()))\n    loop.call_soon(f)",
            ["dropped callback called `loop.call_soon`"],
            id="a name that is bound to a lambda",
        ),
        pytest.param(
            "class P(asyncio.Protocol):\n    def data_received(self, data): self._go()\n"
            "    def _go(self): asyncio.create_task(work())\n",
            ["dropped callback led the transport"],
            id="a private method that only a callback calls",
        ),
        pytest.param(
            "class P(asyncio.Protocol):\n    def data_received(self, data): self.go()\n"
            "    def go(self): asyncio.create_task(work())\n",
            ["dropped"],
            id="a public method may be called by others",
        ),
        pytest.param(
            "class P(asyncio.Protocol):\n    def data_received(self, data): self._go()\n"
            "    def _go(self): asyncio.create_task(work())\n    async def run(self): self._go()",
            ["dropped"],
            id="one that others call, too",
        ),
        pytest.param(
            "class C:\n    async def __aenter__(self): asyncio.create_task(work())\n"
            "    async def close(self): asyncio.create_task(work())",
            ["dropped", "dropped"],
            id="async methods",
        ),
        pytest.param(
            "def on_done(task): asyncio.create_task(work())\n"
            "async def main():\n"
            "    task = asyncio.create_task(work())\n    task.add_done_callback(on_done)\n    await task",
            ["dropped callback called `task.add_done_callback`", "joined"],
            id="the spawn in the callback, not the task that has it",
        ),
        pytest.param(
            "class C:\n    def __del__(self):\n        task = asyncio.create_task(work())\n        task.cancel()",
            ["cancelled"],
            id="a task that is cancelled",
        ),
    ],
)
def test_callbacks(source: str, expected: list[str]) -> None:
    assert standings(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "class C:\n    def __init__(self): self._a()\n    def _a(self): self._b()\n"
            "    def _b(self): asyncio.create_task(work())",
            ["dropped constructor constructor __init__"],
            id="through two private methods",
        ),
        pytest.param(
            "class C:\n    def __init__(self):\n        def go(): asyncio.create_task(work())\n        self.go = go",
            ["dropped"],
            id="a function that the constructor only makes",
        ),
        pytest.param("def __init__(): asyncio.create_task(work())", ["dropped"], id="no method"),
        pytest.param(
            "def _start(loop): loop.create_task(work())\n_start(asyncio.new_event_loop())",
            ["dropped constructor import mod"],
            id="a private function that only the module calls",
        ),
        pytest.param(
            "loop = asyncio.new_event_loop()\nloop.create_task(work())\nasyncio.run(work())",
            ["dropped"],
            id="a program",
        ),
        pytest.param(
            "loop = asyncio.new_event_loop()\nloop.create_task(work())\nif __name__ == '__main__': asyncio.run(work())",
            ["dropped constructor import mod"],
            id="a program only below its guard",
        ),
        pytest.param(
            "class C:\n    @property\n    async def value(self): asyncio.create_task(work())",
            ["dropped"],
            id="an async property can wait",
        ),
    ],
)
def test_constructors(source: str, expected: list[str]) -> None:
    assert standings(source) == expected


IN_A_GROUP = "async def main():\n    async with {group} as g:\n        {body}\n        await anyio.sleep(1)"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            IN_A_GROUP.format(group="anyio.create_task_group()", body="asyncio.create_task(work())"),
            ["dropped native group g"],
            id="anyio",
        ),
        pytest.param(
            IN_A_GROUP.format(group="trio.open_nursery()", body="asyncio.create_task(work())"),
            ["dropped native group g"],
            id="trio",
        ),
        pytest.param(
            IN_A_GROUP.format(group="asyncer.create_task_group()", body="asyncio.create_task(work())"),
            ["dropped native group g"],
            id="a library on top of anyio",
        ),
        pytest.param(
            IN_A_GROUP.format(group="asyncio.TaskGroup()", body="asyncio.create_task(work())"),
            ["dropped"],
            id="a group of asyncio",
        ),
        pytest.param(
            "async def main():\n    with anyio.CancelScope(shield=True): asyncio.create_task(work())",
            ["dropped"],
            id="a shield",
        ),
        pytest.param(
            "async def main():\n    with anyio.move_on_after(5, shield=True): asyncio.create_task(work())",
            ["dropped native scope anyio.move_on_after(5, shield=True)"],
            id="a shield with a time-out",
        ),
        pytest.param(
            "async def f(): asyncio.create_task(work())\n"
            "async def main():\n    async with anyio.create_task_group() as g: g.start_soon(f)\n",
            ["dropped native child g", "grouped"],
            id="the child of a group",
        ),
        pytest.param(
            "async def f(): asyncio.create_task(work())\n"
            "async def main(registry):\n    registry.add(f)\n"
            "    async with anyio.create_task_group() as g: g.start_soon(f)\n",
            ["dropped", "grouped"],
            id="a function that others are given, too",
        ),
        pytest.param(
            "async def f(): asyncio.create_task(work())\n"
            "async def main():\n    async with asyncio.TaskGroup() as g: g.start_soon(f)\n",
            ["dropped", "grouped"],
            id="the child of a group of asyncio",
        ),
        pytest.param(
            "async def f(): asyncio.create_task(work())\n"
            "async def g(): await f()\n"
            "async def main():\n    with anyio.move_on_after(5): await g()\n",
            ["dropped native scope anyio.move_on_after(5)"],
            id="awaited in a scope, through another function",
        ),
        pytest.param(
            "async def f(depth):\n    asyncio.create_task(work())\n    await f(depth - 1)",
            ["dropped"],
            id="a function that only calls itself",
        ),
        pytest.param(
            "async def main():\n    with anyio.move_on_after(5):\n"
            "        t = asyncio.create_task(work())\n        await anyio.sleep(1)\n        await t",
            ["hazard native scope anyio.move_on_after(5)"],
            id="a wait that the time-out does not let it reach",
        ),
        pytest.param(
            "async def main(flag):\n    with anyio.move_on_after(5):\n"
            "        t = asyncio.create_task(work())\n        if flag: return\n        await t",
            ["hazard"],
            id="ways out that no cancellation takes",
        ),
    ],
)
def test_scopes_of_anyio(source: str, expected: list[str]) -> None:
    assert standings(source) == expected


def test_a_task_spawned_by_an_import_outlives_whoever_imports(tmp_path: Path) -> None:
    """The leak that LK207 speaks of, where the fixtures cannot show it: a module that a running program imports."""
    module = tmp_path / "polling.py"
    module.write_text("import asyncio\n\nposter = asyncio.ensure_future(asyncio.sleep(3600))\n", encoding="utf-8")

    async def program() -> int:
        spec = importlib.util.spec_from_file_location("polling", module)
        assert spec
        assert spec.loader
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(program()) == 1
