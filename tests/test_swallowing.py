"""Which handlers swallow a cancellation, and where the task goes on."""

from __future__ import annotations

import re
import textwrap

import pytest

from leaklint.analysis import Analysis
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse, Pattern
from leaklint.reading import collect_source

HEAD = "import asyncio, contextlib, os, sys\nimport anyio, trio\n"


def misuses(source: str, module: str = "mod") -> list[Misuse]:
    """The swallowed cancellations in a file, whose first line is the third."""
    facts = collect_source((HEAD + textwrap.dedent(source)).encode(), path="mod.py", module=module)
    assert isinstance(facts, ModuleFacts)
    return [each for each in Analysis((facts,)).findings(facts).misuses if each.pattern is Pattern.SWALLOWED]


def found(source: str) -> list[str]:
    return [each.how for each in misuses(source)]


def looping(handler: str, body: str = "await work()", loop: str = "while True") -> str:
    """A coroutine function whose loop has a handler, with its body, around something."""
    return (
        f"async def run(self, items):\n    {loop}:\n        try:\n            {body}\n"
        f"{textwrap.indent(textwrap.dedent(handler), ' ' * 8)}\n"
    )


# -- what catches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clause", "written"),
    [
        ("except:", "except:"),
        ("except BaseException:", "except BaseException"),
        ("except BaseException as error:", "except BaseException"),
        ("except asyncio.CancelledError:", "except asyncio.CancelledError"),
        ("except asyncio.exceptions.CancelledError:", "except asyncio.exceptions.CancelledError"),
        ("except (OSError, asyncio.CancelledError):", "except (OSError, asyncio.CancelledError)"),
        ("except anyio.get_cancelled_exc_class():", "except anyio.get_cancelled_exc_class()"),
        ("except trio.Cancelled:", "except trio.Cancelled"),
    ],
)
def test_what_catches_a_cancellation(clause: str, written: str) -> None:
    (misuse,) = misuses(looping(f"{clause}\n    print('failed')"))
    assert (misuse.source, misuse.how, misuse.function) == (written, "loop", "mod.run")
    assert misuse.span == (7, 9, 7, 9 + len(re.split(r" as |\)?:", clause)[0]) + ("()" in clause))


@pytest.mark.parametrize(
    "clause",
    [
        "except Exception:",
        "except (OSError, TimeoutError):",
        "except concurrent.futures.CancelledError:",
        "except self.errors:",
        "except BaseExceptionGroup:",
        "except GeneratorExit:",
    ],
)
def test_what_does_not(clause: str) -> None:
    assert found("import concurrent.futures\n" + looping(f"{clause}\n    print('failed')")) == []


def test_the_first_handler_that_catches_it_counts() -> None:
    assert found(looping("except asyncio.CancelledError:\n    raise\nexcept BaseException:\n    pass")) == []
    assert found(looping("except asyncio.CancelledError:\n    pass\nexcept BaseException:\n    raise")) == ["loop"]
    assert found(looping("except OSError:\n    raise\nexcept BaseException:\n    pass")) == ["loop"]


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("await work()", ["loop"]),
        ("work()", []),
        ("async with work(): pass", []),  # to enter is no work, though it can be cancelled
        ("async with lock: await work()", ["loop"]),
        ("async for item in items: print(item)", ["loop"]),
        ("print([item async for item in items])", ["loop"]),
        ("await self.task", []),
        ("await asyncio.gather(self.task, other)", []),
        ("await asyncio.gather(*tasks)", []),
        ("await asyncio.gather(work(), self.task)", ["loop"]),
        ("await asyncio.wait_for(self.task, 1)", []),
        ("await asyncio.wait_for(work(), 1)", ["loop"]),
        ("await asyncio.shield(task if task else self.task)", []),
        ("await asyncio.wrap_future(future)", []),
        ("await self.connection.close()", []),
        ("await asyncio.gather(a.close(), b.aclose())", []),
        ("await asyncio.wait([self.task])", []),
        ("await (yield)", ["loop"]),
    ],
)
def test_what_can_be_cancelled(body: str, how: list[str]) -> None:
    assert found(looping("except BaseException:\n    pass", body)) == how


def test_suppress_catches_what_it_names() -> None:
    assert found("async def run():\n while True:\n  with contextlib.suppress(BaseException):\n   await work()") == [
        "loop"
    ]
    assert found("async def run():\n while True:\n  with contextlib.suppress(OSError):\n   await work()") == []
    assert found("async def run():\n while True:\n  with suppress(BaseException):\n   await work()") == []
    assert found("async def run():\n while True:\n  with contextlib.suppress():\n   await work()") == []


