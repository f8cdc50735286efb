"""What leaklint says of earlier releases of AnyIO, compared with the AnyIO that is installed.

The old spellings fail with it, and what a fix writes in their place runs.
"""

from __future__ import annotations

import importlib
import inspect
import signal
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import pytest
from examples import Example, examples, name_of
from repairs import FIXES, Repair, best
from symptom_scopes import outcome
from symptoms import Case, unheard
from test_leaks_happen import cases, claims, load

from leaklint.catalog.anyio_history import ROWS, Form, Removed, mentions_removed
from leaklint.engine import check_source
from leaklint.fixing import fix_program
from leaklint.model.diagnostic import Checked
from leaklint.policy.config import Settings

# with warnings as errors, what is deprecated would count as gone
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXAMPLES = [each for each in examples() if name_of(each).startswith(("LK306/", "quiet/anyio_releases"))]


def fails_as_gone(case: Case) -> bool:
    """Whether a case ends with the error of something that is not there, or that is no coroutine."""
    return isinstance(innermost(outcome(case)[0]), AttributeError | TypeError)


def innermost(error: BaseException | None) -> BaseException | None:
    """The first error in a group, or the error itself."""
    while parts := getattr(error, "exceptions", ()):
        error = parts[0]
    return error


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_what_is_claimed_is_seen(example: Example) -> None:
    with unheard():
        module = load(example)
        expected = claims(example, cases(module))
        seen = {name: fails_as_gone(getattr(module, name)) for name in expected}
    assert seen == expected


# -- rows --------------------------------------------------------------------------------------------------------------


