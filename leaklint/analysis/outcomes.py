"""What a function of the program can do, read off its code: raise, suspend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.catalog import BASE, HARMLESS_METHODS, LOGGING, LOOP_DEFERS, LOOP_RUNS, SPAWN_LIKE, SYNCHRONISATION, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_CATCH_ALL = ("BaseException", "Exception")
_CONSUMING = (Role.SPAWN, Role.GATHER, Role.WAIT, Role.WAIT_FOR, Role.SHIELD, Role.AS_COMPLETED, Role.RUN)
_CONSUMING_METHODS = LOOP_RUNS | SPAWN_LIKE


def consumes(func: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether a callee runs what it is given: a call among its arguments then makes a coroutine, which cannot fail."""
    if isinstance(func, code.Global) and kinds.role_of(func.path) in _CONSUMING:
        return True
    if last_name(func) in _CONSUMING_METHODS:
        return True
    called = resolved(func, function, kinds)
    return called is not None and _starts_argument(called)


def _starts_argument(function: code.Function) -> bool:
    """Whether a function of the program starts a coroutine that it is given."""
    if function.words.isdisjoint(SPAWN_LIKE):
        return False
    names = {param.name for param in function.params}
    spawns = (call for call in walk(function.body, code.Call) if last_name(call.func) in SPAWN_LIKE)
    return any(isinstance(arg, code.Name) and arg.id in names for call in spawns for arg in call.args)


def is_one_of_many(function: code.Function) -> bool:
    """Whether a function spawns in more than one place."""
    return sum(last_name(call.func) in SPAWN_LIKE for call in walk(function.body, code.Call)) > 1


def is_plain_class(path: str, program: Program) -> bool:
    """Whether making an object of a class of the program runs no code of its own."""
    return not any(program.method(path, name) for name in ("__init__", "__new__", "__post_init__"))


def is_harmless(func: Expr) -> bool:
    """Whether a callee of the library, or a method by its name, cannot sensibly fail."""
    if isinstance(func, code.Attribute):
        return func.attr in HARMLESS_METHODS or func.attr in LOOP_DEFERS
    if isinstance(func, code.Global):
        return BASE.role(func.path) is not None or ("." in func.text and last_name(func) in LOGGING)
    return False


class Outcome(NamedTuple):
    """What a coroutine may do."""

    raises: bool
    """Something else than a cancellation."""
    suspends: bool


