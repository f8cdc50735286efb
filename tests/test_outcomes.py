"""Whether a function may raise, and whether it may suspend, as its code tells."""

from __future__ import annotations

import textwrap

import pytest

from leaklint.analysis.kinds import Kinds
from leaklint.analysis.outcomes import Outcomes
from leaklint.analysis.program import Program
from leaklint.model.facts import ModuleFacts
from leaklint.reading import collect_source

AROUND = """\
import asyncio
import logging
from contextlib import suppress
import lib

log = logging.getLogger()

class Plain: ...

class Made:
    def __init__(self):
        lib.open()

async def harmless():
    log.info("here")

async def raising():
    raise OSError

async def suspended():
    await asyncio.sleep(1)

class Holder:
    async def _only_here(self):
        return self

    async def _here_and_there(self):
        return self

class Other:
    async def _here_and_there(self):
        return self

async def endless():
    await endless()

"""


def outcomes(body: str) -> tuple[bool, bool]:
    """Whether `asked`, an `async` function with this body, may raise and may be suspended."""
    source = f"{AROUND}async def asked(given):\n{textwrap.indent(body, '    ')}\n"
    facts = collect_source(source.encode(), path="m.py", module="m")
    assert isinstance(facts, ModuleFacts)
    program = Program([facts])
    found = Outcomes(Kinds(program))
    function = program.functions["m.asked"]
    return found.raises(function), found.suspends(function)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return given", (False, False)),
        ("print(given)\nlog.error(given)", (False, False)),
        ("raise OSError", (True, False)),
        ("if given: raise OSError", (True, False)),
        ("lib.call()", (True, False)),
        ("given.method()", (True, False)),
        ("given.append(1)", (False, False)),
        ("Plain()", (False, False)),
        ("Made()", (True, False)),
        ("harmless()", (False, False)),
        ("await harmless()", (False, False)),
        ("await raising()", (True, False)),
        ("await suspended()", (True, True)),
        ("await endless()", (True, True)),
        ("await given", (True, True)),
        ("asyncio.create_task(given.method())", (False, False)),
        ("asyncio.create_task(given.method(lib.call()))", (True, False)),
        ("await given.holder._only_here()", (False, False)),
        ("await given.holder._here_and_there()", (True, True)),
        ("await lib.call()", (True, True)),
        ("event = asyncio.Event()\nawait event.wait()", (False, True)),
        ("await given.wait()", (False, True)),
        ("await given.wait(5)", (True, True)),
        ("async with asyncio.Lock(): print(given)", (False, True)),
        ("async with given: print(given)", (True, True)),
        ("with given: print(given)", (False, False)),
        ("with suppress(Exception): raise OSError", (False, False)),
        ("async for item in given: print(item)", (True, True)),
        ("for item in given: lib.call(item)", (True, False)),
        ("return [item async for item in given]", (True, True)),
        ("while lib.call(): print(given)", (True, False)),
        ("while given: print(given)\nelse: raise OSError", (True, False)),
        ("match given:\n    case 1: raise OSError", (True, False)),
        ("try: lib.call()\nexcept Exception: print(given)", (False, False)),
        ("try: lib.call()\nexcept (OSError, Exception): print(given)", (False, False)),
        ("try: lib.call()\nexcept: print(given)", (False, False)),
        ("try: lib.call()\nexcept OSError: print(given)", (True, False)),
        ("try: lib.call()\nexcept Exception: raise", (True, False)),
        ("try: print(given)\nexcept Exception: print(given)\nelse: lib.call()", (True, False)),
        ("try: print(given)\nexcept Exception: print(given)\nfinally: lib.call()", (True, False)),
    ],
)
def test_what_a_function_may_do(body: str, expected: tuple[bool, bool]) -> None:
    assert outcomes(body) == expected