def look_up(path: str) -> Any:
    """What a dotted path leads to."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AttributeError(path)


def rows(*forms: Form) -> list[Removed]:
    return [row for row in ROWS if row.form in forms]


@pytest.mark.parametrize("row", rows(Form.NAME, Form.METHOD), ids=lambda row: row.path)
def test_what_is_said_to_be_gone_is_gone(row: Removed) -> None:
    owner = row.path.rpartition(".")[0]
    if owner != "anyio.exceptions":
        look_up(owner)
    with pytest.raises(AttributeError):
        look_up(row.path)


@pytest.mark.parametrize("row", rows(Form.KEYWORD), ids=lambda row: row.path)
def test_arguments_that_are_said_to_be_gone_are_gone(row: Removed) -> None:
    function, _, name = row.path.rpartition(".")
    parameters = inspect.signature(look_up(function)).parameters
    assert name not in parameters
    assert row.new is None or row.new in parameters


@pytest.mark.parametrize("row", [row for row in rows(Form.NAME, Form.METHOD) if row.new], ids=lambda row: row.path)
def test_what_takes_its_place_is_there(row: Removed) -> None:
    assert row.new is not None
    if row.form is Form.METHOD:
        look_up(f"{row.path.rpartition('.')[0]}.{row.new}")
    elif row.new != "builtins.BaseExceptionGroup" or hasattr(importlib.import_module("builtins"), "ExceptionGroup"):
        look_up(row.new)


@pytest.mark.parametrize("row", rows(Form.AWAIT), ids=lambda row: row.path)
def test_what_is_not_to_be_awaited_is_no_coroutine_function(row: Removed) -> None:
    assert callable(look_up(row.path))
    assert not inspect.iscoroutinefunction(look_up(row.path))


@pytest.mark.parametrize(
    "make", [anyio.CancelScope, lambda: anyio.fail_after(1), lambda: anyio.open_signal_receiver(signal.SIGTERM)]
)
def test_what_is_to_be_entered_with_with_is_no_asynchronous_context_manager(make: Callable[[], object]) -> None:
    async def main() -> None:
        assert hasattr(make(), "__enter__")
        assert not hasattr(make(), "__aenter__")

    anyio.run(main)


@pytest.mark.parametrize("row", rows(Form.BACKEND), ids=lambda row: row.path)
def test_backends_that_are_gone(row: Removed) -> None:
    with pytest.raises(LookupError):
        anyio.run(anyio.sleep, 0, backend=row.path.rpartition(".")[2])


def test_every_row_has_a_page_and_a_way_out() -> None:
    assert all(row.page.startswith("https://anyio.readthedocs.io/") for row in ROWS)
    assert all(row.new or row.advice for row in ROWS if row.form not in (Form.AWAIT, Form.ASYNC_WITH))
    assert len({(row.form, row.path) for row in ROWS}) == len(ROWS)


# -- the experiment: each old form raises, and what a fix makes of it runs ---------------------------------------------

FORMS = {
    "spawn": "async with anyio.create_task_group() as tg:\n    await tg.spawn(anyio.sleep, 0)",
    "event": "event = anyio.create_event()\nawait event.set()\nassert event.is_set()",
    "await set": "event = anyio.Event()\nawait event.set()",
    "condition": "async with anyio.create_condition() as held:\n    pass",
    "notify": "condition = anyio.Condition()\nasync with condition:\n    await condition.notify_all()",
    "lock": "lock = anyio.create_lock()\nawait lock.acquire()\nawait lock.release()",
    "semaphore": "places = anyio.create_semaphore(value=1)\nawait places.acquire()\nawait places.release()",
    "limiter": "limiter = anyio.create_capacity_limiter(1)\nawait limiter.set_total_tokens(2)\n"
    "assert limiter.total_tokens == 2",
    "limiter now": "limiter = anyio.CapacityLimiter(1)\nawait limiter.acquire_nowait()\nawait limiter.release()",
    "scope": "async with anyio.open_cancel_scope(shield=True) as scope:\n    await scope.cancel()",
    "group's scope": "async with anyio.create_task_group() as tg:\n    await tg.cancel_scope.cancel()",
    "fail_after": "async with anyio.fail_after(1):\n    pass",
    "move_on_after": "async with anyio.move_on_after(1) as scope:\n    pass",
    "several": "async with anyio.move_on_after(1), anyio.create_task_group() as tg, anyio.open_cancel_scope():\n"
    "    await tg.spawn(anyio.sleep, 0)",
    "stack": "async with contextlib.AsyncExitStack() as stack:\n"
    "    await stack.enter_async_context(anyio.open_cancel_scope())",
    "signals": "async with anyio.open_signal_receiver(signal.SIGTERM):\n    pass",
    "signals of 1.x": "async with anyio.receive_signals(signal.SIGTERM) as signals:\n    pass",
    "time": "assert await anyio.current_time() > 0",
    "deadline": "assert await anyio.current_effective_deadline() > 0",
    "task": "assert (await anyio.get_current_task()).id",
    "tasks": "assert await anyio.get_running_tasks()",
    "streams": "sending, receiving = anyio.create_memory_object_stream(1)\nwith sending, receiving:\n"
    "    await sending.send_nowait(1)\n    assert await receiving.receive_nowait() == 1",
    "thread": "assert await anyio.run_sync_in_worker_thread(abs, -1, cancellable=True) == 1",
    "thread of 1.x": "assert await anyio.run_in_thread(abs, -1) == 1",
    "thread's limiter": "assert anyio.current_default_worker_thread_limiter().total_tokens",
    "from a thread": "await anyio.to_thread.run_sync(lambda: anyio.run_async_from_thread(anyio.sleep, 0))",
    "call from a thread": "await anyio.to_thread.run_sync(lambda: anyio.run_sync_from_thread(abs, -1))",
    "event from a thread": "event = anyio.Event()\n"
    "await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(event.set))\nassert event.is_set()",
    "portal": "async with anyio.create_blocking_portal() as portal:\n"
    "    await anyio.to_thread.run_sync(lambda: portal.spawn_task(anyio.sleep, 0).result())\n    await portal.stop()",
    "portal's thread": "def ask():\n    with anyio.start_blocking_portal() as portal:\n"
    "        portal.call(anyio.sleep, 0)\n\nawait anyio.to_thread.run_sync(ask)",
    "file": "async with await anyio.aopen(__file__) as file:\n    await file.close()",
    "maybe_async": "assert await anyio.maybe_async(anyio.current_time()) > 0",
    "maybe_async_cm": "async with anyio.maybe_async_cm(anyio.move_on_after(1)):\n    pass",
    "errors": "try:\n    raise anyio.WouldBlock\nexcept anyio.exceptions.WouldBlock:\n    pass",
    "local import": "from anyio import create_event, create_lock\n\nassert create_event() and create_lock()",
    "generator": "async def numbers():\n    yield 1\n\nasync with anyio.finalize(numbers()) as some:\n"
    "    assert [each async for each in some] == [1]",
    "backends": "assert 'trio' in anyio.BACKENDS",
}
"""Statements of a coroutine function, in the spelling of earlier releases."""


def program(body: str) -> str:
    lines = "\n".join(f"    {line}" if line else "" for line in body.split("\n"))
    return f"import contextlib\nimport signal\n\nimport anyio\n\n\nasync def main():\n{lines}\n"


def run(source: str) -> None:
    module: dict[str, Any] = {"__file__": __file__, "__name__": "old"}
    exec(compile(source, "old.py", "exec"), module)
    anyio.run(module["main"])


def codes(source: bytes) -> list[str]:
    outcome = check_source(source, path="old.py", module="old", settings=Settings.default(), always_parse=True)
    assert isinstance(outcome, Checked)
    return [found.code for found in outcome.diagnostics if found.code == "LK306"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("form", FORMS)
def test_the_old_form_fails_and_what_a_fix_makes_of_it_runs(form: str) -> None:
    old = program(FORMS[form])
    assert mentions_removed(old.encode())
    assert codes(old.encode())
    with pytest.raises(Exception) as caught:  # noqa: PT011 - task groups and portals wrap it
        run(old)
    assert isinstance(innermost(caught.value), AttributeError | TypeError | ImportError)
    repair = Repair(FIXES / "upgrade" / "plain.py")
    inputs = [repair.inputs[0]._replace(path="old.py", module="old", data=old.encode())]
    (rewritten,) = fix_program(inputs, repair.environment, lambda proposal: proposal.safe).rewritten
    assert codes(rewritten.after) == []
    run(rewritten.after.decode())


def test_a_group_of_children_runs_them_at_once_after_the_fix() -> None:
    """`await tg.start_soon(...)` would run one after the other."""
    source = """
import anyio

running = []

async def child():
    running.append(1)
    await anyio.sleep(0)
    assert len(running) == 3

async def main():
    async with anyio.create_task_group() as tg:
        for _ in range(3):
            await tg.spawn(child)
"""
    repair = Repair(FIXES / "upgrade" / "plain.py")
    inputs = [repair.inputs[0]._replace(path="old.py", module="old", data=source.encode())]
    (rewritten,) = fix_program(inputs, repair.environment, best).rewritten
    run(rewritten.after.decode())
