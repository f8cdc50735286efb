"""Which errors code may raise, cancellations left out: their classes, as far as they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.outcomes import consumes
from leaklint.catalog import HARMLESS_METHODS, LOGGING, LOOP_DEFERS, Role
from leaklint.fixing.hazards.awaiting import Entry, Sort, entered, meaning
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.clauses import ALIASES, class_of, spelled_out
from leaklint.fixing.hazards.errors import (
    ANY,
    ENDINGS,
    NONE,
    Errors,
    caught,
    is_broad,
    is_ending,
    left_by,
)
from leaklint.fixing.hazards.implied import implied, methods_of, special, unpacking
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.walk import walk

_ENTERING = ("__enter__", "__exit__")
_ITERATING = ("__iter__", "__next__")
_TIMEOUT = "builtins.TimeoutError"
_LOOKUP = ("builtins.KeyError", "builtins.IndexError")
_RAISED_BY_METHOD = {
    "pop": _LOOKUP,
    "popitem": _LOOKUP,
    "popleft": _LOOKUP,
    "remove": ("builtins.KeyError", "builtins.ValueError"),
    "index": ("builtins.ValueError",),
    "encode": ("builtins.UnicodeEncodeError",),
    "decode": ("builtins.UnicodeDecodeError",),
    "get_nowait": ("asyncio.QueueEmpty",),
    "put_nowait": ("asyncio.QueueFull",),
    "set_result": ("asyncio.InvalidStateError",),
    "set_exception": ("asyncio.InvalidStateError",),
}
_RAISED_BY_BUILTIN = {
    "builtins.int": ("builtins.ValueError", "builtins.TypeError"),
    "builtins.float": ("builtins.ValueError", "builtins.TypeError"),
    "builtins.next": ("builtins.StopIteration",),
}
_QUIET_ROLES = frozenset(
    {
        Role.HARMLESS,
        Role.COLLECT,
        Role.PICK,
        Role.SAME,
        Role.SPAWN,
        Role.LOOP,
        Role.ALL_TASKS,
        Role.PARTIAL,
        Role.DEFER,
        Role.GATHER,
        Role.SHIELD,
        Role.WAIT,
        Role.WAIT_FOR,
        Role.GROUP,
        Role.TIMEOUT,
        Role.MOVE_ON,
        Role.SUPPRESS,
        Role.STACK,
        Role.LEAVES,
        Role.ENDS,
    }
)
"""A call of these, not awaited, raises nothing that is an error."""
_BASES = ("builtins.", "abc.", "typing.", "typing_extensions.", "enum.", "dataclasses.")


@remembered
def errors_of(coroutine: Expr, function: code.Function, study: Study) -> Errors:
    """What awaiting an expression of a function may raise."""
    return _Raising(study, function).awaited(coroutine, function)


def errors_in(block: Block, function: code.Function, study: Study, children: Sequence[Expr] | None = None) -> Errors:
    """What statements of a function may raise, besides what comes of awaiting the tasks that it spawns: those that run
    one of these coroutines; all of them, if none are named.
    """
    if children is None:
        return _errors_of_block(block, function, study)
    return _Raising(study, function, frozenset(map(id, children))).block(block, function, NONE)


@remembered
def _errors_of_block(block: Block, function: code.Function, study: Study) -> Errors:
    return _Raising(study, function).block(block, function, NONE)


@dataclass
class _Raising:
    study: Study
    host: code.Function
    children: frozenset[int] | None = None
    """The `id`s of the coroutines whose tasks are asked themselves; all that the host spawns, if None."""
    seen: set[str] = field(default_factory=set)
    open: list[int] = field(default_factory=list)
    """The `id`s of the expressions that are awaited, the outermost first."""

    # -- statements ----------------------------------------------------------------------------------------------

    def block(self, block: Block, function: code.Function, current: Errors) -> Errors:
        """What statements may raise; `current` is what a `raise` alone raises again."""
        found = NONE
        for statement in block:
            found |= self._statement(statement, function, current)
        return found

    def _statement(self, statement: code.Stmt, function: code.Function, current: Errors) -> Errors:
        match statement:
            case code.Try():
                return self._try(statement, function, current)
            case code.Raise(value=None):
                return current
            case code.Raise(value=value) if value is not None:
                return self._raised(value, function, current) | self._expressions(value, function)
            case code.Assert(test=test):
                return Errors(frozenset({"builtins.AssertionError"})) | self._expressions(test, function)
            case code.If(branches=branches, orelse=orelse):
                found = self.block(orelse, function, current)
                for branch in branches:
                    found |= self._expressions(branch.test, function) | self.block(branch.body, function, current)
                return found
            case code.While(test=test, body=body, orelse=orelse):
                return self._expressions(test, function) | self.block((*body, *orelse), function, current)
            case code.For(target=target, iterable=iterable, body=body, orelse=orelse, is_async=is_async):
                found = ANY if is_async else self._expressions(iterable, function)
                found |= Errors(implied=unpacking(target, iterable))
                found |= self._functions(methods_of(iterable, _ITERATING, function, self.study))
                return found | self.block((*body, *orelse), function, current)
            case code.With():
                return self._with(statement, function, current)
            case code.Match(subject=subject, cases=cases):
                found = self._expressions(subject, function)
                for case in cases:
                    found |= self._expressions(case.guard, function) | self.block(case.body, function, current)
                return found
        return self._expressions(statement, function)

    def _try(self, statement: code.Try, function: code.Function, current: Errors) -> Errors:
        left = self.block(statement.body, function, current)
        found = NONE
        for handler in statement.handlers:
            types = spelled_out(handler.types, self.study)
            here = caught(types, left, self.study)
            again = here if is_broad(types) or not left.anything else here | ANY
            found |= self.block(handler.body, function, NONE if is_ending(types) else again)
            left = left_by(types, left, self.study)
        return left | found | self.block((*statement.orelse, *statement.final), function, current)

    def _with(self, statement: code.With, function: code.Function, current: Errors) -> Errors:
        found, suppressed = NONE, False
        for item in statement.items:
            found |= self._expressions(item.context, function)
            if not statement.is_async:
                found |= self._functions(methods_of(item.context, _ENTERING, function, self.study))
            given = entered(item.context, function, self.study, is_async=statement.is_async)
            role = self.study.kinds.role_of(path_of(item.context))
            match given.entry:
                case Entry.UNKNOWN:
                    found |= ANY
                case Entry.SCOPE if role is Role.TIMEOUT:
                    found |= Errors(frozenset({_TIMEOUT}))
                case Entry.RUNS:
                    found |= self._functions((*given.enters, *given.leaves))
                case Entry.NOTHING if role is Role.SUPPRESS and isinstance(item.context, code.Call):
                    suppressed = suppressed or (bool(item.context.args) and is_broad(item.context.args))
        inner = self.block(statement.body, function, current)
        return found if suppressed else found | inner

    def _raised(self, value: Expr, function: code.Function, current: Errors) -> Errors:
        path = path_of(value)
        if path in ENDINGS:
            return NONE
        if path is None:
            return current if isinstance(value, code.Name) and current and _is_handler_name(value.id, function) else ANY
        made = value.func if isinstance(value, code.Call) else value
        known = all(class_of(each, self.study) for each in spelled_out((made,), self.study))
        return Errors(frozenset({ALIASES.get(path, path)})) if known else ANY

    # -- expressions ---------------------------------------------------------------------------------------------

    def _expressions(self, root: object, function: code.Function) -> Errors:
        found = Errors(implied=implied(root, function, self.study))
        found |= self._functions(special(root, function, self.study))
        for node in _raisers(root, function, self.study):
            match node:
                case code.Await(value=value):
                    found |= self.awaited(value, function)
                case code.Call():
                    found |= self._call(node, function)
                case code.Comprehension(clauses=clauses):
                    for clause in clauses:
                        found |= self._functions(methods_of(clause.iterable, _ITERATING, function, self.study))
                    found |= ANY if any(clause.is_async for clause in clauses) else NONE
                case code.Subscript():
                    found |= Errors(frozenset(_LOOKUP))
        return found

    def awaited(self, awaited: Expr, function: code.Function) -> Errors:
        """What awaiting an expression may raise. (One that leads back to itself raises no more.)"""
        if id(awaited) in self.open:
            return NONE
        self.open.append(id(awaited))
        found = self._awaited(awaited, function)
        self.open.pop()
        return found

    def _awaited(self, awaited: Expr, function: code.Function) -> Errors:
        if function is self.host and self._is_spawned(awaited, function):
            return NONE
        found = meaning(awaited, function, self.study)
        match found.sort:
            case Sort.PLAIN:
                return NONE if "sleep" in found.said or "checkpoint" in found.said or _is_wait(awaited) else ANY
            case Sort.WAITS:
                return NONE
            case Sort.RUNS:
                return self._functions(found.functions)
            case Sort.ALL | Sort.LIMITED | Sort.TASK:
                if _gives_errors_back(awaited):
                    return NONE
                errors = Errors(frozenset({_TIMEOUT})) if _is_wait_for(awaited) else NONE
                for inner, home in found.inner:
                    errors |= self.awaited(inner, home)
                return errors
        return ANY

    def _is_spawned(self, awaited: Expr, function: code.Function) -> bool:
        """Whether a name is that of tasks of the function whose errors are not asked for here."""
        values = self.study.kinds.bindings(function).get(awaited.id, ()) if isinstance(awaited, code.Name) else ()
        spawns = [
            isinstance(each.expr, code.Call)
            and self.study.kinds.role_of_callee(each.expr.func, function) is Role.SPAWN
            and (self.children is None or not self.children.isdisjoint(map(id, each.expr.args)))
            for each in values
        ]
        return bool(spawns) and all(spawns)

    def _call(self, call: code.Call, function: code.Function) -> Errors:
        found = self._called(call, function)
        if (path_of(call) or "").startswith("builtins."):
            for given in (*call.args, *(keyword.value for keyword in call.keywords)):
                found |= self._called_back(given, call, function)
        return found

    def _called_back(self, given: Expr, call: code.Call, function: code.Function) -> Errors:
        """What a function raises that a builtin calls: `sorted(lines, key=int)`."""
        if isinstance(given, code.Lambda):
            return self.block(given.function.body, given.function, NONE)
        if path_of(given) in _RAISED_BY_BUILTIN or (targets(given, function, self.study) or ()):
            return self._called(code.Call(given, (), (), call.span), function)
        return NONE

    def _called(self, call: code.Call, function: code.Function) -> Errors:
        path, kinds = path_of(call), self.study.kinds
        if path in _RAISED_BY_BUILTIN:
            sure = path == "builtins.next" and len(call.args) > 1
            return NONE if sure else Errors(frozenset(_RAISED_BY_BUILTIN[path]))
        found = targets(call.func, function, self.study)
        if found is not None:
            return self._functions(tuple(each for each in found if not each.is_async))
        if path in self.study.program.classes:
            return self._made(path)
        if kinds.role_of_callee(call.func, function) in _QUIET_ROLES:
            return NONE
        name = last_name(call)
        if isinstance(call.func, code.Attribute) or (isinstance(call.func, code.Global) and "." in call.func.text):
            if name in _RAISED_BY_METHOD:
                return Errors(frozenset(_RAISED_BY_METHOD[name]))
            is_method = isinstance(call.func, code.Attribute)
            if name in LOGGING or (is_method and name in HARMLESS_METHODS | LOOP_DEFERS):
                return NONE
        return ANY

    def _made(self, path: str) -> Errors:
        """What making an object of a class of the program may raise."""
        program = self.study.program
        if any(each not in program.classes and not each.startswith(_BASES) for each in program.ancestors(path)):
            return ANY
        names = ("__init__", "__new__", "__post_init__")
        found = self._functions(tuple(found for name in names if (found := program.method(path, name))))
        is_enum = any(each.startswith("enum.") for each in program.ancestors(path))
        return found | Errors(frozenset({"builtins.ValueError"})) if is_enum else found

    def _functions(self, functions: tuple[code.Function, ...]) -> Errors:
        found = NONE
        for each in functions:
            if each.qualname not in self.seen:
                self.seen.add(each.qualname)
                found |= self.block(each.body, each, NONE)
        return found


@remembered
def _raisers(root: object, function: code.Function, study: Study) -> tuple[Expr, ...]:
    """The expressions in a place that may raise: not the calls that only make what is awaited or run elsewhere."""
    nodes = list(walk(root, (code.Await, code.Call, code.Subscript, code.Comprehension)))
    made = {id(node.value) for node in nodes if isinstance(node, code.Await)}
    for node in nodes:
        if isinstance(node, code.Call) and consumes(node.func, function, study.kinds):
            made |= {id(argument) for argument in (*node.args, *(keyword.value for keyword in node.keywords))}
    return tuple(node for node in nodes if not isinstance(node, code.Call) or id(node) not in made)


def _is_handler_name(name: str, function: code.Function) -> bool:
    return any(handler.name == name for each in walk(function.body, code.Try) for handler in each.handlers)


def _gives_errors_back(awaited: Expr) -> bool:
    """Whether a wait returns what its tasks raise: `gather(..., return_exceptions=True)`, `wait`."""
    if not isinstance(awaited, code.Call):
        return False
    return _is_wait(awaited) or any(keyword.name == "return_exceptions" for keyword in awaited.keywords)


def _is_wait(awaited: Expr) -> bool:
    return path_of(awaited) == "asyncio.wait"


def _is_wait_for(awaited: Expr) -> bool:
    return isinstance(awaited, code.Call) and last_name(awaited) == "wait_for"
