"""The strategy that draws programs to be mended: functions that run as tasks, a `host` that spawns them, a `main`.

Each task has a name, which is its first argument and by which it tells what it does. Tasks take whole numbers of
seconds, the host takes fractions, so that it meets no task by chance. Most programs are plain, for these are to be
mended; the others have the one or other thing in them that makes mending dangerous.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from generative.program import Block, compound, lines, written

HEADS = {
    "asyncio": "import asyncio",
    "contextlib": "import contextlib",
    "contextvars|STATE": "import contextvars",
    "sys": "import sys",
    "STATE": """\

STATE = contextvars.ContextVar("STATE", default="unset")""",
    "Connection": """\


class Connection:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        print(self.name, "opened")
        return self

    async def __aexit__(self, *error):
        print(self.name, "left")""",
    "SlowConnection": """\


class SlowConnection:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        print(self.name, "opened")
        return self

    async def __aexit__(self, *error):
        print(self.name, "closing")
        await asyncio.sleep(0.6875)
        print(self.name, "closed")""",
    "File": """\


class File:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        print(self.name, "opened")
        return self

    def __exit__(self, *error):
        print(self.name, "left")""",
}
"""What stands before the functions of a program that has these words in it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A module with `async def main()`."""

    source: str
    spawned: tuple[str, ...]
    """The calls that give the coroutines of its tasks, as `main` would write them."""
    features: frozenset[str]
    """What is in it that may make mending dangerous."""

    def __str__(self) -> str:
        return self.source


def programs() -> SearchStrategy[Program]:
    """Programs to be mended."""
    return _programs()


@dataclass
class _Draft:
    """A program in the making."""

    draw: DrawFn
    children: dict[str, Block] = field(default_factory=dict)
    """The bodies of the functions that run as tasks, by their names."""
    spawned: list[str] = field(default_factory=list)
    features: set[str] = field(default_factory=set)
    tasks: int = 0
    inner: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """The functions that a function awaits or spawns, with what comes after its name then."""
    repeated: list[str] = field(default_factory=list)
    """The variables of the loops around everything: of `main`, of the host. Each goes round twice."""

    def one_of(self, **weights: int) -> str:
        return self.draw(st.sampled_from([name for name, weight in weights.items() for _ in range(weight)]))

    def often(self, times: int = 4, out_of: int = 5) -> bool:
        return self.draw(st.integers(1, out_of)) <= times

    # -- tasks -----------------------------------------------------------------------------------------------------

    def child(self, *, danger: bool = True) -> str:
        """The coroutine of a task."""
        return self.children_of_a_loop("", 0, danger=danger)

    def children_of_a_loop(self, variable: str, rounds: int, *, danger: bool = True) -> str:
        """The coroutine of a task, which is spawned once for each value of a variable."""
        self.tasks += 1
        function = self.function(danger=danger)
        seconds = self.draw(st.integers(1, 3))
        variables = [*self.repeated, *([variable] if variable else [])]
        values = [*(range(2) for _ in self.repeated), *([range(rounds)] if variable else [])]
        names = [".".join(map(str, (self.tasks, *each))) for each in itertools.product(*values)]
        for each in names:
            self._record(function, f"task {each}", seconds)
        suffix = "".join(f".{{{each}}}" for each in variables)
        return f'{function}({"f" * bool(suffix)}"task {self.tasks}{suffix}", {seconds})'

    def _record(self, function: str, name: str, seconds: int) -> None:
        """A task, and those that it spawns itself."""
        self.spawned.append(f'{function}("{name}", {seconds})')
        for inner, further in self.inner.get(function, ()):
            self._record(inner, name + further, seconds)

    def function(self, *, danger: bool = True, depth: int = 0) -> str:
        """The name of a function that runs as a task; it may be one that is there already."""
        if self.children and depth == 0 and self.often(1, 3):
            return self.draw(st.sampled_from(sorted(self.children)))
        kind = self.one_of(plain=10, instant=2, cleanup=3, file=2, loop=3, fails=4, nested=3, limited=1, dangerous=4)
        if kind == "dangerous" and danger:
            kind = self.one_of(
                slow_cleanup=3, slow_exit=2, swallows=2, endless=3, foreign=1, cancels_itself=1, raises_cancelled=1,
                spawns=2, sets=1, exits=1, sleeps_in_handler=2, catches_all=1, fails_in_cleanup=1,
            )  # fmt: skip
            self.features.add(kind)
        elif kind == "dangerous" or (kind == "nested" and depth > 1):
            kind = "plain"
        called = self.function(depth=depth + 1) if kind in ("nested", "spawns") else ""
        body = self._body_of_task(kind, called)
        name = f"{kind}_{len(self.children) + 1}"
        self.inner[name] = [(called, " inner" if kind == "spawns" else "")] if called else []
        self.children[name] = lines('print(name, "start")') + body
        return name

    def _body_of_task(self, kind: str, called: str) -> Block:
        sleep, end = lines("await asyncio.sleep(seconds)"), lines('print(name, "end")', "return name")
        error = self.one_of(ValueError=3, KeyError=1, RuntimeError=1)
        failing = sleep + lines('print(name, "fails")', f"raise {error}(name)")
        closing = lines('print(name, "closing")', "await asyncio.sleep(0.6875)", 'print(name, "closed")')
        match kind:
            case "plain":
                return sleep + end
            case "instant":
                return end
            case "cleanup":
                return compound(("try:", sleep), ("finally:", lines('print(name, "cleaned up")'))) + end
            case "file":
                header = "with File(name):" if self.often(1, 2) else "async with Connection(name):"
                return compound((header, sleep)) + end
            case "loop":
                rounds = lines("await asyncio.sleep(1)", 'print(name, f"round {number}")')
                return compound(("for number in range(seconds):", rounds)) + end
            case "fails":
                return failing
            case "nested":
                return lines(f"value = await {called}(name, seconds)", 'print(name, "got it")',
                             "return value")  # fmt: skip
            case "limited":
                limit = compound(("try:", lines("await asyncio.wait_for(asyncio.sleep(seconds), 2.5)")),
                                 ("except asyncio.TimeoutError:", lines('print(name, "too late")')))  # fmt: skip
                return limit + end
            case "slow_cleanup":
                return compound(("try:", sleep), ("finally:", closing)) + end
            case "slow_exit":
                return compound(("async with SlowConnection(name):", sleep)) + end
            case "swallows":
                caught = lines('print(name, "goes on")')
                return compound(("try:", sleep), ("except asyncio.CancelledError:", caught)) + sleep + end
            case "sleeps_in_handler":
                return compound(("try:", sleep), ("except asyncio.CancelledError:", closing + lines("raise"))) + end
            case "catches_all":
                return compound(("try:", sleep), ("except BaseException:", lines('print(name, "gives up")'))) + end
            case "endless":
                again = lines("await asyncio.sleep(seconds)", 'print(name, "again")')
                waits = lines("await asyncio.Event().wait()")
                return compound(("while True:", again)) if self.often(2, 3) else waits + end
            case "foreign":
                future = lines("future = asyncio.get_running_loop().create_future()", "future.cancel()")
                return sleep + future + lines("await future") + end
            case "cancels_itself":
                return sleep + lines("asyncio.current_task().cancel()", "await asyncio.sleep(1)") + end
            case "raises_cancelled":
                return sleep + lines("raise asyncio.CancelledError(name)")
            case "spawns":
                spawn = f'asyncio.create_task({called}(name + " inner", seconds))'
                return lines(spawn if self.often(1, 2) else f"inner = {spawn}") + sleep + end
            case "sets":
                return lines("STATE.set(name)") + sleep + end
            case "exits":
                return sleep + lines("sys.exit(3)")
            case "fails_in_cleanup":
                return compound(("try:", sleep), ("finally:", lines("raise OSError(name)")))
        raise AssertionError(kind)

    # -- the host --------------------------------------------------------------------------------------------------

    def step(self) -> Block:
        """Something that the host does meanwhile."""
        return self.draw(st.sampled_from([
            lines('print("host", "step")'),
            lines('print("host", "step")'),
            lines("await asyncio.sleep(1.25)", 'print("host", "slept")'),
            lines("await asyncio.sleep(2.25)", 'print("host", "slept")'),
            lines("await asyncio.sleep(1.25)"),
        ]))  # fmt: skip

    def idiom(self) -> Block:
        """Spawns and what becomes of them."""
        kind = self.one_of(
            drop=5, unread=2, join=6, half=2, loop_drop=3, loop_join=4, gather=8, gather_errors=5, gather_list=3,
            unawaited_gather=1, cancel=3, cancel_join=1, wait=2, limited=2, shield=2, asked=2, queried=1, early=3,
            first=2, handler_inside=2, branch=2,
        )  # fmt: skip
        draw_it: Callable[[], Block] = getattr(self, f"_{kind}")
        return draw_it()

    def spawn(self, name: str = "") -> str:
        spawn = f"asyncio.{self.one_of(create_task=12, ensure_future=1)}({self.child()})"
        return f"{name} = {spawn}" if name else spawn

    def maybe_step(self) -> Block:
        return self.step() if self.often(1, 2) else ()

    def _drop(self) -> Block:
        spawns = lines(*(self.spawn() for _ in range(self.draw(st.integers(1, 2)))))
        return spawns + self.maybe_step()

    def _unread(self) -> Block:
        return lines(self.spawn("task")) + self.maybe_step()

    def _join(self) -> Block:
        body = lines(self.spawn("first"), self.spawn("second")) + self.maybe_step()
        return body + lines("value = await first", 'print("host", value)', "other = await second",
                            'print("host", other)')  # fmt: skip

    def _half(self) -> Block:
        return lines(self.spawn("first"), self.spawn("second")) + self.maybe_step() + lines("value = await first")

    def _loop_drop(self) -> Block:
        rounds = self.draw(st.integers(1, 3))
        spawn = lines(f"asyncio.create_task({self.children_of_a_loop('number', rounds)})")
        return compound((f"for number in range({rounds}):", spawn + self.maybe_step()))

    def _loop_join(self) -> Block:
        rounds = self.draw(st.integers(1, 3))
        child = self.children_of_a_loop("number", rounds)
        header = f"for number in range({rounds})"
        if self.often(1, 2):
            fill = lines(f"tasks = [asyncio.create_task({child}) {header}]")
        else:
            fill = lines("tasks = []") + compound((f"{header}:", lines(f"tasks.append(asyncio.create_task({child}))")))
        ends = [
            compound(("for task in tasks:", lines("value = await task", 'print("host", value)'))),
            lines("values = await asyncio.gather(*tasks)", 'print("host", values[0])'),
            lines("await asyncio.gather(*tasks)"),
            lines("await asyncio.wait(tasks)"),
        ]
        return fill + self.maybe_step() + self.draw(st.sampled_from(ends))

    def _use(self, gather: str, length: int) -> Block:
        """What is done with what a gather gives."""
        uses = [
            lines(f"await {gather}"),
            lines(f"await {gather}"),
            lines(f"values = await {gather}", *(f'print("host", values[{index}])' for index in range(length))),
            lines(f"{', '.join(['value', 'other', 'third'][:length])}{',' * (length == 1)} = await {gather}",
                  'print("host", value)'),
            compound((f"for value in await {gather}:", lines('print("host", value)'))),
            lines(f"return await {gather}"),
            lines(f"values = await {gather}", 'values.append("more")', "return values"),
            lines(f"value = len(await {gather})"),
            lines(f"value = (await {gather})[0]"),
        ]  # fmt: skip
        return self.draw(st.sampled_from(uses))

    def _gather(self) -> Block:
        children = [self.child() for _ in range(self.draw(st.integers(1, 3)))]
        return self._use(f"asyncio.gather({', '.join(children)})", len(children))

    def _gather_errors(self) -> Block:
        children = [self.child() for _ in range(self.draw(st.integers(1, 3)))]
        return self._use(f"asyncio.gather({', '.join(children)}, return_exceptions=True)", len(children))

    def _gather_list(self) -> Block:
        rounds = self.draw(st.integers(1, 3))
        child = self.children_of_a_loop("number", rounds)
        further = self.draw(st.sampled_from(["", "", ", return_exceptions=True"]))
        return self._use(f"asyncio.gather(*[{child} for number in range({rounds})]{further})", rounds)

    def _unawaited_gather(self) -> Block:
        return lines(f"both = asyncio.gather({self.child()}, {self.child()})") + self.maybe_step()

    def _cancel(self) -> Block:
        return lines(self.spawn("task")) + self.maybe_step() + lines("task.cancel()") + self.maybe_step()

    def _cancel_join(self) -> Block:
        wait = compound(("with contextlib.suppress(asyncio.CancelledError):", lines("await task")))
        return lines(self.spawn("task")) + self.step() + lines("task.cancel()") + wait

    def _wait(self) -> Block:
        how = self.draw(st.sampled_from(["timeout=2.125", "return_when=asyncio.FIRST_COMPLETED"]))
        spawns = lines(self.spawn("first"), self.spawn("second"))
        wait = lines(f"done, pending = await asyncio.wait({{first, second}}, {how})", 'print("host", len(done))')
        leave = compound(("for task in pending:", lines("task.cancel()")))
        return spawns + wait + (leave if self.often(1, 2) else ())

    def _limited(self) -> Block:
        caught = ("except asyncio.TimeoutError:", lines('print("host", "caught")'))
        if self.often(1, 2):
            return lines(self.spawn()) + compound(
                ("try:", lines(f"value = await asyncio.wait_for({self.child()}, 2.125)")), caught
            )
        if sys.version_info >= (3, 11):
            limit = compound(("async with asyncio.timeout(2.125):", lines(self.spawn("task"), "value = await task")))
            return compound(("try:", limit), caught)
        return compound(
            ("try:", lines(f"value = await asyncio.wait_for(asyncio.create_task({self.child()}), 2.125)")), caught
        )

    def _shield(self) -> Block:
        return lines(f"value = await asyncio.shield({self.child()})", 'print("host", value)')

    def _asked(self) -> Block:
        """The handle is used for more than waiting."""
        self.features.add("handle")
        asked = self.draw(st.sampled_from([
            lines('print("host", task.done())'),
            lines('print("host", task.cancelled())'),
            lines('task.add_done_callback(lambda task: print("callback", "called"))'),
            lines('print("host", task.get_name() == "x")'),
            lines('print("host", isinstance(task, asyncio.Task))'),
            lines("asyncio.get_running_loop().call_later(1.0625, task.cancel)"),
            lines("kept = [task]", 'print("host", len(kept))'),
        ]))  # fmt: skip
        return lines(self.spawn("task")) + self.maybe_step() + asked + self.maybe_step()

    def _queried(self) -> Block:
        return lines(self.spawn("task")) + lines("await asyncio.sleep(4.25)", "value = task.result()")

    def _early(self) -> Block:
        condition = self.draw(st.sampled_from(["len(sys.argv) > 99", "len(sys.argv) < 99"]))
        leave = self.draw(st.sampled_from(["return None", 'return "early"']))
        spawn = lines(self.spawn("task"))
        return spawn + self.maybe_step() + compound((f"if {condition}:", lines(leave))) + lines("value = await task")

    def _first(self) -> Block:
        """The context of a task is looked at, or the task has one of its own."""
        self.features.add("context")
        text = "context = contextvars.copy_context()"
        option = ", context=context" if sys.version_info >= (3, 11) else ""
        spawn = f"asyncio.create_task({self.child()}{option})"
        return lines(text, f"task = {spawn}", "value = await task", 'print("host", context.get(STATE))')

    def _handler_inside(self) -> Block:
        body = lines("value = await task")
        return lines(self.spawn("task")) + self.maybe_step() + self.handled(body)

    def _branch(self) -> Block:
        return compound((f"if len(sys.argv) {self.draw(st.sampled_from('<>'))} 99:", self._drop() + self.step()))

    # -- around it -------------------------------------------------------------------------------------------------

    def handled(self, body: Block, who: str = "host") -> Block:
        """A body with something around it."""
        told = lines(f'print("{who}", "caught")')
        shape = self.one_of(
            value=3, exception=3, uses=1, raises=1, suppress=2, finally_=3, slow=1, file=2, open=1, both=1
        )
        if shape == "suppress":
            return compound((f"with contextlib.suppress({self.one_of(ValueError=2, Exception=1)}):", body))
        if shape == "finally_":
            return compound(("try:", body), ("finally:", lines(f'print("{who}", "finally")')))
        if shape == "slow":
            self.features.add("slow_finally")
            closing = lines(f'print("{who}", "closing")', "await asyncio.sleep(0.6875)", f'print("{who}", "closed")')
            return compound(("try:", body), ("finally:", closing))
        if shape == "file":
            self.features.add("resource")
            return compound((f'with File("{who}"):', body))
        if shape == "open":
            self.features.add("resource")
            return compound((f'async with SlowConnection("{who}"):', body))
        self.features.add("handler")
        if shape == "uses":
            return compound(
                ("try:", body), ("except Exception as error:", lines(f'print("{who}", f"caught {{error}}")'))
            )
        if shape == "raises":
            return compound(
                ("try:", body), ("except ValueError as error:", told + lines('raise OSError("again") from error'))
            )
        if shape == "both":
            return compound(
                ("try:", body),
                ("except ValueError:", told),
                ("except Exception:", lines(f'print("{who}", "caught all")')),
            )
        return compound(("try:", body), (f"except {'ValueError' if shape == 'value' else 'Exception'}:", told))

    def host(self) -> Block:
        if self.often(1, 8):
            self.repeated.append("again")
            self.features.add("twice")
        in_loop = self.often(1, 10)
        if in_loop:
            self.repeated.append("turn")
        body = self.idiom()
        if self.often(1, 4):
            body += self.maybe_step() + self.idiom()
        if in_loop:
            body = compound(("for turn in range(2):", body))
        if self.often(1, 4):
            body = self.maybe_step() + self.handled(body)
        if self.often(1, 8):
            self.features.add("raises")
            body += lines(self.draw(st.sampled_from([
                'raise ValueError("host")', 'raise KeyError("host")', "sys.exit(4)", "raise StopAsyncIteration",
            ])))  # fmt: skip
        start = lines('print("host", "start")')
        return (
            start + body + lines('print("host", "end")', self.draw(st.sampled_from(["return 1", "return [1]", "pass"])))
        )

    def callers(self) -> Block:
        """`main`, and sometimes another function between it and the host."""
        given = "again" if "again" in self.repeated else ""
        called = "host"
        functions: Block = ()
        if self.often(1, 4):
            inner = lines(f"value = await host({given})")
            if self.often(1, 2):
                inner = self.handled(inner, "outer")
            functions = compound((f"async def outer({given}):", lines("value = None") + inner + lines("return value")))
            called = "outer"
        call = lines(f"value = await {called}({given})", 'print("main", "after")')
        if self.often(1, 8):
            self.features.add("limited caller")
            call = lines(f"value = await asyncio.wait_for({called}({given}), 4.125)")
        if self.often(1, 4):
            call = self.handled(call, "main")
        if given:
            call = compound(("for again in range(2):", call))
        return functions + compound(("async def main():", lines("value = None") + call + lines("return value")))


@st.composite
def _programs(draw: DrawFn) -> Program:
    draft = _Draft(draw)
    body = draft.host()
    host = compound((f"async def host({'again' if 'again' in draft.repeated else ''}):", body))
    callers = draft.callers()
    functions = [compound((f"async def {name}(name, seconds):", body)) for name, body in draft.children.items()]
    parts = ["\n".join(written(block, "")) for block in (*functions, host, *((part,) for part in callers))]
    text = "\n\n\n".join(parts)
    heads = [head for word, head in HEADS.items() if re.search(rf"\b({word})\b", text)]
    return Program("\n".join(heads) + f"\n\n\n{text}\n", tuple(draft.spawned), frozenset(draft.features))
