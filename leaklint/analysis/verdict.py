"""Verdicts: from the exits of a function to the fate of the task that was spawned in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from leaklint.analysis.ends import End, Verdict
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import (
    CELL,
    GLOBAL,
    HANDED,
    RETURNED,
    Handle,
    Place,
    Status,
    Value,
    Waiter,
    Way,
    field_owner,
)
from leaklint.analysis.naming import place_text
from leaklint.analysis.owners import KEEPS, WAITS, Effect, best_effect, candidates
from leaklint.analysis.signals import signal_effect
from leaklint.catalog import LOOP_DEFERS
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Fate, PathKind, Pattern, Step
from leaklint.model.walk import text, walk

Receivers = Callable[[], list[Verdict]]
"""What becomes of the task with each of those that it is returned to."""


def fate_of(ends: list[End], frame: Frame, receivers: Receivers) -> Verdict:
    """The fate of a task, from the ways in which the function around its site ends.

    `receivers` gives what becomes of it with those that the function returns it to.
    """
    leaks = [end for end in ends if end.leaks]
    alive = [end for end in ends if end.state.alive]
    kept = [end for end in alive if end.kept]
    if not ends:
        return Verdict(Fate.DROPPED)  # no path leads past the spawn
    if kept:
        verdict = _kept(kept, frame, receivers)
        straight = [end for end in ends if end.way.is_straight]
        if verdict.fate in (Fate.KEPT, Fate.CANCELLED) and straight and not any(end.state.alive for end in straight):
            return _by_itself(ends, alive, frame)
        if verdict.fate is Fate.KEPT and _all_cancelled(_own_doing(alive)):
            return replace(_cancelled(_own_doing(alive), frame), handle=verdict.handle, owner=verdict.owner)
        return _hazard(leaks, frame) if leaks and not verdict.fate.leaks and _waited(ends) else verdict
    if leaks:
        return _leaking(leaks, ends, frame, receivers)
    if handed := next((end for end in alive if end.handed), None):
        verdict = _handed(handed, frame, receivers)
        lost = _lost_on_the_way([end for end in _own_doing(alive) if not end.handed], frame.function)
        return _cancelled(lost, frame) if lost and verdict.fate in _SEEN_TO else verdict
    if cancelled := _own_doing(alive):
        return _cancelled(cancelled, frame)
    return _joined(ends)


def _by_itself(ends: list[End], alive: list[End], frame: Frame) -> Verdict:
    """The fate of a task that is kept, too, but that the function itself waits for where nothing goes wrong."""
    if running := [end for end in alive if end.state.status is Status.RUNNING]:
        return _hazard(running, frame)
    if cancelled := _own_doing(alive):
        return _cancelled(cancelled, frame)
    return _joined(ends)


def _joined(ends: list[End]) -> Verdict:
    joined = next((end for end in ends if end.way.is_straight), ends[0])
    return Verdict(Fate.JOINED, evidence=joined.trail)


def _own_doing(ends: list[End]) -> list[End]:
    """The ends that need nobody to cancel the function or to close the generator."""
    return [end for end in ends if end.way not in (Way.CANCELLATION, Way.CLOSE)]


def _all_cancelled(ends: list[End]) -> bool:
    return bool(ends) and all(end.state.status is Status.CANCELLED for end in ends)


def _waited(ends: list[End]) -> bool:
    return any(end.state.status is Status.ENDED for end in ends)


# -- local handles -------------------------------------------------------------------------------------------------


_SEEN_TO = (Fate.JOINED, Fate.OWNED, Fate.GROUPED, Fate.CANCELLED)


def _leaking(leaks: list[End], ends: list[End], frame: Frame, receivers: Receivers) -> Verdict:
    straight = [end for end in ends if end.way.is_straight]
    waited = _waited(ends) or any(end.cut_short for end in ends)
    if not waited and any(end.handed for end in straight):
        verdict = _handed(next(end for end in straight if end.handed), frame, receivers)
        lost = _lost_on_the_way(leaks, frame.function)
        return _hazard(lost, frame) if lost and verdict.fate in (*_SEEN_TO, Fate.HAZARD) else verdict
    cancelled = bool(straight) and all(not end.leaks for end in straight)
    if waited or cancelled:
        return _hazard(leaks, frame)
    first = min(leaks, key=lambda end: (not end.way.is_straight, end.span))
    return Verdict(Fate.DROPPED, evidence=first.trail, by=first.ignored)


def _lost_on_the_way(leaks: list[End], function: code.Function) -> list[End]:
    """The ends by an await or a `raise` between the spawn and the return: nobody gets the handle then."""
    spans = {node.span for node in walk(function.body, (code.Await, code.Raise))}
    return [end for end in leaks if end.span in spans]


def _cancelled(ends: list[End], frame: Frame) -> Verdict:
    first = min(ends, key=lambda end: (not end.way.is_straight, end.span))
    last = frame.step(first.span, f"{_LEAVING[first.way]}, nobody has waited for it")
    return Verdict(Fate.CANCELLED, evidence=(*first.trail, last))


def _hazard(leaks: list[End], frame: Frame) -> Verdict:
    kinds = {end.kind for end in leaks}
    if PathKind.EXCEPTION in kinds:
        # whatever may raise may be cancelled as well: said only where nothing but a cancellation leaks
        kinds.discard(PathKind.CANCELLATION)
    paths = tuple(kind for kind in PathKind if kind in kinds)
    told = _explained(leaks, frame.function)
    first = told or min(
        (end for end in leaks if end.kind in kinds),
        key=lambda end: (paths.index(end.kind), end.span),
    )
    evidence = first.trail
    if not evidence or evidence[-1].span != first.span:  # else the last step says it already
        evidence = (*evidence, frame.step(first.span, f"{_LEAVING[first.way]}, the task runs on"))
    verdict = Verdict(Fate.HAZARD, paths, evidence, leaving=_at(first.left_at, evidence))
    left = first.state.left
    if told is not None and left is not None:
        return replace(verdict, by=left.by, explains=left.kind)
    gathers = (end.ignored for end in leaks if end.ignored and end.ignored.pattern is Pattern.GATHER)
    within = left.by if left is not None and paths == (PathKind.CANCELLATION,) else None
    return replace(verdict, by=next(gathers, None), within=within)


def _explained(leaks: list[End], function: code.Function) -> End | None:
    """A way out on which a wait explains that the task runs on: nothing but the outcome of the wait leads there."""
    raises = {node.span for node in walk(function.body, code.Raise)}
    for end in sorted(leaks, key=lambda end: (not end.way.is_straight, end.span)):
        left = end.state.left
        if left is None or left.because is None:
            continue
        if end.way.is_straight or end.way.kind is left.kind or end.span in raises:
            return end
    return None


def _at(span: Span | None, evidence: tuple[Step, ...]) -> Step | None:
    """The last step of the evidence at a place."""
    return next((step for step in reversed(evidence) if step.span == span), None)


_LEAVING = {
    Way.END: "the function ends",
    Way.RETURN: "the function returns",
    Way.EXCEPTION: "an exception may leave here",
    Way.SIBLING: "another task of the gather may fail",
    Way.TIMEOUT: "this may time out",
    Way.CANCELLATION: "this may be cancelled",
    Way.ABANDONED: "this raises when that task was cancelled",
    Way.CLOSE: "the generator may be closed here",
}


def _handed(end: End, frame: Frame, receivers: Receivers) -> Verdict:
    function = frame.function
    only_returned = end.state.get(RETURNED) is not None and end.state.get(HANDED) is None
    if function.kind == "lambda" and only_returned and _is_ignored(function, frame):
        step = frame.step(function.span, "the lambda returns it to a library that ignores it")
        return Verdict(Fate.DROPPED, evidence=(step,))
    if only_returned and (worst := worst_of(receivers())):
        return worst
    trail = end.trail
    if end.state.get(RETURNED):
        trail = (*trail, frame.act(end.span, "returns it"))
    return Verdict(Fate.HANDED, evidence=trail)


_WORST_FIRST = (
    Fate.DROPPED,
    Fate.KEPT,
    Fate.HAZARD,
    Fate.CANCELLED,
    Fate.HANDED,
    Fate.OWNED,
    Fate.JOINED,
    Fate.GROUPED,
)


def worst_of(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that is worst for the task."""
    return min(verdicts, key=lambda verdict: _WORST_FIRST.index(verdict.fate), default=None)


