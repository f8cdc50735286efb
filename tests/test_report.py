"""Reports, from values written by hand to the whole text that comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Outcome, Reported, Skipped
from leaklint.model.fate import Fate, PathKind, Step, Task
from leaklint.report import machine, text
from leaklint.report.frame import Look
from leaklint.rules import all_rules, find_rule

POLLER = """\
import asyncio


class Poller:
    def start(self):
        self._task = asyncio.create_task(self._run())

    async def close(self):
        if self._task is not None:
            self._task.cancel()
        self._task = None
"""
EVIDENCE = (
    Step("app/poller.py", Span(6, 9, 6, 19), "stored in `self._task` here"),
    Step("app/poller.py", Span(10, 13, 10, 32), "`close()` cancels it here"),
    Step("app/poller.py", Span(11, 9, 11, 26), "and returns without waiting"),
)
CANCELLED = Diagnostic(
    path="app/poller.py",
    span=Span(6, 22, 6, 54),
    code="LK103",
    name="unawaited-cancel",
    level=Level.WARNING,
    message="`Poller.close` cancels the task of `self._run`, but nobody waits for it",
    label="spawned here",
    help="await the task after the cancel",
    evidence=EVIDENCE,
)


def diagnostic(
    span: Span, label: str = "here", *evidence: Step, path: str = "a.py", message: str = "wrong"
) -> Diagnostic:
    return Diagnostic(path, span, "LK101", "dropped-task", Level.ERROR, message, label, None, evidence)


def frame(source: str, found: Diagnostic, look: Look | None = None) -> str:
    """The frame of a diagnostic, without its header and its last line."""
    lines = source.split("\n")
    shown = text.full([found], lines_of=lambda path: lines if path == found.path else (), look=look)
    header, *rest, docs, empty, nothing = shown.split("\n")
    assert header == f"error[LK101]: {found.message}  (dropped-task)"
    assert docs.strip() == "= docs: leaklint rule LK101"
    assert not empty
    assert not nothing
    return "\n".join(rest)


def lines_of(path: str) -> Sequence[str]:
    return {"app/poller.py": POLLER.split("\n")}[path]


# -- frames --------------------------------------------------------------------------------------------------------


def test_full() -> None:
    assert (
        text.full([CANCELLED, CANCELLED], lines_of=lines_of)
        == """\
warning[LK103]: `Poller.close` cancels the task of `self._run`, but nobody waits for it  (unawaited-cancel)
  --> app/poller.py:6:22
    │
  6 │         self._task = asyncio.create_task(self._run())
    │         ----------   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ spawned here
    │         │
    │         stored in `self._task` here
  ⋮ │
 10 │             self._task.cancel()
    │             ------------------- `close()` cancels it here
 11 │         self._task = None
    │         ----------------- and returns without waiting
    │
    = help: await the task after the cancel
    = docs: leaklint rule LK103

"""
        * 2
    )


def test_full_in_ascii() -> None:
    assert (
        text.full([CANCELLED], lines_of=lines_of, look=Look(unicode=False))
        == """\
warning[LK103]: `Poller.close` cancels the task of `self._run`, but nobody waits for it  (unawaited-cancel)
   --> app/poller.py:6:22
     |
   6 |         self._task = asyncio.create_task(self._run())
     |         ----------   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ spawned here
     |         |
     |         stored in `self._task` here
 ... |
  10 |             self._task.cancel()
     |             ------------------- `close()` cancels it here
  11 |         self._task = None
     |         ----------------- and returns without waiting
     |
     = help: await the task after the cancel
     = docs: leaklint rule LK103

