"""Writes `anyio.gather`, or `anyio.amap`, in place of `asyncio.gather`.

When one of the coroutines fails, the others are cancelled and waited for; the errors arrive as an `ExceptionGroup`. The
results come as a tuple, of which a list is made where the program needs one. Tasks that are spawned for nothing but the
gather are not spawned any more: it starts the coroutines itself.

AnyIO 4.15 and later: https://anyio.readthedocs.io/en/stable/versionhistory.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.outcomes import is_harmless
from leaklint.analysis.resolve import resolved
from leaklint.catalog import LOOP_RUNS, Role
from leaklint.fixing.hazards import results
from leaklint.fixing.hazards.groups import group_hazards
from leaklint.fixing.members import Kind, Member, doubts, members
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Finding, Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Task
from leaklint.model.fix import Edit, Fix, Hazard, Replace, Target
from leaklint.model.walk import text, walk

NAME = "gather"
CODES = frozenset({"LK201"})

SINCE = (4, 15)
"""The release of AnyIO that has `gather` and `amap`."""


_LEAVING = (code.Return, code.Raise, code.Assert)
_FILLING = frozenset({"append", "add", "insert", "extend"})
_PLAIN = frozenset(f"builtins.{name}" for name in "range enumerate zip list tuple set dict len print str repr".split())
"""What neither raises nor sets anything that a task keeps."""


class _Wait(NamedTuple):
    """A gather, and how the program waits for it."""

    call: code.Call
    outer: code.Await | code.Call
    """The whole expression whose value are the results: the `await`, or the call that runs it."""
    hazards: tuple[Hazard, ...] = ()
    is_awaited: bool = True
    """Whether there is an `await`; without one, it is to be added."""


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A gather of AnyIO, which ends when all that it was given has ended."""
    task = finding.subject
    environment = study.environment
    if environment.target is not Target.ANYIO or (environment.anyio is not None and environment.anyio < SINCE):
        return ()
    function = study.function_of(task) if isinstance(task, Task) else None
    if function is None:
        return ()
    call = next(call for call in walk(function.body, code.Call) if call.span == finding.diagnostic.span)
    given = members(call.args, function, study)
    against = [*_options(call), *_no_coroutines(given, call, function, study)]
    wait = _wait(call, function, study)
    if isinstance(wait, Hazard):
        against.append(wait)
    if against or isinstance(wait, Hazard):
        return tuple(against)
    fix = _fix(wait, given, function, study)
    return tuple(hazard for hazard in fix.hazards if hazard.blocks) or fix


def _fix(wait: _Wait, given: Sequence[Member], function: code.Function, study: Study) -> Fix:
    call = wait.call
    mapped = _mapped(call, function, study)
    name = "anyio.amap" if mapped else "anyio.gather"
    spelled, imports = study.spelled(name, function)
    callee = (_place(call), spelled)
    unspawned = _unspawned(given, function, study)
    apart = [(span, coroutine) for span, coroutine in unspawned if not contains(call.span, span)]
    renamed = (callee, *(each for each in unspawned if each not in apart))
    changes = [callee, *unspawned]
    started = [member.coroutine for member in given]
    hazards = [*wait.hazards, *doubts(given, function, study), *_starts_later(given, call, function)]
    hazards += group_hazards(started, wait.outer, function, study)
    notes = [f"when one of the coroutines on line {call.span.line} fails, the others are cancelled and waited for"]
    mapping = f"{spelled}({', '.join(mapped)})" if mapped else None
    if not wait.is_awaited:
        new = f"await {mapping or quoted(call.span, function, study, changed=renamed)}"
        changes = [(call.span, new), *apart]
    elif mapping is not None:
        changes = [(call.span, mapping)]
    elif results.needs_list(wait.outer, function, study):
        whole = quoted(wait.outer.span, function, study, changed=renamed)
        new = f"list({whole})" if _is_builtin("list", function, study) else f"[*{whole}]"
        changes = [(wait.outer.span, new), *apart]
        notes.append("the results are put into a list: `anyio.gather` gives a tuple")
    if any(member.spawn is not None for member in given):
        notes.append("the coroutines are started by `anyio.gather`, not in tasks of their own before it")
    title = f"wait with `{name}`"
    edits: tuple[Edit, ...] = (*(Replace(*each) for each in changes), *imports, *study.forgotten(function))
    return Fix(NAME, title, study.path, edits, tuple(hazards), tuple(notes))


def _unspawned(given: Sequence[Member], function: code.Function, study: Study) -> list[tuple[Span, str]]:
    """Where the spawns are, in the order of the source, and the coroutines that stand there instead."""
    return sorted(
        (member.spawn.span, quoted(member.coroutine.span, function, study))
        for member in given
        if member.spawn is not None and not isinstance(member.coroutine, code.Starred)
    )


def _place(call: code.Call) -> Span:
    """Where the callee stands."""
    assert not isinstance(call.func, code.Starred)
    return call.func.span


