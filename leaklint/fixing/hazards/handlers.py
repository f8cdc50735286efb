"""Who handles errors that a task group would wrap in an `ExceptionGroup`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.fixing.hazards.callers import Guess, sites
from leaklint.fixing.hazards.clauses import class_of, spelled_out
from leaklint.fixing.hazards.contexts import looks_at, stops, uses_error
from leaklint.fixing.hazards.errors import NONE, Errors, caught, is_broad, is_ending, matches, surely_caught
from leaklint.fixing.hazards.loops import waits
from leaklint.fixing.hazards.points import functions_of, span_of
from leaklint.fixing.hazards.raising import errors_in, errors_of
from leaklint.fixing.hazards.readers import callbacks, causes_read, kept_in, readings, waits_for
from leaklint.fixing.study import Step, Study, path_to
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

Join = code.Await | code.Call
"""An await of a task, or a call of its `result`."""
_MOST = 3
"""So many clauses of a hazard are named."""
_ENOUGH = 30
"""Nobody reads more."""
_MOST_SITES = 2000
"""So many calls are looked at, on the way outwards."""
_REGISTERING = frozenset(
    """staticmethod classmethod abstractmethod override final overload no_type_check deprecated wraps
    asynccontextmanager contextmanager""".split()
)
"""Decorators that catch nothing."""
_UNFINISHED = frozenset({"asyncio.InvalidStateError", "asyncio.exceptions.InvalidStateError"})
"""What a task raises that is asked for its result before it has ended."""


def handlers_that_miss(
    block: Block, children: Sequence[Expr], function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`handler-stops-matching`: an `except` around these statements of a function, there or in a function that calls
    it, would not catch any more what they, or the coroutines `children` that run in the group, may raise. (Blocks, if
    it is the only use of a clause that the group stands in to catch what a child raises.)
    """
    useless = _never_matching(block, children, function, study)
    if useless is not None:
        said = f"`{_written(useless)}` on line {useless.span.line} could never catch anything again"
        return (Hazard("handler-stops-matching", said, blocks=True),)
    return _hazard(clauses_that_miss(block, children, function, study))


def clauses_that_miss(block: Block, children: Sequence[Expr], function: code.Function, study: Study) -> tuple[str, ...]:
    """What such clauses would do, with the place of each: a sentence for each, without a final full stop."""
    errors = errors_in(block, function, study, children)
    for child in children:
        errors |= errors_of(child, function, study)
    if not errors or not block:
        return ()
    search = _Search(study)
    search.run(block[0].span, function, errors)
    return tuple(f"{where} {does}" for where, does in search.found.items())


def _never_matching(
    block: Block, children: Sequence[Expr], function: code.Function, study: Study
) -> code.Handler | None:
    """A clause directly around these statements that catches what a child plainly raises, and nothing else."""
    match _steps(block[0].span, function.body) if block else ():
        case [(Step(statement=code.Try(body=body) as around), inner), *_] if inner is body:
            if _is_starred(around, function, study):
                return None
        case _:
            return None
    raised = Errors(frozenset(path for child in children for path in _plainly_raised(child, function, study)))
    others = tuple(each for each in body if not any(_is_all_of(each, inside) for inside in block))
    left = errors_in(others, function, study, children)
    for handler in around.handlers:
        types = spelled_out(handler.types, study)
        if not left.is_likely and any(_raises_own(types, child, function, study) for child in children):
            return handler
        if is_broad(types) or any(class_of(each, study) is None for each in types):
            return None
        if surely_caught(types, raised, study) and not matches(types, left, study):
            return handler
    return None


def _is_all_of(statement: code.Stmt, inside: code.Stmt) -> bool:
    """Whether a statement is one of a block, or does nothing but to evaluate it and to keep what that gives."""
    match statement, inside:
        case ((code.Evaluate(value=value) | code.Assign(value=value) | code.Return(value=value)), code.Evaluate()):
            return value is inside.value
    return statement is inside


def _raises_own(types: tuple[Expr, ...], child: Expr, function: code.Function, study: Study) -> bool:
    """Whether a coroutine raises a class that the function defines for itself, and that is all a clause names."""
    own = {each.scope.name for each in walk(function.body, code.DefineClass)}
    match types:
        case (code.Name(id=name),) if name in own:
            return any(
                last_name(raised.value) == name and name in each.free_names
                for each in functions_of(child, function, study)
                for raised in walk(each.body, code.Raise)
                if raised.value is not None
                and not any(isinstance(step.statement, code.Try) for step in path_to(raised.span, each.body))
            )
    return False


def _plainly_raised(child: Expr, function: code.Function, study: Study) -> Iterator[str]:
    """The classes that `raise` statements of a coroutine name, and that leave it."""
    errors = errors_of(child, function, study)
    for each in functions_of(child, function, study):
        for statement in walk(each.body, code.Raise):
            path = path_of(statement.value) if statement.value is not None else None
            if path in errors.types:
                yield path