def test_a_jump_out_of_a_finally_drops_it() -> None:
    assert found(looping("finally:\n    continue")) == ["loop"]
    assert found(looping("finally:\n    break")) == []
    assert found(looping("finally:\n    break") + "    await work()\n") == ["onward"]
    assert found(looping("except BaseException:\n    raise\nfinally:\n    continue")) == ["loop"]
    assert found(looping("finally:\n    print('done')")) == []


def test_what_an_inner_handler_keeps_is_not_caught_again() -> None:
    source = """
    async def run():
        while True:
            try:
                try:
                    await work()
                except asyncio.CancelledError:
                    {inner}
            except BaseException:
                pass
    """
    assert [each.span.line for each in misuses(source.format(inner="pass"))] == [9]
    assert [each.span.line for each in misuses(source.format(inner="raise"))] == [11]


# -- how the handler is left -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "how"),
    [
        ("pass", ["loop"]),
        ("continue", ["loop"]),
        ("await asyncio.sleep(1)", ["loop"]),
        ("print(error, repr(error), f'{error}')", ["loop"]),
        ("log.exception('failed', exc_info=error)", ["loop"]),
        ("if self.verbose: print('failed')", ["loop"]),
        ("raise", []),
        ("raise OSError from error", []),
        ("return", []),
        ("break", []),
        ("if self.closed: raise", []),
        ("if self.closed: return", []),
        ("if self.closed: break", []),
        ("sys.exit(1)", []),
        ("os._exit(1)", []),
        ("self.future.set_exception(error)", []),
        ("self.error = error", []),
        ("items.append(error)", []),
        ("self.task.cancel()", []),
        ("self.give_up()", []),
        ("print(sys.exc_info())", []),
    ],
)
def test_how_the_handler_is_left(handler: str, how: list[str]) -> None:
    run = textwrap.indent(looping(f"except BaseException as error:\n    {handler}"), "    ")
    assert found(f"class A:\n    def give_up(self):\n        raise OSError\n{run}") == how


@pytest.mark.parametrize(
    ("loop", "handler", "how"),
    [
        ("while running", "pass", ["loop"]),
        ("while running", "running = False", []),
        ("while self.running", "self.running = False", []),
        ("while not self.closed.is_set()", "self.closed.set()", []),
        ("for item in items", "pass", ["loop"]),
        ("async for item in items", "pass", ["loop"]),
        ("async for item in items", "break", []),
    ],
)
def test_loops(loop: str, handler: str, how: list[str]) -> None:
    assert found(looping(f"except BaseException:\n    {handler}", loop=loop)) == how


def test_a_loop_that_is_told_to_end_by_who_cancels_the_task() -> None:
    source = """
    class Poller:
        async def run(self):
            while not self.stopping:
                try:
                    await work()
                except asyncio.CancelledError:
                    pass

        async def stop(self):
            self.stopping = True
            {act}
    """
    assert found(source.format(act="self.task.cancel()")) == []
    assert found(source.format(act="await self.task")) == ["loop"]


# -- where it goes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "how"),
    [
        ("await work()", ["onward"]),
        ("return await work()", ["onward"]),
        ("async for item in items: print(item)", ["onward"]),
        ("for item in items: await work()", ["onward"]),
        ("while True: await work()", ["onward"]),
        ("async with lock: await work()", ["onward"]),
        ("if await work(): pass", ["onward"]),
        ("if a: await work()\nelse: await other()", ["onward"]),
        ("if a: print(a)\nawait work()", ["onward"]),
        ("try:\n    await work()\nexcept OSError: pass", ["onward"]),
        ("try: print(a)\nexcept OSError: pass\nelse: await work()", ["onward"]),
        ("match a:\n    case _: await work()", ["onward"]),
        ("print(a)", []),
        ("return", []),
        ("raise OSError(await work())", ["onward"]),
        ("raise OSError", []),
        ("await self.close()", []),
        ("await self._session.disconnect()", []),
        ("await self.task", []),
        ("if a: await work()", []),
        ("if a: return\nawait work()", []),
        ("if a: raise OSError\nawait work()", []),
        ("while a:\n    if b: return\nawait work()", []),
        ("while True:\n    if b: break\nawait work()", []),
        ("while True: break\nawait work()", ["onward"]),
        ("for b in a: break\nawait work()", ["onward"]),
        ("for b in a: return\nawait work()", []),
        ("try: return\nfinally: print(a)\nawait work()", []),
        ("try: return\nexcept OSError: pass\nawait work()", []),
        ("try: raise OSError\nexcept OSError: pass\nawait work()", []),
        ("match a:\n    case 1: return\nawait work()", []),
        ("with anyio.CancelScope(shield=True): await work()", []),
        ("sys.exit()\nawait work()", []),
        ("def inner(): return 1\nawait work()", ["onward"]),
    ],
)
def test_where_it_goes_on(after: str, how: list[str]) -> None:
    source = "async def run(self, a, items):\n    try:\n        await work()\n    except BaseException:\n        pass\n"
    assert found(source + textwrap.indent(after, "    ")) == how


