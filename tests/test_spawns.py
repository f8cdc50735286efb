"""Which calls start a task: by their path, by the class of their receiver, by what is configured."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from leaklint.analysis import judge
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.program import Program
from leaklint.analysis.spawns import Sort, find_spawns
from leaklint.catalog import BASE, Catalog, extended
from leaklint.engine import collect_source
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate
from leaklint.policy.config import parse_pyproject

IMPORTS = """\
import asyncio, functools
import aiojobs, aiotools, anyio, discord, mylib, trio
from discord.ext import tasks
from fastapi import BackgroundTasks
from homeassistant.core import HomeAssistant
from textual.app import App
from textual import work as worker
from tornado.ioloop import IOLoop

async def work(number=0): ...
def plain(): ...
"""


def facts_of(source: str) -> ModuleFacts:
    text = IMPORTS + textwrap.dedent(source)
    facts = collect_source(text.encode(), path="mod.py", module="mod")
    assert isinstance(facts, ModuleFacts), facts
    return facts


def found(source: str, catalog: Catalog = BASE) -> list[str]:
    """A line for every spawn: what is called, its sort, what runs in it; `?` if the receiver's name decides."""
    facts = facts_of(source)
    kinds = Kinds(Program([facts]), catalog)
    spawns = [spawn for function in facts.functions for spawn in find_spawns(function, kinds)]
    ordered = sorted(spawns, key=lambda spawn: spawn.call.span)
    return [f"{s.called} {s.sort.name}{'?' if s.likely else ''} {s.spawned}" for s in ordered]