def handlers_around_joins(
    joins: Sequence[Join], block: Block, children: Sequence[Expr], function: code.Function, study: Study
) -> tuple[Hazard, ...]:
    """`handler-around-join`: an `except` within the block around an await of a handle, or around a call of its
    `result`. It would see `TaskFailed`, or the cancellation of the group, never the error; and whatever it does, the
    group raises that again. (Blocks, unless the tasks raise nothing: then a clause for cancellations alone is left,
    which a `TaskCancelled` does not match.)
    """
    errors = NONE
    for child in children:
        errors |= errors_of(child, function, study)
    found: dict[str, Hazard] = {}
    for join in joins:
        for statement in _around(join.span, block):
            for line, written, named in _clauses(statement):
                types = spelled_out(named, study)
                said = f"`{written}` on line {line} is around {named_join(join)}"
                if is_ending(types):
                    found.setdefault(said, Hazard("handler-around-join", f"{said}: it would miss a `TaskCancelled`"))
                elif errors.is_likely and (is_broad(types) or matches(types, errors, study)):
                    why = "would see a `TaskFailed`, and the group raises the error all the same"
                    found[said] = Hazard("handler-around-join", f"{said}: it {why}", blocks=True)
    return tuple(found.values())


def named_join(join: Join) -> str:
    """What raises the error of a task, for a sentence."""
    return "an `await` of a task" if isinstance(join, code.Await) else f"`{text(join)}`"


def clauses_for_unfinished(results: Sequence[code.Call], block: Block, study: Study) -> Iterator[str]:
    """The `except InvalidStateError` within the block around these calls of `result`, each with its line: they are for
    tasks that have not ended.
    """
    for result in results:
        for statement in _around(result.span, block):
            for line, written, named in _clauses(statement):
                if any(path_of(each) in _UNFINISHED for each in spelled_out(named, study)):
                    yield f"`{written}` on line {line}"


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
    more += ", at least" if len(clauses) > _ENOUGH else ""
    return (Hazard("handler-stops-matching", "; ".join(clauses[:_MOST]) + more),)


# -- outwards ----------------------------------------------------------------------------------------------------------


class _Left(NamedTuple):
    """A function that errors leave."""

    function: code.Function
    errors: Errors
    guesses: frozenset[Guess] = frozenset()
    """What was guessed on the way here: each kind once."""
    is_handed: bool = False
    """Who called is known."""


