"""The tasks of a program: each is traced from its spawn to everyone it is returned to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from leaklint.analysis.ends import End, Verdict
from leaklint.analysis.groups import ending_of, spawns_for_others
from leaklint.analysis.hidden import WAITS, find_hidden
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
from leaklint.analysis.owning import (
    Making,
    Owning,
    ends_nowhere,
    is_end,
    is_ended_nearby,
    is_owned_by,
    is_started,
    makings,
    owning_of,
    unclosed,
)
from leaklint.analysis.resolve import Use, argument, uses
from leaklint.analysis.scopes import misused_scopes
from leaklint.analysis.sites import Site
from leaklint.analysis.spawns import Sort, Spawn, find_spawns
from leaklint.analysis.standing import standing_of
from leaklint.analysis.swallowing import swallowed
from leaklint.analysis.threads import THREADS, find_dropped_futures
from leaklint.analysis.verdict import fate_of, worst_of
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate, Misuse, PathKind, Pattern, Step, Task, Unclosed
from leaklint.model.walk import text, walk

_MOST_RETURNS = 4
"""A task is followed through so many functions that return it,"""
_MOST_TURNS = 2
"""and so often through one that calls itself."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The function around a site, run from there."""

    frame: Frame
    ends: list[End]
    overflow: bool

    @property
    def returns(self) -> bool:
        """Whether the function returns the task."""
        return any(end.state.alive and end.way.is_straight and end.state.get(RETURNED) for end in self.ends)


@dataclass(frozen=True, slots=True)
class Traces:
    """What the analysis says of one file; each by line and column."""

    tasks: tuple[Task, ...] = ()
    """The inventory: its spawns, and its calls of functions that return a task."""
    hidden: tuple[Task, ...] = ()
    """What starts tasks without being a spawn, and the waits that leave spawned tasks running."""
    misuses: tuple[Misuse, ...] = ()
    unclosed: tuple[Unclosed, ...] = ()
    """The objects that it makes, that own tasks, and that nothing ends."""


