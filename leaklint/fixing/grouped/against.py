"""What stands against running the tasks of a function in a group, beyond what they and their callers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaklint.analysis.cancellation.catching import catches_of
from leaklint.analysis.cancellation.suspending import Suspending
from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.spawns import Spawn
from leaklint.catalog import Role
from leaklint.fixing.grouped.bundles import Bundle, bundles_of
from leaklint.fixing.grouped.calls import Calls
from leaklint.fixing.grouped.regions import Region
from leaklint.fixing.grouped.variables import JOINS, Kind, Use, Variable, held, hushed_types, is_quiet, variable_of
from leaklint.fixing.hazards.again import cancelled_again
from leaklint.fixing.hazards.children import (
    may_be_cut,
    may_end_by_cancellation,
    may_exit,
    may_fail_when_cancelled,
    may_not_end,
    may_outlive_cancellation,
    name_of,
    place,
)
from leaklint.fixing.hazards.contexts import looks_at
from leaklint.fixing.hazards.current import renamed
from leaklint.fixing.hazards.errors import NONE
from leaklint.fixing.hazards.handlers import (
    Join,
    clauses_for_unfinished,
    handlers_around_joins,
    handlers_that_miss,
    named_join,
)
from leaklint.fixing.hazards.locks import children_may_deadlock
from leaklint.fixing.hazards.points import functions_of
from leaklint.fixing.hazards.raising import errors_of
from leaklint.fixing.hazards.regions import may_fail, unsuitable
from leaklint.fixing.hazards.resources import is_left, limited
from leaklint.fixing.study import Study, blocks_of, path_to
from leaklint.model import code
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_NEW_IN_A_GROUP = frozenset({"native-cancel", "task-factory"})
"""What `unsuitable` finds of statements that are in a group as it is, and that matters for the tasks alone."""
_LIMITS = frozenset({Role.TIMEOUT, Role.MOVE_ON})
_EXPECTING = frozenset({"raises", "assertRaises", "assertRaisesRegex"})


def hazards_of(bundles: Sequence[Bundle], region: Region, calls: Calls, study: Study) -> tuple[Hazard, ...]:
    """All hazards of a group for the tasks of these bundles, but for those that shields may mend (`cleanup-is-cut`)."""
    function = bundles[0].function
    children = [coroutine for bundle in bundles for coroutine in bundle.coroutines]
    found = [hazard for bundle in bundles for hazard in bundle.hazards]
    if calls.is_native:
        found = [hazard for hazard in found if hazard.name not in ("handle-lacks", "context-is-copied")]
    if region.group is None:
        # the group can end before a `return` at its end
        found += _leaves(region.inside[:-1] if isinstance(region.inside[-1], code.Return) else region.inside)
    around = unsuitable(region.inside, function, study)
    found += [hazard for hazard in around if region.group is None or hazard.name in _NEW_IN_A_GROUP]
    asks = [may_end_by_cancellation, may_outlive_cancellation, may_fail_when_cancelled, may_exit]
    if _waits_anew(bundles, region, study):
        asks.insert(0, may_not_end)
        found += limited(function, study)
    found += [hazard for child in children for ask in asks for hazard in ask(child, function, study)]
    found += children_may_deadlock(children, region.block[region.first].span, function, study)
    if calls.is_native:
        found += _cut_by_second(bundles, region, study)
    found += _awaited_beside(bundles, region, calls, study)
    found += handlers_that_miss(region.inside, children, function, study)
    joins, results = _joins(bundles, region), _results(bundles, region)
    found += handlers_around_joins([*joins, *results], region.inside, children, function, study)
    found += _around_joins([*joins, *results], region, children, study, function)
    if not calls.is_native:
        found += renamed(study)
        for clause in clauses_for_unfinished(results, region.inside, study):
            found.append(Hazard("handle-differs", f"{clause} would miss a `TaskNotFinished`"))
        found += _under_limits(joins, region, study)
    found += [hazard for bundle in bundles for hazard in _of_uses(bundle, calls, study)]
    return tuple(dict.fromkeys(found))


def return_inside(statement: code.Return | code.Break | code.Continue) -> Hazard:
    """`return-inside`: a statement that leaves the group from within looks like an end, and waits for the tasks;
    flake8-async has it as ASYNC121 (https://flake8-async.readthedocs.io/en/latest/rules.html).
    """
    what = type(statement).__name__.lower()
    message = f"`{what}` on line {statement.span.line} would be inside the group"
    return Hazard("return-inside", message, blocks=True)


def _leaves(block: code.Block, *, in_loop: bool = False) -> Iterator[Hazard]:
    """What leaves these statements from within; `break` and `continue` in a loop among them do not."""
    for statement in block:
        if isinstance(statement, code.Return) or (isinstance(statement, code.Break | code.Continue) and not in_loop):
            yield return_inside(statement)
        for inner in blocks_of(statement):
            yield from _leaves(inner, in_loop=in_loop or isinstance(statement, code.While | code.For))


def _waits_anew(bundles: Sequence[Bundle], region: Region, study: Study) -> bool:
    """Whether the function may wait for a task that it did not wait for."""
    if ends_with_cancel(region):
        return False
    return not region.is_joined or any(is_left(spawn, study) for bundle in bundles for spawn in bundle.spawns)


def _cut_by_second(bundles: Sequence[Bundle], region: Region, study: Study) -> Iterator[Hazard]:
    """`cleanup-is-cut`: a group of asyncio cancels a task once; one that the statements have
    cancelled is cancelled a second time.
    """
    for bundle in bundles:
        names = {variable.name for variable in bundle.variables}
        for coroutine in bundle.coroutines:
            yield from cancelled_again(coroutine, names, region.span, bundle.function, study)


def _awaited_beside(bundles: Sequence[Bundle], region: Region, calls: Calls, study: Study) -> Iterator[Hazard]:
    """What a task does that is awaited in the group and is not in it: when one of those fails, it is cancelled, too."""
    function = bundles[0].function
    spawns = tuple(spawn for bundle in bundles for spawn in bundle.spawns)
    if region.group is not None or not may_fail(spawns, function, study):
        return
    for other in bundles_of(function, study):
        if any(spawn in spawns for spawn in other.spawns):
            continue
        joins = [use for use in other.uses_by(*JOINS) if region.holds(_statement_span(use))]
        if joins and other.is_blocked:
            said = f"{_names(other)}, which line {_line(joins[0])} awaits, cannot be in the group"
            yield Hazard("joined-with-others", f"{said}: when a task fails, it is cancelled all the same")
        asks = (may_outlive_cancellation, may_fail_when_cancelled, *(() if calls.is_native else (may_be_cut,)))
        for child in other.coroutines if joins else ():
            yield from (hazard for ask in asks for hazard in ask(child, function, study))


def _joins(bundles: Sequence[Bundle], region: Region) -> list[code.Await]:
    """The awaits in the group that raise what a task has raised."""
    uses = [use for bundle in bundles for use in bundle.uses_by(Kind.AWAITED, Kind.GATHERED) if not is_quiet(use)]
    return [use.node for use in uses if isinstance(use.node, code.Await) and region.holds(use.node.span)]


def _results(bundles: Sequence[Bundle], region: Region) -> list[code.Call]:
    """The calls of `result` in the group, which raise what a task has raised."""
    asked = [use.node for bundle in bundles for use in bundle.uses_by(Kind.ASKED) if _method(use) == "result"]
    return [node for node in asked if isinstance(node, code.Call) and region.holds(node.span)]


def _around_joins(
    joins: Sequence[Join], region: Region, children: Sequence[code.Expr], study: Study, function: code.Function
) -> Iterator[Hazard]:
    """`handler-around-join`: context managers within the group around an await of a handle, or around a call of its
    `result`, that look at its error.
    """
    errors = NONE
    for child in children:
        errors |= errors_of(child, function, study)
    for join in joins:
        for step in path_to(join.span, region.inside)[:-1]:
            statement = step.statement
            for item in statement.items if isinstance(statement, code.With) else ():
                context = item.context
                written = f"`{text(context.func if isinstance(context, code.Call) else context)}`"
                said = f"{written} on line {statement.span.line} is around {named_join(join)}"
                if path_of(context) == "contextlib.suppress":
                    continue
                if study.kinds.role_of(path_of(context)) is Role.SUPPRESS or last_name(context) in _EXPECTING:
                    yield Hazard("handler-around-join", f"{said}, and expects its error, ungrouped", blocks=True)
                elif looks_at(item, statement, errors, function, study):  # type: ignore[arg-type]
                    yield Hazard("handler-around-join", f"{said}: it may look at its error")


def _under_limits(joins: Sequence[code.Await], region: Region, study: Study) -> Iterator[Hazard]:
    """`limit-would-not-hold`: awaits in the group under a time limit of their own. It cancels a task of asyncio that is
    awaited there; of a handle of AnyIO it ends the await alone, and the group waits for the task.
    """
    for join in joins:
        for step in path_to(join.span, region.inside):
            statement = step.statement
            for item in statement.items if isinstance(statement, code.With) else ():
                context = item.context
                if isinstance(context, code.Call) and study.kinds.role_of(path_of(context)) in _LIMITS:
                    said = f"`{text(context.func)}` on line {statement.span.line}"
                    yield Hazard("limit-would-not-hold", f"{said} would end the `await` of a task, and not the task")


def ends_with_cancel(region: Region) -> bool:
    """Whether the last thing in a group is to cancel it."""
    if region.group is None:
        return False
    match region.block[-1]:
        case (
            code.Evaluate(
                value=code.Call(
                    func=code.Attribute(value=code.Attribute(value=code.Name(id=name), attr="cancel_scope"))
                )
            ) as last
        ):
            return name == region.group and isinstance(last.value, code.Call) and last_name(last.value) == "cancel"
    return False


# -- uses of the handles -----------------------------------------------------------------------------------------------


def _of_uses(bundle: Bundle, calls: Calls, study: Study) -> Iterator[Hazard]:
    may_fail = bool(_failing(bundle, study))
    cancels = [use for use in bundle.uses_by(Kind.ASKED) if _method(use) == "cancel"]
    for use in bundle.uses:
        match use.kind:
            case Kind.WAITED if not _is_statement(use, bundle.function):
                yield Hazard("handle-lacks", f"the sets that `asyncio.wait` gives on line {_line(use)}", blocks=True)
            case Kind.WAITED if any(not _raises_later(spawn, use, bundle) for spawn in _failing(bundle, study)):
                message = f"line {_line(use)} waits for all and raises nothing, and the group would"
                yield Hazard("errors-are-results", message)
            case Kind.HUSHED if may_fail and not _hushes_cancellation_alone(use):
                message = f"line {_line(use)} also drops errors, which the group would raise"
                yield Hazard("errors-are-results", message)
            case Kind.HUSHED if not cancels:
                message = f"line {_line(use)} also catches a cancellation of `{bundle.function.name}` itself"
                yield Hazard("cancellation-is-caught", message, blocks=True)
        if is_quiet(use) and may_fail:
            used = not _is_statement(use, bundle.function)
            message = f"line {_line(use)} takes errors for results, which the group would raise"
            yield Hazard("errors-are-results", message, blocks=used)
    if not cancels:
        yield from _kept_from_host(bundle, study)
    if not calls.is_native:
        yield from _of_handles(bundle, cancels)


def _failing(bundle: Bundle, study: Study) -> list[Spawn]:
    """The spawns whose tasks may raise an error."""
    return [
        spawn
        for spawn in bundle.spawns
        if not isinstance(coroutine := spawn.spawned_call, code.Call)
        or study.outcomes.coroutine(coroutine, bundle.function).raises
    ]


def _raises_later(spawn: Spawn, wait: Use, bundle: Bundle) -> bool:
    """Whether the function asks the task of a spawn for its result in any case, which raises what it has raised."""
    holders = _holders(spawn, bundle)
    asked = [use for use in bundle.uses_by(Kind.ASKED) if use.variable in holders]
    if any(_method(use) == "exception" for use in asked):
        return False
    reads = [use for use in asked if _method(use) == "result"]
    reads += [use for use in bundle.uses_by(Kind.AWAITED, Kind.GATHERED) if use.variable in holders]
    return any(not is_quiet(use) and _is_reached(use, wait, bundle.function) for use in reads)


def _holders(spawn: Spawn, bundle: Bundle) -> set[Variable]:
    """The variables that hold the task of a spawn: what it is bound to or put into, and what is bound to that."""
    found: set[Variable] = set()
    while True:
        more = {
            target
            for use in bundle.uses
            for source, target in _passing(use, bundle.function)
            if source in found or source is spawn.call
        } - found
        if not more:
            return found
        found |= more


def _passing(use: Use, function: code.Function) -> Iterator[tuple[Variable | code.Call, Variable]]:
    """What a use takes from where to where: from a spawn or a variable to a variable."""
    match use:
        case Use(kind=Kind.BORN, variable=variable, others=(given,)):
            yield from ((call, variable) for call in walk(given, code.Call))
            yield from ((variable_of(name, function), variable) for name in held(given) or ())
        case Use(kind=Kind.EACH | Kind.PUT, variable=variable, others=(code.Name() as other, *_)):
            yield variable, variable_of(other, function)


def _is_reached(read: Use, wait: Use, function: code.Function) -> bool:
    """Whether nothing after a wait leads past a place that asks for a result, or keeps in what that raises."""
    shared = [step.statement for step in path_to(_statement_span(wait), function.body)]
    for step in path_to(_statement_span(read), function.body):
        match step.statement:
            case statement if any(statement is each for each in shared):
                continue
            case code.For(body=body, is_async=False):
                if any(True for _ in walk(body, (code.Break, code.Return))):
                    return False
            case code.If(branches=(code.Branch(test=test),)):
                if not any(last_name(call) in ("cancelled", "done") for call in walk(test, code.Call)):
                    return False
            case code.Try(handlers=handlers):
                if handlers:
                    return False
            case code.While() | code.Match() | code.With():
                return False
    return True


def _kept_from_host(bundle: Bundle, study: Study) -> Iterator[Hazard]:
    """`swallows-cancellation`: who is cancelled in an await of a task of asyncio cancels that task instead; if the task
    catches it and ends, the function goes on, which it does not in a group.
    """
    if not bundle.uses_by(Kind.AWAITED, Kind.GATHERED):
        return
    host = bundle.function
    for coroutine in bundle.coroutines:
        for function in functions_of(coroutine, host, study):
            for catch in catches_of(Suspending(function, study.kinds)):
                if not (catch.body and isinstance(catch.body[-1], code.Raise)):
                    at = place(catch.span, function, name_of(coroutine), host, study)
                    said = f"`{catch.written}`{at} would not keep a cancellation from `{host.name}` any more"
                    yield Hazard("swallows-cancellation", said)


def _of_handles(bundle: Bundle, cancels: Sequence[Use]) -> Iterator[Hazard]:
    """What differs between a task and the handle that a group of AnyIO gives."""
    function = bundle.function
    for use in bundle.uses_by(Kind.ASKED):
        if _method(use) == "exception":
            message = f"`.exception` on line {_line(use)} raises as soon as the task is being cancelled"
            yield Hazard("handle-differs", message)
    for use in cancels:
        if not _is_statement(use, function):
            yield Hazard("handle-lacks", f"`cancel` of a TaskHandle gives nothing (line {_line(use)})", blocks=True)
    if cancels and any(not is_quiet(use) for use in bundle.uses_by(Kind.AWAITED, Kind.GATHERED)):
        message = "awaiting a cancelled TaskHandle raises `TaskCancelled`, which is no `CancelledError`"
        yield Hazard("handle-differs", message)


# -- handles that a group cannot give ----------------------------------------------------------------------------------


def without_handles(
    bundles: Sequence[Bundle], needed: frozenset[Variable], calls: Calls, study: Study
) -> Iterator[Hazard]:
    """`needs-newer-anyio`: what `start_soon`, the way to spawn before AnyIO 4.14, cannot do."""
    if calls.gives_handles:
        return
    oldest = ".".join(map(str, study.environment.anyio or ()))
    for bundle in bundles:
        for variable in bundle.variables:
            if variable in needed:
                message = f"`{variable.name}` is used, and groups give handles from AnyIO 4.14 on ({oldest} is allowed)"
                yield Hazard("needs-newer-anyio", message, blocks=True)
        for coroutine in bundle.coroutines:
            if not isinstance(coroutine, code.Call):
                message = f"a group takes the coroutine `{text(coroutine)}` from AnyIO 4.14 on ({oldest} is allowed)"
                yield Hazard("needs-newer-anyio", message, blocks=True)


def _hushes_cancellation_alone(use: Use) -> bool:
    types = hushed_types(use.node) if isinstance(use.node, code.With | code.Try) else ()
    return all(path_of(each) == "asyncio.CancelledError" for each in types)


def _is_statement(use: Use, function: code.Function) -> bool:
    statement = path_to(_statement_span(use), function.body)[-1].statement
    return isinstance(statement, code.Evaluate) and statement.value is use.node


def _method(use: Use) -> str:
    return last_name(use.node) if isinstance(use.node, code.Call) else ""


def _names(bundle: Bundle) -> str:
    return "`, `".join(dict.fromkeys(spawn.spawned for spawn in bundle.spawns))


def _line(use: Use) -> int:
    return _statement_span(use).line


def _statement_span(use: Use) -> code.Span:
    assert not isinstance(use.node, code.Starred)
    return use.node.span
