"""Spawns of a function that belong together, because a name, a list or a wait holds the handles of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leaklint.analysis.kinds import TASK, last_name, pairs, path_of
from leaklint.analysis.spawns import Sort, Spawn, find_spawns
from leaklint.catalog import Role
from leaklint.fixing.grouped.variables import METHODS, Kind, Use, Variable, held, uses_of, variable_of
from leaklint.fixing.members import Kind as Member
from leaklint.fixing.members import members
from leaklint.fixing.study import Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_SPAWNERS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})
_MOST = 3
"""So many reasons of one kind say enough."""
_DRAINING = ("add", "discard", "remove")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Spawns with everything that holds their handles."""

    function: code.Function
    spawns: tuple[Spawn, ...]
    variables: tuple[Variable, ...]
    uses: tuple[Use, ...]
    hazards: tuple[Hazard, ...] = ()
    """What stands against it, whatever is around it."""

    @property
    def coroutines(self) -> tuple[Expr, ...]:
        """What runs in the tasks."""
        return tuple(spawn.spawned_call for spawn in self.spawns if spawn.spawned_call is not None)

    @property
    def is_blocked(self) -> bool:
        """Whether it cannot go into a group at all."""
        return any(hazard.blocks for hazard in self.hazards)

    def uses_by(self, *kinds: Kind) -> tuple[Use, ...]:
        """The uses of these kinds."""
        return tuple(use for use in self.uses if use.kind in kinds)

    def holds(self, span: Span) -> bool:
        """Whether a finding at this place is about one of its tasks, or about a wait for them."""
        return any(spawn.call.span == span for spawn in self.spawns) or any(
            isinstance(use.node, code.Await) and _span(use.node.value) == span for use in self.uses_by(Kind.GATHERED)
        )


def bundles_of(function: code.Function, study: Study) -> tuple[Bundle, ...]:
    """The spawns in a function's own code whose tasks no group owns, in bundles; each spawn is in one."""
    spawns = [spawn for spawn in find_spawns(function, study.kinds) if spawn.sort is Sort.FREE]
    found: list[Bundle] = []
    for spawn in spawns:
        if not any(spawn is each for bundle in found for each in bundle.spawns):
            found.append(_Collector(function, study, spawns).collect(spawn))
    return tuple(found)


