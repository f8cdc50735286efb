"""The strategy that draws programs: spawns, waits, branches, loops and exits, the usual idioms more often than chance.

Names in the programs: `a`, `b`, `c` hold a task or None, `ts` is a list of tasks and `pool` a set. A program never
reads a name before it has a value, and never awaits None, as far as the strategy can see without running it. Every loop
ends by itself or waits for something in each of its rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from generative.program import Block, Compound, Line, Part, Program

CAUGHT = [
    [" Exception"],
    [" asyncio.CancelledError"],
    [" BaseException"],
    [" ValueError"],
    [" asyncio.TimeoutError"],
    [" (Exception, asyncio.CancelledError)"],
    [""],
    [" asyncio.CancelledError", " Exception"],
    [" ValueError", " Exception"],
    [" ValueError", ""],
    [" Exception", " BaseException"],
]
"""What the handlers of a `try` catch; each has something left to catch."""
SPAWNERS = ["asyncio.create_task"] * 3 + ["asyncio.ensure_future", "asyncio.get_running_loop().create_task"]
GROUPS = ("ts", "pool")
SUPPRESS = "with suppress(asyncio.CancelledError):"
FIRST = "return_when=asyncio.FIRST_COMPLETED"


def programs(*, size: int = 12) -> SearchStrategy[Program]:
    """Programs of about `size` statements at most."""
    return _programs(size)


@dataclass(slots=True)
class _Scope:
    """What is known of the names where the next statement will stand."""

    budget: list[int]
    """How many statements may follow; shared by all scopes of a program."""
    bound: set[str] = field(default_factory=set)
    """Handles that have a value, perhaps None."""
    tasks: set[str] = field(default_factory=set)
    """Handles that are a task."""
    groups: set[str] = field(default_factory=set)
    in_loop: bool = False
    depth: int = 0

    def inner(self, *, in_loop: bool | None = None) -> _Scope:
        in_loop = self.in_loop if in_loop is None else in_loop
        return _Scope(self.budget, set(self.bound), set(self.tasks), set(self.groups), in_loop, self.depth + 1)

    def bind(self, name: str) -> None:
        self.bound.add(name)
        self.tasks.add(name)

    def meet(self, *others: _Scope) -> None:
        """Keeps what holds in every one of the scopes."""
        self.bound = set.intersection(*(other.bound for other in others))
        self.tasks = set.intersection(*(other.tasks for other in others))
        self.groups = set.intersection(*(other.groups for other in others))


Production = Callable[[DrawFn, _Scope], Block]


def _block(*texts: str) -> Block:
    return tuple(Line(text) for text in texts)


def _compound(*parts: tuple[str, Block]) -> Block:
    return (Compound(tuple(Part(*part) for part in parts)),)


@st.composite
def _programs(draw: DrawFn, size: int) -> Program:
    """Spawns first, then a body, then an end for most of what was spawned; or the body under `try`, its end below."""
    scope = _Scope([size])
    body = _spawn(draw, scope)
    if draw(st.booleans()):
        body += _spawn(draw, scope)
    if draw(st.booleans()) and (scope.tasks or scope.groups):
        return Program(body + _idiom(draw, scope) + _ends(draw, scope))
    return Program(body + _statements(draw, scope, 3) + _ends(draw, scope))


def _ends(draw: DrawFn, scope: _Scope) -> Block:
    """An end of each task and group with a name, most of the time."""
    body: Block = ()
    for name in sorted(scope.tasks | scope.groups):
        if draw(st.sampled_from([True, True, True, False])):
            body += draw(st.sampled_from([_end_of_one, _wait_for_one]))(draw, name)
    return body


def _statements(draw: DrawFn, scope: _Scope, most: int) -> Block:
    body: Block = ()
    for _ in range(draw(st.integers(1, most))):
        if scope.budget[0] <= 0:
            break
        scope.budget[0] -= 1
        body += draw(st.sampled_from(_productions(scope)))(draw, scope)
    return body or _block("await env.step()")


def _productions(scope: _Scope) -> list[Production]:
    """What may stand next, the likelier the more often in the list."""
    choice: list[Production] = [_step, _step, _spawn, _exit]
    if scope.tasks or scope.groups:
        choice += [_wait, _wait, _wait, _poke]
    if scope.bound:
        choice += [_rename]
    if scope.depth < 3:
        choice += [_if, _if, _try, _try, _loop]
        if scope.tasks or scope.groups:
            choice += [_idiom, _idiom, _guard]
    return choice


def _pick(draw: DrawFn, names: set[str]) -> str:
    return draw(st.sampled_from(sorted(names)))


def _step(draw: DrawFn, _scope: _Scope) -> Block:
    return _block(draw(st.sampled_from(["await env.step()", "env.call()"])))


def _spawn_expression(draw: DrawFn) -> str:
    return f"{draw(st.sampled_from(SPAWNERS))}(env.child())"


def _spawn(draw: DrawFn, scope: _Scope) -> Block:
    spawn = _spawn_expression(draw)
    kind = draw(st.sampled_from(["local"] * 4 + ["group", "group", "pair", "awaited", "maybe", "dropped"]))
    if kind == "local":
        name = draw(st.sampled_from("abc"))
        scope.bind(name)
        return _block(f"{name} = {spawn}")
    if kind == "pair":
        scope.bind("a")
        scope.bind("b")
        return _block(f"a, b = {spawn}, {_spawn_expression(draw)}")
    if kind == "group":
        return _spawn_into(draw, scope, spawn)
    if kind == "maybe":
        name = draw(st.sampled_from("abc"))
        scope.bound.add(name)
        scope.tasks.discard(name)
        return _block(f"{name} = {spawn} if env.cond() else None")
    if kind == "awaited":
        return _block(draw(st.sampled_from([
            f"await {spawn}",
            f"await asyncio.wait_for({spawn}, 1)",
            f"await asyncio.gather({spawn}, {_spawn_expression(draw)})",
            f"await asyncio.shield({spawn})",
        ])))  # fmt: skip
    return _block(spawn)


def _spawn_into(draw: DrawFn, scope: _Scope, spawn: str) -> Block:
    """Several tasks in a list or a set, never one alone: leaklint takes it that members of a group have siblings."""
    name = draw(st.sampled_from(GROUPS))
    scope.groups.add(name)
    start, add = (f"{name} = []", f"{name}.append") if name == "ts" else (f"{name} = set()", f"{name}.add")
    how = draw(st.sampled_from(["loop", "comprehension", "display"]))
    if how == "loop":
        return _block(start) + _compound(("for _ in env.batch():", _block(f"{add}({spawn})")))
    other = _spawn_expression(draw)
    if how == "display" and name == "pool" and draw(st.booleans()):
        # Not with a list: which member was appended first is more than leaklint knows of lists.
        return _block(start, f"{add}({spawn})", f"{add}({other})")
    inside = f"{spawn}, {other}" if how == "display" else f"{spawn} for _ in env.batch()"
    return _block(f"{name} = [{inside}]" if name == "ts" else f"{name} = {{{inside}}}")


def _wait(draw: DrawFn, scope: _Scope) -> Block:
    """A wait for one task, for two, or for a group."""
    if len(scope.tasks) > 1 and draw(st.booleans()):
        names = draw(st.permutations(sorted(scope.tasks)))
        return _wait_for_two(draw, names[0], names[1])
    return _wait_for_one(draw, _pick(draw, scope.tasks | scope.groups))


def _wait_for_one(draw: DrawFn, name: str) -> Block:
    if name in GROUPS:
        return _wait_for_group(draw, name)
    return draw(st.sampled_from([
        _block(f"await {name}"),
        _block(f"await {name}"),
        _block(f"return await {name}"),
        _block(f"await asyncio.gather({name})"),
        _block(f"await asyncio.gather({name}, return_exceptions=True)"),
        _block(f"await asyncio.wait({{{name}}})"),
        _block(f"await asyncio.wait([{name}], timeout=1)"),
        _block(f"await asyncio.wait([{name}], {FIRST})"),
        _block(f"await asyncio.wait_for({name}, 1)"),
        _block(f"await asyncio.wait_for(asyncio.shield({name}), 1)"),
        _block(f"await asyncio.shield({name})"),
        _compound((f"while not {name}.done():", _block("await env.step()"))),
        _partial(draw, f"[{name}]"),
        _block(f"done, pending = await asyncio.wait([{name}], timeout=1)")
        + _compound((f"if {name} not in done:", _block(f"{name}.cancel()", f"await asyncio.wait([{name}])"))),
    ]))  # fmt: skip


def _wait_for_two(draw: DrawFn, one: str, other: str) -> Block:
    return draw(st.sampled_from([
        _block(f"await {one}", f"await {other}"),
        _block(f"await asyncio.gather({one}, {other})"),
        _block(f"await asyncio.gather({one}, {other}, return_exceptions=True)"),
        _block(f"await asyncio.wait([{one}, {other}])"),
        _block(f"await asyncio.wait([{one}, {other}], {FIRST})"),
        _block(f"await asyncio.wait([{one}, {other}], return_when=asyncio.FIRST_EXCEPTION)"),
        _block(f"await asyncio.wait_for(asyncio.gather({one}, {other}, return_exceptions=True), 1)"),
        _partial(draw, f"{{{one}, {other}}}"),
        _partial(draw, f"{{{one}, {other}}}"),
    ]))  # fmt: skip


def _wait_for_group(draw: DrawFn, name: str) -> Block:
    def each(body: str) -> Block:
        return _compound((f"for x in {name}:", _block(body)))

    def if_any(body: Block) -> Block:
        return _compound((f"if {name}:", body))

    return draw(st.sampled_from([
        _block(f"await asyncio.gather(*{name})"),
        _block(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        each("await x"),
        _compound((f"for x in asyncio.as_completed({name}):", _block("await x"))),
        _compound((f"for x in asyncio.as_completed({name}):", _block("await x", "break"))),
        if_any(_block(f"await asyncio.wait({name})")),
        if_any(_partial(draw, name)),
        each("x.cancel()"),
        each("x.cancel()") + _block(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        each("x.cancel()") + if_any(_block(f"await asyncio.wait({name})")),
        # Not with a list: that its last member comes first is more than leaklint knows of lists.
        _compound((f"while {name}:", _block(f"await {name}.pop()"))) if name == "pool" else each("await x"),
        _compound((f"for x in {name}:", _compound(("with suppress(Exception):", _block("await x"))))),
    ]))  # fmt: skip


def _partial(draw: DrawFn, tasks: str) -> Block:
    """A wait that may leave tasks pending, and what is done about those."""
    limit = draw(st.sampled_from([FIRST, "timeout=1"]))
    cancel = _compound(("for x in pending:", _block("x.cancel()")))
    wait = _compound(("if pending:", _block("await asyncio.wait(pending)")))
    after = draw(st.sampled_from([
        (),
        cancel,
        _compound(("for x in pending:", _block("await x"))),
        cancel + _block("await asyncio.gather(*pending, return_exceptions=True)"),
        wait,
        cancel + wait,
        cancel + _compound(("for x in pending:", _compound((SUPPRESS, _block("await x"))))),
        _compound(("for x in done:", _block("await x"))),
        _compound(("while pending:", _block(f"done, pending = await asyncio.wait(pending, {FIRST})"))),
    ]))  # fmt: skip
    return _block(f"done, pending = await asyncio.wait({tasks}, {limit})") + after


def _poke(draw: DrawFn, scope: _Scope) -> Block:
    """Something done to a task that is not waiting."""
    if not scope.tasks:
        name = _pick(draw, scope.groups)
        return _compound((f"for x in {name}:", _block("x.cancel()")))
    name = _pick(draw, scope.tasks)
    return draw(st.sampled_from([
        _block(f"{name}.cancel()"),
        _compound((f"if not {name}.done():", _block(f"{name}.cancel()"))),
        _block("await env.step()") + _compound((f"if {name}.done():", _block("return"))),
        _block(f"{name}.add_done_callback(print)"),
        _block(f"print({name}.done())"),
    ]))  # fmt: skip


def _rename(draw: DrawFn, scope: _Scope) -> Block:
    """Aliases, None and `del`."""
    name = _pick(draw, scope.bound)
    other = draw(st.sampled_from([other for other in "abc" if other != name]))
    kind = draw(st.sampled_from(["alias", "none", "collect", "del"]))
    if kind == "del" and not scope.depth:
        scope.bound.discard(name)
        scope.tasks.discard(name)
        return _block(f"del {name}")
    if kind == "collect" and {name, other} <= scope.tasks:
        scope.groups.add("ts")
        return _block(f"ts = [{name}, {other}]")
    if kind == "none":
        scope.tasks.discard(name)
        return _block(f"{name} = None")
    scope.bound.add(other)
    scope.tasks -= {other}
    scope.tasks |= {other} if name in scope.tasks else set()
    return _block(f"{other} = {name}")


def _exit(draw: DrawFn, scope: _Scope) -> Block:
    exits = ["return", "raise ValueError"] + (["break", "continue"] if scope.in_loop else [])
    return _compound(("if env.cond():", _block(draw(st.sampled_from(exits)))))


def _if(draw: DrawFn, scope: _Scope) -> Block:
    then, orelse = scope.inner(), scope.inner()
    parts = [("if env.cond():", _statements(draw, then, 2))]
    if draw(st.booleans()):
        parts.append(("else:", _statements(draw, orelse, 2)))
    scope.meet(then, orelse)
    return _compound(*parts)


def _guard(draw: DrawFn, scope: _Scope) -> Block:
    """A branch on the handle itself."""
    then = scope.inner()
    if not scope.bound:
        return _compound((f"if {_pick(draw, scope.groups)}:", _statements(draw, then, 2)))
    name = _pick(draw, scope.bound)
    headers = [f"if not {name}.done():"] if name in scope.tasks else [f"if {name} is not None:", f"if {name}:"]
    header = draw(st.sampled_from(headers))
    then.tasks.add(name)
    body = draw(st.sampled_from([_wait, _poke, _statements_of_two]))(draw, then)
    scope.meet(scope, then)
    return _compound((header, body))


def _statements_of_two(draw: DrawFn, scope: _Scope) -> Block:
    return _statements(draw, scope, 2)


def _loop(draw: DrawFn, scope: _Scope) -> Block:
    header = draw(st.sampled_from(["for _ in env.batch():", "while env.more():", "while True:"]))
    inner = scope.inner(in_loop=True)
    body = _statements(draw, inner, 2)
    if header == "while True:":
        body = _block("await env.step()") + body + _compound(("if env.cond():", _block("break")))
    orelse = draw(st.sampled_from([[], [], [("else:", _block("await env.step()"))]]))
    scope.meet(scope, inner)
    return _compound((header, body), *orelse)


def _try(draw: DrawFn, scope: _Scope) -> Block:
    body, after = scope.inner(), scope.inner()
    parts = [("try:", _fallible(draw, _statements(draw, body, 3)))]
    # What the body bound may be missing in a handler, what it dropped may be gone.
    after.meet(scope, body)
    ends = [body]
    shape = draw(st.sampled_from(["except", "finally", "both", "else"]))
    if shape != "finally":
        for kind in draw(st.sampled_from(CAUGHT)):
            handler = after.inner()
            last = draw(st.sampled_from(["", "raise", "return"]))
            lines = _statements(draw, handler, 2) if not last or draw(st.booleans()) else ()
            parts.append((f"except{kind}:", lines + (_block(last) if last else ())))
            ends += [] if last else [handler]
    if shape == "else":
        parts.append(("else:", _statements(draw, body, 2)))
    scope.meet(*ends)
    if shape in ("finally", "both"):
        final = after.inner(in_loop=False)
        parts.append(("finally:", _statements(draw, final, 2)))
        if shape == "finally":
            scope.meet(scope, final)
    return _compound(*parts)


def _fallible(draw: DrawFn, body: Block) -> Block:
    """The body of a `try` that may fail: leaklint takes it that every handler is there for something."""
    step = _block("await env.step()")
    if step[0] in body:
        return body
    return step + body if draw(st.booleans()) else body + step


def _idiom(draw: DrawFn, scope: _Scope) -> Block:
    """What people write: a body under `try`, and an end of the task in `finally` or in a handler."""
    inner = scope.inner()
    end = _end_of(draw, scope)
    body = _fallible(draw, _statements(draw, inner, 2))
    scope.meet(scope, inner)
    shape = draw(st.sampled_from(["finally", "finally", "except", "except and after", "suppress"]))
    if shape == "finally":
        return _compound(("try:", body), ("finally:", end))
    if shape == "suppress":
        return _compound((SUPPRESS, body)) + end
    kind = draw(st.sampled_from(["Exception", "BaseException", "asyncio.CancelledError"]))
    handled = _compound(("try:", body), (f"except {kind}:", end + _block("raise")))
    return handled if shape == "except" else handled + end


def _end_of(draw: DrawFn, scope: _Scope) -> Block:
    return _end_of_one(draw, _pick(draw, scope.tasks | scope.groups))


def _end_of_one(draw: DrawFn, name: str) -> Block:
    """Cancels or awaits a task or a group, in one of the usual ways."""
    if name in GROUPS:
        return _wait_for_group(draw, name)
    cancel = _block(f"{name}.cancel()")
    suppressed = _compound((SUPPRESS, _block(f"await {name}")))
    return draw(st.sampled_from([
        cancel + suppressed,
        cancel,
        cancel + _block(f"await asyncio.gather({name}, return_exceptions=True)"),
        cancel + _block(f"await asyncio.wait([{name}])"),
        cancel + _compound(("try:", _block(f"await {name}")), ("except asyncio.CancelledError:", _block("pass"))),
        _compound((f"if not {name}.done():", cancel)) + suppressed,
        _compound((f"if not {name}.done():", cancel + suppressed)),
        _block(f"await {name}"),
        _block(f"await asyncio.wait([{name}])"),
        _block(f"await asyncio.gather({name}, return_exceptions=True)"),
    ]))  # fmt: skip
