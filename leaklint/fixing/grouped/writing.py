"""What is written in place of each spawn, and of each use of its handle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from leaklint.analysis.kinds import last_name
from leaklint.analysis.spawns import Spawn
from leaklint.fixing.grouped.bundles import Bundle
from leaklint.fixing.grouped.calls import Calls
from leaklint.fixing.grouped.regions import Region
from leaklint.fixing.grouped.variables import JOINS, Kind, Use, Variable, is_quiet
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span, Stmt
from leaklint.model.fix import Edit, Forget, Import, Replace, Substitute
from leaklint.model.walk import text, walk

_READING = (Kind.AWAITED, Kind.GATHERED, Kind.WAITED, Kind.HUSHED, Kind.ASKED, Kind.TESTED, Kind.OTHER)
_TASKS = ("asyncio.Task", "asyncio.Future", "asyncio.futures.Future", "asyncio.tasks.Task")
_STATES = ("PENDING", "CANCELLING")


@dataclass
class Writer:
    """Rewrites the bundles that go into one group."""

    bundles: Sequence[Bundle]
    region: Region
    study: Study
    calls: Calls

    @property
    def function(self) -> code.Function:
        """The function that they are in."""
        return self.bundles[0].function

    def edits(self) -> tuple[Edit, ...]:
        """All edits but the group itself."""
        found = [*self._spawns(), *self._uses()]
        gone = [edit.span for edit in found if isinstance(edit, Substitute)]
        kept = [edit for edit in found if not isinstance(edit, Replace) or not any(_in(edit.span, g) for g in gone)]
        return tuple(dict.fromkeys(kept))

    @cached_property
    def needed(self) -> frozenset[Variable]:
        """The variables that something still reads."""
        uses = [use for bundle in self.bundles for use in bundle.uses]
        found = {use.variable for use in uses if use.kind in _READING and not self._is_deleted(use)}
        before: set[Variable] = set()
        while before != found:
            before = set(found)
            for use in uses:
                if use.kind is Kind.PUT and self._holder(use) in found:
                    found.add(use.variable)
                if use.kind is Kind.EACH and not self._is_deleted(use):
                    found.add(use.variable)
        return frozenset(found)

    def _holder(self, use: Use) -> Variable | None:
        return Variable(use.others[0].id) if isinstance(use.others[0], code.Name) else None

    def _statement(self, node: Expr | Stmt) -> Stmt:
        return path_to(_span(node), self.function.body)[-1].statement

    def _is_deleted(self, use: Use) -> bool:
        """Whether a statement only waits, which the end of the group does as well."""
        return self._wait(use) is not None

    def _wait(self, use: Use) -> Stmt | None:
        """A statement after the group that does nothing but wait, or ask for a result that is not used; with the loop
        that does nothing else.
        """
        if self.region.holds(_span(use.node)):
            return None
        if use.kind is Kind.EACH:
            loop = self._statement(use.node)
            inside = (other for bundle in self.bundles for other in bundle.uses if other.kind is not Kind.EACH)
            return loop if any(self._wait(other) is loop for other in inside) else None
        if use.kind not in JOINS and not self._asks_for_result(use):
            return None
        path = path_to(_span(use.node), self.function.body)
        match [step.statement for step in path[-2:]]:
            case [*_, code.With() | code.Try() as whole] if whole is use.node:
                return whole
            case [code.For(body=(inner,), orelse=()) as loop, code.Evaluate(value=value)] if value is use.node:
                others = (other for bundle in self.bundles for other in bundle.uses if other is not use)
                is_own = all(other.variable != use.variable or other.node is loop for other in others)
                return loop if is_own else inner
            case [*_, code.Evaluate(value=code.Comprehension(element=element, clauses=(clause,))) as whole]:
                return whole if element is use.node and not clause.conditions else None
            case [*_, code.Evaluate(value=value) as whole] if value is use.node:
                return whole
        return None

    def _asks_for_result(self, use: Use) -> bool:
        """Whether a use raises what the task has raised, and nothing else."""
        if use.kind is not Kind.ASKED or _method(use) != "result":
            return False
        own = next(bundle for bundle in self.bundles if use in bundle.uses)
        return not any(_method(other) == "cancel" for other in own.uses_by(Kind.ASKED))

    # -- spawns --------------------------------------------------------------------------------------------------

    def _spawns(self) -> Iterator[Edit]:
        for bundle in self.bundles:
            for spawn in bundle.spawns:
                statement = self._statement(spawn.call)
                lines = self._alone(spawn, statement, bundle)
                if lines is not None:
                    yield Substitute(statement.span, lines)
                else:
                    yield self.calls.edit(spawn)
                yield from self.calls.imports(spawn)

    def _alone(self, spawn: Spawn, statement: Stmt, bundle: Bundle) -> tuple[str, ...] | None:
        """The lines in place of a statement whose value nothing needs; None where the statement stays."""
        homes = {use.variable for use in bundle.uses_by(Kind.BORN) if _gives(use, spawn)}
        if homes & self.needed:
            return None
        match statement:
            case code.Evaluate(value=value) if value is spawn.call:
                return None
            case code.Assign(targets=(code.Display(),)):
                return None
            case code.Assign(value=value) | code.Evaluate(value=value) if value is not None:
                made = value.args[0] if isinstance(statement, code.Evaluate) and isinstance(value, code.Call) else value
                return self._lines(made, bundle)
        return None

    def _lines(self, value: Expr, bundle: Bundle) -> tuple[str, ...] | None:
        """Statements that spawn what an expression spawns, and keep nothing."""
        by_call = {id(spawn.call): spawn for spawn in bundle.spawns}
        match value:
            case code.Call() if id(value) in by_call:
                return (self.calls.text(by_call[id(value)]),)
            case code.Display(items=items) if all(id(item) in by_call for item in items):
                return tuple(self.calls.text(by_call[id(item)]) for item in items)
            case code.Comprehension(element=element, clauses=clauses) if not self._is_bound_elsewhere(value):
                lines, indent = [], ""
                for clause in clauses:
                    target, iterable = self._written(clause.target), self._written(clause.iterable)
                    lines.append(f"{indent}{'async ' if clause.is_async else ''}for {target} in {iterable}:")
                    indent += "    "
                    for condition in clause.conditions:
                        lines.append(f"{indent}if {self._written(condition)}:")
                        indent += "    "
                body = self.calls.text(by_call[id(element)])
                is_plain = not any("\n" in line for line in (*lines, body))
                return (*lines, f"{indent}{body}") if is_plain else None
            case code.Conditional(test=test, then=code.Call() as then):
                return (f"if {self._written(test)}:", f"    {self.calls.text(by_call[id(then)])}")
        return None

    def _is_bound_elsewhere(self, comprehension: code.Comprehension) -> bool:
        """Whether the variables of a comprehension mean something else around it."""
        names = {name.id for clause in comprehension.clauses for name in walk(clause.target, code.Name)}
        own = {id(name) for name in walk(comprehension, code.Name)}
        others = {name.id for name in walk(self.function.body, code.Name) if id(name) not in own}
        inner = {name for scope in self.study.program.inside(self.function) for name in scope.free_names}
        return bool(names & (others | inner | {param.name for param in self.function.params}))

    def _written(self, expr: Expr) -> str:
        return quoted(_span(expr), self.function, self.study)

    # -- uses ----------------------------------------------------------------------------------------------------

    def _uses(self) -> Iterator[Edit]:
        for bundle in self.bundles:
            for use in bundle.uses:
                yield from self._use(use)

    def _use(self, use: Use) -> Iterator[Edit]:
        statement = self._statement(use.node)
        match use.kind:
            case Kind.EMPTY | Kind.PUT if self._home(use) not in self.needed:
                if isinstance(statement, code.Assign | code.Evaluate):
                    yield Substitute(statement.span, ())
            case Kind.DISCARDED:
                yield Substitute(statement.span, ())
            case Kind.AWAITED | Kind.GATHERED | Kind.WAITED | Kind.HUSHED:
                yield from self._join(use, statement)
            case Kind.ASKED if (whole := self._wait(use)) is not None:
                yield Substitute(whole.span, ())
            case Kind.ASKED if not self.calls.is_native:
                yield from self._asked(use)
        if isinstance(statement, code.Assign) and use.variable in self.needed and not self.calls.is_native:
            yield from self._annotation(statement)

    def _home(self, use: Use) -> Variable | None:
        return use.variable if use.kind is Kind.EMPTY else self._holder(use)

    def _annotation(self, statement: code.Assign) -> Iterator[Edit]:
        for named in walk(statement.annotation, code.Global):
            if named.path in _TASKS:
                handle, imports = self.study.spelled("anyio.TaskHandle", self.function)
                written = self.study.written(named.span)
                quoted = written.startswith(("'", '"'))
                yield Replace(named.span, written.replace(named.text, handle) if quoted else handle)
                yield from imports

    def _join(self, use: Use, statement: Stmt) -> Iterator[Edit]:
        if (whole := self._wait(use)) is not None:
            yield Substitute(whole.span, ())
        elif not self.region.holds(_span(use.node)):
            assert not isinstance(use.node, code.Starred)
            yield Replace(use.node.span, self._results(use, statement, self.calls.result))
        elif self.calls.is_native:
            return
        elif use.kind is Kind.HUSHED or use.kind is Kind.WAITED or is_quiet(use):
            yield Substitute(statement.span, tuple(self._each(use, "await {}.wait()")))
            if isinstance(statement, code.With):
                yield Forget(text(statement.items[0].context).partition("(")[0].partition(".")[0])
        elif use.kind is Kind.GATHERED and isinstance(statement, code.Evaluate) and statement.value is use.node:
            yield Substitute(statement.span, tuple(self._each(use, "await {}")))
        elif use.kind is Kind.GATHERED:
            assert not isinstance(use.node, code.Starred)
            yield Replace(use.node.span, self._results(use, statement, "await {}"))

    def _each(self, use: Use, form: str) -> Iterator[str]:
        """Statements that wait for each of the tasks that a wait names."""
        for part, is_many in self._parts(use):
            if is_many:
                name = self.study.free_name("task", self.function)
                yield f"for {name} in {part}:"
                yield f"    {form.format(name)}"
            else:
                yield form.format(part)

    def _results(self, use: Use, statement: Stmt, form: str) -> str:
        """An expression for the results of the tasks that a wait names."""
        if use.kind is Kind.AWAITED:
            return form.format(use.variable.name)
        name = self.study.free_name("task", self.function)
        parts = list(self._parts(use))
        if len(parts) == 1 and parts[0][1]:
            return f"[{form.format(name)} for {name} in {parts[0][0]}]"
        texts = [f"*[{form.format(name)} for {name} in {p}]" if many else form.format(p) for p, many in parts]
        listed = ", ".join(texts)
        match statement:
            case code.Assign(targets=(code.Display(items=items),), value=value) if value is use.node:
                if len(items) == len(parts) and len(parts) > 1:
                    return listed
        return f"[{listed}]"

    def _parts(self, use: Use) -> Iterator[tuple[str, bool]]:
        """What a wait names: the text of each, and whether it is a container."""
        if use.kind in (Kind.AWAITED, Kind.HUSHED):
            yield use.variable.name, False
            return
        for other in use.others:
            match other:
                case code.Starred(value=code.Display(items=items)):
                    yield from ((self._written(item), isinstance(item, code.Starred)) for item in items)
                case code.Starred(value=value):
                    yield self._written(value), True
                case code.Display(items=items) if use.kind is Kind.WAITED:
                    yield from ((self._written(item), isinstance(item, code.Starred)) for item in items)
                case _:
                    yield self._written(other), use.kind is Kind.WAITED

    def _asked(self, use: Use) -> Iterator[Edit]:
        assert isinstance(use.node, code.Call)
        method, name = _method(use), use.variable.name
        states, imports = self.study.spelled("anyio.TaskHandle", self.function)
        new: str | None = None
        needs: tuple[Import, ...] = ()
        place: Span = use.node.span
        match method:
            case "result":
                new = f"{name}.return_value"
            case "exception":
                new = f"{name}.exception"
            case "get_name":
                new = f"{name}.name"
            case "done" | "cancelled":
                negation = next((n for n in walk(self.function.body, code.Not) if n.value is use.node), None)
                place = negation.span if negation is not None else place
                listed = ", ".join(f"{states}.Status.{state}" for state in _STATES)
                if method == "done":
                    new = f"{name}.status {'' if negation else 'not '}in ({listed})"
                else:
                    new = f"{name}.status is {'not ' if negation else ''}{states}.Status.CANCELLED"
                needs = imports
        if new is not None:
            is_part = method in ("done", "cancelled") and not self._stands_alone(place)
            yield Replace(place, f"({new})" if is_part else new)
            yield from needs

    def _stands_alone(self, span: Span) -> bool:
        """Whether an expression is all of a test or of a value, so that it needs no brackets."""
        around = walk(self.function.body, (code.Boolean, code.Call, code.Display))
        if any(_span(part) == span for whole in around for part in _parts_of(whole)):
            return True
        match self._statement_at(span):
            case code.If(branches=branches):
                return any(_span(branch.test) == span for branch in branches)
            case code.While(test=test) | code.Assert(test=test):
                return _span(test) == span
            case code.Assign(value=value) | code.Return(value=value) | code.Evaluate(value=value):
                return value is not None and _span(value) == span
        return False

    def _statement_at(self, span: Span) -> Stmt:
        return path_to(span, self.function.body)[-1].statement


def _parts_of(whole: code.Boolean | code.Call | code.Display) -> tuple[Expr, ...]:
    match whole:
        case code.Boolean(values=parts) | code.Display(items=parts) | code.Call(args=parts):
            return parts


def _method(use: Use) -> str:
    return last_name(use.node.func) if isinstance(use.node, code.Call) else ""


def _gives(use: Use, spawn: Spawn) -> bool:
    return any(node is spawn.call for other in use.others for node in walk(other, code.Call))


def _in(inner: Span, outer: Span) -> bool:
    return outer[:2] <= inner[:2] and inner[2:] <= outer[2:]


def _span(node: Expr | Stmt) -> Span:
    return _span(node.value) if isinstance(node, code.Starred) else node.span
