"""Waits for what `asyncio.shield` protects, also when the function is cancelled.

```python
task = asyncio.create_task(save())
try:
    await asyncio.shield(task)
finally:
    await asyncio.wait([task])
```

What is shielded runs to its end, as before, and now somebody is there to see it: the function stays until then, and the
cancellation goes on afterwards. (`anyio.CancelScope(shield=True)` is no way to write this: it does not keep
`Task.cancel()` from what runs in it, an experiment on AnyIO 4.16.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaklint.catalog import Role
from leaklint.fixing.endings import Ending, ending
from leaklint.fixing.hazards.children import may_not_end
from leaklint.fixing.members import Member
from leaklint.fixing.study import Finding, Study
from leaklint.model import code
from leaklint.model.fate import Task
from leaklint.model.fix import Fix, Hazard
from leaklint.model.walk import text, walk

NAME = "wait-for-shielded"
CODES = frozenset({"LK203"})


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A `finally` that waits for what a `shield` was given."""
    task = finding.subject
    function = study.function_of(task) if isinstance(task, Task) else None
    if function is None:
        return ()
    call = next((call for call in walk(function.body, code.Call) if call.span == finding.diagnostic.span), None)
    if call is None or not call.args:
        return ()
    against = tuple(_against(call, function, study))
    if against:
        return against
    found = ending(call, call.args[:1], function, study, cancels=False)
    if not isinstance(found, Ending):
        return found
    what = text(found.given[0].coroutine) if found.given else text(call.args[0])
    note = f"`{function.name}` is not left before `{what}`, which line {call.span.line} shields, has ended"
    hazards = tuple(dict.fromkeys(_hazards(what, found.given, function, study)))
    return Fix(NAME, "wait for what is shielded, on every way out", study.path, found.edits, hazards, (note,))


def _against(call: code.Call, function: code.Function, study: Study) -> Iterator[Hazard]:
    line = call.span.line
    if any(each.value is call for each in walk(function.body, code.Await)):
        return
    for each in walk(function.body, code.Call):
        if any(arg is call for arg in each.args) and study.kinds.role_of_callee(each.func, function) is Role.WAIT_FOR:
            message = f"the time limit on line {line} is there so that the function goes on while the task still runs"
            yield Hazard("limit-would-not-hold", message, blocks=True)
            return
    message = f"`{text(call.func)}` on line {line} is not awaited where it stands"
    yield Hazard("starts-later", message, blocks=True)


def _hazards(what: str, given: Sequence[Member], function: code.Function, study: Study) -> Iterator[Hazard]:
    message = f"when `{function.name}` is cancelled, it stays until `{what}` has ended; so far it left at once"
    yield Hazard("outlasts-cancellation", message)
    for member in given:
        yield from may_not_end(member.coroutine, function, study)
