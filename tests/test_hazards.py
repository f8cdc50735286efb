"""Hazards: each predicate asked directly, about small programs in which it fires, and near misses."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

import leaklint
from leaklint.analysis.kinds import path_of
from leaklint.engine import Input, examine
from leaklint.fixing import hazards
from leaklint.fixing.hazards import EXPLAINED
from leaklint.fixing.hazards.children import (
    cleanups,
    may_be_cut,
    may_end_by_cancellation,
    may_exit,
    may_fail_when_cancelled,
    may_not_end,
    may_outlive_cancellation,
    never_ends,
)
from leaklint.fixing.hazards.handlers import clauses_that_miss, handlers_around_joins, handlers_that_miss
from leaklint.fixing.hazards.regions import spawns_in, unsuitable
from leaklint.fixing.hazards.resources import limited
from leaklint.fixing.study import Step, Study, path_to
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.fix import Environment, Hazard, Target
from leaklint.model.walk import walk
from leaklint.policy.config import Settings

DEFAULT = Environment()
HEAD = "import asyncio\nimport anyio\nimport contextlib\nimport itertools\nimport logging\nimport sys\nimport time\n"


def study_of(source: str, environment: Environment = DEFAULT, **others: str) -> Study:
    """The file `app.py`, as the remedies see it, in a program with others."""
    texts = {"app": HEAD + dedent(source), **{name: HEAD + dedent(text) for name, text in others.items()}}
    inputs = [Input(f"{name}.py", name, text.encode(), Settings()) for name, text in texts.items()]
    return Study(examine(inputs).studied["app.py"], texts["app"].encode(), environment)


def spawn_of(study: Study) -> tuple[code.Call, code.Function]:
    """The first call of `create_task` in a function `host`."""
    hosts = (each for each in study.facts.functions if each.name == "host")
    calls = ((call, host) for host in hosts for call in walk(host.body, code.Call))
    return next((call, host) for call, host in calls if path_of(call) == "asyncio.create_task")


def child_of(study: Study) -> tuple[Expr, code.Function, Study]:
    call, function = spawn_of(study)
    return call.args[0], function, study


def block_of(study: Study) -> tuple[Block, code.Function]:
    """From the outermost statement of `host` that spawns (below those whose last line says `around`) to the end."""
    call, function = spawn_of(study)
    steps = path_to(call.span, function.body)
    step: Step = next((each for each in steps if _is_inner(each, study)), steps[0])
    return step.block[step.position :], function


def _is_inner(step: Step, study: Study) -> bool:
    """Whether the line before the block begins says that the group is to be in here."""
    first = step.block[0].span.line
    return "# group" in study.lines[first - 2]


def names(found: tuple[Hazard, ...]) -> list[str]:
    return [hazard.name for hazard in found]


Predicate = Callable[[Expr, code.Function, Study], tuple[Hazard, ...]]


def child_hazards(predicate: Predicate, child: str, **options: object) -> tuple[Hazard, ...]:
    """What a predicate says of `child()`."""
    host = "\nasync def host(value):\n    asyncio.create_task(child())\n"
    environment = options.pop("environment", Environment())
    assert isinstance(environment, Environment)
    return predicate(*child_of(study_of(dedent(child) + host, environment, **{k: str(v) for k, v in options.items()})))


# -- children ----------------------------------------------------------------------------------------------------------

PLAIN = """
    async def child():
        for number in range(3):
            await asyncio.sleep(number)
        return await helper()

    async def helper():
        print("done")
        return [each for each in sorted({1, 2})]
