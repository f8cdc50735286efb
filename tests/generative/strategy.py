"""The strategy that draws programs: spawns, waits, branches, loops and exits, the usual idioms more often than chance.

Names in the programs: `a`, `b`, `c` hold a task or None, `ts` is a list of tasks and `pool` a set. A program never
reads a name before it has a value, and never awaits None, as far as the strategy can see without running it. Every loop
ends by itself or waits for something in each of its rounds.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from generative.program import Block, Program, compound, lines
from generative.scope import Scope, maybe
from generative.waiting import GROUPS, SUPPRESS, end_of_one, pick, poke, wait_for_one, wait_for_two

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


def programs(*, size: int = 12) -> SearchStrategy[Program]:
    """Programs of about `size` statements at most."""
    return _programs(size)


Production = Callable[[DrawFn, Scope], Block]


@st.composite
def _programs(draw: DrawFn, size: int) -> Program:
    """Spawns first, then a body, then an end for most of what was spawned; or the body under `try`, its end below."""
    scope = Scope([size])
    body = spawn(draw, scope)
    if draw(st.booleans()):
        body += spawn(draw, scope)
    if draw(st.booleans()) and (scope.tasks or scope.groups):
        return Program(body + idiom(draw, scope) + ends(draw, scope))
    return Program(body + statements(draw, scope, 3) + ends(draw, scope))


def ends(draw: DrawFn, scope: Scope) -> Block:
    """An end of each task and group with a name, most of the time."""
    body: Block = ()
    for name in sorted(scope.tasks | scope.groups):
        if draw(st.sampled_from([True, True, True, False])):
            body += draw(st.sampled_from([end_of_one, wait_for_one]))(draw, scope, name)
    return body


def statements(draw: DrawFn, scope: Scope, most: int) -> Block:
    body: Block = ()
    for _ in range(draw(st.integers(1, most))):
        if scope.budget[0] <= 0:
            break
        scope.budget[0] -= 1
        body += draw(st.sampled_from(_productions(scope)))(draw, scope)
    return body or lines("await env.step()")


def _productions(scope: Scope) -> list[Production]:
    """What may stand next, the likelier the more often in the list."""
    choice: list[Production] = [_step, _step, spawn, _exit]
    if scope.tasks or scope.groups:
        choice += [_wait, _wait, _wait, poke]
    if scope.bound:
        choice += [_rename]
    if scope.kit.uses:
        choice += [_use]
    if scope.depth < 3:
        choice += [_if, _if, _try, _try, _loop]
        if scope.tasks or scope.groups or scope.kit.uses:
            choice += [idiom, idiom]
        if scope.tasks or scope.groups:
            choice += [_guard]
    return choice


def _step(draw: DrawFn, _scope: Scope) -> Block:
    return lines(draw(st.sampled_from(["await env.step()", "env.call()"])))


def spawn(draw: DrawFn, scope: Scope) -> Block:
    given = scope.spawn(draw)
    kind = draw(st.sampled_from(["local"] * 4 + ["group", "group", "pair", "awaited", "maybe", "dropped"]))
    if kind == "local":
        name = draw(st.sampled_from("abc"))
        scope.bind(name)
        return lines(f"{name} = {given}")
    if kind == "pair":
        scope.bind("a")
        scope.bind("b")
        pair = maybe(draw, scope.kit.pairs) or f"{given}, {scope.spawn(draw)}"
        return lines(f"a, b = {pair}")
    if kind == "group":
        return _spawn_into(draw, scope, given)
    if kind == "maybe":
        name = draw(st.sampled_from("abc"))
        scope.bound.add(name)
        scope.tasks.discard(name)
        return lines(f"{name} = {given} if env.cond() else None")
    if kind == "awaited":
        return lines(draw(st.sampled_from([
            f"await {given}",
            f"await asyncio.wait_for({given}, 1)",
            f"await asyncio.gather({given}, {scope.spawn(draw)})",
            f"await asyncio.shield({given})",
        ])))  # fmt: skip
    return lines(given)


def _use(draw: DrawFn, scope: Scope) -> Block:
    return lines(draw(st.sampled_from(scope.kit.uses)))


def _spawn_into(draw: DrawFn, scope: Scope, spawn: str) -> Block:
    """Several tasks in a list or a set, never one alone: leaklint takes it that members of a group have siblings."""
    if several := maybe(draw, scope.kit.several):
        scope.groups.add("ts")
        return lines(f"ts = {several}")
    name = draw(st.sampled_from(GROUPS))
    scope.groups.add(name)
    start, add = (f"{name} = []", f"{name}.append") if name == "ts" else (f"{name} = set()", f"{name}.add")
    how = draw(st.sampled_from(["loop", "comprehension", "display"]))
    if how == "loop":
        return lines(start) + compound(("for _ in env.batch():", lines(f"{add}({spawn})")))
    other = scope.spawn(draw)
    if how == "display" and name == "pool" and draw(st.booleans()):
        # Not with a list: which member was appended first is more than leaklint knows of lists.
        return lines(start, f"{add}({spawn})", f"{add}({other})")
    inside = f"{spawn}, {other}" if how == "display" else f"{spawn} for _ in env.batch()"
    return lines(f"{name} = [{inside}]" if name == "ts" else f"{name} = {{{inside}}}")


def _wait(draw: DrawFn, scope: Scope) -> Block:
    """A wait for one task, for two, or for a group."""
    if len(scope.tasks) > 1 and draw(st.booleans()):
        names = draw(st.permutations(sorted(scope.tasks)))
        return wait_for_two(draw, scope, names[0], names[1])
    return wait_for_one(draw, scope, pick(draw, scope.tasks | scope.groups))


def _rename(draw: DrawFn, scope: Scope) -> Block:
    """Aliases, None and `del`."""
    name = pick(draw, scope.bound)
    other = draw(st.sampled_from([other for other in "abc" if other != name]))
    kind = draw(st.sampled_from(["alias", "none", "collect", "del"]))
    if kind == "del" and not scope.depth:
        scope.bound.discard(name)
        scope.tasks.discard(name)
        return lines(f"del {name}")
    if kind == "collect" and {name, other} <= scope.tasks:
        scope.groups.add("ts")
        return lines(f"ts = [{name}, {other}]")
    if kind == "none":
        scope.tasks.discard(name)
        return lines(f"{name} = None")
    scope.bound.add(other)
    scope.tasks -= {other}
    scope.tasks |= {other} if name in scope.tasks else set()
    return lines(f"{other} = {name}")


def _exit(draw: DrawFn, scope: Scope) -> Block:
    exits = ["return", "raise ValueError"] + (["break", "continue"] if scope.in_loop else [])
    return compound(("if env.cond():", lines(draw(st.sampled_from(exits)))))


def _if(draw: DrawFn, scope: Scope) -> Block:
    then, orelse = scope.inner(), scope.inner()
    parts = [("if env.cond():", statements(draw, then, 2))]
    if draw(st.booleans()):
        parts.append(("else:", statements(draw, orelse, 2)))
    scope.meet(then, orelse)
    return compound(*parts)


def _guard(draw: DrawFn, scope: Scope) -> Block:
    """A branch on the handle itself."""
    then = scope.inner()
    if not scope.bound:
        return compound((f"if {pick(draw, scope.groups)}:", statements(draw, then, 2)))
    name = pick(draw, scope.bound)
    headers = [f"if not {name}.done():"] if name in scope.tasks else [f"if {name} is not None:", f"if {name}:"]
    header = draw(st.sampled_from(headers))
    then.tasks.add(name)
    body = draw(st.sampled_from([_wait, poke, _statements_of_two]))(draw, then)
    scope.meet(scope, then)
    return compound((header, body))


def _statements_of_two(draw: DrawFn, scope: Scope) -> Block:
    return statements(draw, scope, 2)


def _loop(draw: DrawFn, scope: Scope) -> Block:
    header = draw(st.sampled_from(["for _ in env.batch():", "while env.more():", "while True:"]))
    inner = scope.inner(in_loop=True)
    body = statements(draw, inner, 2)
    if header == "while True:":
        body = lines("await env.step()") + body + compound(("if env.cond():", lines("break")))
    orelse = draw(st.sampled_from([[], [], [("else:", lines("await env.step()"))]]))
    scope.meet(scope, inner)
    return compound((header, body), *orelse)


def _try(draw: DrawFn, scope: Scope) -> Block:
    body, after = scope.inner(), scope.inner()
    parts = [("try:", fallible(draw, statements(draw, body, 3)))]
    # What the body bound may be missing in a handler, what it dropped may be gone.
    after.meet(scope, body)
    ends = [body]
    shape = draw(st.sampled_from(["except", "finally", "both", "else"]))
    if shape != "finally":
        for kind in draw(st.sampled_from(CAUGHT)):
            handler = after.inner()
            last = draw(st.sampled_from(["", "raise", "return"]))
            handling = statements(draw, handler, 2) if not last or draw(st.booleans()) else ()
            parts.append((f"except{kind}:", handling + (lines(last) if last else ())))
            ends += [] if last else [handler]
    if shape == "else":
        parts.append(("else:", statements(draw, body, 2)))
    scope.meet(*ends)
    if shape in ("finally", "both"):
        final = after.inner(in_loop=False)
        parts.append(("finally:", statements(draw, final, 2)))
        if shape == "finally":
            scope.meet(scope, final)
    return compound(*parts)


def fallible(draw: DrawFn, body: Block) -> Block:
    """The body of a `try` that may fail: leaklint takes it that every handler is there for something."""
    step = lines("await env.step()")
    if step[0] in body:
        return body
    return step + body if draw(st.booleans()) else body + step


def idiom(draw: DrawFn, scope: Scope) -> Block:
    """What people write: a body under `try`, and an end of the task in `finally` or in a handler."""
    inner = scope.inner()
    end = _end_of(draw, scope)
    body = fallible(draw, statements(draw, inner, 2))
    scope.meet(scope, inner)
    shape = draw(st.sampled_from(["finally", "finally", "except", "except and after", "suppress"]))
    if shape == "finally":
        return compound(("try:", body), ("finally:", end))
    if shape == "suppress":
        return compound((SUPPRESS, body)) + end
    kind = draw(st.sampled_from(["Exception", "BaseException", "asyncio.CancelledError"]))
    handled = compound(("try:", body), (f"except {kind}:", end + lines("raise")))
    return handled if shape == "except" else handled + end


def _end_of(draw: DrawFn, scope: Scope) -> Block:
    if scope.kit.uses and (not (scope.tasks or scope.groups) or draw(st.booleans())):
        return _use(draw, scope)
    return end_of_one(draw, scope, pick(draw, scope.tasks | scope.groups))