class _Collector:
    """Follows the names from one spawn to all that it shares them with."""

    def __init__(self, function: code.Function, study: Study, spawns: list[Spawn]) -> None:
        self.function, self.study = function, study
        self._by_call = {id(spawn.call): spawn for spawn in spawns}
        self._spawns: dict[int, Spawn] = {}
        self._uses: dict[Variable, tuple[Use, ...]] = {}
        self._hazards: dict[Hazard, None] = {}

    def collect(self, spawn: Spawn) -> Bundle:
        """The bundle of a spawn."""
        self._add_spawn(spawn)
        uses = tuple(use for found in self._uses.values() for use in found)
        for use in uses:
            self._judge(use, uses)
        spawns = sorted(self._spawns.values(), key=lambda each: each.call.span)
        for each in spawns:
            self._judge_spawn(each)
        return Bundle(self.function, tuple(spawns), tuple(self._uses), uses, tuple(self._hazards))

    # -- following -----------------------------------------------------------------------------------------------

    def _add_spawn(self, spawn: Spawn) -> None:
        if id(spawn.call) in self._spawns:
            return
        self._spawns[id(spawn.call)] = spawn
        statement = path_to(spawn.call.span, self.function.body)[-1].statement
        match statement:
            case code.Evaluate(value=value) if value is spawn.call:
                return
            case code.Evaluate(value=code.Comprehension() as made) if self._gives(made, spawn.call):
                return
            case code.Assign(targets=(code.Display() as target,), value=code.Display() as value) if self._paired(
                target, value, spawn.call
            ):
                self._add_holder(next(t for t, v in pairs(target, value) if v is spawn.call), spawn.call)
            case code.Assign(targets=(target,), value=value) if value is not None and self._gives(value, spawn.call):
                self._add_holder(target.value if isinstance(target, code.Subscript) else target, spawn.call)
            case code.Evaluate(
                value=code.Call(func=code.Attribute(value=holder, attr="append" | "add"), args=(value,))
            ) if value is spawn.call:
                self._add_holder(holder, spawn.call)
            case _:
                self._escape(spawn.call, "the handle")

    def _paired(self, target: Expr, value: Expr, call: code.Call) -> bool:
        return any(one is not target and other is call for one, other in pairs(target, value))

    def _gives(self, value: Expr, call: code.Call) -> bool:
        return any(each is call for each in _calls_in(value))

    def _add_holder(self, holder: Expr, call: code.Call) -> None:
        if isinstance(holder, code.Name) and holder.id in self.function.local_names:
            self._add_variable(variable_of(holder, self.function))
        else:
            statement = path_to(call.span, self.function.body)[-1].statement
            self._keep(holder, is_put=isinstance(statement, code.Evaluate))

    def _add_variable(self, variable: Variable) -> None:
        if variable in self._uses:
            return
        uses = uses_of(variable, self.function, self.study.kinds)
        self._uses[variable] = uses.found
        for stray in uses.strays:
            self._escape(stray, f"`{variable.name}`")
            self._uses[variable] += (Use(Kind.OTHER, variable, stray),)
        if variable.within is None:
            self._look_outside(variable)
        for use in uses.found:
            self._follow(use)

    def _look_outside(self, variable: Variable) -> None:
        """A variable of the function itself: nothing nested in it may use the variable, and no one else may bind it."""
        name = variable.name
        for scope in self.study.program.inside(self.function):
            if scope is not self.function and name in scope.free_names:
                self._block("handle-escapes", f"`{scope.name}` on line {scope.span.line} uses `{name}`")
        if name in {param.name for param in self.function.params}:
            self._block("handle-escapes", f"`{name}` is a parameter as well")

    def _follow(self, use: Use) -> None:
        match use.kind:
            case Kind.BORN:
                self._add_given(use)
            case Kind.PUT if isinstance(use.others[0], code.Name) and use.others[0].id in self.function.local_names:
                self._add_variable(variable_of(use.others[0], self.function))
            case Kind.EACH:
                if isinstance(use.others[0], code.Name):
                    self._add_variable(variable_of(use.others[0], self.function))
                else:
                    self._escape(use.others[0], f"`{use.variable.name}`")
            case Kind.AWAITED:
                for name in self._returned_with(use):
                    self._add_variable(variable_of(name, self.function))
            case Kind.GATHERED | Kind.WAITED:
                for part in use.others:
                    for name in held(part) or ():
                        self._add_variable(variable_of(name, self.function))
                    if held(part) is None:
                        self._block(
                            "joined-with-others", f"line {part_line(part)} waits for it and for `{text(part)}` at once"
                        )

    def _returned_with(self, use: Use) -> Iterator[code.Name]:
        """The other tasks that are awaited in one `return`, which comes after a group for all of them alone."""
        statement = path_to(_place_of(use), self.function.body)[-1].statement
        for awaited in walk(statement, code.Await) if isinstance(statement, code.Return) else ():
            match awaited.value:
                case code.Name(id=name) as other if name in self.function.local_names:
                    if self.study.kinds.of(other, self.function) == TASK:
                        yield other

    def _add_given(self, use: Use) -> None:
        """What a variable is bound to, or is given to keep."""
        (given,) = use.others
        names = held(given)
        if names is not None:
            for name in names:
                self._add_variable(variable_of(name, self.function))
            return
        calls = list(_calls_in(given))
        for call in calls:
            if id(call) in self._by_call:
                self._add_spawn(self._by_call[id(call)])
            else:
                line = call.span.line
                self._block("handle-is-reused", f"`{use.variable.name}` holds something else as well, from line {line}")
        if not calls:
            line = use.node.span.line if not isinstance(use.node, code.Starred) else 0
            self._block("handle-is-reused", f"`{use.variable.name}` holds something else as well, from line {line}")

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, use: Use, uses: tuple[Use, ...]) -> None:
        match use.kind:
            case Kind.PUT if not (
                isinstance(use.others[0], code.Name) and use.others[0].id in self.function.local_names
            ):
                self._keep(use.others[0], is_put=isinstance(use.node, code.Call))
            case Kind.DISCARDED if use.others and not any(
                put.kind is Kind.PUT and put.variable == use.variable and text(put.others[0]) == text(use.others[0])
                for put in uses
            ):
                self._block("handle-lacks", "a TaskHandle has no `add_done_callback`")

    def _judge_spawn(self, spawn: Spawn) -> None:
        call, inner = spawn.call, spawn.spawned_call
        is_plain = inner is not None and len(call.args) == 1 and call.args[0] is inner
        kind = self.study.kinds.of_receiver(call.func, self.function)
        is_native = path_of(call) in _SPAWNERS or spawn.likely or self.study.kinds.role_of_kind(kind) is Role.LOOP
        if not is_plain or not is_native or spawn.pattern is not None:
            self._block("unusual-spawn", f"`{spawn.called}` on line {call.span.line} is called in an unusual way")
        if inner is not None and last_name(call.func) == "ensure_future":
            self._judge_awaitable(inner)
        for keyword in call.keywords:
            if keyword.name == "context":
                self._note("context-is-copied", "the task would run in a copy of `context`")
            elif keyword.name not in ("name", "loop"):
                self._block("unusual-spawn", f"a group has no `{keyword.name or '**'}`")
        if spawn.likely:
            self._note("guessed-spawn", f"`{spawn.called}` is taken for that of an event loop by its name")

    def _judge_awaitable(self, inner: Expr) -> None:
        """`ensure_future` takes any awaitable, a group takes coroutines only."""
        found = {member.kind for member in members((inner,), self.function, self.study)}
        is_builtin = (path_of(inner) or "").startswith("builtins.")
        message = f"a group takes coroutines only, and `{text(inner)}` may be something else"
        if found == {Member.CALLED} and not is_builtin:
            self._note("not-a-coroutine", message)
        elif found != {Member.COROUTINE}:
            self._block("not-a-coroutine", message)

    def _keep(self, holder: Expr, *, is_put: bool) -> None:
        """A handle that is kept beyond the function: a set which nothing reads only keeps the task alive."""
        written = text(holder)
        reader = _reader_of(holder, self.function, self.study)
        if reader is None and is_put:
            self._note("outlives-function", f"`{written}` keeps the task so that it may outlive the function")
            return
        whom = f", and `{reader.name}` reads it" if reader is not None and reader is not self.function else ""
        self._block("handle-escapes", f"`{written}` keeps the handle beyond the function{whom}")

    def _escape(self, node: Expr, named: str) -> None:
        self._block(*_escaped(node, named, self.function))

    def _block(self, name: str, message: str) -> None:
        if sum(hazard.name == name for hazard in self._hazards) < _MOST:
            self._hazards[Hazard(name, message, blocks=True)] = None

    def _note(self, name: str, message: str) -> None:
        self._hazards[Hazard(name, message)] = None


