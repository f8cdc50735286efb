"""Scopes of AnyIO and trio around a spawn of asyncio: those that hold it, and those in which its function is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.resolve import plain, resolved
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Standing, Step
from leaklint.model.walk import text, walk

_GROUPS = frozenset(
    """anyio.create_task_group anyio.abc.TaskGroup trio.open_nursery trio.Nursery asyncer.create_task_group
    asyncer.TaskGroup""".split()
)
_SCOPES = frozenset(
    """anyio.CancelScope anyio.move_on_after anyio.fail_after trio.CancelScope trio.move_on_after trio.move_on_at
    trio.fail_after trio.fail_at""".split()
)
"""https://anyio.readthedocs.io/en/stable/cancellation.html
https://trio.readthedocs.io/en/stable/reference-core.html#cancellation-and-timeouts"""
_STARTS = frozenset({"start_soon", "start", "create_task"})
"""What runs a function in a group: https://anyio.readthedocs.io/en/stable/tasks.html"""
_DEEPEST = 3
"""A function that is only called in scopes is looked at through so many calls."""


class Scope(NamedTuple):
    """A scope, and the place that shows it to be around something."""

    standing: Standing
    """`group` for one that can be named there, `unnamed` for one that has no name, `child` for one that runs the
    function, `scope` for a scope that is no group."""
    step: Step


def scope_around(function: code.Function, node: Expr, kinds: Kinds, depth: int = 0) -> Scope | None:
    """The scope of AnyIO or trio that is around an expression of a function; None if there is none, or may be none."""
    return _written(function, node, kinds) or _only_run_in(function, kinds, depth)


# -- in the same function ----------------------------------------------------------------------------------------------


def _written(function: code.Function, node: Expr, kinds: Kinds) -> Scope | None:
    """The innermost scope that is entered around an expression, groups that have a name first."""
    found = [
        scope
        for block in walk(function.body, code.With)
        if any(inner is node for inner in walk(block.body, node.__class__))
        for item in block.items
        if (scope := _entered(item, function, kinds)) is not None
    ]
    return max(found, key=lambda scope: (scope.standing.how == "group", scope.step.span), default=None)


def _entered(item: code.Item, function: code.Function, kinds: Kinds) -> Scope | None:
    """The scope that an item of a `with` enters."""
    made = _made(item.context, function, kinds)
    path = path_of(made) or kinds.of(item.context, function)
    if path not in _GROUPS | _SCOPES or _is_shield(made) or isinstance(item.context, code.Starred):
        return None
    name = item.target if item.target is not None else item.context
    is_named = item.target is not None or not isinstance(item.context, code.Call)
    how = "scope" if path not in _GROUPS else "group" if is_named else "unnamed"
    message = f"the {'cancel scope' if how == 'scope' else 'group'} is entered around it"
    by = text(name if how == "group" else item.context)
    return Scope(Standing(how, by), kinds.program.step(function, item.context.span, message))


def _made(context: Expr, function: code.Function, kinds: Kinds) -> Expr:
    """What is entered: the call that makes it, also where a local name was bound to it before."""
    if isinstance(context, code.Name):
        values = [binding.expr for binding in kinds.bindings(function).get(context.id, ()) if binding.how == "value"]
        return values[0] if len(values) == 1 else context
    return context


def _is_shield(made: Expr) -> bool:
    """Whether a scope only keeps cancellation away."""
    return (
        isinstance(made, code.Call)
        and last_name(made) == "CancelScope"
        and any(keyword.name == "shield" for keyword in made.keywords)
        and not any(keyword.name == "deadline" for keyword in made.keywords)
    )


# -- around every use of the function ----------------------------------------------------------------------------------


def _only_run_in(function: code.Function, kinds: Kinds, depth: int) -> Scope | None:
    """The scope around a use of a function, if every mention of the function is a use that is in one."""
    if depth == _DEEPEST or function.kind != "function" or function.is_generator:
        return None
    found = list(_uses(function, kinds, depth))
    return found[0] if found and None not in found else None


def _uses(function: code.Function, kinds: Kinds, depth: int) -> Iterator[Scope | None]:
    """For each mention of a function, the scope in which it is run there."""
    for caller in kinds.program.mentioning(function.name, function.qualname):
        calls = list(walk(caller.body, code.Call))
        by_callee = {id(call.func): call for call in calls}
        by_argument = {id(plain(arg)): call for call in calls for arg in call.args}
        awaited = {id(await_.value) for await_ in walk(caller.body, code.Await)}
        for node in walk(caller.body, (code.Name, code.Global, code.Attribute)):
            if last_name(node) != function.name:
                continue
            reached = resolved(node, caller, kinds)
            if reached is None or reached.qualname != function.qualname:
                continue
            call = by_callee.get(id(node))
            start = by_argument.get(id(call if call is not None else node))
            if start is not None:
                yield _started(start, function, caller, kinds)
            elif call is not None and (id(call) in awaited or not function.is_async):
                yield scope_around(caller, call, kinds, depth + 1)
            else:
                yield None


def _started(call: code.Call, function: code.Function, caller: code.Function, kinds: Kinds) -> Scope | None:
    """The group that is told to run a function."""
    if last_name(call.func) not in _STARTS or kinds.of_receiver(call.func, caller) not in _GROUPS:
        return None
    group = text(call.func).rpartition(".")[0]
    return Scope(
        Standing("child", group), kinds.program.step(caller, call.span, f"`{function.name}` runs in the group")
    )
