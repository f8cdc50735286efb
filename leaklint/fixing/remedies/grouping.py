"""Runs the tasks of a function in a task group.

The group is around the smallest block that holds the spawns and all uses of their handles; where a task may be running
at the end of that, it reaches to the end of the function. When it is left, all its tasks have ended; when one fails,
the others and the function are cancelled, and the errors arrive as an `ExceptionGroup`. A group of the function that is
there already, around all of it, is used. One for a task that never ends is cancelled where the function ends.

`tg.create_task` is in AnyIO 4.14 and later; for older ones `tg.start_soon` is written, where no handle is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.spawns import Spawn
from leaklint.fixing.grouped.against import ends_with_cancel, hazards_of, return_inside, without_handles
from leaklint.fixing.grouped.bundles import Bundle, bundles_of
from leaklint.fixing.grouped.calls import Calls
from leaklint.fixing.grouped.regions import Region, region_of
from leaklint.fixing.grouped.writing import Writer
from leaklint.fixing.hazards.children import never_ends
from leaklint.fixing.shielding import shields
from leaklint.fixing.study import Finding, Study, contains
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.model.fix import Edit, Fix, Hazard, Insert, Replace, Substitute, Target, Wrap

NAME = "task-group"
CODES = frozenset({"LK101", "LK102", "LK104", "LK106", "LK201", "LK206", "LK207", "LK304"})

_REACHED = frozenset({PathKind.EARLY_EXIT, PathKind.TIMEOUT, PathKind.SIBLING, PathKind.PARTIAL_WAIT})
"""The ways out that a cancellation of the group does not take."""
_NATIVE_SINCE = (3, 11)
"""https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup"""


class _Plan(NamedTuple):
    """A group for the tasks of some bundles."""

    bundles: tuple[Bundle, ...]
    region: Region
    edits: tuple[Edit, ...]
    hazards: tuple[Hazard, ...]
    notes: tuple[str, ...] = ()
    """What changes in the tasks."""


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A task group for the task, and for those that stand in the same statements."""
    task = finding.subject
    if not isinstance(task, Task):
        return ()
    function = study.function_of(task)
    if function is None or not function.is_async:
        return () if finding.diagnostic.code == "LK201" else (_no_coroutine(function),)
    every = bundles_of(function, study)
    own = next((bundle for bundle in every if bundle.holds(finding.diagnostic.span)), None)
    if own is None:
        return () if finding.diagnostic.code == "LK201" else (_spawned_elsewhere(task),)
    plan = _widest(own, every, study)
    blocking = [hazard for hazard in plan.hazards if hazard.blocks]
    if not blocking and plan.region.group is None:
        around = (bundle for bundle in every if bundle not in plan.bundles)
        blocking += [hazard for bundle in around for hazard in _silenced(bundle, study, plan.region)]
    return tuple(blocking) or _fix(plan, function, study)


def _fix(plan: _Plan, function: code.Function, study: Study) -> Fix:
    region = plan.region
    title = f"run {'them' if len(_spawns(plan)) > 1 else 'it'} in {'the' if region.group else 'a'} task group"
    return Fix(NAME, title, study.path, plan.edits, plan.hazards, tuple(_notes(plan, function, study)))


# -- plans -------------------------------------------------------------------------------------------------------------


def _widest(own: Bundle, every: Sequence[Bundle], study: Study) -> _Plan:
    """A plan for a bundle, and for the others that stand in its statements: for those that would be found there as
    tasks of asyncio in a group of AnyIO, and for those that add no hazard.
    """
    plan = alone = _whole((own,), every, study)
    if any(hazard.blocks for hazard in alone.hazards) or _endless(alone.bundles, alone.region, study):
        return alone
    others = [bundle for bundle in every if bundle not in alone.bundles and not _is_silenced(bundle, study)]
    fitting = [(bundle, _plan((bundle,), study)) for bundle in others]
    rest = [(bundle, other) for bundle, other in fitting if set(other.hazards) <= set(alone.hazards)]
    while near := [(bundle, other) for bundle, other in rest if _overlap(plan.region, other.region)]:
        rest = [each for each in rest if each not in near]
        wider = _plan((*plan.bundles, *(bundle for bundle, _ in near)), study)
        if not set(wider.hazards) <= set(alone.hazards):
            return alone
        plan = wider
    return plan


def _whole(bundles: tuple[Bundle, ...], every: Sequence[Bundle], study: Study) -> _Plan:
    """A plan for some bundles, and for all that could not stay as they are in the group."""
    plan = _plan(bundles, study)
    if any(hazard.blocks for hazard in plan.hazards) or plan.region.group is not None:
        return plan
    if study.environment.target is not Target.ANYIO:
        return plan
    left = [bundle for bundle in every if bundle not in bundles and _would_be_native(bundle, plan.region, study)]
    return _whole((*bundles, *left), every, study) if left else plan