class Tracer:
    """Traces the tasks of a program; everything is found once, when it is first asked for."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._runs: dict[Site, _Run] = {}
        self._receivers: dict[Site, tuple[Site, ...]] = {}
        self._verdicts: dict[Site, Verdict] = {}
        self._spawns: dict[int, list[Spawn]] = {}
        self._hidden: dict[int, list[Spawn]] = {}
        self._owners: dict[str, Owning | None] = {}
        self._sites: dict[int, Site] = {}
        self._inventories: dict[str, list[tuple[Task, Verdict]]] = {}
        self._recursive: set[Site] = set()
        """The sites whose function returns the task to one that it has come through."""
        self._received: dict[str, list[Site]] | None = None

    def traces(self, facts: ModuleFacts) -> Traces:
        """All that is said of a file."""
        misuses = sorted([*misused_scopes(facts, self._shared), *swallowed(facts, self._shared)], key=lambda m: m.span)
        return Traces(self.tasks(facts), self.hidden(facts), tuple(misuses), self.unclosed(facts))

    def tasks(self, facts: ModuleFacts) -> tuple[Task, ...]:
        """The inventory of a file: its spawns, and its calls of functions that return a task; by line and column."""
        return tuple(task for task, _ in self._inventory(facts))

    def _inventory(self, facts: ModuleFacts) -> list[tuple[Task, Verdict]]:
        if facts.path not in self._inventories:
            found = [self._task_of_spawn(spawn) for function in facts.functions for spawn in self._spawns_of(function)]
            by_place: dict[Span, list[Site]] = defaultdict(list)
            for site in self._received_in(facts):
                by_place[site.span].append(site)
            spawned = {task.span for task, _ in found}
            found += [self._task_of_call(sites) for span, sites in by_place.items() if span not in spawned]
            waits = {verdict.by for _, verdict in found if verdict.by}
            told = [
                (
                    _left(task, verdict.within)
                    if verdict.within in waits and task.paths == (PathKind.CANCELLATION,) and not task.pattern
                    else task,
                    verdict,
                )
                for task, verdict in found
            ]
            self._inventories[facts.path] = sorted(told, key=lambda entry: entry[0].span)
        return self._inventories[facts.path]

    def hidden(self, facts: ModuleFacts) -> tuple[Task, ...]:
        """The calls in a file that leave tasks running which they start themselves, or that others have spawned; by
        line and column.
        """
        if all(function.words.isdisjoint(WAITS | THREADS) for function in facts.functions):
            return ()
        found: dict[Span, Task] = {}
        for wait, task in self._left_by.get(facts.path, ()):
            found.setdefault(wait.span, _at_the_wait(task, wait))
        for task, verdict in self._concealed(facts):
            if verdict.by is None or verdict.by.span == task.span:
                found[task.span] = replace(task, cause=None)
        return tuple(sorted(found.values(), key=lambda task: task.span))

    def _concealed(self, facts: ModuleFacts) -> Iterator[tuple[Task, Verdict]]:
        """The calls in a file that are no spawns and start tasks which leak."""
        for function in facts.functions:
            for spawn in self._hidden_in(function):
                task, verdict = self._task_of_spawn(spawn)
                is_its_own = verdict.by or task.fate is not Fate.HAZARD or spawn.pattern is Pattern.GATHER
                if task.fate.leaks and is_its_own:
                    yield task if verdict.by else replace(task, pattern=spawn.pattern), verdict

    @cached_property
    def _left_by(self) -> Mapping[str, list[tuple[Wait, Task]]]:
        """By file, the waits that leave tasks running which are started elsewhere, each with a task."""
        found: dict[str, list[tuple[Wait, Task]]] = defaultdict(list)
        for module in self._shared.program.modules:
            for task, verdict in (*self._inventory(module), *self._concealed(module)):
                if verdict.by is not None and task.fate.leaks:
                    found[verdict.by.path].append((verdict.by, task))
        return found

    def unclosed(self, facts: ModuleFacts) -> tuple[Unclosed, ...]:
        """The objects that a file makes, that own tasks, and that nothing ends; by line and column."""
        found = [
            unclosed
            for function in facts.functions
            if not function.words.isdisjoint(self._possible_owners)
            for making in makings(function, self._shared.kinds)
            if (unclosed := self._unclosed(making))
        ]
        return tuple(sorted(found, key=lambda each: each.span))

    def _unclosed(self, making: Making) -> Unclosed | None:
        kinds = self._shared.kinds
        owning = self._owning(making.made)
        is_inside = kinds.program.owner_of(making.function) in kinds.program.family(making.made)
        if owning is None or owning.end is None or is_inside:
            return None
        site = Site(making.function, making.node, owning.spawn, ends=owning.ends)
        run = self._run(site)
        verdict = fate_of(run.ends, run.frame, list)
        if run.overflow or not ends_nowhere(verdict) or is_ended_nearby(owning, making, kinds):
            return None
        if not is_started(owning, making, verdict, kinds):
            return None
        return unclosed(site, owning, verdict, run.frame)

    @cached_property
    def _possible_owners(self) -> frozenset[str]:
        """The classes whose objects may own tasks."""
        program = self._shared.program
        spawning = (
            f for m in program.modules for f in m.functions if any(s.sort is Sort.FREE for s in self._spawns_of(f))
        )
        owners = {owner for function in spawning if (owner := program.owner_of(function))}
        return frozenset(name for owner in owners for name in program.family(owner))

    def _owning(self, owner: str) -> Owning | None:
        """How objects of a class own tasks; None if they own none that a method of theirs waits for."""
        if owner not in self._owners:
            self._owners[owner] = next(self._owned_by(owner), None)
        return self._owners[owner]

    def _owned_by(self, owner: str) -> Iterator[Owning]:
        program = self._shared.program
        for name in program.ancestors(owner):
            for method in program.classes[name].methods if name in program.classes else ():
                if is_end(method.name):
                    continue  # it only runs when the object is being ended
                for scope in program.inside(method):
                    for spawn in self._spawns_of(scope):
                        verdict = self._verdict(self._site(spawn)) if spawn.sort is Sort.FREE else None
                        if verdict is not None and is_owned_by(owner, verdict, self._shared.kinds):
                            assert verdict.ender is not None
                            yield owning_of(owner, spawn, method, verdict.ender, self._shared.kinds)

    # -- spawns and calls ----------------------------------------------------------------------------------------

    def _spawns_of(self, function: code.Function) -> list[Spawn]:
        if id(function) not in self._spawns:  # functions live as long as the program
            self._spawns[id(function)] = list(find_spawns(function, self._shared.kinds))
        return self._spawns[id(function)]

    def _hidden_in(self, function: code.Function) -> list[Spawn]:
        if id(function) not in self._hidden:
            kinds = self._shared.kinds
            self._hidden[id(function)] = [*find_hidden(function, kinds), *find_dropped_futures(function, kinds)]
        return self._hidden[id(function)]

    def _received_in(self, facts: ModuleFacts) -> list[Site]:
        """The calls in a file that return a task which another function has spawned."""
        if self._received is None:
            found: dict[str, list[Site]] = defaultdict(list)
            for module in self._shared.program.modules:
                for function in filter(_may_return, module.functions):
                    for site in self._receiving_all(function):
                        found[self._shared.program.paths[site.function.qualname]].append(site)
            self._received = found
        return self._received[facts.path]

    def _receiving_all(self, function: code.Function) -> list[Site]:
        """The calls that return what a function spawns; none if that is nested too deeply to be followed."""
        spawns = (spawn for spawn in self._spawns_of(function) if spawn.sort is Sort.FREE)
        try:
            return [site for spawn in spawns for site in self._receiving(self._site(spawn))]
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
            if is_followed and len(site.functions) <= _MOST_RETURNS and self._run(site).returns:
                every = uses(function, self._shared.kinds).found
                new = [use for use in every if site.functions.count(use.caller.qualname) < _MOST_TURNS]
                callers = [Site(use.caller, use.node, site.spawn, site) for use in new]
                if len(new) < len(every):
                    self._recursive.add(site)
                # with some arguments it may not return the task at all
                found = tuple(caller for caller in callers if self._run(caller).ends)
            self._receivers[site] = found
        return self._receivers[site]

    def _site(self, spawn: Spawn) -> Site:
        if id(spawn) not in self._sites:
            self._sites[id(spawn)] = Site(spawn.function, spawn.call, spawn)
        return self._sites[id(spawn)]

    # -- verdicts ------------------------------------------------------------------------------------------------

    def _task_of_spawn(self, spawn: Spawn) -> tuple[Task, Verdict]:
        site, sort = self._site(spawn), spawn.sort
        if sort.fate is None:
            return self._task(site, spawn, self._verdict(site))
        decided = Verdict(sort.fate, evidence=spawn.evidence, handle=spawn.keeper)
        if sort.outweighs.issuperset(Fate):
            return self._task(site, spawn, decided)
        verdict = self._verdict(site)
        return self._task(site, spawn, decided if verdict.fate in sort.outweighs else verdict)

    def _task_of_call(self, sites: list[Site]) -> tuple[Task, Verdict]:
        """A call may return one of several tasks: the worst fate counts."""
        sites = [site for site in sites if not self._turns_back(site)] or sites
        verdicts = [self._verdict(site) for site in sites]
        worst = worst_of(verdicts)
        assert worst is not None
        site = sites[verdicts.index(worst)]
        at_spawn = worst.cause is not None and worst.cause.span == site.spawn.call.span
        if at_spawn and not self._is_told(site.spawn):
            worst = replace(worst, cause=None)
        return self._task(site, None, worst)

    def _is_told(self, spawn: Spawn) -> bool:
        """Whether a spawn is reported where it stands."""
        verdict = self._verdict(self._site(spawn))
        return verdict.fate.leaks and verdict.cause is None

    def _task(self, site: Site, spawn: Spawn | None, verdict: Verdict) -> tuple[Task, Verdict]:
        call = site.expression
        by = verdict.by if verdict.fate.leaks else None
        is_told_here = verdict.fate.leaks and by is None and verdict.cause is None
        standing = standing_of(site, verdict, self._shared) if is_told_here else None
        task = Task(
            path=self._shared.program.paths[site.function.qualname],
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

    def _verdict(self, site: Site) -> Verdict:
        """The fate of the task of a site."""
        if site not in self._verdicts:
            run = self._run(site)
            if run.overflow:
                step = run.frame.step(site.span, "more paths than can be followed")
                self._verdicts[site] = Verdict(Fate.HANDED, evidence=(step,))
            else:
                grouped = self._grouped(site)
                fate = grouped or fate_of(run.ends, run.frame, lambda: self._fates_received(site))
                self._verdicts[site] = fate
        return self._verdicts[site]

    def _grouped(self, site: Site) -> Verdict | None:
        """The verdict on a task of others that a class of the project waits for, if an owner ends its objects."""
        spawn = site.spawn
        if not spawns_for_others(spawn):
            return None
        run = self._run(self._site(spawn))
        own = fate_of(run.ends, run.frame, list)
        if own.fate is not Fate.OWNED or own.owner is None or own.ender is None:
            return None
        ending = ending_of(own.owner, own.ender, self._shared.kinds)
        if ending is None:
            return None
        first = (run.frame.act(spawn.call.span, "spawns it"),) if site.source else ()
        last = Frame(self._shared, ending.function).act(ending.span, ending.how)
        return replace(own, fate=Fate.GROUPED, evidence=(*first, *own.evidence, last), handle=None)

    def _fates_received(self, site: Site) -> list[Verdict]:
        """What becomes of a task with each function that it is returned to."""
        found = []
        for receiver in self._receivers_of(site):
            if self._turns_back(receiver):
                continue
            verdict = self._verdict(receiver)
            path = self._shared.program.paths[receiver.function.qualname]
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
        return self._shared.program.paths[site.spawn.function.qualname]

    def _run(self, site: Site) -> _Run:
        if site not in self._runs:
            shared = self._shared
            shared.overflow = False
            frame = Frame(shared, site.function, site)
            ends = [
                End(way, _settle(state, site, shared, span), trail, span)
                for way, state, trail, span in frame.run(State(), ())
                if state.status is not Status.UNBORN
            ]
            self._runs[site] = _Run(frame, ends, shared.overflow)
        return self._runs[site]


def _left(task: Task, by: Wait | None) -> Task:
    """A task that a wait leaves running, which is reported in its place."""
    return replace(task, cause=Step(by.path, by.span, "left running here"), pattern=by.pattern) if by else task


def _at_the_wait(task: Task, wait: Wait) -> Task:
    """A spawned task as what a wait leaves running."""
    spawned = Step(task.path, task.span, "spawned here")
    evidence = (spawned, *(step for step in task.evidence if step.span != wait.span or step.path != wait.path))
    moved = replace(task, path=wait.path, span=wait.span, call=wait.call, function=wait.function)
    return replace(moved, evidence=evidence, cause=None)


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
