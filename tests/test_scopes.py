"""Where task groups and cancel scopes are used wrongly: small programs, each with the lines that are reported."""

from __future__ import annotations

from textwrap import dedent

import pytest

from leaklint.engine import check_source
from leaklint.model.diagnostic import Checked, Diagnostic
from leaklint.policy.config import Settings


def found(source: str) -> list[Diagnostic]:
    """What is reported about scopes."""
    data = dedent(source).encode()
    checked = check_source(data, path="m.py", module="m", settings=Settings.default(), always_parse=True)
    assert isinstance(checked, Checked)
    return [each for each in checked.diagnostics if each.code in ("LK301", "LK302", "LK303")]


def lines(source: str) -> list[int]:
    return [each.span.line for each in found(source)]


# -- after the end -------------------------------------------------------------------------------------------------


def run(body: str) -> list[int]:
    """The lines of the body of a function, counted from 1, in which a spawn comes too late."""
    text = "import anyio, asyncio, trio\n\nasync def run(flag, other, items):\n"
    return [line - 3 for line in lines(text + "".join(f"    {line}\n" for line in dedent(body).strip().split("\n")))]


LATE = """
async with anyio.create_task_group() as tg:
    pass
{}
"""


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("tg.start_soon(f)", [3]),
        ("await tg.start(f)", [3]),
        ("return tg.start_soon(f)", [3]),
        ("x = [tg.create_task(f()) for _ in items]", [3]),
        ("while tg.start_soon(f): pass", [3]),
        ("match flag:\n    case 1: tg.start_soon(f)\n    case _: tg.start_soon(f)", [4, 5]),
        ("match flag:\n    case 1: tg = other\n    case _: tg = other\ntg.start_soon(f)", []),
        ("match flag:\n    case 1: pass\ntg.start_soon(f)", [5]),
        ("match flag:\n    case tg: tg.start_soon(f)", []),
        ("tg, x = other, tg.start_soon(f)", [3]),
        ("tg, *x = items\ntg.start_soon(f)", []),
        ("if (tg := other): tg.start_soon(f)", []),
        ("tg = other\ntg.start_soon(f)", []),
        ("del tg\ntg.start_soon(f)", []),
        ("for tg in items: tg.start_soon(f)", []),
        ("with other as tg: tg.start_soon(f)", []),
        ("try: g()\nexcept ValueError as tg: tg.start_soon(f)", []),
        ("try: g()\nexcept ValueError: tg.start_soon(f)", [4]),
        ("try: g()\nfinally: tg.start_soon(f)", [4]),
        ("if flag: tg = other\ntg.start_soon(f)", []),
        ("if flag: return\ntg.start_soon(f)", [4]),
        ("raise ValueError\ntg.start_soon(f)", []),
        ("while True:\n    if flag: break\ntg.start_soon(f)", [5]),
        ("while True:\n    tg = other\n    if flag: break\ntg.start_soon(f)", []),
        ("while True: pass\ntg.start_soon(f)", []),
        ("for x in items: tg = other\ntg.start_soon(f)", []),
        ("for x in items:\n    if flag: continue\n    break\nelse: tg.start_soon(f)", [6]),
        ("def late(): tg.start_soon(f)", []),
        ("tg.cancel_scope.cancel()", []),
        ("async with tg: tg.start_soon(f)", []),
    ],
)
def test_after_the_block(rest: str, expected: list[int]) -> None:
    assert run(LATE.format(rest)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async with trio.open_nursery() as n:\n    pass\nn.start_soon(f)", [3]),
        ("async with asyncio.TaskGroup() as tg:\n    pass\ntg.create_task(f())", [3]),
        ("with anyio.from_thread.start_blocking_portal() as p:\n    pass\np.start_task_soon(f)", [3]),
        ("async with other, anyio.create_task_group() as tg:\n    pass\ntg.start_soon(f)", [3]),
        ("async with (anyio.create_task_group() if flag else other) as tg:\n    pass\ntg.start_soon(f)", []),
        ("async with anyio.create_task_group() as tg:\n    tg = other\ntg.start_soon(f)", []),
        ("if flag:\n    async with anyio.create_task_group() as tg:\n        return\ntg.start_soon(f)", []),
        ("if flag:\n    async with anyio.create_task_group() as tg:\n        pass\ntg.start_soon(f)", []),
        ("for tg in items:\n    tg.start_soon(f)\n    async with anyio.create_task_group() as tg: pass", []),
        ("while other:\n    tg.start_soon(f)\n    async with anyio.create_task_group() as tg: pass", [2]),
        ("while other:\n    if flag: tg.start_soon(f)\n    async with anyio.create_task_group() as tg: pass", []),
        ("try:\n    async with anyio.create_task_group() as tg: pass\nexcept E: tg.start_soon(f)", [3]),
        ("try:\n    async with anyio.create_task_group() as tg: pass\nfinally: g()\ntg.start_soon(f)", [4]),
        ("try:\n    g()\n    async with anyio.create_task_group() as tg: pass\nexcept E: tg.start_soon(f)", []),
        ("with other:\n    g()\n    async with anyio.create_task_group() as tg: pass\ntg.start_soon(f)", []),
    ],
)
def test_blocks(body: str, expected: list[int]) -> None:
    assert run(body) == expected


