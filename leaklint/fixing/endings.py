"""Statements that end tasks: a `finally` around all that uses their handles, which cancels them and waits."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.fixing.members import Kind, Member, members
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Step, Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fix import Edit, Hazard, Import, Replace, Wrap
from leaklint.model.walk import text, walk

_COPIES = ("builtins.list", "builtins.set", "builtins.tuple")


@dataclass(frozen=True, slots=True)
class Ending:
    """The edits that end tasks, and what is known of these."""

    edits: tuple[Edit, ...]
    given: tuple[Member, ...]


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
    wrap = Wrap(region[0], region[1], _template(named, function, study, cancels=cancels), function.qualname)
    return Ending((*_spawned(given, function, study), wrap, *_asyncio(function, study)), given)


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
    match arguments:
        case [code.Starred(value=(code.Display(kind="list") | code.Comprehension(kind="list")) as container)]:
            handles = _Handles((study.free_name("tasks", function),), (True,))
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
    template = made + _template(handles, function, study, cancels=cancels)
    steps = path_to(statement.span, function.body)
    live = _live((), call, function)
    escapes = [hazard for name in live if (hazard := _escape(name, function)) is not None]
    if escapes:
        return tuple(escapes)
    last = _last_use(steps[-1], live, function, study)
    wrap = Wrap(statement.span, last.span, template, function.qualname)
    return Ending((_renamed(call, container.span, name, study), wrap, *_asyncio(function, study)), tuple(given))


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
    live = _live(handles.names, call, function)
    for deleted in walk(function.body, code.Delete):
        if any(name.id in handles.names for name in walk(deleted.targets, code.Name)):
            message = f"`{handles.names[0]}` is gone from line {deleted.span.line} on"
            return Hazard("handle-is-reused", message, blocks=True)
    for name in live:
        if (escape := _escape(name, function)) is not None:
            return escape
    if last >= at:
        return Hazard("spawned-apart", "the tasks are not spawned in one block, around the wait for them", blocks=True)
    return block[last + 1].span, _last_use(Step(block, at), live, function, study).span


def _last_use(wait: Step, names: Sequence[str], function: code.Function, study: Study) -> code.Stmt:
    """The last statement that mentions one of these names, from that of the wait on."""
    last = wait.statement
    for statement in wait.block[wait.position :]:
        last = statement if _mentions(statement, names, function, study) else last
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


def _live(names: Sequence[str], call: code.Call, function: code.Function) -> tuple[str, ...]:
    """The names that hold handles which may still run, or what waits for them: these, and what is made of them."""
    live = dict.fromkeys(names)
    for assign in walk(function.body, code.Assign):
        targets = [each.id for each in walk(assign.targets, code.Name)]
        if isinstance(assign.value, code.Await):
            if _returns_sets(assign.value.value, call, live):
                live |= dict.fromkeys(targets[1:] if len(targets) > 1 else targets)  # the first are done
        elif assign.value is not None and (
            any(each is call for each in walk(assign.value, code.Call)) or _holds(assign.value, live)
        ):
            live |= dict.fromkeys(targets)
    return tuple(live)


def _returns_sets(awaited: Expr, call: code.Call, live: Container[str]) -> bool:
    """Whether what is awaited is an `asyncio.wait`, which gives back its tasks."""
    if not isinstance(awaited, code.Call) or last_name(awaited.func) != "wait" or not awaited.args:
        return False
    return awaited is call or any(name.id in live for name in walk(awaited.args[0], code.Name))


def _holds(value: Expr, live: Container[str]) -> bool:
    """Whether an expression may give a handle of these names, or something that holds one."""
    if any(isinstance(part, code.Name) and part.id in live for part in (value, *_parts(value))):
        return True
    return any(_holds(part, live) for part in _parts(value))


def _parts(value: Expr) -> tuple[Expr, ...]:
    """The parts of an expression that its value may hold; what a method is called on is none."""
    match value:
        case code.Call(args=args, keywords=keywords):
            return (*args, *(keyword.value for keyword in keywords))
        case code.Display(items=items, keys=keys):
            return (*items, *keys)
        case code.Comprehension(element=element, clauses=clauses) if not isinstance(element, code.Call):
            return (element, *(clause.iterable for clause in clauses))
        case code.Conditional(then=then, orelse=orelse):
            return (then, orelse)
        case code.Boolean(values=values) | code.Operation(operands=values):
            return values
        case code.Starred(value=inner) | code.Subscript(value=inner):
            return (inner,)
    return ()


def _mentions(statement: code.Stmt, names: Sequence[str], function: code.Function, study: Study) -> bool:
    if any(name.id in names for name in walk(statement, code.Name)):
        return True
    within = [scope for scope in study.program.inside(function) if scope is not function]
    return any(not scope.free_names.isdisjoint(names) for scope in within)


def _escape(name: str, function: code.Function) -> Hazard | None:
    """Where a handle goes that this function cannot follow."""
    message = "`{}` is {} on line {}: others may wait for the tasks"
    for statement in walk(function.body, (code.Return, code.Yield)):
        if statement.value is not None and _gives(statement.value, name):
            return Hazard("handle-escapes", message.format(name, "handed on", statement.span.line), blocks=True)
    for assign in walk(function.body, code.Assign):
        kept = any(isinstance(target, code.Attribute | code.Subscript | code.Global) for target in assign.targets)
        if kept and assign.value is not None and _gives(assign.value, name):
            return Hazard("handle-escapes", message.format(name, "kept", assign.span.line), blocks=True)
    for call in walk(function.body, code.Call):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        if any(_gives(each, name) for each in given) and not _is_looking(call, function):
            what = f"passed to `{text(call.func)}`"
            return Hazard("handle-escapes", message.format(name, what, call.span.line), blocks=True)
    return None


def _gives(value: Expr, name: str) -> bool:
    """Whether an expression is a name, or a container written out that holds it."""
    match value:
        case code.Name(id=id_):
            return id_ == name
        case code.Starred(value=inner):
            return _gives(inner, name)
        case code.Display(items=items):
            return any(_gives(item, name) for item in items)
    return False


def _is_looking(call: code.Call, function: code.Function) -> bool:
    """Whether a call does not keep the handles that it is given: of the library, or a method of something local."""
    match call.func:
        case code.Global(path=path):
            return path.startswith(("asyncio.", "builtins."))
        case code.Attribute(value=code.Name(id=name)):
            return name in function.local_names and name not in {param.name for param in function.params}
    return False


def _is_header(statement: code.Stmt, call: code.Call) -> bool:
    """Whether a call stands in the first line of a compound statement that is evaluated again and again."""
    return isinstance(statement, code.While) and any(each is call for each in walk(statement.test, code.Call))


def _free(wishes: tuple[str, ...], function: code.Function, study: Study) -> str:
    """The first of some names that is free, or another one."""
    names = [study.free_name(wish, function) for wish in wishes]
    return next((name for name, wish in zip(names, wishes, strict=True) if name == wish), names[0])


def _template(handles: _Handles, function: code.Function, study: Study, *, cancels: bool) -> str:
    wait = study.spelled("asyncio.wait", function)[0]
    task = _free(("task", "each"), function, study)
    if handles.is_one:
        ends = [f"{handles.names[0]}.cancel()"] if cancels else []
    else:
        ends = [f"for {task} in {handles.iterable}:", f"    {task}.cancel()"] if cancels else []
    given = handles.names[0] if handles.starred == (True,) else f"[{handles.arguments}]"
    if all(handles.starred):  # there may be none, which `wait` refuses
        ends += [f"if {' or '.join(handles.names)}:", f"    await {wait}({given})"]
    else:
        ends.append(f"await {wait}({given})")
    return "\n".join(["try:", "    ...", "finally:", *(f"    {line}" for line in ends)])
