"""Where the handle of a task goes from the variable that holds it: out of the function, or to code that may keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from leaklint.analysis.kinds import path_of
from leaklint.analysis.resolve import Use as Called
from leaklint.analysis.resolve import argument
from leaklint.catalog import ADDING, REMOVING, Role
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_WAITING = (Role.GATHER, Role.WAIT, Role.WAIT_FOR, Role.SHIELD, Role.AS_COMPLETED, Role.CANCEL_AND_WAIT, Role.COLLECT)
_READING = frozenset(
    f"builtins.{name}" for name in "len any all bool print repr str id isinstance enumerate zip".split()
)
_DEEPEST = 3


def escapes(name: str, function: code.Function, study: Study, depth: int = 0) -> tuple[Hazard, ...]:
    """`handle-escapes`: others may wait for the task of a variable, or keep it. It blocks where they certainly do: the
    handle is returned, yielded or stored.
    """
    following = _Following(function, study, depth)
    following.follow(name)
    return tuple(dict.fromkeys(following.found))


@dataclass
class _Following:
    """Follows a handle through the variables of a function."""

    function: code.Function
    study: Study
    depth: int
    found: list[Hazard] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def follow(self, name: str) -> None:
        """Look at each use of a variable that holds the handle, or a container with it."""
        if name in self.names:
            return
        self.names.append(name)
        for inner in self.study.program.inside(self.function):
            if inner is not self.function and name in inner.free_names and not _only_asks(name, inner):
                self._add(f"`{inner.name}` uses `{name}`, and may do so later", blocks=False)
        for statement in _simple(self.function.body):
            self._statement(statement, name)

    def _add(self, said: str, *, blocks: bool) -> None:
        self.found.append(Hazard("handle-escapes", said, blocks))

    def _statement(self, statement: code.Stmt | Expr, name: str) -> None:
        match statement:
            case code.Assign(targets=targets, value=value) if value is not None:
                held = self._holds(value, name)
                for target in targets:
                    is_key = isinstance(target, code.Subscript) and self._holds(target.index, name)
                    if held or is_key:
                        self._stored(target, name)
            case code.Return(value=value) if value is not None:
                if self._holds(value, name):
                    self._add(f"`{name}` is returned on line {statement.span.line}", blocks=True)
            case code.For(target=target, iterable=iterable):
                if self._holds(iterable, name):
                    self._stored(target, name)
            case code.Augment(target=target, value=value):
                if self._holds(value, name):
                    self._stored(target, name)
            case code.Evaluate(value=value):
                self._holds(value, name)
            case code.Assert() | code.Raise() | code.Define() | code.DefineClass():
                for part in _parts(statement):
                    self._holds(part, name)
            case code.Return() | code.Assign() | code.Break() | code.Continue():
                pass
            case _ if not isinstance(statement, code.If | code.While | code.Try | code.With | code.Match | code.Delete):
                self._holds(statement, name)

    def _stored(self, target: Expr, name: str) -> None:
        match target:
            case code.Name(id=other):
                self.follow(other)
            case code.Display(items=items):
                for item in items:
                    self._stored(item, name)
            case code.Starred(value=value) | code.Subscript(value=code.Name() as value):
                self._stored(value, name)
            case code.Attribute() | code.Subscript() | code.Global():
                self._add(f"`{name}` is kept in `{text(target)}` on line {target.span.line}", blocks=True)

    def _holds(self, expr: Expr | None, name: str) -> bool:
        """Whether the value of an expression is the handle, or holds it; what its parts do with it is looked at."""
        match expr:
            case None | code.Constant() | code.Lambda():
                return False
            case code.Name(id=other):
                return other == name
            case code.Await(value=value):
                return self._awaited(value, name)
            case code.Yield(value=value, span=span):
                if self._holds(value, name):
                    self._add(f"`{name}` is yielded on line {span.line}", blocks=True)
                return False
            case code.Call():
                return self._called(expr, name, awaited=False)
            case code.Compare(left=left, right=right):
                self._holds(left, name)
                self._holds(right, name)
                return False
            case code.Attribute(value=value):
                self._holds(value, name)
                return False
            case code.Not(value=value):
                self._holds(value, name)
                return False
            case code.Comprehension(element=element, clauses=clauses):
                for clause in clauses:
                    if self._holds(clause.iterable, name):
                        self._stored(clause.target, name)
                    for condition in clause.conditions:
                        self._holds(condition, name)
                inside = {each.id for clause in clauses for each in walk(clause.target, code.Name)}
                inner = [self._holds(element, each) for each in (name, *(inside & set(self.names)))]
                return any(inner)
            case code.Walrus(target=target, value=value):
                held = self._holds(value, name)
                if held:
                    self._stored(target, name)
                return held
            case code.Conditional(test=test, then=then, orelse=orelse):
                self._holds(test, name)
                return any([self._holds(then, name), self._holds(orelse, name)])
        held_by = [self._holds(part, name) for part in _parts(expr)]
        return any(held_by)

    def _awaited(self, value: Expr, name: str) -> bool:
        if isinstance(value, code.Name):
            return False
        if isinstance(value, code.Call):
            held = self._called(value, name, awaited=True)
            # `done, pending = await asyncio.wait(...)` gives the handles back
            return held and self._role(value) is Role.WAIT
        self._holds(value, name)
        return False

    def _role(self, call: code.Call) -> Role | None:
        return self.study.kinds.role_of_callee(call.func, self.function)

    def _called(self, call: code.Call, name: str, *, awaited: bool) -> bool:
        """Whether what a call gives holds the handle."""
        self._holds(call.func, name)
        given = [each for each in (*call.args, *(k.value for k in call.keywords)) if self._holds(each, name)]
        if not given:
            return False
        if self._role(call) in _WAITING:
            return True
        if path_of(call) in _READING:
            return False
        match call.func:
            case code.Attribute(value=code.Name(id=container), attr=attr) if attr in ADDING | REMOVING:
                self.follow(container)
                return False
        if self._is_only_borrowed(call, name, awaited=awaited):
            return False
        self._add(f"`{text(call.func)}` gets `{name}` on line {call.span.line}", blocks=not awaited)
        return False

    def _is_only_borrowed(self, call: code.Call, name: str, *, awaited: bool) -> bool:
        """Whether the function of the program that is given the handle does not let it out."""
        found = targets(call.func, self.function, self.study)
        if found is None or len(found) != 1 or self.depth >= _DEEPEST or found[0].is_async is not awaited:
            return False
        use = Called(self.function, call)
        params = [
            param.name
            for param in found[0].params
            if (passed := argument(use, param.name, found[0])) is not None
            and isinstance(passed, code.Name)
            and passed.id == name
        ]
        return bool(params) and not any(escapes(each, found[0], self.study, self.depth + 1) for each in params)


def _only_asks(name: str, function: code.Function) -> bool:
    """Whether a function only reads attributes of a variable, or calls its methods."""
    nodes = list(walk(function.body, (code.Name, code.Attribute)))
    owners = {id(node.value) for node in nodes if isinstance(node, code.Attribute)}
    return all(id(node) in owners for node in nodes if isinstance(node, code.Name) and node.id == name)


def _simple(block: code.Block) -> Iterator[code.Stmt | Expr]:
    """The simple statements of a block, the loops, and the expressions of the other statements, all the way down."""
    for statement in block:
        match statement:
            case code.If(branches=branches, orelse=orelse):
                for branch in branches:
                    yield branch.test
                    yield from _simple(branch.body)
                yield from _simple(orelse)
            case code.While(test=test, body=body, orelse=orelse):
                yield test
                yield from _simple((*body, *orelse))
            case code.For(body=body, orelse=orelse):
                yield statement
                yield from _simple((*body, *orelse))
            case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                yield from _simple((*body, *(each for handler in handlers for each in handler.body), *orelse, *final))
            case code.With(items=items, body=body):
                yield from (item.context for item in items)
                yield from _simple(body)
            case code.Match(subject=subject, cases=cases):
                yield subject
                for case in cases:
                    if case.guard is not None:
                        yield case.guard
                    yield from _simple(case.body)
            case code.Delete():
                pass
            case _:
                yield statement


def _parts(node: object) -> tuple[Expr, ...]:
    """The expressions right inside of an expression or of a simple statement."""
    match node:
        case code.Subscript(value=value, index=index):
            return (value, index)
        case code.Starred(value=value):
            return (value,)
        case code.Display(items=items, keys=keys):
            return (*items, *keys)
        case code.Boolean(values=values):
            return values
        case code.Operation(operands=operands):
            return operands
        case code.Opaque(parts=parts):
            return parts
        case code.Assert(test=test):
            return (test,)
        case code.Raise(value=value) if value is not None:
            return (value,)
        case code.Define(evaluated=evaluated) | code.DefineClass(evaluated=evaluated):
            return evaluated
    return ()