def _would_be_native(bundle: Bundle, region: Region, study: Study) -> bool:
    """Whether a task would be found to be one of asyncio in the group of AnyIO (LK304)."""
    inside = {spawn.call.span for spawn in bundle.spawns if region.holds(spawn.call.span)}
    return any(
        task.fate in (Fate.DROPPED, Fate.KEPT) or (task.fate is Fate.HAZARD and not _REACHED.issuperset(task.paths))
        for task in study.studied.findings.tasks
        if task.span in inside
    )


def _plan(bundles: tuple[Bundle, ...], study: Study) -> _Plan:
    bundles = tuple(sorted(bundles, key=lambda bundle: bundle.spawns[0].call.span))
    function = bundles[0].function
    region = region_of(bundles, study)
    is_native = region.is_native if region.group else study.environment.target is Target.ASYNCIO
    calls = Calls(region.group or study.free_name("tg", function), is_native, study)
    blocking = [hazard for bundle in bundles for hazard in bundle.hazards if hazard.blocks]
    if blocking and not (is_native and all(hazard.name == "handle-lacks" for hazard in blocking)):
        return _Plan(bundles, region, (), tuple(dict.fromkeys(blocking)))
    writer = Writer(bundles, region, study, calls)
    hazards = [*hazards_of(bundles, region, calls, study), *without_handles(bundles, writer.needed, calls, study)]
    hazards += [hazard for bundle in bundles for hazard in _silenced(bundle, study) if len(bundle.spawns) > 1]
    if is_native and region.group is None and (study.environment.python or _NATIVE_SINCE) < _NATIVE_SINCE:
        hazards.append(Hazard("needs-newer-python", "`asyncio.TaskGroup` needs Python 3.11", blocks=True))
    endless = _endless(bundles, region, study)
    if endless:
        hazards = [
            *_of_endless(endless, bundles, region, calls),
            *(each for each in hazards if each.name != "may-never-end"),
        ]
    if any(hazard.blocks for hazard in hazards):
        return _Plan(bundles, region, (), tuple(dict.fromkeys(hazards)))
    shielded = [shields(each, function, study) for bundle in bundles for each in bundle.coroutines]
    hazards += [hazard for each in shielded for hazard in each.hazards]
    leaving = _leaving(region, function, study)
    written = writer.edits()
    if leaving.statement is not None and any(_is_within(edit, leaving.statement.span) for edit in written):
        return _Plan(bundles, region, (), (return_inside(leaving.statement),))
    group = _group(region, calls, function, study, cancelled=bool(endless), after=leaving.after)
    shields_ = (edit for each in shielded for edit in each.edits)
    edits: tuple[Edit, ...] = (*written, *leaving.edits, *group, *shields_)
    notes = dict.fromkeys(note for each in shielded for note in each.notes)
    edits = (*dict.fromkeys(edits), *study.forgotten(function))
    return _Plan(bundles, region, edits, tuple(dict.fromkeys(hazards)), tuple(notes))


def _endless(bundles: Sequence[Bundle], region: Region, study: Study) -> list[Spawn]:
    """The spawns of tasks for which a group at the end of the function would wait for ever."""
    if region.is_joined or ends_with_cancel(region):
        return []
    return [
        spawn
        for bundle in bundles
        for spawn in bundle.spawns
        if (started := spawn.spawned_call) is not None and never_ends(started, bundle.function, study)
    ]


def _of_endless(endless: Sequence[Spawn], bundles: Sequence[Bundle], region: Region, calls: Calls) -> Iterator[Hazard]:
    """What it means to cancel the group when the function has come to its end."""
    function = bundles[0].function
    names = _listed(_children(endless))
    if region.group is not None or len(endless) < sum(len(bundle.spawns) for bundle in bundles):
        yield Hazard("never-ends", f"{names} never ends, and the group would wait for it", blocks=True)
    elif calls.is_native:
        yield Hazard("never-ends", f"{names} never ends, and `asyncio.TaskGroup` cannot be cancelled", blocks=True)
    yield Hazard("work-is-cut", f"{names} runs for ever, and is now cancelled at the end of `{function.name}`")


class _Leaving(NamedTuple):
    """How the function returns after the group what it has returned at the end of the statements in it."""

    statement: code.Return | None = None
    edits: tuple[Edit, ...] = ()
    after: str = ""
    """The statement after the group."""


