"""A task whose handle nobody keeps.

## What it does

Reports a spawn whose handle is thrown away at once, or is kept in a name that is never read again (a local name, or a
variable of the module or of an enclosing function), or in a local one that is read only for things that do not wait
(`cancel()` in no path that ends the function, a done-callback, `done()`, logging).

## Why is this bad?

Nobody can know when the task has ended, or whether it failed:

- Its exception is printed when the garbage collector finds the task, long after the caller was told that all is well.
- The event loop keeps only a weak reference to a task. Python may collect it before it has ended.
- At shutdown it is cut off in the middle of a write; in a test it runs on into the next one.

## Example

```python
import asyncio


async def send_mail(address: str) -> None:
    await asyncio.sleep(0.01)
    print("sent to", address)


async def register(address: str) -> str:
    asyncio.create_task(send_mail(address))
    return "welcome"


print(asyncio.run(register("ada@example.org")))
```

## Use instead

A task group that ends before the function returns; or, when the work is to go on after that, a group of somebody further
out: the `main` of the program, or the lifespan of a web application.

```python
import anyio
from anyio.abc import TaskGroup


async def send_mail(address: str) -> None:
    await anyio.sleep(0.01)
    print("sent to", address)


async def register(address: str, background: TaskGroup) -> str:
    background.start_soon(send_mail, address)
    return "welcome"


async def main() -> None:
    async with anyio.create_task_group() as background:
        print(await register("ada@example.org", background))


anyio.run(main)
```

Without AnyIO, on Python 3.11 and newer:

```python
import asyncio


async def send_mail(address: str) -> None:
    await asyncio.sleep(0.01)
    print("sent to", address)


async def register(address: str, background: asyncio.TaskGroup) -> str:
    background.create_task(send_mail(address))
    return "welcome"


async def main() -> None:
    async with asyncio.TaskGroup() as background:
        print(await register("ada@example.org", background))


asyncio.run(main())
```

## Limits

- A task group waits for its tasks: the block ends when the last of them has ended, and an error in one cancels the
  others and leaves the block as an exception group. A task that runs for ever must be cancelled before the block ends.
- A handle that is passed to code outside the project counts as handed over (LK105), even if that code drops it.
- The call of a function that returns its task is a spawn of its own: what drops the task is reported there, in any file
  of the project, and the spawn inside of the function is not reported again.
- Adding the handle to a set that outlives the function keeps it from the garbage collector, and no more: see LK102.

## References

- [asyncio.create_task](https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task): the note on weak references
- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- [Starlette: lifespan](https://www.starlette.io/lifespan/): where a web application can own a task group
- Peers: [ruff RUF006](https://docs.astral.sh/ruff/rules/asyncio-dangling-task/),
  [flake8-async ASYNC300](https://flake8-async.readthedocs.io/en/latest/rules.html#async300),
  [Sonar S7502](https://rules.sonarsource.com/python/RSPEC-7502/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK101"
NAME = "dropped-task"
LEVEL = Level.ERROR
DEFAULT = True
FATES = frozenset({Fate.DROPPED})
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every dropped task."""
    for task in subject.with_fate(FATES):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(task), advice=_advice(subject, task)
        )


def _message(task: Task) -> str:
    if task.handle in (None, "_"):
        return f"nothing keeps {words.the_task(task)}: nobody can wait for it, and its errors are lost"
    return f"nobody waits for {words.the_task(task)}: its handle {words.quoted(task.handle)} is never awaited"


def _advice(subject: Subject, task: Task) -> str:
    name = words.function_name(subject, task)
    if words.can_wait(subject, task):
        return (
            f"spawn it in a task group that is left before {name} returns ({words.GROUP}); "
            "if it must run on, spawn it in a group that the caller passes in"
        )
    return (
        f"{name} is not async and cannot wait: spawn it in a task group that is passed in ({words.GROUP}), "
        "or keep the handle where an async function can await it"
    )
