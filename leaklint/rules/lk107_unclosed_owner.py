"""An object that owns tasks is made and never ended.

## What it does

Reports the construction of an object whose class spawns a task and has a method that waits for it (`close`, `stop`,
`__aexit__` or any other), where the project starts the task and nothing ends the object: no `async with`, no call of
such a method, no exit stack, and it is not returned, passed on or stored where something else ends it.

## Why is this bad?

The class does its part: whoever ends its objects has seen their tasks end. An object that nobody ends keeps its tasks
running after the function is left. They hold connections and locks, and die wherever the event loop leaves them.

## Example

```python
import asyncio


class Heartbeat:
    async def start(self) -> None:
        self._task = asyncio.create_task(asyncio.sleep(3600))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def main() -> None:
    heartbeat = Heartbeat()
    await heartbeat.start()


asyncio.run(main())
```

## Use instead

```python
import asyncio


class Heartbeat:
    async def start(self) -> None:
        self._task = asyncio.create_task(asyncio.sleep(3600))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def main() -> None:
    heartbeat = Heartbeat()
    await heartbeat.start()
    try:
        await asyncio.sleep(0.01)
    finally:
        await heartbeat.stop()


asyncio.run(main())
```

Better still, give the class `__aenter__` and `__aexit__` and enter its objects with `async with`.

## Limits

- An object that is ended on one path only is not reported, nor is one that is ended by a method which does not wait: a
  method of the class by the name of `stop`, `kill`, `cancel` and their like counts as an end.
- An object in a public attribute or a public variable of a module may be ended by others: it is not reported.
- Objects that are passed to code outside the project, or put where the analysis cannot follow, are not reported.
- An object counts as started when a method that spawns is called on it, in the function that makes it or, for one that
  is kept, anywhere in the project.

## References

- [Python: asynchronous context managers](https://docs.python.org/3/reference/datamodel.html#async-context-managers)
- [contextlib: `aclosing`](https://docs.python.org/3/library/contextlib.html#contextlib.aclosing)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Unclosed
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK107"
NAME = "unclosed-owner"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every object that owns tasks and that nothing ends."""
    for unclosed in subject.unclosed:
        yield Diagnostic(
            path=unclosed.path,
            span=unclosed.span,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=_message(unclosed),
            label="made here",
            help=_advice(unclosed),
            evidence=unclosed.evidence,
        )


def _message(unclosed: Unclosed) -> str:
    where = f", kept in {words.quoted(unclosed.kept)}," if unclosed.kept else ""
    task = f"owns the task of {words.quoted(unclosed.spawned)}"
    return f"this {words.quoted(unclosed.made)}{where} {task}, and nothing calls {words.quoted(unclosed.end)}"


def _advice(unclosed: Unclosed) -> str:
    end = unclosed.end.rpartition(".")[2]
    if end == "__aexit__":
        return "enter it with `async with`"
    return f"call {words.quoted(end)} in a `finally`, or where its owner ends"
