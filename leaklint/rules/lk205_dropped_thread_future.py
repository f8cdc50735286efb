"""Work for a thread, or from a thread, whose future nobody keeps.

## What it does

Reports `asyncio.run_coroutine_threadsafe(...)`, `loop.run_in_executor(...)` and `executor.submit(...)` whose future is
neither awaited nor asked for its result, and is not kept, returned or passed on either.

## Why is this bad?

The future is the only one who knows whether the work has succeeded. Dropped, an error of `run_in_executor` appears in the
log at some later time, "exception was never retrieved"; one of `run_coroutine_threadsafe` or `submit` never does. And
nobody knows when the work is over: the function returns while it still goes on.

## Example

```python
import asyncio


def upload(name: str) -> None:
    print("uploading", name)


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, upload, "report")
    await asyncio.sleep(0.01)


asyncio.run(main())
```

## Use instead

Wait for the thread; several at once in a task group:

```python
import anyio
from anyio import to_thread


def upload(name: str) -> None:
    print("uploading", name)


async def main() -> None:
    await to_thread.run_sync(upload, "report")
    async with anyio.create_task_group() as tg:
        for name in ("summary", "table"):
            tg.start_soon(to_thread.run_sync, upload, name)


anyio.run(main)
```

In the other direction, code in a worker thread of AnyIO calls `anyio.from_thread.run(save, "report")`, which returns what
the coroutine returns and raises what it raises; from a thread of another kind, a `BlockingPortal` does.
With asyncio alone: `await asyncio.to_thread(upload, "report")`, and `.result()` on what `run_coroutine_threadsafe` returns:

```python
import asyncio


async def save(name: str) -> str:
    await asyncio.sleep(0.01)
    return name


def work(loop: asyncio.AbstractEventLoop) -> None:
    saved = asyncio.run_coroutine_threadsafe(save("report"), loop)
    print("saved", saved.result(timeout=10))


async def main() -> None:
    await asyncio.to_thread(work, asyncio.get_running_loop())


asyncio.run(main())
```

## Limits

- A coroutine that plainly cannot fail, as it catches whatever it may raise, is not reported.
- A future that is kept is not followed: whether anybody looks into the attribute or the list is not asked.
- `executor.submit` is known where the object is an executor of `concurrent.futures`.
- An executor that the function enters with `with` waits for its work: it is not reported, although an error in the work
  is lost all the same.
- `run_coroutine_threadsafe` from the loop's own thread cannot be told from the right use.

## References

- [asyncio.run_coroutine_threadsafe](https://docs.python.org/3/library/asyncio-task.html#asyncio.run_coroutine_threadsafe)
- [loop.run_in_executor](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor)
- [AnyIO: working with threads](https://anyio.readthedocs.io/en/stable/threads.html)
- Peers: none for `run_coroutine_threadsafe` and `submit`. A bare `run_in_executor` is reported by mypy's opt-in
  [`unused-awaitable`](https://mypy.readthedocs.io/en/stable/error_code_list2.html#check-that-awaitable-return-value-is-used-unused-awaitable).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern, Task
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK205"
NAME = "dropped-thread-future"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.THREAD_FUTURE})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every future of a thread that nobody looks at."""
    for task in subject.with_pattern(PATTERNS):
        found = words.about(
            task, code=CODE, name=NAME, level=LEVEL, message=_message(task), advice=_advice(subject, task)
        )
        yield replace(found, label="its future is lost")


def _message(task: Task) -> str:
    work = words.quoted(task.spawned) if task.spawned else "the work"
    unseen = f"nobody sees when {work} ends, or that it fails"
    if task.handle:
        return f"nobody reads {words.quoted(task.handle)}, the future of this {words.quoted(task.call)}: {unseen}"
    return f"nothing keeps the future of this {words.quoted(task.call)}: {unseen}"


def _advice(subject: Subject, task: Task) -> str:
    scope = words.spawner(subject, task)
    called = task.call.rpartition(".")[2]
    if called == "run_coroutine_threadsafe" and scope is not None and scope.is_async:
        return "await `asyncio.wrap_future()` of it; if the loop is this one, await the coroutine itself"
    if called == "run_coroutine_threadsafe":
        return "add a done-callback that reads `future.exception()`; or, outside of every event loop, call `.result()` on it"
    if scope is not None and scope.is_async:
        return "await it, or use `await anyio.to_thread.run_sync()`, which waits for the thread"
    return "add a done-callback that reads `future.exception()`, or keep the future and call `.result()` on it"
