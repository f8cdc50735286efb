"""The strategy that draws projects: functions that spawn, end and keep tasks, a class that owns some, and a host.

The functions stand in the module of the host or in one of their own, the class with the one or the other. A function
may use those that were drawn before it. `TASKS` is a set of tasks that a module keeps; `worker` is an object that keeps
one task in `_task` or several in `_tasks`. What `generative.ledger` calls an end is `close` and `stop` of the class,
and `drain` of the module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from generative.program import Block, Compound, Line, Part, Project, compound, lines, written
from generative.scope import Kit, Scope
from generative.strategy import ends, fallible, idiom, spawn, statements
from generative.waiting import SUPPRESS, end_of_one, wait_for_group, wait_for_one, wait_for_two

HOST, WORK = "app.main", "app.work"


def projects(*, size: int = 3) -> SearchStrategy[Project]:
    """Projects whose host has about `size` statements at most, beside those that begin and end its tasks."""
    return _projects(size)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A definition, and what it offers to those that follow."""

    block: Block
    kit: Kit
    names: tuple[str, ...]


def mentions(block: Block, word: str) -> bool:
    return any(word in line for line in written(block, ""))


# -- functions -----------------------------------------------------------------------------------------------------


def _function(name: str, body: Block) -> tuple[Block, str]:
    """A function that takes `env`, and a call of it: asynchronous where the body has to wait."""
    if mentions(body, "await"):
        return compound((f"async def {name}(env):", body)), f"(await @{name}(env))"
    return compound((f"def {name}(env):", body)), f"@{name}(env)"


