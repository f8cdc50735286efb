"""`handler-stops-matching`: callers that get a function, or a coroutine of it, in other ways than by its name."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from test_hazards import study_of

from leaklint.analysis.kinds import path_of
from leaklint.fixing.hazards.handlers import clauses_that_miss
from leaklint.model import code
from leaklint.model.walk import walk

HOST = """
async def work():
    raise ValueError

async def host():
    asyncio.create_task(work())

async def calm(make):
    await make()
"""
METHOD = """
async def work():
    raise ValueError

class Loader:
    async def host(self):
        asyncio.create_task(work())
"""
ATTEMPT = """
async def attempt(make):
    try:
        return await make()
    except ValueError:
        return None
"""
QUIET = """
async def quiet(coro):
    try:
        return await coro
    except ValueError:
        return None
"""


def clauses(*parts: str) -> tuple[str, ...]:
    """The clauses around the function that makes a task, in a program of these parts."""
    study = study_of("\n".join(map(dedent, parts)))
    (host,) = (each for each in study.facts.functions if "asyncio.create_task" in each.words)
    (call,) = (each for each in walk(host.body, code.Call) if path_of(each) == "asyncio.create_task")
    return clauses_that_miss(host.body, call.args, host, study)


HANDED = {
    "in a lambda": ("attempt", HOST, ATTEMPT, "async def main():\n    await attempt(lambda: host())"),
    "as a partial": (
        "attempt",
        HOST,
        ATTEMPT,
        "import functools\nasync def main():\n    await attempt(functools.partial(host))",
    ),
    "by a name": (
        "attempt",
        HOST,
        ATTEMPT,
        """
        async def main(fast):
            function = host if fast else work
            await attempt(make=function)
        """,
    ),
    "in a lambda by a name": (
        "attempt",
        HOST,
        ATTEMPT,
        """
        async def main():
            call = lambda: host()
            await attempt(call)
        """,
    ),
    "from hand to hand": (
        "attempt",
        HOST,
        ATTEMPT,
        """
        async def twice(one):
            await attempt(one)

        async def main():
            await twice(host)
        """,
    ),
    "to a decorator": (
        "wrapper",
        HOST,
        """
        def safe(function):
            async def wrapper():
                try:
                    return await function()
                except ValueError:
                    return None
            return wrapper

        async def main():
            await safe(host)()
        """,
    ),
    "to a chain": (
        "errors",
        HOST,
        """
        def middleware(following):
            async def errors():
                try:
                    return await following()
                except ValueError:
                    return None
            return errors

        async def main():
            app = host
            for layer in (middleware,):
                app = layer(app)
            await app()
        """,
    ),
    "from a function": (
        "main",
        HOST,
        """
        def choose():
            return host

        async def main():
            function = choose()
            try:
                await asyncio.wait_for(function(), 3)
            except ValueError:
                pass
        """,
    ),
    "in a field": (
        "main",
        HOST,
        """
        import dataclasses

        @dataclasses.dataclass
        class Step:
            run: object

        STEPS = [Step(host)]

        async def main():
            for step in STEPS:
                try:
                    await step.run()
                except ValueError:
                    pass
        """,
    ),
    "as an attribute of a class": (
        "main",
        HOST,
        """
        class Spec:
            loader = staticmethod(host)

        async def main():
            try:
                await Spec.loader()
            except ValueError:
                pass
        """,
    ),
    "as a variable": (
        "main",
        HOST,
        """
        HANDLER = host

        async def main():
            try:
                await HANDLER()
            except ValueError:
                pass
        """,
    ),
    "as a coroutine": ("quiet", HOST, QUIET, "async def main():\n    await quiet(host())"),
    "as a coroutine of something": ("quiet", METHOD, QUIET, "async def main(loader):\n    await quiet(loader.host())"),
    "as several coroutines": (
        "quiet",
        HOST,
        QUIET,
        """
        async def main():
            await asyncio.gather(*[quiet(each) for each in (host(), work())])
        """,
    ),
    "in a queue": (
        "worker",
        HOST,
        """
        async def worker(queue):
            coro = await queue.get()
            try:
                await asyncio.wait_for(coro, 3)
            except ValueError:
                pass

        async def main(queue):
            queue.put_nowait(host())
        """,
    ),
    "to a callback": (
        "check",
        HOST,
        """
        def check(task):
            try:
                task.result()
            except ValueError:
                pass

        def spawn(coro):
            task = asyncio.ensure_future(coro)
            task.add_done_callback(check)
            return task

        async def main():
            await asyncio.wait([spawn(host())])
        """,
    ),
    "to who runs it": (
        "run",
        HOST,
        """
        def run(coro):
            try:
                asyncio.run(coro)
            except ValueError:
                pass

        def main():
            run(host())
        """,
    ),
    "by its name": (
        "call",
        METHOD,
        """
        async def call(it, name):
            try:
                return await getattr(it, name)()
            except ValueError:
                return None
        """,
    ),
    "by a part of its name": (
        "call",
        METHOD,
        """
        async def call(it, name):
            method = getattr(it, f"ho{name}", None)
            try:
                return await method()
            except ValueError:
                return None
        """,
    ),
    "by its name, looked up elsewhere": (
        "call",
        METHOD,
        """
        def find(it, name):
            return getattr(it, name)

        async def call(it, name):
            try:
                return await find(it, name)()
            except ValueError:
                return None
        """,
    ),
    "by a table of the methods of a class": (
        "call",
        METHOD,
        """
        class Console(Loader):
            def __init__(self):
                self.commands = {name: getattr(self, name) for name in dir(self)}

            async def call(self, name):
                try:
                    return await self.commands[name]()
                except ValueError:
                    return None
        """,
    ),
    "by a proxy": (
        "main",
        METHOD,
        """
        class Proxy:
            def __init__(self, it):
                self.it = it

            def __getattr__(self, name):
                return getattr(self.it, name)

        async def main():
            proxy = Proxy(Loader())
            try:
                await proxy.host()
            except ValueError:
                pass
        """,
    ),
    "by a mixin": (
        "safe",
        METHOD,
        """
        class Safe:
            async def safe(self):
                try:
                    await self.host()
                except ValueError:
                    pass

        class App(Safe, Loader):
            pass
        """,
    ),
    "when it is entered": (
        "main",
        METHOD.replace("host", "__aenter__"),
        """
        async def main():
            try:
                async with Loader() as loader:
                    print(loader)
            except ValueError:
                pass
        """,
    ),
    "when a stack leaves it": (
        "main",
        METHOD.replace("host", "__aexit__"),
        """
        async def main():
            try:
                async with contextlib.AsyncExitStack() as stack:
                    await stack.enter_async_context(Loader())
            except ValueError:
                pass
        """,
    ),
    "when it is awaited": (
        "main",
        HOST,
        """
        class Lazy:
            def __await__(self):
                return host().__await__()

        async def main():
            try:
                await Lazy()
            except ValueError:
                pass
        """,
    ),
    "when it is iterated over": (
        "main",
        METHOD.replace("host", "__anext__"),
        """
        async def main(loader: Loader):
            try:
                async for each in loader:
                    print(each)
            except ValueError:
                pass
        """,
    ),
    "when it is called": (
        "run",
        METHOD.replace("host", "__call__"),
        """
        class Errors:
            def __init__(self, app):
                self.app = app

            async def run(self):
                try:
                    await self.app()
                except ValueError:
                    pass
        """,
    ),
}
NOT_HANDED = {
    "to what catches nothing": (HOST, ATTEMPT, "async def main():\n    await calm(host)\n    await attempt(work)"),
    "in a lambda": (HOST, ATTEMPT, "async def main():\n    await calm(lambda: host())\n    await attempt(work)"),
    "as a coroutine": (
        HOST,
        QUIET,
        """
        async def passing(coro):
            return await coro

        async def main():
            await passing(host())
            await quiet(work())
        """,
    ),
    "to what others call, too": (
        HOST,
        """
        async def passing(coro):
            return await coro

        async def other():
            try:
                await passing(work())
            except ValueError:
                pass

        async def main():
            await passing(host())
        """,
    ),
    "where a function that does not wait tries": (
        HOST,
        """
        def choose(make):
            try:
                return make()
            except ValueError:
                return None

        ROUTES = [host]
        """,
    ),
    "in a list that nobody tries": (
        HOST,
        """
        ROUTES = [host]

        async def main():
            for route in ROUTES:
                await route()
            try:
                await asyncio.sleep(1)
            except ValueError:
                pass
        """,
    ),
    "by another name": (
        METHOD,
        """
        async def call(it, name):
            try:
                return await getattr(it, "do_" + name)()
            except ValueError:
                return None
        """,
    ),
    "as data": (METHOD, ATTEMPT, "def read(it, names):\n    return {name: getattr(it, name) for name in names}"),
    "of another class": (
        METHOD,
        """
        class Other:
            async def call(self, name):
                try:
                    return await getattr(self, name)()
                except ValueError:
                    return None
        """,
    ),
    "when another is entered": (
        METHOD.replace("host", "__aenter__"),
        """
        async def main(path):
            try:
                async with asyncio.timeout(3), await anyio.open_file(path) as file:
                    print(file)
            except ValueError:
                pass
        """,
    ),
}


@pytest.mark.parametrize("case", HANDED)
def test_clauses_around_what_is_handed_over(case: str) -> None:
    function, *parts = HANDED[case]
    found = clauses(*parts)
    assert found
    for said in found:
        clause = rf"(`except ValueError`|`contextlib\.AsyncExitStack`) on line \d+ of `{function}`"
        assert re.match(rf"{clause} (may be around it|would not catch it any more|may look at its type)", said)


@pytest.mark.parametrize("case", NOT_HANDED)
def test_clauses_around_what_is_not_handed_over(case: str) -> None:
    assert clauses(*NOT_HANDED[case]) == ()


def test_a_clause_is_named_once() -> None:
    table = """
        async def main():
            steps = {"a": host}
            try:
                await steps["a"]()
            except ValueError:
                pass
    """
    assert len(clauses(HOST, table)) == 1


CHAINED = """
class AppError(Exception):
    pass

async def app():
    try:
        await host()
    except Exception as error:
        raise AppError from error

async def main():
    try:
        await app()
    except AppError as error:
        READS
"""


@pytest.mark.parametrize(
    ("reads", "is_used"),
    [
        ("print(isinstance(error.__cause__, ValueError))", True),
        ("raise error.__context__", True),
        ("logging.error('failed: %s', error.__cause__)", False),
        ("print(error)", False),
    ],
)
def test_who_reads_the_cause_of_an_error(reads: str, *, is_used: bool) -> None:
    found = clauses(HOST, CHAINED.replace("READS", reads))
    assert len(found) == is_used
    for said in found:
        assert "of `app` would get an ExceptionGroup, and `error.__c" in said
        assert said.endswith("of `main` reads what it got")
