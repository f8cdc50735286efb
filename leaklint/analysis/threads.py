"""Which futures of other threads are thrown away: those of `run_coroutine_threadsafe` and of executors."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import Kinds, last_name
from leaklint.analysis.outcomes import Outcomes
from leaklint.analysis.spawns import Sort, Spawn
from leaklint.catalog import Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Pattern
from leaklint.model.walk import walk

_IN_EXECUTOR = "run_in_executor"
THREADS = frozenset({_IN_EXECUTOR, "run_coroutine_threadsafe", "submit"})
"""A scope without any of these starts nothing in another thread."""


def find_dropped_futures(function: code.Function, kinds: Kinds, outcomes: Outcomes) -> Iterator[Spawn]:
    """The calls in a scope's own code that start work in another thread, and whose future nobody can look at."""
    if function.words.isdisjoint(THREADS):
        return
    for call in _thrown_away(function, kinds):
        started = _started(call, function, kinds)
        if started is not None and not _is_waited_for(call, function) and _matters(started, function, outcomes):
            yield Spawn(call, function, Sort.DROPPED, started=started, pattern=Pattern.THREAD_FUTURE)


def _matters(started: Expr, function: code.Function, outcomes: Outcomes) -> bool:
    """Whether somebody should look at the end of the work: it may fail, or it is a wait."""
    if not isinstance(started, code.Call) or last_name(started) == "wait":
        return True
    return outcomes.coroutine(started, function).raises


def _started(call: code.Call, function: code.Function, kinds: Kinds) -> Expr | None:
    """What a call starts in another thread; None if it starts nothing there."""
    if last_name(call.func) == _IN_EXECUTOR and isinstance(call.func, code.Attribute) and len(call.args) > 1:
        return call.args[1]
    is_thread = kinds.role_of_callee(call.func, function) is Role.THREAD
    return call.args[0] if is_thread and call.args else None


def _is_waited_for(call: code.Call, function: code.Function) -> bool:
    """Whether the work runs in an executor that this function leaves with `with`, which waits."""
    executors = {
        item.target.id
        for statement in walk(function.body, code.With)
        for item in statement.items
        if isinstance(item.target, code.Name)
    }
    receiver = call.func.value if isinstance(call.func, code.Attribute) else None
    return any(isinstance(expr, code.Name) and expr.id in executors for expr in (receiver, *call.args[:1]))


def _thrown_away(function: code.Function, kinds: Kinds) -> Iterator[code.Call]:
    """The calls whose value nothing reads."""
    for statement in walk(function.body, (code.Evaluate, code.Assign)):
        if isinstance(statement, code.Evaluate):
            yield from _values(statement.value)
        elif isinstance(statement.value, code.Call) and all(_is_unread(t, function, kinds) for t in statement.targets):
            yield statement.value


def _values(expr: Expr) -> Iterator[code.Call]:
    """The calls whose value is that of an expression, or an element of it."""
    match expr:
        case code.Call():
            yield expr
        case code.Comprehension(element=element):
            yield from _values(element)
        case code.Conditional(then=then, orelse=orelse):
            yield from _values(then)
            yield from _values(orelse)
        case code.Boolean(values=[*_, last]):
            yield from _values(last)


def _is_unread(target: Expr, function: code.Function, kinds: Kinds) -> bool:
    """Whether a target is a local name that nothing reads."""
    if not isinstance(target, code.Name) or target.id not in function.local_names:
        return False
    stored = {id(each) for node in walk(function.body, code.Assign) for each in node.targets}
    reads = (name for name in walk(function.body, code.Name) if name.id == target.id and id(name) not in stored)
    inner = (scope for scope in kinds.program.inside(function) if scope is not function)
    return not any(True for _ in reads) and not any(target.id in scope.free_names for scope in inner)
