"""A task is spawned in a function that something calls back.

## What it does

Reports a spawn that nobody waits for in a function, method or lambda that is given to `loop.call_soon`, `call_later`,
`call_at`, `call_soon_threadsafe`, `add_signal_handler`, `add_reader` or `add_writer`, to `add_done_callback`,
`signal.signal`, `atexit.register`, `weakref.finalize` or `weakref.ref`; in `__del__`; in a method that a transport calls
on an `asyncio.Protocol`; and in a private function that only such functions call. `loop.call_soon(asyncio.create_task,
work())` is one, too: the event loop throws the task away.

## Why is this bad?

A callback cannot wait, and what calls it looks at nothing that it returns. So the task belongs to nobody: its errors
are lost, it is running when the program shuts down, and a callback that comes again starts a second one beside it.

## Example

```python
import asyncio


async def reload() -> None:
    await asyncio.sleep(3600)


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, lambda: loop.create_task(reload()))
    await asyncio.sleep(0.05)


asyncio.run(main())
```

## Use instead

A task that waits until it is time, in a task group that is around all of it:

```python
import anyio


async def reload() -> None:
    await anyio.sleep(0.01)


async def reload_later(delay: float) -> None:
    await anyio.sleep(delay)
    await reload()


async def main() -> None:
    async with anyio.create_task_group() as tg:
        tg.start_soon(reload_later, 0.01)
        await anyio.sleep(0.05)


anyio.run(main)
```

Where only a callback learns what has happened (a signal, a protocol, the end of a future), let it leave word, and let a
task of a group do the work. AnyIO has `anyio.open_signal_receiver` for signals, and streams for sockets.

```python
import asyncio


async def reload(name: str) -> None:
    await asyncio.sleep(0.01)
    print("reloaded", name)


async def work_off(changed: "asyncio.Queue[str]") -> None:
    await reload(await changed.get())


async def main() -> None:
    changed: "asyncio.Queue[str]" = asyncio.Queue()
    asyncio.get_running_loop().call_later(0.01, changed.put_nowait, "settings")
    await work_off(changed)


asyncio.run(main())
```

A callback may also spawn into a group that it is handed: `tg.create_task(...)` of an `asyncio.TaskGroup`, or of AnyIO in
a program that `anyio.run` has started. Blocking portals (`anyio.from_thread`) are for other threads only: in the thread
of the event loop they refuse.

## Limits

- A task that something waits for or cancels elsewhere is not reported here: `close()` of a protocol that awaits it ends
  it (no finding), one that only cancels it is LK103.
- What else calls back (the events of a library, `on_message=...`) is not known: LK101 or LK102 report the task.
- A function that is called back and called by others as well is reported.

## References

- [asyncio: scheduling callbacks](https://docs.python.org/3/library/asyncio-eventloop.html#scheduling-callbacks)
- [asyncio: protocols](https://docs.python.org/3/library/asyncio-protocol.html#protocols)
- [AnyIO: receiving operating system signals](https://anyio.readthedocs.io/en/stable/signals.html)
- [AnyIO: calling asynchronous code from another thread](https://anyio.readthedocs.io/en/stable/threads.html)
- Peers, for a task that nothing keeps: [ruff RUF006](https://docs.astral.sh/ruff/rules/asyncio-dangling-task/),
  [flake8-async ASYNC300](https://flake8-async.readthedocs.io/en/latest/rules.html#async300),
  [Sonar S7502](https://rules.sonarsource.com/python/RSPEC-7502/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK206"
NAME = "spawn-in-callback"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.CALLBACK})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every task that is spawned in a callback."""
    for task in subject.with_pattern(PATTERNS):
        yield words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(subject, task), advice=_advice(task)
        )


def _message(subject: Subject, task: Task) -> str:
    nobody = f"nobody can wait for {words.the_task(task)}"
    is_led = task.standing is not None and task.standing.how == "led"
    leading = f", which leads to {words.function_name(subject, task)}" if is_led else ""
    return f"{nobody}: {task.evidence[0].message}{leading}"


def _advice(task: Task) -> str:
    if task.standing and task.standing.by == "the garbage collector":
        return "end the object with `async with`, or an async `close`, before it is dropped"
    return (
        "let the callback set an event or fill a queue that a task of a group waits for; "
        "or hand it a task group to spawn in (blocking portals are for other threads only)"
    )