def test_cancellation_by_its_name_is_the_end_unless_a_loop_goes_on() -> None:
    source = """
    async def run():
        {loop}:
            try:
                await work()
            except asyncio.CancelledError:
                pass
            await work()
            {last}
    """
    assert found(source.format(loop="if True", last="pass")) == []
    assert found(source.format(loop="while True", last="pass")) == ["loop"]
    assert found(source.format(loop="while True", last="if await work(): break")) == ["loop"]
    assert found(source.format(loop="while True", last="return")) == []
    assert found(source.format(loop="while True", last="break")) == []


def test_what_a_condition_asks_for_is_told_to_stop() -> None:
    source = """
    async def run():
        try:
            await work()
        except BaseException:
            failed = True
        await work()
        if {condition}:
            print("failed")
    """
    assert found(source.format(condition="failed")) == []
    assert found(source.format(condition="other")) == ["onward"]


def test_what_cleans_up_may_go_on() -> None:
    source = (
        "async def {name}():\n    try:\n        await work()\n    except BaseException:\n        pass\n    await work()"
    )
    assert found(source.format(name="run")) == ["onward"]
    assert found(source.format(name="_close_all")) == []
    assert found(source.format(name="__aexit__")) == []
    assert found(looping("except BaseException:\n    pass", loop="for item in items").replace("run", "stop")) == []
    assert found(looping("except BaseException:\n    pass").replace("run", "cleanup_loop")) == ["loop"]
    assert found(source.format(name="_handle_disconnect")) == ["onward"]


def test_what_runs_at_the_end_of_a_task_may_go_on() -> None:
    inner = "try:\n    await work()\nexcept BaseException:\n    pass\nawait work()\n"
    cases = {
        "finally:": [],
        "except BaseException:": [],
        "except asyncio.CancelledError:": [],
        "except OSError:": ["onward"],
    }
    for clause, how in cases.items():
        body = textwrap.indent(inner, "        ")
        assert found(f"async def run():\n    try:\n        print()\n    {clause}\n{body}        raise\n") == how, clause


def test_an_else_and_a_finally_on_the_way() -> None:
    source = """
    async def run():
        try:
            try:
                await work()
            except BaseException:
                pass
        except OSError:
            pass
        else:
            {orelse}
        finally:
            {final}
        {after}
    """
    assert found(source.format(orelse="await work()", final="pass", after="pass")) == ["onward"]
    assert found(source.format(orelse="pass", final="pass", after="await work()")) == ["onward"]
    assert found(source.format(orelse="return", final="pass", after="await work()")) == []
    assert found(source.format(orelse="pass", final="return", after="await work()")) == []


def test_after_a_loop_that_is_left() -> None:
    source = """
    async def run():
        for item in items:
            try:
                {body}
            except BaseException:
                break
        else:
            print("all")
        await work()
    """
    assert found(source.format(body="await work()")) == ["onward"]
    assert found(source.format(body="await item.task")) == []


# -- who may -----------------------------------------------------------------------------------------------------------

SWALLOWING = looping("except BaseException:\n    pass")


def test_functions_that_may() -> None:
    assert found(SWALLOWING) == ["loop"]
    assert found(SWALLOWING + "asyncio.run(run(1, 2))") == []
    assert found(SWALLOWING + "anyio.run(run)") == []
    assert found(SWALLOWING + "asyncio.get_event_loop().run_until_complete(run(1, 2))") == []
    assert found(SWALLOWING + "subprocess.run(['run'])") == ["loop"]
    assert found(SWALLOWING.replace("run", "test_run")) == []
    assert (
        found(SWALLOWING.replace("async def run(self, items):", "async def run(self, items):\n    task.cancelling()"))
        == []
    )
    assert found(SWALLOWING.replace("async def", "def").replace("await ", "")) == []