"""
    )


def test_full_in_colour() -> None:
    blue, yellow = "\x1b[1;94m", "\x1b[1;33m"
    step, bold, dim, cyan, off = "\x1b[94m", "\x1b[1m", "\x1b[2m", "\x1b[1;36m", "\x1b[0m"
    message = "`Poller.close` cancels the task of `self._run`, but nobody waits for it"
    assert text.full([CANCELLED], lines_of=lines_of, look=Look(color=True)) == (
        f"{yellow}warning[LK103]{off}{bold}: {message}{off}{dim}  (unawaited-cancel){off}\n"
        f"{blue}  --> {off}app/poller.py:6:22\n"
        f"{blue}    │{off}\n"
        f"{blue}  6 │{off}         self._task = asyncio.create_task(self._run())\n"
        f"{blue}    │ {off}        {step}----------{off}   {yellow}{'^' * 32} spawned here{off}\n"
        f"{blue}    │ {off}        {step}│{off}\n"
        f"{blue}    │ {off}        {step}stored in `self._task` here{off}\n"
        f"{blue}  ⋮ │{off}\n"
        f"{blue} 10 │{off}             self._task.cancel()\n"
        f"{blue}    │ {off}            {step}------------------- `close()` cancels it here{off}\n"
        f"{blue} 11 │{off}         self._task = None\n"
        f"{blue}    │ {off}        {step}----------------- and returns without waiting{off}\n"
        f"{blue}    │{off}\n"
        f"{blue}    = {off}{cyan}help: {off}await the task after the cancel\n"
        f"{blue}    = {off}{bold}docs: {off}leaklint rule LK103\n"
        "\n"
    )


POOL = "from wire import open_reader\n\n\nclass Pool:\n    def fill(self):\n        self._reader = open_reader()\n"
WIRE = "def open_reader():\n    return create_task(read())\n\n\ndef stop(pool):\n    pool._reader.cancel()\n"
FILES = {"wire.py": WIRE.split("\n"), "pkg/pool.py": [*[""] * 116, *POOL.split("\n")]}
RETURNED = Step("wire.py", Span(2, 5, 2, 31), "`open_reader` returns it")
KEPT = Step("pkg/pool.py", Span(122, 9, 122, 21), "kept in `self._reader`")
STOPPED = Step("wire.py", Span(6, 5, 6, 26), "`stop` cancels it")


def test_steps_in_other_files() -> None:
    """Every file has a section of its own, with its name and the place of its first step."""
    received = Step("pkg/pool.py", Span(122, 24, 122, 37), "`fill` receives it")
    nobody = Step("pkg/pool.py", Span(120, 1, 120, 12), "nothing in `Pool` waits for it or cancels it")
    found = diagnostic(Span(2, 12, 2, 31), "spawned here", RETURNED, received, KEPT, nobody, path="wire.py")
    assert (
        text.full([found], lines_of=FILES.__getitem__)
        == """\
error[LK101]: wrong  (dropped-task)
   --> wire.py:2:12
     │
   2 │     return create_task(read())
     │     -------^^^^^^^^^^^^^^^^^^^ spawned here
     │     │
     │     (1) `open_reader` returns it
     │
   ::: pkg/pool.py:122:24
     │
 120 │ class Pool:
     │ ----------- (4) nothing in `Pool` waits for it or cancels it
 121 │     def fill(self):
 122 │         self._reader = open_reader()
     │         ------------   ------------- (2) `fill` receives it
     │         │
     │         (3) kept in `self._reader`
     │
     = docs: leaklint rule LK101

"""
    )
    assert text.concise([found]) == "wire.py:2:12: LK101 wrong\n"
    (entry,) = json.loads(machine.check_json([Checked("wire.py", (found,), ())]))["findings"]
    assert [(step["path"], step["line"], step["column"]) for step in entry["evidence"]] == [
        ("wire.py", 2, 5),
        ("pkg/pool.py", 122, 24),
        ("pkg/pool.py", 122, 9),
        ("pkg/pool.py", 120, 1),
    ]


def test_steps_that_come_back_to_a_file_are_numbered() -> None:
    found = diagnostic(Span(122, 24, 122, 37), "spawned here", STOPPED, KEPT, path="pkg/pool.py")
    assert (
        text.full([found], lines_of=FILES.__getitem__)
        == """\
