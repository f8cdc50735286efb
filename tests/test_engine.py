"""The engine: outcomes of one file, whatever is in it."""

from __future__ import annotations

import pytest

from leaklint import engine
from leaklint.engine import check_source, collect_source
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Failed, Outcome, Skipped
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate, PathKind, Task
from leaklint.policy.config import Settings

LEAK = """\
import asyncio


async def main() -> None:
    asyncio.create_task(asyncio.sleep(1))
"""


def check(source: str | bytes, settings: Settings | None = None, *, always_parse: bool = False) -> Outcome:
    data = source.encode() if isinstance(source, str) else source
    settings = settings or Settings.default()
    return check_source(data, path="pkg/mod.py", module="pkg.mod", settings=settings, always_parse=always_parse)


def only(*codes: str) -> Settings:
    return Settings(select=frozenset(codes))


def without(*codes: str) -> Settings:
    return Settings(ignore=frozenset(codes))


def places(outcome: Outcome) -> list[str]:
    assert isinstance(outcome, Checked)
    return [f"{found.span.line}:{found.span.column} {found.code}" for found in outcome.diagnostics]


def test_checked() -> None:
    outcome = check(LEAK)
    assert isinstance(outcome, Checked)
    assert outcome.path == "pkg/mod.py"
    assert places(outcome) == ["5:5 LK101"]
    (entry,) = outcome.tasks
    assert (entry.rule, entry.task.fate, entry.task.function, entry.task.spawned) == (
        "LK101",
        Fate.DROPPED,
        "pkg.mod.main",
        "asyncio.sleep",
    )


def test_facts() -> None:
    facts = collect_source(LEAK.encode(), path="pkg/mod.py", module="pkg.mod")
    assert isinstance(facts, ModuleFacts)
    assert (facts.path, facts.module) == ("pkg/mod.py", "pkg.mod")


def test_file_without_a_spawn_is_skipped_unless_it_was_asked_for() -> None:
    assert check("print(1)\n") == Skipped("pkg/mod.py")
    assert check("print(1)\n", always_parse=True) == Checked("pkg/mod.py", diagnostics=(), tasks=())
    assert check("print(\n") == Skipped("pkg/mod.py")
    assert places(check("print(\n", always_parse=True)) == ["1:6 LK001"]


@pytest.mark.parametrize("always_parse", [True, False])
def test_file_that_cannot_be_decoded(always_parse: bool) -> None:
    assert places(check(b"x = 1\ny = '\xff'\n", always_parse=always_parse)) == ["2:6 LK001"]
    assert places(check(b"x = 1\ny = 2\0\n", always_parse=always_parse)) == ["2:6 LK001"]


def test_diagnostics_stand_in_source_order() -> None:
    lines = ["import asyncio", "async def f():"]
    lines += ["    asyncio.create_task(g()); asyncio.create_task(g())", "    await g()  # leaklint: ignore"] * 2
    assert places(check("\n".join(lines))) == [
        "3:5 LK101",
        "3:31 LK101",
        "4:16 LK002",
        "5:5 LK101",
        "5:31 LK101",
        "6:16 LK002",
    ]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("", ["5:5 LK101"]),
        ("  # leaklint: ignore[LK101] -- why", []),
        ("  # leaklint: ignore[LK104]", ["5:5 LK101", "5:44 LK002"]),
        ("  # leaklint: ignore[LK104, LK002]", ["5:5 LK101"]),
        ("  # leaklint: ignore[LK101, LK106]", []),
        ("\n# leaklint: ignore-file", []),
    ],
)
def test_comments(comment: str, expected: list[str]) -> None:
    assert places(check(LEAK.rstrip("\n") + comment + "\n")) == expected


