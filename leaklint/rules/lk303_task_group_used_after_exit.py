"""A task is spawned into a task group that has been left.

## What it does

Reports `start_soon`, `start`, `create_task` and their like on a task group, nursery or portal, after the `async with`
block that has entered it, or after its `__aexit__()`, in the same function.

## Why is this bad?

A group that has been left has waited for its tasks and takes no more. The call raises `RuntimeError`, and what it should
have run never runs; with `asyncio.TaskGroup`, the coroutine that was made for it is never awaited.

## Example

```python
import anyio


async def main() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0.01)
    try:
        tasks.start_soon(anyio.sleep, 0.02)
    except RuntimeError as error:
        print(error)


anyio.run(main)
```

## Use instead

```python
import anyio


async def main() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0.01)
        tasks.start_soon(anyio.sleep, 0.02)


anyio.run(main)
```

What must begin after the others have ended goes into a group of its own:

```python
import asyncio


async def main() -> None:
    async with asyncio.TaskGroup() as first:
        first.create_task(asyncio.sleep(0.01))
    async with asyncio.TaskGroup() as second:
        second.create_task(asyncio.sleep(0.02))


asyncio.run(main())
```

## Limits

- Only what is certain is reported: the group has been left on every path that leads to the call within the function.
- A function that is defined inside the block and called after it, and a group that is passed on, are not followed.
- A group in an attribute is only followed where no other function assigns that attribute.
- Groups of the project that are made to be used again (a class with its own `__aexit__` or `create_task`) are not
  reported.

## References

- [AnyIO: task groups](https://anyio.readthedocs.io/en/stable/tasks.html)
- [Python: task groups](https://docs.python.org/3/library/asyncio-task.html#task-groups)
- [Trio: nurseries](https://trio.readthedocs.io/en/stable/reference-core.html#nurseries-and-spawning)
- Peers: none. flake8-async ASYNC111 reports a neighbouring fault: a context manager that is closed before the task
  group in which it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK303"
NAME = "task-group-used-after-exit"
LEVEL = Level.ERROR
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.USED_AFTER_EXIT})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every spawn into a group that has been left."""
    for misuse in subject.misused(PATTERNS):
        call = words.quoted(f"{misuse.source}.{misuse.how}")
        yield words.misused(
            misuse,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=f"{call} spawns into a group that has been left: it raises `RuntimeError`, and nothing runs",
            label="spawned here",
            advice="spawn it before the block ends, or in a group of its own",
        )
