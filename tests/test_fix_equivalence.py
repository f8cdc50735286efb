"""What fixes leave as it was, shown by running: generated programs before and after `leaklint fix`.

The comparison is in `generative.differences`, the programs are drawn in `generative.hosts`. That the comparison finds
what it is there for is shown on pairs written by hand: each is one way in which a task group changes a program, as
measured on AnyIO 4.16, or one of the changes that every fix is for (no difference then).
"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from dataclasses import dataclass

import pytest
from generative.differences import Kind
from generative.hosts import Program, programs
from generative.mending import Pair, best, mended, pair, safe
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from leaklint.fixing import Fixed
from leaklint.fixing.hazards import EXPLAINED
from leaklint.model.fix import Target

PRELUDE = """\
import asyncio
import contextlib
import sys

import anyio


async def fetch(name, seconds):
    print(name, "start")
    try:
        await asyncio.sleep(seconds)
    finally:
        print(name, "cleaned up")
    print(name, "end")
    return name


async def fails(name, seconds):
    print(name, "start")
    await asyncio.sleep(seconds)
    print(name, "fails")
    raise ValueError(name)


async def slow(name, seconds):
    print(name, "start")
    try:
        await asyncio.sleep(seconds)
    finally:
        print(name, "closing")
        await asyncio.sleep(1)
        print(name, "closed")


async def endless(name, seconds):
    while True:
        await asyncio.sleep(seconds)


async def foreign(name, seconds):
    print(name, "start")
    await asyncio.sleep(seconds)
    raise asyncio.CancelledError


async def angry(name, seconds):
    print(name, "start")
    try:
        await asyncio.sleep(seconds)
    finally:
        raise OSError(name)


async def stubborn(name, seconds):
    while True:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            print(name, "goes on")


async def keeping(results, place, coroutine):
    results[place] = await coroutine


async def settled(results, place, coroutine):
    try:
        results[place] = await coroutine
    except (Exception, asyncio.CancelledError) as error:
        results[place] = error


