"""A shielded task that nobody else holds.

## What it does

Reports `asyncio.shield(coroutine())`, and the shield of a task that nothing else waits for: when the function that
awaits the shield is cancelled, or its time is over, it is left at once and the task runs on. Also reported: a shield that
is not awaited at all.

## Why is this bad?

The shield is there because the work must not be cut: a commit, a message that is half sent. `asyncio.shield` does not make
the function wait for it. It lets the function go, and the work goes on without anybody who knows of it. The event loop
only keeps weak references to tasks, so this one may even disappear in the middle; when the program ends, it is cancelled
after all. If it fails, nobody is told.

## Example

```python
import asyncio


async def commit(order: str) -> None:
    await asyncio.sleep(0.01)
    print(order, "is committed")


async def handle(order: str) -> None:
    await asyncio.shield(commit(order))


asyncio.run(handle("order 1"))
```

## Use instead

A shielded cancel scope of AnyIO keeps the function until the work is done; then the cancellation is delivered:

```python
import anyio


async def commit(order: str) -> None:
    await anyio.sleep(0.01)
    print(order, "is committed")


async def handle(order: str) -> None:
    with anyio.CancelScope(shield=True):
        await commit(order)


anyio.run(handle, "order 1")
```

It shields from the cancellation of scopes around it, not from `Task.cancel()`. Under asyncio alone, keep the task, and
wait for it when the cancellation comes:

```python
import asyncio


async def commit(order: str) -> None:
    await asyncio.sleep(0.01)
    print(order, "is committed")


async def handle(order: str) -> None:
    committing = asyncio.create_task(commit(order))
    try:
        await asyncio.shield(committing)
    except asyncio.CancelledError:
        await asyncio.gather(committing, return_exceptions=True)
        raise


asyncio.run(handle("order 1"))
```

If the function must not wait, give the task to an owner that outlives it: a task group of the application.

## Limits

- A task that somebody else holds (an attribute, a parameter, a registry) is judged by what happens to it there.
- A second cancellation, while the function waits for the work after the first, is not considered.

## References

- [asyncio.shield](https://docs.python.org/3/library/asyncio-task.html#asyncio.shield): "Save a reference to tasks passed to
  this function, to avoid a task disappearing mid-execution"
- [AnyIO: shielding](https://anyio.readthedocs.io/en/stable/cancellation.html#shielding)
- Peers: none. A shield that is not awaited is reported by mypy's opt-in
  [`unused-awaitable`](https://mypy.readthedocs.io/en/stable/error_code_list2.html#check-that-awaitable-return-value-is-used-unused-awaitable).
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject, _waits
from leaklint.rules import _wording as words

CODE = "LK203"
NAME = "shield-orphan"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.SHIELD})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every shield whose task nobody else holds."""
    for task in subject.with_pattern(PATTERNS):
        message = _waits.leaves(subject, task, _waits.WHEN)
        yield _waits.about(task, code=CODE, name=NAME, message=message, advice=_advice(subject, task))


def _advice(subject: Subject, task: Task) -> str:
    if not words.can_wait(subject, task):
        return "shield inside one async function, and run that with `asyncio.run`"
    return (
        "await it in `with anyio.CancelScope(shield=True):`, which waits for it; or keep the task, and on "
        "`CancelledError` `await asyncio.gather(task, return_exceptions=True)` before raising again"
    )
