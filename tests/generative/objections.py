"""What speaks against the fates in an inventory: what a project was seen to do with its tasks, function by function.

The docstring of the test says what is left out of the comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from generative.explore import CANCELLATION, Exploration, Run, explore_project
from generative.instrument import Place
from generative.ledger import Mark, Route
from generative.loop import State
from generative.program import Site
from leaklint.model.fate import Fate, PathKind, Task

Inventory = Mapping[tuple[str, Site], Task]

MOST_RUNS = 400
FURTHER: tuple[dict[str, int], ...] = ({"cancellations": 2}, {"items": 3})
"""Some hazards want a second cancellation, or a third member of a group."""


class Comparison(NamedTuple):
    """A call that gave a task in some run."""

    place: Place
    task: Task | None
    """What leaklint says of it."""
    problem: str | None

    def __str__(self) -> str:
        fate = f"{self.task.fate.value} {[kind.value for kind in self.task.paths]}" if self.task else "not listed"
        return f"{self.place.module} {self.place.line}:{self.place.column} {fate} {self.problem or ''}"


def compare(sources: Mapping[str, str], inventory: Inventory) -> list[Comparison]:
    """The fates of a project's spawns, and what speaks against them, call by call."""
    explorations = [explore_project(sources, max_runs=MOST_RUNS)]
    places = explorations[0].places
    views = [Seen(explorations[0], number) for number in range(len(places))]
    found = []
    for number, (place, seen) in enumerate(zip(places, views, strict=True)):
        task = _listed(place, inventory)
        if not seen.marks:
            called = any(number in run.called for run in explorations[0].runs)
            if task is not None and called and seen.exhaustive:
                found.append(Comparison(place, task, "is listed, but never gives a task"))
            continue
        if task is None:
            found.append(Comparison(place, task, f"is missing from the inventory: {seen.marks[0].run}"))
            continue
        problem = too_good(task, seen)
        if problem is None and _is_whole(place, places, views):
            problem = too_bad(task, seen)
            for index, further in enumerate(FURTHER, 1) if problem else ():
                if len(explorations) == index:
                    explorations.append(explore_project(sources, max_runs=4 * MOST_RUNS, **further))
                problem = problem and too_bad(task, Seen(explorations[index], number))
        found.append(Comparison(place, task, problem))
    return found


def _listed(place: Place, inventory: Inventory) -> Task | None:
    """The entry of a call, which may stand at the `await` before it."""
    columns = [place.column] if place.awaited is None else [place.column, place.awaited]
    tasks = [inventory.get((place.module, Site(place.line, column))) for column in columns]
    return next(filter(None, tasks), None)


def _is_whole(place: Place, places: Sequence[Place], views: Sequence[Seen]) -> bool:
    """Whether everybody to whom a call may give its task on was seen to get one: the worst of them counts."""
    pairs = zip(places, views, strict=True)
    receivers = [(each, seen) for each, seen in pairs if place.returned and each.name == place.function]
    return all(seen.marks and _is_whole(each, places, views) for each, seen in receivers)


class _Sighting(NamedTuple):
    run: Run
    mark: Mark


class Seen:
    """What was seen of the tasks that one call gave."""

    def __init__(self, exploration: Exploration, number: int, route: Route | None = None) -> None:
        """With a route, what was seen of that way of getting and giving on a task."""
        runs = exploration.runs
        routes = (
            {mark.route for run in runs for mark in run.marks if number in mark.route} if route is None else {route}
        )
        self.number = number
        self.routes = routes
        self.marks = [_Sighting(run, mark) for run in runs for mark in run.marks if mark.route in routes]
        self._closings = [closing for run in runs for closing in run.closings if closing.route in routes]
        self._exploration = exploration
        self.exhaustive = exploration.exhaustive
        self.unfailing = exploration.unfailing

    @property
    def parts(self) -> list[Seen]:
        """What was seen of each way in which the call got its tasks and gave them on."""
        return [Seen(self._exploration, self.number, route) for route in sorted(self.routes)]

    def of(self, state: State) -> list[_Sighting]:
        return [sighting for sighting in self.marks if sighting.mark.state is state]

    @property
    def waits(self) -> list[Run]:
        """The runs in which nothing went wrong and the task was waited for."""
        return [run for run, mark in self.marks if mark.waited and _is_calm(run)]

    @property
    def lost(self) -> list[_Sighting]:
        """Left running, and nothing leads to it any more."""
        return [sighting for sighting in self.of(State.LEFT) if not sighting.mark.kept]

    @property
    def was_kept(self) -> bool:
        """On some path, an object or a module led to it."""
        return any(mark.was_kept for _, mark in self.marks)

    @property
    def hollow(self) -> bool:
        return any(mark.hollow for _, mark in self.marks)

    @property
    def blurred(self) -> bool:
        return any(mark.blurred for _, mark in self.marks)

    @cached_property
    def ends(self) -> dict[str, set[State]]:
        """What the ends of the keeper have done with it."""
        found: dict[str, set[State]] = defaultdict(set)
        for closing in self._closings:
            found[closing.end].add(closing.state)
        return dict(found)

    @property
    def available(self) -> set[str]:
        """The ends that its keepers have while it runs."""
        return {end for _, mark in self.of(State.LEFT) for end in mark.ends}

    @property
    def saw_ends(self) -> bool:
        """Whether each of those was called."""
        return self.available <= self.ends.keys()

    def end_that(self, state: State) -> str | None:
        """The name of an end that always leaves a task in this state."""
        return next((name for name, states in self.ends.items() if states == {state}), None)

    def rescue(self, state: State) -> str | None:
        """The same, if every task that was left running has such an end."""
        left = self.of(State.LEFT)
        safe = all(any(self.ends.get(end) == {state} for end in mark.ends) for _, mark in left)
        return self.end_that(state) if left and safe else None


