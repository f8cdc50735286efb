"""Programs that are moved into task groups do what they did: those of the fixtures that are programs are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from repairs import FIXES, Repair, name_of, repairs

from leaklint.model.fix import Target

RUNS = re.compile(r"^(?:print\()?(?:asyncio|anyio)\.run\(", re.MULTILINE)
HAS_GROUPS = sys.version_info >= (3, 11)
"""Whether this asyncio has task groups."""


def programs() -> list[Repair]:
    """The cases that run themselves, and can here when they are mended."""
    here = [repair for repair in repairs() if repair.path.parent == FIXES / "task-group"]
    runnable = [repair for repair in here if RUNS.search(repair.path.read_text())]
    return [repair for repair in runnable if HAS_GROUPS or repair.environment.target is Target.ANYIO]


def output(path: Path) -> str:
    """What a program prints; it must end without an error."""
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("repair", programs(), ids=name_of)
@pytest.mark.parametrize("unsafe", [False, True])
def test_prints_the_same(repair: Repair, tmp_path: Path, *, unsafe: bool) -> None:
    fixed = tmp_path / "fixed.py"
    fixed.write_bytes(repair.path.read_bytes())
    for changed in repair.fixed(unsafe=unsafe).rewritten:
        fixed.write_bytes(changed.after)
    assert output(fixed) == output(repair.path)
