"""Spawns into a task group that has been left, found by following a function from statement to statement.

A state says which groups have been left on every way to a place; where ways meet, what is not true of all is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name
from leaklint.analysis.scopes.openings import LEAVING
from leaklint.catalog import GROUP_SPAWNS, Role
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Misuse, Pattern, Step
from leaklint.model.walk import text, walk

State = dict[str, Span]
"""The groups that have been left, by the name or attribute that leads to them; each with the place of its end."""

_REOPENING = GROUP_SPAWNS | LEAVING | {"__aenter__"}
_LENIENT = "aiotools."
"""Its groups take tasks after their end. https://aiotools.readthedocs.io/en/latest/"""


def used_after_exit(function: code.Function, kinds: Kinds) -> Iterator[Misuse]:
    """The calls in a function that spawn into a group which it has left, on every way that leads there."""
    if function.words.isdisjoint(GROUP_SPAWNS):
        return
    follower = _Follower(function, kinds)
    follower.block(function.body, {})
    path = kinds.program.paths[function.qualname]
    for call, left in follower.found.values():
        assert isinstance(call.func, code.Attribute)
        step = Step(path, left, "the group is left at the end of this block")
        source = text(call.func.value)
        yield Misuse(Pattern.USED_AFTER_EXIT, path, call.span, source, function.qualname, call.func.attr, (step,))


class _Ends(NamedTuple):
    """How a block can end; a state is None where it cannot end so."""

    after: State | None = None
    away: State | None = None
    """By `return`."""
    broken: State | None = None
    continued: State | None = None
    raised: State | None = None


def _meet(*states: State | None) -> State | None:
    """What is true of all states that there are."""
    return reduce(_both, states)


def _both(one: State | None, other: State | None) -> State | None:
    if one is None or other is None:
        return one if other is None else other
    return {place: span for place, span in one.items() if place in other}


def _join(ends: Iterable[_Ends]) -> _Ends:
    """The ends of several blocks of which one is run."""
    return _Ends(*(_meet(None, *states) for states in zip(*ends, strict=True)))