@dataclass
class _Search:
    """Follows errors from where a group raises them to those who call, the nearest first."""

    study: Study
    found: dict[str, str] = field(default_factory=dict)
    """The clauses, each with its place, and what becomes of them."""
    _seen: set[tuple[str, Span, frozenset[Guess], bool]] = field(default_factory=set)
    _left: deque[_Left] = field(default_factory=deque)

    def run(self, span: Span, function: code.Function, errors: Errors) -> None:
        """Errors leave a place in a function."""
        self._outwards(span, _Left(function, errors))
        while self._left and len(self.found) <= _ENOUGH:
            self._callers(self._left.popleft())
            if len(self._seen) > _MOST_SITES:
                self.found[f"`{function.name}`"] = "has too many callers to look at"
                return

    def _outwards(self, span: Span, leaving: _Left) -> None:
        """Errors leave a place in a function."""
        errors = leaving.errors
        for step, inner in _steps(span, leaving.function.body):
            errors = self._statement(step.statement, inner, leaving._replace(errors=errors))
            if not errors:
                return
        if not leaving.is_handed:
            self._left.append(leaving._replace(errors=errors))

    def _callers(self, leaving: _Left) -> None:
        """Errors leave a function. (Of the calls on the way, one of each kind may be guessed.)"""
        self._decorators(leaving.function, leaving.errors)
        for site in sites(leaving.function, self.study):
            if site.guess in leaving.guesses:
                continue
            guesses = leaving.guesses if site.guess is None else leaving.guesses | {site.guess}
            key = (site.caller.qualname, site.span, guesses, site.is_handed)
            if key in self._seen:
                continue
            self._seen.add(key)
            outer = _Left(site.caller, leaving.errors, guesses, site.is_handed)
            if site.is_returned:
                self._left.append(outer)
            elif site.is_awaited:
                self._outwards(site.span, outer)
            else:
                self._anywhere(site.span, outer)

    def _anywhere(self, span: Span, leaving: _Left) -> None:
        """A coroutine that is passed on: what it raises may come out wherever the function handles errors."""
        function = leaving.function
        for scope in (function, *callbacks(span, function, self.study)):
            for statement in walk(scope.body, (code.Try, code.With)):
                if waits(statement.body) or _asks_for_result(statement.body) or path_to(span, statement.body):
                    self._statement(statement, statement.body, leaving._replace(function=scope))
        self._readers(span, leaving)
        for attribute in kept_in(span, function):
            for scope, place in waits_for(attribute, function, self.study):
                self._outwards(place, _Left(scope, leaving.errors, frozenset({Guess.RECEIVER})))
        outer = self.study.program.enclosing(function) if function.kind == "lambda" else None
        if outer is not None:
            self._anywhere(span, leaving._replace(function=outer))
        elif function.kind == "function" and not leaving.is_handed:
            self._left.append(leaving)

    def _readers(self, span: Span, leaving: _Left) -> None:
        """A coroutine that runs in a task: what reads the error of that as a value."""
        if not leaving.errors.is_likely:
            return
        for reading in readings(span, leaving.errors, leaving.function, self.study):
            for place in reading.raised:
                self._outwards(place, leaving._replace(function=reading.function))
            if reading.is_used:
                where = f"`{reading.written}`{self._place(reading.span, reading.function)}"
                self.found.setdefault(where, "would give an `ExceptionGroup`")

    def _statement(self, statement: code.Stmt, inner: Block, leaving: _Left) -> Errors:
        """What is left of errors that leave a block of a statement."""
        function, errors = leaving.function, leaving.errors
        match statement:
            case code.Try(body=body) if inner is body:
                return self._handlers(statement, leaving)
            case code.With(items=items):
                for item in reversed(items):
                    if stops(item):
                        return NONE
                    said = looks_at(item, statement, errors, function, self.study) if errors.is_likely else None
                    if said is not None:
                        name, _, does = said.partition("` ")
                        self.found.setdefault(f"{name}`{self._place(span_of(item.context), function)}", does)
        return errors

    def _handlers(self, statement: code.Try, leaving: _Left) -> Errors:
        function, left = leaving.function, leaving.errors
        if _is_starred(statement, function, self.study):
            return left
        is_value = Guess.VALUE in leaving.guesses
        miss, get = ("may be around it", "may get") if is_value else ("would not catch it any more", "would get")
        for handler in statement.handlers:
            where = f"`{_written(handler)}`{self._place(handler.span, function)}"
            types = spelled_out(handler.types, self.study)
            if types and all(last_name(each).endswith("ExceptionGroup") for each in types):
                self.found.setdefault(where, "would catch it")
                continue
            if is_broad(types):
                if left.is_likely and uses_error(handler):
                    self.found.setdefault(where, f"{get} an ExceptionGroup")
                elif left.is_likely and _raises_another(handler):
                    self._causes(where, get, left, function)
                return left if _raises_again(handler) else NONE
            if is_ending(types) or not matches(types, left, self.study):
                continue
            self.found.setdefault(where, miss)
            hit = caught(types, left, self.study)
            left = Errors(left.types - hit.types, left.anything, left.implied - hit.implied)
        return left

    def _causes(self, where: str, get: str, errors: Errors, function: code.Function) -> None:
        """A clause raises another error, of which the one that it gets is the cause."""
        for reading in causes_read(errors, function, self.study):
            read = f"`{reading.written}`{self._place(reading.span, reading.function)}"
            self.found.setdefault(where, f"{get} an ExceptionGroup, and {read} reads what it got")

    def _decorators(self, function: code.Function, errors: Errors) -> None:
        if not errors.is_likely:
            return
        for decorator in function.decorators:
            name = last_name(decorator)
            written = text(decorator.func if isinstance(decorator, code.Call) else decorator)
            is_test = function.name.startswith("test") or written.startswith(("pytest.", "unittest."))
            if not is_test and name not in _REGISTERING:
                self.found.setdefault(f"`@{written}`{self._place(function.span, function)}", "may look at its type")

    def _place(self, span: Span, function: code.Function) -> str:
        path = self.study.program.paths[function.qualname]
        of = f" of `{function.name}`" if function.kind == "function" else ""
        return f" on line {span.line}{of}" + ("" if path == self.study.path else f" in {path}")


def _is_starred(statement: code.Try, function: code.Function, study: Study) -> bool:
    """Whether the clauses are `except*`, as far as the text is at hand."""
    if study.program.paths[function.qualname] != study.path or not statement.handlers:
        return False
    written = study.written(statement.handlers[0].span)
    return written.removeprefix("except").lstrip().startswith("*")


def _written(handler: code.Handler) -> str:
    """An `except` clause, without its body."""
    names = ", ".join(map(text, handler.types))
    clause = f"except {names}" if len(handler.types) == 1 else f"except ({names})"
    return clause if handler.types else "except"


def _asks_for_result(block: Block) -> bool:
    """Whether there is a `task.result()`, which raises what the task has raised."""
    return any(last_name(call) == "result" and not call.args for call in walk(block, code.Call))


def _raises_another(handler: code.Handler) -> bool:
    """Whether it raises an error in place of the one that it gets."""
    return any(
        each.value is not None and not (isinstance(each.value, code.Name) and each.value.id == handler.name)
        for each in walk(handler.body, code.Raise)
    )


def _raises_again(handler: code.Handler) -> bool:
    return any(
        each.value is None or (isinstance(each.value, code.Name) and each.value.id == handler.name)
        for each in walk(handler.body, code.Raise)
    )
