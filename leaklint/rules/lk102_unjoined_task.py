"""A task that is kept, and that nobody ever waits for.

## What it does

Reports a spawn whose handle is kept beyond the function (in an attribute, a container, a global or a registry of the
project) while nobody ever cancels the task or waits for it: no `close()`, `stop()` or `__aexit__`, and no next use.

## Why is this bad?

The handle saves the task from the garbage collector, and from nothing else. When the owner is gone, the task runs on
with closed connections; at shutdown it is cut off in the middle of its work; when it fails, nobody is told. The set of
background tasks with a `discard` callback, which the Python documentation shows, belongs here too: it keeps, and nobody
waits.

## Example

```python
import asyncio


class Poller:
    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)


async def main() -> None:
    poller = Poller()
    poller.start()
    await asyncio.sleep(0.05)


asyncio.run(main())
```

## Use instead

A task group around the time in which the work is wanted: nothing is left to forget.

```python
import anyio


class Poller:
    async def run(self) -> None:
        while True:
            await anyio.sleep(0.01)


async def main() -> None:
    poller = Poller()
    async with anyio.create_task_group() as tg:
        tg.start_soon(poller.run)
        await anyio.sleep(0.05)
        tg.cancel_scope.cancel()


anyio.run(main)
```

Where the object must keep its own task, give it an end that cancels the task and waits for it:

```python
import asyncio


class Poller:
    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)


async def main() -> None:
    poller = Poller()
    poller.start()
    try:
        await asyncio.sleep(0.05)
    finally:
        await poller.close()


asyncio.run(main())
```

## Limits

- The whole project is looked at: the class, its bases and subclasses, and whoever reaches the attribute or variable. A
  task that code outside the project reaches and awaits is a false alarm: silence it with the reason.
- Waiting for an event or future counts if a done-callback of the task sets it, or the coroutine in a `finally`; so does
  polling until the task is done.
- A container that the object was given belongs to whoever made it: LK105.
- That an end method exists is enough here. Whether the project calls it is LK107.
- An end that only cancels is LK103.

## References

- [asyncio: creating tasks](https://docs.python.org/3/library/asyncio-task.html#creating-tasks), with the background set
- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- [Notes on structured concurrency](https://vorpus.org/blog/notes-on-structured-concurrency-or-go-statement-considered-harmful/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK102"
NAME = "unjoined-task"
LEVEL = Level.ERROR
DEFAULT = True
FATES = frozenset({Fate.KEPT})
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is kept only."""
    for task in subject.with_fate(FATES):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(subject, task), advice=_advice(subject, task)
        )


def _message(subject: Subject, task: Task) -> str:
    place = f"in {words.quoted(task.handle)}" if task.handle else "beyond the function"
    whole = f" of {words.owner_name(subject, task)}" if task.owner else ""
    return f"{words.the_task(task)} is kept {place}, but nothing{whole} cancels it or waits for it"


def _advice(subject: Subject, task: Task) -> str:
    if words.owned_by_class(subject, task):
        end = f"give {words.owner_name(subject, task)} an async `close` (or `__aexit__`) to {words.CANCEL_AND_WAIT}"
    else:
        end = f"where the program shuts down, {words.CANCEL_AND_WAIT}"
    return f"{end}; or spawn it in a task group that lives as long as the work ({words.GROUP})"