class _Follower:
    """Follows one function, and collects the spawns into groups that have been left."""

    def __init__(self, function: code.Function, kinds: Kinds) -> None:
        self.function = function
        self.kinds = kinds
        self.found: dict[Span, tuple[code.Call, Span]] = {}
        self._turns = 0
        """Of how many loops this is the second turn; their conditions may be others than in the first."""
        self._conditions = 0

    def block(self, block: code.Block, state: State) -> _Ends:
        """The ends of a block that is entered in a state."""
        ends = _Ends(state)
        for statement in block:
            if ends.after is None:
                break
            new = self.statement(statement, ends.after)
            ends = _Ends(new.after, *_join([ends, new])[1:])
        return ends

    def statement(self, statement: code.Stmt, state: State) -> _Ends:
        match statement:
            case code.If(branches=branches, orelse=orelse):
                tests = tuple(branch.test for branch in branches)
                self.look(tests, state)
                return self.one_of([*(branch.body for branch in branches), orelse], _without(state, _bound(tests)))
            case code.Match(subject=subject, cases=cases):
                self.look(subject, state)
                bound = {name for case in cases for name in case.binds}
                rest = [] if any(case.irrefutable and case.guard is None for case in cases) else [()]
                return self.one_of([*(case.body for case in cases), *rest], _without(state, bound))
            case code.While() | code.For():
                return self.loop(statement, state)
            case code.Try():
                return self.attempt(statement, state)
            case code.With():
                return self.context(statement, state)
            case code.Return(value=value):
                self.look(value, state)
                return _Ends(away=state, raised=state)
            case code.Raise(value=value):
                self.look(value, state)
                return _Ends(raised=state)
            case code.Break():
                return _Ends(broken=state)
            case code.Continue():
                return _Ends(continued=state)
        self.look(statement, state)
        after = self._left_by_hand(statement, _without(state, _bound(statement)))
        return _Ends(after, raised=_both(state, after))

    def one_of(self, blocks: list[code.Block], state: State) -> _Ends:
        self._conditions += 1
        joined = _join([self.block(block, state) for block in blocks])
        self._conditions -= 1
        return joined._replace(raised=_meet(joined.raised, state))

    def loop(self, loop: code.While | code.For, state: State) -> _Ends:
        """A loop is followed for two turns: a group that is left in the first may be used in the second."""
        self.look(loop.test if isinstance(loop, code.While) else loop.iterable, state)
        target = _named((loop.target,)) if isinstance(loop, code.For) else _bound(loop.test)
        first = self.block(loop.body, _without(state, target))
        turns = [first]
        again = _meet(first.after, first.continued)
        if again is not None:
            outside, self._conditions = self._conditions, 0
            self._turns += 1
            turns.append(self.block(loop.body, _without(again, target)))
            self._turns -= 1
            self._conditions = outside
        every = _join(turns)
        endless = isinstance(loop, code.While) and _is_true(loop.test)
        exhausted = None if endless else _meet(state, every.after, every.continued)
        rest = _Ends() if exhausted is None else self.block(loop.orelse, exhausted)
        return _Ends(
            _meet(rest.after, every.broken),
            _meet(rest.away, every.away),
            rest.broken,
            rest.continued,
            _meet(rest.raised, every.raised, state),
        )

    def attempt(self, node: code.Try, state: State) -> _Ends:
        body = self.block(node.body, state)
        caught = state if body.raised is None else body.raised
        self._conditions += 1
        handled = [self.block(handler.body, _without(caught, {handler.name or ""})) for handler in node.handlers]
        self._conditions -= 1
        rest = _Ends() if body.after is None else self.block(node.orelse, body.after)
        ends = _join([body._replace(after=None), rest, *handled])
        if not node.final:
            return ends
        # what it does is looked at on the way that goes on after it
        entered = _meet(*ends) if ends.after is None else ends.after
        final = self.block(node.final, {} if entered is None else entered)
        if final.after is None:
            return final
        bound = _bound(node.final)
        others = (None if each is None else _without(each, bound) for each in ends[1:])
        return _Ends(None if ends.after is None else final.after, *others)

    def context(self, node: code.With, state: State) -> _Ends:
        for item in node.items:
            self.look(item.context, state)
        groups = self._groups(node)
        body = self.block(node.body, _without(state, _named(item.target for item in node.items) | groups.keys()))
        ends = _Ends(*(None if each is None else each | groups for each in body))
        # what is entered may swallow what is raised inside; and entering anything but a group may fail
        before = None if self._is_group(node.items[0].context) else state
        after = _meet(ends.after, ends.raised)
        return ends._replace(after=after, raised=_meet(after, before))

    def look(self, node: object, state: State) -> None:
        """Collect the spawns in an expression or simple statement."""
        if not state or (self._turns and self._conditions):
            return
        for call in walk(node, code.Call):
            match call.func:
                case code.Attribute(value=value, attr=attr) if attr in GROUP_SPAWNS and text(value) in state:
                    self.found.setdefault(call.span, (call, state[text(value)]))

    # -- groups ------------------------------------------------------------------------------------------------------

    def _groups(self, node: code.With) -> State:
        """The names and attributes of the groups that a `with` leaves in its end, each with the place of its entry."""
        found: State = {}
        bound = _bound(node.body)
        for context, target in node.items:
            if not isinstance(context, code.Call | code.Name | code.Attribute):
                continue
            if self._is_group(context):
                names = {
                    text(name) for name in (context, target) if name is not None and self._is_followed(name)
                } - bound
            elif target is not None and self.kinds.role_of_kind(self.kinds.of(context, self.function)) is Role.STACK:
                names = set(self._put_on(text(target), node))
            else:
                names = set()
            found |= dict.fromkeys(names, context.span)
        return found

    def _put_on(self, stack: str, node: code.With) -> Iterator[str]:
        """The names of the groups that are put on an exit stack in a block."""
        if any(last_name(each) == "pop_all" for each in walk(self.function.body, code.Attribute)):
            return
        assigns = list(walk(node.body, code.Assign))
        for assign in assigns:
            match assign.value:
                case code.Await(
                    value=code.Call(func=code.Attribute(value=on, attr="enter_async_context"), args=[context])
                ) if text(on) == stack and self._is_group(context):
                    others = {name for other in assigns if other is not assign for name in _bound(other)}
                    names = {text(target) for target in assign.targets if self._is_followed(target)}
                    yield from sorted(names - others)

    def _left_by_hand(self, statement: code.Stmt, state: State) -> State:
        left = {}
        for call in walk(statement, code.Call):
            match call.func:
                case code.Attribute(value=group, attr="__aexit__") if self._is_group(group) and self._is_followed(
                    group
                ):
                    left[text(group)] = call.span
        return state | left

    def _is_group(self, expr: Expr) -> bool:
        """Whether an expression is a group that takes no tasks after its end."""
        if not isinstance(expr, code.Call | code.Name | code.Attribute):
            return False
        kind = self.kinds.of(expr, self.function)
        if kind is None or self.kinds.role_of_kind(kind) is not Role.GROUP:
            return False
        ancestors = self.kinds.program.ancestors(kind)
        return not any(
            name.startswith(_LENIENT) or any(self.kinds.program.functions.get(f"{name}.{m}") for m in _REOPENING)
            for name in ancestors
        )

    def _is_followed(self, expr: Expr) -> bool:
        """Whether a name or attribute leads to the same group until this function binds it anew."""
        match expr:
            case code.Name(id=name):
                scopes = [scope for scope in self.kinds.program.inside(self.function) if scope is not self.function]
                return not any(name in scope.free_names and name in _bound(scope.body) for scope in scopes)
            case code.Attribute(value=code.Name(), attr=attr):
                owner = self.kinds.program.owner_of(self.function)
                family = self.kinds.program.family(owner) if owner else ()
                others = (
                    scope
                    for scope in self.kinds.program.mentioning(attr, self.function.qualname)
                    if scope is not self.function and scope.name != "__init__"
                    if not owner or (self.kinds.program.owner_of(scope) or owner) in family
                )
                return not any(name.rpartition(".")[2] == attr for scope in others for name in _bound(scope.body))
        return False


