"""Who reads the errors of tasks as values: by `.exception()`, or among the results of a `gather`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.awaiting import once_bound
from leaklint.fixing.hazards.clauses import spelled_out
from leaklint.fixing.hazards.contexts import LOGGERS, given, plain_reads
from leaklint.fixing.hazards.errors import Errors, is_broad, matches
from leaklint.fixing.study import Study, contains, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import text, walk

_TAKING = frozenset(f"builtins.{name}" for name in "enumerate zip list tuple reversed iter".split())
_COUNTING = frozenset(f"builtins.{name}" for name in "len bool any all".split())


class Reading(NamedTuple):
    """A place that reads the error of a task."""

    function: code.Function
    span: Span
    written: str
    raised: tuple[Span, ...]
    """Where the error is raised again."""
    is_used: bool
    """It is used in other ways than to be raised or logged."""


def readings(span: Span, errors: Errors, function: code.Function, study: Study) -> Iterator[Reading]:
    """What reads the errors of a coroutine that a function makes a task of at a place, in the function and in the
    callbacks that it gives to tasks.
    """
    for scope in (function, *callbacks(span, function, study)):
        for call in walk(scope.body, code.Call):
            if _asks_for_error(call) and not (scope is function and _is_of_another(call, span, scope, study)):
                found = _Values(scope, errors, study)
                found.follow(call)
                yield Reading(scope, call.span, text(call), tuple(found.raised), found.is_used)
    for awaited in walk(function.body, code.Await):
        waited = awaited.value
        if isinstance(waited, code.Call) and gives_errors_back(waited, function, study):
            found = _Values(function, errors, study)
            whose = [_may_be(arg, span, function, study) for arg in waited.args]
            if any(whose):
                found.results(awaited, whose)
            yield Reading(function, waited.span, text(waited.func), tuple(found.raised), found.is_used)


def callbacks(span: Span, function: code.Function, study: Study) -> Iterator[code.Function]:
    """The functions of the program that are called when a task of the coroutine at a place has ended."""
    for call in walk(function.body, code.Call):
        match call:
            case code.Call(func=code.Attribute(attr="add_done_callback"), args=(callback, *_)):
                if _is_of_another(call, span, function, study):
                    continue
                is_partial = isinstance(callback, code.Call) and path_of(callback) == "functools.partial"
                inner = callback.args[0] if is_partial and isinstance(callback, code.Call) else callback
                found = inner.function if isinstance(inner, code.Lambda) else resolved(inner, function, study.kinds)
                if found is not None:
                    yield found


def causes_read(errors: Errors, function: code.Function, study: Study) -> Iterator[Reading]:
    """What the program reads from the `__cause__` or `__context__` of errors, other than to log it."""
    for attr in ("__cause__", "__context__"):
        for scope in study.program.mentioning(attr, function.qualname):
            for read in walk(scope.body, code.Attribute):
                if read.attr == attr:
                    found = _Values(scope, errors, study)
                    found.follow(read)
                    if found.is_used or found.raised:
                        yield Reading(scope, read.span, text(read), tuple(found.raised), found.is_used)


def gives_errors_back(call: code.Call, function: code.Function, study: Study) -> bool:
    """Whether a `gather` gives errors as results."""
    return study.kinds.role_of_callee(call.func, function) is Role.GATHER and any(
        keyword.name in ("return_exceptions", None)
        and not (isinstance(keyword.value, code.Constant) and keyword.value.value is False)
        for keyword in call.keywords
    )


def kept_in(span: Span, function: code.Function) -> frozenset[str]:
    """The attributes that a function keeps in what an expression gives that is written at a place."""
    found: set[str] = set()
    for node in walk(function.body, (code.Assign, code.Call)):
        match node:
            case code.Assign(targets=targets, value=value) if value is not None and contains(_span(value), span):
                found |= {last_name(_holder(each)) for each in targets if isinstance(_holder(each), code.Attribute)}
            case code.Call(func=code.Attribute(value=code.Attribute(attr=attr), attr="add" | "append"), span=whole):
                found |= {attr} if contains(whole, span) else set()
    return frozenset(found)


def waits_for(attribute: str, function: code.Function, study: Study) -> Iterator[tuple[code.Function, Span]]:
    """Where the program waits for what an attribute of the class of a function holds, and gets its error."""
    if function.owner is None:
        return
    for scope in study.program.mentioning(attribute, function.qualname):
        family = study.program.family(function.owner)
        for awaited in walk(scope.body, code.Await):
            call = awaited.value
            quiet = isinstance(call, code.Call) and (
                gives_errors_back(call, scope, study) or study.kinds.role_of_callee(call.func, scope) is Role.WAIT
            )
            arguments = _arguments(call) if isinstance(call, code.Call) else (call,)
            if not quiet and any(
                each.attr == attribute and study.kinds.of(each.value, scope) in family
                for each in walk(arguments, code.Attribute)
            ):
                yield scope, awaited.span


def _arguments(call: code.Call) -> tuple[Expr, ...]:
    return (*call.args, *(keyword.value for keyword in call.keywords))


def _holder(target: Expr) -> Expr:
    return target.value if isinstance(target, code.Subscript) else target


def _span(expr: Expr) -> Span:
    return _span(expr.value) if isinstance(expr, code.Starred) else expr.span


# -- whose error it is -------------------------------------------------------------------------------------------------


def _asks_for_error(call: code.Call) -> bool:
    is_method = isinstance(call.func, code.Attribute) or (isinstance(call.func, code.Global) and "." in call.func.text)
    return is_method and last_name(call) == "exception" and not call.args and not call.keywords


def _is_of_another(call: code.Call, span: Span, function: code.Function, study: Study) -> bool:
    """Whether an error is plainly that of a task which does not run the coroutine at a place."""
    owner = call.func.value if isinstance(call.func, code.Attribute) else None
    return isinstance(owner, code.Name) and not _may_be(owner, span, function, study)


def _may_be(expr: Expr, span: Span, function: code.Function, study: Study) -> bool:
    """Whether an expression may be the coroutine at a place, or a task that runs it."""
    if contains(_span(expr), span):
        return True
    made = once_bound(expr.id, function, study) if isinstance(expr, code.Name) else expr
    if made is not expr and isinstance(made, code.Call):
        if contains(made.span, span):
            return True
        is_spawn = study.kinds.role_of_callee(made.func, function) is Role.SPAWN and bool(made.args)
        return not (is_spawn and isinstance(made.args[0], code.Call)) and made is not expr
    return not isinstance(expr, code.Call)


# -- what becomes of it ------------------------------------------------------------------------------------------------


class _Values:
    """Follows an error, or results that errors are among, through a function."""

    def __init__(self, function: code.Function, errors: Errors, study: Study) -> None:
        self.function, self.errors, self.study = function, errors, study
        self.raised: list[Span] = []
        self.is_used = False
        self._seen: set[str] = set()
        self._fine = self._harmless()

    def follow(self, value: Expr) -> None:
        """What becomes of an error."""
        names = self._names_of(value)
        if names is None:
            self._judge(value)
        for name in names or ():
            for read in self._reads(name):
                self._judge(read)

    def results(self, value: Expr, whose: list[bool]) -> None:
        """What becomes of the results of a `gather`; `whose` says which are concerned, if each has a place."""
        for node in walk(self.function.body, (code.Assign, code.For, code.Comprehension, code.Evaluate)):
            match node:
                case code.Evaluate(value=each) if each is value:
                    return
                case code.Assign(targets=(code.Display(items=items),), value=each) if each is value:
                    placed = list(zip(items, whose, strict=False)) if len(items) == len(whose) else []
                    for target in [item for item, ours in placed if ours] if placed else items:
                        self._elements(target)
                    return
                case code.Assign(targets=targets, value=each) if each is value:
                    for target in targets:
                        self._container(target)
                    return
                case code.For(target=target, iterable=iterable) if self._gives(iterable, value):
                    self._elements(target)
                    return
                case code.Comprehension(clauses=clauses):
                    for clause in clauses:
                        if self._gives(clause.iterable, value):
                            self._gone_through(node, clause)
                            return
        self.is_used = True

    # -- errors --------------------------------------------------------------------------------------------------

    def _judge(self, value: Expr) -> None:
        for node in walk(self.function.body, code.Raise):
            if node.value is value:
                self.raised.append(node.span)
                return
        self.is_used = self.is_used or id(value) not in self._fine

    def _names_of(self, value: Expr) -> list[str] | None:
        """The names that an expression is bound to; None if it is used where it stands."""
        names = []
        for node in walk(self.function.body, (code.Assign, code.Walrus)):
            if node.value is value:
                targets = node.targets if isinstance(node, code.Assign) else (node.target,)
                if not all(isinstance(each, code.Name) for each in targets):
                    return None
                names += [each.id for each in targets if isinstance(each, code.Name)]
        return names or None

    def _reads(self, name: str) -> Iterator[code.Name]:
        """Where a name is read."""
        bound = {id(each) for node in walk(self.function.body, code.Assign) for each in walk(node.targets, code.Name)}
        bound |= {id(each.target) for each in walk(self.function.body, code.Walrus)}
        bound |= {id(x) for each in walk(self.function.body, code.For) for x in walk(each.target, code.Name)}
        for each in walk(self.function.body, code.Comprehension):
            bound |= {id(x) for clause in each.clauses for x in walk(clause.target, code.Name)}
        yield from (each for each in walk(self.function.body, code.Name) if each.id == name and id(each) not in bound)

    def _harmless(self) -> set[int]:
        """The `id`s of what is only logged, asked whether it is there, or asked for a type that it does not have."""
        fine: set[int] = set()
        for node in walk(self.function.body, (code.Compare, code.Not, code.If, code.Call)):
            fine |= {id(each) for each in plain_reads(node)}
            if isinstance(node, code.Call):
                if last_name(node) in LOGGERS:
                    fine |= {id(each) for part in given(node) for each in (part, *walk(part, code.Name))}
                elif self._tested(node) is not None and not self._looks(node):
                    fine.add(id(node.args[0]))
        for each in walk(self.function.body, (code.Evaluate, code.While, code.Conditional)):
            fine.add(id(each.value if isinstance(each, code.Evaluate) else each.test))
        for boolean in walk(self.function.body, code.Boolean):
            fine |= {id(each) for each in boolean.values if id(boolean) in fine or each is not boolean.values[-1]}
        return fine

    def _tested(self, call: Expr | None) -> str | None:
        """The name that `isinstance` asks about; empty for another expression, None for another call."""
        if not isinstance(call, code.Call) or path_of(call) != "builtins.isinstance" or len(call.args) != 2:
            return None
        return call.args[0].id if isinstance(call.args[0], code.Name) else ""

    def _is_broad(self, call: code.Call) -> bool:
        """Whether `isinstance` asks for errors of any type."""
        return is_broad(spelled_out((call.args[1],), self.study))

    def _looks(self, call: code.Call) -> bool:
        """Whether `isinstance` would give another answer for a group."""
        return not self._is_broad(call) and matches((call.args[1],), self.errors, self.study)

    # -- results -------------------------------------------------------------------------------------------------

    def _gives(self, iterable: Expr, value: Expr) -> bool:
        """Whether going through an expression is to go through another one."""
        if isinstance(iterable, code.Call) and path_of(iterable) in _TAKING:
            return any(self._gives(each, value) for each in iterable.args)
        return iterable is value

    def _container(self, target: Expr) -> None:
        if not isinstance(target, code.Name):
            self.is_used = True
        elif target.id not in self._seen:
            self._seen.add(target.id)
            for read in self._reads(target.id):
                self._read_of_container(read)

    def _read_of_container(self, read: code.Name) -> None:
        for node in walk(self.function.body, (code.For, code.Comprehension, code.Call, code.Subscript)):
            match node:
                case code.For(target=target, iterable=iterable) if self._gives(iterable, read):
                    return self._elements(target)
                case code.Comprehension(clauses=clauses):
                    for clause in clauses:
                        if self._gives(clause.iterable, read):
                            return self._gone_through(node, clause)
                case code.Call(args=args) if any(each is read for each in args) and path_of(node) in _COUNTING:
                    return None
                case code.Subscript(value=value) if value is read:
                    return self.follow(node)
        return self._judge(read)

    def _gone_through(self, node: code.Comprehension, clause: code.Clause) -> None:
        """A comprehension over results: those that are no errors are of no interest, errors are collected."""
        names = {each.id for each in walk(clause.target, code.Name)}
        tests = [self._sort(each, names) for each in clause.conditions]
        if False in tests:
            return
        self._elements(clause.target)
        if True in tests and (kept := self._names_of(node)):
            for name in kept:
                self._container(code.Name(name, node.span))

    def _sort(self, test: Expr, names: set[str]) -> bool | None:
        """Whether a test lets errors of any type pass, or keeps them out; None if it is about something else."""
        inner = test.value if isinstance(test, code.Not) else test
        tested = self._tested(inner)
        is_any = tested is not None and tested in names and isinstance(inner, code.Call) and self._is_broad(inner)
        return inner is test if is_any else None

    def _elements(self, target: Expr) -> None:
        """What becomes of results: those that are asked whether they are errors are errors where they say so."""
        for name in {each.id for each in walk(target, code.Name)} - self._seen:
            self._seen.add(name)
            calls = [call for call in walk(self.function.body, code.Call) if self._tested(call) == name]
            broad = [call for call in calls if self._is_broad(call)]
            others = [call for call in calls if call not in broad and not self._looks(call)]
            for read in self._reads(name):
                asked = any(call.args[0] is read for call in calls)
                may_be_error = not broad or self._passes(read, broad)
                if asked or (may_be_error and not self._passes(read, others)):
                    self._judge(read)

    def _passes(self, read: code.Name, tests: list[code.Call]) -> bool:
        """Whether a place is reached only where one of the tests holds."""
        for step in path_to(read.span, self.function.body):
            if isinstance(step.statement, code.If):
                for branch in step.statement.branches:
                    held = branch.test.values if isinstance(branch.test, code.Boolean) else (branch.test,)
                    if any(each is test for each in held for test in tests) and path_to(read.span, branch.body):
                        return True
        return False
