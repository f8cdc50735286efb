"""A use of what AnyIO no longer has, as the remedy sees it: what is around it, and how names are spelled there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint.analysis.kinds import path_of
from leaklint.catalog.anyio_history import Form, Removed, removed
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Misuse, Pattern
from leaklint.model.fix import Edit, Forget, Import, Replace, Substitute, Synchronize
from leaklint.model.walk import walk

_PLACES = (code.Global, code.Attribute, code.Call, code.Await)


@dataclass(frozen=True)
class Use:
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
            each for kinds in (_PLACES, (code.Name, code.Constant)) for each in walk(within, kinds)
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
            if is_import(statement) and any(part.text == name for part in statement.value.parts):  # type: ignore[union-attr]
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
            is_old = path is not None and (row := removed(Form.NAME, path)) is not None and is_scope(row.new or "")
            if item.context is context or span_of(item.context) in gone or (is_old and span_of(made) in gone):
                yield span_of(item.context)


def is_scope(path: str) -> bool:
    return removed(Form.ASYNC_WITH, path) is not None


def is_import(statement: code.Evaluate) -> bool:
    """Whether a statement is an import of something that is gone."""
    return (
        isinstance(statement.value, code.Opaque)
        and statement.value.span == statement.span
        and all(isinstance(part, code.Global) and removed(Form.NAME, part.path) for part in statement.value.parts)
    )


def span_of(expr: Expr | None) -> Span:
    return Span(0, 0, 0, 0) if expr is None or isinstance(expr, code.Starred) else expr.span
