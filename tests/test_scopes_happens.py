"""Broken scopes are seen to break on a real event loop where a fixture claims it, and to hold where it claims none."""

from __future__ import annotations

import sys

import anyio
import pytest
from examples import Example, examples, name_of
from symptom_scopes import breaks_scope, refuses
from symptoms import Case, unheard
from test_leaks_happen import cases, claims, load

SYMPTOMS = {
    "LK301/": breaks_scope,
    "LK302/": breaks_scope,
    "LK303/": refuses,
}
SINCE_311 = ("LK301/asyncio_", "LK302/asyncio_", "LK303/asyncio_")
"""The fixtures that use `asyncio.TaskGroup` or `asyncio.timeout`."""
SINCE_ANYIO_4_10 = ("LK302/mixins",)
"""The fixtures that use `anyio.AsyncContextManagerMixin`."""


def runs() -> list[Example]:
    left_out: tuple[str, ...] = SINCE_311 if sys.version_info < (3, 11) else ()
    left_out += () if hasattr(anyio, "AsyncContextManagerMixin") else SINCE_ANYIO_4_10
    return [each for each in examples() if name_of(each)[:6] in SYMPTOMS and not name_of(each).startswith(left_out)]


@pytest.mark.parametrize("example", runs(), ids=name_of)
def test_what_is_claimed_is_seen(example: Example) -> None:
    symptom = SYMPTOMS[name_of(example)[:6]]
    with unheard():
        module = load(example)
        expected = claims(example, cases(module))
        seen = {name: symptom(getattr(module, name)) for name in expected}
    assert seen == expected
    assert True in expected.values()


async def _ends() -> None:
    pass


async def _fails() -> None:
    raise RuntimeError


@pytest.mark.parametrize(("case", "expected"), [(_ends, False), (_fails, True)])
def test_symptoms_tell_cases_apart(case: Case, *, expected: bool) -> None:
    assert (breaks_scope(case), refuses(case)) == (expected, expected)