"""

ENDS = {
    "plain": PLAIN,
    "a loop that never awaits": """
        async def child():
            while True:
                if time.time() > 3:
                    break
            await asyncio.sleep(1)
    """,
    "a loop that counts": """
        async def child():
            tries = 0
            while tries < 3:
                await asyncio.sleep(1)
                tries += 1
    """,
    "a loop with a deadline": """
        async def child():
            while time.monotonic() < 5:
                await asyncio.sleep(1)
    """,
    "a loop that uses up a list": """
        async def child():
            waiting = [1, 2, 3]
            while waiting:
                waiting.pop()
                await asyncio.sleep(1)
    """,
    "a time limit": """
        queue = asyncio.Queue()
        LIMIT = 5
        async def child():
            await asyncio.wait_for(queue.get(), timeout=3)
            async with asyncio.timeout(LIMIT):
                await queue.get()
            with anyio.move_on_after(2.5):
                await forever()
        async def forever():
            while True:
                await asyncio.sleep(1)
    """,
    "a time limit that a parameter gives": """
        queue = asyncio.Queue()
        async def child(limit: float = 3):
            await asyncio.wait_for(queue.get(), limit)
    """,
    "others": """
        async def child():
            await asyncio.gather(helper(1), helper(2))
            await asyncio.gather(*[helper(each) for each in range(3)])
            tasks = [asyncio.create_task(helper(each)) for each in range(3)]
            await asyncio.gather(*tasks)
            for task in tasks:
                await task
            one = asyncio.create_task(helper(1))
            await one
            async with asyncio.TaskGroup() as tg:
                tg.create_task(helper(1))
            async with anyio.create_task_group() as group:
                group.start_soon(helper, 1)
        async def helper(x):
            await asyncio.sleep(x)
    """,
    "a thread": """
        async def child():
            await asyncio.to_thread(print, 1)
            await asyncio.get_running_loop().run_in_executor(None, print, 1)
    """,
    "what a plain function passes on": """
        def wrapped():
            return helper()
        async def helper():
            await asyncio.sleep(1)
        async def child():
            await wrapped()
    """,
    "a lock that is always left": """
        lock = asyncio.Lock()
        async def child():
            async with lock:
                await asyncio.sleep(1)
        async def other():
            async with lock:
                await asyncio.sleep(2)
    """,
    "iterators that end": """
        def numbers():
            for number in range(3):
                yield number
        async def child():
            for number, other in zip(numbers(), itertools.count()):
                await asyncio.sleep(other)
            for key, value in {1: 2}.items():
                await asyncio.sleep(value)
    """,
    "a method that is overridden by others that end": """
        class Base:
            async def step(self):
                await asyncio.sleep(2)
        class Derived(Base):
            async def step(self):
                await asyncio.sleep(1)
        async def child():
            await Base().step()
    """,
}

STAYS = {
    "a loop": (
        "async def child():\n    while True:\n        await asyncio.sleep(1)\n",
        "`child` may never end: `while True` on line 9",
    ),
    "a condition": (
        "stop = asyncio.Event()\nasync def child():\n    while not stop.is_set():\n        await asyncio.sleep(1)\n",
        "`child` may never end: it loops until `stop.is_set()` on line 10",
    ),
    "another": (
        "async def child():\n    await poll()\nasync def poll():\n    while True:\n        await asyncio.sleep(1)\n",
        "`child` may never end: `while True` on line 11 of `poll`",
    ),
    "a counter that may be passed by": (
        """
        async def child():
            tries = 0
            while tries < 3:
                await asyncio.sleep(1)
                if time.time() > 9:
                    tries += 1
        """,
        "`child` may never end: it loops while `tries < 3` on line 11",
    ),
    "a list that grows": (
        """
        async def child():
            waiting = [1]
            while waiting:
                waiting.append(waiting.pop())
                await asyncio.sleep(1)
        """,
        "`child` may never end: it loops while `waiting` on line 11",
    ),
    "a queue": (
        "queue = asyncio.Queue()\nasync def child():\n    await queue.get()\n",
        "`child` may never end: it waits for `queue.get` on line 10",
    ),
    "an event": (
        "async def child():\n    ready = asyncio.Event()\n    await ready.wait()\n",
        "`child` may never end: it waits for `ready.wait` on line 10",
    ),
    "a lock": (
        "lock = asyncio.Lock()\nasync def child():\n    await lock.acquire()\n",
        "`child` may never end: it waits for `lock.acquire` on line 10",
    ),
    "a lock that another may keep": (
        """
        lock = asyncio.Lock()
        async def child():
            async with lock:
                print(1)
        async def other():
            async with lock:
                while True:
                    await asyncio.sleep(1)
        """,
        "`child` may never end: it waits for `lock` on line 11",
    ),
    "a lock that is held by who waits": (
        """
        lock = asyncio.Lock()
        async def child():
            async with lock:
                print(1)
        async def other():
            async with lock:
                await host(1)
        """,
        "`child` may never end: it waits for `lock` on line 11",
    ),
    "a lock that is also acquired": (
        """
        lock = asyncio.Lock()
        async def child():
            async with lock:
                print(1)
        async def other():
            await lock.acquire()
        """,
        "`child` may never end: it waits for `lock` on line 11",
    ),
    "no time limit": (
        "queue = asyncio.Queue()\nasync def child():\n    await asyncio.wait_for(queue.get(), None)\n",
        "`child` may never end: it waits for `queue.get` on line 10",
    ),
    "a shield within a time limit": (
        """
        async def child():
            with anyio.move_on_after(1):
                with anyio.CancelScope(shield=True):
                    while True:
                        await asyncio.sleep(1)
        """,
        "`child` may never end: `while True` on line 12",
    ),
    "a time limit that may be None": (
        """
        queue = asyncio.Queue()
        async def child(limit: float = None):
            await asyncio.wait_for(queue.get(), limit)
        """,
        "`child` may never end: it waits for `queue.get` on line 11",
    ),
    "itself": (
        "async def child():\n    await child()\n",
        "`child` may never end: `child` calls itself on line 9",
    ),
    "a future": (
        "async def child():\n    waiter = asyncio.get_running_loop().create_future()\n    await waiter\n",
        "`child` may never end: it waits for `waiter` on line 10",
    ),
    "an iterator without end": (
        "async def child():\n    for number in itertools.count():\n        await asyncio.sleep(number)\n",
        "`child` may never end: `itertools.count` has no end on line 9",
    ),
    "a generator without end": (
        """
        def numbers():
            while True:
                yield 1
        async def child():
            for number in enumerate(numbers()):
                await asyncio.sleep(1)
        """,
        "`child` may never end: the generator `numbers` has `while True` on line 13",
    ),
    "a method that overrides": (
        """
        class Base:
            async def step(self):
                print("step")
        class Derived(Base):
            async def step(self):
                while True:
                    await asyncio.sleep(1)
        async def child():
            await Base().step()
        """,
        "`child` may never end: `while True` on line 14 of `step`",
    ),
    "a child of a group": (
        """
        async def child():
            async with asyncio.TaskGroup() as tg:
                tg.create_task(poll())
        async def poll():
            while True:
                await asyncio.sleep(1)
        """,
        "`child` may never end: `while True` on line 13 of `poll`",
    ),
    "a group that is passed on": (
        """
        async def child():
            async with asyncio.TaskGroup() as tg:
                print(tg)
        """,
        "`child` may never end: others may spawn into `tg` on line 10",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_child_that_plainly_ends(case: str) -> None:
    assert child_hazards(may_not_end, ENDS[case]) == ()


@pytest.mark.parametrize("case", STAYS)
def test_a_child_that_may_never_end(case: str) -> None:
    source, message = STAYS[case]
    assert child_hazards(may_not_end, source) == (Hazard("may-never-end", message),)


def test_async_for_may_never_end_and_is_not_known() -> None:
    found = child_hazards(may_not_end, "async def child():\n    async for each in feed():\n        print(each)\n")
    assert found == (
        Hazard("may-never-end", "`child` may never end: `async for` over `feed` on line 9"),
        Hazard("unresolved-callee", "what `feed` does is not known: awaited on line 9 of `child`"),
    )


UNKNOWN = {
    "an attribute of unknown class": ("self.client.run()", "async def unused(): pass", "self.client.run"),
    "a parameter": ("value", "", "value"),
    "a name bound twice": (
        "child",
        "async def one(): pass\nasync def two(): pass",
        "child",
    ),
    "a decorated function": ("one()", "@retry\nasync def one(): pass", "one"),
    "a function that is defined twice": (
        "one()",
        "if time:\n    async def one(): pass\nelse:\n    async def one(): pass",
        "one",
    ),
    "a function that is assigned": ("one()", "async def one(): pass\none = retry(one)", "one"),
    "a generator": ("one()", "async def one():\n    yield 1", "one"),
    "another library": ("asyncio.open_connection('h', 1)", "", "asyncio.open_connection"),
    "an abstract method": (
        "Base().one()",
        "class Base:\n    async def one(self):\n        raise NotImplementedError",
        "...",
    ),
    "a method that an attribute hides": (
        "Base().one()",
        "class Base:\n    def __init__(self, one):\n        self.one = one\n    async def one(self): pass",
        "...",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("predicate", [may_not_end, may_be_cut, may_end_by_cancellation, may_outlive_cancellation])
def test_what_is_not_known_is_the_same_hazard_for_all(case: str, predicate: Predicate) -> None:
    spawned, definitions, said = UNKNOWN[case]
    binding = "    child = one()\n    child = two()\n" if spawned == "child" else ""
    source = f"{definitions}\nasync def host(value, self):\n{binding}    asyncio.create_task({spawned})\n"
    (hazard,) = predicate(*child_of(study_of(source)))
    assert hazard.name == "unresolved-callee"
    assert said == "..." or hazard.message == f"what `{said}` does is not known"


CLEAN = {
    "nothing is awaited": "try:\n    await asyncio.sleep(1)\nfinally:\n    print(1)",
    "it does not suspend": "try:\n    await asyncio.sleep(1)\nfinally:\n    await note()",
    "it is shielded": (
        "try:\n    await asyncio.sleep(1)\nfinally:\n"
        "    with anyio.CancelScope(shield=True):\n        await asyncio.sleep(1)"
    ),
    "it is shielded for some time": (
        "try:\n    await asyncio.sleep(1)\n"
        "finally:\n    with anyio.move_on_after(1, shield=True):\n        await asyncio.sleep(1)"
    ),
    "other errors": "try:\n    await asyncio.sleep(1)\nexcept Exception:\n    await asyncio.sleep(1)",
    "a lock": "async with asyncio.Lock():\n    await asyncio.sleep(1)",
    "a time limit": "async with asyncio.timeout(3):\n    await asyncio.sleep(1)",
    "a group": "async with asyncio.TaskGroup() as tg:\n    tg.create_task(asyncio.sleep(1))",
    "a context manager that does not wait": "async with Quiet():\n    await asyncio.sleep(1)",
}
CUT = {
    "finally": ("try:\n    await asyncio.sleep(1)\nfinally:\n    await asyncio.sleep(1)", "in `finally` on line 12"),
    "except": (
        "try:\n    await asyncio.sleep(1)\nexcept asyncio.CancelledError:\n    await asyncio.sleep(1)\n    raise",
        "in `except` on line 12",
    ),
    "bare": (
        "try:\n    await asyncio.sleep(1)\nexcept:\n    await asyncio.sleep(1)\n    raise",
        "in `except` on line 12",
    ),
    "base": (
        "try:\n    await asyncio.sleep(1)\nexcept BaseException:\n    await asyncio.sleep(1)\n    raise",
        "in `except` on line 12",
    ),
    "of AnyIO": (
        "try:\n    await anyio.sleep(1)\nexcept anyio.get_cancelled_exc_class():\n    await anyio.sleep(1)\n    raise",
        "in `except` on line 12",
    ),
    "a context manager": ("async with Slow():\n    await asyncio.sleep(1)", "in `__aexit__`"),
    "a generator": ("async with slow():\n    await asyncio.sleep(1)", "in `finally`"),
    "what it calls": ("await slowly()", "in `finally`"),
}
CLEANING = """
    async def note():
        print(1)
    class Quiet:
        async def __aenter__(self): pass
        async def __aexit__(self, *error): print(error)
    class Slow:
        async def __aenter__(self): pass
        async def __aexit__(self, *error):
            await asyncio.sleep(1)
    @contextlib.asynccontextmanager
    async def slow():
        try:
            yield
        finally:
            await asyncio.sleep(1)
    async def slowly():
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)
"""


def cleaning(body: str) -> str:
    return f"async def child():\n{indent(body, '    ')}\n{dedent(CLEANING)}"


@pytest.mark.parametrize("case", CLEAN)
def test_clean_up_that_is_not_cut(case: str) -> None:
    assert child_hazards(may_be_cut, cleaning(CLEAN[case])) == ()


@pytest.mark.parametrize("case", CUT)
def test_clean_up_that_is_cut(case: str) -> None:
    body, where = CUT[case]
    (hazard,) = child_hazards(may_be_cut, cleaning(body))
    assert hazard.name == "cleanup-is-cut"
    assert hazard.message.startswith("a cancellation of `child` cuts what it awaits")
    assert where in hazard.message or where == "in `__aexit__`"
    assert child_hazards(may_be_cut, cleaning(body), environment=Environment(Target.ASYNCIO)) == ()


def test_the_statements_that_clean_up_are_given_with_their_file() -> None:
    source = """
        from other import work
        async def child():
            try:
                await work()
            finally:
                print(1)
                await asyncio.sleep(1)
        async def host(value):
            asyncio.create_task(child())
    """
    other = """
        async def work():
            asyncio.create_task(asyncio.sleep(0))
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                raise
    """
    other_one, own = cleanups(*child_of(study_of(source, other=other)))
    assert (own.what, own.function.name, own.is_here) == ("finally", "child", True)
    assert (own.first.line, own.last.line) == (14, 15)
    assert (other_one.what, other_one.function.name, other_one.is_here) == ("except", "work", False)


FOREIGN = {
    "raises": "async def child():\n    raise asyncio.CancelledError",
    "raises an instance": "async def child():\n    raise asyncio.CancelledError('why')",
    "cancels itself": "async def child():\n    asyncio.current_task().cancel()\n    await asyncio.sleep(1)",
    "cancels itself by name": "async def child():\n    me = asyncio.current_task()\n    me.cancel()\n",
    "its task is stored": (
        "class Owner:\n    async def run(self):\n        self.task = asyncio.current_task()\n"
        "async def child():\n    await Owner().run()"
    ),
    "its task is passed on": "async def child():\n    me = asyncio.current_task()\n    print(me)",
    "a future": "async def child():\n    future = asyncio.Future()\n    await future",
    "a task of another function": (
        "class Owner:\n    def __init__(self):\n        self.task = asyncio.create_task(asyncio.sleep(1))\n"
        "    async def wait(self):\n        await self.task\nasync def child():\n    await Owner().wait()"
    ),
    "a task that it cancels": (
        "async def child():\n    task = asyncio.create_task(asyncio.sleep(1))\n    task.cancel()\n    await task"
    ),
}
ITS_OWN = {
    "raises again": (
        "async def child():\n    try:\n        await asyncio.sleep(1)\n"
        "    except asyncio.CancelledError:\n        raise"
    ),
    "a task of its own": "async def child():\n    task = asyncio.create_task(asyncio.sleep(1))\n    await task",
    "a task that it cancels, and catches": (
        "async def child():\n    task = asyncio.create_task(asyncio.sleep(1))\n    task.cancel()\n"
        "    try:\n        await task\n    except asyncio.CancelledError:\n        pass"
    ),
    "its task is asked for its name": (
        "async def child():\n    me = asyncio.current_task()\n    if me:\n        print(me.get_name())\n"
        "    print(asyncio.current_task().get_name())"
    ),
    "suppressed": (
        "async def child():\n    future = asyncio.Future()\n    with contextlib.suppress(asyncio.CancelledError):\n"
        "        await future"
    ),
    "another error": "async def child():\n    raise ValueError",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_child_that_may_end_by_a_cancellation_of_others(case: str) -> None:
    (hazard,) = child_hazards(may_end_by_cancellation, FOREIGN[case])
    assert hazard.name == "foreign-cancellation"


@pytest.mark.parametrize("case", ITS_OWN)
def test_a_child_that_ends_by_cancellations_of_its_own_alone(case: str) -> None:
    assert child_hazards(may_end_by_cancellation, ITS_OWN[case]) == ()


SWALLOWING = {
    "a loop": (
        "async def child():\n    for each in range(3):\n        try:\n            await asyncio.sleep(1)\n"
        "        except asyncio.CancelledError:\n            pass"
    ),
    "suppress in a loop": (
        "async def child():\n    for each in range(3):\n        with contextlib.suppress(asyncio.CancelledError):\n"
        "            await asyncio.sleep(1)"
    ),
    "it goes on": (
        "async def child():\n    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        pass\n"
        "    await asyncio.sleep(1)"
    ),
    "who calls goes on": (
        "async def child():\n    await quiet()\n    await asyncio.sleep(1)\n"
        "async def quiet():\n    try:\n        await asyncio.sleep(1)\n    except:\n        return"
    ),
}
ENDING = {
    "raised again": (
        "async def child():\n    for each in range(3):\n        try:\n            await asyncio.sleep(1)\n"
        "        except asyncio.CancelledError:\n            print(1)\n            raise"
    ),
    "it returns": (
        "async def child():\n    for each in range(3):\n        try:\n            await asyncio.sleep(1)\n"
        "        except asyncio.CancelledError:\n            return"
    ),
    "it leaves the loop": (
        "async def child():\n    for each in range(3):\n        try:\n            await asyncio.sleep(1)\n"
        "        except asyncio.CancelledError:\n            break"
    ),
    "it is the last": (
        "async def child():\n    with contextlib.suppress(asyncio.CancelledError):\n        await asyncio.sleep(1)"
    ),
    "errors alone": (
        "async def child():\n    for each in range(3):\n        try:\n            await asyncio.sleep(1)\n"
        "        except Exception:\n            pass"
    ),
    "who calls ends": (
        "async def child():\n    await asyncio.sleep(1)\n    await quiet()\n"
        "async def quiet():\n    try:\n        await asyncio.sleep(1)\n    except:\n        return"
    ),
}


@pytest.mark.parametrize("case", SWALLOWING)
def test_a_child_that_outlives_its_cancellation(case: str) -> None:
    (hazard,) = child_hazards(may_outlive_cancellation, SWALLOWING[case])
    assert hazard.name == "swallows-cancellation"


@pytest.mark.parametrize("case", ENDING)
def test_a_child_that_ends_when_it_is_cancelled(case: str) -> None:
    assert child_hazards(may_outlive_cancellation, ENDING[case]) == ()


FAILING_CLEANUPS = {
    "finally": "async def child():\n    try:\n        await asyncio.sleep(2)\n    finally:\n        raise OSError('x')",
    "handler": (
        "async def child():\n    try:\n        await asyncio.sleep(2)\n"
        "    except asyncio.CancelledError:\n        raise OSError('x')"
    ),
    "in what it awaits": (
        "async def child():\n    await inner()\n"
        "async def inner():\n    try:\n        await asyncio.sleep(2)\n    except:\n        raise OSError('x')"
    ),
}
QUIET_CLEANUPS = {
    "raised again": (
        "async def child():\n    try:\n        await asyncio.sleep(2)\n"
        "    except asyncio.CancelledError:\n        print('x')\n        raise"
    ),
    "other errors": (
        "async def child():\n    try:\n        await asyncio.sleep(2)\n"
        "    except ValueError:\n        raise OSError('x')"
    ),
    "harmless": "async def child():\n    try:\n        await asyncio.sleep(2)\n    finally:\n        print('x')",
}


@pytest.mark.parametrize("case", FAILING_CLEANUPS)
def test_a_child_that_raises_while_it_is_cancelled(case: str) -> None:
    assert names(child_hazards(may_fail_when_cancelled, FAILING_CLEANUPS[case])) == ["raises-in-cleanup"]


@pytest.mark.parametrize("case", QUIET_CLEANUPS)
def test_a_child_that_cleans_up_without_an_error(case: str) -> None:
    assert child_hazards(may_fail_when_cancelled, QUIET_CLEANUPS[case]) == ()


@pytest.mark.parametrize("last", ["sys.exit(3)", "raise SystemExit", "await inner()"])
def test_a_child_that_ends_the_program(last: str) -> None:
    inner = "async def inner():\n    await asyncio.sleep(1)\n    exit()\n"
    found = child_hazards(may_exit, f"{inner}async def child():\n    await asyncio.sleep(1)\n    {last}")
    assert names(found) == ["exit-inside"]


@pytest.mark.parametrize("last", ["await asyncio.sleep(1)", "raise OSError", "asyncio.create_task(inner())"])
def test_a_child_that_does_not_end_the_program(last: str) -> None:
    inner = "async def inner():\n    await asyncio.sleep(1)\n    exit()\n"
    assert child_hazards(may_exit, f"{inner}async def child():\n    await asyncio.sleep(1)\n    {last}") == ()


def ends(coroutine: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    return () if never_ends(coroutine, function, study) else (Hazard("ends", ""),)


@pytest.mark.parametrize("last", ["pass", "await asyncio.sleep(1)", "raise OSError"])
def test_a_child_that_plainly_never_ends(last: str) -> None:
    assert child_hazards(ends, f"async def child():\n    while True:\n        {last}") == ()


@pytest.mark.parametrize("last", ["break", "return", "if await ask():\n            return"])
def test_a_child_that_may_end(last: str) -> None:
    assert child_hazards(ends, f"async def child():\n    while True:\n        {last}")


# -- handlers ----------------------------------------------------------------------------------------------------------

FAILING = "async def work():\n    raise ValueError\n"
HANDLERS = {
    "in the function": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except ValueError:\n        pass",
        "`except ValueError` on line 14 of `host` would not catch it any more",
    ),
    "in a caller": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    try:\n        await host()\n    except (KeyError, ValueError):\n        pass",
        "`except (KeyError, ValueError)` on line 15 of `main` would not catch it any more",
    ),
    "in a caller of a caller": (
        FAILING + "async def host():\n    asyncio.create_task(work())\nasync def middle():\n    await host()\n"
        "def main():\n    try:\n        asyncio.run(middle())\n    except ValueError:\n        pass",
        "`except ValueError` on line 17 of `main` would not catch it any more",
    ),
    "of a base": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    try:\n        await host()\n    except ArithmeticError:\n        pass\n"
        "    try:\n        await host()\n    except ValueError:\n        pass",
        "`except ValueError` on line 19 of `main` would not catch it any more",
    ),
    "of what is not known": (
        (
            "from library import work\nasync def host():\n    try:\n        # group\n"
            "        asyncio.create_task(work())\n"
            "    except OSError:\n        pass"
        ),
        "`except OSError` on line 13 of `host` would not catch it any more",
    ),
    "that uses the error": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except Exception as error:\n        return error.args",
        "`except Exception` on line 14 of `host` would get an ExceptionGroup",
    ),
    "that prints the error": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except Exception as error:\n        print(f'failed: {error}')",
        "`except Exception` on line 14 of `host` would get an ExceptionGroup",
    ),
    "that says the error in another": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except Exception as error:\n        raise OSError(str(error)) from error",
        "`except Exception` on line 14 of `host` would get an ExceptionGroup",
    ),
    "that catches groups": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except ExceptionGroup:\n        pass",
        "`except ExceptionGroup` on line 14 of `host` would catch it",
    ),
    "suppress": (
        FAILING + "async def host():\n    with contextlib.suppress(ValueError):\n        # group\n"
        "        asyncio.create_task(work())\n",
        "`contextlib.suppress` on line 11 of `host` would not see it any more",
    ),
    "a context manager of a library": (
        "import library\n" + FAILING + "async def host():\n    async with library.Session():\n        # group\n"
        "        asyncio.create_task(work())\n",
        "`library.Session` on line 12 of `host` may look at its type",
    ),
    "a context manager of the program": (
        FAILING
        + "@contextlib.contextmanager\ndef safe():\n    try:\n        yield\n    except ValueError:\n        pass\n"
        "async def host():\n    with safe():\n        # group\n        asyncio.create_task(work())\n",
        "`safe` on line 17 of `host` looks at its type",
    ),
    "an `__exit__` of the program": (
        FAILING + "class Safe:\n    def __enter__(self): pass\n    def __exit__(self, kind, error, trace):\n"
        "        return kind is not None and issubclass(kind, ValueError)\n"
        "async def host():\n    with Safe():\n        # group\n        asyncio.create_task(work())\n",
        "`Safe` on line 15 of `host` looks at its type",
    ),
    "a decorator": (
        FAILING + "@retry(ValueError)\nasync def host():\n    asyncio.create_task(work())\n",
        "`@retry` on line 11 of `host` may look at its type",
    ),
    "errors of the block itself": (
        (
            "async def host(stock):\n    try:\n        # group\n        asyncio.create_task(asyncio.sleep(1))\n"
            "        return stock['a']\n    except KeyError:\n        return None"
        ),
        "`except KeyError` on line 13 of `host` would not catch it any more",
    ),
    "a time limit": (
        (
            "async def host():\n    try:\n        # group\n"
            "        asyncio.create_task(asyncio.wait_for(asyncio.sleep(1), 3))\n"
            "    except asyncio.TimeoutError:\n        return None"
        ),
        "`except asyncio.TimeoutError` on line 12 of `host` would not catch it any more",
    ),
    "raised again": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except Exception:\n        logging.info('failed')\n        raise\n"
        "async def main():\n    try:\n        await host()\n    except ValueError:\n        pass",
        "`except ValueError` on line 20 of `main` would not catch it any more",
    ),
    "a call through a base class": (
        FAILING + "class Base:\n    async def host(self): pass\nclass Derived(Base):\n    async def host(self):\n"
        "        asyncio.create_task(work())\n"
        "async def main(base: Base):\n    try:\n        await base.host()\n    except ValueError:\n        pass",
        "`except ValueError` on line 18 of `main` would not catch it any more",
    ),
    "a call by a protocol": (
        FAILING + "from typing import Protocol\nclass Like(Protocol):\n    async def host(self): ...\n"
        "class It:\n    async def host(self):\n        asyncio.create_task(work())\n"
        "async def main(like: Like):\n    try:\n        await like.host()\n    except ValueError:\n        pass",
        "`except ValueError` on line 19 of `main` would not catch it any more",
    ),
    "a call of what was stored": (
        FAILING + "async def host():\n    asyncio.create_task(work())\nroutes = {'/': host}\n"
        "async def main():\n    try:\n        await routes['/']()\n    except ValueError:\n        pass",
        "`except ValueError` on line 16 of `main` may be around it",
    ),
    "a call of what was passed": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def run(function):\n    try:\n        await function()\n    except ValueError:\n        pass\n"
        "async def main():\n    await run(host)",
        "`except ValueError` on line 15 of `run` would not catch it any more",
    ),
    "a call that is passed on": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    pending = host()\n    try:\n        await asyncio.gather(pending)\n"
        "    except ValueError:\n        pass",
        "`except ValueError` on line 16 of `main` would not catch it any more",
    ),
    "by a constant": (
        FAILING + "ERRORS = (KeyError,) + (ValueError,)\nasync def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except ERRORS:\n        pass",
        "`except ERRORS` on line 15 of `host` would not catch it any more",
    ),
    "by another name": (
        FAILING + "Wrong = ValueError\nasync def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except Wrong:\n        pass",
        "`except Wrong` on line 15 of `host` would not catch it any more",
    ),
    "by an attribute of a class": (
        FAILING + "class Base:\n    ERRORS = (ValueError,)\nclass Api(Base): pass\n"
        "async def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except Api.ERRORS:\n        pass",
        "`except Api.ERRORS` on line 17 of `host` would not catch it any more",
    ),
    "by what is not known": (
        FAILING + "async def host(errors):\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except errors:\n        pass",
        "`except errors` on line 14 of `host` would not catch it any more",
    ),
    "by a constant that changes": (
        FAILING + "ERRORS = (KeyError,)\nERRORS += (ValueError,)\nasync def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except ERRORS:\n        pass",
        "`except ERRORS` on line 16 of `host` would not catch it any more",
    ),
    "by a constant for any error": (
        FAILING + "ERRORS = Exception\nasync def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except ERRORS as error:\n        return error.args",
        "`except ERRORS` on line 15 of `host` would get an ExceptionGroup",
    ),
    "beside a class of a library": (
        "import library\n" + FAILING + "async def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except (library.Error, ValueError):\n        pass",
        "`except (library.Error, ValueError)` on line 15 of `host` would not catch it any more",
    ),
    "an error of a library": (
        (
            "import library\nasync def work():\n    raise library.Error\nasync def host():\n    try:\n        # group\n"
            "        asyncio.create_task(work())\n    except OSError:\n        pass"
        ),
        "`except OSError` on line 15 of `host` would not catch it any more",
    ),
    "an error with a base of its own": (
        (
            "import json\nasync def work():\n    raise json.JSONDecodeError('', '', 0)\nasync def host():\n    try:\n"
            "        # group\n        asyncio.create_task(work())\n    except ValueError:\n        pass"
        ),
        "`except ValueError` on line 15 of `host` would not catch it any more",
    ),
    "not kept in by an unknown clause": (
        (
            "from library import ERRORS\nasync def work():\n    try:\n        raise KeyError\n"
            "    except ERRORS:\n        pass\nasync def host():\n    try:\n        # group\n"
            "        asyncio.create_task(work())\n    except KeyError:\n        pass"
        ),
        "`except KeyError` on line 18 of `host` would not catch it any more",
    ),
    "asked for": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    task = asyncio.create_task(host())\n    await asyncio.wait({task})\n"
        "    return isinstance(task.exception(), ValueError)",
        "`task.exception()` on line 15 of `main` would give an `ExceptionGroup`",
    ),
    "asked for in a callback": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "def ended(task):\n    if type(task.exception()) is ValueError:\n        print('wrong')\n"
        "async def main():\n    task = asyncio.create_task(host())\n    task.add_done_callback(ended)\n"
        "    await asyncio.wait({task})",
        "`task.exception()` on line 13 of `ended` would give an `ExceptionGroup`",
    ),
    "among results": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    first, second = await asyncio.gather(host(), work(), return_exceptions=True)\n"
        "    if isinstance(first, ValueError):\n        print('wrong')",
        "`asyncio.gather` on line 13 of `main` would give an `ExceptionGroup`",
    ),
    "results that are passed on": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    return await asyncio.gather(host(), return_exceptions=True)",
        "`asyncio.gather` on line 13 of `main` would give an `ExceptionGroup`",
    ),
    "errors that are passed on": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main(tell):\n    for each in await asyncio.gather(host(), return_exceptions=True):\n"
        "        if isinstance(each, Exception):\n            tell(each)",
        "`asyncio.gather` on line 13 of `main` would give an `ExceptionGroup`",
    ),
    "where the task is kept": (
        FAILING + "class Service:\n    def start(self):\n        self.task = asyncio.create_task(self.host())\n"
        "    async def host(self):\n        asyncio.create_task(work())\n"
        "    async def stop(self):\n        try:\n            await self.task\n"
        "        except ValueError:\n            pass",
        "`except ValueError` on line 18 of `stop` would not catch it any more",
    ),
}
NO_HANDLERS = {
    "raised by its name": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except Exception as error:\n        raise error"
    ),
    "nothing fails": (
        "async def host():\n    try:\n        # group\n"
        "        asyncio.create_task(asyncio.sleep(1))\n        print(1)\n"
        "        await asyncio.sleep(1)\n    except ValueError:\n        pass"
    ),
    "it is broad": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except asyncio.CancelledError:\n        raise\n"
        "    except Exception as error:\n        logging.exception('failed: %s', error)\n"
        "        raise OSError from error\n"
        "async def main():\n    try:\n        await host()\n    except ValueError:\n        pass"
    ),
    "another error": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except KeyError:\n        pass"
    ),
    "handled within the task": (
        "async def work():\n    try:\n        raise ValueError\n    except ValueError:\n        pass\n"
        "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except ValueError:\n        pass"
    ),
    "it is not around": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    try:\n        print(1)\n    except ValueError:\n        await host()"
    ),
    "the error comes out nowhere": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    try:\n        asyncio.create_task(host())\n    except ValueError:\n        pass"
    ),
    "what is called is something else": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def run(function):\n    try:\n        await function()\n    except ValueError:\n        pass\n"
        "async def main():\n    await host()"
    ),
    "known context managers": (
        FAILING + "lock = asyncio.Lock()\nasync def host():\n    async with lock, asyncio.timeout(3):\n"
        "        with open('x') as file, contextlib.suppress(Exception):\n            # group\n"
        "            asyncio.create_task(work())\n"
    ),
    "an `__exit__` that looks away": (
        FAILING + "class Safe:\n    def __enter__(self): pass\n    def __exit__(self, kind, error, trace):\n"
        "        if kind is None:\n            print(1)\n"
        "async def host():\n    with Safe():\n        # group\n        asyncio.create_task(work())\n"
    ),
    "it catches groups": (
        FAILING + "async def host():\n    try:\n        # group\n        asyncio.create_task(work())\n"
        "    except* ValueError:\n        pass"
    ),
    "a constant of others": (
        FAILING + "ERRORS = (KeyError, IndexError)\nasync def host():\n    try:\n        # group\n"
        "        asyncio.create_task(work())\n    except ERRORS:\n        pass"
    ),
    "the error is only logged": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    task = asyncio.create_task(host())\n    await asyncio.wait({task})\n"
        "    if (error := task.exception()) is not None:\n        logging.error('failed: %s', error)"
    ),
    "the error of another task": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    task = asyncio.create_task(host())\n    other = asyncio.create_task(work())\n"
        "    await asyncio.wait({task, other})\n    return isinstance(other.exception(), ValueError)"
    ),
    "results that are told from errors": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main(use):\n    results = await asyncio.gather(host(), return_exceptions=True)\n"
        "    failed = [each for each in results if isinstance(each, BaseException)]\n"
        "    for each in results:\n        if isinstance(each, KeyError):\n            print(each)\n"
        "        if not isinstance(each, Exception):\n            use(each)\n    return len(failed)"
    ),
    "results of others": (
        FAILING + "async def host():\n    asyncio.create_task(work())\n"
        "async def main():\n    first, second = await asyncio.gather(host(), work(), return_exceptions=True)\n"
        "    return second"
    ),
    "a decorator that catches nothing": FAILING
    + "class A:\n    @classmethod\n    async def host(cls):\n        asyncio.create_task(work())\n",
}


def clauses(source: str, environment: Environment = DEFAULT, **others: str) -> tuple[str, ...]:
    study = study_of(source, environment, **others)
    block, function = block_of(study)
    children = [child for spawn in spawns_in(block, function, study) if (child := spawn.spawned_call) is not None]
    return clauses_that_miss(block, children, function, study)


@pytest.mark.parametrize("case", HANDLERS)
def test_handlers_that_would_miss(case: str) -> None:
    source, said = HANDLERS[case]
    assert clauses(source) == (said,)


@pytest.mark.parametrize("case", NO_HANDLERS)
def test_handlers_that_do_not_miss(case: str) -> None:
    assert clauses(NO_HANDLERS[case]) == ()


def test_suppress_looks_into_groups_since_312() -> None:
    source = HANDLERS["suppress"][0]
    assert clauses(source, Environment(python=(3, 12))) == ()
    assert clauses(source, Environment(python=(3, 11))) != ()


def test_a_handler_in_another_file_is_named_with_it() -> None:
    caller = """
        import app
        async def main():
            asyncio.create_task(asyncio.sleep(1))
            try:
                await app.host()
            except ValueError:
                pass
    """
    found = clauses(FAILING + "async def host():\n    asyncio.create_task(work())\n", other=caller)
    assert found == ("`except ValueError` on line 14 of `main` in other.py would not catch it any more",)


def test_many_handlers_are_one_hazard() -> None:
    one = "    try:\n        await host()\n    except ValueError:\n        pass\n"
    study = study_of(FAILING + "async def host():\n    asyncio.create_task(work())\nasync def main():\n" + one * 5)
    block, function = block_of(study)
    call, _ = spawn_of(study)
    (hazard,) = handlers_that_miss(block, call.args, function, study)
    assert hazard.name == "handler-stops-matching"
    assert len(re.findall("except ValueError", hazard.message)) == 3
    assert hazard.message.endswith("; 2 more")


USELESS = {
    "that catches nothing else": ("", "except ValueError:", True),
    "by a constant": ("", "except WRONG:", True),
    "with a use of its own": (
        "        if len(sys.argv) > 3:\n            raise ValueError\n",
        "except ValueError:",
        False,
    ),
    "around what is not known": ("        library.load()\n", "except ValueError:", False),
    "of a library": ("", "except (library.Error, ValueError):", True),
    "for any error": ("", "except Exception as error:", False),
    "of another error": ("", "except KeyError:", None),
}


@pytest.mark.parametrize("case", USELESS)
def test_handlers_that_could_never_match_again(case: str) -> None:
    before, clause, blocks = USELESS[case]
    study = study_of(
        "import library\nWRONG = (ValueError,)\n" + FAILING + f"async def host():\n    try:\n{before}"
        f"        asyncio.create_task(work())\n    {clause}\n        print('wrong', error.args)"
    )
    call, function = spawn_of(study)
    block = path_to(call.span, function.body)[-1].block[-1:]
    found = handlers_that_miss(block, call.args, function, study)
    assert [hazard.blocks for hazard in found] == ([] if blocks is None else [blocks])
    assert set(names(found)) <= {"handler-stops-matching"}


JOINED = {
    "the error": ("work()", "try:\n        await task\n    except ValueError:\n        pass", True),
    "any error": ("work()", "try:\n        await task\n    except Exception:\n        pass", True),
    "suppressed": ("work()", "with contextlib.suppress(ValueError):\n        await task", True),
    "its cancellation": ("work()", "try:\n        await task\n    except asyncio.CancelledError:\n        pass", False),
    "nothing fails": ("asyncio.sleep(1)", "try:\n        await task\n    except Exception:\n        pass", None),
    "another error": ("work()", "try:\n        await task\n    except KeyError:\n        pass", None),
    "no handler": ("work()", "try:\n        await task\n    finally:\n        pass", None),
}


@pytest.mark.parametrize("case", JOINED)
def test_handlers_around_joins(case: str) -> None:
    spawned, body, blocks = JOINED[case]
    study = study_of(f"{FAILING}async def host():\n    task = asyncio.create_task({spawned})\n    {body}\n")
    block, function = block_of(study)
    call, _ = spawn_of(study)
    joins = [node for node in walk(block, code.Await) if isinstance(node.value, code.Name)]
    found = handlers_around_joins(joins, block, call.args, function, study)
    assert [hazard.blocks for hazard in found] == ([] if blocks is None else [blocks])
    assert set(names(found)) <= {"handler-around-join"}


# -- regions -----------------------------------------------------------------------------------------------------------


def region(source: str, environment: Environment = DEFAULT) -> tuple[Hazard, ...]:
    study = study_of(source, environment)
    return unsuitable(*block_of(study), study)


SLEEP = "asyncio.create_task(asyncio.sleep(1))"
WORK = "asyncio.create_task(work())"
REGIONS: dict[str, tuple[str, str]] = {
    "yield-inside": (f"async def host():\n    {SLEEP}\n    yield 1", f"async def host():\n    yield 1\n    {SLEEP}"),
    "not-a-coroutine-function": (f"def host():\n    {SLEEP}", f"async def host():\n    {SLEEP}"),
    "stops-iteration": (
        f"async def host():\n    {SLEEP}\n    raise StopAsyncIteration",
        (
            f"async def host():\n    {SLEEP}\n    try:\n        raise StopAsyncIteration\n"
            "    except StopAsyncIteration:\n        pass"
        ),
    ),
    "raise-inside": (
        f"async def host():\n    {SLEEP}\n    raise ValueError",
        (
            f"async def host():\n    {SLEEP}\n    try:\n        raise ValueError\n"
            f"    except ValueError:\n        pass\n"
            "    raise asyncio.CancelledError"
        ),
    ),
    "exit-inside": (
        f"def leave():\n    sys.exit(3)\nasync def host():\n    {SLEEP}\n    leave()",
        f"def leave():\n    sys.exit(3)\nasync def host():\n    leave()\n    {SLEEP}",
    ),
    "resource-order": (
        f"lock = asyncio.Lock()\nasync def host():\n    async with lock:\n        # group\n        {SLEEP}",
        (
            "lock = asyncio.Lock()\nasync def host():\n    async with lock:\n        # group\n"
            f"        task = {SLEEP}\n        await task"
        ),
    ),
    "time-limit": (
        f"async def host():\n    async with asyncio.timeout(3):\n        # group\n        {SLEEP}",
        (
            f"async def host():\n    async with asyncio.timeout(3):\n        # group\n        task = {SLEEP}\n"
            "        await task"
        ),
    ),
    "host-cleanup-is-cut": (
        (
            f"{FAILING}async def host():\n    {WORK}\n    try:\n        await asyncio.sleep(1)\n"
            "    finally:\n        await asyncio.sleep(1)"
        ),
        (
            f"async def host():\n    {SLEEP}\n    try:\n        await asyncio.sleep(1)\n"
            "    finally:\n        await asyncio.sleep(1)"
        ),
    ),
    "catches-group-cancellation": (
        (
            f"{FAILING}async def host():\n    {WORK}\n    try:\n        await asyncio.sleep(1)\n"
            "    except BaseException:\n        pass"
        ),
        (
            f"{FAILING}async def host():\n    {WORK}\n    try:\n        await asyncio.sleep(1)\n"
            "    except Exception:\n        pass"
        ),
    ),
    "unresolved-callee": (
        f"from library import fetch\n{FAILING}async def host():\n    {WORK}\n    await fetch()",
        f"from library import fetch\nasync def host():\n    {SLEEP}\n    await fetch()",
    ),
    "failure-ends-loop": (
        f"{FAILING}async def host():\n    while True:\n        {WORK}\n        await asyncio.sleep(1)",
        f"{FAILING}async def host():\n    for each in range(3):\n        {WORK}\n        await asyncio.sleep(1)",
    ),
    "native-cancel": (
        f"async def host():\n    task = {SLEEP}\n    task.cancel()\n    await asyncio.sleep(1)",
        f"async def host(other):\n    task = {SLEEP}\n    other.cancel()\n    await task",
    ),
    "task-factory": (
        f"def start(loop):\n    loop.set_task_factory(asyncio.eager_task_factory)\nasync def host():\n    {SLEEP}",
        f"def start(loop):\n    loop.set_exception_handler(None)\nasync def host():\n    {SLEEP}",
    ),
    "cancels-all-tasks": (
        (
            "def stop():\n    for task in asyncio.all_tasks():\n        task.cancel()\n"
            f"async def host():\n    {SLEEP}\n    stop()"
        ),
        f"def stop():\n    for task in asyncio.all_tasks():\n        task.cancel()\nasync def host():\n    {SLEEP}",
    ),
}
BLOCKING = {"yield-inside", "not-a-coroutine-function", "stops-iteration", "module-level"}
OF_ANYIO_ALONE = {"exit-inside", "native-cancel", "task-factory", "cancels-all-tasks"}


@pytest.mark.parametrize("name", REGIONS)
def test_what_a_group_should_not_be_around(name: str) -> None:
    found = region(REGIONS[name][0])
    assert names(found) == [name]
    assert found[0].blocks == (name in BLOCKING)


@pytest.mark.parametrize("name", REGIONS)
def test_what_a_group_may_be_around(name: str) -> None:
    assert name not in names(region(REGIONS[name][1]))


@pytest.mark.parametrize("name", sorted(OF_ANYIO_ALONE))
def test_what_a_group_of_asyncio_does_not_mind(name: str) -> None:
    assert name not in names(region(REGIONS[name][0], Environment(Target.ASYNCIO)))


def test_yield_in_a_context_manager_does_not_block() -> None:
    source = f"@contextlib.asynccontextmanager\nasync def host():\n    {SLEEP}\n    yield 1"
    (hazard,) = region(source)
    assert (hazard.name, hazard.blocks) == ("yield-inside", False)


def test_a_resource_that_is_closed_before_the_group_waits() -> None:
    source = "async def work(file): pass\nasync def host():\n    with open('x') as file:\n        {}\n    print(1)"
    (hazard,) = region(source.format("asyncio.create_task(work(file))"))
    assert hazard.name == "resource-order"
    assert "`work` uses `file`" in hazard.message
    assert region(source.format("task = asyncio.create_task(work(file))\n        await task")) == ()
    assert region(source.format("asyncio.create_task(work(1))")) == ()


SIBLING = f"        task = {SLEEP}\n"
LEFT = "        await asyncio.sleep(1)\n        if value:\n            return\n        await task\n"


@pytest.mark.parametrize(
    ("around", "end", "said"),
    [
        ("try:", "    finally:\n        print(1)", "the `finally` of line 9 would run only when the tasks have ended"),
        ("with open('x'):", "", "`open`, entered on line 9, would be left only when the tasks have ended"),
        ("async with asyncio.timeout(3):", "", "`asyncio.timeout` on line 9 would hold for the tasks, too"),
    ],
)
def test_a_function_that_is_left_early_within_what_cleans_up(around: str, end: str, said: str) -> None:
    source = f"async def host(value):\n    {around}\n        # group\n{SIBLING}{{}}{end}"
    assert [hazard.message for hazard in region(source.format(LEFT))] == [said]
    assert region(source.format("        await task\n")) == ()


def test_what_a_task_raises_that_is_not_in_the_group() -> None:
    study = study_of(
        FAILING + "async def host():\n    first = asyncio.create_task(work())\n"
        "    second = asyncio.create_task(asyncio.sleep(1))\n    await first\n    await second\n"
        "async def main():\n    try:\n        await host()\n    except ValueError:\n        pass"
    )
    (host,) = (each for each in study.facts.functions if each.name == "host")
    first, second = (spawn.spawned_call for spawn in spawns_in(host.body, host, study))
    assert first is not None
    assert second is not None
    expected = ("`except ValueError` on line 18 of `main` would not catch it any more",)
    assert clauses_that_miss(host.body, [second], host, study) == expected
    assert clauses_that_miss(host.body, [first, second], host, study) == expected
    assert clauses_that_miss(host.body[1:2], [second], host, study) == ()


LIMITS = {
    "wait_for": "await asyncio.wait_for(host(), 4)",
    "within a gather": "await asyncio.wait_for(asyncio.gather(host(), other()), 4)",
    "a task": "task = asyncio.create_task(host())\n    await asyncio.wait_for(task, 4)",
    "timeout": "async with asyncio.timeout(4):\n        await host()",
    "fail_after": "with anyio.fail_after(4):\n        await host()",
    "of its own name": "limit = asyncio.timeout(4)\n    async with limit:\n        await host()",
}
NO_LIMITS = {
    "none": "await host()",
    "of another": "await asyncio.wait_for(other(), 4)\n    await host()",
    "a scope": "with anyio.CancelScope():\n        await host()",
    "left before": "async with asyncio.timeout(4):\n        await other()\n    await host()",
}
CALLED = (
    f"async def host():\n    {SLEEP}\nasync def other(): pass\nasync def main():\n    await middle()\n"
    "async def middle():\n    "
)


def limits(source: str) -> list[str]:
    study = study_of(CALLED + source)
    host = next(each for each in study.facts.functions if each.name == "host")
    return names(limited(host, study))


@pytest.mark.parametrize("case", LIMITS)
def test_a_caller_that_limits_the_time(case: str) -> None:
    assert limits(LIMITS[case]) == ["time-limit"]


@pytest.mark.parametrize("case", NO_LIMITS)
def test_a_caller_that_does_not_limit_the_time(case: str) -> None:
    assert limits(NO_LIMITS[case]) == []


def test_the_top_level_of_a_module_cannot_wait() -> None:
    study = study_of(f"{SLEEP}\n")
    module = study.facts.functions[0]
    (hazard,) = unsuitable(module.body, module, study)
    assert (hazard.name, hazard.blocks) == ("module-level", True)


# -- the table ---------------------------------------------------------------------------------------------------------


def hazards_in(path: Path) -> list[str]:
    """The names that a module gives to hazards: literals, or constants of modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hazard":
            first = node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "name")
            if isinstance(first, ast.Constant):
                found.append(str(first.value))
    return found


def test_every_hazard_is_explained_and_no_other() -> None:
    (package,) = leaklint.__path__
    modules = [path for path in sorted(Path(package).rglob("*.py")) if path != Path(hazards.__file__)]
    assert {name for path in modules for name in hazards_in(path)} - set(EXPLAINED) == set()
    texts = "".join(path.read_text(encoding="utf-8") for path in modules)
    assert [name for name in EXPLAINED if f'"{name}"' not in texts] == []
    for name, sentence in EXPLAINED.items():
        assert re.fullmatch("[a-z]+(-[a-z0-9]+)*", name)
        assert re.fullmatch(r"[A-Z`].*[^.]\.", sentence)