def too_good(task: Task, seen: Seen) -> str | None:
    """What was seen that is worse than the fate, or None."""
    match task.fate:
        case Fate.NOT_A_SPAWN:
            return f"is not-a-spawn, but gave a task: {seen.marks[0].run}"
        case Fate.JOINED:
            for state in (State.LEFT, State.CANCELLED):
                if found := seen.of(state):
                    return f"is joined, but {state.value} on a path: {found[0].run}"
        case Fate.OWNED | Fate.GROUPED:
            offered = {end for _, mark in seen.marks for end in mark.past_ends}
            if seen.ends and offered <= seen.ends.keys() and seen.end_that(State.ENDED) is None:
                return f"is {task.fate.value}, but no end waits for it: {seen.ends}"
        case Fate.CANCELLED:
            if (lost := seen.lost) and not seen.was_kept:
                return f"is cancelled, but left running on a path: {lost[0].run}"
            if seen.ends and seen.saw_ends and all(states == {State.LEFT} for states in seen.ends.values()):
                return f"is cancelled, but by none of {sorted(seen.ends)}"
        case Fate.HAZARD:
            own = [run for run, mark in seen.lost if mark.route[-1] == seen.number]
            unforced = [run for run in own if CANCELLATION not in run.decisions]
            if unforced and task.paths == (PathKind.CANCELLATION,):
                return f"is hazard by cancellation alone, but not on this path: {unforced[0]}"
            states = set.union({mark.state for _, mark in seen.marks}, *seen.ends.values())
            if seen.exhaustive and states == {State.LEFT} and not seen.blurred:
                return "is hazard, but left on every path"
    return None


def too_bad(task: Task, seen: Seen) -> str | None:
    """What the fate says and was never seen, or None: each way in which the task was given is better."""
    parts = seen.parts
    if task.fate is Fate.DROPPED and (waits := [part.waits for part in parts]) and all(waits):
        return f"is dropped, but waited for: {waits[0][0]}"
    if not seen.exhaustive or seen.blurred:
        return None
    if task.fate in (Fate.OWNED, Fate.GROUPED, Fate.KEPT) and not seen.was_kept:
        return f"is {task.fate.value}, but nothing ever keeps it"
    decided = [part for part in parts if part.saw_ends]
    open_ = [part for part in parts if not part.saw_ends]
    if any(not any(part.available and part.available <= other.available for part in decided) for other in open_):
        return None  # nothing is known of how its keeper would end it
    problems = [_too_bad(task, part) for part in decided]
    return None if None in problems else next(iter(problems), None)


def _too_bad(task: Task, seen: Seen) -> str | None:
    left = seen.of(State.LEFT)
    match task.fate:
        case Fate.DROPPED | Fate.KEPT | Fate.CANCELLED | Fate.HAZARD if end := seen.rescue(State.ENDED):
            return f"is {task.fate.value}, but `{end}` waits for it"
        case Fate.DROPPED | Fate.KEPT if end := seen.rescue(State.CANCELLED):
            return f"is {task.fate.value}, but `{end}` cancels it"
        case Fate.CANCELLED | Fate.HAZARD if seen.hollow:
            return None  # by definition any `await` may raise, whether or not it can
        case Fate.CANCELLED if not left:
            after = set.union({mark.state for _, mark in seen.marks}, *seen.ends.values())
            interrupted = any(seen.unfailing or mark.end != "is cancelled" for _, mark in seen.of(State.INTERRUPTED))
            return None if State.CANCELLED in after or interrupted else "is cancelled, but has ended on every path"
        case Fate.DROPPED | Fate.KEPT | Fate.HAZARD if not left:
            return f"is {task.fate.value}, but not left running on any path"
    return None


def _is_calm(run: Run) -> bool:
    """Nothing raised, nothing was cancelled, nothing timed out."""
    surprises = ("raises", CANCELLATION, "time-out")
    return run.end == "returns" and not any(word in decision for decision in run.decisions for word in surprises)
