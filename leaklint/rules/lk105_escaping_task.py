"""A task that is handed to somebody else to wait for.

## What it does

With `--strict` (or when it is selected): lists a spawn whose handle is returned, yielded, or passed to code outside the
project. The receiver must see to it that the task ends; leaklint cannot see whether it does.

## Why is this bad?

It is not wrong, but it is a promise that no tool checks. Nothing in the type of a task says who must wait for it, and a
caller that ignores the value is a leak. A task group as a parameter turns the promise into a fact: the caller owns the
group, and the group waits.

## Example

```python
import asyncio


async def refresh() -> None:
    await asyncio.sleep(0.01)


def start() -> asyncio.Task[None]:
    return asyncio.create_task(refresh())
```

## Use instead

```python
import anyio
from anyio.abc import TaskGroup


async def refresh() -> None:
    await anyio.sleep(0.01)


def start(tg: TaskGroup) -> None:
    tg.start_soon(refresh)


async def main() -> None:
    async with anyio.create_task_group() as tg:
        start(tg)


anyio.run(main)
```

Without AnyIO, take an `asyncio.TaskGroup` (Python 3.11 and newer) in the same way.

## Limits

- A function that returns its task is followed to its calls in the project, through at most four functions, and its task
  gets the fate of the worst of them. It is listed if nothing in the project calls it.
- A container that the object was given, or that its class never makes, is taken for somebody else's.
- Passing a handle to a function of the standard library that waits for it (`gather`, `wait`, ...) is no hand-over.

## References

- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- [Notes on structured concurrency: the nursery as a parameter](https://vorpus.org/blog/notes-on-structured-concurrency-or-go-statement-considered-harmful/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK105"
NAME = "escaping-task"
LEVEL = Level.NOTE
DEFAULT = False
FATES = frozenset({Fate.HANDED})
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is handed over."""
    for task in subject.with_fate(FATES):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(subject, task), advice=_advice(subject, task)
        )


def _message(subject: Subject, task: Task) -> str:
    return f"{words.the_task(task)} leaves {words.function_name(subject, task)}: whoever receives it must wait for it"


def _advice(subject: Subject, task: Task) -> str:
    return f"let {words.function_name(subject, task)} take a task group and spawn into it ({words.GROUP})"
