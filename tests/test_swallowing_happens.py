"""Every swallowed cancellation that a fixture claims is seen to happen on a real event loop, and no other.

The cases are those of `test_leaks_happen`.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from examples import Example, examples, name_of
from symptom_cancellation import cancellation_lost
from symptoms import Case, unheard
from test_leaks_happen import cases, claims, load

EXAMPLES = [each for each in examples() if name_of(each).startswith(("LK305/", "quiet/cancellations"))]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_what_is_claimed_is_seen(example: Example) -> None:
    with unheard():
        module = load(example)
        expected = claims(example, cases(module))
        seen = {name: cancellation_lost(getattr(module, name)) for name in expected}
    assert expected
    assert seen == expected


# -- the symptom itself ------------------------------------------------------------------------------------------------


async def ends_when_told() -> None:
    await asyncio.sleep(1)


async def cleans_up() -> None:
    try:
        await asyncio.sleep(1)
    finally:
        await asyncio.sleep(1)


async def ends_as_if_nothing_was() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(1)


async def never_suspends() -> None:
    assert asyncio.current_task()


async def goes_on_once() -> None:
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        await asyncio.sleep(1)


async def goes_on_for_ever() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)


async def goes_on_later() -> None:
    await asyncio.sleep(1)
    await asyncio.sleep(1)
    await goes_on_once()


@pytest.mark.parametrize("case", [ends_when_told, cleans_up, ends_as_if_nothing_was, never_suspends])
def test_what_ends_is_no_symptom(case: Case) -> None:
    assert not cancellation_lost(case)


@pytest.mark.parametrize("case", [goes_on_once, goes_on_for_ever, goes_on_later])
def test_what_goes_on_is_one(case: Case) -> None:
    with unheard():
        assert cancellation_lost(case)
