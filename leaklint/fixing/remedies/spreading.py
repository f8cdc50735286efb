"""Writes a task group in place of a `gather` of coroutines.

```python
async with asyncio.TaskGroup() as tg:
    tasks = [tg.create_task(fetch(url)) for url in urls]
pages = [task.result() for task in tasks]
```

For what `anyio.gather` is not there: asyncio's own groups, and AnyIO before 4.15. When one of the coroutines fails, the
others are cancelled and waited for; the errors arrive as an `ExceptionGroup`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaklint.analysis.spawns import Sort, Spawn
from leaklint.fixing.grouped.calls import Calls
from leaklint.fixing.hazards.groups import group_hazards
from leaklint.fixing.members import Kind, doubts, members
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Task
from leaklint.model.fix import Edit, Fix, Hazard, Insert, Replace, Substitute, Target
from leaklint.model.walk import text, walk

NAME = "gather-group"
CODES = frozenset({"LK201"})

_GATHER_SINCE = (4, 15)
_NATIVE_SINCE = (3, 11)
"""https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup"""
_TAKING = frozenset(f"builtins.{name}" for name in "all any dict list max min set sorted sum tuple".split())


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A task group for the coroutines of a gather."""
    task = finding.subject
    function = study.function_of(task) if isinstance(task, Task) else None
    environment = study.environment
    is_native = environment.target is Target.ASYNCIO
    if function is None or not (is_native or (environment.anyio or _GATHER_SINCE) < _GATHER_SINCE):
        return ()
    call = next(call for call in walk(function.body, code.Call) if call.span == finding.diagnostic.span)
    given = members(call.args, function, study)
    if not any(member.kind in (Kind.COROUTINE, Kind.CALLED) for member in given):
        return ()  # tasks are spawned already: where they are, a group can begin
    group = study.free_name("tg", function)
    spreading = _Spreading(call, function, study, Calls(group, is_native, study))
    against = tuple(spreading.against())
    if against:
        return against
    notes = (f"when one of the coroutines on line {call.span.line} fails, the others are cancelled and waited for",)
    started = [member.coroutine for member in given]
    hazards = (*doubts(given, function, study), *group_hazards(started, spreading.outer, function, study))
    if any(hazard.blocks for hazard in hazards):
        return tuple(hazard for hazard in hazards if hazard.blocks)
    edits = (*spreading.edits(), *spreading.imports, *study.forgotten(function))
    return Fix(NAME, "run the coroutines in a task group", study.path, edits, hazards, notes)


