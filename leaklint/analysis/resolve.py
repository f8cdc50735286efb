"""From an expression that is called to the function of the program it reaches, and back to the calls of a function."""

from __future__ import annotations

from leaklint.analysis.kinds import Kinds
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk


def resolved(callee: Expr, caller: code.Function, kinds: Kinds) -> code.Function | None:
    """The function that a callee reaches, read in a function; None when that is not known."""
    program = kinds.program
    match callee:
        case code.Global(path=path):
            return program.functions.get(path)
        case code.Attribute(value=value, attr=attr):
            owner = kinds.of(value, caller)
            return program.method(owner, attr) if owner else None
        case code.Name(id=name):
            scope: code.Function | None = caller
            while scope is not None and name not in scope.local_names:
                scope = program.enclosing(scope)
            return program.functions.get(f"{scope.qualname}.{name}") if scope else None
    return None


def call_sites(function: code.Function, kinds: Kinds) -> list[tuple[code.Function, Expr]] | None:
    """Where a function is called, each with the caller: the call, or its await when that is what gives the result.

    None when it is not all in view: something else than a call mentions it.
    """
    found: list[tuple[code.Function, Expr]] = []
    for caller in kinds.program.mentioning(function.name):
        if caller is function:
            continue
        calls = [call for call in walk(caller.body, code.Call) if resolved(call.func, caller, kinds) is function]
        called = {id(call.func) for call in calls}
        for node in walk(caller.body, (code.Name, code.Global, code.Attribute)):
            if id(node) not in called and resolved(node, caller, kinds) is function:
                return None
        if not function.is_async:
            found += [(caller, call) for call in calls]
            continue
        awaited = {id(node.value): node for node in walk(caller.body, code.Await)}
        if any(id(call) not in awaited for call in calls):
            return None
        found += [(caller, awaited[id(call)]) for call in calls]
    return found
