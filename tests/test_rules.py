"""The rules: registry, messages for hand-written tasks, and the documentation with its examples."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import anyio
import pytest

import leaklint
from leaklint.engine import check_source
from leaklint.model.code import Class, Function, Span
from leaklint.model.diagnostic import Checked, Diagnostic, Level
from leaklint.model.facts import ModuleFacts, ModuleNames, Unparsable
from leaklint.model.fate import Fate, PathKind, Pattern, Step, Task, Unclosed
from leaklint.policy.config import Settings
from leaklint.rules import (
    SECTIONS,
    BadRuleError,
    Complaint,
    Rule,
    Subject,
    all_rules,
    find_rule,
    nearest_rule,
    registry,
)

HOME = Path(leaklint.__file__).parents[1]

# -- registry ------------------------------------------------------------------------------------------------------


def test_codes_names_levels_and_defaults() -> None:
    assert [(rule.code, rule.name, rule.level.value, rule.default) for rule in all_rules()] == [
        ("LK001", "unparsable-file", "error", True),
        ("LK002", "unused-suppression", "warning", True),
        ("LK101", "dropped-task", "error", True),
        ("LK102", "unjoined-task", "error", True),
        ("LK103", "unawaited-cancel", "warning", True),
        ("LK104", "leaky-path", "warning", True),
        ("LK105", "escaping-task", "note", False),
        ("LK106", "ungrouped-task", "note", False),
        ("LK107", "unclosed-owner", "warning", True),
        ("LK201", "gather-leaves-siblings", "warning", True),
        ("LK202", "wait-leaves-pending", "warning", True),
        ("LK203", "shield-orphan", "warning", True),
        ("LK204", "as-completed-early-exit", "warning", True),
        ("LK205", "dropped-thread-future", "warning", True),
        ("LK206", "spawn-in-callback", "warning", True),
        ("LK207", "spawn-in-constructor", "warning", True),
        ("LK301", "hand-entered-task-group", "warning", True),
        ("LK302", "yield-in-task-group", "warning", True),
        ("LK303", "task-group-used-after-exit", "error", True),
        ("LK304", "native-task-in-anyio", "warning", True),
        ("LK305", "swallowed-cancellation", "warning", True),
        ("LK306", "removed-anyio-api", "error", True),
    ]


def test_every_fate_but_two_has_exactly_one_rule() -> None:
    fates = [fate for rule in all_rules() for fate in rule.fates]
    assert sorted(fates) == sorted(set(Fate) - {Fate.GROUPED, Fate.NOT_A_SPAWN})
    assert {fate for rule in all_rules() if rule.default for fate in rule.fates} == {f for f in Fate if f.leaks}


def test_every_pattern_has_exactly_one_rule() -> None:
    assert sorted(pattern for rule in all_rules() for pattern in rule.patterns) == sorted(Pattern)


def test_modules_are_named_after_their_rule() -> None:
    assert [rule.check.__module__ for rule in all_rules()] == [
        f"leaklint.rules.{rule.code.lower()}_{rule.name.replace('-', '_')}" for rule in all_rules()
    ]


@pytest.mark.parametrize("text", ["LK101", "lk101", "dropped-task", "Dropped-Task", " LK101 "])
def test_find_rule(text: str) -> None:
    rule = find_rule(text)
    assert rule is not None
    assert rule.code == "LK101"


@pytest.mark.parametrize(
    ("text", "found"), [("LK11", "LK101"), ("dropped", "dropped-task"), ("UNJOINED-TSK", "unjoined-task"), ("E5", None)]
)
def test_nearest_rule(text: str, found: str | None) -> None:
    assert find_rule(text) is None
    assert nearest_rule(text) == found


def rule_module(**given: object) -> ModuleType:
    """A rule module as LK101 is one, with other values."""
    model = sys.modules[next(rule for rule in all_rules() if rule.code == "LK101").check.__module__]
    made = ModuleType("made")
    vars(made).update({**vars(model), **given})
    return made


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([rule_module(), rule_module(NAME="other")], "`LK101` is the code or name of two rules"),
        ([rule_module(), rule_module(CODE="LK109")], "`dropped-task` is the code or name of two rules"),
        (
            [rule_module(__doc__="A line.\n\n## What it does\n\nNothing.\n")],
            (
                f"rule module leaklint.rules.lk101_dropped_task needs the sections {', '.join(SECTIONS)}, "
                "and has What it does"
            ),
        ),
        (
            [rule_module(__doc__=None)],
            f"rule module leaklint.rules.lk101_dropped_task needs the sections {', '.join(SECTIONS)}, and has none",
        ),
    ],
)
def test_malformed_rules_are_refused(modules: list[ModuleType], message: str) -> None:
    with pytest.raises(BadRuleError) as error:
        registry(modules)
    assert str(error.value) == message


def test_rule_without_constants_is_refused() -> None:
    with pytest.raises(BadRuleError) as error:
        registry([ModuleType("empty")])
    assert str(error.value) == "rule module empty needs CODE, NAME, LEVEL, DEFAULT, FATES, PATTERNS, check"


def test_rules_load_without_docstrings() -> None:
    """Under `python -OO` there is no documentation, but there are rules."""
    script = "from leaklint.rules import all_rules; print(*(rule.code for rule in all_rules()))"
    done = subprocess.run([sys.executable, "-OO", "-c", script], cwd=HOME, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [rule.code for rule in all_rules()]


# -- messages ------------------------------------------------------------------------------------------------------

SPAN = Span(4, 9, 4, 41)
TASK = Task(
    path="pkg/mod.py",
    span=SPAN,
    call="asyncio.create_task",
    spawned="self._run",
    function="pkg.mod.Client.start",
    handle=None,
    owner=None,
    fate=Fate.DROPPED,
    paths=(),
    likely=False,
    evidence=(Step("pkg/mod.py", Span(9, 1, 9, 5), "a step"),),
)


def scope(qualname: str, kind: str = "function", *, is_async: bool = False) -> Function:
    return Function(
        qualname=qualname,
        kind=kind,
        owner=None,
        params=(),
        is_async=is_async,
        is_generator=False,
        decorators=(),
        returns=None,
        local_names=frozenset(),
        free_names=frozenset(),
        words=frozenset(),
        body=(),
        span=Span(1, 1, 20, 1),
    )


def check(rule: Rule, task: Task, *functions: Function) -> Diagnostic:
    """The one diagnostic of a rule for a task in a file with these scopes and a class `Client`."""
    body = scope("pkg.mod.Client", "class")
    client = Class("pkg.mod.Client", bases=(), decorators=(), body=body, methods=(), span=body.span)
    facts = ModuleFacts(
        "pkg/mod.py",
        "pkg.mod",
        functions,
        (client,),
        names=ModuleNames("pkg.mod", (), (), None, frozenset(), frozenset()),
        comments=(),
    )
    subject = Subject("pkg/mod.py", facts=facts, tasks=(task,))
    (diagnostic,) = rule.check(subject)
    return diagnostic


def by_code(code: str) -> Rule:
    return next(rule for rule in all_rules() if rule.code == code)


def steps(*lines: int) -> tuple[Step, ...]:
    return tuple(Step("pkg/mod.py", Span(line, 1, line, 9), f"leaves in line {line}") for line in lines)


HAZARD = replace(TASK, fate=Fate.HAZARD, handle="task", spawned="work")
MESSAGES = [
    ("LK101", TASK, "nothing keeps the task of `self._run`: nobody can wait for it, and its errors are lost"),
    (
        "LK101",
        replace(TASK, handle="_"),
        "nothing keeps the task of `self._run`: nobody can wait for it, and its errors are lost",
    ),
    (
        "LK101",
        replace(TASK, spawned=""),
        "nothing keeps the task that `asyncio.create_task` spawns: nobody can wait for it, and its errors are lost",
    ),
    (
        "LK101",
        replace(TASK, spawned="lambda:\n  `very` " + "long" * 20),
        (
            "nothing keeps the task of `lambda: 'very' longlonglonglonglonglonglonglonglonglonglo...`: "
            "nobody can wait for it, and its errors are lost"
        ),
    ),
    (
        "LK101",
        replace(TASK, handle="task"),
        "nobody waits for the task of `self._run`: its handle `task` is never awaited",
    ),
    (
        "LK102",
        replace(TASK, fate=Fate.KEPT, handle="self._task", owner="pkg.mod.Client"),
        "the task of `self._run` is kept in `self._task`, but nothing of `Client` cancels it or waits for it",
    ),
    (
        "LK102",
        replace(TASK, fate=Fate.KEPT, handle="TASKS", owner="pkg.mod"),
        "the task of `self._run` is kept in `TASKS`, but nothing of `pkg.mod` cancels it or waits for it",
    ),
    (
        "LK102",
        replace(TASK, fate=Fate.KEPT),
        "the task of `self._run` is kept beyond the function, but nothing cancels it or waits for it",
    ),
    (
        "LK103",
        replace(TASK, fate=Fate.CANCELLED, handle="self._task", owner="pkg.mod.Client"),
        "the task of `self._run` is cancelled through `self._task`, but nobody waits until it has ended",
    ),
    (
        "LK103",
        replace(TASK, fate=Fate.CANCELLED),
        "the task of `self._run` is cancelled, but nobody waits until it has ended",
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.EXCEPTION,), leaving=steps(3, 12)[-1]),
        "the task of `work` is left running when an exception is raised on line 12",
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.EARLY_EXIT,), leaving=steps(7)[-1]),
        "the task of `work` is left running when the function is left early on line 7",
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.TIMEOUT,), leaving=steps(7)[-1]),
        "the task of `work` is left running when the time limit on line 7 strikes",
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.SIBLING, PathKind.CANCELLATION), leaving=steps(7, 8)[-1]),
        (
            "the task of `work` is left running when another awaitable of the gather on line 8 fails first, "
            "or when the function is cancelled"
        ),
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.PARTIAL_WAIT,)),
        "the task of `work` is left running when the wait returns with tasks pending",
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.EXCEPTION,), leaving=Step("pkg/other.py", SPAN, "elsewhere")),
        "the task of `work` is left running when an exception is raised",
    ),
    (
        "LK105",
        replace(TASK, fate=Fate.HANDED),
        "the task of `self._run` leaves `start`: whoever receives it must wait for it",
    ),
    (
        "LK106",
        replace(TASK, fate=Fate.JOINED, handle="task"),
        "the task of `self._run` is waited for by hand, by `start`, outside any task group",
    ),
    (
        "LK106",
        replace(TASK, fate=Fate.OWNED, handle="self._task", owner="pkg.mod.Client"),
        "the task of `self._run` is waited for by hand, by `Client`, outside any task group",
    ),
]


@pytest.mark.parametrize(("code", "task", "message"), MESSAGES)
def test_messages(code: str, task: Task, message: str) -> None:
    diagnostic = check(by_code(code), task)
    assert diagnostic.message == message
    assert not message.endswith(".")


def test_diagnostic_carries_the_whole_verdict() -> None:
    task = replace(TASK, fate=Fate.JOINED)
    assert check(by_code("LK106"), task, scope("pkg.mod.Client.start", is_async=True)) == Diagnostic(
        path="pkg/mod.py",
        span=SPAN,
        code="LK106",
        name="ungrouped-task",
        level=Level.NOTE,
        message="the task of `self._run` is waited for by hand, by `start`, outside any task group",
        label="spawned here",
        help="spawn it in a task group that ends where the wait is now "
        "(`anyio.create_task_group()`, or `asyncio.TaskGroup()` on Python 3.11+)",
        evidence=task.evidence,
    )


GROUP = "(`anyio.create_task_group()`, or `asyncio.TaskGroup()` on Python 3.11+)"
WAIT = "cancel it and `await asyncio.gather(task, return_exceptions=True)`"
HELPS = [
    (
        "LK101",
        TASK,
        scope("pkg.mod.Client.start", is_async=True),
        (
            f"spawn it in a task group that is left before `start` returns {GROUP}; "
            "if it must run on, spawn it in a group that the caller passes in"
        ),
    ),
    (
        "LK101",
        TASK,
        scope("pkg.mod.Client.start"),
        (
            f"`start` is not async and cannot wait: spawn it in a task group that is passed in {GROUP}, "
            "or keep the handle where an async function can await it"
        ),
    ),
    (
        "LK101",
        replace(TASK, function="pkg.mod"),
        scope("pkg.mod", "module"),
        (
            "the top level of the module is not async and cannot wait: spawn it in a task group that is passed in "
            f"{GROUP}, or keep the handle where an async function can await it"
        ),
    ),
    (
        "LK102",
        replace(TASK, fate=Fate.KEPT, owner="pkg.mod.Client"),
        scope("pkg.mod.Client.start"),
        (
            f"give `Client` an async `close` (or `__aexit__`) to {WAIT}; "
            f"or spawn it in a task group that lives as long as the work {GROUP}"
        ),
    ),
    (
        "LK102",
        replace(TASK, fate=Fate.KEPT, owner="pkg.mod"),
        scope("pkg.mod.Client.start"),
        f"where the program shuts down, {WAIT}; or spawn it in a task group that lives as long as the work {GROUP}",
    ),
    (
        "LK103",
        replace(TASK, fate=Fate.CANCELLED, likely=True, call="self.loop.create_task"),
        scope("pkg.mod.Client.start"),
        (
            "after `cancel()`, wait until it has ended: `await asyncio.gather(task, return_exceptions=True)`; "
            f"or spawn it in a task group, which waits by itself {GROUP}; "
            "`self.loop.create_task` is taken for a spawn because of its name only"
        ),
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.SIBLING, PathKind.CANCELLATION)),
        scope("pkg.mod.Client.start", is_async=True),
        (
            f"spawn it in a task group, which waits on every way out {GROUP}; "
            f"or when the gather raises, {WAIT} for each of the others"
        ),
    ),
    (
        "LK104",
        replace(HAZARD, paths=(PathKind.EXCEPTION,)),
        scope("pkg.mod.Client.start"),
        f"spawn it in a task group {GROUP} inside one async function, and run that with `asyncio.run`",
    ),
    (
        "LK105",
        replace(TASK, fate=Fate.HANDED),
        scope("pkg.mod.Client.start"),
        f"let `start` take a task group and spawn into it {GROUP}",
    ),
]


@pytest.mark.parametrize(("code", "task", "function", "text"), HELPS)
def test_helps(code: str, task: Task, function: Function, text: str) -> None:
    assert check(by_code(code), task, function).help == text


@pytest.mark.parametrize("fate", Fate)
def test_a_rule_fires_on_its_own_fates_only(fate: Fate) -> None:
    task = replace(TASK, fate=fate, paths=(PathKind.EXCEPTION,))
    subject = Subject("pkg/mod.py", tasks=(task,))
    fired = [found.code for rule in all_rules() for found in rule.check(subject)]
    assert fired == [rule.code for rule in all_rules() if fate in rule.fates]


def test_unparsable_file() -> None:
    broken = Unparsable("m.py", Span(3, 7, 3, 8), "invalid syntax")
    subject = Subject("m.py", unparsable=broken)
    assert list(by_code("LK001").check(subject)) == [
        Diagnostic(
            path="m.py",
            span=Span(3, 7, 3, 8),
            code="LK001",
            name="unparsable-file",
            level=Level.ERROR,
            message="this file cannot be checked: invalid syntax",
            label="reading stopped here",
            help="mend the file, or add it to `exclude` if it is not meant to be Python",
            evidence=(),
        )
    ]


def test_complaint_about_a_comment() -> None:
    complaint = Complaint(Span(3, 7, 3, 30), "unknown rule `LK11`, did you mean `LK101`?", "write `LK101`")
    subject = Subject("m.py", complaints=(complaint,))
    assert list(by_code("LK002").check(subject)) == [
        Diagnostic(
            path="m.py",
            span=Span(3, 7, 3, 30),
            code="LK002",
            name="unused-suppression",
            level=Level.WARNING,
            message="unknown rule `LK11`, did you mean `LK101`?",
            label="silences nothing",
            help="write `LK101`",
            evidence=(),
        )
    ]


UNCLOSED = Unclosed(
    path="pkg/mod.py",
    span=SPAN,
    made="Client",
    end="Client.close",
    spawned="self._run",
    kept=None,
    evidence=(Step("pkg/client.py", Span(9, 1, 9, 5), "`start` spawns the task that it owns"),),
)


def test_unclosed_owner() -> None:
    subject = Subject("pkg/mod.py", unclosed=(UNCLOSED,))
    assert [found for rule in all_rules() for found in rule.check(subject)] == [
        Diagnostic(
            path="pkg/mod.py",
            span=SPAN,
            code="LK107",
            name="unclosed-owner",
            level=Level.WARNING,
            message="this `Client` owns the task of `self._run`, and nothing calls `Client.close`",
            label="made here",
            help="call `close` in a `finally`, or where its owner ends",
            evidence=UNCLOSED.evidence,
        )
    ]


@pytest.mark.parametrize(
    ("unclosed", "message", "text"),
    [
        (
            replace(UNCLOSED, kept="self._client"),
            "this `Client`, kept in `self._client`, owns the task of `self._run`, and nothing calls `Client.close`",
            "call `close` in a `finally`, or where its owner ends",
        ),
        (
            replace(UNCLOSED, made="Client.connect", end="Client.__aexit__"),
            "this `Client.connect` owns the task of `self._run`, and nothing calls `Client.__aexit__`",
            "enter it with `async with`",
        ),
    ],
)
def test_unclosed_owner_in_other_words(unclosed: Unclosed, message: str, text: str) -> None:
    subject = Subject("pkg/mod.py", unclosed=(unclosed,))
    (found,) = by_code("LK107").check(subject)
    assert (found.message, found.help) == (message, text)


# -- documentation -------------------------------------------------------------------------------------------------


def section(rule: Rule, heading: str) -> str:
    return re.split(r"^## .*$", rule.documentation, flags=re.MULTILINE)[1 + SECTIONS.index(heading)]


def blocks(rule: Rule, heading: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", section(rule, heading), flags=re.MULTILINE | re.DOTALL)


def codes(source: str, *, strict: bool) -> list[str]:
    settings = Settings(strict=strict)
    outcome = check_source(source.encode(), path="example.py", module="example", settings=settings, always_parse=True)
    assert isinstance(outcome, Checked)
    return [found.code for found in outcome.diagnostics]


EXAMPLES = [(rule, text) for rule in all_rules() for text in blocks(rule, "Example")]
BETTER = [(rule, text) for rule in all_rules() for text in blocks(rule, "Use instead")]


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_documentation_is_complete(rule: Rule) -> None:
    assert rule.summary
    assert "\n" not in rule.summary
    assert all(section(rule, heading).strip() for heading in SECTIONS)
    assert len(blocks(rule, "Example")) == 1
    assert blocks(rule, "Use instead")
    assert "](https://" in section(rule, "References")


@pytest.mark.parametrize(("rule", "source"), EXAMPLES, ids=[rule.code for rule, _ in EXAMPLES])
def test_example_gives_exactly_this_rule(rule: Rule, source: str) -> None:
    assert codes(source, strict=not rule.default) == [rule.code]


@pytest.mark.parametrize(("rule", "source"), BETTER, ids=[rule.code for rule, _ in BETTER])
def test_advice_gives_nothing(rule: Rule, source: str) -> None:
    assert codes(source, strict=not rule.default) == []


@pytest.mark.parametrize(
    "source", [text for rule, text in EXAMPLES + BETTER if rule.code != "LK001" or (rule, text) in BETTER]
)
def test_examples_and_advice_run(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    is_newer = "AsyncContextManagerMixin" in source and not hasattr(anyio, "AsyncContextManagerMixin")
    if is_newer or ("asyncio.TaskGroup" in source and sys.version_info < (3, 11)):
        with pytest.raises(AttributeError):
            exec(compile(source, "example.py", "exec"), {"__name__": "__main__"})
        return
    exec(compile(source, "example.py", "exec"), {"__name__": "__main__"})
    assert "Traceback" not in capsys.readouterr().err
