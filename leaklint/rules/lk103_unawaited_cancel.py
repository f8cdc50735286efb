"""A task that is cancelled, and that nobody waits for after that.

## What it does

Reports a spawn that every way out cancels, but where nobody waits until the task has ended: `task.cancel()` as the last
word on a local handle, or in the `close()`, `stop()` or `__aexit__` of its owner.

## Why is this bad?

`cancel()` only asks. The task goes on until the event loop delivers the cancellation, and then runs its `except` and
`finally` blocks, which may await. Whoever calls `close()` believes that all this is over:

- The task touches what has just been closed, or the loop is closed first: "Task was destroyed but it is pending!".
- An error in the clean-up of the task is lost.
- A task may refuse to be cancelled, and nobody would know.

## Example

```python
import asyncio


class Poller:
    def start(self) -> None:
        self._task = asyncio.create_task(asyncio.sleep(60))

    async def close(self) -> None:
        self._task.cancel()


async def main() -> None:
    poller = Poller()
    poller.start()
    await asyncio.sleep(0.01)
    await poller.close()


asyncio.run(main())
```

## Use instead

Wait after the cancel. `gather(..., return_exceptions=True)` returns when the task has ended, however it ended, and
still lets the caller itself be cancelled, which `except asyncio.CancelledError: pass` does not.

```python
import asyncio


class Poller:
    def start(self) -> None:
        self._task = asyncio.create_task(asyncio.sleep(60))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def main() -> None:
    poller = Poller()
    poller.start()
    await asyncio.sleep(0.01)
    await poller.close()


asyncio.run(main())
```

A task group waits by itself:

```python
import anyio


async def poll() -> None:
    try:
        await anyio.sleep(60)
    finally:
        print("cleaned up")


async def main() -> None:
    async with anyio.create_task_group() as tg:
        tg.start_soon(poll)
        await anyio.sleep(0.01)
        tg.cancel_scope.cancel()


anyio.run(main)
```

## Limits

- With several ends the best one counts: an owner whose `close()` waits is not reported for a `terminate()` which only
  cancels.
- `gather(..., return_exceptions=True)` also swallows the error of a task that had failed before. Look at its results
  where that matters.
- A method that is not async can only cancel. Give the owner an async end beside it.

## References

- [asyncio: task cancellation](https://docs.python.org/3/library/asyncio-task.html#task-cancellation)
- [Task.cancel](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancel): "does not guarantee that the
  Task will be cancelled"
- [AnyIO: cancellation and timeouts](https://anyio.readthedocs.io/en/stable/cancellation.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK103"
NAME = "unawaited-cancel"
LEVEL = Level.WARNING
DEFAULT = True
FATES = frozenset({Fate.CANCELLED})
PATTERNS: frozenset[Pattern] = frozenset()

ADVICE = (
    "after `cancel()`, wait until it has ended: `await asyncio.gather(task, return_exceptions=True)`; "
    f"or spawn it in a task group, which waits by itself ({words.GROUP})"
)


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is cancelled and not waited for."""
    for task in subject.with_fate(FATES):
        yield words.about(task, code=CODE, name=NAME, level=LEVEL, message=_message(task), advice=ADVICE)


def _message(task: Task) -> str:
    handle = f" through {words.quoted(task.handle)}" if task.handle else ""
    return f"{words.the_task(task)} is cancelled{handle}, but nobody waits until it has ended"
