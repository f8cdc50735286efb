"""What a variable, an attribute or a parameter may stand for, as far as the program binds it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from leaklint.analysis.kinds import Binding, last_name, receiver
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import argument, resolved, uses
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk


class Origins(NamedTuple):
    """What is bound to a name."""

    bindings: tuple[Binding, ...] = ()
    complete: bool = False
    """It stands for nothing else."""


UNKNOWN = Origins()


def origins(expr: Expr, function: code.Function, study: Study) -> Origins:
    """What an expression that is a name or an attribute, read in a function, may stand for."""
    match expr:
        case code.Name(id=name):
            scope = scope_of(name, function, study)
            return UNKNOWN if scope is None or name == receiver(scope) else _of_name(name, scope, study)
        case code.Global(path=path):
            prefix, _, name = path.rpartition(".")
            if prefix in study.program.classes:
                return _of_attribute(prefix, name, study)
            home = study.program.scopes.get(prefix)
            return _of_variable(path, name, home, study) if home is not None else UNKNOWN
        case code.Attribute(value=value, attr=attr):
            owner = study.kinds.of(value, function)
            return _of_attribute(owner, attr, study) if owner in study.program.classes else UNKNOWN
    return UNKNOWN


def made_by(callee: Expr, function: code.Function, study: Study) -> tuple[code.Function, ...]:
    """The functions of the program that a callee may reach, those that override a method included."""
    found = resolved(callee, function, study.kinds)
    if found is None:
        return ()
    program = study.program
    family = program.family(found.owner) if found.owner is not None else ()
    derived = (each for each in family if found.owner in program.ancestors(each))
    every = {method.qualname: method for each in derived if (method := program.functions.get(f"{each}.{found.name}"))}
    return tuple({found.qualname: found, **every}.values())


def scope_of(name: str, function: code.Function, study: Study) -> code.Function | None:
    """The scope whose local variable a name is, read in a function; None if it is none."""
    scope: code.Function | None = function
    while scope is not None and name not in scope.local_names:
        scope = study.program.enclosing(scope)
    return scope


def _of_name(name: str, scope: code.Function, study: Study) -> Origins:
    bindings = tuple(study.kinds.bindings(scope).get(name, ()))
    complete = not is_taken(name, scope)
    param = next((each for each in scope.params if each.name == name), None)
    if param is not None:
        passed, all_known = _passed(param, scope, study)
        return Origins((*bindings, *passed), complete and all_known)
    return Origins(bindings, complete and bool(bindings))


def _passed(param: code.Param, function: code.Function, study: Study) -> tuple[list[Binding], bool]:
    """What the callers of a function pass for a parameter; whether that is all."""
    if param.kind not in ("positional", "keyword") or function.kind != "function":
        return [], False
    found = uses(function, study.kinds)
    given = [(use, argument(use, param.name, function)) for use in found.found]
    known = all(value is not None or (param.default is not None and _is_plain(use.node)) for use, value in given)
    return [Binding("value", value, use.caller) for use, value in given if value is not None], (
        known and found.complete and bool(given)
    )


def _is_plain(node: Expr) -> bool:
    """Whether a call takes nothing apart for its arguments."""
    call = node.value if isinstance(node, code.Await) else node
    starred = isinstance(call, code.Call) and any(isinstance(arg, code.Starred) for arg in call.args)
    return isinstance(call, code.Call) and not starred and all(keyword.name for keyword in call.keywords)


def _of_variable(path: str, name: str, module: code.Function, study: Study) -> Origins:
    bindings = bound_to_variable(path, module, study)
    return Origins(bindings, complete=not is_taken(name, module)) if bindings else UNKNOWN


def bound_to_variable(path: str, module: code.Function, study: Study) -> tuple[Binding, ...]:
    """What a variable of a module is bound to, there and in functions; none if that does not bind it itself."""
    name = path.rpartition(".")[2]
    bindings = list(study.kinds.bindings(module).get(name, ()))
    for scope in study.program.mentioning(name, module.qualname) if bindings else ():
        bindings += _assigned(path, scope) if scope is not module else ()
    return tuple(bindings)


def _assigned(path: str, scope: code.Function) -> Iterator[Binding]:
    """What a function binds a variable of a module to."""
    for assign in walk(scope.body, code.Assign):
        if assign.value is not None and any(isinstance(t, code.Global) and t.path == path for t in assign.targets):
            yield Binding("value", assign.value, scope)


def _of_attribute(owner: str | None, attr: str, study: Study) -> Origins:
    if owner is None:
        return UNKNOWN
    bindings = bound_to_attribute(owner, attr, study)
    family = study.program.family(owner)
    own = any(study.kinds.assigned(name, attr) for name in family)
    # a decorator may make an `__init__` that binds it, too
    is_decorated = any(study.program.classes[each].decorators for each in family if each in study.program.classes)
    return Origins(bindings, complete=own and not is_decorated)


def bound_to_attribute(owner: str, attr: str, study: Study) -> tuple[Binding, ...]:
    """What an attribute of a class, and of those related to it, is bound to, by its methods and by others."""
    own = [each for name in study.program.family(owner) for each in study.kinds.assigned(name, attr)]
    return tuple(dict.fromkeys((*own, *bound_from_outside(owner, attr, study))))


def bound_from_outside(owner: str, attr: str, study: Study) -> Iterator[Binding]:
    """What others than the methods of a class bind an attribute to, as far as it may be one of that class."""
    family = study.program.family(owner)
    for holder, binding in _from_outside(study.program).get(attr, ()):
        kind = study.kinds.of(holder, binding.function)
        if kind is None or kind in family:
            yield binding


@lru_cache(maxsize=4)
def _from_outside(program: Program) -> Mapping[str, list[tuple[Expr, Binding]]]:
    """By attribute: what is assigned to it on something else than `self`, and the object that has it."""
    found: dict[str, list[tuple[Expr, Binding]]] = defaultdict(list)
    for module in program.modules:
        for scope in module.functions:
            for assign in walk(scope.body, code.Assign):
                for target in assign.targets:
                    is_self = isinstance(target, code.Attribute) and _is_receiver(target.value, scope)
                    if isinstance(target, code.Attribute) and assign.value is not None and not is_self:
                        found[target.attr].append((target.value, Binding("value", assign.value, scope)))
            for call in walk(scope.body, code.Call) if "builtins.setattr" in scope.words else ():
                match call.args:
                    case [holder, code.Constant(value=str(attr)), value]:
                        found[attr].append((holder, Binding("value", value, scope)))
    return found


def _is_receiver(expr: Expr, scope: code.Function) -> bool:
    return isinstance(expr, code.Name) and expr.id == receiver(scope)


def is_taken(name: str, scope: code.Function) -> bool:
    """Whether a scope binds a name to a part of something, which is not looked into."""
    for node in walk(scope.body, (code.For, code.Assign, code.Augment)):
        match node:
            case code.For(target=target):
                taken: tuple[Expr, ...] = (target,)
            case code.Assign(targets=targets):
                taken = tuple(target for target in targets if isinstance(target, code.Display))
            case code.Augment(target=target):
                taken = (target,)
        if any(last_name(each) == name for each in walk(taken, (code.Name, code.Global))):
            return True
    return False
