"""A loop over `as_completed` that can be left before its end.

## What it does

Reports a loop over `asyncio.as_completed(...)` that some path leaves before the last result has come: a `break`, a
`return`, an error of one member that is not caught inside the loop, a time-out, or a cancellation. There is one finding for each
`as_completed`, at its call, and none at the spawns of the tasks that are passed to it.

## Why is this bad?

`as_completed` starts all of its awaitables when the loop begins, and ends none of them. When the loop is left at the first
good answer, or at the first error, the others run on: nobody sees their results, nobody sees their errors.

## Example

```python
import asyncio


async def fetch(mirror: str) -> str:
    await asyncio.sleep(0.01 * len(mirror))
    return mirror


async def fastest(mirrors: list[str]) -> str:
    for finished in asyncio.as_completed([fetch(mirror) for mirror in mirrors]):
        answer = await finished
        if answer:
            return answer
    return ""


print(asyncio.run(fastest(["near", "far away"])))
```

## Use instead

Tasks of a group send their results into a stream. Who has seen enough cancels the group, which waits until all have ended:

```python
import anyio
from anyio.abc import ObjectSendStream


async def fetch(mirror: str, results: ObjectSendStream[str]) -> None:
    async with results:
        await anyio.sleep(0.01 * len(mirror))
        await results.send(mirror)


async def fastest(mirrors: list[str]) -> str:
    answer = ""
    send, receive = anyio.create_memory_object_stream[str]()
    async with anyio.create_task_group() as tg, receive:
        async with send:
            for mirror in mirrors:
                tg.start_soon(fetch, mirror, send.clone())
        async for answer in receive:
            if answer:
                tg.cancel_scope.cancel()
                break
    return answer


print(anyio.run(fastest, ["near", "far away"]))
```

From AnyIO 4.15 on there is also `async with anyio.as_completed(*calls) as results:`, with `async for handle in results:`
in it, which cancels what is left when it is left early. With asyncio alone, keep the tasks and end the rest in a `finally`:

```python
import asyncio


async def fetch(mirror: str) -> str:
    await asyncio.sleep(0.01 * len(mirror))
    return mirror


async def fastest(mirrors: list[str]) -> str:
    tasks = [asyncio.create_task(fetch(mirror)) for mirror in mirrors]
    try:
        for finished in asyncio.as_completed(tasks):
            answer = await finished
            if answer:
                return answer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ""


print(asyncio.run(fastest(["near", "far away"])))
```

## Limits

- Tasks of unknown origin, such as a list of tasks that is a parameter, are left to whoever made them.
- Whether a coroutine that may fail ever does is not known.
- `concurrent.futures.as_completed` is not looked at: its executor waits for the threads when it is shut down.

## References

- [asyncio.as_completed](https://docs.python.org/3/library/asyncio-task.html#asyncio.as_completed)
- [AnyIO: memory object streams](https://anyio.readthedocs.io/en/stable/streams.html#memory-object-streams)
- Peers: none.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, PathKind, Pattern, Task
from leaklint.rules import Subject, _waits
from leaklint.rules import _wording as words

CODE = "LK204"
NAME = "as-completed-early-exit"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.AS_COMPLETED})

WHEN = {
    **_waits.WHEN,
    PathKind.EXCEPTION: "an exception is raised{} before its end",
    PathKind.EARLY_EXIT: "it is left early{}",
    PathKind.SIBLING: "another of its awaitables fails first",
    PathKind.PARTIAL_WAIT: "it is left{} before its end",
}


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every `as_completed` that leaves a task running."""
    for task in subject.with_pattern(PATTERNS):
        message = _waits.leaves(subject, task, WHEN)
        yield _waits.about(task, code=CODE, name=NAME, message=message, advice=_advice(subject, task))


def _advice(subject: Subject, task: Task) -> str:
    if not words.can_wait(subject, task):
        return "wait in a task group inside one async function, and run that with `asyncio.run`"
    return (
        f"run them in a task group and cancel its scope when the rest is not wanted ({words.GROUP}); "
        "or keep the tasks, and in a `finally`, cancel them and `await asyncio.gather(*tasks, return_exceptions=True)`"
    )
