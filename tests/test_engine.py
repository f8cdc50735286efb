"""The engine: outcomes of the files of a program, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leaklint import engine, reading
from leaklint.analysis import Analysis, Findings
from leaklint.analysis.ends import Verdict
from leaklint.analysis.leaving import Leaving
from leaklint.analysis.tracing import Tracer
from leaklint.analysis.unclosed import Closing
from leaklint.engine import Input, check_program, check_source, collect_source, decide
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Failed, Outcome, Skipped
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Fate, PathKind, Step, Task, Unclosed
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


def check_all(files: dict[str, str], *, named: str | None = None) -> dict[str, Outcome]:
    """The outcomes of the files of a program, all or one of them named, by path."""
    return {outcome.path: outcome for outcome in check_program(inputs(files, named=named))}


def inputs(files: dict[str, str], *, named: str | None = None, settings: Settings | None = None) -> list[Input]:
    settings = settings or Settings.default()
    return [
        Input(path, path.removesuffix(".py"), source.encode(), settings if named in (None, path) else None)
        for path, source in files.items()
    ]


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


def task(line: int, fate: Fate, *, cause: Step | None = None) -> Task:
    return Task(
        path="pkg/mod.py",
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
        cause=cause,
    )


def facts_of(source: str) -> ModuleFacts:
    facts = collect_source(source.encode(), path="pkg/mod.py", module="pkg.mod")
    assert isinstance(facts, ModuleFacts)
    return facts


@pytest.mark.parametrize("fate", Fate)
def test_rule_of_a_task_is_that_of_its_fate(fate: Fate) -> None:
    outcome = decide(facts_of(LEAK), Findings((task(2, fate), task(3, fate))), Settings.default())
    code = {Fate.DROPPED: "LK101", Fate.KEPT: "LK102", Fate.CANCELLED: "LK103", Fate.HAZARD: "LK104"}.get(fate)
    assert [(entry.task.span.line, entry.rule) for entry in outcome.tasks] == [(2, code), (3, code)]
    assert places(outcome) == ([f"2:1 {code}", f"3:1 {code}"] if code else [])
    assert (code is None) is (fate in QUIET)


# -- one cause, one diagnostic -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate.leaks])
def test_a_task_with_a_cause_elsewhere_is_listed_but_not_reported(fate: Fate) -> None:
    cause = Step("pkg/other.py", Span(7, 1, 7, 9), "received here")
    tasks = (task(2, fate, cause=cause), task(3, fate))
    outcome = decide(facts_of(LEAK), Findings(tasks), Settings.default())
    assert tuple(entry.task for entry in outcome.tasks) == tasks
    assert len({entry.rule for entry in outcome.tasks}) == 1
    assert [found.span.line for found in outcome.diagnostics] == [3]


RETURNED = {
    "jobs.py": """\
import asyncio


def start():
    return asyncio.create_task(asyncio.sleep(1))
""",
    "main.py": """\
from jobs import start


async def main():
    start()
    await start()
""",
    "other.py": "print(1)\n",
}


def fates(outcome: Outcome) -> list[tuple[int, str, str | None]]:
    assert isinstance(outcome, Checked)
    return [(entry.task.span.line, entry.task.fate.value, entry.rule) for entry in outcome.tasks]


def test_the_call_of_a_function_that_returns_its_task_is_reported_in_place_of_the_spawn() -> None:
    outcomes = check_all(RETURNED)
    assert fates(outcomes["jobs.py"]) == [(5, "dropped", "LK101")]
    assert fates(outcomes["main.py"]) == [(5, "dropped", "LK101"), (6, "joined", None)]
    assert {path: places(outcome) for path, outcome in outcomes.items() if isinstance(outcome, Checked)} == {
        "jobs.py": [],
        "main.py": ["5:5 LK101"],
    }


KEEPER = """\
import asyncio

TASKS = set()


def register():
    task = asyncio.create_task(asyncio.sleep(2))
    TASKS.add(task)
    return task
