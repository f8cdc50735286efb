"""Statements that end tasks: a `finally` around all that uses their handles, which cancels them and waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leaklint.analysis.kinds import path_of
from leaklint.fixing.holding import escape_of, live_names, mentions
from leaklint.fixing.members import Kind, Member, members
from leaklint.fixing.own_endings import Own, own_ending
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Step, Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fix import Edit, Hazard, Import, Replace, Wrap
from leaklint.model.walk import text, walk

_CONTAINERS = ("list", "set")
_COPIES = ("builtins.list", "builtins.set", "builtins.tuple")


@dataclass(frozen=True, slots=True)
class Ending:
    """The edits that end tasks, and what is known of these."""

    edits: tuple[Edit, ...]
    given: tuple[Member, ...]
    names: tuple[str, ...]
    """The local names that hold the tasks, or lists of them."""
    wrap: Wrap
    """The edit that puts the statements in the `try`."""

    @property
    def extent(self) -> Span:
        """The place of these statements."""
        return Span(*self.wrap.first[:2], *self.wrap.last[2:])


class _Handles(NamedTuple):
    """The handles of tasks in a function."""

    names: tuple[str, ...]
    """The local names that hold them, or lists of them."""
    starred: tuple[bool, ...]
    """Which of the names are lists."""

    @property
    def arguments(self) -> str:
        return ", ".join(f"*{name}" if many else name for name, many in zip(self.names, self.starred, strict=True))

    @property
    def iterable(self) -> str:
        if self.starred == (True,):
            return self.names[0]
        return f"({self.arguments})"

    @property
    def is_one(self) -> bool:
        return self.starred == (False,)


def ending(
    call: code.Call, arguments: Sequence[Expr], function: code.Function, study: Study, *, cancels: bool = True
) -> Ending | tuple[Hazard, ...]:
    """What ends the tasks that a wait in a function is given: as `arguments`, among which `*tasks` is a list of them.

    Coroutines become tasks for that; tasks and futures of others, which the wait may be given as well, are left alone.
    Gives the reasons where it cannot be done.
    """
    if not function.is_async:
        message = f"`{function.name}` is no coroutine function: it cannot wait for the tasks"
        return (Hazard("not-a-coroutine-function", message, blocks=True),)
    given = members(arguments, function, study)
    against = tuple(_not_its_own(given, cancels=cancels))
    if against:
        arguments = [each for each in _items(arguments) if _is_its_own(each, function, study, cancels=cancels)]
        given = members(arguments, function, study)
        if not given:
            return against
    named = _named(arguments)
    if named is None:
        return _with_a_name(call, arguments, given, function, study, cancels=cancels)
    region = _region(call, named, function, study)
    if isinstance(region, Hazard):
        return (region,)
    spawned, template = _spawned(given, function, study), _template(named, function, study, cancels=cancels)
    own = _own(region, named, function, study) if cancels else None
    last = region[1] if own is None else _before(own, function).span
    if own is not None and own.waits:
        wrap = Wrap(region[0], last, finally_(own.lines(study)), function.qualname)
        return Ending((*spawned, wrap, *own.removal), given, named.names, wrap)
    wrap = Wrap(region[0], last, template, function.qualname)
    removal = own.removal if own is not None else ()
    return Ending((*spawned, wrap, *removal, *_asyncio(function, study)), given, named.names, wrap)


def _not_its_own(given: Sequence[Member], *, cancels: bool) -> Iterator[Hazard]:
    own = (Kind.TASK, Kind.COROUTINE) if cancels else (Kind.TASK, Kind.COROUTINE, Kind.CALLED)
    for member in given:
        if member.kind not in own:
            message = f"`{text(member.expr)}` may be a task or future of others: it is not for this function to end it"
            yield Hazard("not-its-own-task", message, blocks=True)


def _items(arguments: Sequence[Expr]) -> Iterator[Expr]:
    """The arguments, those of a list that is written out singly."""
    for argument in arguments:
        match argument:
            case code.Starred(value=code.Display(kind="list" | "tuple" | "set", items=items)):
                yield from _items(items)
            case _:
                yield argument


def _is_its_own(argument: Expr, function: code.Function, study: Study, *, cancels: bool) -> bool:
    return not any(_not_its_own(members([argument], function, study), cancels=cancels))


def _spawned(given: Sequence[Member], function: code.Function, study: Study) -> tuple[Edit, ...]:
    """Spawns of the coroutines, where they are made."""
    edits: list[Edit] = []
    for member in given:
        spawner = _spawner_of(member)
        if spawner is not None and isinstance(member.expr, code.Call):
            spelled, imports = study.spelled(spawner, function)
            edits += [Replace(member.expr.span, f"{spelled}({quoted(member.expr.span, function, study)})"), *imports]
    return tuple(edits)


def _spawner_of(member: Member) -> str | None:
    """What makes a task of a member: `ensure_future`, if it may be a future already."""
    return {Kind.COROUTINE: "asyncio.create_task", Kind.CALLED: "asyncio.ensure_future"}.get(member.kind)


def _brackets(given: Sequence[Member], function: code.Function, study: Study) -> tuple[tuple[Span, str], ...]:
    """What is to be written before and after each coroutine, to spawn it."""
    found = []
    for member in given:
        spawner = _spawner_of(member)
        if spawner is not None and isinstance(member.expr, code.Call):
            line, column, end_line, end_column = member.expr.span
            found.append((Span(line, column, line, column), f"{study.spelled(spawner, function)[0]}("))
            found.append((Span(end_line, end_column, end_line, end_column), ")"))
    return tuple(sorted(found))


def _asyncio(function: code.Function, study: Study) -> tuple[Import, ...]:
    return study.spelled("asyncio.wait", function)[1]


def _named(arguments: Sequence[Expr]) -> _Handles | None:
    """The names that hold the handles; None if some have no name."""
    names: list[tuple[str, bool]] = []
    for argument in arguments:
        match argument:
            case code.Name(id=name):
                names.append((name, False))
            case code.Starred(value=code.Name(id=name)):
                names.append((name, True))
            case code.Starred(value=code.Display(kind="list" | "tuple" | "set", items=items)):
                inner = _named(items)
                if inner is None:
                    return None
                names += zip(inner.names, inner.starred, strict=True)
            case code.Starred(value=code.Call(args=[code.Name(id=name)]) as made) if path_of(made) in _COPIES:
                names.append((name, True))
            case _:
                return None
    return _Handles(tuple(name for name, _ in names), tuple(many for _, many in names)) if names else None


def _with_a_name(
    call: code.Call,
    arguments: Sequence[Expr],
    given: Sequence[Member],
    function: code.Function,
    study: Study,
    *,
    cancels: bool,
) -> Ending | tuple[Hazard, ...]:
    """What ends a task, or the tasks of a list, that is made in the call itself: it gets a name."""
    is_filled = False
    match arguments:
        case [code.Starred(value=(code.Display() | code.Comprehension()) as container)] if (
            container.kind in _CONTAINERS
        ):
            handles = _Handles((study.free_name("tasks", function),), (True,))
            items = container.items if isinstance(container, code.Display) else ()
            is_filled = any(not isinstance(each, code.Starred) for each in items)
        case [code.Call() as container]:
            handles = _Handles((_free(("task", "shielded"), function, study),), (False,))
        case _:
            return (Hazard("no-plain-handle", f"the tasks of line {call.span.line} have no name", blocks=True),)
    statement = path_to(call.span, function.body)[-1].statement
    if any(contains(container.span, each.span) for each in walk(container, code.Await)) or _is_header(statement, call):
        return (Hazard("no-plain-handle", f"the tasks of line {call.span.line} have no name", blocks=True),)
    changed = _brackets(given, function, study)
    name, written = handles.names[0], quoted(container.span, function, study, changed=changed, is_moved=True)
    made = f"{name} = {written}\n"
    template = made + _template(handles, function, study, cancels=cancels, is_filled=is_filled)
    steps = path_to(statement.span, function.body)
    live = live_names((), call, function)
    escapes = [hazard for name in live if (hazard := escape_of(name, function)) is not None]
    if escapes:
        return tuple(escapes)
    last = _last_use(steps[-1], live, function, study)
    wrap = Wrap(statement.span, last.span, template, function.qualname)
    edits: tuple[Edit, ...] = (_renamed(call, container.span, name, study), wrap, *_asyncio(function, study))
    return Ending(edits, tuple(given), (name, *live), wrap)


def _renamed(call: code.Call, container: Span, name: str, study: Study) -> Replace:
    """A name in place of an argument; in one line, if that is the only one."""
    rest = study.written(call.span).replace(study.written(container), "")
    is_alone = [each.span for each in call.args if not isinstance(each, code.Starred)] == [container]
    if not is_alone or call.keywords or "#" in rest or isinstance(call.func, code.Starred):
        return Replace(container, name)
    return Replace(call.span, f"{study.written(call.func.span)}({name})")


# -- where it stands ---------------------------------------------------------------------------------------------------


def _region(call: code.Call, handles: _Handles, function: code.Function, study: Study) -> tuple[Span, Span] | Hazard:
    """The statements from the last spawn to the last use of a handle: the first and the last."""
    around = path_to(call.span, function.body)
    bound: list[Step] = []
    for name in handles.names:
        steps = _bindings(name, call, function)
        if len(steps) != 1:
            return Hazard("handle-is-reused", f"`{name}` is not bound once, in one place", blocks=True)
        bound += steps
    block = bound[0].block
    at = next((step.position for step in around if step.block is block), None)
    if at is None or any(step.block is not block for step in bound):
        return Hazard("spawned-apart", "the tasks are not spawned in one block, around the wait for them", blocks=True)
    first, last = min(step.position for step in bound), max(step.position for step in bound)
    if any(_may_leave(statement) for statement in block[first + 1 : last] if not _binds(statement, handles.names)):
        return Hazard("spawned-apart", "there is more than spawns between the first task and the last", blocks=True)
    live = live_names(handles.names, call, function)
    for deleted in walk(function.body, code.Delete):
        if any(name.id in handles.names for name in walk(deleted.targets, code.Name)):
            message = f"`{handles.names[0]}` is gone from line {deleted.span.line} on"
            return Hazard("handle-is-reused", message, blocks=True)
    for name in live:
        if (escape := escape_of(name, function)) is not None:
            return escape
    if last >= at:
        return Hazard("spawned-apart", "the tasks are not spawned in one block, around the wait for them", blocks=True)
    return block[last + 1].span, _last_use(Step(block, at), live, function, study).span


def _own(region: tuple[Span, Span], handles: _Handles, function: code.Function, study: Study) -> Own | None:
    """The last statements of a region, if they end the tasks already."""
    block, last = path_to(region[1], function.body)[-1]
    first = path_to(region[0], function.body)[-1].position
    return own_ending(block[first : last + 1], handles.names, function, study)


def _before(own: Own, function: code.Function) -> code.Stmt:
    block, position = path_to(own.statements[0].span, function.body)[-1]
    return block[position - 1]


def _last_use(wait: Step, names: Sequence[str], function: code.Function, study: Study) -> code.Stmt:
    """The last statement that mentions one of these names, from that of the wait on."""
    last = wait.statement
    for statement in wait.block[wait.position :]:
        last = statement if mentions(statement, names, function, study) else last
    return last


def _bindings(name: str, call: code.Call, function: code.Function) -> list[Step]:
    """Where a name is bound, the wait itself left out (which may give back what is still pending)."""
    found = []
    for assign in walk(function.body, (code.Assign, code.Augment)):
        targets = assign.targets if isinstance(assign, code.Assign) else ()
        named = any(each.id == name for each in walk(targets, code.Name))
        if named and assign.value is not None and not any(each is call for each in walk(assign.value, code.Call)):
            found.append(path_to(assign.span, function.body)[-1])
    return found


def _binds(statement: code.Stmt, names: Sequence[str]) -> bool:
    targets = statement.targets if isinstance(statement, code.Assign) else ()
    return any(isinstance(target, code.Name) and target.id in names for target in targets)


def _may_leave(statement: code.Stmt) -> bool:
    """Whether a statement may be left with an error, or wait."""
    return any(walk(statement, (code.Call, code.Await, code.Raise, code.Return)))


def _is_header(statement: code.Stmt, call: code.Call) -> bool:
    """Whether a call stands in the first line of a compound statement that is evaluated again and again."""
    return isinstance(statement, code.While) and any(each is call for each in walk(statement.test, code.Call))


def _free(wishes: tuple[str, ...], function: code.Function, study: Study) -> str:
    """The first of some names that is free, or another one."""
    names = [study.free_name(wish, function) for wish in wishes]
    return next((name for name, wish in zip(names, wishes, strict=True) if name == wish), names[0])


def _template(
    handles: _Handles, function: code.Function, study: Study, *, cancels: bool, is_filled: bool = False
) -> str:
    wait = study.spelled("asyncio.wait", function)[0]
    task = _free(("task", "each"), function, study)
    if handles.is_one:
        ends = [f"{handles.names[0]}.cancel()"] if cancels else []
    else:
        ends = [f"for {task} in {handles.iterable}:", f"    {task}.cancel()"] if cancels else []
    given = handles.names[0] if handles.starred == (True,) else f"[{handles.arguments}]"
    if all(handles.starred) and not is_filled:  # there may be none, which `wait` refuses
        ends += [f"if {' or '.join(handles.names)}:", f"    await {wait}({given})"]
    else:
        ends.append(f"await {wait}({given})")
    return finally_(ends)


def finally_(lines: Sequence[str]) -> str:
    """A template that does something whatever the statements end with."""
    return "\n".join(("try:", "    ...", "finally:", *(f"    {line}" for line in lines)))
