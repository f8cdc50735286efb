"""What stands within, or around, the statements that a task group would enclose."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.analysis.spawns import Sort, Spawn, find_spawns
from leaklint.catalog import Role
from leaklint.fixing.hazards.children import EXITS, exits, place
from leaklint.fixing.hazards.clauses import spelled_out
from leaklint.fixing.hazards.errors import ENDINGS, Errors, is_broad, surely_caught
from leaklint.fixing.hazards.interruption import interrupted
from leaklint.fixing.hazards.raising import errors_of
from leaklint.fixing.hazards.resources import misplaced
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Block
from leaklint.model.fix import Hazard, Target
from leaklint.model.walk import text, walk

_SKIPPING = frozenset({"skipTest", "skip", "xfail", "importorskip"})
"""What tells a test runner by the type of an error how a test has ended: https://docs.pytest.org/en/stable/how-to/skipping.html"""
_STOPS = frozenset({"builtins.StopIteration", "builtins.StopAsyncIteration"})
_NEXT = frozenset({"__anext__", "__next__"})
_FACTORY = "set_task_factory"
"""https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_task_factory"""


def unsuitable(block: Block, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """What stands against a group around these statements of a function. If something blocks, only that is said."""
    blocking = (*_cannot_wait(function), *_yields(block, function, study), *_stops_iteration(block, function, study))
    if any(hazard.blocks for hazard in blocking):
        return tuple(hazard for hazard in blocking if hazard.blocks)
    spawns = spawns_in(block, function, study)
    found = [*blocking, *_raises(block, study), *misplaced(block, spawns, function, study)]
    if may_fail(spawns, function, study):
        found += _failing(block, spawns, function, study)
    if study.environment.target is Target.ANYIO:
        found += [*_program_wide(block, function, study), *_cancels(block, spawns), *_factories(function, study)]
    return tuple(dict.fromkeys(found))


def spawns_in(block: Block, function: code.Function, study: Study) -> tuple[Spawn, ...]:
    """The spawns of a function that stand in a block of it."""
    every = (spawn for spawn in find_spawns(function, study.kinds) if spawn.sort is Sort.FREE)
    return tuple(each for each in every if any(contains(inner.span, each.call.span) for inner in block))


def may_fail(spawns: tuple[Spawn, ...], function: code.Function, study: Study) -> bool:
    """Whether one of the tasks may raise an error, which cancels the group; or nothing is known of them."""
    coroutines = [spawn.spawned_call for spawn in spawns]
    return not spawns or any(each is None or errors_of(each, function, study).is_likely for each in coroutines)


# -- what blocks -------------------------------------------------------------------------------------------------------


def _cannot_wait(function: code.Function) -> tuple[Hazard, ...]:
    if function.kind in ("module", "class"):
        where = "at the top level of a module" if function.kind == "module" else "in the body of a class"
        return (Hazard("module-level", f"{where}, nothing can wait", blocks=True),)
    if not function.is_async:
        name = "a lambda" if function.kind == "lambda" else f"`{function.name}`"
        return (Hazard("not-a-coroutine-function", f"{name} is no coroutine function: it cannot wait", blocks=True),)
    return ()


def _yields(block: Block, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """A group around a `yield` runs its exit in whatever task closes the generator, or never; around that of a context
    manager it works, but the errors of the `async with` arrive grouped.
    """
    node = next(walk(block, code.Yield), None)
    if node is None:
        return ()
    said = f"`yield` on line {node.span.line} would be inside the group"
    if study.kinds.is_decorated(function, Role.CONTEXT_MANAGER):
        return (Hazard("yield-inside", f"{said}: errors of the `async with` body would arrive in an ExceptionGroup"),)
    return (Hazard("yield-inside", said, blocks=True),)


def _stops_iteration(block: Block, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    for node in _leaving(block, study):
        if node.value is not None and path_of(node.value) in _STOPS:
            said = f"`{last_name(node.value)}` on line {node.span.line} would be grouped, and end no iteration"
            return (Hazard("stops-iteration", said, blocks=True),)
    if function.name in _NEXT:
        return (Hazard("stops-iteration", f"`{function.name}` ends its iteration by an error", blocks=True),)
    return ()


# -- errors of the block -----------------------------------------------------------------------------------------------


def _raises(block: Block, study: Study) -> Iterator[Hazard]:
    """Errors that leave the block: the group wraps them as well."""
    for node in _leaving(block, study):
        path = path_of(node.value) if node.value is not None else None
        if path not in ENDINGS | EXITS:
            raised = "" if node.value is None else f" {last_name(node.value) or text(node.value)}"
            said = f"what `raise{raised}` on line {node.span.line} raises would arrive in an ExceptionGroup"
            yield Hazard("raise-inside", said)
    for call in walk(block, code.Call):
        if last_name(call) in _SKIPPING and (path_of(call) or "self.").startswith(("self.", "pytest.", "unittest.")):
            said = f"what `{text(call.func)}` on line {call.span.line} raises would arrive in an ExceptionGroup"
            yield Hazard("raise-inside", said)


def _leaving(block: Block, study: Study) -> Iterator[code.Raise]:
    """The `raise` statements whose error leaves a block."""
    for statement in block:
        match statement:
            case code.Raise():
                yield statement
            case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                for node in _leaving(body, study):
                    path = path_of(node.value) if node.value is not None else None
                    if not any(_surely_catches(handler, path, study) for handler in handlers):
                        yield node
                for inner in (*(handler.body for handler in handlers), orelse, final):
                    yield from _leaving(inner, study)
            case code.If(branches=branches, orelse=orelse):
                for inner in (*(branch.body for branch in branches), orelse):
                    yield from _leaving(inner, study)
            case code.While(body=body, orelse=orelse) | code.For(body=body, orelse=orelse):
                yield from _leaving((*body, *orelse), study)
            case code.With(items=items, body=body):
                if not any(_suppresses(item) for item in items):
                    yield from _leaving(body, study)
            case code.Match(cases=cases):
                for case in cases:
                    yield from _leaving(case.body, study)


def _surely_catches(handler: code.Handler, path: str | None, study: Study) -> bool:
    types = spelled_out(handler.types, study)
    if is_broad(types):
        return True
    errors = Errors(frozenset({path})) if path is not None else Errors()
    return bool(errors) and bool(surely_caught(types, errors, study))


def _suppresses(item: code.Item) -> bool:
    context = item.context
    return isinstance(context, code.Call) and path_of(context) == "contextlib.suppress" and is_broad(context.args)


def _program_wide(block: Block, function: code.Function, study: Study) -> Iterator[Hazard]:
    """What the block does, itself or by what it calls, to the program: it ends it, which a group of AnyIO turns into a
    traceback, or it cancels all tasks, upon which the group ends in silence. (Where others do that, they cancel the
    task of this function as well, which then ends by that.)
    """
    found: dict[str, Hazard] = {}
    for node, where in _reached(block, function, study, set()):
        at = place(node.span, where, "", function, study)
        role = study.kinds.role_of_callee(node.func, where) if isinstance(node, code.Call) else None
        if (written := exits(node, where, study)) is not None:
            said = f"`{written}`{at} would end the program with a traceback and status 1"
            found.setdefault("exit-inside", Hazard("exit-inside", said))
        elif role is Role.ALL_TASKS and "cancel" in where.words:
            said = f"all tasks are cancelled{at}, those of the group among them, which ends in silence"
            found.setdefault("cancels-all-tasks", Hazard("cancels-all-tasks", said))
    yield from found.values()


def _reached(
    block: Block, function: code.Function, study: Study, seen: set[str]
) -> Iterator[tuple[code.Raise | code.Call, code.Function]]:
    """The calls and `raise` statements of a block and of the functions that it calls, with the functions."""
    awaited = {id(node.value) for node in walk(block, code.Await)}
    for node in walk(block, (code.Raise, code.Call)):
        yield node, function
        called = resolved(node.func, function, study.kinds) if isinstance(node, code.Call) else None
        # a coroutine that is spawned is in a task of its own
        if called is not None and called.qualname not in seen and (not called.is_async or id(node) in awaited):
            seen.add(called.qualname)
            yield from _reached(called.body, called, study, seen)


# -- what a failing task does to the block -----------------------------------------------------------------------------


def _failing(block: Block, spawns: tuple[Spawn, ...], function: code.Function, study: Study) -> Iterator[Hazard]:
    """What is new when a task fails and the group cancels the function."""
    yield from interrupted(block, function, study)
    for spawn in spawns:
        loop = _endless_around(spawn, block)
        if loop is not None:
            said = f"when `{spawn.spawned}` fails, the loop on line {loop.span.line} ends"
            yield Hazard("failure-ends-loop", said)


def _endless_around(spawn: Spawn, block: Block) -> code.While | code.For | None:
    """The loop around a spawn that is to run for as long as the program does."""
    for loop in walk(block, (code.While, code.For)):
        endless = loop.is_async if isinstance(loop, code.For) else isinstance(loop.test, code.Constant | code.Not)
        if endless and contains(loop.span, spawn.call.span):
            return loop
    return None


# -- cancellations -----------------------------------------------------------------------------------------------------


def _cancels(block: Block, spawns: tuple[Spawn, ...]) -> Iterator[Hazard]:
    """Cancellations of the tasks, or of the function itself, which AnyIO delivers in another way than asyncio."""
    names = {
        target.id
        for node in walk(block, code.Assign)
        if any(call is spawn.call for spawn in spawns for call in walk(node.value, code.Call))
        for target in walk(node.targets, code.Name)
    }
    for call in walk(block, code.Call):
        match call.func:
            case code.Attribute(value=code.Name(id=name), attr="cancel") if name in names:
                said = f"`{name}.cancel()` on line {call.span.line}: a task that has not begun would run to its first"
                yield Hazard("native-cancel", f"{said} `await`, and end with a `TaskCancelled`")
            case code.Attribute(value=value, attr="cancel") if path_of(value) == "asyncio.current_task":
                yield Hazard("native-cancel", f"the function cancels itself on line {call.span.line}")


def _factories(function: code.Function, study: Study) -> Iterator[Hazard]:
    """Where the program says how its tasks are made."""
    for scope in _concerned(_FACTORY, function, study):
        for call in walk(scope.body, code.Call):
            if last_name(call) == _FACTORY:
                said = f"`{scope.name}` sets a task factory{place(call.span, scope, scope.name, function, study)}"
                yield Hazard("task-factory", f"{said}, which the tasks of AnyIO are not made by")
                return


def _concerned(word: str, function: code.Function, study: Study) -> Iterator[code.Function]:
    """The scopes that mention a word, without those of other tests: each has an event loop of its own."""
    paths = study.program.paths
    for scope in study.program.mentioning(word, function.qualname):
        module = scope.qualname.split(".")
        is_test = any(part.startswith(("test_", "Test")) or part.endswith("_test") for part in module)
        if not is_test or paths[scope.qualname] == study.path:
            yield scope
