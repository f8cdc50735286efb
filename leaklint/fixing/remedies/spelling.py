"""Writes what AnyIO 4 has in place of what AnyIO 1 to 3 had.

The old spellings raise with AnyIO 4, so nothing that works there changes. `await tg.spawn(f, x)` becomes
`tg.start_soon(f, x)`: without the `await`, which would let a loop run one child after the other. What has no successor
that does the same (queues, sockets of 1.x) is left, with the reason.

What is unsafe is so because AnyIO 4 differs, not the spelling: the error of a child that fails alone arrives in a group
(https://anyio.readthedocs.io/en/stable/migration.html), so that a handler for it stops matching; and a cancelled child is
cut at the first `await` of its cleanup, which AnyIO 1 and 2 let go on (measured on the releases 1.4, 2.2, 3.7 and 4.16).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.removed import LIKELY
from leaklint.catalog.anyio_history import CALLS_COROUTINES, RENAMED_ARGUMENTS, Form, Removed, removed
from leaklint.fixing.hazards.children import may_be_cut
from leaklint.fixing.hazards.handlers import clauses_that_miss
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Misuse, Pattern
from leaklint.model.fix import Edit, Fix, Forget, Hazard, Import, Replace, Substitute, Synchronize
from leaklint.model.walk import text, walk

NAME = "upgrade"
CODES = frozenset({"LK306"})

_GROUPED = "AnyIO 4 raises an `ExceptionGroup` even if a single child fails, AnyIO 3 raised the error itself"
_PLACES = (code.Global, code.Attribute, code.Call, code.Await)
_EXCEPTIONS = "anyio.exceptions"
_CUT = "cleanup-is-cut"
_ERROR_GROUP = "builtins.BaseExceptionGroup"

Answer = Fix | tuple[Hazard, ...]


def propose(finding: Finding, study: Study) -> Answer:
    """The spelling of AnyIO 4, or why there is none."""
    misuse = finding.subject
    if not isinstance(misuse, Misuse):
        return ()
    for function in study.facts.functions:
        if function.qualname == misuse.function:
            use = _Use(misuse, function, study)
            if use.node is not None:
                return _BY_FORM[use.form](use)
    return ()


@dataclass(frozen=True)
class _Use:
    """One use of what is gone, where it stands."""

    misuse: Misuse
    function: code.Function
    study: Study

    @property
    def form(self) -> Form:
        """How it is used."""
        return Form(self.misuse.how.split(" ")[-2])

    @cached_property
    def row(self) -> Removed:
        """What is said of it."""
        found = removed(Form.AWAIT if self.form is Form.PASSED else self.form, self.misuse.how.split(" ")[-1])
        assert found is not None
        return found

    @cached_property
    def node(self) -> Expr | None:
        """The expression that is reported."""
        function = self.function
        within = (function.body, function.returns, *(param.annotation for param in function.params))
        everything: Iterator[Expr] = (
            each
            for kinds in (_PLACES, (code.Name, code.Constant))
            for each in walk(within, kinds)  # type: ignore[call-overload]
        )
        return next((each for each in everything if each.span == self.misuse.span), None)  # type: ignore[union-attr]

    @cached_property
    def call(self) -> code.Call | None:
        """The call of what is reported."""
        return next((each for each in walk(self.function.body, code.Call) if each.func is self.node), None)

    @cached_property
    def waiting(self) -> code.Await | None:
        """The `await` of that call."""
        awaits = walk(self.function.body, code.Await)
        return next((each for each in awaits if self.call is not None and each.value is self.call), None)

    @cached_property
    def statement(self) -> code.Stmt | None:
        """The statement that it stands in."""
        steps = path_to(self.misuse.span, self.function.body)
        return steps[-1].statement if steps else None

    @property
    def receiver(self) -> str:
        """What the method is called on, as written."""
        assert self.node is not None
        return self.study.written(self.node.span).rpartition(".")[0].rstrip()  # type: ignore[union-attr]

    def quoted(self, span: Span, *changed: tuple[Span, str]) -> str:
        """The text at a place, with other texts at some places within it."""
        return quoted(span, self.function, self.study, changed=changed)

    def fix(
        self, title: str, *edits: Edit, hazards: tuple[Hazard, ...] = (), notes: tuple[str, ...] = ()
    ) -> Fix:
        """A fix by these edits."""
        floor = self.study.environment.anyio
        if floor is not None and floor < (4,):
            allowed = ".".join(map(str, floor))
            notes = (*notes, f"it needs AnyIO 4: raise the lower bound of the dependency, {allowed}, to 4.14")
        return Fix(NAME, title, self.study.path, edits, hazards, notes)

    def refused(self, why: str, name: str = "no-successor") -> tuple[Hazard, ...]:
        """There is no fix."""
        return (Hazard(name, why, blocks=True),)

    # -- names ---------------------------------------------------------------------------------------------------

    def spelled(self, path: str, old: code.Global | None = None) -> tuple[str, tuple[Edit, ...]]:
        """How to write a dotted path where an old name of AnyIO stands, and the imports that this needs."""
        old = old or (self.node if isinstance(self.node, code.Global) else None)
        depth = old.text.count(".") if old is not None else 0
        if old is not None and depth:
            within = old.path.rsplit(".", depth)[0]
            if path.startswith(f"{within}."):
                return old.text.partition(".")[0] + path[len(within) :], ()
        gone = self.forgotten(old.text.partition(".")[0]) if old is not None else ()
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length])
            spelled, needed = self.study.spelled(prefix, self.function)
            if not needed:
                return spelled + path[len(prefix) :], gone
        package, name = parts[:2]
        rest = ".".join(parts[2:])
        if old is not None and not depth and self.study.free_name(name, self.function) == name:
            spelled, needed = name, (Import(f"from {package} import {name}"),)
        else:
            spelled, needed = self.study.spelled(f"{package}.{name}", self.function)
        return f"{spelled}.{rest}" if rest else spelled, (*needed, *gone)

    def forgotten(self, name: str) -> tuple[Edit, ...]:
        """The edits without which the import of a name that is gone would stay."""
        for statement in walk(self.function.body, code.Evaluate) if self.function.kind != "module" else ():
            if _is_import(statement) and any(part.text == name for part in statement.value.parts):  # type: ignore[union-attr]
                head, _, names = " ".join(self.study.written(statement.span).split()).rpartition(" import ")
                kept = [each for each in names.strip("() ").split(", ") if each.rpartition(" ")[2] != name]
                lines = (f"{head} import {', '.join(kept)}",) if kept else ()
                return (Substitute(statement.span, lines),)
        return (Forget(name),)

    # -- context managers ----------------------------------------------------------------------------------------

    def entered(self, context: Expr) -> tuple[Edit, ...]:
        """The edits that enter a context manager with `with`, where it is entered with `async with`."""
        for with_ in walk(self.function.body, code.With):
            if with_.is_async and any(item.context is context for item in with_.items):
                return (Synchronize(with_.span, tuple(self._plain(with_, context))),)
        for waiting in walk(self.function.body, code.Await):
            match waiting.value:
                case code.Call(func=code.Attribute(attr="enter_async_context") as func, args=args) as call:
                    if any(arg is context for arg in args):
                        stack = self.study.written(func.span).rpartition(".")[0]
                        changed = ((func.span, f"{stack}.enter_context"),)
                        return (Replace(waiting.span, self.quoted(call.span, *changed)),)
        return ()

    def _plain(self, with_: code.With, context: Expr) -> Iterator[Span]:
        """The places of what a statement enters that `with` enters now: this, and what else is reported."""
        gone = {each.span for each in self.study.studied.findings.misuses if each.pattern is Pattern.REMOVED}
        for item in with_.items:
            made = item.context.func if isinstance(item.context, code.Call) else item.context
            path = path_of(made)
            is_old = path is not None and (row := removed(Form.NAME, path)) is not None and _is_scope(row.new or "")
            if item.context is context or _span(item.context) in gone or (is_old and _span(made) in gone):
                yield _span(item.context)


# -- names -------------------------------------------------------------------------------------------------------------


def _named(use: _Use) -> Answer:
    """A function or class that is gone."""
    imported = _imported(use)
    if imported is not None:
        return imported
    special = _SPECIAL.get(use.row.path)
    if special is not None:
        return special(use)
    new = use.row.new
    if new is None:
        return use.refused(use.row.advice)
    if new == _ERROR_GROUP:
        return _error_group(use, new)
    return _renamed(use, new)


def _renamed(use: _Use, new: str) -> Answer:
    spelled, edits = use.spelled(new)
    node = use.node
    assert isinstance(node, code.Global)
    title = f"write `{spelled}`"
    if use.call is None:
        return use.fix(title, Replace(node.span, spelled), *edits)
    names = RENAMED_ARGUMENTS.get(use.row.path, {})
    arguments = [(each, names[each.name]) for each in use.call.keywords if each.name in names]
    changed = [_argument(each, name, use) for each, name in arguments if each.name is not None]
    if None in changed:
        return use.refused("its arguments are written in a way that leaklint does not follow", "unclear-arguments")
    entering = use.entered(use.call) if _is_scope(new) else ()
    if changed:
        whole = use.quoted(use.call.span, (node.span, spelled), *(each for each in changed if each))
        return use.fix(title, Replace(use.call.span, whole), *entering, *edits)
    if entering and isinstance(entering[0], Replace):
        return use.fix(title, _within(entering[0], node, spelled, use), *edits)
    return use.fix(title, Replace(node.span, spelled), *entering, *edits)


def _within(outer: Replace, node: code.Global, spelled: str, use: _Use) -> Replace:
    """A replacement in which a name is spelled anew, too."""
    old = use.quoted(node.span)
    return outer._replace(text=outer.text.replace(f"({old}", f"({spelled}", 1))


def _is_scope(path: str) -> bool:
    return removed(Form.ASYNC_WITH, path) is not None


def _imported(use: _Use) -> Answer | None:
    """An import of a name that the file does not use."""
    statement = use.statement
    if not isinstance(statement, code.Evaluate) or not _is_import(statement):
        return None
    assert isinstance(statement.value, code.Opaque)
    if not any(part is use.node for part in statement.value.parts):
        return None
    written = use.study.written(statement.span)
    if use.row.path == _EXCEPTIONS and written.split() == ["import", "anyio.exceptions"]:
        return use.fix("import `anyio`", Substitute(statement.span, ("import anyio",)))
    if use.row.path.startswith(f"{_EXCEPTIONS}."):
        return _moved(use, statement.value.parts, statement.span)
    public = use.study.facts.names.public or ()
    name = use.misuse.source
    if name in public:
        return use.refused(f"`{name}` is in `__all__`: others may import it from here", "exported")
    return use.fix(f"remove the import of `{name}`", *use.forgotten(name))


def _is_import(statement: code.Evaluate) -> bool:
    """Whether a statement is an import of something that is gone."""
    return isinstance(statement.value, code.Opaque) and statement.value.span == statement.span and all(
        isinstance(part, code.Global) and removed(Form.NAME, part.path) for part in statement.value.parts
    )


def _moved(use: _Use, parts: tuple[Expr, ...], span: Span) -> Answer:
    """`from anyio.exceptions import ClosedResourceError`."""
    names = []
    for part in parts:
        row = removed(Form.NAME, part.path) if isinstance(part, code.Global) else None
        if row is None or row.new is None or not row.new.startswith("anyio."):
            return use.refused(f"`{text(part)}` is imported with it: {row.advice if row else ''}")
        assert isinstance(part, code.Global)
        name = row.new.removeprefix("anyio.")
        names.append(name if name == part.text else f"{name} as {part.text}")
    if "#" in use.study.written(span):
        return use.refused("there are comments within the import", "unclear-import")
    statement = f"from anyio import {', '.join(names)}"
    return use.fix("import it from `anyio`", Substitute(span, (statement,)))


def _unwrapped(use: _Use) -> Answer:
    """`await maybe_async(call)`."""
    match use.waiting:
        case code.Await(value=code.Call(args=[code.Call() as inner], keywords=())) as waiting:
            edits = (Replace(waiting.span, use.quoted(inner.span)), *_forgotten(use))
            return use.fix("call it without `await`", *edits)
    return use.refused("it does not await a call", "unclear-use")


def _unwrapped_manager(use: _Use) -> Answer:
    """`async with maybe_async_cm(manager)`."""
    if use.call is not None and len(use.call.args) == 1 and not isinstance(use.call.args[0], code.Starred):
        entering = use.entered(use.call)
        if entering and isinstance(entering[0], Synchronize):
            inner = use.quoted(_span(use.call.args[0]))
            return use.fix("enter it with `with`", Replace(use.call.span, inner), *entering, *_forgotten(use))
    return use.refused("it is not entered where it is made", "unclear-use")


def _portal(use: _Use) -> Answer:
    """`start_blocking_portal`, which gave the portal itself before 3.0."""
    withs = (each for each in walk(use.function.body, code.With) if not each.is_async)
    if use.call is not None and any(item.context is use.call for each in withs for item in each.items):
        assert use.row.new is not None
        return _renamed(use, use.row.new)
    return use.refused("the portal is open only within `with start_blocking_portal() as portal`", "not-entered")


def _error_group(use: _Use, new: str) -> Answer:
    """The class of errors, as a handler or a test of types has it."""
    handled = (kind for each in walk(use.function.body, code.Try) for one in each.handlers for kind in one.types)
    tested = (
        arg
        for call in walk(use.function.body, code.Call)
        if path_of(call) in ("builtins.isinstance", "builtins.issubclass")
        for arg in call.args[1:]
    )
    if not any(each is use.node for each in (*handled, *tested)):
        return use.refused("only a handler, or a test of types, can do with the builtin class", "unclear-use")
    python = use.study.environment.python
    if python is not None and python < (3, 11):
        oldest = ".".join(map(str, python))
        return use.refused(
            f"the builtin class is there since Python 3.11, and the project allows {oldest}: import it from "
            "`exceptiongroup` there",
            "older-python",
        )
    name = new.rpartition(".")[2]
    assert isinstance(use.node, code.Global)
    hazard = Hazard("single-error-grouped", f"{_GROUPED}: what was handled elsewhere so far arrives here")
    return use.fix(f"write `{name}`", Replace(use.node.span, name), *_forgotten(use), hazards=(hazard,))


def _backends(use: _Use) -> Answer:
    spelled, edits = use.spelled("anyio.get_all_backends")
    assert isinstance(use.node, code.Global)
    return use.fix(f"call `{spelled}`", Replace(use.node.span, f"{spelled}()"), *edits)


def _notified(use: _Use) -> Answer:
    spelled, edits = use.spelled("anyio.notify_closing")
    if use.waiting is None or use.call is None:
        return use.refused("it is not awaited where it is called", "unclear-use")
    text_ = use.quoted(use.call.span, (use.call.func.span, spelled))  # type: ignore[union-attr]
    return use.fix(f"call `{spelled}`", Replace(use.waiting.span, text_), *edits)


def _forgotten(use: _Use) -> tuple[Edit, ...]:
    return use.forgotten(use.node.text) if isinstance(use.node, code.Global) and "." not in use.node.text else ()


_SPECIAL: dict[str, Callable[[_Use], Answer]] = {
    "anyio.maybe_async": _unwrapped,
    "anyio.maybe_async_cm": _unwrapped_manager,
    "anyio.start_blocking_portal": _portal,
    "anyio.BACKENDS": _backends,
    "anyio.notify_socket_close": _notified,
}

# -- methods -----------------------------------------------------------------------------------------------------------


def _method(use: _Use) -> Answer:
    """A method that is gone."""
    name = use.row.path.rpartition(".")[2]
    if name == "spawn":
        return _spawned(use)
    if name == "set_total_tokens":
        return _assigned(use)
    call, new = use.call, use.row.new
    if name == "stop_from_external_thread" and call is not None and re.fullmatch(r"[\w.]+", use.receiver):
        given = use.quoted(call.span).partition("(")[2]
        stop = f"{use.receiver}.stop" + (f", {given}" if given != ")" else given)
        return use.fix("stop the portal with `call`", Replace(call.span, f"{use.receiver}.call({stop}"))
    if new is None:
        return use.refused(use.row.advice)
    hazards = (Hazard("other-result", use.row.advice),) if use.row.advice else ()
    span = _span(use.node)
    return use.fix(f"write `{new}`", Replace(span, f"{use.receiver}.{new}"), hazards=hazards)


def _spawned(use: _Use) -> Answer:
    """`await tg.spawn(f, x)`."""
    call, waiting = use.call, use.waiting
    if call is None or waiting is None:
        return use.refused("it is not called and awaited in one place", "unclear-use")
    first = call.args[0] if call.args else None
    if first is not None and any(
        each.how.startswith(Form.PASSED.value) and each.span == _span(first)
        for each in use.study.studied.findings.misuses
    ):
        return use.refused(f"`{text(first)}` is no coroutine function: call it", "no-coroutine")
    hazards: tuple[Hazard, ...] = ()
    if first is not None and not isinstance(first, code.Starred):
        child = code.Call(first, call.args[1:], (), call.span)
        hazards = (*_handlers(child, use), *_cut(child, use))
    is_statement = isinstance(use.statement, code.Evaluate) and use.statement.value is waiting
    if not is_statement:
        hazards = (*hazards, Hazard("other-result", "it gives a handle, `spawn` gave None"))
    new = use.quoted(call.span, (_span(call.func), f"{use.receiver}.start_soon"))
    title = "spawn it with `start_soon`, which is not awaited"
    return use.fix(title, Replace(waiting.span, new), hazards=hazards, notes=(_GROUPED,))


def _handlers(child: code.Call, use: _Use) -> tuple[Hazard, ...]:
    """`handler-stops-matching`: the handlers around the group that would miss the error of a single child."""
    steps = path_to(child.span, use.function.body)
    groups = [
        step.statement
        for step in steps
        if isinstance(step.statement, code.With)
        and any(
            isinstance(item.context, code.Call) and last_name(item.context) == "create_task_group"
            for item in step.statement.items
        )
    ]
    if not groups:
        return ()
    missed = clauses_that_miss((groups[-1],), (child,), use.function, use.study)
    return (Hazard("handler-stops-matching", "; ".join(missed[:3])),) if missed else ()


def _cut(child: code.Call, use: _Use) -> tuple[Hazard, ...]:
    """`cleanup-is-cut`: what the child awaits in its cleanup, which AnyIO cancels since 3.0 and did not before."""
    floor = use.study.environment.anyio
    if floor is not None and floor >= (3,):
        return ()
    found = may_be_cut(child, use.function, use.study)
    return tuple(each._replace(message=f"{each.message} (not before AnyIO 3)") for each in found if each.name == _CUT)


def _assigned(use: _Use) -> Answer:
    """`await limiter.set_total_tokens(n)`."""
    match use.statement:
        case code.Evaluate(value=code.Await(value=code.Call(args=[value], keywords=())) as waiting, span=span):
            if waiting is use.waiting and not isinstance(value, code.Starred):
                line = f"{use.receiver}.total_tokens = {use.quoted(value.span)}"
                return use.fix("assign to `total_tokens`", Substitute(span, (line,)))
    return use.refused("it is not awaited in a statement of its own", "unclear-use")


# -- other forms -------------------------------------------------------------------------------------------------------


def _awaited(use: _Use) -> Answer:
    """`await event.set()`."""
    assert isinstance(use.node, code.Await)
    call = _span(use.node.value)
    hazards: tuple[Hazard, ...] = ()
    if use.misuse.how.startswith(LIKELY):
        class_ = use.misuse.evidence[0].message
        hazards = (Hazard("guessed-class", f"only the name of the attribute tells what this is: {class_}"),)
    return use.fix("call it without `await`", Replace(use.node.span, use.quoted(call)), hazards=hazards)


def _passed(use: _Use) -> Answer:
    """`from_thread.run(event.set)`."""
    for call in walk(use.function.body, code.Call):
        path = path_of(call)
        callee = call.func
        if isinstance(callee, code.Global) and call.args and call.args[0] is use.node and path in CALLS_COROUTINES:
            spelled, edits = use.spelled("anyio.from_thread.run_sync", callee)
            return use.fix(f"call `{spelled}`", Replace(callee.span, spelled), *edits)
    return use.refused("call it where it is: it does not wait", "no-coroutine")


def _entered(use: _Use) -> Answer:
    """`async with move_on_after(1)`."""
    assert use.node is not None
    edits = use.entered(use.node)
    return use.fix("enter it with `with`", *edits) if edits else ()


def _argued(use: _Use) -> Answer:
    """An argument that is called differently."""
    name = use.row.path.rpartition(".")[2]
    if use.row.new is None:
        return use.refused(use.row.advice)
    for call in walk(use.function.body, code.Call):
        for keyword in call.keywords:
            if keyword.name == name and _span(keyword.value) == use.misuse.span:
                changed = _argument(keyword, use.row.new, use)
                if changed is not None:
                    whole = use.quoted(call.span, changed)
                    return use.fix(f"call the argument `{use.row.new}`", Replace(call.span, whole))
    return use.refused("its arguments are written in a way that leaklint does not follow", "unclear-arguments")


def _refused(use: _Use) -> Answer:
    return use.refused(use.row.advice)


_BY_FORM: dict[Form, Callable[[_Use], Answer]] = {
    Form.NAME: _named,
    Form.METHOD: _method,
    Form.AWAIT: _awaited,
    Form.PASSED: _passed,
    Form.ASYNC_WITH: _entered,
    Form.KEYWORD: _argued,
    Form.BACKEND: _refused,
}


def _argument(keyword: code.Keyword, new: str, use: _Use) -> tuple[Span, str] | None:
    """The place of the name of a keyword argument, and its new name."""
    value = _span(keyword.value)
    before = use.study.lines[value.line - 1][: value.column - 1]
    found = re.search(rf"\b({keyword.name})\s*=[\s(]*$", before)
    if found is None:
        return None
    return Span(value.line, found.start(1) + 1, value.line, found.end(1) + 1), new


def _span(expr: Expr | None) -> Span:
    return Span(0, 0, 0, 0) if expr is None or isinstance(expr, code.Starred) else expr.span
