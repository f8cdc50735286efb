"""What holds the handles of tasks in a function, and each place that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, pairs, path_of
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr, Span, Stmt
from leaklint.model.walk import walk

_PUTS = ("append", "add")
_QUIET = ("asyncio.CancelledError", "builtins.Exception", "builtins.BaseException")
_LISTS = ("builtins.list", "builtins.tuple", "builtins.set")
_EMPTY = (*_LISTS, "builtins.dict")
METHODS = frozenset("cancel done cancelled result exception get_name".split())
"""The methods of a task that have a counterpart, if they are called without arguments."""


class Kind(Enum):
    """How a place uses a handle, or a container of handles."""

    BORN = "a spawn is bound to it, or put into it"
    EMPTY = "it is bound to None or to an empty container, or only annotated"
    PUT = "it is put into a container"
    EACH = "its handles are gone through, one by one"
    AWAITED = "it is awaited"
    GATHERED = "it is awaited with others by `gather`"
    WAITED = "it is awaited with others by `asyncio.wait`"
    HUSHED = "it is awaited by a statement that expects it to be cancelled"
    ASKED = "a method is called"
    TESTED = "it is compared with None, or taken for a boolean"
    DISCARDED = "a callback is to take it from a set"
    OTHER = "something else"


JOINS = (Kind.AWAITED, Kind.GATHERED, Kind.WAITED, Kind.HUSHED)


@dataclass(frozen=True, slots=True)
class Variable:
    """A local name that holds a handle, or a container of them; in a comprehension one of its own."""

    name: str
    within: Span | None = None


class Use(NamedTuple):
    """A place that uses a variable."""

    kind: Kind
    variable: Variable
    node: Expr | Stmt
    """What is written there: an expression, or the whole statement."""
    others: tuple[Expr, ...] = ()
    """What else the place names: the others of a `gather`, the container that it is put into, the loop's variable."""


class Uses(NamedTuple):
    """All places that use a variable."""

    found: tuple[Use, ...]
    strays: tuple[code.Name, ...]
    """Where it is used in a way that is not understood."""


def uses_of(variable: Variable, function: code.Function, kinds: Kinds) -> Uses:
    """The places in a function that use a variable of its own."""
    finder = _Finder(variable, function, kinds)
    found = tuple(finder.find())
    strays = tuple(node for node in finder.mentions.values() if id(node) not in finder.claimed)
    return Uses(found, strays)


def variable_of(name: code.Name, function: code.Function) -> Variable:
    """What a name means where it stands: the variable of the innermost comprehension that binds it, or a local one."""
    inner: Span | None = None
    for comprehension in walk(function.body, code.Comprehension):
        binds = any(each.id == name.id for each in _bound(comprehension))
        if binds and any(node is name for node in walk(comprehension, code.Name)):
            inner = comprehension.span
    return Variable(name.id, inner)


def held(expr: Expr) -> list[code.Name] | None:
    """The names of which an expression gives the handles, as far as it consists of nothing else."""
    match expr:
        case code.Name():
            return [expr]
        case code.Starred(value=value):
            return held(value)
        case code.Call(func=code.Attribute(value=code.Name() as name, attr="values" | "copy"), args=(), keywords=()):
            return [name]
        case code.Call(func=code.Global(path=path), args=(inner,), keywords=()) if path in _LISTS:
            return held(inner)
        case code.Display(items=items, keys=()):
            parts = [held(item) for item in items]
            return None if None in parts else [name for part in parts for name in part or ()]
    return None


def joined_by(node: Expr, kinds: Kinds) -> tuple[Kind, tuple[Expr, ...]] | None:
    """How an awaited expression waits for handles, and the arguments that give them."""
    match node:
        case code.Name():
            return Kind.AWAITED, (node,)
        case code.Call(func=code.Global(path=path), args=args) if kinds.role_of(path) is Role.GATHER:
            return Kind.GATHERED, args
        case code.Call(func=code.Global(path=path), args=(first,), keywords=()) if kinds.role_of(path) is Role.WAIT:
            return Kind.WAITED, (first,)
    return None