def _leaving(region: Region, function: code.Function, study: Study) -> _Leaving:
    last = region.inside[-1]
    if region.group is not None or not isinstance(last, code.Return):
        return _Leaving()
    value = last.value
    if value is None or isinstance(value, code.Starred):
        return _Leaving(last, (Substitute(last.span, ()),), "return")
    written = study.written(value.span)
    if (isinstance(value, code.Constant) or _is_own(value, function, study)) and "\n" not in written:
        return _Leaving(last, (Substitute(last.span, ()),), f"return {written}")
    # what it is worth is found out where it was so far, before the tasks have ended
    name = study.free_name("result", function)
    expression = f"({written})" if "\n" in written else written
    return _Leaving(last, (Substitute(last.span, (f"{name} = {expression}",)),), f"return {name}")


def _is_own(value: Expr, function: code.Function, study: Study) -> bool:
    """Whether an expression is a variable that nothing but the function binds: it is the same after the group."""
    match value:
        case code.Name(id=name) if name in function.local_names:
            return not any(name in scope.free_names for scope in study.program.inside(function))
    return False


def _is_within(edit: Edit, span: code.Span) -> bool:
    return isinstance(edit, Replace | Substitute | Insert) and contains(span, edit.span)


def _group(
    region: Region, calls: Calls, function: code.Function, study: Study, *, cancelled: bool, after: str
) -> Iterator[Edit]:
    """The group itself, unless it is there already."""
    if region.group is not None:
        return
    path = "asyncio.TaskGroup" if calls.is_native else "anyio.create_task_group"
    spelled, imports = study.spelled(path, function)
    template = f"async with {spelled}() as {calls.group}:\n    ..."
    if cancelled:
        template += f"\n    {calls.group}.cancel_scope.cancel()"
    if after:
        template += f"\n{after}"
    first, last = region.inside[0].span, region.inside[-1].span
    yield Wrap(first, last, template, function.qualname, exact=True)
    yield from imports


def _overlap(one: Region, other: Region) -> bool:
    return one.span[:2] < other.span[2:] and other.span[:2] < one.span[2:]


# -- words -------------------------------------------------------------------------------------------------------------


def _notes(plan: _Plan, function: code.Function, study: Study) -> Iterator[str]:
    names = _children(_spawns(plan))
    listed = _listed(names)
    if _endless(plan.bundles, plan.region, study):
        yield f"`{function.name}` cancels {listed} where it ends, and waits for it"
    elif not plan.region.is_joined:
        yield f"`{function.name}` waits for {listed} before it returns"
    failing = _children([each for each in _spawns(plan) if _may_fail(each, study)])
    if failing:
        fails = f"one of {_listed(failing)}" if len(failing) > 1 else failing[0]
        yield f"if {fails} fails, the rest of the group is cancelled and the error arrives as an `ExceptionGroup`"
    if plan.region.is_joined:
        yield f"if an error leaves the group, {listed} {'are' if len(names) > 1 else 'is'} cancelled and waited for"
    yield from plan.notes
    if study.environment.target is Target.ASYNCIO and study.environment.python is None:
        yield "`asyncio.TaskGroup` needs Python 3.11"


def _spawns(plan: _Plan) -> list[Spawn]:
    return [spawn for bundle in plan.bundles for spawn in bundle.spawns]


def _may_fail(spawn: Spawn, study: Study) -> bool:
    started = spawn.spawned_call
    return not isinstance(started, code.Call) or study.outcomes.coroutine(started, spawn.function).raises


def _children(spawns: Sequence[Spawn]) -> list[str]:
    return [f"`{name}`" for name in dict.fromkeys(spawn.spawned for spawn in spawns)]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _no_coroutine(function: code.Function | None) -> Hazard:
    name = "not-a-coroutine-function"
    if function is None or function.kind == "module":
        return Hazard(name, "a module cannot wait for a task while it is imported", blocks=True)
    if function.kind == "lambda":
        return Hazard(name, "a lambda cannot wait for a task", blocks=True)
    if function.kind == "class":
        return Hazard(name, "the body of a class cannot wait for a task", blocks=True)
    return Hazard(name, f"`{function.name}` is no coroutine function: it cannot wait for a task", blocks=True)


def _spawned_elsewhere(task: Task) -> Hazard:
    return Hazard("spawned-elsewhere", f"`{task.call}` starts the task, out of reach of a group here", blocks=True)


def _is_silenced(bundle: Bundle, study: Study) -> bool:
    return any(True for _ in _silenced(bundle, study))


def _silenced(bundle: Bundle, study: Study, region: Region | None = None) -> Iterator[Hazard]:
    """`suppressed-finding`: the spawns of a bundle, or those of it in a region, that a comment may silence: they are
    left as they are, and where they are.
    """
    for spawn in bundle.spawns:
        line = spawn.call.span.line
        silencers = (comment.statement for comment in study.facts.comments)
        if any(first <= line <= last for first, last in silencers) and (
            region is None or region.holds(spawn.call.span)
        ):
            yield Hazard("suppressed-finding", f"the spawn on line {line} is to be left alone", blocks=True)