error[LK101]: wrong  (dropped-task)
   --> pkg/pool.py:122:24
     │
 122 │         self._reader = open_reader()
     │         ------------   ^^^^^^^^^^^^^ spawned here
     │         │
     │         (2) kept in `self._reader`
     │
   ::: wire.py:6:5
     │
   6 │     pool._reader.cancel()
     │     --------------------- (1) `stop` cancels it
     │
     = docs: leaklint rule LK101

"""
    )


def test_steps_that_are_read_in_order_file_after_file_are_not_numbered() -> None:
    found = diagnostic(Span(122, 24, 122, 37), "spawned here", KEPT, STOPPED, path="pkg/pool.py")
    assert (
        text.full([found], lines_of=FILES.__getitem__, look=Look(unicode=False))
        == """\
error[LK101]: wrong  (dropped-task)
   --> pkg/pool.py:122:24
     |
 122 |         self._reader = open_reader()
     |         ------------   ^^^^^^^^^^^^^ spawned here
     |         |
     |         kept in `self._reader`
     |
   ::: wire.py:6:5
     |
   6 |     pool._reader.cancel()
     |     --------------------- `stop` cancels it
     |
     = docs: leaklint rule LK101

"""
    )


def test_a_step_in_a_file_that_cannot_be_read_any_more() -> None:
    found = diagnostic(Span(2, 12, 2, 31), "spawned here", KEPT, path="wire.py")
    assert (
        text.full([found], lines_of=lambda path: FILES[path] if path == "wire.py" else ())
        == """\
error[LK101]: wrong  (dropped-task)
   --> wire.py:2:12
     │
   2 │     return create_task(read())
     │            ^^^^^^^^^^^^^^^^^^^ spawned here
     │
   ::: pkg/pool.py:122:9
     │
 122 │
     │ - kept in `self._reader`
     │
     = docs: leaklint rule LK101