def part_line(expr: Expr) -> int:
    """The line of an expression."""
    return part_line(expr.value) if isinstance(expr, code.Starred) else expr.span.line


def _calls_in(value: Expr) -> Iterator[code.Call]:
    """The calls whose values an expression gives, alone, in a list, or each time a comprehension goes round."""
    match value:
        case code.Call():
            yield value
        case code.Display(items=items, kind="list" | "tuple" | "set"):
            for item in items:
                yield from _calls_in(item)
        case code.Comprehension(kind="list" | "set" | "dict", element=code.Call() as element):
            yield element
        case code.Conditional(then=then, orelse=code.Constant(value=None)):
            yield from _calls_in(then)


def _reader_of(holder: Expr, function: code.Function, study: Study) -> code.Function | None:
    """A function that reads what keeps a handle, otherwise than to add to it, or to take from it."""
    if not isinstance(holder, code.Attribute | code.Global | code.Name):
        return function
    name = last_name(holder)
    for scope in study.program.mentioning(name, function.qualname):
        harmless: set[int] = set()
        for each in walk(scope.body, code.Attribute):
            if each.attr in _DRAINING:
                harmless.add(id(each.value))
        for assign in walk(scope.body, code.Assign):
            harmless |= {id(target) for target in assign.targets}
        for node in walk(scope.body, (code.Name, code.Global, code.Attribute)):
            if last_name(node) == name and id(node) not in harmless:
                return scope
    return None


def _escaped(node: Expr, named: str, function: code.Function) -> tuple[str, str]:
    """Where and how a handle leaves what can be followed."""
    line = part_line(node)
    for attribute in walk(function.body, code.Attribute):
        if attribute.value is node:
            takes = "takes nothing" if attribute.attr in METHODS else f"has no `{attribute.attr}`"
            subject = f"`{attribute.attr}` of a TaskHandle" if attribute.attr in METHODS else "a TaskHandle"
            return "handle-lacks", f"{subject} {takes} (line {line})"
    for call in walk(function.body, code.Call):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        if any(each is node or (isinstance(each, code.Starred) and each.value is node) for each in given):
            return "handle-escapes", f"{named} is passed to `{text(call.func)}` on line {line}"
    for awaited in walk(function.body, code.Await):
        if awaited.value is node:
            return "no-task-needed", f"the task is awaited at once on line {line}"
    statement = path_to(_span(node), function.body)[-1].statement
    if isinstance(statement, code.Return):
        return "handle-escapes", f"{named} is returned on line {line}"
    if isinstance(statement, code.Assign) and any(each is node for each in _values(statement.value)):
        return "handle-escapes", f"{named} is kept in `{text(statement.targets[0])}` on line {line}"
    return "handle-escapes", f"{named} is used on line {line} in a way that a TaskHandle may not allow"


def _values(value: Expr | None) -> Iterable[Expr]:
    return () if value is None else value.items if isinstance(value, code.Display) else (value,)


def _place_of(use: Use) -> Span:
    assert not isinstance(use.node, code.Starred)
    return use.node.span


def _span(node: Expr) -> Span:
    return _span(node.value) if isinstance(node, code.Starred) else node.span
