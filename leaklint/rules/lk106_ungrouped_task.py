"""A task that is waited for by hand, outside any task group.

## What it does

With `--strict` (or when it is selected): lists a spawn that is waited for on every path by the function that spawned
it, or by its owner's end, without a task group.

## Why is this bad?

It is correct today. That somebody waits rests on every path through code that will change, and each `try`/`finally`
around a handle is a task group written by hand. A project that wants all its tasks in task groups finds here what is
left to do.

## Example

```python
import asyncio


async def work() -> None:
    await asyncio.sleep(0.01)


async def main() -> None:
    task = asyncio.create_task(work())
    await task


asyncio.run(main())
```

## Use instead

```python
import anyio


async def work() -> None:
    await anyio.sleep(0.01)


async def main() -> None:
    async with anyio.create_task_group() as tg:
        tg.start_soon(work)


anyio.run(main)
```

Without AnyIO, on Python 3.11 and newer:

```python
import asyncio


async def work() -> None:
    await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as tg:
        tg.create_task(work())


asyncio.run(main())
```

## Limits

- Moving a task into a group changes what the program does: an error cancels the other tasks and leaves the block as an
  exception group, and a task that runs for ever must be cancelled before the block ends.
- A class of the project that spawns what its callers give it, and waits for it, is taken for a task group if the project
  enters or ends its objects. A class that spawns its own methods is an owner like any other: those spawns are listed.

## References

- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- [asyncio: task groups](https://docs.python.org/3/library/asyncio-task.html#task-groups)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK106"
NAME = "ungrouped-task"
LEVEL = Level.NOTE
DEFAULT = False
FATES = frozenset({Fate.JOINED, Fate.OWNED})
PATTERNS: frozenset[Pattern] = frozenset()

ADVICE = f"spawn it in a task group that ends where the wait is now ({words.GROUP})"


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is waited for by hand."""
    for task in subject.with_fate(FATES):
        yield words.about(task, code=CODE, name=NAME, level=LEVEL, message=_message(subject, task), advice=ADVICE)


def _message(subject: Subject, task: Task) -> str:
    waiter = words.owner_name(subject, task) if task.fate is Fate.OWNED else words.function_name(subject, task)
    return f"{words.the_task(task)} is waited for by hand, by {waiter}, outside any task group"
