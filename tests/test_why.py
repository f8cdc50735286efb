"""`leaklint why`: from a place to the verdict on the spawns there, with all its evidence."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaklint import UserError, app, cli
from leaklint.app import Run
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Reported
from leaklint.model.fate import Fate, PathKind, Step, Task
from leaklint.places import Place, nowhere, parse_place, spawns_at
from leaklint.report.frame import Look
from leaklint.report.why import explained

Result = tuple[int, str, str]
Leaklint = Callable[..., Result]

CLIENT = """\
import asyncio


class Client:
    def start(self):
        self._task = asyncio.create_task(self._run())

    async def close(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self): ...


async def twice(session):
    await asyncio.gather(asyncio.create_task(session.get()), asyncio.create_task(session.put()))
    return asyncio.ensure_future(
        session.close(
            wait=True,
        )
    )
"""
OWNED = """\
app.py:6:22: asyncio.create_task(self._run) is owned
  It is kept beyond the function that spawns it, and the end or the next use of its owner waits for it.
  function: app.Client.start
  handle: self._task
  owner: app.Client
  --> app.py:6:22
    │
  6 │         self._task = asyncio.create_task(self._run())
    │         ----------   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ spawned here
    │         │
    │         (1) kept in `self._task`
  ⋮ │
  9 │         self._task.cancel()
    │         ------------------- (2) `close` cancels it
 10 │         await asyncio.gather(self._task, return_exceptions=True)
    │         -------------------------------------------------------- (3) `close` waits for it
    │
    = rule: LK106 ungrouped-task, quiet: `--strict` lists it
    = docs: leaklint rule LK106
"""


@pytest.fixture
def leaklint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Leaklint:
    """Run a command line beside `app.py`; give its exit code and what it writes to both streams."""
    for name in ("NO_COLOR", "FORCE_COLOR", "LEAKLINT_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    (tmp_path / "app.py").write_text(CLIENT, encoding="utf-8")

    def run(*args: str) -> Result:
        with pytest.raises(SystemExit) as caught:
            cli.main(args)
        assert isinstance(caught.value.code, int)
        return (caught.value.code, *capsys.readouterr())

    return run


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["app.py:6", "app.py:6:22", "app.py:6:30", "./app.py:6:", "app.py:6:22:"])
def test_a_quiet_verdict(leaklint: Leaklint, place: str) -> None:
    assert leaklint("why", place) == (0, OWNED, "")


def test_the_manual_shows_it() -> None:
    manual = Path(cli.__file__).parents[1] / "docs" / "usage.md"
    assert f"```\n$ leaklint why app.py:6\n{OWNED}```\n" in manual.read_text(encoding="utf-8")


def test_all_spawns_of_a_line_or_the_one_at_a_column(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("why", "app.py:16")
    assert (code, said) == (0, "")
    first, second = shown.split("\n\n")
    assert leaklint("why", "app.py:16:26") == (0, f"{first}\n", "")
    assert leaklint("why", "app.py:16:62") == (0, second, "")
    assert [part.split("\n")[0] for part in (first, second)] == [
        "app.py:16:26: asyncio.create_task(session.get) is a hazard (sibling)",
        "app.py:16:62: asyncio.create_task(session.put) is a hazard (sibling)",
    ]


@pytest.mark.parametrize("place", ["app.py:17", "app.py:19", "app.py:19:13", "app.py:21"])
def test_a_spawn_of_several_lines(leaklint: Leaklint, place: str) -> None:
    assert leaklint("why", place) == (
        0,
        """\
