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

    # -- uses ----------------------------------------------------------------------------------------------------

    def _in(self, function: code.Function, *, lazy: bool) -> Iterator[_Found]:
        """The uses in a scope's own code; `lazy` says that nothing evaluates its annotations."""
        header = () if lazy else (function.returns, *(param.annotation for param in function.params))
        nodes = list(walk((function.body, *header), (code.Global, code.Attribute, code.Call, code.Await)))
        awaited = {id(node.value) for node in nodes if isinstance(node, code.Await)}
        imports = {
            id(part)
            for each in walk(function.body, code.Evaluate)
            if isinstance(each.value, code.Opaque) and each.value.span == each.span
            for part in each.value.parts
        }
        left_out = {id(each) for assign in walk(function.body, code.Assign) for each in assign.targets}
        if lazy or function.kind == "function":
            annotations = tuple(assign.annotation for assign in walk(function.body, code.Assign))
            left_out |= {id(each) for each in walk(annotations, (code.Global, code.Attribute))}
        for node in nodes:
            if id(node) in left_out:
                continue
            match node:
                case code.Global(path=path) if row := removed(Form.NAME, path):
                    is_import = id(node) in imports
                    if is_import or _is_plain(node):
                        yield _Found(row, node.span, text(node), function, is_import=is_import)
                case code.Attribute() | code.Global() if row := self._of_member(Form.METHOD, node, function):
                    yield _Found(row, node.span, text(node), function)
                case code.Call():
                    yield from self._of_call(node, function, is_awaited=id(node) in awaited)
                case code.Await(value=code.Call(func=func) as call):
                    row, declared_by = self._of_awaited(func, function)
                    if row is not None:
                        yield _Found(row, node.span, f"await {text(call)}", function, declared_by=declared_by)
        for with_ in walk(function.body, code.With):
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
        if call.args and last_name(call.args[0]) in _AWAITED and last_name(call.func) in _CALLERS:
            kind = self._kind(called_on(call.func), function)
            calls = {path, f"{kind}.{last_name(call.func)}"} & CALLS_COROUTINES
            if calls and (row := self._of_member(Form.AWAIT, call.args[0], function)):
                passed = row._replace(form=Form.PASSED)
                yield _Found(passed, call.args[0].span, text(call.args[0]), function)

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


def _is_none(expr: Expr) -> bool:
    return isinstance(expr, code.Constant) and expr.value is None


def _is_plain(node: code.Global) -> bool:
    """Whether a name is written where it stands: what is in a quoted annotation, nothing evaluates."""
    return node.span.line == node.span.end_line and node.span.end_column - node.span.column == len(node.text)


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
