"""Task groups and cancel scopes that are entered without `with`, and where they are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name, pairs, receiver
from leaklint.analysis.resolve import called_on
from leaklint.analysis.scopes.holding import held_by
from leaklint.analysis.scopes.openings import LEAVING, callers_of, is_run_by_with, opened
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Misuse, Pattern, Step
from leaklint.model.walk import text, walk

NEVER = "never"
"""Nothing in view leaves it."""
STRAIGHT = "straight"
"""The same function leaves it, if nothing is raised before."""
RETURNED = "returned"
"""Whoever called the function has it."""
ELSEWHERE = "elsewhere"
"""Another function leaves it."""

_OPENING = frozenset({"__aenter__", "__enter__"})
_PUTTING = frozenset({"enter_async_context", "enter_context"})
_CLOSING = LEAVING | {"aclose", "close"}
_WORDS = _OPENING | _PUTTING


class _Entry(NamedTuple):
    """A group or scope that is entered by hand, in a function."""

    function: code.Function
    call: code.Call
    context: Expr
    holder: Expr
    """Of what the end is called: the group itself, or an exit stack."""
    held: Step | None
    """For a context manager that holds a group: where it enters that."""

    @property
    def is_stack(self) -> bool:
        return self.holder is not self.context


class _Leave(NamedTuple):
    function: code.Function
    node: code.Attribute | code.Global


def hand_entered(function: code.Function, kinds: Kinds) -> Iterator[Misuse]:
    """The groups and scopes that a function enters by hand, where that breaks them."""
    if function.words.isdisjoint(_WORDS):
        return
    told: set[str] = set()
    for entry in _entries(function, kinds):
        misuse = _misuse(entry, kinds)
        if misuse is not None and text(entry.holder) not in told:
            told.add(text(entry.holder))  # what is put on a stack after it is left with it
            yield misuse


def _entries(function: code.Function, kinds: Kinds) -> Iterator[_Entry]:
    for call in walk(function.body, code.Call):
        name, of = last_name(call.func), called_on(call.func)
        if of is None or (isinstance(of, code.Name) and of.id == receiver(function)):
            continue
        if name in _OPENING and not call.args:
            context = of
        elif name in _PUTTING and len(call.args) == 1 and _is_stack(of, function, kinds):
            context = call.args[0]
        else:
            continue
        held = None if opened(context, function, kinds) else held_by(context, function, kinds)
        if held is not None or opened(context, function, kinds):
            yield _Entry(function, call, context, of, held)


def _is_stack(expr: Expr, function: code.Function, kinds: Kinds) -> bool:
    return kinds.role_of_kind(kinds.of(expr, function)) is Role.STACK


def _misuse(entry: _Entry, kinds: Kinds) -> Misuse | None:
    function = entry.function
    names = _names(entry.holder, function)
    kept = [name for name in names.values() if not isinstance(name, code.Name)]
    if _is_entered(names, function) or not (kept or _is_local(entry.holder, function)):
        return None
    here = list(_leaves_in(function, set(names)))
    called = {id(call.func) for call in walk(function.body, code.Call)}
    if any(id(leave.node) not in called for leave in here):
        return None  # the end is given to something that may call it in the same task
    if any(_is_inside(leave.node, node.final) for node in walk(function.body, code.Try) for leave in here):
        return None
    if is_run_by_with(function, kinds):
        return None
    if kept:
        return _misuse_of_kept(entry, kept, kinds)
    inner = [leave for scope in _nested(function, kinds) for leave in _leaves_in(scope, set(names))]
    if here or inner:
        how, leave = (STRAIGHT, here[-1]) if here else (ELSEWHERE, inner[0])
        return _told(entry, how, (_step(leave, "leaves it", kinds),), kinds)
    if _escapes(entry.holder, function, also_passed=entry.is_stack):
        return None if entry.is_stack else _told(entry, RETURNED, (), kinds)
    return _told(entry, NEVER, (), kinds)


def _misuse_of_kept(entry: _Entry, kept: Sequence[Expr], kinds: Kinds) -> Misuse | None:
    """What is wrong with a group, or the exit stack that holds it, in an attribute or variable of a module."""
    function = entry.function
    scopes = [scope for name in kept for scope in kinds.program.mentioning(_word(name), function.qualname)]
    if any(_is_entered_as(_last(name), scope) for name in kept for scope in scopes):
        return None
    words = {_last(name) for name in kept}
    others = (scope for scope in scopes if scope is not function and _may_share(scope, kept, function, kinds))
    leaves = [leave for scope in others for leave in _leaves_of(words, scope)]
    if not leaves:
        is_private = all(word.startswith("_") for word in words)
        return _told(entry, NEVER, (), kinds) if is_private and not _is_given(entry, kept) else None
    if any(_is_paired(function, leave.function, kinds) for leave in leaves):
        return None
    return _told(entry, ELSEWHERE, (_step(leaves[0], "leaves it", kinds),), kinds)


def _may_share(scope: code.Function, kept: Sequence[Expr], function: code.Function, kinds: Kinds) -> bool:
    """Whether attributes of these names may be the same in another scope: not in a method of an unrelated class."""
    home, other = (kinds.program.owner_of(each) for each in (function, scope))
    if home is None or other is None or other in kinds.program.family(home):
        return True
    names = {_last(name) for name in kept}
    own = (n for n in walk(scope.body, code.Attribute) if isinstance(n.value, code.Name) and n.value.id == "self")
    return not any(node.attr in names for node in own)


def _is_given(entry: _Entry, kept: Sequence[Expr]) -> bool:
    """Whether the stack is not made by the class that keeps it: whoever made it may close it."""
    return entry.is_stack and any(
        isinstance(statement.value, code.Name) and statement.value.id in {p.name for p in entry.function.params}
        for statement in walk(entry.function.body, code.Assign)
        if {text(target) for target in statement.targets} & {text(name) for name in kept}
    )


def _is_paired(entering: code.Function, leaving: code.Function, kinds: Kinds) -> bool:
    """Whether a function of the same class, or of the same module, runs both: it does so in one task."""
    home = kinds.program.owner_of(entering)
    ones, others = ([f, *callers_of(f, kinds)] for f in (entering, leaving))
    for both in ones:
        if any(both is other for other in others) and both.kind == "function":
            owner = kinds.program.owner_of(both)
            if owner == home or (owner and home and owner in kinds.program.family(home)):
                return True
    return False


# -- names -------------------------------------------------------------------------------------------------------------


def _names(holder: Expr, function: code.Function) -> dict[str, Expr]:
    """The names and attributes that a function has for one thing, by their text."""
    found = {text(holder): holder}
    links = list(_links(function))
    while True:
        new = [
            (one, other)
            for one, other in (*links, *((other, one) for one, other in links))
            if text(one) in found and text(other) not in found
        ]
        if not new:
            return found
        found |= {text(other): other for _, other in new}


def _links(function: code.Function) -> Iterator[tuple[Expr, Expr]]:
    """The pairs of places in a function that are assigned one from the other, or both from the same value."""
    for node in walk(function.body, (code.Assign, code.Walrus)):
        if isinstance(node, code.Walrus):
            values: list[tuple[Expr, Expr]] = [(node.target, node.value)]
        elif node.value is None:
            continue
        else:
            values = [pair for target in node.targets for pair in pairs(target, node.value)]
            first = node.targets[0]
            yield from ((first, other) for other in node.targets[1:] if _is_place(first) and _is_place(other))
        for target, value in values:
            source = _source(value)
            if _is_place(target) and _is_place(source):
                yield target, source


def _source(value: Expr) -> Expr:
    """What a value is another name for: `await tg.__aenter__()` is the group, `stack.pop_all()` the stack."""
    match value:
        case code.Await(value=inner) | code.Walrus(target=inner):
            return _source(inner)
        case code.Call(func=code.Attribute(value=inner, attr="__aenter__" | "__enter__" | "pop_all"), args=[]):
            return inner
    return value


def _is_place(expr: Expr) -> bool:
    match expr:
        case code.Name() | code.Global():
            return True
        case code.Attribute(value=value) | code.Subscript(value=value):
            return _is_place(value)
    return False


def _last(name: Expr) -> str:
    """The last part of the name of a place; that of the container for an element of one."""
    return _last(name.value) if isinstance(name, code.Subscript) else last_name(name)


def _word(name: Expr) -> str:
    """By what the program mentions a place."""
    inner = name.value if isinstance(name, code.Subscript) else name
    return inner.path if isinstance(inner, code.Global) else last_name(inner)


def _is_local(holder: Expr, function: code.Function) -> bool:
    """Whether a name is bound by the function itself, and not by whoever calls it."""
    if not isinstance(holder, code.Name) or holder.id not in function.local_names:
        return not isinstance(holder, code.Name)
    return all(param.name != holder.id for param in function.params)


def _escapes(holder: Expr, function: code.Function, *, also_passed: bool) -> bool:
    """Whether a local thing is returned or yielded; or, if that is asked, passed to a call or stored."""
    out: list[object] = [node.value for node in walk(function.body, (code.Return, code.Yield))]
    if also_passed:
        for call in walk(function.body, code.Call):
            out += [*call.args, *(keyword.value for keyword in call.keywords)]
    names = [node for node in walk(tuple(out), (code.Name, code.Attribute)) if node != holder]
    inner = [node.value for node in names if isinstance(node, code.Attribute)]
    found = walk(tuple(out), code.Name)
    return any(text(name) == text(holder) and not any(name is part for part in inner) for name in found)


# -- ends --------------------------------------------------------------------------------------------------------------


def _leaves_in(function: code.Function, names: set[str]) -> Iterator[_Leave]:
    """Where a function ends what it has these names for, or passes the end on."""
    for node in walk(function.body, (code.Attribute, code.Global)):
        of = called_on(node)
        if last_name(node) in _CLOSING and of is not None and text(of) in names:
            yield _Leave(function, node)


def _leaves_of(words: set[str], function: code.Function) -> Iterator[_Leave]:
    """Where a function ends what attributes or variables with these last names hold."""
    local = {target.id for target in _bound_from(words, function)}
    for node in walk(function.body, (code.Attribute, code.Global)):
        of = called_on(node)
        if last_name(node) not in _CLOSING or of is None:
            continue
        parts = {last_name(part) for part in walk(of, (code.Attribute, code.Global, code.Name))}
        if not words.isdisjoint(parts) or (isinstance(of, code.Name) and of.id in local):
            yield _Leave(function, node)


def _bound_from(words: set[str], function: code.Function) -> Iterator[code.Name]:
    """The names that a function binds to something it takes from one of these places."""
    for node in walk(function.body, (code.Assign, code.For, code.Walrus)):
        match node:
            case code.Assign(targets=targets, value=value):
                linked = [pair for target in targets if value is not None for pair in pairs(target, value)]
            case code.For(target=target, iterable=value) | code.Walrus(target=target, value=value):
                linked = [(target, value)]
        for target, value in linked:
            taken = walk(value, (code.Attribute, code.Global, code.Name))
            if any(last_name(part) in words for part in taken):
                yield from walk(target, code.Name)


def _is_entered(names: dict[str, Expr], function: code.Function) -> bool:
    """Whether a function enters one of these with `with`, and keeps nothing of it for later."""
    keeps = any(last_name(call.func) == "pop_all" for call in walk(function.body, code.Call))
    items = (item for node in walk(function.body, code.With) for item in node.items)
    parts = (part for item in items for part in (item.context, item.target) if part is not None)
    return not keeps and any(text(part) in names for part in parts)


def _is_entered_as(word: str, function: code.Function) -> bool:
    """Whether a function enters with `with` what something of this name holds."""
    items = (item for node in walk(function.body, code.With) for item in node.items)
    return any(_is_place(item.context) and _last(item.context) == word for item in items)


def _is_inside(node: Expr, block: code.Block) -> bool:
    return any(found is node for found in walk(block, (code.Attribute, code.Global)))


def _nested(function: code.Function, kinds: Kinds) -> list[code.Function]:
    """The scopes in a function."""
    return [scope for scope in kinds.program.inside(function) if scope is not function]


# -- results -----------------------------------------------------------------------------------------------------------


def _step(leave: _Leave, verb: str, kinds: Kinds) -> Step:
    path = kinds.program.paths[leave.function.qualname]
    return Step(path, leave.node.span, f"`{leave.function.name}` {verb}")


def _told(entry: _Entry, how: str, evidence: tuple[Step, ...], kinds: Kinds) -> Misuse:
    return Misuse(
        pattern=Pattern.HAND_ENTERED,
        path=kinds.program.paths[entry.function.qualname],
        span=entry.call.span,
        source=text(entry.context),
        function=entry.function.qualname,
        how=f"holder {how}" if entry.held else how,
        evidence=(*((entry.held,) if entry.held else ()), *evidence),
    )