def fates(source: str, catalog: Catalog = BASE) -> list[tuple[str, str, str | None, str | None, list[str]]]:
    """What is called, its fate, handle and owner, and the sentences of the evidence."""
    return [
        (task.call, task.fate.value, task.handle, task.owner, [step.message for step in task.evidence])
        for task in judge(facts_of(source), catalog)
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("asyncio.create_task(work())", ["asyncio.create_task FREE work"], id="function"),
        pytest.param("asyncio.ensure_future(coro_or_future=work())", ["asyncio.ensure_future FREE work"], id="keyword"),
        pytest.param(
            "def f(loop): loop.create_task(work())", ["loop.create_task FREE? work"], id="a loop, by its name only"
        ),
        pytest.param(
            "def f(hass: HomeAssistant): hass.loop.create_task(work())",
            ["hass.loop.create_task FREE work"],
            id="an attribute of a library's type",
        ),
        pytest.param(
            "class Bot(discord.Client):\n    def f(self): self.loop.create_task(work())",
            ["self.loop.create_task FREE work"],
            id="an attribute of a library's base class",
        ),
        pytest.param(
            "current = IOLoop.current()\ncurrent.asyncio_loop.create_task(work())",
            ["current.asyncio_loop.create_task FREE work"],
            id="an attribute of what a call gives, in a variable of the module",
        ),
        pytest.param(
            "IOLoop.current().create_task(plain())",
            ["IOLoop.current().create_task NONE plain"],
            id="not an asyncio loop",
        ),
        pytest.param("aiotools.create_timer(work, 1)", ["aiotools.create_timer FREE work"], id="a library's spawner"),
        pytest.param(
            "def f(loop):\n    loop.call_soon(asyncio.create_task, work())\n"
            "    loop.call_later(5, loop.create_task, work())",
            ["loop.call_soon DROPPED work", "loop.call_later DROPPED? work"],
            id="a spawner that is called later",
        ),
        pytest.param(
            "def f(loop):\n    loop.call_soon_threadsafe(functools.partial(asyncio.create_task, name='x'), work())\n"
            "    loop.call_at(5, functools.partial(asyncio.ensure_future, work()))",
            ["loop.call_soon_threadsafe DROPPED work", "loop.call_at DROPPED work"],
            id="a partial of one",
        ),
        pytest.param(
            "def f(loop, g: asyncio.TaskGroup): loop.call_soon(g.create_task, work())",
            ["loop.call_soon GROUPED work"],
            id="a group's method that is called later",
        ),
        pytest.param(
            "def f(context, loop):\n    context.run(asyncio.create_task, work())\n"
            "    return context.run(plain, work())",
            ["context.run FREE work"],
            id="a spawner that is called in another context",
        ),
        pytest.param(
            "async def answer(future): future.set_result(await work())\n"
            "def f(loop, future):\n    coroutine = answer(future)\n"
            "    loop.call_soon(asyncio.create_task, coroutine)\n"
            "    loop.call_soon(asyncio.create_task, answer(future))",
            ["loop.call_soon HANDED coroutine", "loop.call_soon HANDED answer"],
            id="a coroutine whose end others are told",
        ),
        pytest.param(
            "def f(loop):\n    loop.call_soon(asyncio.create_task)\n    loop.call_soon(plain, asyncio.create_task)",
            [],
            id="a spawner that is passed on for nothing",
        ),
        pytest.param(
            "async def f():\n    async with aiotools.TaskScope() as scope: scope.create_task(work())",
            ["scope.create_task GROUPED work"],
            id="a library's group",
        ),
        pytest.param(
            "async def f():\n    s = await aiojobs.create_scheduler()\n    await s.spawn(work())\n    s.spawn(plain())",
            ["s.spawn GROUPED work"],
            id="an owner, given a coroutine",
        ),
        pytest.param(
            "class Group(asyncio.TaskGroup): ...\nasync def f(g: Group): g.create_task(work())",
            ["g.create_task GROUPED work"],
            id="a class derived from a group",
        ),
        pytest.param(
            "def f(b: BackgroundTasks):\n    b.add_task(work, 1)\n    b.add_task(plain)\n    b.add_task(mylib.send)",
            ["b.add_task GROUPED work", "b.add_task GROUPED mylib.send"],
            id="a function that is no coroutine function runs in a thread",
        ),
        pytest.param(
            "def f(client):\n    client.hass.async_create_task(work())",
            ["client.hass.async_create_task GROUPED? work"],
            id="a name that only one library has",
        ),
        pytest.param(
            "class Panel(App):\n"
            "    def f(self):\n        self.run_worker(work())\n        self.load()\n        self.calc()\n"
            "    @worker\n    async def load(self): ...\n"
            "    @worker(thread=True)\n    def calc(self): ...",
            ["self.run_worker GROUPED work", "self.load GROUPED self.load"],
            id="a decorated function",
        ),
        pytest.param(
            "def f(io: IOLoop):\n    io.add_callback(work)\n    io.add_callback(plain)\n"
            "    io.add_callback(mylib.send)\n"
            "    io.spawn_callback(lambda: work())\n    io.spawn_callback(functools.partial(work, 1))",
            [
                "io.add_callback DROPPED work",
                "io.spawn_callback DROPPED lambda",
                "io.spawn_callback DROPPED functools.partial",
            ],
            id="dropped by the library, where a coroutine function is called",
        ),
        pytest.param(
            "@tasks.loop(seconds=1)\nasync def poll(): ...\npoll.start()\npoll.is_running()",
            ["poll.start KEPT poll"],
            id="kept by the library",
        ),
        pytest.param(
            "@tasks.loop(seconds=1)\nasync def poll(): ...\npoll.start()\ndef end(): poll.cancel()",
            ["poll.start CANCELLED poll"],
            id="kept by the library, and cancelled",
        ),
        pytest.param("def f(x): x.create_task(work())", ["x.create_task HANDED work"], id="a coroutine of the program"),
        pytest.param("mylib.ensure_future(work())", ["mylib.ensure_future HANDED work"], id="a function not in view"),
        pytest.param("def f(x): x.create_task(plain())", ["x.create_task NONE plain"], id="no coroutine"),
        pytest.param(
            "async def f(x, api):\n    await api.get(1)\n    x.create_task(api.get(2))\n    x.create_task(api.post())",
            ["x.create_task HANDED api.get", "x.create_task NONE api.post"],
            id="a call of what is awaited elsewhere",
        ),
        pytest.param(
            "class X:\n    def create_task(self, coro): ...\ndef f(x: X): x.create_task(work())",
            [],
            id="a method of the program is decided there",
        ),
    ],
)
def test_spawns(source: str, expected: list[str]) -> None:
    assert found(source) == expected


# -- what the library decides ------------------------------------------------------------------------------------------


def test_the_library_has_the_word_only_where_the_handle_is_dropped() -> None:
    source = """
    @tasks.loop(seconds=1)
    async def poll(): ...

    async def waits():
        await poll.start()

    async def keeps(store):
        store.task = poll.start()

    def drops():
        poll.start()
    """
    assert fates(source) == [
        ("poll.start", "joined", None, None, ["`waits` waits for it"]),
        (
            "poll.start",
            "handed",
            "store.task",
            None,
            ["kept in `store.task`", "what keeps it belongs to something that is not in view"],
        ),
        ("poll.start", "kept", "poll", None, ["`poll` keeps it and does not wait for it"]),
    ]


def test_what_is_handed_to_an_unknown_spawner_is_never_reported() -> None:
    source = """
    async def waits(x):
        await x.create_task(work())

    async def cancels(x):
        task = x.create_task(work())
        task.cancel()
    """
    why = "passed to `x.create_task`, whose definition is not in view"
    assert fates(source) == [
        ("x.create_task", "joined", None, None, ["`waits` waits for it"]),
        ("x.create_task", "handed", "task", None, [why]),
    ]


# -- what is configured ------------------------------------------------------------------------------------------------

KNOWN = extended(("mylib.spawn", "mylib.Pool.submit"), ("mylib.Manager", "mod.Owner"))


