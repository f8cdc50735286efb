"""The explorer of the generative test, on projects: whose hands a task was in, and what speaks against its fate."""

from __future__ import annotations

import sys
import textwrap

import pytest
from generative.explore import explore_project
from generative.ledger import Route
from generative.objections import Inventory, compare
from generative.program import Project, Site, compound, lines

from leaklint.model.code import Span
from leaklint.model.fate import Fate, Task

WORK = """
import asyncio

TASKS = set()

def spawn(env):
    return asyncio.create_task(env.child(1))

def spawn_two(env):
    return [spawn(env), asyncio.create_task(env.child(2))]

def keep(task):
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)

async def connect(env):
    task = spawn(env)
    await env.step()
    return task

async def drain(env):
    for task in TASKS:
        task.cancel()

class Worker:
    def __init__(self, env):
        self._env = env
        self._task = None

    def start(self):
        self._task = spawn(self._env)
        return self._task

    async def close(self):
        self._task.cancel()
        await asyncio.wait([self._task])

    async def stop(self):
        await self._env.step()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.close()
"""


def project(body: str, imports: str = "from app.work import *") -> dict[str, str]:
    host = textwrap.indent(textwrap.dedent(body), "    ")
    return {"app.main": f"{imports}\nimport asyncio\n\nasync def host(env):\n{host}", "app.work": WORK}


def told(body: str) -> list[str]:
    """What the ledger says of a project, each thing once: calls by the lines of the host and the names elsewhere."""
    exploration = explore_project(project(body))
    assert exploration.exhaustive

    def way(route: Route) -> str:
        places = [exploration.places[number] for number in route]
        return " ".join(str(each.line) if each.function == "host" else each.function for each in places)

    marks = [(mark, way(mark.route)) for run in exploration.runs for mark in run.marks]
    found = [
        f"{way} {mark.state.value} as it {mark.end}{', kept' * mark.kept}{', waited for' * mark.waited}"
        for mark, way in marks
    ]
    closings = [closing for run in exploration.runs for closing in run.closings]
    found += [f"{way(closing.route)} {closing.state.value} after `{closing.end}`" for closing in closings]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            "await spawn(env)",
            [
                "spawn 5 has ended as it returns, waited for",
                "spawn 5 has ended as it raises Failure, waited for",
                "spawn 5 has ended as it is cancelled, waited for",
            ],
            id="a call that gives a task",
        ),
        pytest.param(
            "spawn_two(env)",
            [
                "spawn spawn_two 5 is left running as it returns",
                "spawn_two 5 is left running as it returns",
            ],
            id="a list, through a second function",
        ),
        pytest.param(
            "await connect(env)",
            [
                "spawn connect 5 is left running as it returns",
                "spawn connect 5 has ended as it returns",
                "spawn connect is left running as it raises Failure",
                "spawn connect is left running as it is cancelled",
                "spawn connect has ended as it raises Failure",
                "spawn connect has ended as it is cancelled",
            ],
            id="a task that is lost before it is returned",
        ),
        pytest.param(
            "keep(spawn(env))",
            [
                "spawn 5 is left running as it returns, kept",
                "spawn 5 is left running, cancelled after `drain`",
            ],
            id="kept in a module, whose end cancels it",
        ),
        pytest.param(
            "worker = Worker(env)\nworker.start()",
            [
                "spawn start 6 is left running as it returns, kept",
                "spawn start 6 has ended after `close`",
                "spawn start 6 is left running after `stop`",
            ],
            id="kept in an object, one of whose ends waits for it",
        ),
        pytest.param(
            "worker = Worker(env)\nworker.start()\nawait worker.close()",
            [
                "spawn start 6 has ended as it returns, kept, waited for",
                "spawn start 6 is left running, cancelled as the host was as it is cancelled, kept",
                "spawn start 6 has ended after `close`",
            ],
            id="ended by the host",
        ),
        pytest.param(
            "t = spawn(env)\nkeep(t)\nt.cancel()",
            ["spawn 5 is left running, cancelled as it returns, kept"],
            id="cancelled already: its end says nothing",
        ),
    ],
)
def test_a_task_is_marked_when_it_leaves_its_last_hands(body: str, expected: list[str]) -> None:
    assert told(body) == expected


@pytest.mark.parametrize(
    ("imports", "prefix"),
    [
        ("from app.work import spawn", ""),
        ("from .work import spawn", ""),
        ("from . import work", "work."),
        ("import app.work", "app.work."),
        ("import app.work as jobs", "jobs."),
    ],
)
def test_modules_of_a_project_import_each_other(imports: str, prefix: str) -> None:
    exploration = explore_project(project(f"await {prefix}spawn(env)", imports))
    assert exploration.exhaustive
    assert {run.end for run in exploration.runs} == {"returns", "raises Failure", "is cancelled"}
    assert "app.work" not in sys.modules


