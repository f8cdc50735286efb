"""Fates compared with reality: generated programs are run along every path, and their tasks looked at in the end.

`LEAKLINT_NIGHTLY=1` runs more programs, other ones every time.
"""

from __future__ import annotations

import os

from generative.explore import Exploration, Run, State, explore
from generative.program import Program, Site, programs, spawn_sites
from hypothesis import HealthCheck, given, settings

from leaklint.analysis import judge
from leaklint.engine import collect_source
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate, PathKind, Task

NIGHTLY = os.environ.get("LEAKLINT_NIGHTLY") == "1"


@settings(
    max_examples=2000 if NIGHTLY else 200,
    derandomize=not NIGHTLY,
    deadline=None,
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
    fate, seen = task.fate, list(exploration.seen(site))
    left = next((run for run, sighting in seen if sighting.state is State.LEFT), None)
    cancelled = next((run for run, sighting in seen if sighting.state is State.CANCELLED), None)
    calm = next((run for run, sighting in seen if sighting.waited and _calm(run)), None)
    if fate not in (Fate.DROPPED, Fate.HAZARD, Fate.CANCELLED, Fate.JOINED):
        return f"is {fate.value}, which a local task cannot be"
    if left and fate not in (Fate.DROPPED, Fate.HAZARD):
        return f"is {fate.value}, but left running on a path: {left}"
    if cancelled and fate is Fate.JOINED:
        return f"is joined, but only cancelled on a path: {cancelled}"
    if calm and fate is Fate.DROPPED:
        return f"is dropped, but waited for: {calm}"
    return None


def unconfirmed(task: Task, exploration: Exploration, site: int, source: str) -> str | None:
    """What would have been seen if the fate were right, provided that every path was tried; or None."""
    fate, states = task.fate, exploration.states(site)
    if not states or not exploration.exhaustive or fate is Fate.JOINED:
        return None
    if fate is Fate.HAZARD and states == {State.LEFT}:
        return "is hazard, but left on every path"
    if State.LEFT in states:
        return None
    if fate is Fate.DROPPED and State.CANCELLED in states:
        return "is dropped, but cancelled at least on every path"
    if State.CANCELLED in states or (fate is Fate.CANCELLED and State.INTERRUPTED in states):
        return None
    if PathKind.CANCELLATION in task.paths and State.LEFT in explore(source, cancellations=2).states(site):
        return None
    if fate is Fate.HAZARD and any(sighting.blurred for _, sighting in exploration.seen(site)):
        return None
    return f"is {fate.value}, but has ended on every path"


def _calm(run: Run) -> bool:
    """Nothing raised, nothing was cancelled, nothing timed out."""
    surprises = ("raises", "host is cancelled", "time-out")
    return run.end == "returns" and not any(word in decision for decision in run.decisions for word in surprises)
