"""A cancellation is caught and forgotten: the task goes on.

## What it does

Reports what catches the cancellation of the task it runs in (a bare `except`, `except BaseException`,
`except asyncio.CancelledError`, `contextlib.suppress` of these, a `finally` that ends in `break` or `continue`) where
the task then goes on: the loop around it comes round to an `await` again, or other work is awaited after it. The same
holds where the function returns as if nothing had happened, and those who await it in the project go on.

## Why is this bad?

`task.cancel()` raises `CancelledError` once, at the `await` where the task stands. If that is forgotten, the task is
not ended: a loop runs for ever, time limits are not kept, and whoever cancels the task and waits for its end hangs, as
do `asyncio.run` and `asyncio.TaskGroup`. In a cancel scope of AnyIO the cancellation comes back at every `await`: the
loop spins.

## Example

```python
import asyncio


async def poll() -> None:
    for number in range(3):
        try:
            await asyncio.sleep(0.01)
        except BaseException as error:
            print(f"poll {number} failed: {error!r}")


async def main() -> None:
    try:
        await asyncio.wait_for(poll(), 0.005)
    except asyncio.TimeoutError:
        print("out of time")


asyncio.run(main())
```

## Use instead

```python
import anyio


async def poll() -> None:
    for number in range(3):
        try:
            await anyio.sleep(0.01)
        except Exception as error:
            print(f"poll {number} failed: {error!r}")


async def main() -> None:
    with anyio.move_on_after(0.005) as scope:
        await poll()
    if scope.cancelled_caught:
        print("out of time")


anyio.run(main)
```

`except Exception` lets a cancellation pass, with asyncio as with AnyIO. What has to know of it raises it again, and
shields what it awaits before:

```python
import asyncio


async def poll() -> None:
    for number in range(3):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            print(f"poll {number} is told to stop")
            raise


async def main() -> None:
    try:
        await asyncio.wait_for(poll(), 0.005)
    except asyncio.TimeoutError:
        print("out of time")


asyncio.run(main())
```

In AnyIO, await the cleanup of a cancelled task within `with anyio.CancelScope(shield=True)`.

## Limits

- The end of the function ends the task: a handler after which nothing but cleanup is awaited (`close`, `stop`,
  `disconnect` and their like) is not reported, nor is any `except asyncio.CancelledError` outside of loops.
- An awaited task or future that has itself been cancelled raises the same error: a `try` that awaits nothing else, or
  stands after a call of `cancel`, is not reported.
- What looks deliberate is not reported: a handler that raises, leaves or breaks on a condition, changes what the loop
  asks for, hands the error on, or catches `KeyboardInterrupt`, too; `uncancel` and `cancelling`; tests; and functions
  that are given to `asyncio.run`. Where a condition after the handler may leave the loop, nothing is known.
- Of a function that swallows and returns, the callers are looked at that the same program is seen to have, up to three
  deep.

## References

- [Python: task cancellation](https://docs.python.org/3/library/asyncio-task.html#task-cancellation)
- [AnyIO: cancellation and timeouts](https://anyio.readthedocs.io/en/stable/cancellation.html)
- Peers: flake8-async ASYNC103 (a handler without `raise`) and ASYNC104 (one that returns or raises another error);
  Sonar S7497; ruff BLE001 and E722 (any handler so broad).
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Misuse, Pattern
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK305"
NAME = "swallowed-cancellation"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.SWALLOWED})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every handler after which a cancelled task goes on."""
    for misuse in subject.misused(PATTERNS):
        yield words.misused(
            misuse,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=f"{words.quoted(misuse.source)} swallows the cancellation of this task, and {_going(misuse)}",
            label="caught here",
            advice=_advice(misuse),
        )


def _going(misuse: Misuse) -> str:
    function = words.quoted(misuse.function.rpartition(".")[2])
    ways = {
        "loop": "the loop goes on",
        "onward": f"{function} goes on",
        "loop of caller": f"the loop that awaits {function} goes on",
        "onward of caller": f"what awaits {function} goes on",
    }
    return ways[misuse.how]


def _advice(misuse: Misuse) -> str:
    if misuse.source.startswith("finally"):
        return "let the `finally` end by itself: a jump out of it drops the cancellation"
    if not misuse.source.startswith("except"):
        return "suppress no more than `Exception`, of which a cancellation is none"
    if "Cancel" in misuse.source or "cancel" in misuse.source:
        return "end the handler with `raise`; AnyIO: clean up before that in `with anyio.CancelScope(shield=True)`"
    return "catch `Exception` instead, of which a cancellation is none, or end the handler with `raise`"