NOTHING_KEEPS_IT = {
    fate: f"is {fate.value}, but nothing ever keeps it" for fate in (Fate.GROUPED, Fate.OWNED, Fate.KEPT)
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            "spawn(env)",
            {
                Fate.JOINED: "is joined, but is left running on a path",
                Fate.CANCELLED: "is cancelled, but left running on a path",
                Fate.HAZARD: "is hazard, but left on every path",
                **NOTHING_KEEPS_IT,
            },
            id="dropped",
        ),
        pytest.param(
            "await spawn(env)",
            {
                Fate.DROPPED: "is dropped, but waited for",
                Fate.CANCELLED: "is cancelled, but has ended on every path",
                Fate.HAZARD: "is hazard, but not left running on any path",
                **NOTHING_KEEPS_IT,
            },
            id="joined",
        ),
        pytest.param(
            "t = spawn(env)\nawait env.step()\nawait t",
            {
                Fate.DROPPED: "is dropped, but waited for",
                Fate.JOINED: "is joined, but is left running on a path",
                Fate.CANCELLED: "is cancelled, but left running on a path",
                **NOTHING_KEEPS_IT,
            },
            id="hazard",
        ),
        pytest.param(
            "t = spawn(env)\nt.cancel()\nawait env.step()\nawait asyncio.wait([t])",
            {
                Fate.DROPPED: "is dropped, but waited for",
                Fate.JOINED: "is joined, but is left running, cancelled on a path",
                Fate.HAZARD: "is hazard, but not left running on any path",
                **NOTHING_KEEPS_IT,
            },
            id="cancelled",
        ),
        pytest.param(
            "keep(spawn(env))",
            {
                Fate.DROPPED: "is dropped, but `drain` cancels it",
                Fate.KEPT: "is kept, but `drain` cancels it",
                Fate.OWNED: "is owned, but no end waits for it",
                Fate.GROUPED: "is grouped, but no end waits for it",
                Fate.JOINED: "is joined, but is left running on a path",
            },
            id="cancelled by the end of a module",
        ),
        pytest.param(
            "worker = Worker(env)\nworker.start()",
            {
                Fate.DROPPED: "is dropped, but `close` waits for it",
                Fate.KEPT: "is kept, but `close` waits for it",
                Fate.CANCELLED: "is cancelled, but `close` waits for it",
                Fate.HAZARD: "is hazard, but `close` waits for it",
                Fate.JOINED: "is joined, but is left running on a path",
            },
            id="owned",
        ),
    ],
)
def test_wrong_fates_are_objected_to(body: str, expected: dict[Fate, str]) -> None:
    """What is said of the call in the host that gives the task, by the fate that it is said to have."""
    found = {}
    for fate in Fate:
        host = [each for each in compare(project(body), everywhere(fate)) if each.place.function == "host"]
        (problem,) = [str(each.problem) for each in host if each.place.name in ("spawn", "start")]
        found[fate] = problem.partition(":")[0]
    allowed = dict.fromkeys(Fate, "None")
    assert found == allowed | expected | {Fate.NOT_A_SPAWN: "is not-a-spawn, but gave a task"}


def test_a_call_that_gives_a_task_must_be_listed() -> None:
    found = compare(project("spawn(env)"), {})
    assert [(each.place.function, str(each.problem).partition(":")[0]) for each in found] == [
        ("host", "is missing from the inventory"),
        ("spawn", "is missing from the inventory"),
    ]


def test_projects_are_written_out_with_numbered_spawns() -> None:
    spawn = lines("asyncio.create_task(env.child())")
    written = Project((("app.main", spawn + compound(("if spawned:", spawn))), ("app.work", spawn)))
    assert dict(written.sources) == {
        "app.main": ("asyncio.create_task(env.child(1))\nif spawned:\n    asyncio.create_task(env.child(2))\n"),
        "app.work": "asyncio.create_task(env.child(3))\n",
    }


def test_a_call_that_gives_no_task_must_not_be_listed() -> None:
    found = compare(project("env.call()\nkeep(spawn(env))"), everywhere(Fate.HANDED))
    assert [(each.place.name, each.problem) for each in found if each.place.function == "host"] == [
        ("keep", "is listed, but never gives a task"),
        ("spawn", None),
    ]


def everywhere(fate: Fate) -> Inventory:
    """An inventory in which every place of the host has a task."""
    task = Task("app/main.py", Span(1, 1, 1, 1), "", "", "", None, None, fate, (), likely=False, evidence=())
    return {("app.main", Site(line, column)): task for line in range(20) for column in range(40)}
