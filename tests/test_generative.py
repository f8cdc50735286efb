"""Fates compared with reality: generated programs are run along every path, and their tasks looked at in the end.

`LEAKLINT_NIGHTLY=1` runs more programs, other ones every time.

What the analysis does not know by design, and how this is kept out of the comparison:

- A handler is taken to be there for something: every `try` of the programs has something in it that may fail, and no
  handler is hidden behind a wider one.
- Members of a group are taken to have siblings, and in an order only where a list is written out: no group has exactly
  one task; lists are not popped and not appended to by hand.
- A handle is not tested for None where it cannot be None.
- One spawn is followed at a time, so the state of another task decides nothing: a task need not prove its hazard if it
  is `blurred`, that is, if the host asked another task something to which only one answer was possible.
- By definition any `await` may raise, also that of `wait`, of a `gather` that returns the exceptions, and of a function
  that awaits nothing itself, though they do not. So a path that is really one by cancellation may be called one by an
  exception.
- A task that is cancelled but not waited for only where the host itself is being cancelled need not be `cancelled`.
- The explorer goes round a loop two or three times, and tries a second cancellation of the host only to confirm a leak.

Programs of several functions and a class are compared call by call: a call of a function that returns the task which it
spawned is a spawn as well. Further limits there:

- A task is looked at when it leaves the last hands that it was in: the function that spawned it, or the last of those
  that it was returned to. From then on it is its keeper's: the best of what `close`, `stop` and `drain` do with it
  counts, as far as they return and nobody is cancelled in them.
- An object starts its one task once; no attribute is overwritten while its task runs.
- Where a function returns its task, the worst of those that it is returned to decides. So a fate is not found too bad
  unless all of them have been seen to get the task.
- What is kept on one path and lost on another may be called after the first (`owned`, `kept`, `cancelled`). `hazard` is
  not refuted by an end of the keeper that cancels, and `handed` by nothing; but it must be rare.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

from generative.explore import CANCELLATION, Exploration, Run, explore
from generative.loop import State
from generative.objections import compare
from generative.program import Program, Project, Site, spawn_sites
from generative.projects import projects
from generative.strategy import programs
from hypothesis import HealthCheck, Phase, given, settings

from leaklint.engine import Input, check_program
from leaklint.model.diagnostic import Checked
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.policy.config import Settings

NIGHTLY = os.environ.get("LEAKLINT_NIGHTLY") == "1"

generative = settings(
    max_examples=2000 if NIGHTLY else 200,
    derandomize=not NIGHTLY,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@generative
@given(programs())
def test_fates_are_what_happens(program: Program) -> None:
    source = program.source
    inventory = {site: task for (_, site), task in judged({"program": source}).items()}
    exploration = explore(source)
    found = []
    for number, site in spawn_sites(source).items():
        task = inventory.get(site)
        problem = (
            "is missing from the inventory"
            if task is None
            else refuted(task, exploration, number) or unconfirmed(task, exploration, number, source)
        )
        found += [f"task {number} {problem}"] if problem else []
    listed = [f"{task.span.line}:{task.span.column} {task.fate.value} {task.paths}" for task in inventory.values()]
    assert not found, "\n".join(["", source, *listed, "", *found])


def test_fates_across_functions() -> None:
    fates: Counter[Fate] = Counter()

    @generative
    @given(projects())
    def check(project: Project) -> None:
        comparisons = compare(project.sources, judged(project.sources))
        fates.update(each.task.fate for each in comparisons if each.task)
        wrong = any(each.problem for each in comparisons)
        assert not wrong, "\n".join(["", str(project), *map(str, comparisons)])

    check()
    assert fates[Fate.HANDED] < 0.15 * fates.total(), fates


def judged(sources: Mapping[str, str]) -> dict[tuple[str, Site], Task]:
    """The inventory of a program, by the modules and places of its spawns."""
    files = {module: f"{module.replace('.', '/')}.py" for module in sources}
    inputs = [
        Input(path, module, sources[module].encode(), Settings.default(), always_parse=True)
        for module, path in files.items()
    ]
    inventory = {}
    for module, outcome in zip(files, check_program(inputs), strict=True):
        assert isinstance(outcome, Checked), outcome
        for task in (entry.task for entry in outcome.tasks):
            inventory[module, Site(task.span.line, task.span.column)] = task
    return inventory


def refuted(task: Task, exploration: Exploration, site: int) -> str | None:
    """What was seen and cannot be if the fate is right, or None."""
    fate = task.fate
    left = exploration.runs_with(site, State.LEFT)
    cancelled = exploration.runs_with(site, State.CANCELLED)
    waited = [run for run, sighting in exploration.seen(site) if sighting.waited and _is_calm(run)]
    if fate not in (Fate.DROPPED, Fate.HAZARD, Fate.CANCELLED, Fate.JOINED):
        return f"is {fate.value}, which a local task cannot be"
    if left and fate not in (Fate.DROPPED, Fate.HAZARD):
        return f"is {fate.value}, but left running on a path: {left[0]}"
    if cancelled and fate is Fate.JOINED:
        return f"is joined, but only cancelled on a path: {cancelled[0]}"
    if waited and fate is Fate.DROPPED:
        return f"is dropped, but waited for: {waited[0]}"
    if task.paths == (PathKind.CANCELLATION,):
        unforced = [run for run in left if CANCELLATION not in run.decisions]
        return f"is hazard by cancellation alone, but not on this path: {unforced[0]}" if unforced else None
    return None


def unconfirmed(task: Task, exploration: Exploration, site: int, source: str) -> str | None:
    """What would have been seen if the fate were right, provided that every path was tried; or None."""
    fate, states = task.fate, exploration.states(site)
    if not states or not exploration.exhaustive or fate is Fate.JOINED:
        return None
    if fate is Fate.CANCELLED:
        interrupted = exploration.runs_with(site, State.INTERRUPTED)
        seen = State.CANCELLED in states or any(run.end != "is cancelled" for run in interrupted)
        return None if seen else "is cancelled, but has ended on every path"
    if any(sighting.blurred for _, sighting in exploration.seen(site)):
        return None
    problem = _unproven(task, exploration, site, source)
    # some hazards want a second cancellation, or a third member: one that has ended, one that fails, one that is left
    for further in ({"cancellations": 2}, {"items": 3, "max_runs": 4000}):
        if problem is None:
            return None
        exploration = explore(source, **further)
        problem = _unproven(task, exploration, site, source) if exploration.exhaustive else None
    return problem


def _unproven(task: Task, exploration: Exploration, site: int, source: str) -> str | None:
    """What a task that is left running should have been seen to do, and was not; or None."""
    left = exploration.runs_with(site, State.LEFT)
    if not left:
        return f"is {task.fate.value}, but not left running on any path"
    if task.fate is Fate.HAZARD and exploration.states(site) == {State.LEFT}:
        return "is hazard, but left on every path"
    raising = "asyncio.wait(" in source or "return_exceptions" in source
    if PathKind.EXCEPTION in task.paths and not raising and not any(run.end.startswith("raises") for run in left):
        return f"is hazard by an exception, but left on other paths only: {left[0]}"
    if PathKind.EARLY_EXIT in task.paths and not any(run.end == "returns" for run in left):
        return f"is hazard by an early exit, but left on other paths only: {left[0]}"
    return None


def _is_calm(run: Run) -> bool:
    """Nothing raised, nothing was cancelled, nothing timed out."""
    surprises = ("raises", CANCELLATION, "time-out")
    return run.end == "returns" and not any(word in decision for decision in run.decisions for word in surprises)