def _spawn_one(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    given = scope.spawn(draw)
    body = draw(st.sampled_from([
        lines(f"return {given}"),
        lines(f"task = {given}", "return task"),
        lines(f"task = {given}", "task.add_done_callback(print)", "return task"),
    ]))  # fmt: skip
    block, call = _function(name, body)
    return _Offer(block, Kit(spawns=(call,)), (name,))


def _launch(_draw: DrawFn, _scope: Scope, name: str) -> _Offer:
    """Takes the coroutine."""
    block = compound((f"def {name}(coro):", lines("return asyncio.create_task(coro)")))
    return _Offer(block, Kit(spawns=(f"@{name}(env.child())",)), (name,))


def _connect(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    """Something may go wrong before the task is returned."""
    step = lines("await env.step()")
    caught = draw(st.sampled_from(["except BaseException:", "except Exception:", ""]))
    end = draw(st.sampled_from([lines("task.cancel()"), end_of_one(draw, scope, "task")]))
    trouble = compound(("try:", step), (caught, end + lines("raise"))) if caught else step
    body = lines(f"task = {scope.spawn(draw)}") + trouble + lines("return task")
    block = compound((f"async def {name}(env):", body))
    return _Offer(block, Kit(spawns=(f"(await @{name}(env))",)), (name,))


def _spawn_two(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    one, other = f"{scope.spawn(draw)}", f"{scope.spawn(draw)}"
    body = draw(st.sampled_from([
        lines(f"return {one}, {other}"),
        lines(f"return [{one}, {other}]"),
        lines(f"one = {one}", f"other = {other}", "return one, other"),
    ]))  # fmt: skip
    block, call = _function(name, body)
    return _Offer(block, Kit(pairs=(call,)), (name,))


def _spawn_several(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    given = scope.spawn(draw)
    loop = compound(("for _ in env.batch():", lines(f"ts.append({given})")))
    body = draw(st.sampled_from([
        lines(f"return [{given} for _ in env.batch()]"),
        lines("ts = []") + loop + lines("return ts"),
    ]))  # fmt: skip
    block, call = _function(name, body)
    return _Offer(block, Kit(several=(call,)), (name,))


def _register(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    """Keeps what it spawns in `TASKS`, and perhaps gives it as well."""
    gives = draw(st.booleans())
    discard = lines("task.add_done_callback(TASKS.discard)") if draw(st.booleans()) else ()
    body = lines(f"task = {scope.spawn(draw)}", "TASKS.add(task)") + discard + lines(*["return task"] * gives)
    block, call = _function(name, body)
    return _Offer(block, Kit(spawns=(call,)) if gives else Kit(uses=(call,)), (name,))


def _finish(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    """Takes a task and does something with it, most of the time waiting."""
    body = draw(st.sampled_from([end_of_one, wait_for_one]))(draw, scope, "task")
    block = compound((f"async def {name}(env, task):", body))
    return _Offer(block, Kit(one=(f"await @{name}(env, {{}})", f"await @{name}(env, task={{}})")), (name,))


def _flagged(draw: DrawFn, _scope: Scope, name: str) -> _Offer:
    """Waits or does not, as a constant argument says."""
    wait = compound((SUPPRESS, lines("await task")))
    default = draw(st.booleans())
    body = lines("task.cancel()") + draw(st.sampled_from([
        compound(("if wait:", wait)),
        compound(("if not wait:", lines("return"))) + wait,
    ]))  # fmt: skip
    block = compound((f"async def {name}(env, task, wait={default}):", body))
    options = ["", ", wait=True", ", wait=False", ", True", ", False"]
    return _Offer(block, Kit(one=tuple(f"await @{name}(env, {{}}{option})" for option in options)), (name,))


def _poke(draw: DrawFn, _scope: Scope, name: str) -> _Offer:
    """Takes a task and does not wait for it."""
    what = draw(st.sampled_from(["task.cancel()", "task.cancel()", "print(task.done())", "TASKS.add(task)"]))
    return _Offer(compound((f"def {name}(task):", lines(what))), Kit(one=(f"@{name}({{}})",)), (name,))


def _finish_several(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    """Takes a container, or any number of tasks."""
    if draw(st.booleans()):
        block = compound((f"async def {name}(env, ts):", wait_for_group(draw, scope, "ts")))
        kit = Kit(two=(f"await @{name}(env, [{{}}, {{}}])",), groups=(f"await @{name}(env, {{}})",))
    else:
        block = compound((f"async def {name}(env, *ts):", wait_for_group(draw, scope, "ts")))
        kit = Kit(two=(f"await @{name}(env, {{}}, {{}})",), groups=(f"await @{name}(env, *{{}})",))
    return _Offer(block, kit, (name,))


def _finish_two(draw: DrawFn, scope: Scope, name: str) -> _Offer:
    block = compound((f"async def {name}(env, one, other):", wait_for_two(draw, scope, "one", "other")))
    calls = (f"await @{name}(env, {{}}, {{}})", f"await @{name}(env, other={{}}, one={{}})")
    return _Offer(block, Kit(two=calls), (name,))


DEFINITIONS: dict[str, Callable[[DrawFn, Scope, str], _Offer]] = {
    "spawn": _spawn_one,
    "spawn_too": _spawn_one,
    "launch": _launch,
    "connect": _connect,
    "spawn_two": _spawn_two,
    "spawn_several": _spawn_several,
    "register": _register,
    "finish": _finish,
    "finish_too": _finish,
    "flagged": _flagged,
    "poke": _poke,
    "finish_several": _finish_several,
    "finish_two": _finish_two,
}


def _functions(draw: DrawFn) -> _Offer:
    """A few functions, and an end of `TASKS` if one of them puts something there."""
    block: Block = ()
    kit = Kit()
    names: list[str] = []
    for key in draw(st.lists(st.sampled_from(sorted(DEFINITIONS)), min_size=1, max_size=4, unique=True)):
        name = key if draw(st.sampled_from([True, False, False])) else f"_{key}"
        offer = DEFINITIONS[key](draw, Scope([1], kit.seen_from("")), name)
        block += offer.block
        kit += offer.kit
        names += offer.names
    if mentions(block, "TASKS"):
        block = lines("TASKS = set()") + block
        if draw(st.booleans()):
            body = _end_of_several(draw, Scope([1], kit.seen_from("")), "TASKS", is_set=True)
            block += compound(("async def drain(env):", body))
            kit += Kit(uses=("await @drain(env)",))
            names.append("drain")
    return _Offer(block, kit, tuple(names))


def _end_of_several(draw: DrawFn, scope: Scope, name: str, *, is_set: bool) -> Block:
    """An end of the tasks in a container that may change while it is waited for."""
    cancel = compound((f"for x in {name}:", lines("x.cancel()")))
    emptied = lines(f"done, _ = await asyncio.wait({name})", f"{name}.difference_update(done)")
    choice = [
        cancel,
        cancel + lines(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        lines(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        compound((f"for x in list({name}):", lines("await x"))),
        lines("await env.step()"),
    ]
    if is_set:
        choice += [
            compound((f"while {name}:", lines(f"await {name}.pop()"))),
            compound((f"while {name}:", emptied)),
        ]
    if name != "TASKS":  # which may have one member only
        choice += [wait_for_group(draw, scope, f"list({name})")] * 2
    return draw(st.sampled_from(choice))


# -- the class -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Class:
    """The class, and how an object of it named `worker` is used."""

    block: Block
    start: str
    gives: bool
    """`start` gives the task."""
    several: bool
    """`start` may be called more than once."""
    enters: bool
    """`async with` calls `start`."""
    closings: tuple[str, ...]


def _class(draw: DrawFn, kit: Kit) -> _Class:
    scope = Scope([1], kit)
    several = draw(st.booleans())
    empty = draw(st.sampled_from(["[]", "set()"])) if several else "None"
    gives, enters = draw(st.booleans()), not several and draw(st.booleans())
    begin = (_begin_several if several else _begin_one)(draw, scope, empty) + lines(*["return task"] * gives)
    is_async = mentions(begin, "await")
    call = "(await {}.start())" if is_async else "{}.start()"
    stop = draw(st.sampled_from([None, None, "close", "own"]))
    leave = draw(st.sampled_from(["close", "close", "stop" if stop else "close", None]))
    methods: list[tuple[str, Block]] = [
        (f"{'async ' * is_async}def start(self):", begin),
        ("async def close(self):", _close(draw, scope, empty)),
    ]
    if stop:
        own = _close(draw, scope, empty) if stop == "own" else lines("await self.close()")
        methods.append(("async def stop(self):", own))
    methods += [
        ("async def __aenter__(self):", lines(*[call.format("self")] * enters, "return self")),
        ("async def __aexit__(self, *exc):", lines(f"await self.{leave}()" if leave else "pass")),
    ]
    name = "_tasks" if several else "_task"
    init = compound(("def __init__(self, env):", lines("self._env = env", f"self.{name} = {empty}")))
    body = init + tuple(part for header, block in methods for part in compound((header, _of_self(block))))
    ends_ = ("await worker.close()", *["await worker.stop()"] * bool(stop))
    return _Class(compound(("class Worker:", body)), call.format("worker"), gives, several, enters, ends_)


def _begin_one(draw: DrawFn, scope: Scope, _empty: str) -> Block:
    given = scope.spawn(draw)
    after = lines("await env.step()") if draw(st.sampled_from([True, False, False])) else ()
    return lines(f"task = {given}", "self._task = task") + after


def _begin_several(draw: DrawFn, scope: Scope, empty: str) -> Block:
    add, remove = ("append", "remove") if empty == "[]" else ("add", "discard")
    back = lines(f"task.add_done_callback(self._tasks.{remove})") if draw(st.booleans()) else ()
    return lines(f"task = {scope.spawn(draw)}", f"self._tasks.{add}(task)") + back


def _close(draw: DrawFn, scope: Scope, empty: str) -> Block:
    """Ends what the object keeps, or does not."""
    if empty != "None":
        return _end_of_several(draw, scope, "self._tasks", is_set=empty == "set()")
    end = draw(st.sampled_from([end_of_one, end_of_one, wait_for_one]))
    if draw(st.sampled_from([True, False, False])):
        swap = lines("task, self._task = self._task, None")
        return swap + compound(("if task is not None:", end(draw, scope, "task")))
    held = end(draw, scope, "self._task")
    return draw(st.sampled_from([
        compound(("if self._task is not None:", held)),
        compound(("if self._task:", held)),
        compound(("if self._task is None:", lines("return"))) + held,
        compound(("if self._task is not None:", held + lines("self._task = None"))),
        lines("await env.step()"),
    ]))  # fmt: skip


def _of_self(block: Block) -> Block:
    """A block in a method: `env` is an attribute."""
    return tuple(
        Line(re.sub(r"\benv\b", "self._env", each.text))
        if isinstance(each, Line)
        else Compound(tuple(Part(re.sub(r"\benv\b", "self._env", p.header), _of_self(p.body)) for p in each.parts))
        for each in block
    )


# -- the host ------------------------------------------------------------------------------------------------------


@st.composite
def _projects(draw: DrawFn, size: int) -> Project:
    work = _functions(draw)
    owned = draw(st.sampled_from([True, True, False]))
    apart = draw(st.sampled_from(["", "functions", "functions and class"]))
    imports, prefix = _imports(draw, work, with_class=owned and "class" in apart) if apart else ((), "")
    owner = _class(draw, work.kit.seen_from("" if "class" in apart else prefix)) if owned else None
    classes = owner.block if owner else ()
    worker = f"{prefix}Worker(env)" if "class" in apart else "Worker(env)"
    host = compound(("async def host(env):", _host(draw, Scope([size], work.kit.seen_from(prefix)), owner, worker)))
    asyncio = lines("import asyncio", "from contextlib import suppress")
    if not apart:
        return Project(((HOST, asyncio + work.block + classes + host),))
    there, here = (classes, ()) if "class" in apart else ((), classes)
    return Project(((HOST, asyncio + imports + here + host), (WORK, asyncio + work.block + there)))


def _imports(draw: DrawFn, work: _Offer, *, with_class: bool) -> tuple[Block, str]:
    """An import of the other module, and what goes before its names."""
    names = ", ".join([*work.names, *["Worker"] * with_class])
    return draw(st.sampled_from([
        (lines(f"from {WORK} import {names}"), ""),
        (lines(f"from .work import {names}"), ""),
        (lines("from . import work"), "work."),
        (lines(f"import {WORK} as jobs"), "jobs."),
        (lines(f"import {WORK}"), f"{WORK}."),
    ]))  # fmt: skip


def _host(draw: DrawFn, scope: Scope, owner: _Class | None, worker: str) -> Block:
    """Spawns, a body and ends, as in a program of one function; an object is entered, closed in `finally`, or not."""
    if owner is None:
        return spawn(draw, scope) + _body(draw, scope)
    if owner.several:
        scope.kit += Kit(spawns=(owner.start,)) if owner.gives else Kit(uses=(owner.start,))
    scope.kit += Kit(uses=owner.closings)
    shape = draw(st.sampled_from(["with", "finally", "close", "leave"]))
    if shape == "with":
        start = () if owner.enters else _start(draw, scope, owner)
        return compound((f"async with {worker} as worker:", start + _body(draw, scope)))
    make = lines(f"worker = {worker}") + _start(draw, scope, owner)
    end = lines(draw(st.sampled_from(owner.closings)))
    if shape == "finally":
        return make + compound(("try:", fallible(draw, _body(draw, scope))), ("finally:", end))
    return make + _body(draw, scope) + (end if shape == "close" else ())


def _start(draw: DrawFn, scope: Scope, owner: _Class) -> Block:
    if owner.several:
        # Never one alone: leaklint takes it that members of a group have siblings.
        return lines(owner.start, owner.start)
    if not owner.gives:
        return lines(owner.start)
    how = draw(st.sampled_from(["c = {}", "c = {}", "{}", "await {}"]))
    if how.startswith("c"):
        scope.bind("c")
    return lines(how.format(owner.start))


def _body(draw: DrawFn, scope: Scope) -> Block:
    begin = spawn(draw, scope) if draw(st.booleans()) else ()
    if draw(st.booleans()) and (scope.tasks or scope.groups or scope.kit.uses):
        return begin + idiom(draw, scope) + ends(draw, scope)
    return begin + statements(draw, scope, 2) + ends(draw, scope)