@dataclass(frozen=True)
class _Spreading:
    """A gather that becomes a group."""

    call: code.Call
    function: code.Function
    study: Study
    calls: Calls

    def against(self) -> Iterator[Hazard]:
        """Why it cannot."""
        if self.calls.is_native and (self.study.environment.python or _NATIVE_SINCE) < _NATIVE_SINCE:
            yield Hazard("needs-newer-python", "`asyncio.TaskGroup` needs Python 3.11", blocks=True)
        for keyword in self.call.keywords:
            message = f"a group has no option such as `{keyword.name or '**'}=`"
            yield Hazard("has-option", message, blocks=True)
        for member in members(self.call.args, self.function, self.study):
            if member.kind not in (Kind.COROUTINE, Kind.CALLED):
                message = f"a group takes coroutines only, and `{text(member.expr)}` may be something else"
                yield Hazard("not-a-coroutine", message, blocks=True)
        if not self.function.is_async:
            yield Hazard("not-a-coroutine-function", f"`{self.function.name}` is no coroutine function", blocks=True)
        elif self._await is None:
            yield Hazard("starts-later", f"`{text(self.call.func)}` is not awaited where it stands", blocks=True)
        elif not self._is_first():
            message = f"line {self.call.span.line} does something else before it awaits the gather"
            yield Hazard("within-expression", message, blocks=True)
        elif not self.calls.gives_handles and not (self._is_ignored() and all(map(_is_plain, self.call.args))):
            message = "AnyIO gives results of tasks since 4.14, and the project allows older ones"
            yield Hazard("needs-newer-anyio", message, blocks=True)

    @property
    def _await(self) -> code.Await | None:
        return next((each for each in walk(self.function.body, code.Await) if each.value is self.call), None)

    @property
    def outer(self) -> code.Await:
        """The expression whose value are the results."""
        assert self._await is not None
        return self._await

    @property
    def _statement(self) -> code.Stmt:
        return path_to(self.call.span, self.function.body)[-1].statement

    def _is_ignored(self) -> bool:
        return isinstance(self._statement, code.Evaluate) and self._statement.value is self.outer

    def _is_first(self) -> bool:
        """Whether the gather is the first thing that its statement does."""
        match self._statement:
            case code.Evaluate(value=value) | code.Assign(value=value) | code.Return(value=value):
                first = value
            case code.For(iterable=first, is_async=False):
                pass
            case _:
                return False
        while isinstance(first, code.Call) and first.args and _only_takes(first.func):
            first = first.args[0]
        return first is self.outer

    # -- writing -------------------------------------------------------------------------------------------------

    @property
    def _group(self) -> str:
        return "asyncio.TaskGroup" if self.calls.is_native else "anyio.create_task_group"

    @property
    def imports(self) -> tuple[Edit, ...]:
        """What the group needs, and what its spawns need."""
        made = [self.calls.imports(self._as_spawn(call)) for arg in self.call.args for call in walk(arg, code.Call)]
        of_spawns = [each for found in made for each in found] if self._is_ignored() else []
        return (*self.study.spelled(self._group, self.function)[1], *of_spawns)

    def edits(self) -> Iterator[Edit]:
        header = f"async with {self.study.spelled(self._group, self.function)[0]}() as {self.calls.group}:"
        if self._is_ignored():
            lines = [line for arg in self.call.args for line in self._spawns(arg)]
            if "#" in self.study.written(self.call.span):
                lines = [
                    f"for {self._coro} in [{self._between_brackets(spawning=False)}]:",
                    f"    {self._spawn(self._coro)}",
                ]
            yield Substitute(self._statement.span, ("\n".join([header, *_indented(lines)]),))
            return
        tasks, task = (self.study.free_name(wish, self.function) for wish in ("tasks", "task"))
        lines = [header, *_indented([f"{tasks} = {self._handles()}"])]
        yield Insert(self._statement.span, tuple(lines), after=False)
        yield Replace(self.outer.span, f"[{self.calls.result.format(task)} for {task} in {tasks}]")

    def _as_spawn(self, made: code.Call) -> Spawn:
        """The spawn of a coroutine that a call makes."""
        return Spawn(code.Call(made.func, (made,), (), made.span), self.function, Sort.FREE, started=made)

    @property
    def _coro(self) -> str:
        return self.study.free_name("coro", self.function)

    def _spawn(self, written: str) -> str:
        return f"{self.calls.group}.create_task({written})"

    def _quoted(self, expr: Expr) -> str:
        return quoted(_place(expr), self.function, self.study)

    def _handles(self) -> str:
        """A list of the handles of all tasks."""
        coro = self._coro
        match self.call.args:
            case [code.Starred(value=code.Comprehension() as made)] if not isinstance(made.element, code.Starred):
                return self._filled(made)
            case [code.Starred(value=several)]:
                return f"[{self._spawn(coro)} for {coro} in {self._quoted(several)}]"
        return f"[{self._between_brackets(spawning=True)}]"

    def _between_brackets(self, *, spawning: bool) -> str:
        """The arguments as they are written, or each with its spawn around it."""
        coro = self._coro
        changed = []
        for arg in self.call.args if spawning else ():
            if isinstance(arg, code.Starred):
                several = self._quoted(arg.value)
                changed.append((_place(arg.value), f"({self._spawn(coro)} for {coro} in {several})"))
            else:
                changed.append((arg.span, self._spawn(self._quoted(arg))))
        func, end = _place(self.call.func), self.call.span
        span = Span(func.end_line, func.end_column, end.end_line, end.end_column)
        return quoted(span, self.function, self.study, changed=tuple(changed)).strip()[1:-1]

    def _filled(self, made: code.Comprehension) -> str:
        """A comprehension that spawns what it made."""
        assert not isinstance(made.element, code.Starred)
        changed = ((made.element.span, self._spawn(self._quoted(made.element))),)
        written = quoted(made.span, self.function, self.study, changed=changed)
        return f"[{written.strip()[1:-1].strip()}]"

    def _spawns(self, arg: Expr) -> Sequence[str]:
        """The statements that spawn an argument of the gather."""
        match arg:
            case code.Starred(value=code.Comprehension(clauses=[clause], element=element)) if not clause.conditions:
                head = f"for {self._quoted(clause.target)} in {self._quoted(clause.iterable)}:"
                return [f"{'async ' if clause.is_async else ''}{head}", *_indented(self._spawns(element))]
            case code.Starred(value=several):
                coro = self._coro
                return [f"for {coro} in {self._quoted(several)}:", f"    {self._spawn(coro)}"]
            case code.Call() if not self.calls.gives_handles:
                return [self.calls.text(self._as_spawn(arg))]
        return [self._spawn(self._quoted(arg))]


def _only_takes(func: Expr) -> bool:
    """Whether a callee is looked up without doing anything: a builtin function, `", ".join`."""
    match func:
        case code.Attribute(value=code.Constant()):
            return True
    return isinstance(func, code.Global) and func.path in _TAKING


def _place(expr: Expr) -> Span:
    assert not isinstance(expr, code.Starred)
    return expr.span


def _is_plain(arg: Expr) -> bool:
    """Whether an argument shows the calls that make its coroutines."""
    match arg:
        case code.Starred(value=code.Comprehension(element=code.Call(), clauses=[clause])):
            return not clause.conditions
    return isinstance(arg, code.Call)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for each in lines for line in each.split("\n")]
