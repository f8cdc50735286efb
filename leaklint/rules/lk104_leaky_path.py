"""A task that is waited for, but not on every path.

## What it does

Reports a spawn that is waited for on the straight path through the function, while some other path leaves it running.
The message names the kind of path, and the line where it leaves:

| kind | the task still runs when |
|---|---|
| `exception` | an await or a call between the spawn and the wait raises |
| `early-exit` | a `return`, `break` or `continue` comes before the wait |
| `timeout` | the time limit of the wait strikes, and nobody cancels what is left |
| `sibling` | another awaitable of the same `gather` fails first |
| `partial-wait` | the wait returns with the first result, and nobody deals with the pending ones |
| `cancellation` | the function itself is cancelled in a wait that does not cancel its tasks |

## Why is this bad?

The straight path is the one that is tested. On the other one the caller sees an error or a result, and believes that
the function is over, while its task still works: on data that is rolled back, with a connection that is given away.

## Example

```python
import asyncio


async def fetch(name: str) -> str:
    await asyncio.sleep(0.01)
    return name


async def load() -> tuple[str, str]:
    users = asyncio.create_task(fetch("users"))
    orders = await fetch("orders")
    return await users, orders


print(asyncio.run(load()))
```

When `fetch("orders")` raises, nobody waits for `users`.

## Use instead

A task group waits on every way out, and cancels first when an error is on its way:

```python
import anyio


async def fetch(name: str) -> str:
    await anyio.sleep(0.01)
    return name


async def load() -> tuple[str, str]:
    found: dict[str, str] = {}

    async def fetch_users() -> None:
        found["users"] = await fetch("users")

    async with anyio.create_task_group() as tg:
        tg.start_soon(fetch_users)
        orders = await fetch("orders")
    return found["users"], orders


print(anyio.run(load))
```

From AnyIO 4.14 on, `users = tg.create_task(fetch("users"))` in the block gives a handle with a `users.return_value` after
it. Without AnyIO, on Python 3.11 and newer: `async with asyncio.TaskGroup() as tg`, and `users.result()` after the block.

## Limits

- Any `await`, `raise` or call is taken for one that may raise, except calls that cannot sensibly fail: `print`, `len`,
  logging, container methods, constructors of builtins.
- Whether a call that may raise ever does is not known. Where it cannot, say so: `# leaklint: ignore[LK104] -- why`.
- Errors leave a task group as an exception group: `except ValueError` around it becomes `except* ValueError`.

## References

- [asyncio: task groups](https://docs.python.org/3/library/asyncio-task.html#task-groups)
- [asyncio.gather](https://docs.python.org/3/library/asyncio-task.html#asyncio.gather): "Other awaitables [...] won't be
  cancelled and will continue to run"
- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, PathKind, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK104"
NAME = "leaky-path"
LEVEL = Level.WARNING
DEFAULT = True
FATES = frozenset({Fate.HAZARD})
PATTERNS: frozenset[Pattern] = frozenset()

WHEN = {
    PathKind.EXCEPTION: "an exception is raised{}",
    PathKind.EARLY_EXIT: "the function is left early{}",
    PathKind.TIMEOUT: "the time limit{} strikes",
    PathKind.SIBLING: "another awaitable of the gather{} fails first",
    PathKind.PARTIAL_WAIT: "the wait{} returns with tasks pending",
    PathKind.CANCELLATION: "the function is cancelled{}",
}
ADVICE = {
    PathKind.EXCEPTION: f"or in a `finally`, {words.CANCEL_AND_WAIT}",
    PathKind.EARLY_EXIT: f"or before that exit, {words.CANCEL_AND_WAIT}",
    PathKind.TIMEOUT: f"or when the time is over, {words.CANCEL_AND_WAIT}",
    PathKind.SIBLING: f"or when the gather raises, {words.CANCEL_AND_WAIT} for each of the others",
    PathKind.PARTIAL_WAIT: f"or for each pending task, {words.CANCEL_AND_WAIT}",
    PathKind.CANCELLATION: f"or in a `finally`, {words.CANCEL_AND_WAIT}",
}


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that some path leaves running."""
    for task in subject.with_fate(FATES):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(task), advice=_advice(subject, task)
        )


def _message(task: Task) -> str:
    """Every kind of path, the first with the line where it leaves."""
    step = task.leaving
    place = f" on line {step.span.line}" if step and step.path == task.path else ""
    kinds = [WHEN[kind].format("" if index else place) for index, kind in enumerate(task.paths)]
    return f"{words.the_task(task)} is left running when {', or when '.join(kinds)}"


def _advice(subject: Subject, task: Task) -> str:
    if not words.can_wait(subject, task):
        return f"spawn it in a task group ({words.GROUP}) inside one async function, and run that with `asyncio.run`"
    return f"spawn it in a task group, which waits on every way out ({words.GROUP}); {ADVICE[task.paths[0]]}"
