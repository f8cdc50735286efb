"""What keeps a cancellation from a task: the answers of the hazards, beside what happens when the code is run."""

from __future__ import annotations

import asyncio
from textwrap import dedent, indent

import pytest

from leaklint.engine import Input, examine
from leaklint.fixing.hazards.otherloops import other_loops
from leaklint.fixing.hazards.suppressing import catches_in
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.fix import Environment
from leaklint.policy.config import Settings

SLEEP = "await asyncio.sleep(9)"


def study_of(source: str) -> Study:
    """A program, with a finding in it."""
    source += "async def found():\n    asyncio.create_task(asyncio.sleep(1))\n"
    inputs = [Input("app.py", "app", source.encode(), Settings())]
    return Study(examine(inputs).studied["app.py"], source.encode(), Environment())


def function(name: str, study: Study) -> code.Function:
    return next(each for each in study.facts.functions if each.name == name)


def program(before: str, body: str) -> str:
    head = "import asyncio\nimport contextlib\n" + dedent(before)
    return f"{head}\nasync def child():\n{indent(dedent(body), '    ')}\n"


def written(before: str, body: str) -> list[str]:
    """What the hazards say that keeps a cancellation from `child`."""
    study = study_of(program(before, body))
    child = function("child", study)
    return [catch.written for catch in catches_in(child.body, child, study)]


def is_kept(before: str, body: str) -> bool:
    """Whether a task that runs `child` does not end as a cancelled one when it is cancelled."""
    namespace: dict[str, object] = {}
    exec(program(before, body), namespace)

    async def main() -> bool:
        child = namespace["child"]
        assert callable(child)
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return not task.cancelled()

    return asyncio.run(main())


def clause(types: str) -> str:
    return f"try:\n    {SLEEP}\nexcept {types}:\n    print(1)"


def entered(manager: str) -> str:
    return f"with {manager}:\n    {SLEEP}"


def leaving(body: str, params: str = "kind, error, traceback") -> str:
    """A class `Calm` that leaves its `with` in a way."""
    method = f"    def __exit__(self, {params}):\n{indent(dedent(body), ' ' * 8)}\n"
    return f"class Calm:\n    def __enter__(self):\n        return self\n{method}"


def generator(body: str, decorator: str = "contextmanager", prefix: str = "") -> str:
    """A context manager `calm` that is a generator."""
    return f"@contextlib.{decorator}\n{prefix}def calm():\n{indent(dedent(body), '    ')}\n"


