"""What becomes of a function, or of a coroutine of it, that a scope mentions: where it comes out, as far as that can be
followed through names, parameters and lambdas.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from leaklint.analysis.kinds import last_name, path_of, receiver
from leaklint.analysis.resolve import resolved
from leaklint.catalog import LOOP_RUNS, Role
from leaklint.fixing.hazards.callees import targets
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

_MOST = 60
"""So many expressions are looked at; what has got around more is lost."""
_SPAWNS = frozenset({Role.SPAWN, Role.SPAWN_KEPT, Role.SPAWN_OWNED, Role.SPAWN_DROPPED})
_WAITS = frozenset({Role.GATHER, Role.SHIELD, Role.AS_COMPLETED})
"""What makes a future of coroutines that raises what these do."""
_RUNNING = frozenset({"__await__", "send"})
"""Methods that run a coroutine: https://docs.python.org/3/reference/datamodel.html#coroutine-objects"""


class Guess(Enum):
    """Why a call may reach a function, though that is not known."""

    RECEIVER = "a method of that name is called, of something"
    VALUE = "something is called or awaited that was handed over"


class Site(NamedTuple):
    """A place where a function is called, or mentioned."""

    caller: code.Function
    span: Span
    is_awaited: bool
    """On the spot: what it raises comes out there."""
    guess: Guess | None = None
    """Why it may be none; None if it surely is one."""
    is_handed: bool = False
    """A parameter brings it, from another site, and what it raises goes back there, not to everyone who calls."""
    is_returned: bool = False
    """The coroutine is returned as it is: nothing comes out there."""

    @property
    def is_guessed(self) -> bool:
        """Whether it may be none."""
        return self.guess is not None


class Value(Enum):
    """What is followed."""

    FUNCTION = "called, it gives a coroutine"
    COROUTINE = "awaited, it runs"
    TASK = "it runs; awaited, it gives the outcome"


class Way(NamedTuple):
    """Where a value comes out."""

    sites: tuple[Site, ...] = ()
    """Where it is awaited, or made a task of."""
    lost: frozenset[Value] = frozenset()
    """As what it is stored, or handed to what is not known."""
    is_returned: bool = False
    """The scope returns it as a coroutine, or a task."""


@remembered
def way_of_function(node: Expr, scope: code.Function, study: Study) -> Way:
    """What becomes of a function to which an expression in a scope refers."""
    return _Following(study).run(node, scope, Value.FUNCTION)


@remembered
def way_of_coroutine(node: Expr, scope: code.Function, study: Study) -> Way:
    """What becomes of the coroutine that an expression in a scope gives."""
    return _Following(study).run(node, scope, Value.COROUTINE)