def test_a_name_that_a_nested_function_binds_anew() -> None:
    assert (
        run("""
        async with anyio.create_task_group() as tg: pass
        def renew():
            nonlocal tg
            tg = other
        renew()
        tg.start_soon(f)
        """)
        == []
    )


def test_the_evidence_of_a_late_spawn() -> None:
    (late,) = found(
        "import anyio\nasync def f(g):\n    async with g, anyio.create_task_group() as t: pass\n    t.start_soon(g)"
    )
    assert late.message == (
        "`t.start_soon` spawns into a group that has been left: it raises `RuntimeError`, and nothing runs"
    )
    assert [(step.span.line, step.span.column) for step in late.evidence] == [(3, 19)]


# -- yields --------------------------------------------------------------------------------------------------------

GENERATOR = """
from contextlib import asynccontextmanager
import anyio, asyncio, functools, pytest, trio
{}
async def stream():
    {}
        {}

{}
"""


def generator(
    context: str = "async with anyio.create_task_group():",
    body: str = "yield 1; yield 2",
    decorator: str = "",
    rest: str = "",
) -> list[int]:
    return lines(GENERATOR.format(decorator, context, body, rest))


@pytest.mark.parametrize(
    "context",
    [
        "async with anyio.create_task_group():",
        "async with asyncio.TaskGroup() as tg:",
        "async with trio.open_nursery():",
        "with anyio.CancelScope(shield=True):",
        "with trio.move_on_at(5):",
        "async with asyncio.timeout(5):",
        "async with asyncio.timeout_at(5):",
        "async with open('f'), anyio.create_task_group():",
    ],
)
def test_what_must_not_be_yielded_in(context: str) -> None:
    assert generator(context) == [7]


@pytest.mark.parametrize(
    "context",
    [
        "async with asyncio.Lock():",
        "with anyio.from_thread.start_blocking_portal():",
        "for scope in [anyio.CancelScope()]:",
        "async with create_task_group():",
    ],
)
def test_what_may_be_yielded_in(context: str) -> None:
    assert generator(context) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"decorator": "@asynccontextmanager"}, []),
        ({"decorator": "@pytest.fixture"}, []),
        ({"decorator": "@other"}, []),
        ({"decorator": "@functools.wraps(other)"}, [7]),
        ({"rest": "depends(stream)"}, []),
        ({"rest": "manager = asynccontextmanager(stream)"}, []),
        ({"rest": "old = stream\nold()"}, [7]),
        ({"rest": "old = stream\ndepends(old)"}, []),
        ({"rest": "old = stream if other else None\nold()"}, [7]),
        ({"body": "yield"}, [7]),
        ({"body": "yield", "rest": "stream()"}, [7]),
        ({"body": "while True: yield"}, [7]),
        ({"body": "def inner(): yield"}, []),
        ({"body": "return"}, []),
    ],
)
def test_what_is_a_context_manager(given: dict[str, str], expected: list[int]) -> None:
    assert generator(**given) == expected


