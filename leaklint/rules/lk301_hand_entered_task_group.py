"""A task group or cancel scope is entered by hand and left elsewhere, or never.

## What it does

Reports `__aenter__()` of a task group (`__enter__()` of a cancel scope or time limit) and
`AsyncExitStack.enter_async_context(group)`, where the group is left by another function than the one that enters it,
by the same function but not on every path, or by nothing in view. A context manager of the project that enters a group
is treated as the group is. Of what is put on one exit stack, the first is reported.

## Why is this bad?

A task group belongs to the task that enters it: when a child fails, it cancels that task, wherever that is by then, and
the same task has to leave the group. With a `start` and a `stop`, each may be called from another task:

- AnyIO and trio raise `RuntimeError: Attempted to exit cancel scope in a different task than it was entered in`. The
  same happens in one task if two such services are not stopped in the reverse order, or if `start` is called inside
  a time limit.
- `asyncio.TaskGroup` does not notice, and a failing child cancels the task that called `start`.
- If `stop` is never called, nobody waits for the children, and their errors are lost.

## Example

```python
import anyio


class Service:
    async def start(self) -> None:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(anyio.sleep, 3600)

    async def stop(self) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)


async def main() -> None:
    service = Service()
    await service.start()
    await service.stop()


anyio.run(main)
```

## Use instead

Make the object a context manager. AnyIO turns a generator into one, in which the group is entered and left by
`async with`:

```python
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio


class Service(anyio.AsyncContextManagerMixin):
    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator["Service", None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 3600)
            yield self
            tasks.cancel_scope.cancel()


async def main() -> None:
    async with Service():
        await anyio.sleep(0.01)


anyio.run(main)
```

With asyncio alone, an exit stack does the same, filled in `__aenter__` and closed in `__aexit__`:

```python
import asyncio
from contextlib import AsyncExitStack


class Service:
    async def __aenter__(self) -> "Service":
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._work = tasks.create_task(asyncio.sleep(3600))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        self._work.cancel()
        return await self._stack.__aexit__(*exc_info)


async def main() -> None:
    async with Service():
        await asyncio.sleep(0.01)


asyncio.run(main())
```

Where `start` and `stop` must stay, let the caller pass a task group in, or let one task own the group: `start` spawns
it, `stop` sets an event for which it waits inside of `async with`.

## Limits

- A group that `__aenter__` enters, itself or by a method that nothing else calls, is not reported: `async with` on the
  object calls `__aenter__` and `__aexit__` in one task. The pair `__aenter__` -> `self._group.__aenter__()` and
  `__aexit__` -> `self._group.__aexit__(...)` is sound, if nothing can fail in between.
- Nor is one that a method of the same class enters and leaves by way of two others, or that is left in a `finally`.
- An exit stack that was passed in is left by whoever made it: nothing is said about it.
- Context managers that are not in view, or not known to hold a group (a client, a session), are not reported.
- That a group is entered and left by methods of two names does not prove that two tasks call them: it shows that the
  class leaves this to chance.

## References

- [AnyIO: context managers that hold task groups](https://anyio.readthedocs.io/en/stable/contextmanagers.html)
- [AnyIO: avoiding cancel scope stack corruption](https://anyio.readthedocs.io/en/stable/cancellation.html#avoiding-cancel-scope-stack-corruption)
- [Python: task groups](https://docs.python.org/3/library/asyncio-task.html#task-groups)
- Peers: none.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Misuse, Pattern
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK301"
NAME = "hand-entered-task-group"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.HAND_ENTERED})

_HOW = {
    "never": "and nothing leaves it",
    "straight": "and left by hand, too: an exception in between leaves it open",
    "returned": "and handed to whoever calls: nothing says that the same task leaves it",
    "elsewhere": "and left by another function, which may run in another task",
}


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every group or scope that is entered by hand and left elsewhere, or never."""
    for misuse in subject.misused(PATTERNS):
        yield words.misused(
            misuse,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=_message(misuse),
            label="entered here",
            advice=_advice(misuse),
        )


def _message(misuse: Misuse) -> str:
    function = words.quoted(misuse.function.rpartition(".")[2])
    holder, _, how = misuse.how.rpartition(" ")
    what = f"{words.quoted(misuse.source)}{', which holds a task group,' if holder else ''}"
    return f"{what} is entered by hand in {function}, {_HOW[how]}"


def _advice(misuse: Misuse) -> str:
    if misuse.how.endswith("straight"):
        return "enter it with `async with`"
    return (
        "enter it with `async with`; an object that lives as long as the group needs `__aenter__` and `__aexit__` "
        "(`anyio.AsyncContextManagerMixin`)"
    )