class _Following:
    def __init__(self, study: Study) -> None:
        self.study = study
        self.sites: dict[tuple[str, Span], Site] = {}
        self.lost: set[Value] = set()
        self._home: code.Function | None = None
        self._is_returned = False
        self._seen: set[tuple[int, int, Value]] = set()

    def run(self, node: Expr, scope: code.Function, value: Value) -> Way:
        self._home = scope
        self._follow(node, scope, value)
        return Way(tuple(self.sites.values()), frozenset(self.lost), self._is_returned)

    def _follow(self, node: Expr, scope: code.Function, value: Value) -> None:
        key = (id(node), id(scope), value)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) > _MOST:
            self.lost.add(value)
            return
        outer = _parents(scope.body, scope, self.study).get(id(node))
        match outer:
            case code.Await(span=span) if value is not Value.FUNCTION:
                self._site(scope, span, is_awaited=True)
            case code.Call(func=func) if func is node:
                if value is Value.FUNCTION:
                    self._follow(outer, scope, Value.COROUTINE)
            case code.Call():
                self._argument(node, outer, scope, value)
            case code.Attribute(attr=attr, span=span):
                if attr in _RUNNING:
                    self._site(scope, span, is_awaited=True)
            case code.Assign(targets=targets, value=assigned):
                for target in targets if assigned is node else ():
                    self._bound(target, scope, value)
            case code.Walrus(target=target, value=assigned):
                if assigned is node:
                    self._bound(target, scope, value)
                    self._follow(outer, scope, value)
            case code.For(target=target) | code.Clause(target=target):
                self._bound(target, scope, value)
            case code.Return():
                self._returned(scope, value)
            case code.Starred() | code.Conditional() | code.Boolean() | code.Display() | code.Comprehension():
                self._follow(outer, scope, value)
            case code.Subscript(value=container):
                if container is node:
                    self._follow(outer, scope, value)
            case code.Yield() | code.Opaque() | code.Operation() | code.Augment() | code.Define() | code.Lambda():
                self._lose(value)

    def _lose(self, value: Value) -> None:
        self.lost.add(value)

    def _site(self, scope: code.Function, span: Span, *, is_awaited: bool) -> None:
        site = Site(scope, span, is_awaited, is_handed=scope is not self._home)
        self.sites.setdefault((scope.qualname, span), site)

    # -- names ---------------------------------------------------------------------------------------------------

    def _bound(self, target: Expr, scope: code.Function, value: Value) -> None:
        match target:
            case code.Name(id=name) if scope.kind != "class":
                self._reads(name, scope, value)
            case code.Attribute(value=code.Name(id=name)) if value is Value.TASK and name == receiver(scope):
                pass  # who waits for what `self` keeps is looked up there
            case code.Display(items=items):
                for item in items:
                    self._bound(item, scope, value)
            case code.Starred(value=inner):
                self._bound(inner, scope, value)
            case _:
                self._lose(value)

    def _reads(self, name: str, scope: code.Function, value: Value) -> None:
        """Where a name of a scope is read, there and in what is nested in it."""
        for inner in self.study.program.inside(scope):
            if inner is scope or name in inner.free_names:
                for node in walk(inner.body, code.Name):
                    if node.id == name:
                        self._follow(node, inner, value)

    def _returned(self, scope: code.Function, value: Value) -> None:
        if scope.kind == "lambda" and value is Value.COROUTINE:
            outer = self.study.program.enclosing(scope)
            for node in walk(outer.body, code.Lambda) if outer is not None else ():
                if node.function is scope and outer is not None:
                    self._follow(node, outer, Value.FUNCTION)
        elif value is Value.FUNCTION and scope.kind == "function":
            self._made_by(scope)
        elif value is not Value.FUNCTION:
            self._is_returned = self._is_returned or scope is self._home

    def _made_by(self, maker: code.Function) -> None:
        """A function comes of each call of another one."""
        if maker.name.startswith("__") or maker.decorators:
            self._lose(Value.FUNCTION)
            return
        for scope in self.study.program.mentioning(maker.name, maker.qualname):
            parents = _parents(scope.body, scope, self.study)
            for node in walk(scope.body, (code.Name, code.Global, code.Attribute)):
                if last_name(node) == maker.name and resolved(node, scope, self.study.kinds) in (maker, None):
                    call = parents.get(id(node))
                    if not isinstance(call, code.Call) or call.func is not node:
                        self._lose(Value.FUNCTION)
                        return
                    awaited = parents.get(id(call))
                    is_awaited = maker.is_async and isinstance(awaited, code.Await)
                    self._follow(
                        awaited if is_awaited and isinstance(awaited, code.Await) else call, scope, Value.FUNCTION
                    )

    # -- arguments -----------------------------------------------------------------------------------------------

    def _argument(self, node: Expr, call: code.Call, scope: code.Function, value: Value) -> None:
        kinds, path = self.study.kinds, path_of(call)
        role = kinds.role_of_callee(call.func, scope)
        if role is Role.RUN or (isinstance(call.func, code.Attribute) and call.func.attr in LOOP_RUNS):
            self._site(scope, call.span, is_awaited=True)
        elif role in _SPAWNS or role in _WAITS:
            if value is Value.COROUTINE:
                self._site(scope, span_of(call), is_awaited=False)
            self._follow(call, scope, Value.TASK)
        elif role is Role.WAIT:
            self._site(scope, span_of(call), is_awaited=False)
        elif path is not None and self._is_from_elsewhere(path):
            if self._calls_another(node, call, scope):
                self._lose(value)
            self._follow(call, scope, value)
        elif isinstance(call.func, code.Attribute) and call.func.attr in kinds.catalog.spawn_names:
            self._follow(call, scope, Value.TASK)
        else:
            self._handed(node, call, scope, value)

    def _calls_another(self, node: Expr, call: code.Call, scope: code.Function) -> bool:
        """Whether a library gets something that it may call with the value: `map(attempt, functions)`."""
        others = [each for each in (*call.args, *(keyword.value for keyword in call.keywords)) if each is not node]
        return any(isinstance(each, code.Lambda) or resolved(each, scope, self.study.kinds) for each in others)

    def _is_from_elsewhere(self, path: str) -> bool:
        """Whether a dotted path leads out of the program."""
        root = path.partition(".")[0]
        return all(module.module.partition(".")[0] != root for module in self.study.program.modules)

    def _handed(self, node: Expr, call: code.Call, scope: code.Function, value: Value) -> None:
        """It is an argument of what may be a function or a class of the program."""
        reached = _reached(call, scope, self.study)
        params = [_param(node, call, each) for each in reached or ()]
        if not reached or None in params:
            self._lose(value)
        for each, param in zip(reached or (), params, strict=True):
            if param is not None:
                self._reads(param, each, value)
        # what the function gives back may be the same, or stand for it
        if path_of(call) not in self.study.program.classes:
            self._follow(call, scope, value)


