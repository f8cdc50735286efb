"""Writes `anyio.gather` in place of `asyncio.gather`."""

from __future__ import annotations

from leaklint.fixing.study import Finding, Study
from leaklint.model import code
from leaklint.model.fate import Task
from leaklint.model.fix import Fix, Hazard, Replace
from leaklint.model.walk import walk

NAME = "gather"
CODES = frozenset({"LK201"})


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A gather of AnyIO, which ends when all that it was given has ended."""
    task = finding.subject
    assert isinstance(task, Task)
    function = study.function_of(task)
    if function is None:
        return ()
    call = next(call for call in walk(function.body, code.Call) if call.span == task.span)
    spelled, imports = study.spelled("anyio.gather", function)
    return Fix(NAME, "wait with `anyio.gather`", study.path, (Replace(call.func.span, spelled), *imports))