KEPT = {
    "a constant": ("ERRORS = (OSError, asyncio.CancelledError)", clause("ERRORS")),
    "one of several": ("ERRORS = (OSError,)\nMORE = (*ERRORS, asyncio.CancelledError)", clause("(ValueError, *MORE)")),
    "a constant of a class": ("class Errors:\n    ALL = (OSError, BaseException)", clause("Errors.ALL")),
    "a variable": ("", f"errors = (asyncio.CancelledError,)\n{clause('errors')}"),
    "an attribute": (
        "class Client:\n    def __init__(self):\n        self.errors = (asyncio.CancelledError,)",
        f"client = Client()\n{clause('client.errors')}",
    ),
    "a suppress by a constant": ("ERRORS = (asyncio.CancelledError,)", entered("contextlib.suppress(*ERRORS)")),
    "a suppress in a variable": ("", f"quiet = contextlib.suppress(asyncio.CancelledError)\n{entered('quiet')}"),
    "a suppress of the module": ("quiet = contextlib.suppress(BaseException)", entered("quiet")),
    "one of two": ("", f"quiet = contextlib.suppress(asyncio.CancelledError)\n{entered('open(__file__), quiet')}"),
    "a kind of suppress": (
        "class Quiet(contextlib.suppress):\n    pass",
        entered("Quiet(asyncio.CancelledError)"),
    ),
    "a kind of suppress that knows": (
        "class Quiet(contextlib.suppress):\n    def __init__(self):\n        super().__init__(asyncio.CancelledError)",
        entered("Quiet()"),
    ),
    "a function that gives one": (
        "def quiet():\n    return contextlib.suppress(asyncio.CancelledError)",
        entered("quiet()"),
    ),
    "a stack": (
        "",
        (
            "with contextlib.ExitStack() as stack:\n"
            f"    stack.enter_context(contextlib.suppress(asyncio.CancelledError))\n    {SLEEP}"
        ),
    ),
    "a generator": (generator("try:\n    yield\nexcept asyncio.CancelledError:\n    print(1)"), entered("calm()")),
    "a generator that asks": (
        generator("try:\n    yield\nexcept BaseException as error:\n    if isinstance(error, OSError):\n        raise"),
        entered("calm()"),
    ),
    "a generator that waits": (
        generator("try:\n    yield\nexcept BaseException:\n    print(1)", "asynccontextmanager", "async "),
        f"async {entered('calm()')}",
    ),
    "a generator with a suppress": (
        generator("with contextlib.suppress(asyncio.CancelledError):\n    yield"),
        entered("calm()"),
    ),
    "a class": (leaving("return True"), entered("Calm()")),
    "a class that asks": (leaving("return kind is asyncio.CancelledError"), entered("Calm()")),
    "a class that asks for anything": (leaving("return kind is not None"), entered("Calm()")),
    "a class that lets errors pass": (leaving("return not issubclass(kind, Exception)"), entered("Calm()")),
    "a class that takes all at once": (
        leaving("if isinstance(exc[1], OSError):\n    return False\nreturn True", "*exc"),
        entered("Calm()"),
    ),
    "a class that asks itself": (
        leaving("return self.is_calm()") + "    def is_calm(self):\n        return True\n",
        entered("Calm()"),
    ),
    "an object": (leaving("return True"), f"calm = Calm()\n{entered('calm')}"),
    "finally": (
        "",
        f"for each in range(2):\n    try:\n        await asyncio.sleep(0)\n    finally:\n{' ' * 8}continue",
    ),
    "finally, if": (
        "",
        (
            "for each in range(2):\n    try:\n        await asyncio.sleep(0)\n    finally:\n"
            "        if each < 9:\n            break"
        ),
    ),
    "a handler that may go on": (
        "LOUD = False",
        f"try:\n    {SLEEP}\nexcept asyncio.CancelledError:\n    if not LOUD:\n        return\n    raise",
    ),
}
LET_THROUGH = {
    "a constant": ("class Lost(Exception):\n    pass\nERRORS = (OSError, Lost)", clause("ERRORS")),
    "a constant of a class": ("class Errors:\n    ALL = (OSError, EOFError)", clause("Errors.ALL")),
    "a class within a class": (
        "class Box:\n    class Lost(Exception):\n        pass",
        f"box = Box()\n{clause('box.Lost')}",
    ),
    "a variable": ("", f"errors = (OSError,)\n{clause('errors')}"),
    "a class of its own": ("", f"class Lost(Exception):\n    pass\n{clause('Lost')}"),
    "an import": ("", f"from json import JSONDecodeError\n{clause('JSONDecodeError')}"),
    "one of two imports": (
        "try:\n    from no_such_module import Lost\nexcept ImportError:\n    Lost = OSError",
        clause("Lost"),
    ),
    "that of threads": ("import concurrent.futures", clause("concurrent.futures.CancelledError")),
    "a suppress in a variable": ("quiet = contextlib.suppress(OSError)", entered("quiet")),
    "a stack": (
        "",
        f"with contextlib.ExitStack() as stack:\n    stack.enter_context(contextlib.suppress(OSError))\n    {SLEEP}",
    ),
    "a generator": (generator("try:\n    yield\nexcept OSError:\n    print(1)"), entered("calm()")),
    "a generator that raises": (generator("try:\n    yield\nexcept:\n    print(1)\n    raise"), entered("calm()")),
    "a generator that asks": (
        generator(
            "try:\n    yield\nexcept BaseException as error:\n    if isinstance(error, asyncio.CancelledError):\n"
            "        raise\n    print(1)"
        ),
        entered("calm()"),
    ),
    "a generator that cleans up": (generator("try:\n    yield\nfinally:\n    print(1)"), entered("calm()")),
    "a class": (leaving("print(1)"), entered("Calm()")),
    "a class that asks": (leaving("return kind is not None and issubclass(kind, OSError)"), entered("Calm()")),
    "a class that asks first": (
        leaving("if kind is asyncio.CancelledError:\n    return False\nreturn kind is not None"),
        entered("Calm()"),
    ),
    "a class that takes all at once": (leaving("return isinstance(exc[1], OSError)", "*exc"), entered("Calm()")),
    "a class that asks itself": (
        leaving("return self.close()") + "    def close(self) -> None:\n        print(1)\n",
        entered("Calm()"),
    ),
    "a handler that asks": (
        "",
        f"try:\n    {SLEEP}\nexcept BaseException as error:\n    if not isinstance(error, Exception):\n        raise",
    ),
    "finally": (
        "",
        (
            f"try:\n    {SLEEP}\nfinally:\n    for each in range(3):\n        if each:\n            break\n"
            "        continue"
        ),
    ),
    "another clause": (
        "",
        f"try:\n    {SLEEP}\nexcept asyncio.CancelledError:\n    raise\nexcept BaseException:\n    print(1)",
    ),
}
UNKNOWN = {
    "a parameter": (
        "async def child(errors):\n    try:\n        await asyncio.sleep(1)\n    except errors:\n        print(1)"
    ),
    "a constant of a library": (
        "import library\nasync def child():\n    try:\n        await asyncio.sleep(1)\n"
        "    except library.ERRORS:\n        print(1)"
    ),
    "what a caller passes": (
        "async def child(errors=()):\n    try:\n        await asyncio.sleep(1)\n    except errors:\n        print(1)\n"
        "async def main():\n    await child((OSError, asyncio.CancelledError))"
    ),
    "an exit that may": (
        f"{leaving('return self.calm')}async def child():\n    with Calm():\n        await asyncio.sleep(1)"
    ),
    "a parameter that is passed a manager": (
        "async def child(quiet):\n    with quiet:\n        await asyncio.sleep(1)\n"
        "async def main():\n    await child(contextlib.suppress(BaseException))"
    ),
}
KNOWN = {
    "what callers pass": (
        "async def child(errors=()):\n    try:\n        await asyncio.sleep(1)\n    except errors:\n        print(1)\n"
        "async def main():\n    await child((OSError, EOFError))\n    await child()"
    ),
    "a parameter for errors": (
        "async def child(errors: tuple[type[Exception], ...]):\n    try:\n        await asyncio.sleep(1)\n"
        "    except errors:\n        print(1)"
    ),
    "an error of a library": (
        "import library\nasync def child():\n    try:\n        await asyncio.sleep(1)\n"
        "    except (library.LibraryError, library.errors.Lost):\n        print(1)"
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_keeps_a_cancellation_from_a_task(case: str) -> None:
    assert is_kept(*KEPT[case])
    assert len(written(*KEPT[case])) == 1


@pytest.mark.parametrize("case", LET_THROUGH)
def test_what_lets_a_cancellation_through(case: str) -> None:
    assert not is_kept(*LET_THROUGH[case])
    assert written(*LET_THROUGH[case]) == []


@pytest.mark.parametrize("source", [pytest.param(source, id=case) for case, source in UNKNOWN.items()])
def test_what_may_keep_a_cancellation_from_a_task(source: str) -> None:
    study = study_of(f"import asyncio\nimport contextlib\n{source}\n")
    child = function("child", study)
    assert len(catches_in(child.body, child, study)) == 1


@pytest.mark.parametrize("source", [pytest.param(source, id=case) for case, source in KNOWN.items()])
def test_what_cannot_keep_a_cancellation_from_a_task(source: str) -> None:
    study = study_of(f"import asyncio\nimport contextlib\n{source}\n")
    child = function("child", study)
    assert catches_in(child.body, child, study) == ()


CLIENT = """
import asyncio
import threading

class Client:
    async def open(self):
        self.task = asyncio.create_task(asyncio.sleep(9))

    async def close(self):
        self.task.cancel()

async def use(client: Client):
    await client.open()
    await client.close()
"""
OTHER_LOOPS = {
    "one after the other": "def main(client: Client):\n    asyncio.run(client.open())\n    asyncio.run(client.close())",
    "in a thread": (
        "def end(client):\n    asyncio.run(client.close())\n"
        "async def main(client: Client):\n    await client.open()\n    await asyncio.to_thread(end, client)\n"
        "asyncio.run(main(Client()))"
    ),
    "in a thread, by a lambda": (
        "async def main():\n    client = Client()\n    await client.open()\n"
        "    threading.Thread(target=lambda: asyncio.run(client.close())).start()\n"
        "asyncio.run(main())"
    ),
}
SAME_LOOP = {
    "one run": "asyncio.run(use(Client()))",
    "two that do the same": (
        "def first():\n    asyncio.run(use(Client()))\ndef second():\n    asyncio.run(use(Client()))"
    ),
    "two tests": (
        "def test_use():\n    asyncio.run(use(Client()))\ndef test_close():\n    asyncio.run(Client().close())"
    ),
    "a loop that goes on": (
        "def main(loop: asyncio.AbstractEventLoop, client: Client):\n    loop.run_until_complete(client.open())\n"
        "    loop.run_until_complete(client.close())"
    ),
}


def loops(source: str) -> list[str]:
    study = study_of(f"{CLIENT}\n{source}\n")
    return [hazard.name for hazard in other_loops(function("open", study), function("close", study), study)]


@pytest.mark.parametrize("case", OTHER_LOOPS)
def test_a_wait_in_another_loop(case: str) -> None:
    assert loops(OTHER_LOOPS[case]) == ["waits-for-other-loop"]


@pytest.mark.parametrize("case", SAME_LOOP)
def test_a_wait_in_the_same_loop(case: str) -> None:
    assert loops(SAME_LOOP[case]) == []
