"""A task of asyncio is spawned in a scope of AnyIO, whose cancellation does not reach it.

## What it does

Reports a spawn (`asyncio.create_task`, `ensure_future`, `loop.create_task`, ...) within a task group or cancel scope of
AnyIO or trio (`create_task_group`, `CancelScope`, `move_on_after`, `fail_after`, `open_nursery`) that is not waited for
on every way out. The scope is around the spawn in the same function, or around every use of the function: it is started
in a group, or only called within scopes.

## Why is this bad?

The scope promises that what was begun inside has ended when it is left, and that cancelling it, or its time-out, ends all
of it. A task that asyncio spawns is no part of the scope: it is neither cancelled nor awaited, it runs on after the group
is left, and when it fails the group does not hear of it. It looks structured, and is not.

## Example

```python
import asyncio

import anyio


async def pump() -> None:
    await asyncio.sleep(3600)


async def main() -> None:
    async with anyio.create_task_group() as tg:
        asyncio.create_task(pump())
        await anyio.sleep(0.01)
        tg.cancel_scope.cancel()


anyio.run(main)
```

## Use instead

```python
import anyio


async def pump() -> None:
    await anyio.sleep(3600)


async def main() -> None:
    async with anyio.create_task_group() as tg:
        tg.start_soon(pump)
        await anyio.sleep(0.01)
        tg.cancel_scope.cancel()


anyio.run(main)
```

Where the scope is only a time-out, open a group inside of it: the time-out cancels the group, and the group its tasks.

## Limits

- A task that is waited for on every way out is not reported: the scope cancels the wait, and the wait the task. Nor is
  one that every way out cancels (LK103), or that is left running on ways which no cancellation takes (LK104).
- Scopes which are entered by a context manager or an exit stack in between are not seen.
- A shielding scope (`CancelScope(shield=True)`) is none: it is there to keep cancellation away.

## References

- [AnyIO: cancellation and timeouts](https://anyio.readthedocs.io/en/stable/cancellation.html)
- [AnyIO: creating and managing tasks](https://anyio.readthedocs.io/en/stable/tasks.html)
- [trio: cancellation](https://trio.readthedocs.io/en/stable/reference-core.html#cancellation-and-timeouts)
- Peers: none for the scope. For a task that nothing keeps, whatever is around it:
  [ruff RUF006](https://docs.astral.sh/ruff/rules/asyncio-dangling-task/),
  [flake8-async ASYNC300](https://flake8-async.readthedocs.io/en/latest/rules.html#async300),
  [Sonar S7502](https://rules.sonarsource.com/python/RSPEC-7502/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Standing, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK304"
NAME = "native-task-in-anyio"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.NATIVE})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task of asyncio that a scope of AnyIO does not reach."""
    for task in subject.with_pattern(PATTERNS):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(task), advice=_advice(subject, task)
        )


def _message(task: Task) -> str:
    by = words.quoted(task.standing.by) if task.standing else "the scope"
    return f"cancelling {by} does not reach {words.the_task(task)}: asyncio runs it outside of the scope"


def _advice(subject: Subject, task: Task) -> str:
    how, by = task.standing or Standing("scope", "")
    if how == "group":
        return f"spawn it in the group: {words.quoted(f'{by}.start_soon(...)')}"
    if how == "unnamed":
        return "give the group a name (`as tg`), and spawn it there: `tg.start_soon(...)`"
    where = f"in {words.function_name(subject, task)}" if how == "child" else "inside of the scope"
    return f"open a task group {where} (`anyio.create_task_group()`), and spawn it there"