"""
MAIN = "async def main():\n    return await host()"
HANDLING = """\
async def main():
    try:
        return await host()
    except ValueError:
        print("main", "caught")
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A function before and after, by hand."""

    original: str
    rewritten: str
    spawned: tuple[str, ...]
    kinds: tuple[Kind, ...] = ()
    """What is different."""
    main: str = MAIN

    def pair(self) -> Pair:
        before, after = (
            f"{PRELUDE}async def host():\n{textwrap.indent(textwrap.dedent(body), '    ')}\n\n{self.main}\n"
            for body in (self.original, self.rewritten)
        )
        return Pair(before, after, self.spawned)


A, B = 'fetch("a", 1)', 'fetch("b", 2)'
FAILING = 'fails("a", 1)'

CASES = {
    # -- what every fix is for
    "a dropped task is waited for": Case(
        """
        asyncio.create_task(fetch("a", 1))
        print("host", "step")
        return 1
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
            print("host", "step")
            return 1
        """,
        (A,),
    ),
    "the error of a dropped task arrives": Case(
        """
        asyncio.create_task(fails("a", 1))
        await asyncio.sleep(1.5)
        print("host", "step")
        return 1
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "a", 1)
            await asyncio.sleep(1.5)
            print("host", "step")
            return 1
        """,
        (FAILING,),
    ),
    "the error of a dropped task is handled": Case(
        """
        try:
            asyncio.create_task(fails("a", 1))
            await asyncio.sleep(1.5)
        except Exception:
            print("host", "caught")
            return 2
        return 1
        """,
        """
        try:
            async with anyio.create_task_group() as tg:
                tg.start_soon(fails, "a", 1)
                await asyncio.sleep(1.5)
        except Exception:
            print("host", "caught")
            return 2
        return 1
        """,
        (FAILING,),
    ),
    "siblings of a task that fails are cancelled": Case(
        """
        await asyncio.gather(fails("a", 1), fetch("b", 2))
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "a", 1)
            tg.start_soon(fetch, "b", 2)
        """,
        (FAILING, B),
    ),
    "the first of two errors arrives": Case(
        """
        first = asyncio.create_task(fails("b", 2))
        second = asyncio.create_task(fails("a", 1))
        await first
        await second
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "b", 2)
            tg.start_soon(fails, "a", 1)
        """,
        (FAILING, 'fails("b", 2)'),
    ),
    "tasks end when the function raises": Case(
        """
        asyncio.create_task(fetch("a", 1))
        await asyncio.sleep(0.5)
        raise KeyError("host")
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
            await asyncio.sleep(0.5)
            raise KeyError("host")
        """,
        (A,),
    ),
    "errors as results": Case(
        'return await asyncio.gather(fails("a", 1), fetch("b", 2), return_exceptions=True)',
        """
        results = [None] * 2
        async with anyio.create_task_group() as tg:
            tg.start_soon(settled, results, 0, fails("a", 1))
            tg.start_soon(settled, results, 1, fetch("b", 2))
        return results
        """,
        (FAILING, B),
    ),
    "a child that cancels itself as a result": Case(
        'return len(await asyncio.gather(foreign("a", 1), fetch("b", 2), return_exceptions=True))',
        """
        results = [None] * 2
        async with anyio.create_task_group() as tg:
            tg.start_soon(settled, results, 0, foreign("a", 1))
            tg.start_soon(settled, results, 1, fetch("b", 2))
        return len(results)
        """,
        ('foreign("a", 1)', B),
    ),
    "a task that is cancelled is waited for": Case(
        """
        task = asyncio.create_task(slow("a", 3))
        try:
            await asyncio.sleep(0.5)
        finally:
            task.cancel()
        """,
        """
        task = asyncio.create_task(slow("a", 3))
        try:
            await asyncio.sleep(0.5)
        finally:
            task.cancel()
            await asyncio.wait([task])
        """,
        ('slow("a", 3)',),
    ),
    "a shielded cleanup": Case(
        """
        asyncio.create_task(shielded("a", 3))
        raise KeyError("host")
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(shielded, "a", 3)
            raise KeyError("host")
        """,
        ('shielded("a", 3)',),
        main=f"""\
async def shielded(name, seconds):
    print(name, "start")
    try:
        await asyncio.sleep(seconds)
    finally:
        with anyio.CancelScope(shield=True):
            print(name, "closing")
            await asyncio.sleep(1)
            print(name, "closed")


{MAIN}""",
    ),
    # -- how errors arrive
    "a handler of a caller does not match a group": Case(
        """
        task = asyncio.create_task(fails("a", 1))
        return await task
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "a", 1)
        """,
        (FAILING,),
        (Kind.ERROR,),
        main=HANDLING,
    ),
    "a handler inside never sees the error": Case(
        """
        task = asyncio.create_task(fails("a", 1))
        try:
            await task
        except ValueError:
            print("host", "caught")
        return 1
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "a", 1)
            try:
                await asyncio.sleep(2)
            except ValueError:
                print("host", "caught")
        return 1
        """,
        (FAILING,),
        (Kind.ERROR, Kind.COURSE),
    ),
    "an error of the function itself is not caught any more": Case(
        """
        asyncio.create_task(fetch("a", 1))
        raise ValueError("host")
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
            raise ValueError("host")
        """,
        (A,),
        (Kind.ERROR,),
        main=HANDLING,
    ),
    "an error gets another cause": Case(
        """
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise ValueError("host") from error
        """,
        """
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise ValueError("host") from None
        """,
        (),
        (Kind.ERROR,),
    ),
    "sys.exit in a group": Case(
        """
        asyncio.create_task(fetch("a", 1))
        await asyncio.sleep(0.5)
        sys.exit(3)
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
            await asyncio.sleep(0.5)
            sys.exit(3)
        """,
        (A,),
        (Kind.EXIT,),
    ),
    "an iteration does not stop": Case(
        """
        asyncio.create_task(fetch("a", 1))
        raise StopAsyncIteration
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
            raise StopAsyncIteration
        """,
        (A,),
        (Kind.ERROR, Kind.COURSE),
        main="""\
