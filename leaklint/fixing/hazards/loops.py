"""Whether a loop that awaits comes to an end, as far as it says so itself.

A loop that never awaits holds up the whole program: one that never ended would have been noticed. It counts as a call.
"""

from __future__ import annotations

import sys

from leaklint.analysis.kinds import path_of
from leaklint.analysis.resolve import resolved
from leaklint.catalog import ADDING, POPPING, VIEWING
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk

_ENDLESS = frozenset({"itertools.count", "itertools.cycle", "itertools.repeat"})
"""https://docs.python.org/3/library/itertools.html"""
_CUTTING = frozenset({"itertools.islice", "itertools.takewhile", "builtins.range"})
_PASSING = frozenset({"builtins.enumerate", "builtins.filter", "builtins.map", "itertools.chain"})
_CLOCKS = frozenset({"time.time", "time.monotonic", "time.perf_counter", "time.time_ns", "time.monotonic_ns"})
_GIVING = VIEWING | frozenset("split rsplit splitlines partition elements most_common iterdir glob rglob group".split())
"""Methods that give a container, or an iterator that ends."""


def waits(root: object) -> bool:
    """Whether there is an await."""
    for node in walk(root, (code.Await, code.With, code.For, code.Comprehension)):
        match node:
            case code.Await():
                return True
            case code.With(is_async=is_async) | code.For(is_async=is_async):
                if is_async:
                    return True
            case code.Comprehension(clauses=clauses):
                if any(clause.is_async for clause in clauses):
                    return True
    return False


def endless_loop(loop: code.While, function: code.Function) -> str | None:
    """Why a `while` may never end; None if it does, or never awaits."""
    if not waits((loop.test, loop.body)) or _counts(loop) or _uses_up(loop, function) or _is_timed(loop.test):
        return None
    match loop.test:
        case code.Constant(value=value):
            return f"`while {value}`"
        case code.Not(value=value):
            return f"it loops until `{text(value)}`"
    written = text(loop.test)
    return "it loops while a condition holds" if written == "..." else f"it loops while `{written}`"


def _counts(loop: code.While) -> bool:
    """`while i < n: ...; i += 1`, each time round. (Which way it counts is taken for right.)"""
    match loop.test:
        case code.Compare(
            left=code.Name(id=name),
            op="<" | "<=" | ">" | ">=",
            right=code.Constant() | code.Name() | code.Global(),
        ):
            changed = [each for each in walk(loop.body, (code.Assign, code.Augment)) if _sets(each, name)]
            always = [each for each in loop.body if isinstance(each, code.Augment) and _is_number(each.value)]
            passed_by = any(True for _ in walk(loop.body, code.Continue))
            return len(changed) == 1 and any(each is changed[0] for each in always) and not passed_by
    return False


def _sets(statement: code.Assign | code.Augment, name: str) -> bool:
    targets = (statement.target,) if isinstance(statement, code.Augment) else statement.targets
    return any(isinstance(each, code.Name) and each.id == name for each in targets)


def _is_number(value: Expr) -> bool:
    return isinstance(value, code.Constant) and isinstance(value.value, int | float) and value.value > 0


def _uses_up(loop: code.While, function: code.Function) -> bool:
    """`while items: items.pop()`, where nothing is added to a local container."""
    if not isinstance(loop.test, code.Name) or any(True for _ in walk(loop.body, code.Continue)):
        return False
    name = loop.test.id
    uses = [each for each in walk(function.body, code.Attribute) if isinstance(each.value, code.Name)]
    of_it = {each.attr for each in uses if isinstance(each.value, code.Name) and each.value.id == name}
    read = [each for each in walk(loop.body, code.Name) if each.id == name]
    owners = {id(each.value) for each in uses}
    if of_it & ADDING or any(id(each) not in owners for each in read):
        return False
    return any(
        isinstance(call.func, code.Attribute)
        and call.func.attr in POPPING
        and isinstance(call.func.value, code.Name)
        and call.func.value.id == name
        for statement in loop.body
        if isinstance(statement, code.Assign | code.Evaluate)
        for call in walk(statement, code.Call)
    )


def _is_timed(test: Expr) -> bool:
    """`while time.monotonic() < deadline`."""
    match test:
        case (
            code.Compare(left=code.Call() as clock, op="<" | "<=")
            | code.Compare(op=">" | ">=", right=code.Call() as clock)
        ):
            return path_of(clock) in _CLOCKS
    return False


def endless_iteration(iterable: Expr, function: code.Function, study: Study) -> str | None:
    """Why a `for` over an expression may never end; None if it does."""
    match iterable:
        case code.Call(args=args) if path_of(iterable) == "builtins.zip":
            every = [endless_iteration(arg, function, study) for arg in args]
            return every[0] if every and None not in every else None
        case code.Call(args=args):
            parts: tuple[Expr, ...] = args if path_of(iterable) in _PASSING else ()
            own = None if path_of(iterable) in _CUTTING else _endless_call(iterable, function, study)
        case code.Conditional(then=then, orelse=orelse):
            parts, own = (then, orelse), None
        case code.Boolean(values=values):
            parts, own = values, None
        case _:
            return None
    return own or next((why for part in parts if (why := endless_iteration(part, function, study))), None)


def _endless_call(call: code.Call, function: code.Function, study: Study) -> str | None:
    path, said = path_of(call), text(call.func)
    if path in _ENDLESS and not (path == "itertools.repeat" and len(call.args) > 1):
        return f"`{said}` has no end"
    if path == "builtins.iter" and len(call.args) > 1:
        return f"it loops until `{said}` gives the sentinel"
    found = resolved(call.func, function, study.kinds)
    if found is not None:
        if not found.is_generator:
            return None
        loops = any(isinstance(each.test, code.Constant) for each in walk(found.body, code.While))
        return f"the generator `{found.name}` has `while True`" if loops else None
    if path is not None and path.partition(".")[0] in (*sys.stdlib_module_names, "builtins"):
        return None
    if isinstance(call.func, code.Attribute) and call.func.attr in _GIVING:
        return None
    return f"whether `{said}` has an end is not known"
