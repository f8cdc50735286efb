"""What code does that has a cancellation of asyncio in hand: which clauses catch it, which tests hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaklint.analysis.cancellation.suspending import is_ending
from leaklint.analysis.kinds import last_name, path_of
from leaklint.catalog import Role
from leaklint.fixing.hazards.clauses import class_of, spelled_out
from leaklint.fixing.hazards.errors import ENDINGS
from leaklint.fixing.hazards.origins import made_by, origins
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.walk import walk

Truths = frozenset[bool]
"""What a condition may be."""
YES, NO = frozenset({True}), frozenset({False})
UNSURE = YES | NO
Exit = code.Return | code.Raise | code.Break | code.Continue | None
"""How a block is left: by a statement, or by its end."""

_INTERRUPTS = frozenset({"builtins.KeyboardInterrupt", "builtins.SystemExit", "builtins.GeneratorExit"})
_CAUGHT = (ENDINGS - _INTERRUPTS) | {"builtins.BaseException"}
_NAMES = frozenset({"CancelledError", "BaseException"})
_DEEPEST = 5


# -- clauses -----------------------------------------------------------------------------------------------------------


def catches(types: tuple[Expr, ...], function: code.Function, study: Study, depth: int = 0) -> Truths:
    """Whether a clause of these types, read in a function, catches a cancellation. Constants, variables and parameters
    are looked up; what is not called as classes of errors are may be anything.
    """
    if not types:
        return YES
    return _some(_catches(each, function, study, depth) for each in types)


def _catches(type_: Expr, function: code.Function, study: Study, depth: int) -> Truths:
    if depth > _DEEPEST:
        return UNSURE
    match type_:
        case code.Starred(value=value):
            return _catches(value, function, study, depth + 1)
        case code.Display(items=items) | code.Operation(operands=items):
            return catches(items, function, study, depth + 1) if items else NO
        case code.Conditional(then=then, orelse=orelse):
            return _catches(then, function, study, depth + 1) | _catches(orelse, function, study, depth + 1)
        case code.Call(func=code.Global(path="builtins.tuple" | "builtins.set"), args=[value]):
            return _catches(value, function, study, depth + 1)
    looked_up = spelled_out((type_,), study)
    if looked_up != (type_,):
        return catches(looked_up, function, study, depth + 1)
    path = class_of(type_, study)
    if path is not None:
        return _is_class_of(path)
    if not isinstance(type_, code.Call) and (found := origins(type_, function, study)).bindings:
        if any(each.how == "type" and _declared(each.expr) == NO for each in found.bindings):
            return NO
        values = [each for each in found.bindings if each.how == "value"]
        answers = [_catches(each.expr, each.function, study, depth + 1) for each in values]
        return frozenset[bool]().union(*answers, () if found.complete and values else UNSURE)
    name = last_name(type_).lstrip("_")
    is_named_like_a_class = name[:1].isupper() and not name.isupper() and not isinstance(type_, code.Call)
    return NO if is_named_like_a_class and name not in _NAMES else UNSURE


def _is_class_of(path: str) -> Truths:
    if path in _CAUGHT:
        return YES
    # that of futures of threads is another one since Python 3.8
    return UNSURE if path.rpartition(".")[2] in _NAMES and not path.startswith("concurrent.") else NO


def _declared(annotation: Expr) -> Truths:
    """Whether something of a type may hold the class: `type[Exception]` does not."""
    named = {path_of(each) for each in walk(annotation, code.Global)}
    return NO if "builtins.Exception" in named and named.isdisjoint(_CAUGHT) else UNSURE


def _some(several: Iterable[Truths]) -> Truths:
    found: Truths = NO
    for each in several:
        if each == YES:
            return YES
        found |= each
    return found


# -- what follows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caught:
    """Code of a function that has a cancellation in hand, by these variables."""

    function: code.Function
    study: Study
    errors: frozenset[str] = frozenset()
    """They hold the error."""
    classes: frozenset[str] = frozenset()
    """They hold its class."""
    triples: frozenset[str] = frozenset()
    """They hold what `sys.exc_info` gives."""
    depth: int = 0

    def exits(self, block: Block) -> tuple[Exit, ...]:
        """How a block may be left."""
        found: list[Exit] = []
        for statement in block:
            ways = self._exits(statement)
            found += [each for each in ways if each is not None]
            if None not in ways:
                return tuple(found)
        return (*found, None)

    def _exits(self, statement: code.Stmt) -> tuple[Exit, ...]:
        match statement:
            case code.Return() | code.Raise() | code.Break() | code.Continue():
                return (statement,)
            case code.Evaluate(value=code.Call(func=func)):
                leaves = self.study.kinds.role_of_callee(func, self.function) is Role.LEAVES
                return () if leaves else (None,)
            case code.If(branches=branches, orelse=orelse):
                return self._chosen(branches, orelse)
            case code.While(test=test, body=body, orelse=orelse):
                return self._looped(body, orelse, self.holds(test))
            case code.For(body=body, orelse=orelse):
                return self._looped(body, orelse, UNSURE)
            case code.With(body=body):
                return self.exits(body)
            case code.Try():
                return self._tried(statement)
            case code.Match(cases=cases):
                ways = [way for case in cases for way in self.exits(case.body)]
                return (*ways, *(() if any(case.irrefutable for case in cases) else (None,)))
        return (None,)

    def _chosen(self, branches: tuple[code.Branch, ...], orelse: Block) -> tuple[Exit, ...]:
        found: list[Exit] = []
        for branch in branches:
            holds = self.holds(branch.test)
            found += self.exits(branch.body) if True in holds else ()
            if False not in holds:
                return tuple(found)
        return (*found, *self.exits(orelse))

    def _looped(self, body: Block, orelse: Block, holds: Truths) -> tuple[Exit, ...]:
        inner = self.exits(body) if True in holds else ()
        found = [each for each in inner if isinstance(each, code.Return | code.Raise)]
        broken = (None,) if any(isinstance(each, code.Break) for each in inner) else ()
        return (*found, *broken, *(self.exits(orelse) if False in holds else ()))

    def _tried(self, statement: code.Try) -> tuple[Exit, ...]:
        inner = self.exits((*statement.body, *statement.orelse))
        inner += tuple(way for handler in statement.handlers for way in self.exits(handler.body))
        last = self.exits(statement.final)
        return last if None not in last else (*inner, *(each for each in last if each is not None))

    # -- conditions ----------------------------------------------------------------------------------------------

    def holds(self, test: Expr | None) -> Truths:
        """Whether an expression may be true."""
        match test:
            case None:
                return NO
            case code.Constant(value=value):
                return frozenset({value is ... or bool(value)})
            case code.Not(value=value):
                return frozenset(not each for each in self.holds(value))
            case code.Boolean(op=op, values=values):
                return self._joined(values, stop=op == "or")
            case code.Conditional(test=condition, then=then, orelse=orelse):
                holds = self.holds(condition)
                return (self.holds(then) if True in holds else frozenset()) | (
                    self.holds(orelse) if False in holds else frozenset()
                )
            case code.Compare(left=left, op=op, right=right):
                return self._compared(left, op, right)
            case code.Await(value=value):
                return self.holds(value)
            case code.Call(func=func, args=args):
                return self._called(func, args)
            case code.Name(id=name):
                return self._bound(test) if name not in self.errors | self.classes | self.triples else YES
        return YES if self._is_error(test) or self._is_class(test) else UNSURE

    def _joined(self, values: tuple[Expr, ...], *, stop: bool) -> Truths:
        found: Truths = frozenset()
        for value in values:
            holds = self.holds(value)
            found |= holds & {stop}
            if (not stop) not in holds:
                return found
        return found | {not stop}

    def _compared(self, left: Expr, op: str, right: Expr) -> Truths:
        is_it = self._is_class(left) or self._is_error(left)
        negated = op in ("is not", "!=", "not in")
        if not is_it or op not in ("is", "==", "in", "is not", "!=", "not in"):
            return UNSURE
        is_none = isinstance(right, code.Constant) and right.value is None
        types = right.items if isinstance(right, code.Display) else (right,)
        same = NO if is_none else _some(self._same(each) for each in types)
        return frozenset(each is not negated for each in same)

    def _same(self, type_: Expr) -> Truths:
        """Whether a class is that of the error itself."""
        return NO if path_of(type_) == "builtins.BaseException" else catches((type_,), self.function, self.study)

    def _called(self, func: Expr, args: tuple[Expr, ...]) -> Truths:
        match path_of(func), args:
            case "builtins.isinstance", (value, types) if self._is_error(value):
                return catches((types,), self.function, self.study)
            case "builtins.issubclass", (value, types) if self._is_class(value):
                return catches((types,), self.function, self.study)
            case "builtins.bool", (value,):
                return self.holds(value)
        found = made_by(func, self.function, self.study) if self.depth < _DEEPEST else ()
        if not found and (last_name(func) in ("__exit__", "__aexit__") or is_ending(last_name(func))):
            return NO  # of a library: few swallow this, and of a `with` nothing is said of them, either
        answers = [Caught(each, self.study, depth=self.depth + 1).returned(each) for each in found]
        return frozenset[bool]().union(*answers) if answers else UNSURE

    def returned(self, function: code.Function) -> Truths:
        """Whether what a function returns may be true."""
        if isinstance(function.returns, code.Constant) and function.returns.value is None:
            return NO
        answers = (self.holds(each.value) for each in self.exits(function.body) if isinstance(each, code.Return))
        ends = None in self.exits(function.body)
        return frozenset[bool]().union(*answers, NO if ends else ())

    def _bound(self, name: Expr) -> Truths:
        found = origins(name, self.function, self.study)
        if not found.complete or self.depth >= _DEEPEST:
            return UNSURE
        answers = (
            Caught(each.function, self.study, self.errors, self.classes, self.triples, self.depth + 1).holds(each.expr)
            if each.how == "value" and each.function is self.function
            else UNSURE
            for each in found.bindings
        )
        return frozenset[bool]().union(*answers)

    # -- the error -----------------------------------------------------------------------------------------------

    def _is_error(self, expr: Expr) -> bool:
        match expr:
            case code.Name(id=name):
                return name in self.errors
            case code.Subscript(value=code.Name(id=name), index=code.Constant(value=1)):
                return name in self.triples
        return False

    def _is_class(self, expr: Expr) -> bool:
        match expr:
            case code.Name(id=name):
                return name in self.classes
            case code.Subscript(value=code.Name(id=name), index=code.Constant(value=0)):
                return name in self.triples
            case code.Call(func=code.Global(path="builtins.type"), args=[value]):
                return self._is_error(value)
            case code.Attribute(value=value, attr="__class__"):
                return self._is_error(value)
        return False