"""
    )


def test_steps_on_one_span_are_in_the_order_of_the_evidence() -> None:
    steps = (
        Step("a.py", Span(2, 1, 2, 11), "`main` cancels it"),
        Step("a.py", Span(2, 1, 2, 11), "the function ends"),
        Step("a.py", Span(2, 1, 2, 11), "nobody has waited for it"),
    )
    assert (
        frame("t = spawn()\nt.cancel()", diagnostic(Span(1, 5, 1, 12), "spawned here", *steps))
        == """\
 --> a.py:1:5
   │
 1 │ t = spawn()
   │     ^^^^^^^ spawned here
 2 │ t.cancel()
   │ ---------- `main` cancels it
   │ │
   │ the function ends
   │ nobody has waited for it
   │"""
    )


def test_a_step_on_the_span_of_the_spawn_comes_after_it() -> None:
    step = Step("a.py", Span(1, 1, 1, 8), "it is passed on")
    assert (
        frame("spawn()", diagnostic(Span(1, 1, 1, 8), "spawned here", step))
        == """\
 --> a.py:1:1
   │
 1 │ spawn()
   │ ^^^^^^^ spawned here
   │ │
   │ it is passed on
   │"""
    )


def test_steps_are_numbered_where_the_lines_do_not_tell_their_order() -> None:
    steps = (Step("a.py", Span(3, 1, 3, 2), "stored here"), Step("a.py", Span(1, 1, 1, 8), "cancelled here"))
    assert (
        frame("cancel(t)\n\nt = spawn()", diagnostic(Span(3, 5, 3, 12), "spawned here", *steps))
        == """\
 --> a.py:3:5
   │
 1 │ cancel(t)
   │ ------- (2) cancelled here
 2 │
 3 │ t = spawn()
   │ -   ^^^^^^^ spawned here
   │ │
   │ (1) stored here
   │"""
    )


def test_single_lines_between_marks_are_shown() -> None:
    step = Step("a.py", Span(3, 1, 3, 2), "third")
    assert (
        frame("one\ntwo\nthree\nfour", diagnostic(Span(1, 1, 1, 4), "first", step))
        == """\
 --> a.py:1:1
   │
 1 │ one
   │ ^^^ first
 2 │ two
 3 │ three
   │ - third
   │"""
    )


def test_many_marks_on_one_line() -> None:
    """The last label stands beside its mark, the others hang below theirs, from right to left."""
    steps = (
        Step("a.py", Span(1, 1, 1, 2), "one"),
        Step("a.py", Span(1, 8, 1, 9), "two"),
        Step("a.py", Span(1, 8, 1, 9), "two again"),
        Step("a.py", Span(1, 12, 1, 15), "three"),
    )
    assert (
        frame("a = (t := f(bcd))", diagnostic(Span(1, 11, 1, 17), "spawned here", *steps))
        == """\
 --> a.py:1:11
   │
 1 │ a = (t := f(bcd))
   │ -      -  ^^^^^^
   │ │      │  ││
   │ │      │  │(4) three
   │ │      │  spawned here
   │ │      (2) two
   │ │      (3) two again
   │ (1) one
   │"""
    )


def test_a_mark_without_a_label() -> None:
    assert (
        frame("spawn()", diagnostic(Span(1, 1, 1, 6), ""))
        == """\
 --> a.py:1:1
   │
 1 │ spawn()
   │ ^^^^^
   │"""
    )


def test_a_span_of_several_lines_is_underlined_to_the_end_of_the_first() -> None:
    assert (
        frame("    spawn(\n        run(),\n    )\n", diagnostic(Span(1, 5, 3, 6)))
        == """\
 --> a.py:1:5
   │
 1 │     spawn(
   │     ^^^^^^ here
   │"""
    )


@pytest.mark.parametrize(
    ("source", "span", "expected"),
    [
        pytest.param("x = (", Span(1, 6, 1, 6), " 1 │ x = (\n   │      ^ here", id="at the end of a line"),
        pytest.param("x = (", Span(1, 9, 1, 12), " 1 │ x = (\n   │      ^ here", id="beyond the end of a line"),
        pytest.param("x = (", Span(7, 1, 7, 1), " 7 │\n   │ ^ here", id="beyond the end of the file"),
        pytest.param("", Span(1, 1, 1, 1), " 1 │\n   │ ^ here", id="empty file"),
        pytest.param("\tf(\tx)", Span(1, 4, 1, 6), " 1 │     f(    x)\n   │       ^^^^^ here", id="tabs"),
        pytest.param('f("日本", t)', Span(1, 3, 1, 7), ' 1 │ f("日本", t)\n   │   ^^^^^^ here', id="wide characters"),
        pytest.param("é = ü(x)", Span(1, 5, 1, 6), " 1 │ é = ü(x)\n   │     ^ here", id="one-cell characters"),
        pytest.param(
            "e\u0301 = f(x)", Span(1, 6, 1, 7), " 1 │ e\u0301 = f(x)\n   │     ^ here", id="combining characters"
        ),
        pytest.param(
            "'\x1b[31m' + [bold]f[/]",
            Span(1, 17, 1, 18),
            " 1 │ '\\x1b[31m' + [bold]f[/]\n   │                    ^ here",
            id="escapes are shown, markup is no markup",
        ),
        pytest.param("'\u202e' + f", Span(1, 7, 1, 8), " 1 │ '\\u202e' + f\n   │            ^ here", id="bidi marks"),
        pytest.param("\x0cf()", Span(1, 2, 1, 3), " 1 │ \\x0cf()\n   │     ^ here", id="form feed"),
    ],
)
def test_characters(source: str, span: Span, expected: str) -> None:
    place = f"{span.line}:{span.column}"
    assert frame(source, diagnostic(span)) == f" --> a.py:{place}\n   │\n{expected}\n   │"


def test_names_and_messages_cannot_act_on_the_terminal() -> None:
    found = diagnostic(
        Span(1, 1, 1, 2), "\x1b[2J", path="a b\n\x1b[31m\udcff[red].py", message="`\x07` is [bold]wrong[/bold]"
    )
    assert (
        text.full([found], lines_of=lambda _: ["f()"], look=Look(color=True)).replace("\x1b", "ESC")
        == """\
ESC[1;91merror[LK101]ESC[0mESC[1m: `\\x07` is [bold]wrong[/bold]ESC[0mESC[2m  (dropped-task)ESC[0m
ESC[1;94m --> ESC[0ma b\\n\\x1b[31m\\xff[red].py:1:1
ESC[1;94m   │ESC[0m
ESC[1;94m 1 │ESC[0m f()
ESC[1;94m   │ ESC[0mESC[1;91m^ \\x1b[2JESC[0m
ESC[1;94m   │ESC[0m
ESC[1;94m   = ESC[0mESC[1mdocs: ESC[0mleaklint rule LK101

"""
    )
    assert text.concise([found]) == "a b\\n\\x1b[31m\\xff[red].py:1:1: LK101 `\\x07` is [bold]wrong[/bold]\n"


def test_long_lines_are_cut_around_the_span() -> None:
    source = "f(" + "x" * 300 + ", spawn(run()))" + "y" * 300
    assert (
        frame(source, diagnostic(Span(1, 305, 1, 317)), Look(width=70))
        == """\
 --> a.py:1:305
   │
 1 │ …xxxxxx, spawn(run()))yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
   │          ^^^^^^^^^^^^ here
   │"""
    )
    assert (
        frame("spawn()" + "y" * 300, diagnostic(Span(1, 1, 1, 8)), Look(width=70, unicode=False))
        == """\
 --> a.py:1:1
   |
 1 | spawn()yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...
   | ^^^^^^^ here
   |"""
    )


def test_of_the_marks_on_a_line_too_long_for_all_the_finding_is_shown() -> None:
    source = "t = f(" + "x" * 300 + ", spawn())"
    step = Step("a.py", Span(1, 1, 1, 2), "kept here")
    assert (
        frame(source, diagnostic(Span(1, 309, 1, 316), "here", step), Look(width=60))
        == """\
 --> a.py:1:309
   │
 1 │ …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, spawn())
   │ -                                               ^^^^^^^
   │ │                                               │
   │ │                                               here
   │ kept here
   │"""
    )


def test_a_megabyte_on_one_line() -> None:
    assert (
        frame("x" * 1_000_000 + "spawn()", diagnostic(Span(1, 1_000_001, 1, 1_000_008)), Look(width=50))
        == """\
 --> a.py:1:1000001
   │
 1 │ …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxspawn()
   │                                           ^^^^^^^
   │                                           │
   │                                           here
   │"""
    )


def test_labels_and_help_are_wrapped_where_there_is_no_room() -> None:
    words = "it is neither awaited nor cancelled nor handed to anybody else by this function"
    found = Diagnostic("a.py", Span(1, 9, 1, 16), "LK101", "dropped-task", Level.ERROR, "wrong", words, words, ())
    assert (
        text.full([found], lines_of=lambda _: ["        spawn()"], look=Look(width=60))
        == """\
error[LK101]: wrong  (dropped-task)
 --> a.py:1:9
   │
 1 │         spawn()
   │         ^^^^^^^
   │         │
   │         it is neither awaited nor cancelled nor handed
   │         to anybody else by this function
   │
   = help: it is neither awaited nor cancelled nor handed to
           anybody else by this function
   = docs: leaklint rule LK101

"""
    )


def test_concise() -> None:
    message = "`Poller.close` cancels the task of `self._run`, but nobody waits for it"
    assert text.concise([CANCELLED]) == f"app/poller.py:6:22: LK103 {message}\n"
    assert text.concise([CANCELLED], look=Look(color=True)) == f"app/poller.py:6:22: \x1b[1;33mLK103\x1b[0m {message}\n"
    assert not text.concise([])
    assert not text.full([], lines_of=lines_of)


# -- the summary ---------------------------------------------------------------------------------------------------


TASK = Task(
    path="app/poller.py",
    span=Span(6, 22, 6, 54),
    call="create_task",
    spawned="self._run",
    function="app.poller.Poller.start",
    handle="self._task",
    owner="app.poller.Poller",
    fate=Fate.KEPT,
    paths=(),
    likely=False,
    evidence=(),
)


def reported(fate: Fate, rule: str | None = None, **values: Any) -> Reported:
    return Reported(replace(TASK, fate=fate, **values), rule)


ERROR = diagnostic(Span(1, 1, 1, 2))
NOTE = Diagnostic("a.py", Span(2, 1, 2, 2), "LK106", "ungrouped-task", Level.NOTE, "by hand", "here", None, ())
JOINED, OWNED = reported(Fate.JOINED), reported(Fate.OWNED)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Checked("a.py", (), ())], "All checks passed! 1 file checked.\n"),
        ([Skipped("a.py"), Checked("b.py", (), (reported(Fate.GROUPED),))], "All checks passed! 2 files checked.\n"),
        (
            [Checked("a.py", (), (JOINED,))],
            (
                "All checks passed! 1 file checked.\n"
                "1 task is waited for by hand, outside any task group (--strict lists it).\n"
            ),
        ),
        ([Checked("a.py", (ERROR,), ())], "Found 1 error in 1 file.\n"),
        (
            [
                Checked("a.py", (ERROR, ERROR), (JOINED, reported(Fate.DROPPED, "LK101"))),
                Checked("app/poller.py", (CANCELLED,), (OWNED,)),
                Skipped("c.py"),
            ],
            (
                "Found 2 errors and 1 warning in 2 of 3 files.\n"
                "2 tasks are waited for by hand, outside any task group (--strict lists them).\n"
            ),
        ),
        ([Failed("b.py", "gone", None)], "Found nothing. 0 files checked. 1 could not be looked at.\n"),
        (
            [Checked("a.py", (ERROR,), ()), Skipped("c.py"), Failed("b.py", "gone", None)],
            "Found 1 error in 1 of 2 files. 1 could not be looked at.\n",
        ),
        (
            [Checked("a.py", (ERROR, NOTE), (JOINED,)), Checked("app/poller.py", (CANCELLED,), ())],
            "Found 1 error, 1 warning and 1 note in 2 files.\n",
        ),
    ],
)
def test_summary(outcomes: list[Outcome], expected: str) -> None:
    assert text.summary(outcomes) == expected


def test_summary_in_colour() -> None:
    look = Look(color=True)
    assert text.summary([Checked("a.py", (ERROR, NOTE), ())], look=look) == (
        "Found \x1b[1;91m1 error\x1b[0m and \x1b[1;92m1 note\x1b[0m in 1 file.\n"
    )
    assert text.summary([], look=look) == "\x1b[1;32mAll checks passed!\x1b[0m 0 files checked.\n"


# -- the inventory -------------------------------------------------------------------------------------------------

INVENTORY = (
    reported(Fate.CANCELLED, "LK103", evidence=EVIDENCE),
    reported(
        Fate.DROPPED,
        "LK101",
        span=Span(40, 5, 41, 6),
        call="loop.create_task",
        spawned="poll",
        handle=None,
        owner=None,
        likely=True,
    ),
    reported(
        Fate.HAZARD,
        "LK104",
        path="app/x.py",
        spawned="日本",
        handle="t",
        owner=None,
        paths=(PathKind.EXCEPTION, PathKind.TIMEOUT),
    ),
    reported(Fate.OWNED, path="app/x.py", span=Span(9, 1, 9, 2), handle="tasks", owner="app.x"),
)


def test_tasks_table() -> None:
    assert (
        text.tasks_table(INVENTORY)
        == """\
PLACE               FATE                         RULE   SPAWN                   HANDLE          FUNCTION
app/poller.py:6:22  cancelled                    LK103  create_task(self._run)  self._task      app.poller.Poller.start
app/poller.py:40:5  dropped?                     LK101  loop.create_task(poll)  -               app.poller.Poller.start
app/x.py:6:22       hazard (exception, timeout)  LK104  create_task(日本)       t               app.poller.Poller.start
app/x.py:9:1        owned                        -      create_task(self._run)  tasks of app.x  app.poller.Poller.start
"""
    )
    assert not text.tasks_table([])


def test_tasks_table_on_a_narrow_terminal() -> None:
    assert (
        text.tasks_table(INVENTORY, look=Look(terminal=True, width=100))
        == """\
app/poller.py:6:22  cancelled                    LK103
    create_task(self._run)  self._task      app.poller.Poller.start
app/poller.py:40:5  dropped?                     LK101
    loop.create_task(poll)  -               app.poller.Poller.start
app/x.py:6:22       hazard (exception, timeout)  LK104
    create_task(日本)       t               app.poller.Poller.start
app/x.py:9:1        owned                        -
    create_task(self._run)  tasks of app.x  app.poller.Poller.start
"""
    )
    wide = Look(terminal=True, width=120)
    assert text.tasks_table(INVENTORY, look=wide) == text.tasks_table(INVENTORY)
    assert text.tasks_table(INVENTORY, look=Look(width=100)) == text.tasks_table(INVENTORY)


def test_a_wide_cell_does_not_widen_its_column() -> None:
    wide = reported(Fate.KEPT, "LK102", path="a/" * 30 + "x.py", owner=None)
    assert (
        text.tasks_table([wide, INVENTORY[0]])
        == f"""\
PLACE               FATE       RULE   SPAWN                   HANDLE      FUNCTION
{"a/" * 30}x.py:6:22  kept  LK102  create_task(self._run)  self._task  app.poller.Poller.start
app/poller.py:6:22  cancelled  LK103  create_task(self._run)  self._task  app.poller.Poller.start
"""
    )


def test_tasks_table_in_colour() -> None:
    assert text.tasks_table(INVENTORY[1:2], look=Look(color=True)).replace("\x1b", "ESC") == (
        "ESC[1mPLACEESC[0m               ESC[1mFATEESC[0m      ESC[1mRULEESC[0m   ESC[1mSPAWNESC[0m"
        "                   ESC[1mHANDLEESC[0m  ESC[1mFUNCTIONESC[0m\n"
        "app/poller.py:40:5  ESC[1;91mdropped?ESC[0m  ESC[1;91mLK101ESC[0m  loop.create_task(poll)  -       "
        "app.poller.Poller.start\n"
    )


def test_tasks_summary() -> None:
    assert text.tasks_summary(INVENTORY) == (
        "Found 4 tasks in 2 files: 1 dropped, 1 hazard, 1 cancelled and 1 owned.\n"
    )
    assert text.tasks_summary(INVENTORY[:1]) == "Found 1 task in 1 file: 1 cancelled.\n"
    assert text.tasks_summary([]) == "Found no tasks.\n"


# -- for machines --------------------------------------------------------------------------------------------------

BROKEN = Diagnostic("z.py", Span(3, 9, 3, 10), "LK001", "unparsable-file", Level.ERROR, "no Python", "here", None, ())
OUTCOMES: tuple[Outcome, ...] = (
    Checked("app/poller.py", (CANCELLED,), (INVENTORY[0], OWNED)),
    Failed("b\udcff.py", "permission denied", None),
    Skipped("c.py"),
    Checked("z.py", (BROKEN,), ()),
)


def test_check_json() -> None:
    assert (
        machine.check_json(OUTCOMES)
        == """\
{
  "version": 1,
  "findings": [
    {
      "path": "app/poller.py",
      "line": 6,
      "column": 22,
      "end_line": 6,
      "end_column": 54,
      "code": "LK103",
      "name": "unawaited-cancel",
      "level": "warning",
      "message": "`Poller.close` cancels the task of `self._run`, but nobody waits for it",
      "help": "await the task after the cancel",
      "evidence": [
        {
          "path": "app/poller.py",
          "line": 6,
          "column": 9,
          "message": "stored in `self._task` here"
        },
        {
          "path": "app/poller.py",
          "line": 10,
          "column": 13,
          "message": "`close()` cancels it here"
        },
        {
          "path": "app/poller.py",
          "line": 11,
          "column": 9,
          "message": "and returns without waiting"
        }
      ]
    },
    {
      "path": "z.py",
      "line": 3,
      "column": 9,
      "end_line": 3,
      "end_column": 10,
      "code": "LK001",
      "name": "unparsable-file",
      "level": "error",
      "message": "no Python",
      "help": null,
      "evidence": []
    }
  ],
  "errors": [
    {
      "path": "b\\udcff.py",
      "line": null,
      "column": null,
      "message": "permission denied"
    }
  ],
  "summary": {
    "files": 3,
    "errors": 1,
    "warnings": 1,
    "notes": 0,
    "waited_by_hand": 1
  }
}
"""
    )


def test_tasks_json() -> None:
    assert (
        machine.tasks_json([Checked("app/poller.py", (), (INVENTORY[1], INVENTORY[0])), *OUTCOMES[1:]])
        == """\
{
  "version": 1,
  "tasks": [
    {
      "path": "app/poller.py",
      "line": 6,
      "column": 22,
      "end_line": 6,
      "end_column": 54,
      "call": "create_task",
      "spawned": "self._run",
      "function": "app.poller.Poller.start",
      "handle": "self._task",
      "owner": "app.poller.Poller",
      "fate": "cancelled",
      "paths": [],
      "rule": "LK103",
      "evidence": [
        {
          "path": "app/poller.py",
          "line": 6,
          "column": 9,
          "message": "stored in `self._task` here"
        },
        {
          "path": "app/poller.py",
          "line": 10,
          "column": 13,
          "message": "`close()` cancels it here"
        },
        {
          "path": "app/poller.py",
          "line": 11,
          "column": 9,
          "message": "and returns without waiting"
        }
      ]
    },
    {
      "path": "app/poller.py",
      "line": 40,
      "column": 5,
      "end_line": 41,
      "end_column": 6,
      "call": "loop.create_task",
      "spawned": "poll",
      "function": "app.poller.Poller.start",
      "handle": null,
      "owner": null,
      "fate": "dropped",
      "paths": [],
      "rule": "LK101",
      "evidence": []
    }
  ],
  "errors": [
    {
      "path": "b\\udcff.py",
      "line": null,
      "column": null,
      "message": "permission denied"
    },
    {
      "path": "z.py",
      "line": 3,
      "column": 9,
      "message": "no Python"
    }
  ]
}
"""
    )


def test_hazard_paths_and_names_survive_json() -> None:
    tasks = json.loads(machine.tasks_json([Checked("app/x.py", (), INVENTORY[2:3])]))["tasks"]
    assert (tasks[0]["paths"], tasks[0]["spawned"]) == (["exception", "timeout"], "日本")
    assert json.loads(machine.tasks_json(OUTCOMES))["errors"][0]["path"] == "b\udcff.py"
    assert machine.check_json(OUTCOMES).isascii()


# -- rules ---------------------------------------------------------------------------------------------------------


def test_rule_pages_are_markdown_where_they_are_not_coloured() -> None:
    first, second = all_rules()[0], find_rule("LK105")
    assert second is not None
    assert text.rule_pages([first, second]) == (
        f"# unparsable-file (LK001)\n\nLevel: error, on by default.\n\n{first.documentation.strip()}\n\n"
        f"# escaping-task (LK105)\n\nLevel: note, off by default, on with `--strict`.\n\n"
        f"{second.documentation.strip()}\n"
    )


def test_rule_pages_are_rendered_where_they_are_coloured() -> None:
    shown = text.rule_pages(all_rules(), look=Look(color=True, width=80))
    assert "## What it does" not in shown
    assert "\x1b[" in shown
    assert all(rule.name in shown for rule in all_rules())


def test_rules_json() -> None:
    rules = json.loads(machine.rules_json(all_rules()))
    assert rules["version"] == 1
    assert rules["rules"] == [
        {
            "code": rule.code,
            "name": rule.name,
            "level": rule.level.value,
            "default": rule.default,
            "summary": rule.summary,
            "documentation": rule.documentation,
        }
        for rule in all_rules()
    ]