def test_files_of_tests_are_left_alone() -> None:
    assert [len(misuses(SWALLOWING, module)) for module in ("pkg.mod", "pkg.tests.mod", "test_mod", "conftest")] == [
        1,
        0,
        0,
        0,
    ]


def test_what_was_cancelled_before_raises_the_same() -> None:
    source = """
    async def run():
        {first}
        try:
            await work()
        except BaseException:
            pass
        await work()
    """
    assert found(source.format(first="task.cancel()")) == []
    assert found(source.format(first="cancel_all(tasks)")) == []
    assert found(source.format(first="print(task)")) == ["onward"]


def test_interrupts_are_caught_on_purpose() -> None:
    assert found(looping("except (KeyboardInterrupt, asyncio.CancelledError):\n    pass")) == []


def test_what_awaits_a_future_of_others() -> None:
    source = """
    class Reader:
        async def receive(self):
            return await {awaited}

        async def run(self):
            while True:
                try:
                    await self.receive()
                except {caught}:
                    pass
    """
    assert found(source.format(awaited="self.future", caught="asyncio.CancelledError")) == []
    assert found(source.format(awaited="self.queue.get()", caught="asyncio.CancelledError")) == ["loop"]
    assert found(source.format(awaited="self.future", caught="BaseException")) == ["loop"]


# -- callers -----------------------------------------------------------------------------------------------------------

HELPER = "async def helper():\n    try:\n        await work()\n    except {caught}:\n        {handler}\n"


@pytest.mark.parametrize(
    ("caller", "how"),
    [
        ("while True:\n        await helper()", ["loop of caller"]),
        ("while True:\n        done = await helper()", ["loop of caller"]),
        ("await helper()\n    await work()", ["onward of caller"]),
        ("await helper()", []),
        ("return await helper()", []),
        ("while True:\n        if await helper(): break", []),
        ("while True:\n        if not await helper(): return", []),
        ("while True:\n        done = await helper()\n        if done: break", []),
        ("try:\n        print()\n    finally:\n        await helper()\n        await work()", []),
        ("asyncio.create_task(helper())\n    await work()", []),
    ],
)
def test_callers_that_go_on(caller: str, how: list[str]) -> None:
    source = HELPER.format(caught="BaseException", handler="return None") + f"async def run():\n    {caller}\n"
    assert found(source) == how


@pytest.mark.parametrize(("last", "how"), [("pass", ["loop of caller"]), ("raise OSError", []), ("sys.exit()", [])])
def test_callers_that_hear_of_it(last: str, how: list[str]) -> None:
    source = HELPER.format(caught="BaseException", handler="pass") + f"    {last}\n"
    assert found(source + "async def run():\n    while True:\n        await helper()\n") == how


def test_a_caller_of_callers() -> None:
    source = HELPER.format(caught="asyncio.CancelledError", handler="pass")
    source += "async def one():\n    await helper()\n"
    source += "async def run():\n    while True:\n        await one()\n"
    (misuse,) = misuses(source)
    assert misuse.how == "loop of caller"
    assert [(step.span.line, step.message) for step in misuse.evidence] == [
        (5, "may be cancelled here"),
        (9, "returns to `one`, which goes on"),
        (12, "returns to `run`, which goes on"),
        (12, "and the loop comes round to this"),
    ]


def test_callers_are_not_followed_for_ever() -> None:
    source = HELPER.format(caught="BaseException", handler="pass")
    source += "async def one():\n    await helper()\n    await two()\nasync def two():\n    await one()\n"
    assert found(source) == ["onward of caller"]
    assert found(source.replace("    await two()\n", "    print()\n")) == []


def test_an_evidence_without_bodies() -> None:
    source = """
    async def run():
        while True:
            try:
                async with lock:
                    print()
                async for item in items:
                    print()
            except BaseException:
                pass
    """
    (misuse,) = misuses(source)
    assert [(tuple(step.span), step.message) for step in misuse.evidence] == [
        ((7, 13, 7, 28), "may be cancelled here"),
        ((9, 13, 9, 36), "and the loop comes round to this"),
    ]