class Numbers:
    def __aiter__(self):
        return self

    async def __anext__(self):
        return await host()


async def main():
    async for number in Numbers():
        print("main", number)
    print("main", "after")
""",
    ),
    "an error is handled that nobody had handled": Case(
        'await fails("a", 1)',
        """
        with contextlib.suppress(ValueError):
            await fails("a", 1)
        """,
        (),
        (Kind.ERROR,),
    ),
    # -- results
    "a tuple for a list": Case(
        'return await asyncio.gather(fetch("a", 1), fetch("b", 2))',
        """
        results = [None] * 2
        async with anyio.create_task_group() as tg:
            tg.start_soon(keeping, results, 0, fetch("a", 1))
            tg.start_soon(keeping, results, 1, fetch("b", 2))
        return tuple(results)
        """,
        (A, B),
        (Kind.TYPE,),
    ),
    "results in another order": Case(
        'return await asyncio.gather(fetch("b", 2), fetch("a", 1))',
        """
        results = [None] * 2
        async with anyio.create_task_group() as tg:
            tg.start_soon(keeping, results, 1, fetch("b", 2))
            tg.start_soon(keeping, results, 0, fetch("a", 1))
        return results
        """,
        (A, B),
        (Kind.RESULT,),
    ),
    "errors as results, but one that is none": Case(
        'return await asyncio.gather(fails("a", 1), fetch("b", 2), return_exceptions=True)',
        """
        results = [None] * 2
        async with anyio.create_task_group() as tg:
            tg.start_soon(keeping, results, 0, fails("a", 1))
            tg.start_soon(keeping, results, 1, fetch("b", 2))
        return results
        """,
        (FAILING, B),
        (Kind.ERROR,),
    ),
    # -- where the group stands
    "a task that never ends": Case(
        """
        asyncio.create_task(endless("a", 1))
        return 1
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(endless, "a", 1)
            return 1
        """,
        ('fetch("a", 1)',),
        (Kind.HANGS,),
    ),
    "a group in a loop makes one task wait for the other": Case(
        """
        for name in ("a", "b"):
            asyncio.create_task(fetch(name, 2))
        """,
        """
        for name in ("a", "b"):
            async with anyio.create_task_group() as tg:
                tg.start_soon(fetch, name, 2)
        """,
        ('fetch("a", 2)', B),
        (Kind.LATE,),
    ),
    "a group that ends before the work that follows": Case(
        """
        asyncio.create_task(fetch("a", 1))
        await asyncio.sleep(0.5)
        print("host", "slept")
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fetch, "a", 1)
        await asyncio.sleep(0.5)
        print("host", "slept")
        """,
        (A,),
        (Kind.LATE,),
    ),
    "a finally that waits for the task": Case(
        """
        try:
            asyncio.create_task(fetch("a", 1))
        finally:
            print("host", "finally")
        """,
        """
        try:
            async with anyio.create_task_group() as tg:
                tg.start_soon(fetch, "a", 1)
        finally:
            print("host", "finally")
        """,
        (A,),
        (Kind.LATE,),
    ),
    "work that is not done any more": Case(
        """
        await asyncio.create_task(fetch("a", 1))
        print("host", "step")
        """,
        'await fetch("a", 1)',
        (A,),
        (Kind.COURSE,),
    ),
    "a task that is still left running": Case(
        'asyncio.create_task(fetch("a", 1))',
        'task = asyncio.create_task(fetch("a", 1))',
        (A,),
        (Kind.LEFT,),
    ),
    "nobody waits any more": Case(
        'await asyncio.create_task(fetch("a", 1))',
        'asyncio.create_task(fetch("a", 1))',
        (A,),
        (Kind.EARLY, Kind.LEFT),
    ),
    "a function that never ended ends": Case('await endless("a", 1)', "await asyncio.sleep(3)", (), (Kind.ENDS,)),
    # -- cancellation
    "a cleanup is cut": Case(
        """
        task = asyncio.create_task(slow("a", 3))
        await asyncio.sleep(0.5)
        task.cancel()
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(slow, "a", 3)
            await asyncio.sleep(0.5)
            tg.cancel_scope.cancel()
        """,
        ('slow("a", 3)',),
        (Kind.CUT,),
    ),
    "a cleanup is cut when a sibling fails": Case(
        """
        await asyncio.gather(fails("a", 1), slow("b", 2))
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(fails, "a", 1)
            tg.start_soon(slow, "b", 2)
        """,
        (FAILING, 'slow("b", 2)'),
        (Kind.CUT,),
    ),
    "a child that swallows cancellations spins": Case(
        """
        asyncio.create_task(stubborn("a", 1))
        await asyncio.sleep(0.5)
        raise ValueError("host")
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(stubborn, "a", 1)
            await asyncio.sleep(0.5)
            raise ValueError("host")
        """,
        (),
        (Kind.HANGS,),
    ),
    "a foreign cancellation ends the group in silence": Case(
        """
        asyncio.create_task(foreign("a", 1))
        await asyncio.sleep(2.5)
        return 1
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(foreign, "a", 1)
            await asyncio.sleep(2.5)
            return 1
        """,
        ('foreign("a", 1)',),
        (Kind.RESULT, Kind.EARLY),
    ),
    "a cancellation is not delivered": Case(
        """
        await fetch("a", 1)
        await fetch("b", 2)
        """,
        """
        with contextlib.suppress(asyncio.CancelledError):
            await fetch("a", 1)
        await fetch("b", 2)
        """,
        (),
        (Kind.CANCELLATION, Kind.COURSE),
    ),
    "an error takes the place of a cancellation": Case(
        """
        asyncio.create_task(angry("a", 3))
        await asyncio.sleep(2.5)
        """,
        """
        async with anyio.create_task_group() as tg:
            tg.start_soon(angry, "a", 3)
            await asyncio.sleep(2.5)
        """,
        ('angry("a", 3)',),
        (Kind.CANCELLATION,),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_differences(case: Case) -> None:
    mismatches = list(case.pair().mismatches())
    first = {each.kind for each in mismatches[0].differences} if mismatches else set()
    assert first == {*case.kinds}, "\n".join(map(str, mismatches))


# -- generated programs --------------------------------------------------------------------------------------------


def generative(examples: int, *, fresh: bool = False) -> settings:
    """Settings for this many programs; other ones every time, if they are to be fresh."""
    return settings(
        max_examples=examples,
        derandomize=not fresh,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


NORMAL, NIGHTLY = generative(200), generative(2000, fresh=True)


def targets() -> SearchStrategy[Target]:
    """The libraries whose groups this Python has, AnyIO more often."""
    return st.sampled_from([Target.ANYIO, Target.ANYIO, *([Target.ASYNCIO] if sys.version_info >= (3, 11) else [])])


ERRORS = {Kind.ERROR, Kind.COURSE, Kind.RESULT, Kind.LATE, Kind.CANCELLATION}
"""An error that arrives in another way also cuts what else is done, at another time; and who is not running any more is
not cancelled.
"""
CUTS = {Kind.CUT, Kind.COURSE, Kind.EARLY}
CANCELLATIONS = {Kind.CANCELLATION, *ERRORS}
COMES_TRUE = {
    "body-error-grouped": ERRORS,
    "cancellation-ends-it": CANCELLATIONS,
    "cancellation-is-caught": {Kind.HANGS, *CANCELLATIONS},
    "cleanup-is-cut": CUTS,
    "context-is-copied": {Kind.COURSE},
    "errors-are-results": ERRORS,
    "exit-inside": {Kind.EXIT},
    "foreign-cancellation": {Kind.EARLY, Kind.ENDS, Kind.CUT, *CANCELLATIONS},
    "handle-differs": ERRORS,
    "handler-stops-matching": ERRORS,
    "host-cleanup-is-cut": CUTS,
    "joined-with-others": {Kind.LATE, *ERRORS},
    "limit-would-not-hold": {Kind.HANGS, Kind.LATE, *ERRORS},
    "may-never-end": {Kind.HANGS, Kind.LATE, Kind.LEFT, Kind.COURSE},
    "native-cancel": {Kind.EARLY, *CANCELLATIONS},
    "other-result": {Kind.RESULT, Kind.TYPE, Kind.COURSE},
    "outlasts-cancellation": {Kind.HANGS, Kind.LEFT, Kind.LATE, *CANCELLATIONS},
    "outlasts-time-limit": {Kind.CUT, *CANCELLATIONS},
    "pause-before-change": {Kind.LATE, *CANCELLATIONS},
    "pause-before-work": {Kind.LATE, *CANCELLATIONS},
    "raise-inside": ERRORS,
    "raises-in-cleanup": CANCELLATIONS,
    "resource-order": {Kind.LATE, Kind.COURSE},
    "single-error-grouped": ERRORS,
    "swallows-cancellation": {Kind.HANGS, Kind.LATE, Kind.LEFT, *CANCELLATIONS},
    "time-limit": {Kind.CUT, Kind.LATE, Kind.LEFT, *CANCELLATIONS},
    "unresolved-callee": {*Kind},
    "waits-here": {Kind.LATE, Kind.COURSE},
    "work-is-cut": {Kind.LATE, *CUTS},
}
"""What may be different where a fix states a hazard."""


def safe_fixes_change_nothing_else(options: settings) -> None:
    """At least a third of the programs is mended, and nothing is different that is not meant to be."""
    count: Counter[str] = Counter()

    @options
    @given(programs(), targets())
    def check(program: Program, target: Target) -> None:
        both = pair_of(program, mended(program.source, safe, target))
        count.update(["drawn", *(["mended"] if both else [])])
        if both:
            found = [*both.mismatches()]
            assert not found, "\n".join(["", both.original, "=" * 80, both.rewritten, *map(str, found)])

    check()
    assert count["mended"] >= count["drawn"] / 3, count


def test_safe_fixes() -> None:
    safe_fixes_change_nothing_else(NORMAL)


@pytest.mark.nightly
def test_safe_fixes_of_many_programs() -> None:
    safe_fixes_change_nothing_else(NIGHTLY)


def unsafe_fixes_change_what_they_state(options: settings) -> None:
    """Every difference is one of which a hazard tells."""
    count: Counter[str] = Counter()

    @options
    @given(programs(), targets())
    def check(program: Program, target: Target) -> None:
        fixed = mended(program.source, best, target)
        both = pair_of(program, fixed)
        stated = {hazard.name for each in fixed.rewritten for _, fix in each.applied for hazard in fix.hazards}
        if both is None or not stated:
            return
        found = [*both.mismatches()]
        kinds = {difference.kind for each in found for difference in each.differences}
        count.update(["unsafe", *(["different"] if kinds else [])])
        untold = kinds - {kind for name in stated for kind in COMES_TRUE[name]}
        told = ", ".join(sorted(stated))
        assert not untold, "\n".join(["", both.original, "=" * 80, both.rewritten, told, *map(str, found)])

    check()
    assert count["different"] >= count["unsafe"] / 7, count


def test_unsafe_fixes() -> None:
    unsafe_fixes_change_what_they_state(NORMAL)


@pytest.mark.nightly
def test_unsafe_fixes_of_many_programs() -> None:
    unsafe_fixes_change_what_they_state(NIGHTLY)


def test_every_hazard_of_the_table_exists() -> None:
    assert {*COMES_TRUE} <= {*EXPLAINED}


def pair_of(program: Program, fixed: Fixed) -> Pair | None:
    return pair(program.source, fixed, program.spawned, is_once="twice" not in program.features)
