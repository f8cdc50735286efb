"""Which further files of a program matter: found by words, before any function is run.

A function is *relevant* when it mentions a spawn, a function that may return a handle, or an attribute that may keep
one. What relevant functions pass handles to is read, and the bases of their classes; so is every file that may call a
function which returns a handle, reach an attribute that keeps one, or make an object that does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.analysis.interpreter.words import handle_words
from leaklint.analysis.kinds import last_name, selves
from leaklint.analysis.linking import Names, tree_of
from leaklint.analysis.resolve import plain
from leaklint.catalog import ADDING, HARMLESS_METHODS, LOOP_SPAWNS, Catalog, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.facts import ModuleFacts
from leaklint.model.walk import walk

Needle = tuple[str, ...]
"""Words that all occur in a file, and the top-level package whose files, and those that import it, are meant."""


_Node = code.Call | code.Assign | code.Return


class Wanted(NamedTuple):
    """What is to be read next."""

    names: frozenset[str]
    """The modules of which the names are wanted."""
    facts: frozenset[str]
    """The modules that are wanted whole."""
    needles: frozenset[Needle]
    """A file in which one of them occurs is wanted whole."""


@dataclass(slots=True)
class _Known:
    """What is known of a top-level package."""

    words: set[str] = field(default_factory=set)
    """A function that mentions one of them is relevant."""
    spawners: set[str] = field(default_factory=set)
    """What may return a handle: dotted paths of functions, and names of methods."""
    needles: set[Needle] = field(default_factory=set)


class Expansion:
    """Grows as modules are added; `wanted` tells what they ask for."""

    def __init__(self, names: Names, catalog: Catalog) -> None:
        """`names` must be told of every module that is added."""
        self._names = names
        self._catalog = catalog
        self._known: dict[str, _Known] = defaultdict(_Known)
        self._asked: set[tuple[str, str]] = set()
        """Paths of functions and bases that are wanted whole, each with the module that writes it."""
        self._types: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """By name, the paths of classes that relevant functions mention."""
        self._owners: set[str] = set()
        """The names of the classes with relevant methods."""
        self._new: list[_Scope] = []
        self._waiting: list[_Scope] = []
        """Functions that were not relevant when they were last looked at."""
        self._size = 0
        """The number of words when that was."""

    def add(self, facts: ModuleFacts) -> None:
        """One more module has been read whole."""
        seen = [self._known[tree] for tree in sorted(self._names.trees(facts))]
        own = self._known[tree_of(facts.module)]
        self._new += [_Scope(facts, function, own, seen) for function in facts.functions]

    def wanted(self) -> Wanted:
        """What the modules that were added so far ask for."""
        while self._new:
            for scope in self._new:
                if scope.is_relevant(self._catalog.handle_names):
                    self._learn(scope)
                else:
                    self._waiting.append(scope)
            self._new = []
            size = sum(len(known.words) for known in self._known.values())
            if size != self._size:
                self._size = size
                self._new, self._waiting = self._waiting, []
        return self._resolved()

    def _resolved(self) -> Wanted:
        names: set[str] = set()
        facts: set[str] = set()
        types = (asked for name in sorted(self._owners) for asked in self._types.get(name, ()))
        for path, module in self._asked.union(types):
            target = self._names.target(path, module)
            if target.unread is not None:
                names.add(target.unread)
            elif (path, module) not in self._asked:
                continue
            elif (home := self._names.module_of(target.path)) is not None:
                facts.add(home)
        needles = {(*needle, tree) for tree, known in self._known.items() for needle in known.needles}
        return Wanted(frozenset(names), frozenset(facts), frozenset(needles))

    def _learn(self, scope: _Scope) -> None:
        """What a relevant function does with the handles of its spawns, and what it asks for."""
        function, own = scope.function, scope.own
        nodes = list(walk(function.body, (code.Call, code.Assign, code.Return)))
        calls = [node for node in nodes if isinstance(node, code.Call)]
        spawns = [call for call in calls if self._may_give(call, scope)]
        held = handle_words(function, *spawns) if spawns else set()
        if spawns:
            gives = _Gives(frozenset(map(id, spawns)), held)
            _keep(_attributes_of(nodes, gives), function, own)
            self._keep_globally(_globals_of(nodes, gives), scope)
            if _returns(nodes, gives) and function.kind == "function" and function.name[:2] != "__":
                own.spawners.add(function.name if function.owner else function.qualname)
                own.words.add(function.name)
                own.needles.add((_called(function),))
        self._ask(scope, calls, held)
        self._rename(scope, nodes)

    def _rename(self, scope: _Scope, nodes: list[_Node]) -> None:
        """What a function that may return a handle is assigned to, as it is or as a partial, for others to call."""
        if scope.function.kind == "function" and scope.function.name != "__init__":
            return
        for statement in nodes:
            if not isinstance(statement, code.Assign):
                continue
            value = plain(statement.value)
            given = isinstance(value, code.Global | code.Attribute) and self._gives(value, scope, frozenset())
            for each in statement.targets if given else ():
                scope.own.spawners.add(each.path if isinstance(each, code.Global) else last_name(each))
                scope.own.words.add(last_name(each))
                scope.own.needles.add((f"{last_name(each)}(",))

    def _may_give(self, call: code.Call, scope: _Scope) -> bool:
        """Whether a call may start a task or return a handle."""
        return self._gives(call.func, scope, LOOP_SPAWNS)

    def _gives(self, callee: Expr, scope: _Scope, methods: frozenset[str]) -> bool:
        match callee:
            case code.Global(path=path):
                target = self._names.target(path, scope.facts.module)
                if self._catalog.role(target.path) is Role.SPAWN or scope.knows(target.path):
                    return True
                return any(name in methods or scope.knows(name) for name in target.attributes[-1:])
            case code.Attribute(attr=attr) | code.Name(id=attr):
                return attr in methods or scope.knows(attr)
        return False

    def _keep_globally(self, paths: Iterator[str], scope: _Scope) -> None:
        for path in paths:
            holder, _, name = self._names.target(path, scope.facts.module).path.rpartition(".")
            scope.own.words.add(name)
            scope.own.needles.add((name, holder.rpartition(".")[2]))

    def _ask(self, scope: _Scope, calls: list[code.Call], held: set[str]) -> None:
        """The functions that are given a handle, the classes of receivers, and the bases of the class around."""
        function, module = scope.function, scope.facts.module
        words = {path for param in function.params for path in _paths_in(param.annotation)} | function.words
        for around in scope.facts.classes:
            if function.qualname.startswith(f"{around.qualname}."):
                self._asked |= {(base.path, module) for base in walk(around.bases, code.Global)}
                makers = (method.words for method in around.methods if method.name == "__init__")
                words = words.union(around.body.words, *makers)
        for word in words:
            if "." in word and (name := word.rpartition(".")[2])[:1].isupper():
                self._types[name].add((word, module))
        if function.owner:
            self._owners.add(function.owner.rpartition(".")[2])
        for call in calls:
            callee = call.func
            if isinstance(callee, code.Global) and self._names.is_inside(callee.path, module):
                given = (*call.args, *(keyword.value for keyword in call.keywords))
                words = {_word(node) for node in walk(given, _NAMES)}
                passes = not words.isdisjoint(held | self._catalog.handle_names) or any(map(scope.mentions, words))
                if passes or scope.mentions(last_name(callee)):
                    self._asked.add((callee.path, module))
            elif _is_given(call, held):
                scope.own.needles.add((f"def {last_name(callee)}(",))


class _Scope(NamedTuple):
    """A function, what is known of its top-level package, and of all those that it can know of."""

    facts: ModuleFacts
    function: code.Function
    own: _Known
    seen: list[_Known]

    def is_relevant(self, spawns: frozenset[str]) -> bool:
        words = self.function.words
        return not words.isdisjoint(spawns) or any(not words.isdisjoint(known.words) for known in self.seen)

    def mentions(self, word: str) -> bool:
        """Whether a word makes functions relevant here."""
        return any(word in known.words for known in self.seen)

    def knows(self, spawner: str) -> bool:
        """Whether something may return a handle."""
        return any(spawner in known.spawners for known in self.seen)


def _keep(attributes: Iterator[code.Attribute], function: code.Function, known: _Known) -> None:
    owner = (function.owner or "").rpartition(".")[2]
    itself = selves(function)
    for attribute in attributes:
        known.words.add(attribute.attr)
        if owner and isinstance(attribute.value, code.Name) and attribute.value.id in itself:
            known.needles |= {(owner, f".{attribute.attr}"), (owner, f"{owner}("), (owner, f"{owner}.")}
        else:
            known.needles.add((f".{attribute.attr}",))


_EVERYWHERE = ADDING | HARMLESS_METHODS
"""Methods of the builtin containers and of asyncio, which no class of the program has to define."""
_NAMES = (code.Name, code.Attribute, code.Call)


def _is_given(call: code.Call, held: set[str]) -> bool:
    """Whether a handle is passed to a method that a class of the program may define."""
    if not isinstance(call.func, code.Attribute) or call.func.attr in _EVERYWHERE:
        return False
    return any(_word(node) in held for node in walk(call.args, _NAMES))


def _word(node: Expr) -> str:
    return node.id if isinstance(node, code.Name) else last_name(node)


def _paths_in(annotation: Expr | None) -> Iterator[str]:
    return (node.path for node in walk(annotation, code.Global))


def _called(function: code.Function) -> str:
    """How a function is written where it is used."""
    is_property = any("property" in last_name(decorator) for decorator in function.decorators)
    return f".{function.name}" if is_property else f"{function.name}("


class _Gives(NamedTuple):
    """The expressions of a function that may give a handle."""

    spawns: frozenset[int]
    """The `id`s of calls."""
    names: set[str]
    """Names and attributes."""

    def __call__(self, *exprs: Expr) -> bool:
        """Whether one of the expressions may be, or hold, a handle."""
        return any(id(p) in self.spawns or _word(p) in self.names for expr in exprs for p in _flowing(expr))


def _attributes_of(nodes: list[_Node], gives: _Gives) -> Iterator[code.Attribute]:
    """The attributes in which a function keeps a handle."""
    for node in nodes:
        match node:
            case code.Assign(targets=targets, value=value) if value is not None:
                attributes = list(walk(targets, code.Attribute))
                if attributes and gives(value):
                    yield from attributes
            case code.Call(func=code.Attribute(value=code.Attribute() as kept, attr=method), args=args):
                if method in ADDING and gives(*args):
                    yield kept


def _globals_of(nodes: list[_Node], gives: _Gives) -> Iterator[str]:
    """The dotted paths of the variables and class attributes in which a function keeps a handle."""
    for node in nodes:
        match node:
            case code.Assign(targets=targets, value=value) if value is not None:
                paths = [target.path for target in walk(targets, code.Global)]
                if paths and gives(value):
                    yield from paths
            case code.Call(func=code.Global(path=path), args=args):
                holder, _, method = path.rpartition(".")
                if method in ADDING and gives(*args):
                    yield holder
            case code.Call(func=code.Attribute(value=code.Global(path=path), attr=method), args=args):
                if method in ADDING and gives(*args):
                    yield path


def _returns(nodes: list[_Node], gives: _Gives) -> bool:
    """Whether a function may return a handle."""
    return any(isinstance(node, code.Return) and node.value is not None and gives(node.value) for node in nodes)


def _flowing(expr: Expr) -> Iterator[Expr]:
    """The expressions whose value, or whose elements, an expression may give."""
    yield expr
    match expr:
        case code.Display(items=items):
            inner: tuple[Expr, ...] = items
        case code.Comprehension(element=element):
            inner = (element,)
        case code.Conditional(then=then, orelse=orelse):
            inner = (then, orelse)
        case code.Walrus(value=value) | code.Starred(value=value) | code.Subscript(value=value):
            inner = (value,)
        case code.Await(value=code.Call() as called):
            inner = (called,)
        case code.Boolean(values=values):
            inner = values
        case code.Call(args=args, keywords=keywords) if last_name(expr)[:1].isupper():
            inner = (*args, *(keyword.value for keyword in keywords))  # an object that is given it
        case _:
            inner = ()
    for part in inner:
        yield from _flowing(part)
