"""What tests put in the place of a member of asyncio, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from leaklint.fixing.study import Study
from leaklint.model.fix import Fix, Forget, Hazard, Import, Replace, Substitute, code_of

_BY_NAME = rb"""["']([\w.]*\.\w+)["']"""
_OF_OBJECT = rb"""([\w.]*\basyncio(?:\.\w+)*)\s*,\s*["'](\w+)["']"""
_PATCH = re.compile(
    rb"\b(?:patch|object|setattr|spy)\(\s*(?:target\s*=\s*)?(?:" + _BY_NAME + rb"|" + _OF_OBJECT + rb")"
)
"""The ways of `unittest.mock`, and of the fixtures `monkeypatch` and `mocker` of pytest.

https://docs.python.org/3/library/unittest.mock.html#where-to-patch
https://docs.pytest.org/en/stable/how-to/monkeypatch.html
"""

_USED_BY_ANYIO = frozenset({"Event", "Future", "Task", "current_task", "get_running_loop"})
"""The members of asyncio that task groups, cancel scopes, `gather` and `amap` of AnyIO reach.

Measured with AnyIO 4.16, each member replaced in turn. `current_task` is one only where AnyIO is first used while it is
replaced: AnyIO imports it then, by its name. `sleep` and `create_task` are none.
"""

_NAME = re.compile(r"(?<![\w.])[^\W\d][\w.]*")


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
    """`patched`: places that replace what a fix does not call any more, or what its code calls, itself or in AnyIO.

    `call` is the spawn or wait, as written; empty if the finding is about none. One hazard for each of these reasons.
    """
    written = _written(fix, study)
    calls = {path.rpartition(".")[2] for path in written if path.startswith("asyncio.")}
    uses = _USED_BY_ANYIO if any(path.startswith("anyio.") for path in written) else frozenset()
    hazards: dict[str, Hazard] = {}
    for patch in found:
        place = _Place.of(patch, study.facts.module)
        if place is None:
            continue
        whose = (
            ("", place.attribute == call.rpartition(".")[2]),
            (", which the fix writes a call of", (place.member or place.attribute) in calls),
            (", which AnyIO uses", place.member in uses),
            ("", place.in_module and Forget("asyncio") in fix.edits),
        )
        why = next((why for why, holds in whose if holds), None)
        if why is not None:
            said = f"line {patch.line} of {patch.path} puts something else in the place of `{patch.target}`{why}"
            hazards.setdefault(why, Hazard("patched", said))
    return tuple(hazards.values())


class _Place(NamedTuple):
    """What a patch that a module may notice replaces."""

    attribute: str
    member: str
    """The member of asyncio that this is, or is a part of: `Event` for `asyncio.Event.is_set`; empty if none."""
    in_module: bool
    """Whether it is asyncio itself, or a member of it, as that module names it."""

    @staticmethod
    def of(patch: Patch, module: str) -> _Place | None:
        """What it replaces; None if it is something of another module."""
        parts = patch.target.split(".")
        for cut, part in enumerate(parts):
            if part == "asyncio" and _leads_to(parts[:cut], module):
                return _Place(parts[-1], "".join(parts[cut + 1 : cut + 2]), cut > 0)
        return _Place(parts[-1], "", in_module=False) if _leads_to(parts[:-1], module) else None


def _leads_to(through: Sequence[str], module: str) -> bool:
    """Whether what a patch names first is a module, as far as it is written; nothing leads to all."""
    return not through or f".{module}".endswith("." + ".".join(through))


def _written(fix: Fix, study: Study) -> set[str]:
    """What the code that a fix writes names of modules, and the code that it replaces does not: `asyncio.wait`."""
    imports = [edit.statement.split() for edit in fix.edits if isinstance(edit, Import)]
    named = dict(study.facts.names.imports) | {words[-1]: words[1] for words in imports if words[0] == "import"}
    gone = {name for edit in fix.edits if isinstance(edit, Replace | Substitute) for name in _names(study, edit)}
    written = (text for edit in fix.edits if not isinstance(edit, Import) for text in code_of(edit))
    words = {name for text in written for name in _NAME.findall(text)} - gone
    heads = {word: word.partition(".")[0] for word in words}
    return {named[head] + word.removeprefix(head) for word, head in heads.items() if head in named}


def _names(study: Study, edit: Replace | Substitute) -> list[str]:
    return _NAME.findall(study.written(edit.span))
