"""A spelling of AnyIO 1 to 3 that AnyIO 4 no longer has.

## What it does

Reports the functions, classes, methods and arguments of earlier releases of AnyIO that AnyIO 4 does not have
(`tg.spawn`, `create_event`, `open_cancel_scope`, `run_sync_in_worker_thread`, `anyio.exceptions` ...), `await` on what is
no coroutine any more (`event.set()`, `scope.cancel()`, `lock.release()`, `current_time()` ...), and `async with` on what
is a plain context manager now (`fail_after`, `move_on_after`, `open_signal_receiver`). Names count where they lead to
AnyIO, methods where imports, annotations and assignments tell that they are called on an object of AnyIO.

## Why is this bad?

Such a call raises `AttributeError` or `TypeError`, and an import of such a name `ImportError`: the program does not run
with AnyIO 4, and AnyIO 3 is not maintained. `await event.set()` is worse: the event is set first, the `TypeError` comes
after it.

## Example

```python
import anyio


async def fetch(number: int) -> None:
    await anyio.sleep(0.01)
    print(f"fetched {number}")


async def main() -> None:
    async with anyio.create_task_group() as tg:
        for number in range(3):
            await tg.spawn(fetch, number)


try:
    anyio.run(main)
except Exception as error:
    print(f"does not run: {error!r}")
```

## Use instead

```python
import anyio


async def fetch(number: int) -> None:
    await anyio.sleep(0.01)
    print(f"fetched {number}")


async def main() -> None:
    async with anyio.create_task_group() as tg:
        for number in range(3):
            tg.start_soon(fetch, number)


anyio.run(main)
```

`tg.start_soon(...)` is not awaited: since AnyIO 4.14 what it gives can be, and a loop that awaits it runs one child after
the other. Task groups of AnyIO 4 raise an `ExceptionGroup` also when a single child fails; `except* ValueError` catches
what `except ValueError` caught before.

## Limits

- What is deprecated and still works is not reported (`anyio.abc.Event`, `cancellable=True`).
- Code that asks which AnyIO it runs on is not reported: what stands in a `try` with `except AttributeError` or
  `except ImportError`, in an `if` that tests a version, and names that the file looks for with `hasattr` or `getattr`.
- An object of which nothing tells the class (a parameter without annotation that the program passes different things
  for) is not followed; one that is an attribute is, where a single class of the program has an attribute of that name.
- `from anyio import *` and strings are not looked into.

## References

- [AnyIO: migrating from AnyIO 3 to AnyIO 4, and from 2 to 3](https://anyio.readthedocs.io/en/stable/migration.html)
- [AnyIO: version history](https://anyio.readthedocs.io/en/stable/versionhistory.html)
- Peers: none; type checkers report the names that are gone, where the installed AnyIO is a newer one.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.catalog.anyio_history import Form, Removed, removed
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Misuse, Pattern
from leaklint.rules import Subject
from leaklint.rules import _wording as words

CODE = "LK306"
NAME = "removed-anyio-api"
LEVEL = Level.ERROR
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS = frozenset({Pattern.REMOVED})


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every use of what AnyIO 4 does not have."""
    for misuse in subject.misused(PATTERNS):
        _, form, path = f" {misuse.how}".rsplit(" ", 2)
        row = removed(Form.AWAIT if form == Form.PASSED.value else Form(form), path)
        assert row is not None
        yield words.misused(
            misuse,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=_message(misuse, Form(form), row),
            label="gone" if Form(form) in (Form.NAME, Form.METHOD) else "fails with AnyIO 4",
            advice=_advice(misuse, Form(form), row),
        )


def _message(misuse: Misuse, form: Form, row: Removed) -> str:
    source = words.quoted(misuse.source)
    thing = words.quoted(row.path)
    name = row.path.rpartition(".")[2]
    since = f"since AnyIO {row.since}"
    said = {
        Form.NAME: f"{thing} is gone {since}",
        Form.METHOD: f"{source} is gone {since}",
        Form.AWAIT: f"{source} fails {since}: {words.quoted(name)} is no coroutine any more",
        Form.PASSED: f"{source} is passed as a coroutine function, which it is not {since}",
        Form.ASYNC_WITH: f"`async with` fails on {source} {since}: it is a plain context manager",
        Form.KEYWORD: f"{source} has no argument {words.quoted(name)} any more {since}",
        Form.BACKEND: f"the backend {source} is gone {since}",
    }
    return said[form]


def _advice(misuse: Misuse, form: Form, row: Removed) -> str:
    if form is Form.AWAIT:
        likely = " (if it is an object of AnyIO, as the name of the attribute tells)" if " await " in misuse.how else ""
        return f"call it without `await`{likely}"
    if form is Form.PASSED:
        return "call it where it is; in a worker thread, with `anyio.from_thread.run_sync`"
    if form is Form.ASYNC_WITH:
        return "enter it with `with`"
    if row.new is None:
        return row.advice
    new = row.new.removeprefix("builtins.")
    return f"write {words.quoted(new)}" + (f": {row.advice}" if row.advice else "")