class _Finder:
    """Looks for the uses of one variable; each mention counts once."""

    def __init__(self, variable: Variable, function: code.Function, kinds: Kinds) -> None:
        self.variable = variable
        self.kinds = kinds
        self.root: object = function.body
        if variable.within is not None:
            inner = (each for each in walk(function.body, code.Comprehension) if each.span == variable.within)
            self.root = next(inner)
        named = (node for node in walk(self.root, code.Name) if node.id == variable.name)
        self.mentions = {id(node): node for node in named if variable_of(node, function) == variable}
        self.claimed: set[int] = set()

    def find(self) -> Iterator[Use]:
        """The uses, statements before what is in them."""
        for statement in walk(self.root, (code.With, code.Try)):
            if (awaited := hushed(statement)) is not None:
                yield from self._use(Kind.HUSHED, awaited.value, statement)
        for node in walk(self.root, code.Await):
            if (join := joined_by(node.value, self.kinds)) is not None:
                for name in (name for part in join[1] for name in held(part) or ()):
                    yield from self._use(join[0], name, node, *join[1])
        for call in walk(self.root, code.Call):
            yield from self._calls(call)
        for assign in walk(self.root, (code.Assign, code.For, code.Comprehension)):
            yield from self._stores(assign)
        yield from self._tests()

    def _use(self, kind: Kind, name: Expr, node: Expr | Stmt, *others: Expr) -> Iterator[Use]:
        if id(name) in self.mentions and id(name) not in self.claimed:
            self.claimed.add(id(name))
            yield Use(kind, self.variable, node, others)

    def _calls(self, call: code.Call) -> Iterator[Use]:
        match call:
            case code.Call(func=code.Attribute(value=value, attr="add_done_callback"), args=(callback,)):
                match callback:
                    case code.Attribute(value=holder, attr="discard" | "remove"):
                        yield from self._use(Kind.DISCARDED, value, call, holder)
                        yield from self._use(Kind.DISCARDED, holder, call)
            case code.Call(func=code.Attribute(value=value, attr=attr), args=(), keywords=()) if attr in METHODS:
                yield from self._use(Kind.ASKED, value, call)
            case code.Call(func=code.Attribute(value=value, attr=attr), args=(arg,)) if attr in _PUTS:
                yield from self._use(Kind.PUT, arg, call, value)
                yield from self._use(Kind.BORN, value, call, arg)

    def _stores(self, node: code.Assign | code.For | code.Comprehension) -> Iterator[Use]:
        match node:
            case code.Assign(targets=(code.Display() as target,), value=code.Display() as value):
                for one, other in pairs(target, value):
                    if one is not target:
                        yield from self._use(Kind.BORN, one, node, other)
            case code.Assign(targets=(target,), value=value):
                held_by = target.value if isinstance(target, code.Subscript) else target
                yield from self._use(_kind_of_store(value), held_by, node, *([] if value is None else [value]))
                if isinstance(value, code.Display) or isinstance(target, code.Subscript):
                    for name in held(value) or () if value is not None else ():
                        yield from self._use(Kind.PUT, name, node, held_by)
            case code.For(target=target, iterable=iterable, is_async=False):
                for name in held(iterable) or ():
                    yield from self._use(Kind.EACH, name, node, target)
                yield from self._use(Kind.BORN, target, node, iterable)
            case code.Comprehension(clauses=clauses):
                for clause in clauses:
                    for name in held(clause.iterable) or ():
                        yield from self._use(Kind.EACH, name, node, clause.target)
                    yield from self._use(Kind.BORN, clause.target, node, clause.iterable)

    def _tests(self) -> Iterator[Use]:
        tests: list[Expr] = [branch.test for each in walk(self.root, code.If) for branch in each.branches]
        tests += [each.test for each in walk(self.root, (code.While, code.Conditional, code.Assert))]
        tests += [test for each in walk(self.root, code.Comprehension) for c in each.clauses for test in c.conditions]
        tests += [each.value for each in walk(self.root, code.Not)]
        for each in walk(self.root, code.Boolean):
            tests += each.values[:-1] if not any(each is test for test in tests) else each.values
        for test in tests:
            yield from self._use(Kind.TESTED, test, test)
        for compare in walk(self.root, code.Compare):
            if isinstance(compare.right, code.Constant) and compare.right.value is None:
                yield from self._use(Kind.TESTED, compare.left, compare)


def hushed(statement: Stmt) -> code.Await | None:
    """What a statement awaits, if it does nothing else, and expects that to be cancelled."""
    types = hushed_types(statement)
    quiet = types and all(path_of(each) in _QUIET and not isinstance(each, code.Call) for each in types)
    if not quiet or all(path_of(each) == "builtins.Exception" for each in types):
        return None
    match statement:
        case code.With(body=(code.Evaluate(value=code.Await() as awaited),)):
            return awaited
        case code.Try(body=(code.Evaluate(value=code.Await() as awaited),)):
            return awaited
    return None


def hushed_types(statement: Stmt) -> tuple[Expr, ...]:
    """The errors that a statement drops, without doing anything about them."""
    match statement:
        case code.With(items=(code.Item(context=code.Call(args=types) as context),), is_async=False):
            return types if path_of(context) == "contextlib.suppress" else ()
        case code.Try(handlers=(code.Handler(types=types, body=body),), orelse=(), final=()):
            if all(isinstance(each, code.Evaluate) and not _does_anything(each.value) for each in body):
                return types
    return ()


def _does_anything(expr: Expr) -> bool:
    return not (isinstance(expr, code.Constant) or (isinstance(expr, code.Opaque) and not expr.parts))


def _kind_of_store(value: Expr | None) -> Kind:
    match value:
        case None | code.Constant(value=None) | code.Display(items=()):
            return Kind.EMPTY
        case code.Call(func=code.Global(path=path), args=()) if path in _EMPTY:
            return Kind.EMPTY
    return Kind.BORN


def _bound(comprehension: code.Comprehension) -> Iterator[code.Name]:
    for clause in comprehension.clauses:
        yield from walk(clause.target, code.Name)


def is_quiet(use: Use) -> bool:
    """Whether a `gather` gives errors as results."""
    match use.node:
        case code.Await(value=code.Call(keywords=keywords)):
            return any(
                keyword.name == "return_exceptions"
                and not (isinstance(keyword.value, code.Constant) and keyword.value.value is False)
                for keyword in keywords
            )
    return False