@remembered
def _reached(call: code.Call, scope: code.Function, study: Study) -> tuple[code.Function, ...] | None:
    """The functions of the program that get the arguments of a call; None if others may."""
    path = path_of(call)
    if path in study.program.classes:
        made = study.program.method(path or "", "__init__")
        return (made,) if made is not None else None
    return targets(call.func, scope, study)


def _param(node: Expr, call: code.Call, function: code.Function) -> str | None:
    """The parameter that gets an argument; None if that is not plain to see."""
    for keyword in call.keywords:
        if keyword.value is node:
            return keyword.name if any(each.name == keyword.name for each in function.params) else None
    is_method = isinstance(call.func, code.Attribute) or function.name == "__init__"
    names = [each.name for each in function.params if each.kind == "positional"]
    names = names[1:] if is_method and receiver(function) is not None else names
    rest = next((each.name for each in function.params if each.kind == "*"), None)
    for position, arg in enumerate(call.args):
        if isinstance(arg, code.Starred):
            return None
        if arg is node:
            return names[position] if position < len(names) else rest
    return None


_HOLDING: Any = (
    *(code.Await, code.Call, code.Attribute, code.Subscript, code.Assign, code.Walrus, code.For, code.Return),
    *(code.Starred, code.Display, code.Conditional, code.Boolean, code.Yield, code.Opaque, code.Operation),
    *(code.Augment, code.Define, code.Lambda, code.Comprehension),
)
"""What `_parts` knows."""


@remembered
def _parents(root: object, scope: code.Function, study: Study) -> dict[int, object]:
    """What holds the expressions of a scope, by their `id`."""
    del scope, study
    found: dict[int, object] = {}
    for node in walk(root, _HOLDING):
        for part in _parts(node):
            found[id(part)] = node
    for comprehension in walk(root, code.Comprehension):
        found |= {id(clause.iterable): clause for clause in comprehension.clauses}
    return found


def _parts(node: object) -> Iterator[object]:
    """The expressions that a node holds and that may be what it gives, stores or passes on."""
    match node:
        case code.Await(value=value) | code.Attribute(value=value) | code.Subscript(value=value):
            yield value
        case code.Starred(value=value) | code.Return(value=value) | code.Yield(value=value):
            yield value
        case code.Assign(value=value) | code.Walrus(value=value) | code.Augment(value=value):
            yield value
        case code.Call(func=func, args=args, keywords=keywords):
            yield from (func, *args, *(keyword.value for keyword in keywords))
        case code.For(iterable=iterable):
            yield iterable
        case code.Display(items=items) | code.Boolean(values=items) | code.Opaque(parts=items):
            yield from items
        case code.Operation(operands=items) | code.Define(evaluated=items) | code.Lambda(evaluated=items):
            yield from items
        case code.Conditional(then=then, orelse=orelse):
            yield from (then, orelse)
        case code.Comprehension(element=element):
            yield element
