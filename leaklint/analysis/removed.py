"""Uses of what AnyIO 4 no longer has, where imports, annotations and assignments show that they mean AnyIO."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.resolve import Use, argument, called_on, resolved, uses
from leaklint.catalog.anyio_history import CALLS_COROUTINES, ROWS, SAME, TYPES, Form, Removed, removed
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse, Pattern, Step
from leaklint.model.walk import text, walk

LIKELY = "likely"
"""The first word of how a thing is used whose class only the name of an attribute tells."""

_SCOPES = ("anyio.CancelScope", "anyio.open_signal_receiver")
_PATHS = frozenset({"anyio", "anyio.abc"}).union(TYPES, SAME, (row.path for row in ROWS))
_MEMBERS = frozenset(row.path.rpartition(".")[2] for row in ROWS if row.form in (Form.METHOD, Form.AWAIT))
_GONE = frozenset(row.path for row in ROWS if row.form is Form.NAME)
_WORDS = _MEMBERS.union(TYPES, (row.path for row in ROWS), (row.path.rpartition(".")[0] for row in ROWS))
_AWAITED = frozenset(row.path.rpartition(".")[2] for row in ROWS if row.form is Form.AWAIT)
_CALLERS = frozenset(path.rpartition(".")[2] for path in CALLS_COROUTINES)
_EXCEPTIONS = "anyio.exceptions."
_DEEPEST = 3
_QUOTES = "'"
_MISSING = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError"})
_ANY_ERROR = frozenset({"Exception", "BaseException"})
_FLAG = re.compile(r"anyio\w*\d")
"""The name of a constant that tells the release: `ANYIO_3`."""


class Removals:
    """What a program uses that AnyIO 4 no longer has."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._program = kinds.program

    def uses(self, facts: ModuleFacts) -> Iterator[Misuse]:
        """The uses in a file, but for those that only an older AnyIO is asked for."""
        if not self._knows_anyio:
            return
        lazy = ("annotations", "__future__.annotations") in facts.names.imports
        found = [each for function in facts.functions for each in self._in(function, lazy=lazy)]
        asked = _asked_for(facts) if found else frozenset()
        used = {each.row.path for each in found if not each.is_import}
        moved = {each.text for each in found if each.is_import and each.row.path.startswith(_EXCEPTIONS)}
        guarded = {each.text for each in found if each.is_import and _is_guarded(each, self._program.enclosing)}
        for each in found:
            names = {each.row.path.rpartition(".")[2], (each.row.new or "").rpartition(".")[2]}
            is_moved = each.row.path.startswith(_EXCEPTIONS) and each.text in moved
            # the import of what is moved is told, of all else the uses are
            is_told_elsewhere = is_moved is not each.is_import and (is_moved or each.row.path in used)
            if not (
                is_told_elsewhere or names & asked or each.text in guarded or _is_guarded(each, self._program.enclosing)
            ):
                yield self._misuse(each)

    def _misuse(self, found: _Found) -> Misuse:
        how = f"{found.row.form.value} {found.row.path}"
        path = self._program.paths[found.function.qualname]
        step = self._program.step
        evidence: tuple[Step, ...] = ()
        if found.declared_by is not None:
            class_ = self._program.classes[found.declared_by]
            said = f"`{class_.name}` alone has an attribute of this name"
            evidence = (step(class_.body, class_.span, said),)
            how = f"{LIKELY} {how}"
        return Misuse(Pattern.REMOVED, path, found.span, found.text, found.function.qualname, how, evidence)

    @cached_property
    def _knows_anyio(self) -> bool:
        """Whether the program uses AnyIO, and is not AnyIO itself."""
        modules = self._program.modules
        return not any(each.module.partition(".")[0] == "anyio" for each in modules) and any(
            not function.words.isdisjoint(_PATHS) for each in modules for function in each.functions
        )

    @cached_property
    def _is_old(self) -> bool:
        """Whether the program uses a name that is gone."""
        return any(not each.words.isdisjoint(_GONE) for module in self._program.modules for each in module.functions)

    # -- uses ----------------------------------------------------------------------------------------------------

    def _in(self, function: code.Function, *, lazy: bool) -> list[_Found]:
        """The uses in a scope's own code; `lazy` says that nothing evaluates its annotations."""
        if function.words.isdisjoint(_WORDS) and not self._is_old:
            return []
        header = () if lazy else (function.returns, *(param.annotation for param in function.params))
        found = list(self._among((function.body, *header), function))
        if not found:
            return []
        left_out = {each.span for assign in walk(function.body, code.Assign) for each in _named(assign.targets)}
        if lazy or function.kind == "function":
            annotations = tuple(assign.annotation for assign in walk(function.body, code.Assign))
            left_out |= {each.span for each in _named(annotations)}
        imports = {part.span for each in walk(function.body, code.Evaluate) for part in _imported(each)}
        told = (each._replace(is_import=each.span in imports) for each in found if each.span not in left_out)
        return [each for each in told if each.is_import or not _is_quoted(each)]

    def _among(self, nodes: object, function: code.Function) -> Iterator[_Found]:
        awaited = set()
        for node in walk(nodes, (code.Global, code.Attribute, code.Call, code.Await)):
            match node:
                case code.Global(path=path) if row := removed(Form.NAME, path):
                    yield _Found(row, node.span, text(node), function)
                case code.Attribute() | code.Global() if row := self._of_member(Form.METHOD, node, function):
                    yield _Found(row, node.span, text(node), function)
                case code.Call():
                    yield from self._of_call(node, function, is_awaited=id(node) in awaited)
                case code.Await(value=code.Call(func=func) as call):
                    awaited.add(id(call))  # an await comes before what it awaits
                    row, declared_by = self._of_awaited(func, function)
                    if row is not None:
                        yield _Found(row, node.span, f"await {text(call)}", function, declared_by=declared_by)
        for with_ in walk(nodes, code.With):
            if with_.is_async:
                yield from self._of_contexts((item.context for item in with_.items), function)

    def _of_call(self, call: code.Call, function: code.Function, *, is_awaited: bool) -> Iterator[_Found]:
        path = path_of(call)
        for keyword in call.keywords:
            value = keyword.value
            if isinstance(value, code.Starred):
                continue
            if row := removed(Form.KEYWORD, f"{path}.{keyword.name}"):
                yield _Found(row, value.span, text(call.func), function)
            is_backend = keyword.name == "backend" and isinstance(value, code.Constant)
            if is_backend and (row := removed(Form.BACKEND, f"{path}.{text(value).strip(_QUOTES)}")):
                yield _Found(row, value.span, text(value), function)
        if last_name(call.func) == "enter_async_context" and is_awaited:
            yield from self._of_contexts(call.args, function)
        first = call.args[0] if call.args else None
        is_old = isinstance(first, code.Attribute | code.Global) and last_name(first) in _AWAITED
        if is_old and last_name(call.func) in _CALLERS and self._calls_coroutines(call, function):
            assert isinstance(first, code.Attribute | code.Global)
            row = self._of_member(Form.AWAIT, first, function)
            if row is not None:
                yield _Found(row._replace(form=Form.PASSED), first.span, text(first), function)

    def _calls_coroutines(self, call: code.Call, function: code.Function) -> bool:
        """Whether a call gives its first argument to what calls coroutine functions and no others."""
        kind = self._kind(called_on(call.func), function)
        return path_of(call) in CALLS_COROUTINES or f"{kind}.{last_name(call.func)}" in CALLS_COROUTINES

    def _of_awaited(self, callee: Expr, function: code.Function) -> tuple[Removed | None, str | None]:
        """The row about a call that is awaited, and the class that has the attribute it is known by."""
        if isinstance(callee, code.Global) and (row := removed(Form.AWAIT, callee.path)):
            return row, None
        if row := self._of_member(Form.AWAIT, callee, function):
            return row, None
        match callee:
            case code.Attribute(value=code.Attribute(attr=attr) as value, attr=method) if method in _MEMBERS:
                if self._kinds.of(value, function) is None and (one := self._only_owner(attr)) is not None:
                    kind = self._kinds.attribute(one, attr)
                    return removed(Form.AWAIT, f"{SAME.get(kind or '', kind)}.{method}"), one
        return None, None

    def _only_owner(self, attr: str) -> str | None:
        """The class of the program that has an attribute, if there is one and no more."""
        owners = self._kinds.declaring(attr)
        return next(iter(owners)) if len(owners) == 1 else None

    def _of_member(self, form: Form, callee: Expr, function: code.Function) -> Removed | None:
        """The row about a method of an object of AnyIO."""
        name = last_name(callee)
        value = called_on(callee) if name in _MEMBERS else None
        kind = self._kind(value, function) if value is not None else None
        if kind is None or self._program.method(kind, name) is not None:
            return None
        rows = (removed(form, f"{SAME.get(each, each)}.{name}") for each in self._program.ancestors(kind))
        return next((row for row in rows if row), None)

    def _of_contexts(self, contexts: Iterable[Expr], function: code.Function) -> Iterator[_Found]:
        """The uses of what is entered as an asynchronous context manager."""
        for context in contexts:
            if removed(Form.NAME, path_of(context) or ""):
                continue  # which is reported for what it is
            kind = self._kind(context, function)
            if kind in _SCOPES and (row := removed(Form.ASYNC_WITH, kind)):
                shown = context.func if isinstance(context, code.Call) else context
                span = getattr(context, "span", None)
                if span is not None:
                    yield _Found(row, span, text(shown), function)

    # -- what things are -----------------------------------------------------------------------------------------

    def _kind(self, expr: Expr | None, function: code.Function, depth: int = 0) -> str | None:
        """The class of a value; for a parameter that says nothing, that of what the program passes for it."""
        if expr is None:
            return None
        found = self._kinds.of(expr, function)
        if isinstance(expr, code.Name):
            if found is None and depth < _DEEPEST:
                found = self._of_parameter(expr.id, function, depth)
            elif not self._is_always(found, expr.id, function):
                found = None
        return SAME.get(found, found) if found else None

    def _is_always(self, kind: str | None, name: str, function: code.Function) -> bool:
        """Whether a name is bound to objects of one class only, and to None."""
        bound = [each for each in self._kinds.bindings(function).get(name, ()) if each.how != "type"]
        values = [each.expr for each in bound if not _is_none(each.expr)]
        return len(values) < 2 or all(self._kinds.of(each, function) == kind for each in values)

    def _of_parameter(self, name: str, function: code.Function, depth: int) -> str | None:
        owner = function
        while name not in owner.local_names and (outer := self._program.enclosing(owner)) is not None:
            owner = outer
        param = next((each for each in owner.params if each.name == name), None)
        if param is None or param.annotation is not None:
            return None
        given = [self._kind(arg, caller, depth + 1) for arg, caller in self._passed(name, owner)]
        return given[0] if given and all(each == given[0] for each in given) else None

    def _passed(self, name: str, function: code.Function) -> Iterator[tuple[Expr | None, code.Function]]:
        """What the program passes for a parameter, in calls and in spawns by function and arguments."""
        for use in uses(function, self._kinds).found:
            yield argument(use, name, function), use.caller
        for caller in self._program.mentioning(function.name, function.qualname):
            for call in walk(caller.body, code.Call):
                for position, arg in enumerate(call.args):
                    is_it = (
                        isinstance(arg, code.Attribute | code.Global | code.Name) and last_name(arg) == function.name
                    )
                    if is_it and resolved(arg, caller, self._kinds) is function:
                        rest = code.Call(arg, call.args[position + 1 :], (), call.span)
                        yield argument(Use(caller, rest), name, function), caller


