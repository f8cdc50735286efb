"""Verdicts: from the exits of a function to the fate of the task that was spawned in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from leaklint.analysis.ends import End, Site, Verdict
from leaklint.analysis.interpreter.frame import Frame, Shared
from leaklint.analysis.interpreter.inline import call_inline
from leaklint.analysis.interpreter.state import (
    CELL,
    ESCAPED,
    GLOBAL,
    HANDED,
    HANDLE,
    LOCAL,
    RETURNED,
    Closure,
    Handle,
    Holder,
    Place,
    Result,
    State,
    Status,
    Value,
    Waiter,
    Way,
    field,
    field_owner,
    holds,
)
from leaklint.analysis.naming import bound_name, place_text
from leaklint.analysis.owners import KEEPS, WAITS, Effect, best_effect, candidates
from leaklint.analysis.resolve import call_sites
from leaklint.analysis.signals import signal_effect
from leaklint.analysis.spawns import Sort, Spawn
from leaklint.catalog import LOOP_DEFERS
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Fate, PathKind, Step, Task
from leaklint.model.walk import text, walk

_DEEPEST = 3


def judge_spawn(spawn: Spawn, shared: Shared) -> Task:
    """The inventory entry of one spawn."""
    verdict = _verdict(spawn, shared)
    return Task(
        path=shared.program.paths[spawn.function.qualname],
        span=spawn.call.span,
        call=spawn.called,
        spawned=spawn.spawned,
        function=spawn.function.qualname,
        handle=verdict.handle,
        owner=verdict.owner,
        fate=verdict.fate,
        paths=verdict.paths,
        likely=spawn.likely,
        leaving=verdict.leaving,
        evidence=verdict.evidence,
    )


def _verdict(spawn: Spawn, shared: Shared) -> Verdict:
    if spawn.sort is Sort.NONE:
        return Verdict(Fate.NOT_A_SPAWN)
    if spawn.sort is Sort.GROUPED:
        return Verdict(Fate.GROUPED, handle=bound_name(spawn))
    site = Site(spawn.function, spawn.call, HANDLE, spawn.spawned_call)
    verdict = judge_site(site, shared)
    return replace(verdict, handle=verdict.handle or bound_name(spawn))


def judge_site(site: Site, shared: Shared, depth: int = 0) -> Verdict:
    """The fate of the task that an expression gives."""
    shared.overflow = False
    frame = Frame(shared, site.function, site.node, site.born)
    exits = frame.run(State(), ())
    ends = [
        End(way, _settle(state, site, shared, span), trail, span)
        for way, state, trail, span in exits
        if state.status is not Status.UNBORN
    ]
    if shared.overflow:
        return Verdict(Fate.HANDED, evidence=(frame.step(site.span, "more paths than can be followed"),))
    return _fate(ends, site, frame, depth)


def _settle(state: State, site: Site, shared: Shared, span: Span) -> State:
    """The state after the function: what a class body binds are fields, and closures that got out may use the task."""
    if site.function.kind == "class":
        env = {
            (field(site.function.qualname, place.name) if place.scope == LOCAL else place, value)
            for place, value in state.env
        }
        state = replace(state, env=frozenset(env))
    if not state.alive:
        return state
    for place, value in sorted(state.env, key=lambda entry: entry[0]):
        if place.scope == ESCAPED and isinstance(value, Closure):
            frame = Frame(shared, site.function)
            results = call_inline(value.function, (), Result(state, (), None), span, frame) or ()
            if any(r.state.status is Status.ENDED or r.state.get(HANDED) or holds(r.value) for r in results):
                return state.set(HANDED, next(v for p, v in state.env if holds(v)))
    return state


def _fate(ends: list[End], site: Site, frame: Frame, depth: int) -> Verdict:
    leaks = [end for end in ends if end.leaks]
    alive = [end for end in ends if end.state.alive]
    kept = [end for end in alive if end.kept]
    if not ends:
        return Verdict(Fate.DROPPED)  # no path leads past the spawn
    if kept:
        verdict = _kept(kept, site, frame)
        straight = [end for end in ends if end.way.is_straight]
        if verdict.fate in (Fate.KEPT, Fate.CANCELLED) and straight and not any(end.state.alive for end in straight):
            return _hazard(alive, frame)  # the function itself waits, where nothing goes wrong
        if verdict.fate is Fate.KEPT and _all_cancelled(_own_doing(alive)):
            return replace(_cancelled(_own_doing(alive), frame), handle=verdict.handle, owner=verdict.owner)
        return _hazard(leaks, frame) if leaks and not verdict.fate.leaks and _waited(ends) else verdict
    if leaks:
        return _leaking(leaks, ends, site, frame, depth)
    if handed := next((end for end in alive if end.handed), None):
        return _handed(handed, site, frame, depth)
    if cancelled := _own_doing(alive):
        return _cancelled(cancelled, frame)
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


def _leaking(leaks: list[End], ends: list[End], site: Site, frame: Frame, depth: int) -> Verdict:
    straight = [end for end in ends if end.way.is_straight]
    waited = _waited(ends) or any(end.cut_short for end in ends)
    if not waited and any(end.handed for end in straight):
        return _handed(next(end for end in straight if end.handed), site, frame, depth)
    cancelled = bool(straight) and all(not end.leaks for end in straight)
    if waited or cancelled:
        return _hazard(leaks, frame)
    first = min(leaks, key=lambda end: (not end.way.is_straight, end.span))
    return Verdict(Fate.DROPPED, evidence=first.trail)


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
    first = min(
        (end for end in leaks if (end.kind) in kinds),
        key=lambda end: (paths.index(end.kind), end.span),
    )
    evidence = first.trail
    if not evidence or evidence[-1].span != first.span:  # else the last step says it already
        evidence = (*evidence, frame.step(first.span, f"{_LEAVING[first.way]}, the task runs on"))
    return Verdict(Fate.HAZARD, paths, evidence, leaving=_at(first.left_at, evidence))


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


def _handed(end: End, site: Site, frame: Frame, depth: int) -> Verdict:
    only_returned = end.state.get(RETURNED) is not None and end.state.get(HANDED) is None
    if site.function.kind == "lambda" and only_returned and _is_ignored(site.function, frame):
        step = frame.step(site.function.span, "the lambda returns it to a library that ignores it")
        return Verdict(Fate.DROPPED, evidence=(step,))
    trail = end.trail
    if end.state.get(RETURNED):
        trail = (*trail, frame.act(end.span, "returns it"))
    if only_returned and (worst := _worst_receiver(end, site, frame, depth)):
        return replace(worst, evidence=(*trail, *worst.evidence))
    return Verdict(Fate.HANDED, evidence=trail)


_WORST_FIRST = (Fate.DROPPED, Fate.KEPT, Fate.HAZARD, Fate.CANCELLED, Fate.HANDED, Fate.OWNED, Fate.JOINED)


def _worst_receiver(end: End, site: Site, frame: Frame, depth: int) -> Verdict | None:
    """The fate of a task that a private function returns, with the caller that treats it worst; None when the callers
    are not all in view.
    """
    function = site.function
    born = end.state.get(RETURNED)
    private = function.name.startswith("_") and not function.name.startswith("__")
    nested = function.kind == "function" and _is_nested(function, frame)
    if born is None or function.is_generator or not (private or nested):
        return None
    verdicts = _receivers(born, site, frame, depth)
    return min(verdicts, key=lambda verdict: _WORST_FIRST.index(verdict.fate), default=None)


def _receivers(born: Value, site: Site, frame: Frame, depth: int) -> list[Verdict]:
    """What becomes of a returned task with each caller in view; nothing when they are not all in view."""
    if depth > _DEEPEST:
        return []
    verdicts = []
    for caller, node in call_sites(site.function, frame.shared.kinds) or ():
        if not isinstance(node, code.Call | code.Await):
            return []
        verdict = judge_site(Site(caller, node, born, site.spawned), frame.shared, depth + 1)
        received = Frame(frame.shared, caller).act(node.span, "receives it")
        verdicts.append(replace(verdict, evidence=(received, *verdict.evidence)))
    return verdicts


def _is_nested(function: code.Function, frame: Frame) -> bool:
    outer = frame.shared.program.enclosing(function)
    return outer is not None and outer.kind == "function"


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


def _kept(kept: list[End], site: Site, frame: Frame) -> Verdict:
    best: Effect = KEEPS
    end = min(kept, key=lambda e: (not e.way.is_straight, e.span))
    places = {place: each.state.get(place) for each in kept for place in each.kept}
    chosen = end.kept[0]
    for place in sorted(places):
        value = places[place]
        if value is None:
            continue
        effect = best_effect(place, value, site.function, frame.shared)
        if effect.rank > best.rank:
            best, chosen = effect, place
    if best.rank < WAITS and site.spawned is not None:
        signal = signal_effect(site.spawned, site.function, frame.shared)
        best = max(best, signal, key=lambda effect: effect.rank)
    if best is KEEPS and any(each.handed for each in kept) and not _is_registry(kept, places, site, frame):
        return Verdict(Fate.HANDED, evidence=end.trail)
    named = [place for place in sorted(places) if not isinstance(places[place], Waiter)]
    handle = place_text(chosen if chosen in named or not named else named[0], site.function)
    if best is KEEPS and not _in_view(chosen, places[chosen], frame):
        unseen = frame.step(site.span, "what keeps it belongs to something that is not in view")
        return Verdict(Fate.HANDED, evidence=(*end.trail, unseen), handle=handle)
    if best is KEEPS and _is_unread(chosen, site.function, frame):
        return Verdict(Fate.DROPPED, evidence=end.trail, handle=handle)
    owner = field_owner(chosen) or (chosen.name.rpartition(".")[0] if chosen.scope == GLOBAL else None)
    evidence = (*end.trail, *best.evidence, *(_nobody(owner, frame) if best is KEEPS else ()))
    return Verdict(best.fate, best.paths, evidence, handle, owner, _at(best.left_at, evidence))


def _is_registry(kept: list[End], places: dict[Place, Value | None], site: Site, frame: Frame) -> bool:
    """Whether a function registers the task in a container and returns it to callers that all throw it away."""
    only_returned = all(each.state.get(HANDED) is None for each in kept)
    if not only_returned or not any(isinstance(value, Holder) for value in places.values()):
        return False
    returned = next((value for each in kept if (value := each.state.get(RETURNED)) is not None), None)
    if returned is None:
        return False
    received = _receivers(returned, site, frame, _DEEPEST)
    return bool(received) and all(verdict.fate is Fate.DROPPED for verdict in received)


def _nobody(owner: str | None, frame: Frame) -> Iterator[Step]:
    """The class that keeps the task and does not wait for it."""
    scope = frame.shared.program.classes.get(owner or "")
    if scope is not None:
        message = f"nothing in `{scope.name}` waits for it or cancels it"
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
        return kinds.is_declared(place.name)
    if owner not in frame.shared.program.classes:
        return False
    # a container that the class was given, or never makes, belongs to somebody else
    return isinstance(value, Handle) or kinds.makes_itself(owner, place.name)