"""


def test_the_spawn_of_a_function_that_keeps_its_task_is_reported_in_place_of_the_calls() -> None:
    files = {"jobs.py": KEEPER, "main.py": "from jobs import register\nregister()\nregister()\n"}
    outcomes = check_all(files)
    assert fates(outcomes["jobs.py"]) == [(7, "kept", "LK102")]
    assert fates(outcomes["main.py"]) == [(2, "kept", "LK102"), (3, "kept", "LK102")]
    assert [places(outcome) for outcome in outcomes.values()] == [["7:12 LK102"], []]


# -- programs ------------------------------------------------------------------------------------------------------


def test_a_file_without_settings_is_read_for_what_it_says_about_the_others() -> None:
    every = check_all(RETURNED)
    assert list(every) == list(RETURNED)
    for path, outcome in every.items():
        assert check_all(RETURNED, named=path) == {path: outcome}
    assert check_program([]) == ()


def test_a_file_alone_knows_nothing_of_the_others() -> None:
    assert fates(check(RETURNED["jobs.py"])) == [(5, "handed", None)]
    assert check(RETURNED["main.py"]) == Skipped("pkg/mod.py")


def test_a_file_that_no_task_leads_to_is_skipped() -> None:
    assert check_all(RETURNED)["other.py"] == Skipped("other.py")


def test_a_broken_file_is_told_if_it_is_named_and_passed_over_otherwise() -> None:
    files = {**RETURNED, "broken.py": "import asyncio\nasyncio.create_task(\n"}
    assert places(check_all(files)["broken.py"]) == ["2:20 LK001"]
    assert check_all(files, named="main.py") == check_all(RETURNED, named="main.py")


def test_objects_that_nothing_ends_are_reported_where_they_are_made() -> None:
    found = Unclosed("pkg/mod.py", Span(4, 1, 4, 9), "C", "C.close", "work", None, ())
    outcome = decide(facts_of(LEAK), Findings((task(5, Fate.DROPPED),), unclosed=(found,)), Settings.default())
    assert places(outcome) == ["4:1 LK107", "5:1 LK101"]
    assert len(outcome.tasks) == 1


# -- trouble -------------------------------------------------------------------------------------------------------


def fail_with(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize(("home", "stage"), [(Analysis, "tasks"), (Leaving, "calls"), (Closing, "unclosed")])
def test_fault_of_our_own_is_an_outcome(home: object, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, stage, fail_with(KeyError("two\nlines")))
    outcome = check(LEAK)
    assert isinstance(outcome, Failed)
    assert (outcome.path, outcome.error) == (
        "pkg/mod.py",
        "leaklint itself failed on this file: KeyError: 'two\\nlines'",
    )
    assert outcome.details is not None
    assert outcome.details.startswith("Traceback (most recent call last):\n")
    assert outcome.details.endswith("KeyError: 'two\\nlines'\n")


def failing_for(path: str, error: Exception) -> Callable[[Analysis, ModuleFacts], tuple[Task, ...]]:
    tasks = Analysis.tasks

    def fail(self: Analysis, facts: ModuleFacts) -> tuple[Task, ...]:
        if facts.path == path:
            raise error
        return tasks(self, facts)

    return fail


def test_fault_of_our_own_costs_the_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = check_all(RETURNED)
    monkeypatch.setattr(Analysis, "tasks", failing_for("jobs.py", ValueError("no")))
    after = check_all(RETURNED)
    lost = after.pop("jobs.py")
    assert isinstance(lost, Failed)
    assert lost.error == "leaklint itself failed on this file: ValueError: no"
    assert after == {path: outcome for path, outcome in before.items() if path != "jobs.py"}


@pytest.mark.parametrize("stage", ["read_program", "Analysis"])
def test_fault_in_what_is_common_to_all_is_an_outcome_of_every_named_file(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, stage, fail_with(ValueError("no")))
    assert [(outcome.path, type(outcome)) for outcome in check_program(inputs(RETURNED))] == [
        (path, Failed) for path in RETURNED
    ]
    assert list(check_all(RETURNED, named="main.py")) == ["main.py"]


@pytest.mark.parametrize(
    ("home", "stage"), [(reading, "read_source"), (reading, "collect"), (Analysis, "tasks"), (Closing, "unclosed")]
)
def test_endless_nesting_is_the_users_to_mend(home: object, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, stage, fail_with(RecursionError("maximum recursion depth exceeded")))
    outcome = check(LEAK)
    assert isinstance(outcome, Checked)
    (found,) = outcome.diagnostics
    assert (found.code, found.message) == ("LK001", "this file cannot be checked: nested too deeply to be analysed")
    assert outcome.tasks == ()


def test_ctrl_c_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Analysis, "tasks", fail_with(KeyboardInterrupt()))
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


def test_a_fault_in_one_file_is_no_fault_of_another_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = "import asyncio\nfrom jobs import work\n\nasync def both():\n    await asyncio.gather(work(), work())\n"
    jobs = "import asyncio\n\nasync def work():\n    asyncio.create_task(work())\n    await asyncio.sleep(1)\n"
    files = {"jobs.py": jobs, "main.py": waits}
    assert [places(outcome) for outcome in check_all(files).values()] == [["4:5 LK101"], ["5:11 LK201"]]
    inventory = Tracer.inventory

    def fail(self: Tracer, facts: ModuleFacts) -> list[tuple[Task, Verdict]]:
        if facts.path == "jobs.py":
            raise RecursionError
        return inventory(self, facts)

    monkeypatch.setattr(Tracer, "inventory", fail)
    assert [places(outcome) for outcome in check_all(files).values()] == [["1:1 LK001"], ["5:11 LK201"]]
