"""What the catalogue says of the libraries, compared with the libraries."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import datetime as dt
import importlib
import logging
import pathlib
import pickle
import sys
import threading
import weakref

import anyio.abc
import anyio.from_thread
import pytest
import quattro
import trio

from leaklint import catalog
from leaklint.catalog import BASE, CATALOG, TYPES, Catalog, Role, extended
from leaklint.syntax.names import canonical
from leaklint.syntax.source import mentions_spawn

# libraries keep old names for those that use them
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NOT_INSTALLED = {
    "aiohttp": "large, and compiled",
    "aiojobs.aiohttp": "imports aiohttp",
    "async_generator": "no longer developed",
    "discord": "large",
    "fastapi": "brings pydantic, which is compiled",
    "homeassistant": "large",
    "nicegui": "large",
    "pytest_asyncio": "would run the tests of this project",
    "taskgroup": "for Python 3.10 only",
    "textual": "large",
    "tornado": "compiled",
    "uvloop": "compiled",
}
"""The libraries of the catalogue that the extra `test` does not install. Their rows are looked up where they are."""

SINCE_311 = {"asyncio.TaskGroup", "asyncio.Runner", "asyncio.Runner.get_loop", "asyncio.timeout", "asyncio.timeout_at"}
LATER = (
    (SINCE_311 | {path for path in CATALOG if path.startswith("aiotools.")}) if sys.version_info < (3, 11) else set()
)
"""The rows that this Python does not have; aiotools itself wants Python 3.11."""

SET_LATER = {"tornado.ioloop.IOLoop.asyncio_loop", *(path for path in TYPES if path.startswith("discord."))}
"""Attributes that only instances have."""

ROWS = sorted({*CATALOG, *TYPES} - LATER - SET_LATER)


def library(path: str) -> str:
    """The library of a row, or the part of one that is installed apart."""
    parts = [name for name in NOT_INSTALLED if path.startswith(f"{name}.")]
    return parts[0] if parts else path.partition(".")[0]


def is_installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


LIBRARIES = [name for name in sorted(set(map(library, ROWS))) if is_installed(name)]


def look_up(path: str) -> object:
    """What a dotted name leads to: modules as far as there are any, then attributes, up to what only instances have."""
    parts = path.split(".")
    found: object = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], 2):
        if isinstance(found, property):
            break
        if not hasattr(found, part):
            importlib.import_module(".".join(parts[:index]))
        found = getattr(found, part)
    return found


def is_there(path: str) -> bool:
    try:
        look_up(path)
    except (AttributeError, ImportError):
        return False
    return True


# -- rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_row_of_an_installed_library_exists(name: str) -> None:
    assert [path for path in ROWS if library(path) == name and not is_there(path)] == []


def test_libraries_that_are_not_installed_are_named_with_the_reason() -> None:
    assert set(map(library, ROWS)) - set(LIBRARIES) - set(NOT_INSTALLED) == set()


def test_rows_that_this_python_does_not_have() -> None:
    assert [path for path in sorted(LATER & SINCE_311) if is_there(path)] == []


def test_rows_can_be_called_or_caught() -> None:
    rows = [path for path in ROWS if library(path) in LIBRARIES]
    assert [path for path in rows if not callable(found := look_up(path)) and not isinstance(found, property)] == []


def test_rows_have_canonical_names() -> None:
    assert [path for path in {*CATALOG, *TYPES} if canonical(path) != path] == []


def test_rows_tell_where_it_is_documented() -> None:
    pages = {path: row.doc for path, row in CATALOG.items()} | {path: page for path, (_, page) in TYPES.items()}
    assert [path for path, page in pages.items() if not all(url.startswith("https://") for url in page.split())] == []


def test_every_role_is_played() -> None:
    assert {row.role for row in CATALOG.values()} == set(Role)


def test_the_classes_of_attributes_have_roles() -> None:
    assert [path for path, (kind, _) in TYPES.items() if BASE.role(kind) is None] == []


def test_the_types_of_methods_have_roles() -> None:
    """A method of a row can only be found where the catalogue says what makes an object of its type."""
    methods = [path for path in CATALOG if path.rpartition(".")[0].rpartition(".")[2][:1].isupper()]
    types = (Role.LOOP, Role.GROUP, Role.OWNER, Role.OBJECT)
    made_by_others = {"datetime.datetime"}
    found = {holder for path in methods if BASE.role(holder := path.rpartition(".")[0]) not in types}
    assert found - made_by_others == set()


def test_a_type_that_holds_tasks_exists() -> None:
    assert [path for path in catalog.CONTAINER_TYPES if not isinstance(look_up(path), type)] == []


# -- methods -------------------------------------------------------------------------------------------------------

LOOP = (asyncio.AbstractEventLoop,)
GROUPS: tuple[type, ...] = (anyio.abc.TaskGroup, trio.Nursery, anyio.from_thread.BlockingPortal, quattro.TaskGroup)
CONTAINERS = (
    *(list, tuple, set, frozenset, dict, collections.deque, collections.OrderedDict, collections.defaultdict),
    *(weakref.WeakSet, weakref.WeakValueDictionary, asyncio.Queue),
)
OBJECTS: tuple[type, ...] = (
    *(asyncio.Task, asyncio.Event, asyncio.Lock, asyncio.Condition, asyncio.Semaphore, asyncio.Queue),
    *(asyncio.TimerHandle, asyncio.Transport, asyncio.AbstractEventLoop),
)
VALUES = (str, bytes, int, dt.datetime, dt.timedelta, pathlib.PurePath, threading.Thread)


NOT_YET = {"create_task", "cancelling", "uncancel", "expired", "reschedule"}
"""The methods that groups, tasks and time-outs have since Python 3.11 (groups of AnyIO since 4.14)."""

if sys.version_info >= (3, 11):
    GROUPS = (*GROUPS, asyncio.TaskGroup)
    OBJECTS = (*OBJECTS, asyncio.Timeout)
    NOT_YET = set()


def strangers(names: frozenset[str], types: tuple[type, ...]) -> set[str]:
    """The names that are methods of none of the types."""
    return {name for name in names if not any(callable(getattr(type_, name, None)) for type_ in types)}


@pytest.mark.parametrize(
    ("names", "types", "others"),
    [
        pytest.param(catalog.LOOP_SPAWNS, LOOP, set(), id="LOOP_SPAWNS"),
        pytest.param(catalog.LOOP_RUNS, LOOP, set(), id="LOOP_RUNS"),
        pytest.param(catalog.LOOP_DEFERS, LOOP, set(), id="LOOP_DEFERS"),
        pytest.param(catalog.LOOP_SOON, LOOP, set(), id="LOOP_SOON"),
        # of AnyIO 2 and asyncer
        pytest.param(catalog.GROUP_SPAWNS, GROUPS, {"spawn", "soonify"}, id="GROUP_SPAWNS"),
        pytest.param(catalog.GROUP_ONLY_SPAWNS, GROUPS, set(), id="GROUP_ONLY_SPAWNS"),
        # of loguru
        pytest.param(catalog.LOGGING, (logging.Logger,), {"trace", "success"}, id="LOGGING"),
        pytest.param(catalog.ADDING, (*CONTAINERS, contextlib.AsyncExitStack), set(), id="ADDING"),
        pytest.param(catalog.REMOVING, CONTAINERS, set(), id="REMOVING"),
        pytest.param(catalog.EMPTYING, CONTAINERS, set(), id="EMPTYING"),
        pytest.param(catalog.POPPING, CONTAINERS, set(), id="POPPING"),
        pytest.param(catalog.PICKING, CONTAINERS, set(), id="PICKING"),
        pytest.param(catalog.VIEWING, CONTAINERS, set(), id="VIEWING"),
        pytest.param(catalog.ALTERING, (*CONTAINERS, contextlib.AsyncExitStack), set(), id="ALTERING"),
        pytest.param(catalog.EXPLORING, CONTAINERS, set(), id="EXPLORING"),
    ],
)
def test_methods_exist(names: frozenset[str], types: tuple[type, ...], others: set[str]) -> None:
    assert strangers(names, types) - NOT_YET == others


def test_methods_that_cannot_fail_exist() -> None:
    types = (*CONTAINERS, *OBJECTS, *VALUES, *GROUPS, logging.Logger, contextlib.AsyncExitStack, contextvars.ContextVar)
    others = {
        *("trace", "success"),  # of loguru
        *("ensure_future", "get_event_loop", "get_running_loop"),  # of asyncio itself, whatever it is called
    }
    assert strangers(catalog.HARMLESS_METHODS, types) - NOT_YET == others


def test_what_looks_like_a_spawn_is_one_of_asyncio() -> None:
    assert [name for name in catalog.SPAWN_LIKE if CATALOG[f"asyncio.{name}"].role is not Role.SPAWN] == []


def test_nothing_but_a_group_has_the_methods_of_groups_only() -> None:
    assert strangers(catalog.GROUP_ONLY_SPAWNS, (*OBJECTS, *CONTAINERS, *VALUES)) == catalog.GROUP_ONLY_SPAWNS


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "group.start_task_soon(work)",
        "group.create_background_task(work())",
        "group.soonify(work)(1)",
        "await scheduler.spawn(work())",
        "from aiojobs.aiohttp import spawn\nawait spawn(request, work())",
        "loop.add_callback(work)",
        "hass.async_create_background_task(work(), 'work')",
        "def handler(background: BackgroundTasks): background.add_task(work)",
        "class Panel(App):\n    @work\n    async def load(self): ...",
        "class Panel(App):\r\n    @work\r\n    async def load(self): ...",
        "class Panel(App):\n    @work(exclusive=True)\n    async def load(self): ...",
        "self.run_worker(work())",
        "background_tasks.create(work())",
        "@tasks.loop(seconds=1)\nasync def poll(): ...",
        "from discord.ext.tasks import loop\n@loop(seconds=1)\nasync def poll(): ...",
        "asyncio.create_task(work())",
        "asyncio.ensure_future(work())",
        "loop.create_task(work())",
        "asyncio.Task(work())",
        "from asyncio import Task\nTask(work())",
        "from asyncio import Event, Task\nTask(work())",
        "import asyncio as aio\naio.Task(work())",
        "async with anyio.create_task_group() as group: ...",
        "async with trio.open_nursery() as nursery: ...",
        "group.start_soon(work)",
    ],
)
def test_a_file_with_a_spawn_mentions_one(source: str) -> None:
    assert mentions_spawn(source.encode())


def test_every_spawner_that_is_called_by_its_name_is_a_word() -> None:
    spawners = [path for path, row in CATALOG.items() if row.role in (Role.SPAWN, Role.SPAWN_OWNED)]
    assert [path for path in spawners if not mentions_spawn(f"{path}(work())".encode())] == []


# -- what is configured --------------------------------------------------------------------------------------------

KNOWN = extended(("mylib.spawn", "mylib.Pool.submit"), ("mylib.TaskManager",))


def test_known_spawners_and_owners() -> None:
    paths = ("mylib.spawn", "mylib.Pool.submit", "mylib.TaskManager", "mylib.Pool", "mylib.Pool.close", "asyncio.run")
    assert {path: KNOWN.role(path) for path in paths} == {
        "mylib.spawn": Role.SPAWN,
        "mylib.Pool.submit": Role.SPAWN,
        "mylib.TaskManager": Role.OWNER,
        "mylib.Pool": Role.OBJECT,
        "mylib.Pool.close": None,
        "asyncio.run": Role.RUN,
    }
    assert {path: BASE.role(path) for path in paths} == dict.fromkeys(paths, None) | {"asyncio.run": Role.RUN}


def test_known_names_go_before_the_rows() -> None:
    assert extended(("asyncio.shield",)).role("asyncio.shield") is Role.SPAWN


def test_a_catalog_is_a_value() -> None:
    assert Catalog() == BASE == extended()
    assert hash(KNOWN) == hash(extended(("mylib.Pool.submit", "mylib.spawn"), ("mylib.TaskManager",)))
    assert KNOWN != BASE
    assert KNOWN.words
    assert pickle.loads(pickle.dumps(KNOWN)) == KNOWN  # noqa: S301 - it goes to worker processes that way


@pytest.mark.parametrize(
    "source",
    [
        "mylib.spawn(work())",
        "from mylib import spawn\nspawn(work())",
        "pool.submit(work())",
        "from mylib import TaskManager as Tasks",
        "manager.add_task(work())",
        "manager.schedule(work())",
    ],
)
def test_a_file_that_may_call_what_is_known_mentions_it(source: str) -> None:
    assert mentions_spawn(source.encode(), KNOWN.words)


def test_words_of_a_known_spawner_are_no_words_of_others() -> None:
    assert [mentions_spawn(b"pool.submit(work)", known.words) for known in (KNOWN, BASE)] == [True, False]
    assert mentions_spawn(b"items.add(1)\nserver.start()", KNOWN.words) is False
