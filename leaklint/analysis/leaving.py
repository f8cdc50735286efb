"""What leaves tasks running without spawning them: waits, coroutines that are wrapped in tasks, futures of threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from leaklint.analysis.ends import Verdict
from leaklint.analysis.hidden import WAITS, find_hidden
from leaklint.analysis.interpreter.state import Wait
from leaklint.analysis.spawns import Spawn
from leaklint.analysis.threads import THREADS, find_dropped_futures
from leaklint.analysis.tracing import Tracer
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Fate, PathKind, Pattern, Step, Task


class Leaving:
    """The calls of a program that leave tasks running; everything is found once, when it is first asked for."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._hidden: dict[int, list[Spawn]] = {}

    def calls(self, facts: ModuleFacts) -> tuple[Task, ...]:
        """The calls in a file that leave tasks running, which they start themselves or others have spawned; by line
        and column.
        """
        if all(function.words.isdisjoint(WAITS | THREADS) for function in facts.functions):
            return ()
        found: dict[Span, Task] = {}
        for wait, task in self._left_by.get(facts.path, ()):
            found.setdefault(wait.span, task)
        for task, verdict in self._concealed(facts):
            if verdict.by is None or verdict.by.span == task.span:
                found[task.span] = replace(task, cause=None, paths=_paths(task, verdict))
        return tuple(sorted(found.values(), key=lambda task: task.span))

    def _concealed(self, facts: ModuleFacts) -> Iterator[tuple[Task, Verdict]]:
        """The calls in a file that are no spawns and start tasks which leak."""
        for function in facts.functions:
            for spawn in self._hidden_in(function):
                task, verdict = self._tracer.task_of(spawn)
                is_its_own = verdict.by or task.fate is not Fate.HAZARD or spawn.pattern is Pattern.GATHER
                if task.fate.leaks and is_its_own:
                    yield task if verdict.by else replace(task, pattern=spawn.pattern), verdict

    @cached_property
    def _left_by(self) -> Mapping[str, list[tuple[Wait, Task]]]:
        """By file, the waits that leave tasks running which are started elsewhere, each with a task."""
        found: dict[str, list[tuple[Wait, Task]]] = defaultdict(list)
        for module in self._tracer.shared.program.modules:
            for task, verdict in self._leaking(module):
                if verdict.by is not None and task.fate.leaks:
                    found[verdict.by.path].append((verdict.by, _at_the_wait(task, verdict.by, verdict)))
        return found

    def _leaking(self, facts: ModuleFacts) -> list[tuple[Task, Verdict]]:
        """All that is known of the tasks of a file; nothing if it cannot be judged, of which its own outcome tells."""
        try:
            return [*self._tracer.inventory(facts), *self._concealed(facts)]
        except Exception:  # noqa: BLE001 - whatever is wrong with a file costs no other one
            return []

    def _hidden_in(self, function: code.Function) -> list[Spawn]:
        if id(function) not in self._hidden:
            shared = self._tracer.shared
            self._hidden[id(function)] = [
                *find_hidden(function, shared.kinds),
                *find_dropped_futures(function, shared.kinds, shared.outcomes),
            ]
        return self._hidden[id(function)]


def _at_the_wait(task: Task, wait: Wait, verdict: Verdict) -> Task:
    """A spawned task as what a wait leaves running."""
    spawned = Step(task.path, task.span, "spawned here")
    evidence = (spawned, *(step for step in task.evidence if step.span != wait.span or step.path != wait.path))
    moved = replace(task, path=wait.path, span=wait.span, call=wait.call, function=wait.function)
    return replace(moved, evidence=evidence, cause=None, paths=_paths(task, verdict))


def _paths(task: Task, verdict: Verdict) -> tuple[PathKind, ...]:
    """The kinds of path that the wait explains; all, if it explains none."""
    return (verdict.explains,) if verdict.explains else task.paths
