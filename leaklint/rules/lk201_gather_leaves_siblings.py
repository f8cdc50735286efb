"""A `gather` that ends before what it gathers.

## What it does

Reports a `gather` of several awaitables that does not end with all of them:

- it is awaited without `return_exceptions=True`: when one fails, the error is raised at once and the others run on;
- it is not awaited, or not on every path: the tasks of its coroutines are started by the call, not by the `await`.

There is one finding for each `gather`, at its call, and none at the spawns of the tasks that are passed to it.

## Why is this bad?

`gather` raises the first error and forgets the rest: "Other awaitables in the aws sequence won't be cancelled and will
continue to run." The caller sees the error, rolls back, retries, closes the connection, while the siblings still use it.
What goes wrong in them afterwards is told to nobody, not even to the log: the `gather` has taken their errors.

## Example

```python
import asyncio


async def fetch(name: str) -> str:
    await asyncio.sleep(0.01)
    if not name:
        raise ValueError("no name")
    return name


async def load() -> list[str]:
    return await asyncio.gather(fetch("users"), fetch("orders"))


print(asyncio.run(load()))
```

## Use instead

A task group cancels the others when one fails, and waits for all of them on every way out:

```python
import anyio


async def fetch(name: str) -> str:
    await anyio.sleep(0.01)
    if not name:
        raise ValueError("no name")
    return name


async def load(names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}

    async def fetch_into(name: str) -> None:
        found[name] = await fetch(name)

    async with anyio.create_task_group() as tg:
        for name in names:
            tg.start_soon(fetch_into, name)
    return found


print(anyio.run(load, ["users", "orders"]))
```

From AnyIO 4.15 on there is also `await anyio.gather(fetch("users"), fetch("orders"))`, a task group around the calls that
returns a tuple of their results, and `await anyio.amap(fetch, names)`, which returns a list. Without AnyIO, on Python
3.11 and newer: `async with asyncio.TaskGroup() as tg`.

Where the others are meant to finish whatever happens to one of them, let `gather` wait for all:

```python
import asyncio


async def fetch(name: str) -> str:
    await asyncio.sleep(0.01)
    if not name:
        raise ValueError("no name")
    return name


async def load() -> list[str]:
    results = await asyncio.gather(fetch("users"), fetch("orders"), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, str)]


print(asyncio.run(load()))
```

## Limits

- Awaitables of unknown origin, such as a list of tasks that is a parameter, are left to whoever made them.
- Whether a coroutine that may fail ever does is not known. A `gather` of coroutines that plainly cannot fail, and one of
  a single awaitable, are not reported.
- A failure path that cancels the tasks and waits for them counts; one that only cancels the `gather` does so only if the
  `gather` is then awaited: it is done by the time it has raised.
- Errors leave a task group as an exception group: `except ValueError` around it becomes `except* ValueError`.

## References

- [asyncio.gather](https://docs.python.org/3/library/asyncio-task.html#asyncio.gather)
- [asyncio: task groups](https://docs.python.org/3/library/asyncio-task.html#task-groups)
- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- Peers: none for a `gather` that is awaited. A bare one is reported by mypy's opt-in
  [`unused-awaitable`](https://mypy.readthedocs.io/en/stable/error_code_list2.html#check-that-awaitable-return-value-is-used-unused-awaitable).
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, PathKind, Pattern, Task
from leaklint.rules import Subject, _waits
from leaklint.rules import _wording as words

CODE = "LK201"
NAME = "gather-leaves-siblings"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.GATHER})

WHEN = {**_waits.WHEN, PathKind.SIBLING: "another of its awaitables fails first"}
GROUP = f"run them in a task group, which cancels the others and waits for them ({words.GROUP})"


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every `gather` that leaves a task running."""
    for task in subject.with_pattern(PATTERNS):
        message = _waits.leaves(subject, task, WHEN)
        yield _waits.about(task, code=CODE, name=NAME, message=message, advice=_advice(subject, task))


def _advice(subject: Subject, task: Task) -> str:
    if not words.can_wait(subject, task):
        return "gather them in a task group inside one async function, and run that with `asyncio.run`"
    if task.fate is Fate.CANCELLED:
        return "await it after the cancel: `await asyncio.gather(gathered, return_exceptions=True)`"
    if PathKind.SIBLING in task.paths:
        return f"{GROUP}; or pass `return_exceptions=True` and look at the results"
    return f"{GROUP}; or await it at once, with `return_exceptions=True`"