def _is_ignored(function: code.Function, frame: Frame) -> bool:
    """Whether a lambda is given to something that calls it back and drops what it returns."""
    outer = frame.shared.program.enclosing(function)
    if outer is None:
        return False
    ignoring = LOOP_DEFERS | {
        "add_done_callback",
        "register",
        "connect",
        "signal",
        "add_callback",
        "add_listener",
        "on",
        "once",
    }
    for call in walk(outer.body, code.Call):
        name = text(call.func).rpartition(".")[2]
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(arg, code.Lambda) and arg.function is function for arg in given):
            return name in ignoring
    return False


# -- kept handles --------------------------------------------------------------------------------------------------


def _kept(kept: list[End], frame: Frame, receivers: Receivers) -> Verdict:
    site = frame.site
    assert site is not None
    end = min(kept, key=lambda e: (not e.way.is_straight, e.span))
    places = {place: each.state.get(place) for each in kept for place in each.kept}
    effects = {
        place: best_effect(place, value, site.function, frame.shared)
        for place, value in sorted(places.items(), key=lambda item: item[0])
        if value is not None
    }
    # of the places that keep it at one time the best counts; of the paths that keep it in other places, the worst
    paths = [each.kept for each in kept if each.way.is_straight] or [each.kept for each in kept]
    chosen = min((_best_place(path, effects) for path in paths), key=lambda place: effects[place].rank)
    best = effects[chosen]
    if best.rank < WAITS and (spawned := site.spawn.spawned_call) is not None:
        signal = signal_effect(spawned, site.spawn.function, frame.shared)
        best = max(best, signal, key=lambda effect: effect.rank)
    if best.fate.leaks and any(each.handed for each in kept):
        only_returned = all(each.state.get(HANDED) is None for each in kept)
        worst = worst_of(receivers()) if only_returned else None
        if worst is None and best is KEEPS:
            return Verdict(Fate.HANDED, evidence=end.trail)
        lost = _lost_on_the_way([each for each in _own_doing(kept) if not each.handed], frame.function)
        if worst is not None and worst.fate is not best.fate and not (lost and worst.fate in _SEEN_TO):
            return worst  # who gets it knows both keepers
    named = [place for place in sorted(places) if not isinstance(places[place], Waiter)]
    handle = place_text(chosen if chosen in named or not named else named[0], site.function)
    if best is KEEPS and not _in_view(chosen, places[chosen], frame):
        unseen = frame.step(site.span, "what keeps it belongs to something that is not in view")
        return Verdict(Fate.HANDED, evidence=(*end.trail, unseen), handle=handle)
    if best is KEEPS and _is_unread(chosen, site.function, frame):
        return Verdict(Fate.DROPPED, evidence=end.trail, handle=handle)
    owner = field_owner(chosen) or (chosen.name.rpartition(".")[0] if chosen.scope == GLOBAL else None)
    evidence = (*end.trail, *best.evidence, *(_nobody(owner, frame) if best is KEEPS else ()))
    cause = Step(frame.shared.program.paths[site.spawn.function.qualname], site.spawn.call.span, "spawned here")
    told = cause if chosen in frame.received and best.fate.leaks else None
    value = places[chosen]
    ignored = value.by if isinstance(value, Waiter) else None
    by = best.by or (ignored if ignored and ignored.pattern is Pattern.GATHER else None)
    left_at = _at(best.left_at, evidence)
    return Verdict(best.fate, best.paths, evidence, handle, owner, left_at, best.function, told, by)