app.py:17:12: asyncio.ensure_future(session.close) is handed
  It is given to code that is not in view: the receiver must see to its end.
  function: app.twice
  handle: none
  --> app.py:17:12
    │
 17 │     return asyncio.ensure_future(
    │     -------^^^^^^^^^^^^^^^^^^^^^^ spawned here
    │     │
    │     `twice` returns it
    │
    = rule: LK105 escaping-task, quiet: `--strict` lists it
    = docs: leaklint rule LK105
""",
        "",
    )


def test_a_call_that_is_reported_at_the_spawn(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "background.py").write_text(
        "import asyncio\n\nTASKS = set()\n\n\ndef keep(coro):\n    task = asyncio.create_task(coro)\n"
        "    TASKS.add(task)\n    return task\n",
        encoding="utf-8",
    )
    (tmp_path / "main.py").write_text(
        "from background import keep\n\n\ndef go(work):\n    keep(work())\n", encoding="utf-8"
    )
    assert leaklint("why", "main.py:5") == (
        0,
        """\
main.py:5:5: keep(work) is kept
  It is kept beyond the function that spawns it, but nobody waits for it or cancels it.
  function: main.go
  handle: TASKS
  owner: background
 --> main.py:5:5
   │
 5 │     keep(work())
   │     ^^^^^^^^^^^^ spawned here
   │     │
   │     (4) `go` receives it
   │
 ::: background.py:7:12
   │
 7 │     task = asyncio.create_task(coro)
   │            ------------------------- (1) `keep` spawns it
 8 │     TASKS.add(task)
   │     --------------- (2) kept in `TASKS`
 9 │     return task
   │     ----------- (3) `keep` returns it
   │
   = rule: LK102 unjoined-task, on by default; reported at background.py:7:12: one cause, one finding
   = docs: leaklint rule LK102
""",
        "",
    )


def test_json_holds_the_entries_of_the_inventory(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("why", "app.py:16:62", "--format", "json")
    inventory = json.loads(leaklint("tasks", "--format", "json")[1])
    assert (code, said) == (0, "")
    assert json.loads(shown) == {"version": 1, "tasks": inventory["tasks"][2:3], "errors": []}
    assert [task["column"] for task in json.loads(leaklint("why", "app.py:16", "--format", "json")[1])["tasks"]] == [
        26,
        62,
    ]


def test_colour(leaklint: Leaklint) -> None:
    code, shown, said = leaklint("why", "app.py:6", "--color", "always")
    assert (code, said) == (0, "")
    assert shown.split("\n")[0] == ("app.py:6:22: \x1b[1masyncio.create_task(self._run) is \x1b[0m\x1b[32mowned\x1b[0m")
    assert "\x1b[1;94m    = \x1b[0m\x1b[1mrule: \x1b[0mLK106 ungrouped-task" in shown


def test_a_comment_that_silences_is_told_of(leaklint: Leaklint, tmp_path: Path) -> None:
    source = "import asyncio\n\n\ndef fire(work):\n    asyncio.create_task(work())  # leaklint: ignore[LK101]\n"
    (tmp_path / "fire.py").write_text(source)
    assert leaklint("why", "fire.py:5") == (
        0,
        """\
fire.py:5:5: asyncio.create_task(work) is dropped
  Nothing keeps the handle for anything that waits: the task may end at any time, or never.
  function: fire.fire
  handle: none
 --> fire.py:5:5
   │
 5 │     asyncio.create_task(work())  # leaklint: ignore[LK101]
   │     ^^^^^^^^^^^^^^^^^^^^^^^^^^^ spawned here
   │
   = rule: LK101 dropped-task, on by default; a comment silences it here
   = docs: leaklint rule LK101
""",
        "",
    )


def test_the_configured_rules_do_not_matter(leaklint: Leaklint, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK1"]\n')
    assert leaklint("why", "app.py:6") == (0, OWNED, "")
    (tmp_path / "pyproject.toml").write_text("[tool.leaklint]\nselect = 1\n")
    assert leaklint("why", "app.py:6")[0] == 2
    assert leaklint("why", "app.py:6", "--isolated") == (0, OWNED, "")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("app.py:14", "no task is spawned on line 14 of app.py; the nearest are on lines 6 and 16"),
        ("app.py:1", "no task is spawned on line 1 of app.py; the nearest is on line 6"),
        ("./app.py:999", "no task is spawned on line 999 of app.py; the nearest is on line 17"),
        ("app.py:6:1", "no task is spawned at column 1 of line 6 of app.py; on this line, one is at column 22"),
        (
            "app.py:16:5",
            "no task is spawned at column 5 of line 16 of app.py; on this line, one is at columns 26 and 62",
        ),
        ("app.py:8:3", "no task is spawned on line 8 of app.py; the nearest are on lines 6 and 16"),
        ("empty.py:1", "no task is spawned in empty.py"),
        ("app.py", "`app.py` names no line: write PATH:LINE, for instance `app.py:12`"),
        ("app.py:", "`app.py:` names no line: write PATH:LINE, for instance `app.py:12`"),
        ("app.py:x", "`x` is no line number in `app.py:x`: write PATH:LINE or PATH:LINE:COLUMN"),
        ("app.py:-6", "`-6` is no line number in `app.py:-6`: write PATH:LINE or PATH:LINE:COLUMN"),
        ("app.py:0", "lines and columns count from 1: `app.py:0`"),
        ("apq.py:6", "no such file or directory: `apq.py`, did you mean `app.py`?"),
        ("pkg", "`pkg` is a directory: name a file and a line in it"),
        ("pkg:6", "`pkg` is a directory: name a file and a line in it"),
        ("broken.py:1", "broken.py:1:6: this file cannot be checked: '(' was never closed"),
        ("\x1b[2J.py:1", "no such file or directory: `\\x1b[2J.py`"),
    ],
)
def test_mistakes(leaklint: Leaklint, tmp_path: Path, place: str, message: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("print(\n")
    (tmp_path / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK001"]\n')
    assert leaklint("why", place) == (2, "", f"leaklint: error: {message}\n")


def test_mistaken_arguments(leaklint: Leaklint) -> None:
    usage = "Try 'leaklint why --help' for help.\n"
    assert leaklint("why") == (2, "", f"leaklint: error: Missing argument 'PATH:LINE[:COLUMN]'.\n{usage}")
    code, shown, said = leaklint("why", "app.py:6", "app.py:16")
    assert (code, shown) == (2, "")
    assert said == f"leaklint: error: Got unexpected extra argument (app.py:16)\n{usage}"


def test_a_file_that_cannot_be_looked_at(leaklint: Leaklint, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Failed("app.py", "leaklint itself failed on this file: KeyError: 'x'", "Traceback: ...\n")
    monkeypatch.setattr(app, "check", lambda *_, **__: Run((failed,)))
    error = "leaklint: error: app.py: leaklint itself failed on this file: KeyError: 'x'\n"
    assert leaklint("why", "app.py:6") == (2, "", error)
    code, shown, said = leaklint("why", "app.py:6", "--verbose")
    assert (code, shown) == (2, "")
    assert said.endswith(f"Traceback: ...\n{error}")


def test_evidence_in_several_files(leaklint: Leaklint, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run((Checked("wire.py", (REPORTED,), (LONG,)),), {path: data.encode() for path, data in FILES.items()})
    monkeypatch.setattr(app, "check", lambda *_, **__: run)
    assert leaklint("why", "wire.py:5") == (0, WHOLE, "")
    code, shown, said = leaklint("why", "wire.py:5", "--format", "json")
    assert (code, said) == (0, "")
    (entry,) = json.loads(shown)["tasks"]
    assert [step["path"] for step in entry["evidence"]] == ["wire.py", "pool.py", "pool.py", "main.py", "pool.py"]


# -- the report ----------------------------------------------------------------------------------------------------

FILES = {
    "wire.py": "import asyncio\n\n\ndef open_reader(wire):\n    return asyncio.create_task(wire.read())\n",
    "pool.py": (
        "class Pool:\n    def fill(self, wire):\n        self._reader = open_reader(wire)\n\n"
        "    def close(self):\n        self._reader.cancel()\n"
    ),
    "main.py": "async def main(pool):\n    pool.close()\n",
}
LONG = Reported(
    Task(
        path="wire.py",
        span=Span(5, 12, 5, 44),
        call="asyncio.create_task",
        spawned="wire.read",
        function="wire.open_reader",
        handle="self._reader",
        owner="pool.Pool",
        fate=Fate.CANCELLED,
        paths=(),
        likely=False,
        evidence=(
            Step("wire.py", Span(5, 5, 5, 44), "`open_reader` returns it"),
            Step("pool.py", Span(3, 24, 3, 41), "`fill` receives it"),
            Step("pool.py", Span(3, 9, 3, 21), "kept in `self._reader`"),
            Step("main.py", Span(2, 5, 2, 17), "`main` calls `close`"),
            Step("pool.py", Span(6, 9, 6, 30), "`close` cancels it and returns"),
        ),
    ),
    "LK103",
)
REPORTED = Diagnostic(
    "wire.py", LONG.task.span, "LK103", "unawaited-cancel", Level.WARNING, "wrong", "spawned here", None, ()
)
WHOLE = """\
wire.py:5:12: asyncio.create_task(wire.read) is cancelled
  Every way out at least cancels it, but nobody waits until it has ended.
  function: wire.open_reader
  handle: self._reader
  owner: pool.Pool
 --> wire.py:5:12
   │
 5 │     return asyncio.create_task(wire.read())
   │     -------^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ spawned here
   │     │
   │     (1) `open_reader` returns it
   │
 ::: pool.py:3:24
   │
 3 │         self._reader = open_reader(wire)
   │         ------------   ----------------- (2) `fill` receives it
   │         │
   │         (3) kept in `self._reader`
 ⋮ │
 6 │         self._reader.cancel()
   │         --------------------- (5) `close` cancels it and returns
   │
 ::: main.py:2:5
   │
 2 │     pool.close()
   │     ------------ (4) `main` calls `close`
   │
   = rule: LK103 unawaited-cancel, on by default
   = docs: leaklint rule LK103
"""


def explain(*entries: Reported, diagnostics: tuple[Diagnostic, ...] = (), look: Look | None = None) -> str:
    return explained(entries, diagnostics, lines_of=lambda path: FILES[path].split("\n"), look=look)


def entry(fate: Fate, rule: str | None = None, **values: Any) -> Reported:
    return Reported(replace(LONG.task, fate=fate, evidence=(), **values), rule)


def test_verdicts_are_separated_by_an_empty_line() -> None:
    assert explain(LONG, diagnostics=(REPORTED,)) == WHOLE
    assert explain(LONG, LONG, diagnostics=(REPORTED,)) == f"{WHOLE}\n{WHOLE}"


@pytest.mark.parametrize(
    ("found", "verdict", "meaning", "label", "standing"),
    [
        (
            entry(Fate.NOT_A_SPAWN),
            "not a spawn",
            "The call only looks like a spawn: it is something else, or wraps what is a task already.",
            "called here",
            "none, there is nothing to report",
        ),
        (
            entry(Fate.GROUPED),
            "grouped",
            "It is spawned into a group, which waits for its tasks when it is left.",
            "spawned here",
            "none, there is nothing to report",
        ),
        (
            entry(Fate.DROPPED, "LK101"),
            "dropped",
            "Nothing keeps the handle for anything that waits: the task may end at any time, or never.",
            "spawned here",
            "LK101 dropped-task, on by default",
        ),
        (
            entry(Fate.HAZARD, "LK104", paths=tuple(PathKind)),
            "a hazard (exception, early-exit, timeout, sibling, partial-wait, cancellation)",
            (
                "The straight path sees to its end, but an exception, an early exit, a time-out, the failure of "
                "another task, a wait for only some of the tasks or a cancellation may leave it running."
            ),
            "spawned here",
            "LK104 leaky-path, on by default",
        ),
        (
            entry(Fate.CANCELLED, "LK103"),
            "cancelled",
            "Every way out at least cancels it, but nobody waits until it has ended.",
            "spawned here",
            "LK103 unawaited-cancel, on by default",
        ),
        (
            entry(Fate.JOINED),
            "joined",
            "It is waited for on every way out, exceptions included.",
            "spawned here",
            "LK106 ungrouped-task, quiet: `--strict` lists it",
        ),
        (
            entry(Fate.OWNED),
            "owned",
            "It is kept beyond the function that spawns it, and the end or the next use of its owner waits for it.",
            "spawned here",
            "LK106 ungrouped-task, quiet: `--strict` lists it",
        ),
        (
            entry(Fate.KEPT, "LK102"),
            "kept",
            "It is kept beyond the function that spawns it, but nobody waits for it or cancels it.",
            "spawned here",
            "LK102 unjoined-task, on by default",
        ),
        (
            entry(Fate.HANDED),
            "handed",
            "It is given to code that is not in view: the receiver must see to its end.",
            "spawned here",
            "LK105 escaping-task, quiet: `--strict` lists it",
        ),
    ],
    ids=[fate.value for fate in Fate],
)
def test_every_fate_is_explained(found: Reported, verdict: str, meaning: str, label: str, standing: str) -> None:
    code = standing[:5]
    docs = f"   = docs: leaklint rule {code}\n" if code.startswith("LK") else ""
    heard = (replace(REPORTED, code=code),)
    assert explain(found, diagnostics=heard, look=Look(width=250)) == (
        f"""\
wire.py:5:12: asyncio.create_task(wire.read) is {verdict}
  {meaning}
  function: wire.open_reader
  handle: self._reader
  owner: pool.Pool
 --> wire.py:5:12
   │
 5 │     return asyncio.create_task(wire.read())
   │            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ {label}
   │
   = rule: {standing}
{docs}"""
    )


def test_who_holds_the_handle_where_nothing_does() -> None:
    def holders(fate: Fate) -> list[str]:
        return explain(entry(fate, handle=None, owner=None)).split("\n")[2:4]

    nothing = ["  function: wire.open_reader", "  handle: none"]
    assert [holders(fate) for fate in (Fate.DROPPED, Fate.JOINED, Fate.HANDED)] == [nothing, nothing, nothing]
    grouped = ["  function: wire.open_reader", " --> wire.py:5:12"]
    assert [holders(fate) for fate in (Fate.GROUPED, Fate.NOT_A_SPAWN)] == [grouped, grouped]


def test_a_guess_is_called_a_guess_and_long_sentences_are_wrapped() -> None:
    guess = entry(Fate.DROPPED, "LK101", likely=True, call="self.loop.create_task", handle=None, owner=None)
    assert (
        explain(guess, look=Look(width=60, unicode=False))
        == """\
wire.py:5:12: self.loop.create_task(wire.read) is dropped
  Nothing keeps the handle for anything that waits: the task
  may end at any time, or never.
  function: wire.open_reader
  handle: none
 --> wire.py:5:12
   |
 5 |     return asyncio.create_task(wire.read())
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |            |
   |            spawned here
   |
   = guess: `self.loop.create_task` is taken for a spawn
            because of its name only
   = rule: LK101 dropped-task, on by default; a comment
           silences it here
   = docs: leaklint rule LK101
"""
    )


def test_names_cannot_act_on_the_terminal() -> None:
    bad = entry(Fate.KEPT, "LK102", function="\x1b[1mf", handle="\u202eh", owner="\x07", spawned="\x1b[2J", call="c\n")
    shown = explain(bad)
    assert shown.split("\n")[0] == "wire.py:5:12: c\\n(\\x1b[2J) is kept"
    assert shown.split("\n")[2:5] == ["  function: \\x1b[1mf", "  handle: \\u202eh", "  owner: \\x07"]
    assert "\x1b" not in shown


# -- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("app.py:12", Place("app.py", 12, None)),
        ("app.py:12:", Place("app.py", 12, None)),
        ("app.py:12:5", Place("app.py", 12, 5)),
        ("app.py:12:5:", Place("app.py", 12, 5)),
        (r"C:\src\x.py:12", Place(r"C:\src\x.py", 12, None)),
        (r"C:\src\x.py:12:5", Place(r"C:\src\x.py", 12, 5)),
        ("C:/src/x.py:12", Place("C:/src/x.py", 12, None)),
        ("a:1:2:3", Place("a:1", 2, 3)),
        ("a b\n.py:1", Place("a b\n.py", 1, None)),
    ],
)
def test_places(written: str, place: Place) -> None:
    assert parse_place(written) == place


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "`` names no file: write PATH:LINE, for instance `app.py:12`"),
        (":12", "`:12` names no file: write PATH:LINE, for instance `app.py:12`"),
        (r"C:\src\x.py", r"`C:\src\x.py` names no line: write PATH:LINE, for instance `C:\src\x.py:12`"),
        (r"C:\src\x.py:y", r"`y` is no line number in `C:\src\x.py:y`: write PATH:LINE or PATH:LINE:COLUMN"),
        ("app.py:1:0", "lines and columns count from 1: `app.py:1:0`"),
        (
            f"app.py:{'9' * 5000}",
            f"`{'9' * 5000}` is no line number in `app.py:{'9' * 5000}`: write PATH:LINE or PATH:LINE:COLUMN",
        ),
        ("app.py:\u0661", "`\u0661` is no line number in `app.py:\u0661`: write PATH:LINE or PATH:LINE:COLUMN"),
    ],
    ids=["nothing", "no path", "drive", "drive and word", "column 0", "a huge number", "other digits"],
)
def test_mistaken_places(written: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_place(written)
    assert str(caught.value) == message


def spans(*found: tuple[int, int, int, int]) -> tuple[Reported, ...]:
    return tuple(entry(Fate.JOINED, span=Span(*each)) for each in found)


def test_the_spawns_at_a_place() -> None:
    outer, inner, later = tasks = spans((2, 1, 6, 2), (4, 5, 4, 30), (9, 1, 9, 9))

    def at(line: int, column: int | None = None) -> tuple[Reported, ...]:
        return spawns_at(tasks, Place("a.py", line, column))

    assert [at(line) for line in (1, 2, 3, 4, 6, 7, 9)] == [(), (outer,), (outer,), (inner,), (outer,), (), (later,)]
    assert [at(4, column) for column in (1, 4, 5, 29, 30)] == [(outer,), (outer,), (inner,), (inner,), (outer,)]
    assert [at(9, column) for column in (1, 8, 9)] == [(later,), (later,), ()]


def test_what_is_said_where_no_spawn_is() -> None:
    assert nowhere((), Place("a.py", 3, None), "a.py") == "no task is spawned in a.py"
    three = spans((3, 1, 3, 9), (3, 11, 3, 19), (3, 21, 3, 29))
    assert nowhere(three, Place("a.py", 3, 10), "a.py") == (
        "no task is spawned at column 10 of line 3 of a.py; on this line, one is at columns 1, 11 and 21"
    )


def test_a_wait_that_is_no_spawn(leaklint: Leaklint, tmp_path: Path) -> None:
    source = "import asyncio\n\n\nasync def both(session):\n    await asyncio.gather(session.read(), session.write())\n"
    (tmp_path / "app.py").write_text(source)
    assert leaklint("why", "app.py:5") == (
        0,
        """\
app.py:5:11: asyncio.gather(session.read) is a hazard (sibling)
  The straight path sees to its end, but the failure of another task may leave it running.
  function: app.both
  handle: none
 --> app.py:5:11
   │
 5 │     await asyncio.gather(session.read(), session.write())
   │     ------^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ called here
   │     │
   │     another task of the gather may fail, the task runs on
   │
   = rule: LK201 gather-leaves-siblings, on by default
   = docs: leaklint rule LK201
""",
        "",
    )
