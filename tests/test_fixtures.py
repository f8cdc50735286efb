"""The exact report on every fixture and the fate of every task in it, compared with the snapshots beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import FIXTURES, ROOT, Example, examples, name_of

from leaklint.model.diagnostic import Reported
from leaklint.report.text import full, summary
from leaklint.rules import all_rules


def report(example: Example) -> str:
    """What `leaklint check` prints on the fixture."""
    checked = example.check()
    return full(checked.diagnostics, lines_of=lambda _: example.lines) + summary([checked])


def inventory(example: Example) -> str:
    """A line for every task: `line:column fate paths handle owner rule`, with `-` for nothing."""
    return "".join(f"{row(entry)}\n" for entry in example.check().tasks)


def row(entry: Reported) -> str:
    task = entry.task
    paths = ",".join(kind.value for kind in task.paths)
    cells = (task.fate.value, paths, task.handle, task.owner, entry.rule)
    return " ".join([f"{task.span.line}:{task.span.column}", *((cell or "-").replace(" ", "") for cell in cells)])


def compare(snapshot: Path, text: str, *, update: bool) -> None:
    """Compare with the snapshot (a missing one is empty), or rewrite it."""
    if update and text:
        snapshot.write_bytes(text.encode())
    elif update:
        snapshot.unlink(missing_ok=True)
    assert text == (snapshot.read_bytes().decode() if snapshot.exists() else "")


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_report(example: Example, *, update: bool) -> None:
    compare(ROOT / f"{example.path}.out", report(example), update=update)


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_inventory(example: Example, *, update: bool) -> None:
    compare(ROOT / f"{example.path}.tasks", inventory(example), update=update)


def test_every_snapshot_has_its_fixture() -> None:
    snapshots = [path for path in FIXTURES.rglob("*") if path.suffix in {".out", ".tasks"}]
    assert [path for path in snapshots if not path.with_suffix("").exists()] == []


def test_every_rule_has_fixtures_in_which_it_fires() -> None:
    fires = {example.path.split("/")[1]: set[str]() for example in examples() if example.marked}
    del fires["quiet"]
    for example in examples():
        directory = example.path.split("/")[1]
        if directory in fires:
            fires[directory] |= {code for _, code in example.expected if code == directory}
    assert fires == {rule.code: {rule.code} for rule in all_rules()}