def _is_true(test: Expr) -> bool:
    return isinstance(test, code.Constant) and bool(test.value)


def _without(state: State, bound: set[str]) -> State:
    """The state after these names or attributes have been bound anew."""
    if not bound:
        return state
    return {place: span for place, span in state.items() if not any(_is_of(place, name) for name in bound)}


def _is_of(place: str, name: str) -> bool:
    return place == name or place.startswith(f"{name}.")


def _bound(node: object) -> set[str]:
    """The names and attributes that a statement or a block binds or deletes, by their text; those in the blocks within
    included.
    """
    found: set[str] = set()
    for each in walk(node, (code.Assign, code.Walrus, code.With, code.For)):
        match each:
            case code.Assign(targets=targets):
                found |= _named(targets)
            case code.Walrus(target=target) | code.For(target=target):
                found |= _named((target,))
            case code.With(items=items):
                found |= _named(item.target for item in items)
    for other in walk(node, (code.Augment, code.Delete, code.Try, code.Match)):
        match other:
            case code.Augment(target=target):
                found |= _named((target,))
            case code.Delete(targets=targets):
                found |= _named(targets)
            case code.Try(handlers=handlers):
                found |= {handler.name for handler in handlers if handler.name}
            case code.Match(cases=cases):
                found |= {name for case in cases for name in case.binds}
    return found


def _named(targets: Iterable[Expr | None]) -> set[str]:
    """The names and attributes in the targets of an assignment, by their text."""
    found: set[str] = set()
    for target in targets:
        match target:
            case code.Display(items=items):
                found |= _named(items)
            case code.Starred(value=value):
                found |= _named((value,))
            case code.Name() | code.Attribute():
                found.add(text(target))
    return found