def _is_builtin(name: str, function: code.Function, study: Study) -> bool:
    """Whether a name that the module may bind itself is that of the builtin."""
    names = study.facts.names
    bound = {bound for bound, _ in names.imports} | set(names.variables) | set(names.defined) | function.local_names
    around = study.program.enclosing(function)
    while around is not None:
        bound |= around.local_names
        around = study.program.enclosing(around)
    return name not in bound


# -- how it is waited for ----------------------------------------------------------------------------------------------


def _wait(call: code.Call, function: code.Function, study: Study) -> _Wait | Hazard:
    """How a gather is waited for; a hazard if there is no place for an `await`."""
    outer = _outer(call, function, study)
    if outer is not None:
        return _Wait(call, outer)
    if function.is_async:
        for statement in walk(function.body, (code.Evaluate, code.Assign)):
            if isinstance(statement, code.Evaluate) and statement.value is call:
                return _Wait(call, call, _follows(statement, function), is_awaited=False)
            if isinstance(statement, code.Assign) and statement.value is call:
                return Hazard("starts-later", f"{_gather(call)} starts the tasks before it is awaited", blocks=True)
    if any(statement.value is call for statement in walk(function.body, code.Return)):
        message = f"the future of {_gather(call)} is returned: others wait for it, or cancel it"
        return Hazard("handle-escapes", message, blocks=True)
    if not function.is_async:
        message = f"`{function.name}` is no coroutine function: it cannot wait for {_gather(call)}"
        return Hazard("not-a-coroutine-function", message, blocks=True)
    return Hazard("handle-escapes", f"the future of {_gather(call)} is passed on before it is awaited", blocks=True)


def _outer(call: code.Call, function: code.Function, study: Study) -> code.Await | code.Call | None:
    """The expression that waits for a gather and whose value are its results."""
    inner = call
    for outer in walk(function.body, code.Call):
        is_waiting = study.kinds.role_of_callee(outer.func, function) is Role.WAIT_FOR
        if is_waiting and outer.args and outer.args[0] is call:
            inner = outer
        elif isinstance(outer.func, code.Attribute) and outer.func.attr in LOOP_RUNS and call in outer.args[:1]:
            return outer
    return next((each for each in walk(function.body, code.Await) if each.value is inner), None)


def _follows(statement: code.Evaluate, function: code.Function) -> tuple[Hazard, ...]:
    """What comes after a gather that nobody awaits, and will have to wait for it."""
    steps = path_to(statement.span, function.body)
    is_last = all(step.position == len(step.block) - 1 for step in steps)
    is_repeated = any(isinstance(step.statement, code.For | code.While) for step in steps)
    if is_last and not is_repeated:
        return ()
    message = f"what follows line {statement.span.line} runs when the coroutines have ended, no longer beside them"
    return (Hazard("waits-here", message),)


def _gather(call: code.Call) -> str:
    return f"`{text(call.func)}` on line {call.span.line}"


# -- what it is given --------------------------------------------------------------------------------------------------


def _options(call: code.Call) -> Iterator[Hazard]:
    for keyword in call.keywords:
        name = f"{keyword.name}=" if keyword.name else "**"
        yield Hazard("has-option", f"`anyio.gather` has no option such as `{name}`", blocks=True)


def _no_coroutines(given: Sequence[Member], call: code.Call, function: code.Function, study: Study) -> Iterator[Hazard]:
    """The members that `anyio.gather` would not take."""
    seen: set[int] = set()
    for member in given:
        if member.kind in (Kind.FUTURE, Kind.UNKNOWN):
            what = "is no coroutine" if member.kind is Kind.FUTURE else "may be something else"
            message = f"`anyio.gather` takes coroutines only, and `{text(member.expr)}` {what}"
            yield Hazard("not-a-coroutine", message, blocks=True)
        elif member.spawn is not None and (why := _not_for_this_alone(member.spawn, call, function, study)):
            message = f"`anyio.gather` takes coroutines only, and the task of `{text(member.coroutine)}` {why}"
            yield Hazard("not-a-coroutine", message, blocks=True)
        if id(member.expr) in seen:
            yield Hazard("same-coroutine-twice", f"`{text(member.expr)}` is given twice", blocks=True)
        seen.add(id(member.expr))


def _not_for_this_alone(spawn: code.Call, call: code.Call, function: code.Function, study: Study) -> str | None:
    """Why a task cannot be a coroutine until the gather: it is started before, or used otherwise."""
    if len(spawn.args) != 1 or spawn.keywords:
        return "has options"
    if contains(call.span, spawn.span):
        return None
    around = path_to(call.span, function.body)
    before = path_to(spawn.span, function.body)
    common = next((step for step in around if any(step.block is other.block for other in reversed(before))), None)
    shared = [step for step in before for other in around if step.block is other.block]
    if common is None or not shared:
        return "is spawned elsewhere"
    start = shared[-1].statement.span
    between = Span(start.line, start.column, call.span.line, call.span.column)
    if any(contains(between, node.span) for node in _suspensions(function)):
        return "runs before the gather does"
    if any(isinstance(step.statement, code.With) and not contains(step.statement.span, call.span) for step in before):
        return "is spawned within a `with`, and keeps what that sets"
    leaving = next((node for node in walk(function.body, _LEAVING) if contains(between, node.span)), None)
    if leaving is not None:
        return f"runs on when line {leaving.span.line} leaves the function"
    return _used_otherwise(spawn, call, function, study)


