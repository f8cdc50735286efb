"""The cases of `fixtures/fixes`: what is proposed, what is written, and what must hold of every fix."""

from __future__ import annotations

import io
import tokenize
from collections import Counter

import pytest
from repairs import FIXES, Repair, name_of, repairs, report

from leaklint.fixing import fix_program
from leaklint.fixing.remedies import REMEDIES

EVERY = pytest.mark.parametrize("repair", repairs(), ids=name_of)


def comments(data: bytes) -> Counter[str]:
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)


@EVERY
def test_report(repair: Repair, *, update: bool) -> None:
    text = report(repair)
    if update:
        repair.snapshot.write_text(text)
    assert text == (repair.snapshot.read_text() if repair.snapshot.exists() else "")


@EVERY
@pytest.mark.parametrize("unsafe", [False, True])
def test_no_comment_is_lost_and_a_second_run_changes_nothing(repair: Repair, *, unsafe: bool) -> None:
    fixed = repair.fixed(unsafe=unsafe)
    changed = {each.path: each for each in fixed.rewritten}
    for each in fixed.rewritten:
        assert not comments(each.before) - comments(each.after)
        assert not each.after.startswith(b"\n")
    again = [each._replace(data=changed[each.path].after) if each.path in changed else each for each in repair.inputs]
    if unsafe:
        assert fix_program(again, repair.environment, repair.choose).rewritten == ()


def test_every_remedy_has_cases() -> None:
    assert {path.name for path in FIXES.iterdir()} == {remedy.name for remedy in REMEDIES}


def test_every_snapshot_has_its_case() -> None:
    snapshots = list(FIXES.rglob("*.fix"))
    assert [path for path in snapshots if not path.with_suffix("").exists()] == []
