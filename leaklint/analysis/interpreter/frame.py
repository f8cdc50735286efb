"""The activation of one function that the interpreter runs: where its names lead, and what it knows around it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

from leaklint.analysis.interpreter.state import (
    CELL,
    GLOBAL,
    Exits,
    Flow,
    Holder,
    Place,
    Ref,
    Result,
    State,
    Trail,
    Value,
    Waiter,
    Way,
    field_owner,
    local,
)
from leaklint.analysis.interpreter.state import field as field_place
from leaklint.analysis.interpreter.words import atoms, flowing, handle_words, key_of, named, outcomes_of
from leaklint.analysis.kinds import Kinds
from leaklint.analysis.outcomes import Outcomes
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import is_property
from leaklint.analysis.sites import Site
from leaklint.catalog import ADDING, ALTERING, CONTAINER_TYPES, Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Step
from leaklint.model.walk import text, walk

DEEPEST_CALL = 4
MOST_STATES = 150
"""More states than this at one point are given up as unknown."""


class Engine(Protocol):
    """The interpreter itself, as the modules below it see it: evaluating and running call each other."""

    def evaluate(self, expr: Expr, state: State, trail: Trail, frame: Frame, *, consumed: bool = False) -> list[Result]:
        """The outcomes of an expression."""

    def wait(self, waiter: Waiter, point: Result, span: Span, frame: Frame) -> list[Result]:
        """The outcomes of awaiting something that waits for the task."""

    def run_block(self, block: code.Block, flow: Flow, frame: Frame) -> Flow:
        """The states at the end of a block."""

    def run_function(self, frame: Frame, state: State, trail: Trail) -> Exits:
        """The exits of a function."""


Values = tuple[Value | None, ...]


class Outside(NamedTuple):
    """How a function is looked at that finds the task kept at a place when it is entered."""

    place: Place
    spawner: str
    """The function that keeps the next one there when it is called, by its qualified name."""
    guesses: bool = False
    """An attribute that is read by a name which is not known is taken for that place."""


class Entry(NamedTuple):
    """A function that is called, and how: the exits depend on nothing else."""

    function: str
    state: State
    sticky: Place | None
    outside: Outside | None


@dataclass
class Shared:
    """What all frames of one analysis have in common."""

    program: Program
    kinds: Kinds
    engine: Engine
    memo: dict[Entry, Exits | None] = field(default_factory=dict)
    running: dict[Entry, Exits] = field(default_factory=dict)
    """The exits found so far of functions that are being run."""
    turned_back: set[Entry] = field(default_factory=set)
    """Those of them that were called again meanwhile."""
    births: dict[tuple[Site, frozenset[tuple[str, bool]]], Exits] = field(default_factory=dict)
    """The exits of functions that return the task, by the site in them and by what is known of their arguments."""
    overflow: bool = False
    """Set when a function had too many states to follow them all."""

    @cached_property
    def outcomes(self) -> Outcomes:
        """What the functions of the program can do."""
        return Outcomes(self.kinds)

    @cached_property
    def properties(self) -> frozenset[str]:
        """The names of the properties of the program."""
        return frozenset(function.name for function in self.program.functions.values() if is_property(function))


@dataclass
class Frame:
    shared: Shared
    function: code.Function
    site: Site | None = None
    """What gives the followed task: a spawn, or a call that returns one; None when it comes from outside."""
    received: set[Place] = field(default_factory=set)
    """Where the function that returned the task had kept it before."""
    sticky: Place | None = None
    """A place that keeps the task whatever is stored there: a variable of a function that is looked at from outside, or
    where the function that spawns the task keeps the next one."""
    outside: Outside | None = None
    stack: tuple[str, ...] = ()
    exits: Exits = field(default_factory=Exits)
    caught: Way = Way.EXCEPTION
    """What a bare `raise` raises again."""

    @property
    def spawn(self) -> Expr | None:
        """The expression that gives the task."""
        return self.site.node if self.site else None

    @cached_property
    def path(self) -> str:
        return self.shared.program.paths.get(self.function.qualname, "")

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The conditions whose outcomes are remembered along a path: tested more than once, and one of the tests
        decides about the task.
        """
        if self.spawn is None:
            return frozenset()
        tests: Counter[str] = Counter()
        deciding: set[str] = set()
        words = handle_words(self.function, self.spawn)
        for node in walk(self.function.body, (code.If, code.Conditional, code.Assert)):
            found = [b.test for b in node.branches] if isinstance(node, code.If) else [node.test]
            conditions = [text(atom) for test in found for atom in atoms(test)]
            tests.update(conditions)
            if not deciding.issuperset(conditions) and self._decides(node, words):
                deciding.update(conditions)
        flags = {
            target.id
            for node in walk(self.function.body, code.Assign)
            if isinstance(node.value, code.Constant)
            for target in node.targets
            if isinstance(target, code.Name)
        }
        settled = deciding - self._changing
        often = {condition for condition, times in tests.items() if times > 1 or condition.split(" ")[0] in flags}
        return frozenset(condition for condition in often & settled if "..." not in condition)

    @property
    def _changing(self) -> set[str]:
        """Conditions that change without an assignment: those of loops, and the containers that the function alters."""
        loops = {text(atom) for loop in walk(self.function.body, code.While) for atom in atoms(loop.test)}
        altered = {
            text(call.func.value)
            for call in walk(self.function.body, code.Call)
            if isinstance(call.func, code.Attribute) and call.func.attr in ALTERING
        }
        return loops | altered

    def _decides(self, node: code.If | code.Conditional | code.Assert, words: set[str]) -> bool:
        """Whether a statement holds the spawn, or something that is named like what holds its handle."""
        return any(
            inner is self.spawn
            or (isinstance(inner, code.Name) and inner.id in words)
            or (isinstance(inner, code.Attribute) and inner.attr in words)
            for inner in walk(node, (code.Call, code.Await, code.Name, code.Attribute))
        )

    @cached_property
    def cancelled(self) -> frozenset[str]:
        """What this function calls `cancel()` on, as it is written."""
        receivers = (call.func for call in walk(self.function.body, code.Call))
        return frozenset(text(f.value) for f in receivers if isinstance(f, code.Attribute) and f.attr == "cancel")

    @cached_property
    def carriers(self) -> frozenset[str]:
        """The names of this function that may come to hold the task."""
        found = handle_words(self.function, self.spawn) if self.spawn is not None else set()
        sources: list[tuple[set[str], set[str]]] = []
        for node in walk(self.function.body, (code.Assign, code.Augment, code.Walrus, code.For)):
            targets = node.targets if isinstance(node, code.Assign) else node.target
            value = node.iterable if isinstance(node, code.For) else node.value
            sources.append((set(named(targets)), set(flowing(value))))
        clauses = walk(self.function.body, code.Clause)
        sources += [(set(named(clause.target)), set(flowing(clause.iterable))) for clause in clauses]
        for call in walk(self.function.body, code.Call):
            match call.func:
                case code.Attribute(value=code.Name(id=name), attr=attr) if attr in ADDING:
                    sources.append(({name}, set(flowing(call.args))))
        growing = True
        while growing:
            size = len(found)
            for receiving, giving in sources:
                if not found.isdisjoint(giving):
                    found |= receiving
            growing = len(found) > size
        return frozenset(found)

    def shares(self, function: code.Function) -> bool:
        """Whether a nested function shares a variable with this one that may hold the task."""
        if self.spawn is None:
            return bool(function.free_names)
        return not self.carriers.isdisjoint(function.free_names)

    @cached_property
    def filled(self) -> frozenset[str]:
        """The names through which this function puts something into a container."""
        found: set[str] = set()
        for node in walk(self.function.body, (code.Call, code.Assign, code.Augment)):
            match node:
                case code.Call(func=code.Attribute(value=code.Name(id=name), attr=attr)):
                    if attr in ADDING or attr == "setdefault":
                        found.add(name)
                case code.Assign(targets=targets):
                    found.update(
                        t.value.id for t in targets if isinstance(t, code.Subscript) and isinstance(t.value, code.Name)
                    )
                case code.Augment(target=code.Name(id=name)):
                    found.add(name)
        return frozenset(found)

    @property
    def title(self) -> str:
        """The function, as the evidence calls it."""
        named = {"lambda": "the lambda", "module": "the module", "class": "the class body"}
        return named.get(self.function.kind, f"`{self.function.name}`")

    def step(self, span: Span, message: str) -> Step:
        return Step(self.path, span, message)

    def act(self, span: Span, verb: str) -> Step:
        """A step of the evidence that says what this function does."""
        return Step(self.path, span, f"{self.title} {verb}")

    # -- evaluating ----------------------------------------------------------------------------------------------

    def evaluate(self, expr: Expr, state: State, trail: Trail, *, consumed: bool = False) -> list[Result]:
        """The outcomes of an expression. `consumed` says that what it returns is awaited or spawned at once, so that a
        call only makes a coroutine and cannot fail by itself.
        """
        return self.shared.engine.evaluate(expr, state, trail, self, consumed=consumed)

    def evaluate_all(self, exprs: Sequence[Expr], state: State, trail: Trail) -> list[tuple[State, Trail, Values]]:
        """The outcomes of several expressions, one after the other."""
        points: list[tuple[State, Trail, list[Value | None]]] = [(state, trail, [])]
        for expr in exprs:
            following = []
            for s, t, values in points:
                results = self.evaluate(expr, s, t)
                following += [(r.state, r.trail, [*values, r.value]) for r in results[:-1]]
                for last in results[-1:]:  # usually the only outcome: its list goes on, uncopied
                    values.append(last.value)
                    following.append((last.state, last.trail, values))
            points = following
        return [(s, t, tuple(values)) for s, t, values in points]

    def wait(self, waiter: Waiter, point: Result, span: Span) -> list[Result]:
        """The outcomes of awaiting something that waits for the task."""
        return self.shared.engine.wait(waiter, point, span, self)

    def run_block(self, block: code.Block, flow: Flow) -> Flow:
        """The states at the end of a block; its other exits go to `exits`."""
        return self.shared.engine.run_block(block, flow, self)

    def run(self, state: State, trail: Trail) -> Exits:
        """The exits of the function."""
        return self.shared.engine.run_function(self, state, trail)

    def kind(self, expr: Expr) -> str | None:
        return self.shared.kinds.of(expr, self.function)

    def role(self, expr: Expr) -> Role | None:
        """The catalogue's word on a callee that leads to a dotted path."""
        return self.shared.kinds.role_of(expr.path) if isinstance(expr, code.Global) else None

    # -- places --------------------------------------------------------------------------------------------------

    def name_place(self, name: str) -> Place:
        return local(name) if name in self.function.local_names else Place(CELL, name)

    def place(self, expr: Expr, state: State) -> Place | None:
        """Where the value of an expression is kept, if it is a place at all."""
        match expr:
            case code.Name(id=name):
                value = state.get(self.name_place(name))
                return value.place if isinstance(value, Ref) else self.name_place(name)
            case code.Global(path=path):
                return self.global_place(path, state)
            case code.Attribute(value=value, attr=attr):
                return self.find_field(field_place(self.kind(value), attr), state)
            case code.Subscript(value=code.Name(id=name), index=index) if self.is_foreign(name) and key_of(index):
                return self.find_field(field_place(self.kind(expr.value), f"[{key_of(index)}]"), state)
            case code.Subscript(value=value):
                return self.place(value, state)
        return None

    def is_foreign(self, name: str) -> bool:
        """Whether a name is a parameter that nothing says to be a container of the function's own."""
        return any(param.name == name for param in self.function.params)

    def is_own_container(self, expr: Expr) -> bool:
        """Whether a local name is bound to a container that the function itself makes."""
        if not isinstance(expr, code.Name) or self.is_foreign(expr.id):
            return False
        kind = self.kind(expr)
        return kind is not None and (kind in CONTAINER_TYPES or kind.startswith(("builtins.", "asyncio.")))

    def global_place(self, path: str, state: State) -> Place:
        prefix, _, attr = path.rpartition(".")
        if prefix in self.shared.program.scopes and self.shared.program.scopes[prefix].kind != "module":
            return self.find_field(field_place(prefix, attr), state)  # an attribute of a class
        return Place(GLOBAL, path)

    def find_field(self, place: Place, state: State) -> Place:
        """The field under which the state knows this one: the classes may be related, or one of them unknown."""
        known = [at for at, _ in state.env if at.name == place.name and at.scope.startswith("field")]
        if not known or place in known:
            return place
        return min((at for at in known if self.may_be_same(at, place)), default=place)

    def may_be_same(self, one: Place, other: Place) -> bool:
        first, second = field_owner(one), field_owner(other)
        if first is None or second is None or first == second:
            return True
        program = self.shared.program
        return second in program.family(first)

    # -- exits ---------------------------------------------------------------------------------------------------

    def leave(self, way: Way, state: State, trail: Trail, span: Span, raised: str = "") -> None:
        self.exits.add(way, state, trail, span, raised)

    @contextmanager
    def catching(self) -> Iterator[Exits]:
        """Collects the exits of what runs within, instead of letting them leave."""
        outer, self.exits = self.exits, Exits()
        try:
            yield self.exits
        finally:
            self.exits = outer


def is_under_another_key(value: Value | None, index: Expr) -> bool:
    """Whether a mapping holds the task, but not under this key."""
    asked = key_of(index)
    return isinstance(value, Holder) and None not in (value.key, asked) and value.key != asked


def bind(state: State, place: Place, value: Value | None) -> State:
    """Stores a value; conditions on that name are open again."""
    state = state.set(place, value)
    kept = frozenset(entry for entry in state.assumed if place.name not in re.split(r"\W+", entry[0]))
    return state if len(kept) == len(state.assumed) else replace(state, assumed=kept)


def assume_value(target: Expr, value: Expr, state: State, frame: Frame) -> State:
    """`started = True`, `conn = None`: what the conditions on that name will be."""
    if not isinstance(target, code.Name) or not isinstance(value, code.Constant) or value.value is ...:
        return state
    known = {outcome for outcome in outcomes_of(target.id, value.value) if outcome[0] in frame.repeated}
    return replace(state, assumed=state.assumed | known) if known else state
