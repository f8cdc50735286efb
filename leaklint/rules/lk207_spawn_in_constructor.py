"""A task is spawned where nothing can own it yet: in a constructor, a property or at import.

## What it does

Reports a spawn that nobody waits for in `__init__`, `__new__` or `__post_init__` (of dataclasses; those of attrs and
pydantic, too), in a private method that only these call, in a property or `__getattr__`, and at the top level of a
module or in the body of a class, which an import runs.

## Why is this bad?

While an object is being made nobody holds it, so nobody can end it; and whoever makes one sees a plain call, not that a
task has been started. If the constructor fails after the spawn, the task runs on for an object that never was. The same
goes for a property, which should only look, and for an import: there the event loop of the program may not even run yet,
and the task is bound to another one.

## Example

```python
import asyncio


class Cache:
    def __init__(self) -> None:
        self._cleaner = asyncio.create_task(self._clean())

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(0.01)


async def main() -> None:
    cache = Cache()
    await asyncio.sleep(0.05)


asyncio.run(main())
```

## Use instead

A constructor that only fills in values, and a method that runs the work in a group of the caller:

```python
import anyio


class Cache:
    async def run(self) -> None:
        while True:
            await anyio.sleep(0.01)


async def main() -> None:
    cache = Cache()
    async with anyio.create_task_group() as tg:
        tg.start_soon(cache.run)
        await anyio.sleep(0.05)
        tg.cancel_scope.cancel()


anyio.run(main)
```

Where the object must own the task, make it one that is entered. (With AnyIO, `anyio.AsyncContextManagerMixin` lets it
hold a task group.)

```python
import asyncio


class Cache:
    async def __aenter__(self) -> "Cache":
        self._cleaner = asyncio.create_task(self._clean())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._cleaner.cancel()
        await asyncio.gather(self._cleaner, return_exceptions=True)

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(0.01)


async def main() -> None:
    async with Cache():
        await asyncio.sleep(0.05)


asyncio.run(main())
```

What an import has started belongs into the `main` of the program, or into the lifespan of the web framework.

## Limits

- A constructor whose task is waited for at the end of the object (`close`, `stop`, `__aexit__`) is not reported; where
  nobody calls that end, LK107 reports the object. An end that only cancels is LK103.
- The top level of a module that runs the event loop itself, or what stands below `if __name__ == "__main__"`, is a
  program and no import: LK101 and LK102 report its tasks.

## References

- [Python: asynchronous context managers](https://docs.python.org/3/reference/datamodel.html#async-context-managers)
- [AnyIO: context manager mix-in classes](https://anyio.readthedocs.io/en/stable/contextmanagers.html)
- [Starlette: lifespan](https://www.starlette.io/lifespan/)
- Peers, for a task that nothing keeps: [ruff RUF006](https://docs.astral.sh/ruff/rules/asyncio-dangling-task/),
  [flake8-async ASYNC300](https://flake8-async.readthedocs.io/en/latest/rules.html#async300),
  [Sonar S7502](https://rules.sonarsource.com/python/RSPEC-7502/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.code import Function
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Standing, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK207"
NAME = "spawn-in-constructor"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.CONSTRUCTOR})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is spawned before anything can own it."""
    for task in subject.with_pattern(PATTERNS):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(subject, task), advice=_advice(subject, task)
        )


def _message(subject: Subject, task: Task) -> str:
    how, by = task.standing or Standing("import", "")
    spawns = f"spawns {words.the_task(task)}"
    if how == "import":
        return f"importing the module {spawns}, and nothing owns it"
    if how == "property":
        using = words.quoted(by) if by.startswith("__") else f"using {words.quoted(by)}"
        return f"{using} {spawns}, and nothing owns it"
    name = words.function_name(subject, task)
    called = "" if name == words.quoted(by) else f", which runs in {words.quoted(by)},"
    return f"{name}{called} {spawns} before anybody holds the object, and nothing waits for it"


def _advice(subject: Subject, task: Task) -> str:
    how = task.standing.how if task.standing else "import"
    if how == "import":
        place = "in the `main` of the program, or in the lifespan of the framework"
        return f"spawn it {place}, in a task group ({words.GROUP})"
    if how == "property":
        return "make it an async method that waits, or spawn the task where the object is started"
    owner = _class_name(words.spawner(subject, task))
    return (
        f"move the spawn into `__aenter__`, and wait in `__aexit__`; or give {owner} an async `run` method that the "
        f"caller spawns in a task group ({words.GROUP})"
    )


def _class_name(function: Function | None) -> str:
    return words.quoted(function.owner.rpartition(".")[2]) if function and function.owner else "the class"