STATEMENTS = """\
import asyncio


async def main() -> None:
    asyncio.create_task(
        asyncio.sleep(1)  # leaklint: ignore[LK101]
    )
    # leaklint: ignore[LK101] -- the next statement only
    asyncio.create_task(asyncio.sleep(2))
    asyncio.create_task(asyncio.sleep(3))
    if asyncio.create_task(asyncio.sleep(4)):  # leaklint: ignore[LK101]
        asyncio.create_task(asyncio.sleep(5))
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_comment_covers_its_statement_but_not_the_body(newline: str) -> None:
    assert places(check(STATEMENTS.replace("\n", newline))) == ["10:5 LK101", "12:9 LK101"]


def test_silenced_tasks_stay_in_the_inventory_with_their_rule() -> None:
    outcome = check(LEAK.rstrip("\n") + "  # leaklint: ignore")
    assert isinstance(outcome, Checked)
    assert [entry.rule for entry in outcome.tasks] == ["LK101"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [(only("LK102"), []), (without("LK101"), []), (only("LK101"), ["5:5 LK101"]), (without("LK102"), ["5:5 LK101"])],
)
def test_rules_that_do_not_run_report_nothing(settings: Settings, expected: list[str]) -> None:
    assert places(check(LEAK, settings)) == expected


def test_complaints_are_left_out_when_their_rule_does_not_run() -> None:
    source = "import asyncio  # leaklint: ignore[LK101]"
    assert places(check(source, always_parse=True)) == ["1:17 LK002"]
    assert places(check(source, without("LK002"), always_parse=True)) == []
    assert places(check(source, without("LK101"), always_parse=True)) == []


QUIET = {Fate.JOINED, Fate.OWNED, Fate.HANDED, Fate.GROUPED, Fate.NOT_A_SPAWN}


@pytest.mark.parametrize("fate", Fate)
def test_rule_of_a_task_is_that_of_its_fate(fate: Fate, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(facts: ModuleFacts) -> tuple[Task, ...]:
        return tuple(
            Task(
                path=facts.path,
                span=Span(line, 1, line, 9),
                call="f",
                spawned="g",
                function="m",
                handle=None,
                owner=None,
                fate=fate,
                paths=(PathKind.EXCEPTION,) if fate is Fate.HAZARD else (),
                likely=False,
                evidence=(),
            )
            for line in (2, 3)
        )

    monkeypatch.setattr(engine, "judge", judge)
    outcome = check(LEAK)
    assert isinstance(outcome, Checked)
    code = {Fate.DROPPED: "LK101", Fate.KEPT: "LK102", Fate.CANCELLED: "LK103", Fate.HAZARD: "LK104"}.get(fate)
    assert [(entry.task.span.line, entry.rule) for entry in outcome.tasks] == [(2, code), (3, code)]
    assert (code is None) is (fate in QUIET)


# -- trouble -------------------------------------------------------------------------------------------------------


def fail_with(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def test_fault_of_our_own_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "judge", fail_with(KeyError("two\nlines")))
    outcome = check(LEAK)
    assert isinstance(outcome, Failed)
    assert (outcome.path, outcome.error) == (
        "pkg/mod.py",
        "leaklint itself failed on this file: KeyError: 'two\\nlines'",
    )
    assert outcome.details is not None
    assert outcome.details.startswith("Traceback (most recent call last):\n")
    assert outcome.details.endswith("KeyError: 'two\\nlines'\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (MemoryError(), "MemoryError"),
        (AssertionError(" "), "AssertionError"),
    ],
)
def test_error_is_one_line(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "collect", fail_with(error))
    outcome = check(LEAK)
    assert isinstance(outcome, Failed)
    assert outcome.error == f"leaklint itself failed on this file: {text}"


@pytest.mark.parametrize("stage", ["read_source", "collect", "judge"])
def test_endless_nesting_is_the_users_to_mend(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, stage, fail_with(RecursionError("maximum recursion depth exceeded")))
    outcome = check(LEAK)
    assert isinstance(outcome, Checked)
    (found,) = outcome.diagnostics
    assert (found.code, found.message) == ("LK001", "this file cannot be checked: nested too deeply to be analysed")
    assert outcome.tasks == ()


def test_ctrl_c_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "judge", fail_with(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        check(LEAK)


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 5000 + ")" * 5000,
        "x = " + "-" * 5000 + "1",
        "x = " + "a." * 5000 + "create_task(b)",
        "x = " + "f(" * 5000 + ")" * 5000,
        "\n".join(" " * n + "if x:" for n in range(200)),
        "x = " + " + ".join(["create_task(a)"] * 3000),
        "x = " + "[" * 60 + "create_task(a)" + "]" * 60,
        "create_task" + "\0",
        "create_task\n" + "'''",
        "\f\n\r\n\\",
        "",
    ],
)
def test_nothing_raises(source: str) -> None:
    assert isinstance(check(source, always_parse=True), Checked)


def test_unparsable_facts() -> None:
    broken = collect_source(b"create_task(\n", path="m.py", module="m")
    assert isinstance(broken, Unparsable)
    assert (broken.path, broken.span[:2]) == ("m.py", (1, 12))
