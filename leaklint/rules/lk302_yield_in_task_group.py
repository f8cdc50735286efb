"""A generator yields inside a task group or cancel scope.

## What it does

Reports an async generator with a `yield` inside of `async with` a task group, or inside of a cancel scope or time limit
(`anyio.CancelScope`, `move_on_after`, `fail_after`, `asyncio.timeout` and their like), unless it is a context manager.

## Why is this bad?

Between two steps of a generator, its consumer runs, inside of the scope that the generator has entered and of which the
consumer knows nothing (PEP 789):

- The scope cancels the task that entered it. When a child fails, or the time is over, the `CancelledError` is raised
  wherever the consumer is, outside of the `async with` that would turn it into an error again.
- A consumer that leaves its loop early, by `break` or an exception, leaves the generator suspended: the group is not
  left, and its tasks run on until the garbage collector or the end of the event loop closes the generator. That happens
  in another task, in which AnyIO refuses to leave the scope.
- Scopes that are entered in one step and left in another overlap with those of the consumer, and with those of other
  generators.

## Example

```python
from collections.abc import AsyncIterator

import anyio


async def ticks(limit: int) -> AsyncIterator[int]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0.01)
        for tick in range(limit):
            yield tick


async def main() -> None:
    async for tick in ticks(3):
        print(tick)


anyio.run(main)
```

## Use instead

Let a context manager hold the group, and give out a stream:

```python
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream


async def count(limit: int, sender: ObjectSendStream[int]) -> None:
    async with sender:
        for tick in range(limit):
            await sender.send(tick)


@asynccontextmanager
async def ticks(limit: int) -> AsyncIterator[ObjectReceiveStream[int]]:
    sender, receiver = anyio.create_memory_object_stream[int]()
    async with anyio.create_task_group() as tasks, receiver:
        tasks.start_soon(count, limit, sender)
        yield receiver
        tasks.cancel_scope.cancel()


async def main() -> None:
    async with ticks(3) as stream:
        async for tick in stream:
            print(tick)


anyio.run(main)
```

Put a time limit around what the generator awaits, and yield outside of it:

```python
import asyncio
from collections.abc import AsyncIterator


async def chunks(queue: "asyncio.Queue[bytes]") -> AsyncIterator[bytes]:
    while True:
        try:
            chunk = await asyncio.wait_for(queue.get(), timeout=0.01)
        except asyncio.TimeoutError:
            return
        yield chunk


async def main() -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queue.put_nowait(b"chunk")
    async for chunk in chunks(queue):
        print(chunk)


asyncio.run(main())
```

## Limits

- Context managers are right to do this and are not reported: `@asynccontextmanager`, pytest fixtures,
  `__asynccontextmanager__`, lifespans given to a framework. A generator with another decorator, or that is given away
  uncalled (`Depends(generator)`), may be one and is not reported either.
- `async with aclosing(generator)` closes the generator in the task of the consumer, and so avoids the tasks that run on.
  It does not keep the scope's cancellation from the consumer: such generators are reported, too.
- A context manager of the project that opens a group is not looked through.

## References

- [PEP 789: preventing task-cancellation bugs by limiting yield in async generators](https://peps.python.org/pep-0789/)
- [AnyIO: avoiding cancel scope stack corruption](https://anyio.readthedocs.io/en/stable/cancellation.html#avoiding-cancel-scope-stack-corruption)
- [Trio: notes on async generators](https://trio.readthedocs.io/en/stable/reference-core.html#notes-on-async-generators)
- Peers: flake8-async ASYNC101 (`yield` in a task group or cancel scope), ASYNC119 (`yield` in any context manager) and
  ASYNC900 (any async generator); ruff ASYNC119 (preview).
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Misuse, Pattern
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK302"
NAME = "yield-in-task-group"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.YIELD_INSIDE})

_GROUP = "task group"


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every group or scope in which a generator yields that is no context manager."""
    for misuse in subject.misused(PATTERNS):
        yield words.misused(
            misuse,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=_message(misuse),
            label="yielded here",
            advice=_advice(misuse),
        )


def _message(misuse: Misuse) -> str:
    function = words.quoted(misuse.function.rpartition(".")[2])
    harm = "whose errors cancel it and whose tasks may outlive it" if misuse.how == _GROUP else "which may cancel it"
    return f"the consumer of {function} runs inside the {misuse.how} {words.quoted(misuse.source)}, {harm}"


def _advice(misuse: Misuse) -> str:
    if misuse.how == _GROUP:
        return (
            "hold the group in a context manager (`@contextlib.asynccontextmanager`) that gives out a stream or queue, "
            "and let the consumer iterate over that"
        )
    return "put it around what the generator awaits, and yield outside of it"