def _best_place(places: list[Place], effects: Mapping[Place, Effect]) -> Place:
    """The first of the places at which most is done for the task."""
    return max(places, key=lambda place: effects[place].rank)


def _nobody(owner: str | None, frame: Frame) -> Iterator[Step]:
    """The class that keeps the task and does not wait for it."""
    scope = frame.shared.program.classes.get(owner or "")
    if scope is not None:
        is_object = frame.site is not None and frame.site.ends
        message = f"nothing in `{scope.name}` {'ends it' if is_object else 'waits for it or cancels it'}"
        yield Step(frame.shared.program.paths[scope.qualname], scope.span, message)


def _is_unread(place: Place, spawner: code.Function, frame: Frame) -> bool:
    """Whether a variable of the module or of an enclosing function only ever gets the handle."""
    if place.scope not in (GLOBAL, CELL):
        return False
    return not any(_reads(place.name, scope) for scope in candidates(place, spawner, frame.shared))


def _reads(name: str, scope: code.Function) -> bool:
    stores = {id(target) for node in walk(scope.body, code.Assign) for target in node.targets}
    found = walk(scope.body, (code.Name, code.Global))
    return any(id(n) not in stores and name == (n.id if isinstance(n, code.Name) else n.path) for n in found)


def _in_view(place: Place, value: Value | None, frame: Frame) -> bool:
    """Whether all that could wait for a task kept there is in view."""
    if not place.scope.startswith("field"):
        return True
    owner = field_owner(place)
    kinds = frame.shared.kinds
    if owner is None:
        return bool(kinds.declaring(place.name))
    if owner not in frame.shared.program.classes:
        return False
    # a container that the class was given, or never makes, belongs to somebody else
    return isinstance(value, Handle) or kinds.makes_itself(owner, place.name)
