"""Where code that catches a cancellation means to, as far as it says so."""

from __future__ import annotations

from leaklint.analysis.cancellation.catching import Catch
from leaklint.analysis.cancellation.suspending import Suspending
from leaklint.analysis.kinds import Kinds, last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.catalog import LOGGING
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.walk import text, walk

_COUNTING = frozenset({"uncancel", "cancelling"})
"""https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel"""
_RUNNING = frozenset({"run", "run_until_complete"})
_INTERRUPTS = frozenset({"builtins.KeyboardInterrupt", "builtins.SystemExit", "builtins.GeneratorExit"})
_SAYING = LOGGING | frozenset(
    "print str repr type format_exception print_exception format_exc print_exc capture_exception".split()
)


def is_exempt(function: code.Function, kinds: Kinds) -> bool:
    """Whether cancellation is nothing to a function: a test, what `asyncio.run` is given, what counts cancellations."""
    if not _COUNTING.isdisjoint(function.words):
        return True
    parts = function.qualname.split(".")
    if any(part.startswith(("test_", "Test")) or part in ("test", "tests", "conftest") for part in parts):
        return True
    return any(
        _is_run(call, function, caller, kinds)
        for caller in kinds.program.mentioning(function.name, function.qualname)
        if not caller.words.isdisjoint(_RUNNING)
        for call in walk(caller.body, code.Call)
    )


def _is_run(call: code.Call, function: code.Function, caller: code.Function, kinds: Kinds) -> bool:
    """Whether a call runs a function to its end on a loop of its own."""
    if last_name(call.func) not in _RUNNING or not call.args:
        return False
    given = call.args[0].func if isinstance(call.args[0], code.Call) else call.args[0]
    return last_name(given) == function.name and resolved(given, caller, kinds) is function


def is_meant(catch: Catch, suspending: Suspending) -> bool:
    """Whether a catch expects an error of its own: that of a task which the function has cancelled, or a result."""
    if any(path_of(type_) in _INTERRUPTS for type_ in catch.types):
        return True
    if _cancels((catch.before, catch.body)):
        return True
    if any(path_of(call.func) == "sys.exc_info" for call in walk(catch.body, code.Call)):
        return True
    if catch.name and _is_handed_on(catch.name, catch.body):
        return True
    if not _asked(_tests(suspending.function.body)).isdisjoint(_bound(catch.body)):
        return True
    return catch.is_explicit and all(
        isinstance(node, code.Await) and suspending.awaits_handles(node.value) for node in catch.awaits
    )


def _is_handed_on(name: str, body: Block) -> bool:
    """Whether a handler gives the caught error to something else than a log."""
    said = [
        id(node)
        for call in walk(body, code.Call)
        if last_name(call.func) in _SAYING
        for node in walk((*call.args, *(keyword.value for keyword in call.keywords)), code.Name)
    ]
    return any(node.id == name and id(node) not in said for node in walk(body, code.Name))


def is_told_of(catch: Catch, statement: code.Stmt, suspending: Suspending) -> bool:
    """Whether a loop is ended by what it asks for: the handler changes that, or who cancels the task does."""
    if not isinstance(statement, code.While):
        return False
    asked = _asked(statement.test)
    if not asked.isdisjoint(_told(catch.body)):
        return True
    words = {name.rpartition(".")[2] for name in asked}
    return any(
        _cancels(scope.body) and not words.isdisjoint(told.rpartition(".")[2] for told in _told(scope.body))
        for word in words
        for scope in suspending.kinds.program.mentioning(word, suspending.function.qualname)
    )


def _asked(root: object) -> set[str]:
    """The names and attributes in a condition; not the names of objects of which it only asks for an attribute."""
    nodes = list(walk(root, (code.Name, code.Attribute, code.Global)))
    owners = {id(node.value) for node in nodes if isinstance(node, code.Attribute)}
    return {text(node) for node in nodes if id(node) not in owners or not isinstance(node, code.Name)}


def _tests(block: Block) -> tuple[Expr, ...]:
    """The conditions of a block."""
    branches = [branch.test for node in walk(block, code.If) for branch in node.branches]
    return (*branches, *(node.test for node in walk(block, (code.While, code.Conditional))))


def _bound(block: Block) -> set[str]:
    """The names and attributes that a block binds."""
    return {text(target) for node in walk(block, code.Assign) for target in node.targets}


def _told(block: Block) -> set[str]:
    """The names and attributes that a block binds or changes."""
    changed = {text(node.target) for node in walk(block, code.Augment)}
    called = {text(call.func.value) for call in walk(block, code.Call) if isinstance(call.func, code.Attribute)}
    return _bound(block) | changed | called


def _cancels(block: object) -> bool:
    return any("cancel" in last_name(call.func) for call in walk(block, code.Call))
