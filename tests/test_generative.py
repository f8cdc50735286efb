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
from leaklint.model.fate import Fate, Task

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
    found = [
        f"task {number}: {disagreement}"
        for number, site in spawn_sites(source).items()
        if (disagreement := compare(inventory.get(site), exploration, number))
    ]
    assert not found, "\n".join(
        [
            "",
            source,
            *(f"{task.span.line}:{task.span.column} {task.fate.value} {task.paths}" for task in inventory.values()),
            "",
            *found,
        ]
    )


def judged(source: str) -> dict[Site, Task]:
    """The inventory of a program, by the places of its spawns."""
    facts = collect_source(source.encode(), path="program.py", module="program")
    assert isinstance(facts, ModuleFacts)
    return {Site(task.span.line, task.span.column): task for task in judge(facts)}


def compare(task: Task | None, exploration: Exploration, site: int) -> str | None:
    """What speaks against a fate, or None.

    What was seen can refute any fate; what was never seen refutes one only if every path was tried.
    """
    if task is None:
        return "is missing from the inventory"
    seen = list(exploration.seen(site))
    if not seen:
        return None
    left = next((run for run, sighting in seen if sighting.state is State.LEFT), None)
    cancelled = next((run for run, sighting in seen if sighting.state is State.CANCELLED), None)
    calm = next((run for run, sighting in seen if sighting.waited and _calm(run)), None)
    fate = task.fate
    if left and fate not in (Fate.DROPPED, Fate.HAZARD):
        return f"is {fate.value}, but left running on a path: {left}"
    if cancelled and not fate.leaks:
        return f"is {fate.value}, but only cancelled on a path: {cancelled}"
    if calm and fate is Fate.DROPPED:
        return f"is {fate.value}, but waited for: {calm}"
    if not exploration.exhaustive:
        return None
    states = exploration.states(site)
    if cancelled and not left and fate not in (Fate.CANCELLED, Fate.HAZARD):
        return f"is {fate.value}, but always cancelled at least: {cancelled}"
    if fate is Fate.HAZARD and states == {State.LEFT}:
        return f"is {fate.value}, but is left on every path: {left}"
    if fate.leaks and not states & _expected(fate):
        return f"is {fate.value}, but has ended on every path"
    return None


def _expected(fate: Fate) -> set[State]:
    """The states of which one must be seen if the fate is right."""
    if fate is Fate.CANCELLED:
        return {State.CANCELLED, State.INTERRUPTED}
    return {State.LEFT, State.CANCELLED}


def _calm(run: Run) -> bool:
    """Nothing raised, nothing was cancelled, nothing timed out."""
    surprises = ("raises", "host is cancelled", "time-out")
    return run.end == "returns" and not any(word in decision for decision in run.decisions for word in surprises)
