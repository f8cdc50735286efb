"""What a wait is given: the coroutines and tasks that its arguments are, or hold, as far as they are plain to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from leaklint.analysis.elements import called_on_element
from leaklint.analysis.kinds import FUTURE, FUTURES, TASK, Kinds, last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.analysis.spawns import Sort, Spawn, find_spawns
from leaklint.catalog import ADDING, SYNCHRONISATION, Role
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_FUTURE_ROLES = (Role.GATHER, Role.SHIELD, Role.THREAD, Role.SPAWN, Role.SPAWN_KEPT)
_LIBRARY = frozenset({"asyncio.sleep", "asyncio.to_thread", "asyncio.wait_for", "asyncio.wait"})
"""Coroutine functions. https://docs.python.org/3/library/asyncio-task.html"""
_COROUTINES = frozenset({"typing.Coroutine", "collections.abc.Coroutine"})
_TRANSPARENT = frozenset({"staticmethod", "classmethod", "abstractmethod"})
_DEEPEST = 4


class Kind(Enum):
    """What a member is."""

    COROUTINE = "a coroutine"
    TASK = "a task that is spawned in this function"
    FUTURE = "a task or future that comes from elsewhere"
    CALLED = "what a function returns that is not in view"
    UNKNOWN = "something else"


class Member(NamedTuple):
    """One awaitable, or all those that one expression makes."""

    kind: Kind
    expr: Expr
    """What makes it: the call of the coroutine function, or of what spawns the task; where that is not in view, what
    stands for it.
    """
    is_many: bool = False
    """Whether the expression is evaluated for each element of something."""

    @property
    def spawn(self) -> code.Call | None:
        """For a task: the call that spawns it."""
        return self.expr if self.kind is Kind.TASK and isinstance(self.expr, code.Call) else None

    @property
    def coroutine(self) -> Expr:
        """What runs, for a coroutine or a task."""
        return self.spawn.args[0] if self.spawn is not None else self.expr


def members(arguments: Iterable[Expr], function: code.Function, study: Study) -> tuple[Member, ...]:
    """What the arguments of a call in a function are, `*arguments` being looked into."""
    finder = _Finder(function, study.kinds)
    return tuple(member for argument in arguments for member in finder.of_argument(argument))


def elements(container: Expr, function: code.Function, study: Study) -> tuple[Member, ...]:
    """What a container in a function holds."""
    return tuple(_Finder(function, study.kinds).elements(container, 0))


