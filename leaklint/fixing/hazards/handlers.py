"""Who handles errors that a task group would wrap in an `ExceptionGroup`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.kinds import last_name
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.contexts import looks_at, stops, uses_error
from leaklint.fixing.hazards.loops import waits
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.hazards.raising import (
    NONE,
    Errors,
    caught,
    errors_in,
    errors_of,
    is_broad,
    is_ending,
    matches,
)
from leaklint.fixing.study import Step, Study, path_to
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_MOST = 3
"""So many clauses of a hazard are named."""
_REGISTERING = frozenset(
    """staticmethod classmethod abstractmethod override final overload no_type_check deprecated wraps
    asynccontextmanager contextmanager""".split()
)
"""Decorators that catch nothing."""


def handlers_that_miss(
    block: Block, children: Sequence[Expr], function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`handler-stops-matching`: an `except` around these statements of a function, there or in a function that calls
    it, would not catch any more what they, or the coroutines `children` that run in the group, may raise.
    """
    return _hazard(clauses_that_miss(block, children, function, study))


def clauses_that_miss(block: Block, children: Sequence[Expr], function: code.Function, study: Study) -> tuple[str, ...]:
    """What such clauses would do, with the place of each: a sentence for each, without a final full stop."""
    errors = errors_in(block, function, study)
    for child in children:
        errors |= errors_of(child, function, study)
    if not errors or not block:
        return ()
    search = _Search(study)
    search.outwards(block[0].span, function, errors)
    return tuple(dict.fromkeys(search.found))


