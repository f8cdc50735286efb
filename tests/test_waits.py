"""What the rules about waits say of hand-written tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaklint.model.code import Function, Span
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.facts import ModuleFacts, ModuleNames
from leaklint.model.fate import Fate, PathKind, Pattern, Step, Task
from leaklint.rules import Subject, all_rules

SPAN = Span(4, 9, 4, 41)
GROUP = "(`anyio.create_task_group()`, or `asyncio.TaskGroup()` on Python 3.11+)"


def steps(line: int, path: str = "mod.py") -> Step:
    return Step(path, Span(line, 1, line, 9), f"leaves in line {line}")


def wait(pattern: Pattern, call: str, *paths: PathKind, fate: Fate = Fate.HAZARD, leaving: Step | None = None) -> Task:
    return Task(
        path="mod.py",
        span=SPAN,
        call=call,
        spawned="fetch",
        function="mod.load",
        handle=None,
        owner=None,
        fate=fate,
        paths=paths,
        likely=False,
        evidence=(steps(9),),
        leaving=leaving,
        pattern=pattern,
    )


def found(task: Task, *, is_async: bool = True) -> Diagnostic:
    """The one diagnostic of all the rules, for a hidden task of a function `load`."""
    load = Function(
        qualname="mod.load",
        kind="function",
        owner=None,
        params=(),
        is_async=is_async,
        is_generator=False,
        decorators=(),
        returns=None,
        local_names=frozenset(),
        free_names=frozenset(),
        words=frozenset(),
        body=(),
        span=Span(1, 1, 20, 1),
    )
    names = ModuleNames("mod", (), (), None, frozenset(), frozenset())
    facts = ModuleFacts("mod.py", "mod", (load,), (), names=names, comments=())
    subject = Subject("mod.py", facts=facts, hidden=(task,))
    (diagnostic,) = [each for rule in all_rules() for each in rule.check(subject)]
    return diagnostic


GATHER = wait(Pattern.GATHER, "asyncio.gather", PathKind.SIBLING)
WAIT = wait(Pattern.WAIT, "asyncio.wait", PathKind.PARTIAL_WAIT)
SHIELD = wait(Pattern.SHIELD, "asyncio.shield", PathKind.CANCELLATION)
AS_COMPLETED = wait(Pattern.AS_COMPLETED, "asyncio.as_completed", PathKind.EARLY_EXIT, leaving=steps(7))
THREAD = wait(Pattern.THREAD_FUTURE, "loop.run_in_executor", fate=Fate.DROPPED)


def test_a_diagnostic_carries_the_whole_verdict() -> None:
    assert found(GATHER) == Diagnostic(
        path="mod.py",
        span=SPAN,
        code="LK201",
        name="gather-leaves-siblings",
        level=Level.WARNING,
        message="this `asyncio.gather` leaves the task of `fetch` running when another of its awaitables fails first",
        label="leaves it running",
        help=(
            f"run them in a task group, which cancels the others and waits for them {GROUP}; "
            "or pass `return_exceptions=True` and look at the results"
        ),
        evidence=GATHER.evidence,
    )


@pytest.mark.parametrize(
    ("task", "code", "message"),
    [
        (
            replace(GATHER, fate=Fate.DROPPED, paths=()),
            "LK201",
            "nobody awaits this `asyncio.gather`: the task of `fetch` is left running, and its errors are lost",
        ),
        (
            replace(GATHER, fate=Fate.KEPT, paths=(), handle="self._polls", owner="mod.Poller"),
            "LK201",
            (
                "this `asyncio.gather` is kept in `self._polls`, but nothing of `Poller` waits for it: "
                "the task of `fetch` is left running"
            ),
        ),
        (
            replace(GATHER, fate=Fate.KEPT, paths=()),
            "LK201",
            (
                "this `asyncio.gather` is kept beyond the function, but nothing of `load` waits for it: "
                "the task of `fetch` is left running"
            ),
        ),
        (
            replace(GATHER, fate=Fate.CANCELLED, paths=()),
            "LK201",
            "this `asyncio.gather` is cancelled, but nobody waits until the task of `fetch` has ended",
        ),
        (
            replace(GATHER, paths=(PathKind.EXCEPTION, PathKind.SIBLING), leaving=steps(7)),
            "LK201",
            (
                "this `asyncio.gather` leaves the task of `fetch` running when an exception is raised on line 7, "
                "or when another of its awaitables fails first"
            ),
        ),
        (
            WAIT,
            "LK202",
            "this `asyncio.wait` leaves the task of `fetch` running when it returns with tasks pending",
        ),
        (
            replace(WAIT, paths=(PathKind.TIMEOUT,), leaving=steps(4)),
            "LK202",
            "this `asyncio.wait` leaves the task of `fetch` running when its time limit strikes",
        ),
        (
            SHIELD,
            "LK203",
            "this `asyncio.shield` leaves the task of `fetch` running when the function is cancelled",
        ),
        (
            replace(SHIELD, paths=(PathKind.TIMEOUT, PathKind.CANCELLATION), leaving=steps(8)),
            "LK203",
            (
                "this `asyncio.shield` leaves the task of `fetch` running when the time limit on line 8 strikes, "
                "or when the function is cancelled"
            ),
        ),
        (
            AS_COMPLETED,
            "LK204",
            "this `asyncio.as_completed` leaves the task of `fetch` running when it is left early on line 7",
        ),
        (
            replace(AS_COMPLETED, leaving=steps(7, "other.py")),
            "LK204",
            "this `asyncio.as_completed` leaves the task of `fetch` running when it is left early",
        ),
        (
            THREAD,
            "LK205",
            "nothing keeps the future of this `loop.run_in_executor`: nobody sees when `fetch` ends, or that it fails",
        ),
        (
            replace(THREAD, handle="future", spawned=""),
            "LK205",
            (
                "nobody reads `future`, the future of this `loop.run_in_executor`: "
                "nobody sees when the work ends, or that it fails"
            ),
        ),
    ],
)
def test_messages(task: Task, code: str, message: str) -> None:
    diagnostic = found(task)
    assert (diagnostic.code, diagnostic.message) == (code, message)


@pytest.mark.parametrize("task", [GATHER, WAIT, SHIELD, AS_COMPLETED])
@pytest.mark.parametrize("kind", PathKind)
def test_every_kind_of_path_has_words(task: Task, kind: PathKind) -> None:
    message = found(replace(task, paths=(kind,), leaving=steps(7))).message
    before, _, clause = message.partition(" running when ")
    assert before == f"this `{task.call}` leaves the task of `fetch`"
    assert clause
    assert "{" not in clause


@pytest.mark.parametrize(
    ("task", "is_async", "text"),
    [
        (
            replace(GATHER, fate=Fate.DROPPED, paths=()),
            True,
            (
                f"run them in a task group, which cancels the others and waits for them {GROUP}; "
                "or await it at once, with `return_exceptions=True`"
            ),
        ),
        (
            replace(GATHER, fate=Fate.CANCELLED, paths=()),
            True,
            "await it after the cancel: `await asyncio.gather(gathered, return_exceptions=True)`",
        ),
        (GATHER, False, "gather them in a task group inside one async function, and run that with `asyncio.run`"),
        (
            replace(WAIT, paths=(PathKind.TIMEOUT,)),
            True,
            (
                f"run them in a task group and cancel its scope when the rest is not wanted {GROUP}, in "
                "`anyio.move_on_after()` for the time limit; or for each pending task, cancel it, and "
                "`await asyncio.gather(*pending, return_exceptions=True)`"
            ),
        ),
        (WAIT, False, "wait in a task group inside one async function, and run that with `asyncio.run`"),
        (
            SHIELD,
            True,
            (
                "await it in `with anyio.CancelScope(shield=True):`, which waits for it; or keep the task, and on "
                "`CancelledError` `await asyncio.gather(task, return_exceptions=True)` before raising again"
            ),
        ),
        (SHIELD, False, "shield inside one async function, and run that with `asyncio.run`"),
        (
            AS_COMPLETED,
            True,
            (
                f"run them in a task group and cancel its scope when the rest is not wanted {GROUP}; "
                "or keep the tasks, and in a `finally`, cancel them and "
                "`await asyncio.gather(*tasks, return_exceptions=True)`"
            ),
        ),
        (AS_COMPLETED, False, "wait in a task group inside one async function, and run that with `asyncio.run`"),
        (THREAD, True, "await it, or use `await anyio.to_thread.run_sync()`, which waits for the thread"),
        (
            replace(THREAD, call="self.pool.submit"),
            False,
            "add a done-callback that reads `future.exception()`, or keep the future and call `.result()` on it",
        ),
        (
            replace(THREAD, call="asyncio.run_coroutine_threadsafe"),
            False,
            (
                "add a done-callback that reads `future.exception()`; "
                "or, outside of every event loop, call `.result()` on it"
            ),
        ),
        (
            replace(THREAD, call="asyncio.run_coroutine_threadsafe"),
            True,
            "await `asyncio.wrap_future()` of it; if the loop is this one, await the coroutine itself",
        ),
    ],
)
def test_advice(task: Task, is_async: bool, text: str) -> None:
    assert found(task, is_async=is_async).help == text