class Outcomes:
    """Answers for the functions of a program; each is looked at once."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._raises: dict[str, bool] = {}
        self._suspends: dict[str, bool] = {}

    def raises(self, function: code.Function) -> bool:
        """Whether a function, when it is run, may raise something else than a cancellation."""
        return self._known(function, self._raises, self._may_raise)

    def call_raises(self, function: code.Function) -> bool:
        """Whether calling a function may raise. (A call of a coroutine function only makes a coroutine.)"""
        return not (function.is_async or function.is_generator) and self.raises(function)

    def suspends(self, function: code.Function) -> bool:
        """Whether a coroutine of a function may be suspended: one that is not ends in the turn of the loop in which it
        starts.
        """
        return self._known(function, self._suspends, self._may_suspend)

    def coroutine(self, call: code.Call, caller: code.Function) -> Outcome:
        """What the coroutine may do that a call in a function makes."""
        if self._is_harmless_coroutine(call, caller) or path_of(call) == "asyncio.sleep":
            return Outcome(raises=False, suspends=True)
        function = self._resolved(call.func, caller)
        if function is None or _is_unwritten(function):
            return Outcome(raises=True, suspends=True)
        return Outcome(self.raises(function), self.suspends(function))

    def _resolved(self, func: Expr, caller: code.Function) -> code.Function | None:
        """The function that a callee reaches; a private method that only one class has is known by its name."""
        found = resolved(func, caller, self._kinds)
        if found is None and isinstance(func, code.Attribute) and func.attr.startswith("_"):
            named = self._private.get(func.attr, ())
            return named[0] if len(named) == 1 else None
        return found

    @cached_property
    def _private(self) -> dict[str, list[code.Function]]:
        """The methods with a private name, by that."""
        found: dict[str, list[code.Function]] = defaultdict(list)
        for function in self._kinds.program.functions.values():
            if function.owner is not None and function.name.startswith("_"):
                found[function.name].append(function)
        return found

    def _known(self, function: code.Function, known: dict[str, bool], ask: Callable[[code.Function], bool]) -> bool:
        if function.qualname not in known:
            known[function.qualname] = True  # one that calls itself may do anything
            known[function.qualname] = ask(function)
        return known[function.qualname]

    # -- raising -------------------------------------------------------------------------------------------------

    def _may_raise(self, function: code.Function) -> bool:
        nodes = list(_unguarded(function.body))
        consumed = {id(node.value) for node in nodes if isinstance(node, code.Await)}
        for node in nodes:
            if isinstance(node, code.Call) and consumes(node.func, function, self._kinds):
                consumed |= {id(argument) for argument in (*node.args, *(keyword.value for keyword in node.keywords))}
        return any(self._raising(node, function) for node in nodes if id(node) not in consumed)

    def _raising(self, node: object, function: code.Function) -> bool:
        match node:
            case code.Raise():
                return True
            case code.Await(value=code.Call() as call):
                called = self._resolved(call.func, function)
                if called is not None:
                    return not called.is_async or self.raises(called)
                return not self._is_harmless_coroutine(call, function)
            case code.Call(func=func):
                return self._calling(func, function)
            case code.With(is_async=True, items=items):
                return any(not self._is_lock(item.context, function) for item in items)
            case code.For(is_async=is_async):
                return is_async
            case code.Comprehension(clauses=clauses):
                return any(clause.is_async for clause in clauses)
        return isinstance(node, code.Await)

    def _calling(self, func: Expr, function: code.Function) -> bool:
        """Whether a call may raise; one of a coroutine function only makes a coroutine."""
        if is_harmless(func):
            return False
        if isinstance(func, code.Global) and func.path in self._kinds.program.classes:
            return not is_plain_class(func.path, self._kinds.program)
        called = self._resolved(func, function)
        return called is None or self.call_raises(called)

    def _is_harmless_coroutine(self, call: code.Call, caller: code.Function) -> bool:
        """Whether a call is of a method of an event, a lock or a queue, or waits for an event or a process."""
        if self._kinds.of_receiver(call.func, caller) in SYNCHRONISATION:
            return True
        is_wait = isinstance(call.func, code.Attribute) and call.func.attr == "wait" and not call.args
        return is_wait and self._resolved(call.func, caller) is None

    def _is_lock(self, context: Expr, function: code.Function) -> bool:
        return self._kinds.of(context, function) in SYNCHRONISATION

    # -- suspending ----------------------------------------------------------------------------------------------

    def _may_suspend(self, function: code.Function) -> bool:
        for node in walk(function.body, (code.Await, code.With, code.For, code.Comprehension)):
            match node:
                case code.Await(value=code.Call(func=func)):
                    called = self._resolved(func, function)
                    if called is None or not called.is_async or self.suspends(called):
                        return True
                case code.Await():
                    return True
                case code.With(is_async=is_async) | code.For(is_async=is_async):
                    if is_async:
                        return True
                case code.Comprehension(clauses=clauses):
                    if any(clause.is_async for clause in clauses):
                        return True
        return False


def _is_unwritten(function: code.Function) -> bool:
    """Whether a function has no code of its own: a sketch, or a method for others to define. (A method that does
    nothing is a hook.)
    """
    match function.body:
        case (code.Raise(),):
            return True
        case ():
            return function.owner is None
    is_stub = all(isinstance(node, code.Evaluate) and isinstance(node.value, code.Constant) for node in function.body)
    return is_stub and function.owner is None


def _unguarded(block: code.Block) -> Iterator[object]:
    """What is outside every `try` that catches all errors, down to the single expressions."""
    for statement in block:
        match statement:
            case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                catches_all = any(
                    not handler.types or any(last_name(type_) in _CATCH_ALL for type_ in handler.types)
                    for handler in handlers
                )
                blocks = [() if catches_all else body, *(handler.body for handler in handlers), orelse, final]
            case code.With(items=items, body=body):
                suppresses = any(BASE.role(path_of(item.context)) is Role.SUPPRESS for item in items)
                yield from (node for item in items for node in walk(item.context, (code.Await, code.Call)))
                yield code.With(items, (), statement.is_async, statement.span)
                blocks = [() if suppresses else body]
            case code.If(branches=branches, orelse=orelse):
                yield from (node for branch in branches for node in walk(branch.test, (code.Await, code.Call)))
                blocks = [*(branch.body for branch in branches), orelse]
            case code.While(test=test, body=body, orelse=orelse):
                yield from walk(test, (code.Await, code.Call))
                blocks = [body, orelse]
            case code.For(iterable=iterable, body=body, orelse=orelse):
                yield from walk(iterable, (code.Await, code.Call))
                yield code.For(statement.target, iterable, (), (), statement.is_async, statement.span)
                blocks = [body, orelse]
            case code.Match(subject=subject, cases=cases):
                yield from walk(subject, (code.Await, code.Call))
                blocks = [case.body for case in cases]
            case _:
                yield from walk(statement, (code.Raise, code.Await, code.Call, code.Comprehension))
                blocks = []
        for inner in blocks:
            yield from _unguarded(inner)