class _Found(NamedTuple):
    """One use."""

    row: Removed
    span: Span
    text: str
    function: code.Function
    is_import: bool = False
    declared_by: str | None = None
    """The class that has the attribute by whose name the object is known."""


def _named(nodes: tuple[Expr | None, ...]) -> Iterator[code.Global | code.Attribute]:
    """The names that targets or annotations are, or hold."""
    return walk(nodes, (code.Global, code.Attribute))


def _imported(statement: code.Evaluate) -> Iterator[code.Global]:
    """The names of an import of what is gone."""
    match statement:
        case code.Evaluate(value=code.Opaque(parts=parts, span=within), span=span) if within == span:
            yield from (part for part in parts if isinstance(part, code.Global))


def _is_none(expr: Expr) -> bool:
    return isinstance(expr, code.Constant) and expr.value is None


def _is_quoted(found: _Found) -> bool:
    """Whether a name stands in a quoted annotation, which nothing evaluates: its place is that of the whole string."""
    span = found.span
    return found.row.form is Form.NAME and span[2:] != (span.line, span.column + len(found.text))


# -- programs for several releases ------------------------------------------------------------------------------------


def _asked_for(facts: ModuleFacts) -> frozenset[str]:
    """The attributes that a file asks for before it uses them: `hasattr(anyio, "create_event")`."""
    return frozenset(
        call.args[1].value
        for function in facts.functions
        for call in walk(function.body, code.Call)
        if path_of(call) in ("builtins.hasattr", "builtins.getattr")
        and len(call.args) > 1
        and isinstance(call.args[1], code.Constant)
        and isinstance(call.args[1].value, str)
    )


