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
- By definition any `await` may raise, also that of `wait` or of a `gather` which returns the exceptions, though they do
  not: a path that is really one by cancellation may then be called one by an exception.
- A task that is cancelled but not waited for only where the host itself is being cancelled need not be `cancelled`.
- The explorer goes round a loop two or three times, and tries a second cancellation of the host only to confirm a leak.
"""

from __future__ import annotations

import os

from generative.explore import CANCELLATION, Exploration, Run, State, explore
from generative.program import Program, Site, spawn_sites
from generative.strategy import programs
from hypothesis import HealthCheck, Phase, given, settings

from leaklint.analysis import judge
from leaklint.engine import collect_source
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate, PathKind, Task

NIGHTLY = os.environ.get("LEAKLINT_NIGHTLY") == "1"


@settings(
    max_examples=2000 if NIGHTLY else 200,
    derandomize=not NIGHTLY,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(programs())
def test_fates_are_what_happens(program: Program) -> None:
    source = program.source
    inventory = judged(source)
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


def judged(source: str) -> dict[Site, Task]:
    """The inventory of a program, by the places of its spawns."""
    facts = collect_source(source.encode(), path="program.py", module="program")
    assert isinstance(facts, ModuleFacts)
    return {Site(task.span.line, task.span.column): task for task in judge(facts)}


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
