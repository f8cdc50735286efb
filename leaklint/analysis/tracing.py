"""The tasks of a program: each is traced from its spawn to everyone it is returned to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from leaklint.analysis.ends import End, Verdict
from leaklint.analysis.groups import ending_of, spawns_for_others
from leaklint.analysis.interpreter.frame import Frame, Shared
from leaklint.analysis.interpreter.inline import call_inline
from leaklint.analysis.interpreter.state import (
    ESCAPED,
    HANDED,
    LOCAL,
    RETURNED,
    Closure,
    Result,
    State,
    Status,
    Wait,
    field,
    holds,
)
from leaklint.analysis.naming import bound_name
from leaklint.analysis.owners import swept
from leaklint.analysis.resolve import Use, argument, uses
from leaklint.analysis.sites import Site
from leaklint.analysis.spawns import Sort, Spawn, find_spawns
from leaklint.analysis.standing import standing_of
from leaklint.analysis.verdict import fate_of, worst_of
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate, Step, Task
from leaklint.model.walk import text, walk

_MOST_RETURNS = 4
"""A task is followed through so many functions that return it,"""
_MOST_TURNS = 2
"""and so often through one that calls itself."""


@dataclass(frozen=True, slots=True)
class Run:
    """The function around a site, run from there."""

    frame: Frame
    ends: list[End]
    overflow: bool

    @property
    def returns(self) -> bool:
        """Whether the function returns the task."""
        return any(end.state.alive and end.way.is_straight and end.state.get(RETURNED) for end in self.ends)


class Tracer:
    """Traces the tasks of a program; everything is found once, when it is first asked for."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._runs: dict[Site, Run] = {}
        self._receivers: dict[Site, tuple[Site, ...]] = {}
        self._verdicts: dict[Site, Verdict] = {}
        self._spawns: dict[int, list[Spawn]] = {}
        self._sites: dict[int, Site] = {}
        self._inventories: dict[str, list[tuple[Task, Verdict]]] = {}
        self._recursive: set[Site] = set()
        """The sites whose function returns the task to one that it has come through."""
        self._received: dict[str, list[Site]] | None = None

    def tasks(self, facts: ModuleFacts) -> tuple[Task, ...]:
        """The inventory of a file: its spawns, and its calls of functions that return a task; by line and column."""
        return tuple(task for task, _ in self.inventory(facts))

    def inventory(self, facts: ModuleFacts) -> list[tuple[Task, Verdict]]:
        """The same with the verdicts."""
        if facts.path not in self._inventories:
            found = [self.task_of(spawn) for function in facts.functions for spawn in self.spawns_of(function)]
            by_place: dict[Span, list[Site]] = defaultdict(list)
            for site in self._received_in(facts):
                by_place[site.span].append(site)
            spawned = {task.span for task, _ in found}
            found += [self._task_of_call(sites) for span, sites in by_place.items() if span not in spawned]
            waits = {verdict.by for _, verdict in found}
            for index, (task, verdict) in enumerate(found):
                if verdict.within in waits:  # it is reported for other tasks
                    found[index] = _left(task, verdict.within), verdict
            self._inventories[facts.path] = sorted(found, key=lambda entry: entry[0].span)
        return self._inventories[facts.path]

    # -- spawns and calls ----------------------------------------------------------------------------------------

    def spawns_of(self, function: code.Function) -> list[Spawn]:
        """The spawns in a scope's own code."""
        if id(function) not in self._spawns:  # functions live as long as the program
            self._spawns[id(function)] = list(find_spawns(function, self.shared.kinds))
        return self._spawns[id(function)]

    def _received_in(self, facts: ModuleFacts) -> list[Site]:
        """The calls in a file that return a task which another function has spawned."""
        if self._received is None:
            found: dict[str, list[Site]] = defaultdict(list)
            for module in self.shared.program.modules:
                for function in filter(_may_return, module.functions):
                    for site in self._receiving_all(function):
                        found[self.shared.program.paths[site.function.qualname]].append(site)
            self._received = found
        return self._received[facts.path]

    def _receiving_all(self, function: code.Function) -> list[Site]:
        """The calls that return what a function spawns; none if that is nested too deeply to be followed."""
        spawns = (spawn for spawn in self.spawns_of(function) if spawn.sort is Sort.FREE)
        try:
            return [site for spawn in spawns for site in self._receiving(self.site(spawn))]
        except RecursionError:
            return []

    def _receiving(self, site: Site) -> Iterator[Site]:
        for receiver in self._receivers_of(site):
            yield receiver
            yield from self._receiving(receiver)

    def _receivers_of(self, site: Site) -> tuple[Site, ...]:
        """The places to which the function around a site returns the task."""
        if site not in self._receivers:
            found: tuple[Site, ...] = ()
            function = site.function
            is_followed = function.kind == "function" and not function.is_generator
            if is_followed and len(site.functions) <= _MOST_RETURNS and self.run(site).returns:
                every = uses(function, self.shared.kinds).found
                new = [use for use in every if site.functions.count(use.caller.qualname) < _MOST_TURNS]
                callers = [Site(use.caller, use.node, site.spawn, site) for use in new]
                if len(new) < len(every):
                    self._recursive.add(site)
                # with some arguments it may not return the task at all
                found = tuple(caller for caller in callers if self.run(caller).ends)
            self._receivers[site] = found
        return self._receivers[site]

    def site(self, spawn: Spawn) -> Site:
        """The site of a spawn itself."""
        if id(spawn) not in self._sites:
            self._sites[id(spawn)] = Site(spawn.function, spawn.call, spawn)
        return self._sites[id(spawn)]

    # -- verdicts ------------------------------------------------------------------------------------------------

    def task_of(self, spawn: Spawn) -> tuple[Task, Verdict]:
        """A spawn as an entry of the inventory."""
        site, sort = self.site(spawn), spawn.sort
        if sort.fate is None:
            return self._task(site, spawn, self.verdict(site))
        decided = Verdict(sort.fate, evidence=spawn.evidence, handle=spawn.keeper)
        if sort.outweighs.issuperset(Fate):
            return self._task(site, spawn, decided)
        verdict = self.verdict(site)
        return self._task(site, spawn, decided if verdict.fate in sort.outweighs else verdict)

    def _task_of_call(self, sites: list[Site]) -> tuple[Task, Verdict]:
        """A call may return one of several tasks: the worst fate counts."""
        sites = [site for site in sites if not self._turns_back(site)] or sites
        verdicts = [self.verdict(site) for site in sites]
        worst = worst_of(verdicts)
        assert worst is not None
        site = sites[verdicts.index(worst)]
        at_spawn = worst.cause is not None and worst.cause.span == site.spawn.call.span
        if at_spawn and not self._is_told(site.spawn):
            worst = replace(worst, cause=None)
        return self._task(site, None, worst)

    def _is_told(self, spawn: Spawn) -> bool:
        """Whether a spawn is reported where it stands."""
        verdict = self.verdict(self.site(spawn))
        return verdict.fate.leaks and verdict.cause is None

    def _task(self, site: Site, spawn: Spawn | None, verdict: Verdict) -> tuple[Task, Verdict]:
        call = site.expression
        by = verdict.by if verdict.fate.leaks else None
        is_told_here = verdict.fate.leaks and by is None and verdict.cause is None
        standing = standing_of(site, verdict, self.shared) if is_told_here else None
        task = Task(
            path=self.shared.program.paths[site.function.qualname],
            span=site.span,
            call=text(call.func) if isinstance(call, code.Call) else text(call),
            spawned=spawn.spawned if spawn else _given(site) or site.spawn.spawned,
            function=site.function.qualname,
            handle=verdict.handle or bound_name(site.node, site.function),
            owner=verdict.owner,
            fate=verdict.fate,
            paths=verdict.paths,
            likely=site.spawn.likely,
            leaving=verdict.leaving,
            waits=verdict.ender.qualname if verdict.ender and verdict.fate in (Fate.OWNED, Fate.GROUPED) else None,
            cause=verdict.cause,
            evidence=(*(standing.steps if standing else ()), *verdict.evidence),
            standing=standing.standing if standing else None,
            pattern=standing.pattern if standing else None,
        )
        return _left(task, by), verdict

    def verdict(self, site: Site) -> Verdict:
        """The fate of the task of a site."""
        if site not in self._verdicts:
            run = self.run(site)
            if run.overflow:
                step = run.frame.step(site.span, "more paths than can be followed")
                self._verdicts[site] = Verdict(Fate.HANDED, evidence=(step,))
            else:
                grouped = self._grouped(site)
                found = grouped or fate_of(run.ends, run.frame, lambda: self._fates_received(site))
                self._verdicts[site] = self._swept(site) or found if found.fate is Fate.DROPPED else found
        return self._verdicts[site]

    def _swept(self, site: Site) -> Verdict | None:
        """The verdict on a task that nothing keeps, if the object that spawns it waits for all tasks of its loop."""
        effect = swept(site.spawn, self.shared)
        if site.source is not None or effect.function is None:
            return None
        owner = self.shared.program.owner_of(site.function)
        return Verdict(effect.fate, evidence=effect.evidence, owner=owner, ender=effect.function)

    def _grouped(self, site: Site) -> Verdict | None:
        """The verdict on a task of others that a class of the project waits for, if an owner ends its objects."""
        spawn = site.spawn
        if not spawns_for_others(spawn):
            return None
        run = self.run(self.site(spawn))
        own = fate_of(run.ends, run.frame, list)
        if own.fate is not Fate.OWNED or own.owner is None or own.ender is None:
            return None
        ending = ending_of(own.owner, own.ender, self.shared.kinds)
        if ending is None:
            return None
        first = (run.frame.act(spawn.call.span, "spawns it"),) if site.source else ()
        last = Frame(self.shared, ending.function).act(ending.span, ending.how)
        return replace(own, fate=Fate.GROUPED, evidence=(*first, *own.evidence, last), handle=None)

    def _fates_received(self, site: Site) -> list[Verdict]:
        """What becomes of a task with each function that it is returned to."""
        found = []
        for receiver in self._receivers_of(site):
            if self._turns_back(receiver):
                continue
            verdict = self.verdict(receiver)
            path = self.shared.program.paths[receiver.function.qualname]
            told = Step(path, receiver.span, "received here") if verdict.fate.leaks else None
            own = [
                step for step in verdict.evidence if step.span != site.spawn.call.span or step.path != self._path(site)
            ]
            found.append(replace(verdict, evidence=tuple(own), cause=verdict.cause or told, handle=None))
        return found

    def _turns_back(self, site: Site) -> bool:
        """Whether a function returns the task to nobody but functions that it has come through."""
        receivers = self._receivers_of(site)
        if not receivers:
            return site in self._recursive
        return all(map(self._turns_back, receivers))

    def _path(self, site: Site) -> str:
        return self.shared.program.paths[site.spawn.function.qualname]

    def run(self, site: Site) -> Run:
        """The function around a site, run from there."""
        if site not in self._runs:
            shared = self.shared
            shared.overflow = False
            frame = Frame(shared, site.function, site)
            ends = [
                End(way, _settle(state, site, shared, span), trail, span)
                for way, state, trail, span in frame.run(State(), ())
                if state.status is not Status.UNBORN
            ]
            self._runs[site] = Run(frame, ends, shared.overflow)
        return self._runs[site]


def _left(task: Task, by: Wait | None) -> Task:
    """A task that a wait leaves running, which is reported in its place."""
    return replace(task, cause=Step(by.path, by.span, "left running here"), pattern=by.pattern) if by else task


def _may_return(function: code.Function) -> bool:
    """Whether a function returns anything but constants."""
    return any(
        statement.value is not None and not isinstance(statement.value, code.Constant)
        for statement in walk(function.body, code.Return)
    )


def _given(site: Site) -> str | None:
    """What runs in the task, as the caller of a function that starts what it is given writes it."""
    source, inner = site.source, site.spawn.spawned_call
    if source is None or source.source is not None or not isinstance(inner, code.Name):
        return None
    given = argument(Use(site.function, site.node), inner.id, source.function)
    return None if given is None else text(given.func if isinstance(given, code.Call) else given)


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
