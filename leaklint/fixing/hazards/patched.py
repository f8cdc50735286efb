"""What tests put in the place of a function of asyncio, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from leaklint.fixing.study import Study
from leaklint.model.fix import Fix, Forget, Hazard

_BY_NAME = rb"""["']([\w.]*\.\w+)["']"""
_OF_OBJECT = rb"""([\w.]*\basyncio)\s*,\s*["'](\w+)["']"""
_PATCH = re.compile(
    rb"\b(?:patch|object|setattr|spy)\(\s*(?:target\s*=\s*)?(?:" + _BY_NAME + rb"|" + _OF_OBJECT + rb")"
)
"""The ways of `unittest.mock`, and of the fixtures `monkeypatch` and `mocker` of pytest.

https://docs.python.org/3/library/unittest.mock.html#where-to-patch
https://docs.pytest.org/en/stable/how-to/monkeypatch.html
"""


class Patch(NamedTuple):
    """A place that replaces something while it runs."""

    path: str
    line: int
    target: str
    """What it replaces, as written there: `shop.orders.asyncio.gather`."""


def patches(data: Mapping[str, bytes]) -> tuple[Patch, ...]:
    """The places in the files of a program, by path, that replace something by its name."""
    return tuple(each for path in sorted(data) for each in _patches_in(path, data[path]))


def _patches_in(path: str, data: bytes) -> Iterator[Patch]:
    for found in _PATCH.finditer(data) if b"patch" in data or b"mocker" in data else ():
        name, owner, attribute = found.groups()
        target = name if name is not None else owner + b"." + attribute
        yield Patch(path, data.count(b"\n", 0, found.start()) + 1, target.decode(errors="replace"))


def patched(fix: Fix, call: str, found: Sequence[Patch], study: Study) -> tuple[Hazard, ...]:
    """`patched`: a place that replaces what a fix does not call any more. `call` is the spawn or wait, as written."""
    name = call.rpartition(".")[2]
    takes_import = Forget("asyncio") in fix.edits
    for patch in found:
        owner, _, attribute = patch.target.rpartition(".")
        module = owner.removesuffix("asyncio").removesuffix(".")
        through = patch.target.removesuffix(".asyncio") if attribute == "asyncio" else module
        is_here = not through or f".{study.facts.module}".endswith(f".{through}")
        in_module = bool(through) and "asyncio" in (attribute, owner.rpartition(".")[2])
        if is_here and (attribute == name or (takes_import and in_module)):
            said = f"line {patch.line} of {patch.path} puts something else in the place of `{patch.target}`"
            return (Hazard("patched", said),)
    return ()