def test_one_finding_for_the_outermost_scope() -> None:
    assert lines("""
        import anyio
        async def stream(items):
            async with anyio.create_task_group() as tg:
                with anyio.move_on_after(5):
                    yield 1
                yield 2
            with anyio.fail_after(5):
                yield 3
        """) == [6, 9]


# -- entered by hand -----------------------------------------------------------------------------------------------


def service(*methods: str) -> list[tuple[int, str]]:
    """The lines of `__aenter__`, counted in the class, with the last word on each."""
    text = "import anyio\nfrom contextlib import AsyncExitStack\nclass Service:\n"
    text += "".join(f"    async def {method}\n" for method in methods)
    return [(each.span.line - 3, each.message.rpartition(", ")[2].rpartition(" ")[2]) for each in found(text)]


ENTER = "start(self): self._tg = anyio.create_task_group(); await self._tg.__aenter__()"
LEAVE = "stop(self): await self._tg.__aexit__(None, None, None)"


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ((ENTER, LEAVE), [(1, "task")]),
        ((ENTER,), [(1, "it")]),
        ((ENTER, LEAVE, "__aenter__(self): await self.start()"), []),
        ((ENTER, LEAVE, "__aenter__(self): await self.start()", "call(self): await self.start()"), [(1, "task")]),
        ((ENTER, LEAVE, "serve(self): await self.start(); await self.stop()"), []),
        ((ENTER, "serve(self): await self.start(); await self._tg.__aexit__()"), []),
        ((ENTER, "serve(self):\n        async with self._tg: pass"), []),
        ((ENTER.replace("_tg", "tasks"),), []),
        (("start(self, tg): await tg.__aenter__()",), []),
        (("start(self, stack): await stack.enter_async_context(anyio.create_task_group())",), []),
        (("start(self): await self.client.__aenter__()",), []),
        (("__aenter__(self): await super().__aenter__()", "enter(self): await self.__aenter__()"), []),
    ],
)
def test_services(methods: tuple[str, ...], expected: list[tuple[int, str]]) -> None:
    assert service(*methods) == expected


def test_a_leave_in_another_class_is_none() -> None:
    assert [
        each.message.rpartition(", ")[2]
        for each in found("""
            import anyio
            class One:
                async def start(self):
                    self._tg = anyio.create_task_group()
                    await self._tg.__aenter__()
            class Other:
                async def stop(self):
                    await self._tg.__aexit__()
            """)
    ] == ["and nothing leaves it"]


def test_a_variable_of_the_module() -> None:
    assert lines("""
        import anyio
        scope = anyio.CancelScope()
        def start():
            scope.__enter__()
        def stop():
            scope.__exit__(None, None, None)
        """) == [5]


def test_an_end_that_a_nested_function_brings() -> None:
    assert lines("""
        import anyio
        async def start(app):
            tg = anyio.create_task_group()
            await tg.__aenter__()
            async def stop():
                await tg.__aexit__(None, None, None)
            app.on_stop(stop)
        """) == [5]


def test_a_stack_that_is_given_away_is_not_judged() -> None:
    text = """
        import anyio
        from contextlib import AsyncExitStack
        async def start(app):
            stack = AsyncExitStack()
            await stack.enter_async_context(anyio.create_task_group())
            {}
        """
    assert lines(text.format("pass")) == [6]
    assert lines(text.format("app.on_stop(stack.aclose)")) == []
    assert lines(text.format("app.give(stack)")) == []
    assert lines(text.format("return stack")) == []