def _is_guarded(found: _Found, enclosing: Callable[[code.Function], code.Function | None]) -> bool:
    """Whether something stands where only an older AnyIO gets: in a test of versions, or in a `try` for its lack."""
    scope: code.Function | None = found.function
    place = found.span
    while scope is not None:
        guards = _guards(scope.body, catches_any=found.is_import)
        if any(guard[:2] <= place[:2] and place[:2] < guard[2:] for guard in guards):
            return True
        place = scope.span
        scope = enclosing(scope)
    return False


def _guards(body: code.Block, *, catches_any: bool) -> Iterator[Span]:
    for node in walk(body, (code.Try, code.If, code.Conditional)):
        match node:
            case code.Try(handlers=handlers, span=span):
                caught = {last_name(each) for handler in handlers for each in handler.types}
                is_bare = any(not handler.types for handler in handlers)
                if caught & _MISSING or (catches_any and (is_bare or caught & _ANY_ERROR)):
                    yield span
            case code.If(branches=branches, span=span):
                if any(_asks_version(branch.test) for branch in branches):
                    yield span
            case code.Conditional(test=test, span=span):
                if _asks_version(test):
                    yield span


def _asks_version(test: Expr) -> bool:
    names = [text(node).lower() for node in walk(test, (code.Name, code.Global, code.Attribute))]
    return any("version" in name or _FLAG.search(name) for name in names)