@pytest.mark.parametrize(
    ("source", "without", "expected"),
    [
        pytest.param("mylib.spawn(work())", [], ["mylib.spawn FREE work"], id="function"),
        pytest.param("from mylib import spawn as go\ngo(work())", [], ["go FREE work"], id="under another name"),
        pytest.param("def f(p: mylib.Pool): p.submit(work())", [], ["p.submit FREE work"], id="method"),
        pytest.param(
            "p = mylib.Pool()\np.submit(work())", [], ["p.submit FREE work"], id="method of a variable's value"
        ),
        pytest.param(
            "class P(mylib.Pool): ...\ndef f(p: P): p.submit(work())", [], ["p.submit FREE work"], id="inherited method"
        ),
        pytest.param("def f(p: mylib.Pool): p.close()", [], [], id="another method"),
        pytest.param(
            "def f(m: mylib.Manager):\n    m.add_task(work())\n    m.spawn(work, 1)\n    m.start()\n    m.add(plain())",
            [],
            ["m.add_task GROUPED work", "m.spawn GROUPED work"],
            id="owner, given a coroutine or a coroutine function",
        ),
        pytest.param(
            "def f(m: mylib.Manager): m.create_task(work())",
            ["m.create_task HANDED work"],
            ["m.create_task GROUPED work"],
            id="owner that is not in view",
        ),
        pytest.param(
            "class Owner:\n    def spawn(self, coro): ...\ndef f(): Owner().spawn(work())",
            [],
            ["Owner().spawn GROUPED work"],
            id="owner of the project",
        ),
    ],
)
def test_known(source: str, without: list[str], expected: list[str]) -> None:
    assert (found(source), found(source, KNOWN)) == (without, expected)


def test_a_known_owner_sees_to_the_handles_it_is_given() -> None:
    source = """
    class Client:
        def __init__(self, manager: mylib.Manager):
            self.manager = manager

        def start(self):
            self.manager.add(asyncio.create_task(work()))
            task = asyncio.create_task(work())
            self.manager.register("name", task)
    """
    owner = "mylib.Manager"
    assert fates(source, KNOWN) == [
        (
            "asyncio.create_task",
            "owned",
            "self.manager",
            owner,
            ["passed to `self.manager.add`: `Manager` waits for it"],
        ),
        (
            "asyncio.create_task",
            "owned",
            "self.manager",
            owner,
            ["passed to `self.manager.register`: `Manager` waits for it"],
        ),
    ]
    assert {fate for _, fate, *_ in fates(source)} == {"handed"}


def test_a_known_owner_sees_to_what_it_keeps_itself() -> None:
    source = """
    class Owner:
        def spawn(self, coro):
            self.tasks.add(asyncio.create_task(coro))
    """
    kept = "kept in `self.tasks`"
    assert fates(source) == [
        (
            "asyncio.create_task",
            "handed",
            "self.tasks",
            None,
            [kept, "what keeps it belongs to something that is not in view"],
        )
    ]
    assert fates(source, KNOWN) == [("asyncio.create_task", "owned", "self.tasks", "mod.Owner", [kept])]


def test_a_known_spawner_is_judged_by_its_handle() -> None:
    source = """
    async def drops():
        mylib.spawn(work())

    async def waits(pool: mylib.Pool):
        first = pool.submit(work())
        second = pool.submit(work())
        await asyncio.gather(first, second, return_exceptions=True)
    """
    assert [(call, fate) for call, fate, *_ in fates(source, KNOWN)] == [
        ("mylib.spawn", "dropped"),
        ("pool.submit", "joined"),
        ("pool.submit", "joined"),
    ]


def test_the_examples_of_the_documentation() -> None:
    text = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text()
    examples = re.findall(r"```toml\n([^`]*)```\n\n```python\n([^`]*)```", text)
    assert len(examples) == 2
    for toml, source in examples:
        settings = parse_pyproject(toml, origin="pyproject.toml")
        facts = collect_source(source.encode(), path="mod.py", module="mod")
        assert settings is not None
        assert isinstance(facts, ModuleFacts)
        told = {
            line: said[1] for line, each in enumerate(source.split("\n"), 1) if (said := re.search(r"# (\w+)", each))
        }
        assert {task.span.line: task.fate.value for task in judge(facts, settings.catalog)} == told


def test_the_sorts_that_leave_the_handle_its_say() -> None:
    assert {
        sort.name: sorted(fate.value for fate in set(Fate) - sort.outweighs)
        for sort in Sort
        if sort.outweighs != set(Fate)
    } == {
        "FREE": sorted(fate.value for fate in Fate),
        "KEPT": sorted(fate.value for fate in set(Fate) - {Fate.DROPPED}),
        "CANCELLED": sorted(fate.value for fate in set(Fate) - {Fate.DROPPED, Fate.KEPT}),
        "HANDED": sorted(fate.value for fate in Fate if not fate.leaks),
    }
