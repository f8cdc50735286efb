"""What is done with tasks that are at hand, in the usual ways: waits, ends, and what is neither."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from generative.program import Block, compound, lines
from generative.scope import Scope, maybe

GROUPS = ("ts", "pool")
SUPPRESS = "with suppress(asyncio.CancelledError):"
FIRST = "return_when=asyncio.FIRST_COMPLETED"


def wait_for_one(draw: DrawFn, scope: Scope, name: str) -> Block:
    """A wait for a task or a group, or what a function of the project does with it."""
    if name in GROUPS:
        return wait_for_group(draw, scope, name)
    if text := maybe(draw, scope.kit.one):
        return lines(text.format(name))
    return draw(st.sampled_from([
        lines(f"await {name}"),
        lines(f"await {name}"),
        lines(f"return await {name}"),
        lines(f"await asyncio.gather({name})"),
        lines(f"await asyncio.gather({name}, return_exceptions=True)"),
        lines(f"await asyncio.wait({{{name}}})"),
        lines(f"await asyncio.wait([{name}], timeout=1)"),
        lines(f"await asyncio.wait([{name}], {FIRST})"),
        lines(f"await asyncio.wait_for({name}, 1)"),
        lines(f"await asyncio.wait_for(asyncio.shield({name}), 1)"),
        lines(f"await asyncio.shield({name})"),
        compound((f"while not {name}.done():", lines("await env.step()"))),
        _partial(draw, f"[{name}]"),
        lines(f"done, pending = await asyncio.wait([{name}], timeout=1)")
        + compound((f"if {name} not in done:", lines(f"{name}.cancel()", f"await asyncio.wait([{name}])"))),
    ]))  # fmt: skip


def wait_for_two(draw: DrawFn, scope: Scope, one: str, other: str) -> Block:
    if text := maybe(draw, scope.kit.two):
        return lines(text.format(one, other))
    return draw(st.sampled_from([
        lines(f"await {one}", f"await {other}"),
        lines(f"await asyncio.gather({one}, {other})"),
        lines(f"await asyncio.gather({one}, {other}, return_exceptions=True)"),
        lines(f"await asyncio.wait([{one}, {other}])"),
        lines(f"await asyncio.wait([{one}, {other}], {FIRST})"),
        lines(f"await asyncio.wait([{one}, {other}], return_when=asyncio.FIRST_EXCEPTION)"),
        lines(f"await asyncio.wait_for(asyncio.gather({one}, {other}, return_exceptions=True), 1)"),
        _partial(draw, f"{{{one}, {other}}}"),
        _partial(draw, f"{{{one}, {other}}}"),
    ]))  # fmt: skip


def wait_for_group(draw: DrawFn, scope: Scope, name: str, *, pops: bool = False) -> Block:
    """`pops` says that it is a set, from which members may be popped."""
    if text := maybe(draw, scope.kit.groups):
        return lines(text.format(name))

    def each(body: str) -> Block:
        return compound((f"for x in {name}:", lines(body)))

    def if_any(body: Block) -> Block:
        return compound((f"if {name}:", body))

    return draw(st.sampled_from([
        lines(f"await asyncio.gather(*{name})"),
        lines(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        each("await x"),
        compound((f"for x in asyncio.as_completed({name}):", lines("await x"))),
        compound((f"for x in asyncio.as_completed({name}):", lines("await x", "break"))),
        if_any(lines(f"await asyncio.wait({name})")),
        if_any(_partial(draw, name)),
        each("x.cancel()"),
        each("x.cancel()") + lines(f"await asyncio.gather(*{name}, return_exceptions=True)"),
        each("x.cancel()") + if_any(lines(f"await asyncio.wait({name})")),
        # Not with a list: that its last member comes first is more than leaklint knows of lists.
        compound((f"while {name}:", lines(f"await {name}.pop()"))) if pops or name == "pool" else each("await x"),
        compound((f"for x in {name}:", compound(("with suppress(Exception):", lines("await x"))))),
    ]))  # fmt: skip


def _partial(draw: DrawFn, tasks: str) -> Block:
    """A wait that may leave tasks pending, and what is done about those."""
    limit = draw(st.sampled_from([FIRST, "timeout=1"]))
    cancel = compound(("for x in pending:", lines("x.cancel()")))
    wait = compound(("if pending:", lines("await asyncio.wait(pending)")))
    after = draw(st.sampled_from([
        (),
        cancel,
        compound(("for x in pending:", lines("await x"))),
        cancel + lines("await asyncio.gather(*pending, return_exceptions=True)"),
        wait,
        cancel + wait,
        cancel + compound(("for x in pending:", compound((SUPPRESS, lines("await x"))))),
        compound(("for x in done:", lines("await x"))),
        compound(("while pending:", lines(f"done, pending = await asyncio.wait(pending, {FIRST})"))),
    ]))  # fmt: skip
    return lines(f"done, pending = await asyncio.wait({tasks}, {limit})") + after


def poke(draw: DrawFn, scope: Scope) -> Block:
    """Something done to a task that is not waiting."""
    if not scope.tasks:
        name = pick(draw, scope.groups)
        return compound((f"for x in {name}:", lines("x.cancel()")))
    name = pick(draw, scope.tasks)
    return draw(st.sampled_from([
        lines(f"{name}.cancel()"),
        compound((f"if not {name}.done():", lines(f"{name}.cancel()"))),
        lines("await env.step()") + compound((f"if {name}.done():", lines("return"))),
        lines(f"{name}.add_done_callback(print)"),
        lines(f"print({name}.done())"),
    ]))  # fmt: skip


def end_of_one(draw: DrawFn, scope: Scope, name: str) -> Block:
    """Cancels or awaits a task or a group, in one of the usual ways."""
    if name in GROUPS:
        return wait_for_group(draw, scope, name)
    if text := maybe(draw, scope.kit.one):
        return lines(text.format(name))
    cancel = lines(f"{name}.cancel()")
    suppressed = compound((SUPPRESS, lines(f"await {name}")))
    return draw(st.sampled_from([
        cancel + suppressed,
        cancel,
        cancel + lines(f"await asyncio.gather({name}, return_exceptions=True)"),
        cancel + lines(f"await asyncio.wait([{name}])"),
        cancel + compound(("try:", lines(f"await {name}")), ("except asyncio.CancelledError:", lines("pass"))),
        compound((f"if not {name}.done():", cancel)) + suppressed,
        compound((f"if not {name}.done():", cancel + suppressed)),
        lines(f"await {name}"),
        lines(f"await asyncio.wait([{name}])"),
        lines(f"await asyncio.gather({name}, return_exceptions=True)"),
    ]))  # fmt: skip


def pick(draw: DrawFn, names: set[str]) -> str:
    return draw(st.sampled_from(sorted(names)))
