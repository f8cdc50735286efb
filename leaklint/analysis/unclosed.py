"""The objects that own tasks and that nothing ends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

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
from leaklint.analysis.sites import Site
from leaklint.analysis.spawns import Sort
from leaklint.analysis.tracing import Tracer
from leaklint.analysis.verdict import fate_of
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Unclosed


class Closing:
    """Looks for the end of every object of a program that owns tasks."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._owners: dict[str, Owning | None] = {}

    def unclosed(self, facts: ModuleFacts) -> tuple[Unclosed, ...]:
        """The objects that a file makes, that own tasks, and that nothing ends; by line and column."""
        found = [
            unclosed
            for function in facts.functions
            if not function.words.isdisjoint(self._possible_owners)
            for making in makings(function, self._tracer.shared.kinds)
            if (unclosed := self._unclosed(making))
        ]
        return tuple(sorted(found, key=lambda each: each.span))

    def _unclosed(self, making: Making) -> Unclosed | None:
        kinds = self._tracer.shared.kinds
        owning = self._owning(making.made)
        is_inside = kinds.program.owner_of(making.function) in kinds.program.family(making.made)
        if owning is None or owning.end is None or is_inside:
            return None
        site = Site(making.function, making.node, owning.spawn, ends=owning.ends)
        run = self._tracer.run(site)
        verdict = fate_of(run.ends, run.frame, list)
        if run.overflow or not ends_nowhere(verdict) or is_ended_nearby(owning, making, kinds):
            return None
        if not is_started(owning, making, verdict, kinds):
            return None
        return unclosed(site, owning, verdict, run.frame)

    @cached_property
    def _possible_owners(self) -> frozenset[str]:
        """The classes whose objects may own tasks."""
        program = self._tracer.shared.program
        functions = (function for module in program.modules for function in module.functions)
        spawning = (f for f in functions if any(spawn.sort is Sort.FREE for spawn in self._tracer.spawns_of(f)))
        owners = {owner for function in spawning if (owner := program.owner_of(function))}
        return frozenset(name for owner in owners for name in program.family(owner))

    def _owning(self, owner: str) -> Owning | None:
        """How objects of a class own tasks; None if they own none that a method of theirs waits for."""
        if owner not in self._owners:
            self._owners[owner] = next(self._owned_by(owner), None)
        return self._owners[owner]

    def _owned_by(self, owner: str) -> Iterator[Owning]:
        program = self._tracer.shared.program
        for name in program.ancestors(owner):
            for method in program.classes[name].methods if name in program.classes else ():
                if is_end(method.name):
                    continue  # it only runs when the object is being ended
                for scope in program.inside(method):
                    for spawn in self._tracer.spawns_of(scope):
                        verdict = self._tracer.verdict(self._tracer.site(spawn)) if spawn.sort is Sort.FREE else None
                        if verdict is not None and is_owned_by(owner, verdict, self._tracer.shared.kinds):
                            assert verdict.ender is not None
                            yield owning_of(owner, spawn, method, verdict.ender, self._tracer.shared.kinds)