def doubts(given: Iterable[Member], function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """The hazards of starting members as coroutines that may be none: what makes them is not in view, or decorated."""
    found: dict[Hazard, None] = {}
    for member in given:
        made = member.coroutine
        if member.spawn is not None and last_name(member.spawn.func) == "ensure_future":
            found |= dict.fromkeys(doubts(members((made,), function, study), function, study))
        elif member.kind is Kind.CALLED and isinstance(made, code.Call):
            written = f"`{text(made.func)}`"
            is_seen = called_in_view(made.func, function, study.kinds) is not None
            what = f"what decorates {written}" if is_seen else f"{written} is not in view and"
            found[Hazard("not-a-coroutine", f"{what} may give something else than a coroutine")] = None
    return tuple(found)


def called_in_view(callee: Expr, function: code.Function, kinds: Kinds) -> code.Function | None:
    """The function of the program that a callee reaches, also on what a loop takes from a container."""
    return resolved(callee, function, kinds) or called_on_element(callee, function, kinds)


class _Finder:
    def __init__(self, function: code.Function, kinds: Kinds) -> None:
        self._function = function
        self._kinds = kinds
        self._spawns: dict[object, Spawn] = {
            spawn.call.span: spawn for spawn in find_spawns(function, kinds) if spawn.sort is Sort.FREE
        }

    def of_argument(self, argument: Expr) -> Iterator[Member]:
        if isinstance(argument, code.Starred):
            yield from self.elements(argument.value, 0)
        else:
            yield from self.one(argument, 0)

    def one(self, expr: Expr, depth: int) -> Iterator[Member]:
        """What a single awaitable is."""
        match expr:
            case code.Call(args=[*_, last]) if self._kinds.role_of(path_of(expr)) is Role.SAME:
                yield from self.one(last, depth)
            case code.Call():
                yield Member(self._kind(expr), expr)
            case code.Conditional(then=then, orelse=orelse):
                yield from self.one(then, depth)
                yield from self.one(orelse, depth)
            case code.Name(id=name) if depth < _DEEPEST and (values := self._values(name)):
                for value in values:
                    yield from self.one(value, depth + 1)
            case _:
                is_future = self._kinds.of(expr, self._function) in (TASK, FUTURE)
                yield Member(Kind.FUTURE if is_future else Kind.UNKNOWN, expr)

    def elements(self, expr: Expr, depth: int) -> Iterator[Member]:
        """What a container holds."""
        match expr:
            case code.Display(kind=kind, items=items) if kind != "dict":
                for item in items:
                    yield from self.of_argument(item)
            case code.Display(keys=keys):
                for each in keys:
                    yield from self.of_argument(each)
            case code.Comprehension(key=key, element=element):
                yield from (
                    member._replace(is_many=True) for member in self.one(element if key is None else key, depth)
                )
            case code.Call(func=code.Global(path="builtins.map"), args=[called, *_], span=span):
                made = code.Call(called, (), (), span)
                yield from (member._replace(is_many=True) for member in self.one(made, depth))
            case code.Call(args=[inner]) if path_of(expr) in ("builtins.list", "builtins.tuple", "builtins.set"):
                yield from self.elements(inner, depth)
            case code.Call(args=[]) if path_of(expr) in ("builtins.list", "builtins.set"):
                return
            case code.Conditional(then=then, orelse=orelse):
                yield from self.elements(then, depth)
                yield from self.elements(orelse, depth)
            case code.Operation(operands=operands):
                for operand in operands:
                    yield from self.elements(operand, depth)
            case code.Name(id=name) if depth < _DEEPEST and (values := self._values(name)):
                for value in values:
                    yield from self.elements(value, depth + 1)
                for added in self._added(name):
                    yield from (member._replace(is_many=True) for member in self.of_argument(added))
            case _:
                yield Member(Kind.UNKNOWN, expr, is_many=True)

    def _values(self, name: str) -> list[Expr]:
        """What a local name is bound to; nothing if that is not only values."""
        if any(param.name == name for param in self._function.params):
            return []
        bound = self._kinds.bindings(self._function).get(name, ())
        values = [binding.expr for binding in bound if binding.how == "value"]
        return values if all(binding.how in ("value", "type") for binding in bound) else []

    def _added(self, name: str) -> Iterator[Expr]:
        """What is put into the container of a local name."""
        for call in walk(self._function.body, code.Call):
            match call:
                case code.Call(func=code.Attribute(value=code.Name(id=into), attr=attr), args=args) if into == name:
                    if attr in ("append", "add"):
                        yield from args
                    elif attr in ADDING:
                        yield from (code.Starred(arg) for arg in args[-1:])
        for statement in walk(self._function.body, code.Augment):
            if isinstance(statement.target, code.Name) and statement.target.id == name:
                yield code.Starred(statement.value)

    def _kind(self, call: code.Call) -> Kind:
        if call.span in self._spawns and call.args and not isinstance(call.args[0], code.Starred):
            is_sure = last_name(call.func) != "ensure_future" or self._makes_coroutine(call.args[0])
            return Kind.TASK if is_sure else Kind.UNKNOWN
        path, name = path_of(call), last_name(call.func)
        if path in _LIBRARY or (path or "").startswith("anyio."):
            return Kind.COROUTINE
        if self._kinds.role_of_callee(call.func, self._function) in _FUTURE_ROLES or name in FUTURES:
            return Kind.FUTURE
        called = called_in_view(call.func, self._function, self._kinds)
        if called is not None:
            return self._returned(called)
        if self._kinds.of_receiver(call.func, self._function) in SYNCHRONISATION:
            return Kind.COROUTINE
        return Kind.FUTURE if self._kinds.of(call, self._function) in (TASK, FUTURE) else Kind.CALLED

    def _makes_coroutine(self, expr: Expr) -> bool:
        """Whether an expression is a coroutine, or a call of something that is not in view."""
        return all(member.kind in (Kind.COROUTINE, Kind.CALLED) for member in self.one(expr, 1))

    def _returned(self, function: code.Function) -> Kind:
        """What a call of a function of the program gives."""
        if function.is_async and any(not _is_transparent(decorator) for decorator in function.decorators):
            return Kind.CALLED
        if function.is_async:
            return Kind.UNKNOWN if function.is_generator else Kind.COROUTINE
        if self._kinds.is_decorated(function, Role.COROUTINE):
            return Kind.FUTURE  # a generator, or what a library has made of it
        if function.returns is not None and self._kinds.annotated(function.returns) in _COROUTINES:
            return Kind.COROUTINE
        values = [statement.value for statement in walk(function.body, code.Return)]
        inner = [resolved(v.func, function, self._kinds) for v in values if isinstance(v, code.Call)]
        plain = [each for each in inner if each is not None and each.is_async and not each.is_generator]
        return Kind.COROUTINE if values and len(plain) == len(values) else Kind.FUTURE


def _is_transparent(decorator: Expr) -> bool:
    """Whether a decorator leaves a coroutine function what it is."""
    path = path_of(decorator) or ""
    return last_name(decorator) in _TRANSPARENT or path.startswith(("typing.", "typing_extensions."))
