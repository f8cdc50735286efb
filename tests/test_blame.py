"""Which fixes are taken back if a program with all of them does not hold: those to blame, safe ones last of all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pytest
from repairs import best, safe

from leaklint import fixing
from leaklint.engine import Examination, Input
from leaklint.fixing import Choose, fix_program
from leaklint.fixing.composing import Choice
from leaklint.fixing.verifying import Wrong
from leaklint.model.fix import Environment, Hazard
from leaklint.policy.config import Settings

ENDS = """\
import asyncio


async def work():
    await asyncio.sleep(1)


async def main():
    asyncio.create_task(work())
"""
GOES_ON = ENDS.replace("    await", "    while True:\n        await")
"""Its fix is unsafe."""
FAULT = Hazard("does-not-hold", "LK107 would be found in `elsewhere`", blocks=True)


class Oracle:
    """A program of one finding in each file, of which some fixes do not hold, or not together."""

    def __init__(self, sources: str, *bad: Collection[int]) -> None:
        """`sources` has an `s` for each safe fix, a `u` for each unsafe one."""
        kinds = {"s": ENDS, "u": GOES_ON}
        names = [f"part_{number:02}" for number in range(len(sources))]
        self.inputs = [
            Input(f"{name}.py", name, kinds[kind].encode(), Settings.default(), always_parse=True)
            for name, kind in zip(names, sources, strict=True)
        ]
        self.bad = [{self.inputs[number].path for number in each} for each in bad]
        self.near = False
        """Whether it can be told of each bad file that a fix of it is to blame."""
        self.trials = 0

    def mishaps(self, chosen: Sequence[Choice], before: Examination, after: Examination) -> tuple[Wrong, ...]:
        self.trials += 1
        assert {outcome.path for outcome in before.outcomes} == {outcome.path for outcome in after.outcomes}
        return tuple(self._wrong(chosen))

    def _wrong(self, chosen: Sequence[Choice]) -> Iterator[Wrong]:
        paths = {fix.path for _, fix in chosen}
        for each in self.bad:
            if each <= paths:
                near = tuple(choice for choice in chosen if choice[1].path in each)
                yield Wrong(FAULT, near if self.near else tuple(chosen))

    def mended(self, choose: Choose, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The numbers of the files that were mended; the others say why they were not."""
        monkeypatch.setattr(fixing, "mishaps", self.mishaps)
        fixed = fix_program(self.inputs, Environment(), choose)
        refused = {each.finding.path for each in fixed.remaining if FAULT.name in {why.name for why in each.reasons}}
        changed = {each.path for each in fixed.rewritten}
        assert refused.isdisjoint(changed)
        if choose is best:
            assert refused | changed == {each.path for each in self.inputs}
        return [number for number, each in enumerate(self.inputs) if each.path in changed]


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize(
    ("sources", "bad", "mended"),
    [
        ("ssuu", [], [0, 1, 2, 3]),
        ("susu", [[1]], [0, 2, 3]),
        ("susu", [[0]], [1, 2, 3]),
        ("susu", [[1], [3]], [0, 2]),
        ("susu", [[0], [1], [2], [3]], []),
        ("susu", [[0, 1]], [0, 2, 3]),
        ("uuss", [[0, 3]], [1, 2, 3]),
        ("uuus", [[0, 2]], [0, 1, 3]),
        ("u", [[0]], []),
    ],
)
def test_the_others_are_kept(
    sources: str, bad: list[list[int]], mended: list[int], monkeypatch: pytest.MonkeyPatch, *, near: bool
) -> None:
    oracle = Oracle(sources, *bad)
    oracle.near = near
    assert oracle.mended(best, monkeypatch) == mended


@pytest.mark.parametrize("bad", [[[0, 1]], [[1], [3]], [[0, 1], [2, 3], [5]]])
def test_no_safe_fix_is_lost_by_unsafe_ones(bad: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    by_default = Oracle("susuuus", *bad).mended(safe, monkeypatch)
    assert by_default == [0, 2, 6]
    assert set(by_default) < set(Oracle("susuuus", *bad).mended(best, monkeypatch))


@pytest.mark.parametrize(
    ("number", "bad", "near", "trials"),
    [
        (20, [], False, 1),
        (20, [[7]], True, 2),
        (20, [[7]], False, 7),
        (20, [[0], [7], [19]], True, 5),
        (20, [[each] for each in range(20)], True, 1 + fixing.MOST_TRIALS),
    ],
)
def test_trials_are_few(
    number: int, bad: list[list[int]], trials: int, monkeypatch: pytest.MonkeyPatch, *, near: bool
) -> None:
    oracle = Oracle("u" * number, *bad)
    oracle.near = near
    assert len(oracle.mended(best, monkeypatch)) == number - len(bad)
    assert oracle.trials <= trials


def test_what_was_not_tried_alone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "MOST_TRIALS", 2)
    oracle = Oracle("s" + "u" * 8, [4])
    monkeypatch.setattr(fixing, "mishaps", oracle.mishaps)
    fixed = fix_program(oracle.inputs, Environment(), best)
    said = {why.message for each in fixed.remaining for why in each.reasons}
    assert said == {f"{FAULT.message}, with this fix or another one that was tried with it"}
    assert "part_00.py" in {each.path for each in fixed.rewritten}
