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
import sys
import threading
import weakref
from importlib.util import find_spec

import anyio.abc
import pytest
import trio

from leaklint import catalog
from leaklint.catalog import CATALOG, Role
from leaklint.syntax.names import canonical
from leaklint.syntax.source import mentions_spawn

NOT_INSTALLED = {
    "aiotools",
    "async_generator",
    "async_timeout",
    "asyncer",
    "pytest_asyncio",
    "quattro",
    "taskgroup",
    "tornado",
    "uvloop",
}
"""The libraries of the catalogue that the extra `test` does not install: their rows are not looked up."""

SINCE_311 = {"asyncio.TaskGroup", "asyncio.timeout", "asyncio.timeout_at"}

LIBRARIES = sorted({path.partition(".")[0] for path in CATALOG} - NOT_INSTALLED)


def look_up(path: str) -> object:
    """What a dotted name leads to: modules as far as there are any, then attributes."""
    parts = path.split(".")
    found: object = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], 2):
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


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_row_of_an_installed_library_exists(library: str) -> None:
    later = SINCE_311 if sys.version_info < (3, 11) else set()
    missing = [path for path in CATALOG if path.partition(".")[0] == library and not is_there(path)]
    assert missing == sorted(later & {path for path in CATALOG if path.startswith(f"{library}.")})


def test_libraries_that_are_not_looked_up_are_named() -> None:
    roots = {path.partition(".")[0] for path in CATALOG}
    assert {root for root in roots if find_spec(root) is None} == NOT_INSTALLED


def test_rows_can_be_called_or_caught() -> None:
    rows = [path for path in CATALOG if path.partition(".")[0] in LIBRARIES and path not in SINCE_311]
    assert [path for path in rows if not callable(look_up(path))] == []


def test_rows_have_canonical_names() -> None:
    assert [path for path in CATALOG if canonical(path) != path] == []


def test_rows_tell_where_it_is_documented() -> None:
    assert [
        path for path, row in CATALOG.items() if not all(url.startswith("https://") for url in row.doc.split())
    ] == []


def test_every_role_is_played() -> None:
    assert {row.role for row in CATALOG.values()} == set(Role)


def test_a_type_that_holds_tasks_exists() -> None:
    assert [path for path in catalog.CONTAINER_TYPES if not isinstance(look_up(path), type)] == []


# -- methods -------------------------------------------------------------------------------------------------------

LOOP = (asyncio.AbstractEventLoop,)
GROUPS: tuple[type, ...] = (anyio.abc.TaskGroup, trio.Nursery)
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
    spawners = [path for path, row in CATALOG.items() if row.role is Role.SPAWN]
    assert [path for path in spawners if not mentions_spawn(f"{path}(work())".encode())] == []