def handlers_around_joins(
    joins: Sequence[code.Await], block: Block, children: Sequence[Expr], function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`handler-around-join`: an `except` within the block around an await of a handle. It would see `TaskFailed`, or
    the cancellation of the group, never the error; and whatever it does, the group raises that again. (Blocks, unless
    the tasks raise nothing: then a clause for cancellations alone is left, which a `TaskCancelled` does not match.)
    """
    errors = NONE
    for child in children:
        errors |= errors_of(child, function, study)
    found: dict[str, Hazard] = {}
    for join in joins:
        for statement in _around(join.span, block):
            for line, written, types in _clauses(statement):
                said = f"`{written}` on line {line} is around an `await` of a task"
                if is_ending(types):
                    found.setdefault(said, Hazard("handler-around-join", f"{said}: it would miss a `TaskCancelled`"))
                elif matches(types, errors, study) and errors:
                    why = "would see a `TaskFailed`, and the group raises the error all the same"
                    found[said] = Hazard("handler-around-join", f"{said}: it {why}", blocks=True)
    return tuple(found.values())


def _clauses(statement: code.Stmt) -> Iterator[tuple[int, str, tuple[Expr, ...]]]:
    """What catches errors of the body of a statement."""
    match statement:
        case code.Try(handlers=handlers):
            for handler in handlers:
                yield handler.span.line, _written(handler), handler.types
        case code.With(items=items):
            for item in items:
                match item.context:
                    case code.Call(func=code.Global(path="contextlib.suppress", text=name), args=args, span=span):
                        yield span.line, f"{name}({', '.join(map(text, args))})", args


def _around(span: Span, block: Block) -> Iterator[code.Stmt]:
    """The statements of a block whose body holds a place, innermost first."""
    for step, inner in _steps(span, block):
        body = getattr(step.statement, "body", None)
        if body is inner:
            yield step.statement


def _steps(span: Span, block: Block) -> list[tuple[Step, Block]]:
    """The statements around a place, innermost first, each with the block of it that holds the place."""
    steps = path_to(span, block)
    return [(outer, inner.block) for outer, inner in zip(reversed(steps[:-1]), reversed(steps[1:]), strict=True)]


def _hazard(clauses: tuple[str, ...]) -> tuple[Hazard, ...]:
    if not clauses:
        return ()
    more = f"; {len(clauses) - _MOST} more" if len(clauses) > _MOST else ""
    return (Hazard("handler-stops-matching", "; ".join(clauses[:_MOST]) + more),)


# -- outwards ----------------------------------------------------------------------------------------------------------


class _Site(NamedTuple):
    """A place where a function is called, or mentioned."""

    caller: code.Function
    span: Span
    is_awaited: bool
    """On the spot: what it raises comes out there."""


@dataclass
class _Search:
    """Follows errors from where a group raises them to those who call."""

    study: Study
    found: list[str] = field(default_factory=list)
    seen: set[tuple[str, Span]] = field(default_factory=set)

    def outwards(self, span: Span, function: code.Function, errors: Errors) -> None:
        """Errors leave a place in a function."""
        for step, inner in _steps(span, function.body):
            errors = self._statement(step.statement, inner, errors, function)
            if not errors:
                return
        self._callers(function, errors)

    def _callers(self, function: code.Function, errors: Errors) -> None:
        """Errors leave a function."""
        self._decorators(function)
        for site in _sites(function, self.study):
            key = (site.caller.qualname, site.span)
            if key in self.seen:
                continue
            self.seen.add(key)
            if site.is_awaited:
                self.outwards(site.span, site.caller, errors)
            else:
                self._anywhere(site, errors)

    def _anywhere(self, site: _Site, errors: Errors) -> None:
        """A coroutine that is passed on: what it raises may come out wherever the caller handles errors."""
        for statement in walk(site.caller.body, (code.Try, code.With)):
            if waits(statement.body) or path_to(site.span, statement.body):
                self._statement(statement, statement.body, errors, site.caller)
        if site.caller.kind == "lambda":
            outer = self.study.program.enclosing(site.caller)
            if outer is not None:
                self._anywhere(_Site(outer, site.span, is_awaited=False), errors)
        elif site.caller.kind == "function":
            self._callers(site.caller, errors)

    def _statement(self, statement: code.Stmt, inner: Block, errors: Errors, function: code.Function) -> Errors:
        """What is left of errors that leave a block of a statement."""
        match statement:
            case code.Try(body=body) if inner is body:
                return self._handlers(statement, errors, function)
            case code.With(items=items):
                for item in reversed(items):
                    if stops(item):
                        return NONE
                    said = looks_at(item, statement, errors, function, self.study)
                    if said is not None:
                        self.found.append(said.replace("` ", f"`{self._place(span_of(item.context), function)} ", 1))
        return errors

    def _handlers(self, statement: code.Try, errors: Errors, function: code.Function) -> Errors:
        if self._is_starred(statement, function):
            return errors
        left = errors
        for handler in statement.handlers:
            where = f"`{_written(handler)}`{self._place(handler.span, function)}"
            if handler.types and all(last_name(each).endswith("ExceptionGroup") for each in handler.types):
                self.found.append(f"{where} would catch it")
                continue
            if is_ending(handler.types) or not matches(handler.types, left, self.study):
                continue
            if is_broad(handler.types):
                if uses_error(handler):
                    self.found.append(f"{where} would get an ExceptionGroup")
                return left if _raises_again(handler) else NONE
            self.found.append(f"{where} would not catch it any more")
            left = Errors(left.types - caught(handler.types, left, self.study).types, left.anything)
        return left

    def _decorators(self, function: code.Function) -> None:
        for decorator in function.decorators:
            name = last_name(decorator)
            written = text(decorator.func if isinstance(decorator, code.Call) else decorator)
            is_known = name in _REGISTERING or written.startswith("pytest.")
            if not is_known and self.study.kinds.role_of(written) is not Role.CONTEXT_MANAGER:
                self.found.append(f"`@{written}`{self._place(function.span, function)} may look at its type")

    def _place(self, span: Span, function: code.Function) -> str:
        path = self.study.program.paths[function.qualname]
        of = f" of `{function.name}`" if function.kind == "function" else ""
        return f" on line {span.line}{of}" + ("" if path == self.study.path else f" in {path}")

    def _is_starred(self, statement: code.Try, function: code.Function) -> bool:
        """Whether the clauses are `except*`, as far as the text is at hand."""
        if self.study.program.paths[function.qualname] != self.study.path or not statement.handlers:
            return False
        written = self.study.written(statement.handlers[0].span)
        return written.removeprefix("except").lstrip().startswith("*")


def _written(handler: code.Handler) -> str:
    """An `except` clause, without its body."""
    names = ", ".join(map(text, handler.types))
    clause = f"except {names}" if len(handler.types) == 1 else f"except ({names})"
    return clause if handler.types else "except"


def _raises_again(handler: code.Handler) -> bool:
    return any(
        each.value is None or (isinstance(each.value, code.Name) and each.value.id == handler.name)
        for each in walk(handler.body, code.Raise)
    )


# -- who calls ---------------------------------------------------------------------------------------------------------


def _sites(function: code.Function, study: Study) -> Iterator[_Site]:
    """Where the program calls or mentions a function."""
    if function.kind != "function":
        return
    for scope in study.program.mentioning(function.name, function.qualname):
        for mention in _mentions_in(scope, study).get(function.name, ()):
            leads = _leads(mention.node, function, scope, study)
            if leads or (leads is None and mention.is_awaited):
                yield _Site(scope, mention.span, mention.is_awaited)


class _Mention(NamedTuple):
    """A name or attribute, and what becomes of a call of it."""

    node: Expr
    span: Span
    """Of the await, or the call."""
    is_awaited: bool


def _mentions_in(scope: code.Function, study: Study) -> dict[str, list[_Mention]]:
    """The names and attributes in a scope by their last name, without those that come out nowhere."""
    known = _mentions(study.program)
    if id(scope) not in known:
        known[id(scope)] = defaultdict(list)
        calls = {id(call.func): call for call in walk(scope.body, code.Call)}
        awaits = {id(await_.value): await_ for await_ in walk(scope.body, code.Await)}
        dropped = _dropped(scope, study)
        for node in walk(scope.body, (code.Name, code.Global, code.Attribute)):
            call = calls.get(id(node))
            awaited = awaits.get(id(call))
            if call is None or id(call) not in dropped:
                known[id(scope)][last_name(node)].append(
                    _Mention(node, span_of(awaited or call or node), awaited is not None)
                )
    return known[id(scope)]


@lru_cache(maxsize=2)
def _mentions(program: Program) -> dict[int, dict[str, list[_Mention]]]:
    """What was found in the scopes of a program, by their `id`."""
    del program
    return {}


def _leads(node: Expr, function: code.Function, scope: code.Function, study: Study) -> bool | None:
    """Whether an expression refers to a function, or to one that it overrides or that overrides it; None if it may."""
    found = resolved(node, scope, study.kinds)
    if found is not None:
        if found.qualname == function.qualname:
            return True
        related = function.owner is not None and found.owner in study.program.family(function.owner)
        return related and found.name == function.name
    if isinstance(node, code.Attribute) and function.owner is not None:
        return None if study.kinds.of(node.value, scope) is None else False
    return False


def _dropped(scope: code.Function, study: Study) -> set[int]:
    """The coroutines of which tasks are made that nobody asks about: what they raise comes out nowhere."""
    return {
        id(arg)
        for statement in walk(scope.body, code.Evaluate)
        if isinstance(statement.value, code.Call)
        and study.kinds.role_of_callee(statement.value.func, scope) is Role.SPAWN
        for arg in statement.value.args
    }
