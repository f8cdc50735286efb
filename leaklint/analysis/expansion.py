"""Which further files of a program matter: found by words, before any function is run.

A function is *relevant* when it mentions a spawn, a function that may return a handle, or an attribute that may keep
one. What relevant functions pass handles to is read, and the bases of their classes; so is every file that may call a
function which returns a handle, reach an attribute that keeps one, or make an object that does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.interpreter.frame import handle_words
from leaklint.analysis.kinds import last_name, selves
from leaklint.analysis.linking import Names
from leaklint.analysis.resolve import plain
from leaklint.catalog import ADDING, LOOP_SPAWNS, Catalog, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.facts import ModuleFacts
from leaklint.model.walk import walk

Needle = tuple[str, ...]
"""Words that all occur in a file."""


class Wanted(NamedTuple):
    """What is to be read next."""

    names: frozenset[str]
    """The modules of which the names are wanted."""
    facts: frozenset[str]
    """The modules that are wanted whole."""
    needles: frozenset[Needle]
    """A file in which one of them occurs is wanted whole."""


class Expansion:
    """Grows as modules are added; `wanted` tells what they ask for."""

    def __init__(self, names: Names, catalog: Catalog) -> None:
        """`names` must be told of every module that is added."""
        self._names = names
        self._catalog = catalog
        self._spawners: set[str] = set()
        """What starts a task or may return its handle: dotted paths of functions, and names of methods."""
        self._words = set(catalog.handle_names)
        self._needles: set[Needle] = set()
        self._asked: set[tuple[str, str]] = set()
        """Paths of functions and bases that are wanted whole, each with the module that writes it."""
        self._types: set[tuple[str, str]] = set()
        """Paths of classes whose definitions are to be found."""
        self._waiting: list[tuple[ModuleFacts, code.Function]] = []

    def add(self, facts: ModuleFacts) -> None:
        """One more module has been read whole."""
        self._waiting += [(facts, function) for function in facts.functions]

    def wanted(self) -> Wanted:
        """What the modules that were added so far ask for."""
        size = -1
        while size != len(self._words):
            size = len(self._words)
            waiting, self._waiting = self._waiting, []
            for facts, function in waiting:
                if function.words.isdisjoint(self._words):
                    self._waiting.append((facts, function))
                else:
                    self._learn(facts, function)
                    self._rename(facts, function)
        return self._resolved()

    def _resolved(self) -> Wanted:
        names: set[str] = set()
        facts: set[str] = set()
        for path, module in self._asked | self._types:
            target = self._names.target(path, module)
            if target.unread is not None:
                names.add(target.unread)
            elif (path, module) not in self._asked:
                continue
            elif (home := self._names.module_of(target.path)) is not None:
                facts.add(home)
        return Wanted(frozenset(names), frozenset(facts), frozenset(self._needles))

    def _learn(self, facts: ModuleFacts, function: code.Function) -> None:
        """What a relevant function does with the handles of its spawns, and what it asks for."""
        held: set[str] = set()
        for call in walk(function.body, code.Call):
            if self._may_give(call, facts.module):
                names = handle_words(function, call)
                held |= names
                self._keep(_attributes_of(function, names), function)
                self._keep_globally(_globals_of(function, call, names), facts.module)
                if _returns(function, call, names) and function.kind == "function" and function.name[:2] != "__":
                    self._spawners.add(function.name if function.owner else function.qualname)
                    self._words.add(function.name)
                    self._needles.add((_called(function),))
        self._ask(facts, function, held)

    def _rename(self, facts: ModuleFacts, function: code.Function) -> None:
        """What a function that may return a handle is assigned to, as it is or as a partial."""
        for statement in walk(function.body, code.Assign):
            value = plain(statement.value)
            if isinstance(value, code.Global):
                target = self._names.target(value.path, facts.module)
                known = target.path in self._spawners or bool({*target.attributes[-1:]} & self._spawners)
            else:
                known = isinstance(value, code.Attribute) and value.attr in self._spawners
            for each in statement.targets if known else ():
                self._spawners.add(each.path if isinstance(each, code.Global) else last_name(each))
                self._words.add(last_name(each))
                self._needles.add((f"{last_name(each)}(",))

    def _may_give(self, call: code.Call, module: str) -> bool:
        """Whether a call may start a task or return a handle."""
        match call.func:
            case code.Global(path=path):
                target = self._names.target(path, module)
                if self._catalog.role(target.path) is Role.SPAWN or target.path in self._spawners:
                    return True
                return bool(target.attributes) and target.attributes[-1] in LOOP_SPAWNS | self._spawners
            case code.Attribute(attr=attr) | code.Name(id=attr):
                return attr in LOOP_SPAWNS | self._spawners
        return False

    def _keep(self, attributes: Iterator[code.Attribute], function: code.Function) -> None:
        owner = (function.owner or "").rpartition(".")[2]
        itself = selves(function)
        for attribute in attributes:
            self._words.add(attribute.attr)
            if owner and isinstance(attribute.value, code.Name) and attribute.value.id in itself:
                self._needles |= {(f".{attribute.attr}", owner), (f"{owner}(",), (f"{owner}.",)}
            else:
                self._needles.add((f".{attribute.attr}",))

    def _keep_globally(self, paths: Iterator[str], module: str) -> None:
        for path in paths:
            holder, _, name = self._names.target(path, module).path.rpartition(".")
            self._words.add(name)
            self._needles.add((name, holder.rpartition(".")[2]))

    def _ask(self, facts: ModuleFacts, function: code.Function, held: set[str]) -> None:
        """The functions that are given a handle, the classes of receivers, and the bases of the class around."""
        module = facts.module
        words = {path for param in function.params for path in _paths_in(param.annotation)} | function.words
        for scope in facts.classes:
            if function.qualname.startswith(f"{scope.qualname}."):
                self._asked |= {(base.path, module) for base in walk(scope.bases, code.Global)}
                makers = (method.words for method in scope.methods if method.name == "__init__")
                words = words.union(scope.body.words, *makers)
        self._types |= {(word, module) for word in words if word.rpartition(".")[2][:1].isupper() and "." in word}
        held = held | self._words
        for call in walk(function.body, code.Call):
            callee = call.func
            if isinstance(callee, code.Global):
                given = (*call.args, *(keyword.value for keyword in call.keywords))
                if last_name(callee) in self._words or any(_word(node) in held for node in walk(given, _NAMES)):
                    self._asked.add((callee.path, module))


_NAMES = (code.Name, code.Attribute, code.Call)


def _word(node: Expr) -> str:
    return node.id if isinstance(node, code.Name) else last_name(node)


def _paths_in(annotation: Expr | None) -> Iterator[str]:
    return (node.path for node in walk(annotation, code.Global))


def _called(function: code.Function) -> str:
    """How a function is written where it is used."""
    is_property = any("property" in last_name(decorator) for decorator in function.decorators)
    return f".{function.name}" if is_property else f"{function.name}("


def _attributes_of(function: code.Function, names: set[str]) -> Iterator[code.Attribute]:
    """The attributes in which a function keeps the handle that goes to these names and attributes."""
    for node in walk(function.body, (code.Assign, code.Call)):
        match node:
            case code.Assign(targets=targets, value=value) if value is not None:
                for target in walk(targets, code.Attribute):
                    if target.attr in names or any(_word(part) in names for part in _flowing(value)):
                        yield target
            case code.Call(func=code.Attribute(value=code.Attribute() as kept, attr=method), args=args):
                given = any(_word(part) in names for arg in args for part in _flowing(arg))
                if method in ADDING and (given or kept.attr in names):
                    yield kept


def _globals_of(function: code.Function, spawn: code.Call, names: set[str]) -> Iterator[str]:
    """The dotted paths of the variables and class attributes in which a function keeps the handle."""
    for node in walk(function.body, (code.Assign, code.Call)):
        match node:
            case code.Assign(targets=targets, value=value) if value is not None:
                if any(part is spawn or _word(part) in names for part in _flowing(value)):
                    yield from (target.path for target in walk(targets, code.Global))
            case code.Call(func=code.Global(path=path), args=args):
                holder, _, method = path.rpartition(".")
                if method in ADDING and any(p is spawn or _word(p) in names for arg in args for p in _flowing(arg)):
                    yield holder
            case code.Call(func=code.Attribute(value=code.Global(path=path), attr=method), args=args):
                if method in ADDING and any(p is spawn or _word(p) in names for arg in args for p in _flowing(arg)):
                    yield path


def _returns(function: code.Function, spawn: code.Call, names: set[str]) -> bool:
    """Whether a function may return the handle."""
    returned = (statement.value for statement in walk(function.body, code.Return) if statement.value is not None)
    return any(part is spawn or _word(part) in names for value in returned for part in _flowing(value))


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
        case code.Boolean(values=values):
            inner = values
        case code.Call(args=args, keywords=keywords) if last_name(expr)[:1].isupper():
            inner = (*args, *(keyword.value for keyword in keywords))  # an object that is given it
        case _:
            inner = ()
    for part in inner:
        yield from _flowing(part)
