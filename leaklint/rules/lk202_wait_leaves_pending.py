"""An `asyncio.wait` that returns with tasks pending, which nobody ends.

## What it does

Reports `asyncio.wait` with a time-out, `FIRST_COMPLETED` or `FIRST_EXCEPTION`, where some path out of the function
neither cancels *and* awaits what is still pending, nor goes on waiting until it is done. There is one finding for each
`wait`, at its call, and none at the spawns of the tasks that are passed to it.

Also reported: `asyncio.wait` that is not awaited at all.

## Why is this bad?

`asyncio.wait` never raises and cancels nothing, neither when its time is over nor when it is cancelled itself. The race
has a winner, the function returns, and the losers run on: they hold their connections, write their results over those
of the winner, and fail unseen.

## Example

```python
import asyncio


async def fetch(mirror: str) -> str:
    await asyncio.sleep(0.01 * len(mirror))
    return mirror


async def fastest(mirrors: list[str]) -> str:
    tasks = [asyncio.create_task(fetch(mirror)) for mirror in mirrors]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


print(asyncio.run(fastest(["near", "far away"])))
```

## Use instead

In a task group the first to finish cancels the scope; the group waits until the others have ended:

```python
import anyio


async def fetch(mirror: str) -> str:
    await anyio.sleep(0.01 * len(mirror))
    return mirror


async def fastest(mirrors: list[str]) -> str:
    found: list[str] = []

    async with anyio.create_task_group() as tg:

        async def race(mirror: str) -> None:
            found.append(await fetch(mirror))
            tg.cancel_scope.cancel()

        for mirror in mirrors:
            tg.start_soon(race, mirror)
    return found[0]


print(anyio.run(fastest, ["near", "far away"]))
```

For a time limit, put `with anyio.move_on_after(10):` around the group: what is not finished by then is cancelled and
waited for. With asyncio alone, end the rest in a `finally`:

```python
import asyncio


async def fetch(mirror: str) -> str:
    await asyncio.sleep(0.01 * len(mirror))
    return mirror


async def fastest(mirrors: list[str]) -> str:
    tasks = [asyncio.create_task(fetch(mirror)) for mirror in mirrors]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


print(asyncio.run(fastest(["near", "far away"])))
```

## Limits

- Tasks of unknown origin, such as a set of tasks that is a parameter, are left to whoever made them.
- A pending set that is cancelled but not awaited is reported by unawaited-cancel (LK103), at the spawn.
- `asyncio.wait` without a time-out and with `ALL_COMPLETED` leaves its tasks running only when it is cancelled itself:
  leaky-path (LK104).
- A loop which waits for a pending set until it is empty is taken to end every task in it.

## References

- [asyncio.wait](https://docs.python.org/3/library/asyncio-task.html#asyncio.wait): "Unlike `wait_for()`, `wait()` does
  not cancel the futures when a timeout occurs"
- [AnyIO: cancellation and timeouts](https://anyio.readthedocs.io/en/stable/cancellation.html)
- Peers: none. An `asyncio.wait` that is not awaited is reported by Pyright's `reportUnusedCoroutine` and mypy's
  `unused-coroutine`.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, PathKind, Pattern, Task
from leaklint.rules import Subject, _waits
from leaklint.rules import _wording as words

CODE = "LK202"
NAME = "wait-leaves-pending"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.WAIT})

WHEN = {
    **_waits.WHEN,
    PathKind.TIMEOUT: "its time limit strikes",
    PathKind.PARTIAL_WAIT: "it returns with tasks pending",
}
END = "for each pending task, cancel it, and `await asyncio.gather(*pending, return_exceptions=True)`"


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every `wait` that leaves a task running."""
    for task in subject.with_pattern(PATTERNS):
        message = _waits.leaves(subject, task, WHEN)
        yield _waits.about(task, code=CODE, name=NAME, message=message, advice=_advice(subject, task))


def _advice(subject: Subject, task: Task) -> str:
    if not words.can_wait(subject, task):
        return "wait in a task group inside one async function, and run that with `asyncio.run`"
    limit = ", in `anyio.move_on_after()` for the time limit" if PathKind.TIMEOUT in task.paths else ""
    return f"run them in a task group and cancel its scope when the rest is not wanted ({words.GROUP}){limit}; or {END}"
