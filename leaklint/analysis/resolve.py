"""From an expression that is called to the function of the program it reaches, and back to the calls of a function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name, path_of, receiver
from leaklint.catalog import HOOK_WORDS, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

Node = code.Call | code.Await | code.Attribute


def resolved(callee: Expr, caller: code.Function, kinds: Kinds) -> code.Function | None:
    """The function that a callee reaches, read in a function; None when that is not known."""
    program = kinds.program
    match callee:
        case code.Global(path=path):
            prefix, _, name = path.rpartition(".")
            return program.functions.get(path) or (program.method(prefix, name) if prefix in program.classes else None)
        case code.Attribute(value=code.Call(func=code.Global(path="builtins.super")), attr=attr):
            return program.method_above(program.owner_of(caller), attr)
        case code.Attribute(value=value, attr=attr):
            owner = kinds.of(value, caller)
            return program.method(owner, attr) if owner else None
        case code.Name(id=name):
            scope: code.Function | None = caller
            while scope is not None and name not in scope.local_names:
                scope = program.enclosing(scope)
            return program.functions.get(f"{scope.qualname}.{name}") if scope else None
    return None


def called_on(callee: Expr) -> Expr | None:
    """What a method is called on."""
    match callee:
        case code.Attribute(value=value):
            return value
        case code.Global(path=path, text=written, span=span) if "." in written:
            return code.Global(path.rpartition(".")[0], written.rpartition(".")[0], span)
    return None


def hooks(function: code.Function, kinds: Kinds) -> frozenset[Role]:
    """How frameworks that are given a function call it when they end: `END_HOOK`, `RESUME_HOOK`."""
    return frozenset(
        role
        for caller in kinds.program.mentioning(function.name, function.qualname)
        if not caller.words.isdisjoint(HOOK_WORDS)
        for call in walk(caller.body, code.Call)
        if (role := kinds.role_of_callee(call.func, caller)) in (Role.END_HOOK, Role.RESUME_HOOK)
        and any(resolved(arg, caller, kinds) is function for arg in _given(call))
    )


def _given(call: code.Call) -> Iterator[Expr]:
    """The arguments of a call, and the elements of those that are written as lists."""
    for arg in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from arg.items if isinstance(arg, code.Display) else (arg,)


# -- the calls of a function -------------------------------------------------------------------------------------------


class Use(NamedTuple):
    """An expression that gives what a function returns: its call, or the await of it, or the property."""

    caller: code.Function
    node: Node


class Uses(NamedTuple):
    found: tuple[Use, ...]
    complete: bool
    """Nothing else than these mentions the function."""


def uses(function: code.Function, kinds: Kinds) -> Uses:
    """Where the program gets what a function returns."""
    found: list[Use] = []
    complete = True
    for caller in kinds.program.mentioning(function.name, function.qualname):
        calls = {id(call.func): call for call in walk(caller.body, code.Call)}
        awaits = {id(await_.value): await_ for await_ in walk(caller.body, code.Await)}
        for node in walk(caller.body, (code.Name, code.Global, code.Attribute)):
            if last_name(node) != function.name or not _leads_to(node, function, caller, kinds):
                continue
            if is_property(function) and isinstance(node, code.Attribute):
                found.append(Use(caller, node))
                continue
            called = [calls[id(node)]] if id(node) in calls else None
            others = _aliased(node, caller, kinds) if called is None else [(caller, call) for call in called]
            if others is None and _is_returned(node, caller):
                others = list(_decorated_calls(caller, kinds))
            for user, call in others or ():
                use = awaits.get(id(call)) if user is caller else _await_of(call, user)
                if not function.is_async:
                    found.append(Use(user, call))
                elif use is not None:
                    found.append(Use(user, use))
                else:
                    complete = False
            complete = complete and others is not None
    return Uses(tuple(found), complete)


def _leads_to(node: Expr, function: code.Function, caller: code.Function, kinds: Kinds) -> bool:
    """Whether an expression refers to a function, or to another definition of its name, in another branch, say."""
    found = resolved(node, caller, kinds)
    return found is not None and found.qualname == function.qualname


def argument(use: Use, name: str, function: code.Function) -> Expr | None:
    """What a use of a function passes for one of its parameters; None when that is not plain to see."""
    call = use.node.value if isinstance(use.node, code.Await) else use.node
    if not isinstance(call, code.Call) or any(isinstance(arg, code.Starred) for arg in call.args):
        return None
    names = [param.name for param in function.params if param.kind == "positional"]
    bound = receiver(function) is not None and isinstance(call.func, code.Attribute)
    given = dict(zip(names[1:] if bound else names, call.args, strict=False))
    given |= {keyword.name: keyword.value for keyword in call.keywords if keyword.name is not None}
    return given.get(name)


def is_property(function: code.Function) -> bool:
    """Whether reading an attribute runs it."""
    return any("property" in last_name(decorator) for decorator in function.decorators)


def _await_of(call: code.Call, user: code.Function) -> code.Await | None:
    return next((await_ for await_ in walk(user.body, code.Await) if await_.value is call), None)


def _is_returned(node: Expr, caller: code.Function) -> bool:
    return any(statement.value is node for statement in walk(caller.body, code.Return))


def _aliased(node: Expr, caller: code.Function, kinds: Kinds) -> list[tuple[code.Function, code.Call]] | None:
    """The calls of what a function is assigned to, as it is or as a partial; None when it is not assigned."""
    for statement in walk(caller.body, code.Assign):
        if plain(statement.value) is node and len(statement.targets) == 1:
            target = statement.targets[0]
            word = target.path if isinstance(target, code.Global) else last_name(target)
            scopes = [caller] if isinstance(target, code.Name) else kinds.program.mentioning(word, caller.qualname)
            return [(user, call) for user in scopes for call in _calls_of(target, caller, user, kinds)]
    return None


def plain(value: Expr | None) -> Expr | None:
    """What a value refers to: the first argument of a `functools.partial`, everything else itself."""
    match value:
        case code.Call(func=code.Global(path="functools.partial"), args=[target, *_]):
            return target
    return value


def _calls_of(target: Expr, owner: code.Function, user: code.Function, kinds: Kinds) -> Iterator[code.Call]:
    """The calls in a function of what another one has assigned to a name or attribute."""
    for call in walk(user.body, code.Call):
        match target, call.func:
            case code.Name(id=one), code.Name(id=other):
                same = one == other
            case code.Global(path=one), code.Global(path=other):
                same = one == other
            case code.Attribute(attr=one, value=this), code.Attribute(attr=other, value=that):
                same = one == other and (kind := kinds.of(this, owner)) is not None and kind == kinds.of(that, user)
            case _:
                same = False
        if same:
            yield call


def _decorated_calls(decorator: code.Function, kinds: Kinds) -> Iterator[tuple[code.Function, code.Call]]:
    """The calls of what a decorator, or one made by a function around it, decorates."""
    outer = kinds.program.enclosing(decorator)
    makers = {decorator.qualname, outer.qualname if outer is not None and outer.kind == "function" else ""}
    for word in sorted({maker.rpartition(".")[2] for maker in makers} - {""}):
        for scope in kinds.program.mentioning(word, decorator.qualname):
            for statement in walk(scope.body, code.Define):
                if any(path_of(each) in makers for each in statement.function.decorators):
                    function = statement.function
                    for user in kinds.program.mentioning(function.name, function.qualname):
                        for call in walk(user.body, code.Call):
                            if resolved(call.func, user, kinds) is function:
                                yield user, call