def _starts_later(given: Sequence[Member], call: code.Call, function: code.Function) -> Iterator[Hazard]:
    """`starts-later`: what is called between a spawn and the gather may set what the task would keep, or raise, upon
    which the task would not run at all.
    """
    spawns = [
        member.spawn for member in given if member.spawn is not None and not contains(call.span, member.spawn.span)
    ]
    if not spawns:
        return
    made = {id(arg) for spawn in spawns for arg in spawn.args} | set(map(id, spawns))
    first = min(spawn.span for spawn in spawns)
    around = [step for step in path_to(first, function.body) if not contains(step.statement.span, call.span)]
    start = around[0].statement.span if around else first
    between = Span(start.line, start.column, call.span.line, call.span.column)
    for other in walk(function.body, code.Call):
        is_filling = isinstance(other.func, code.Attribute) and other.func.attr in _FILLING
        is_setting = last_name(other) in ("set", "reset")
        is_plain = (is_harmless(other.func) and not is_setting) or path_of(other) in _PLAIN
        if contains(between, other.span) and id(other) not in made and not is_filling and not is_plain:
            said = f"the tasks start when `{text(other.func)}` on line {other.span.line} is done"
            yield Hazard("starts-later", f"{said}: they see what it sets, and do not run if it raises")
            return


def _suspensions(function: code.Function) -> Iterator[code.Await | code.Yield | code.With | code.For]:
    yield from walk(function.body, (code.Await, code.Yield))
    for statement in walk(function.body, (code.With, code.For)):
        if statement.is_async:
            yield statement


def _used_otherwise(spawn: code.Call, call: code.Call, function: code.Function, study: Study) -> str | None:
    """How the name of a task, or of the list of it, is used beside the gather."""
    names = _names_of(spawn, function)
    if names is None:
        return "goes elsewhere, too"
    for name in names:
        if any(name in scope.free_names for scope in study.program.inside(function) if scope is not function):
            return f"is used by a function within (`{name}`)"
        for load in walk(function.body, code.Name):
            if load.id == name and not contains(call.span, load.span) and not _is_filling(load, function):
                return f"is used on line {load.span.line}, too"
    return None


def _names_of(spawn: code.Call, function: code.Function) -> list[str] | None:
    """The local names that hold a task or its container; None if it goes elsewhere."""
    for assign in walk(function.body, code.Assign):
        if any(each is spawn for each in walk(assign.value, code.Call)):
            plain = assign.value is spawn or isinstance(assign.value, code.Display | code.Comprehension)
            names = [target.id for target in assign.targets if isinstance(target, code.Name)]
            return names if plain and assign.annotation is None and len(names) == len(assign.targets) else None
    for added in walk(function.body, code.Call):
        match added.func:
            case code.Attribute(value=code.Name(id=name), attr=attr) if attr in _FILLING:
                if any(each is spawn for arg in added.args for each in walk(arg, code.Call)):
                    return [name]
    return None


def _is_filling(load: code.Name, function: code.Function) -> bool:
    """Whether a name of a container stands where that is made, filled, or asked whether it is empty."""
    for assign in walk(function.body, code.Assign):
        if any(target is load for target in assign.targets):
            return True
    for added in walk(function.body, code.Call):
        match added.func:
            case code.Attribute(value=value, attr=attr) if value is load and attr in _FILLING:
                return True
            case code.Global(path="builtins.len") if load in added.args:
                return True
    tests = [branch.test for statement in walk(function.body, code.If) for branch in statement.branches]
    return any(test is load or (isinstance(test, code.Not) and test.value is load) for test in tests)


def _mapped(call: code.Call, function: code.Function, study: Study) -> tuple[str, str] | None:
    """What `anyio.amap` is given in place of `*[f(x) for x in xs]` or `*map(f, xs)`, for an `async def` `f`."""
    if "#" in study.written(call.span):
        return None  # a comment would have no place
    match call.args:
        case [code.Starred(value=code.Comprehension(element=code.Call() as made, clauses=[clause]))]:
            called, iterable = made.func, clause.iterable
            is_plain = not clause.conditions and not clause.is_async and not made.keywords
            is_same = len(made.args) == 1 and text(made.args[0]) == text(clause.target)
            if not is_plain or not is_same or not isinstance(clause.target, code.Name):
                return None
            if any(name.id == clause.target.id for name in walk(called, code.Name)):
                return None
        case [code.Starred(value=code.Call(args=[called, iterable]) as mapping)] if path_of(mapping) == "builtins.map":
            pass
        case _:
            return None
    found = resolved(called, function, study.kinds)
    if found is None or not found.is_async or not isinstance(called, code.Name | code.Global | code.Attribute):
        return None
    if isinstance(iterable, code.Starred):
        return None
    return quoted(called.span, function, study), quoted(iterable.span, function, study)
