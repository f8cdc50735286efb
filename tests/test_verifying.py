"""What is refused once a fix was tried: the file would not compile, or nothing would bind a name that it reads."""

from __future__ import annotations

import pytest
from repairs import best

from leaklint import fixing
from leaklint.engine import Input
from leaklint.fixing.verifying import unbound
from leaklint.model.fix import Edit, Environment, Fix, Proposal, Replace, Substitute
from leaklint.policy.config import Settings

LEAKING = b"""\
import asyncio


async def work():
    await asyncio.sleep(1)


async def main():
    tasks = []
    tasks.append(asyncio.create_task(work()))
    print(tasks)
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tasks = []", "nothing would bind `tasks` any more"),
        ("    print(tasks)", "LK101 would still be found"),
        ("asyncio.create_task(work())", "the file would not compile any more"),
    ],
)
def test_a_fix_that_does_not_hold(change: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(proposal: Proposal) -> Proposal:
        line = next(i for i, each in enumerate(LEAKING.decode().split("\n"), 1) if change in each)
        span = proposal.finding.span._replace(line=line, end_line=line)
        edit: Edit = Substitute(span._replace(column=5), ())
        if change.endswith("(work())"):
            edit = Replace(proposal.finding.span, "(yield from [])")  # not in a coroutine function
        return Proposal(proposal.finding, (Fix("bad", "do something wrong", proposal.finding.path, (edit,), (), ()),))

    made = fixing.proposals  # type: ignore[attr-defined]  # it is not exported
    monkeypatch.setattr(fixing, "proposals", lambda *given: tuple(map(bad, made(*given))))
    program = [Input("main.py", "main", LEAKING, Settings.default(), always_parse=True)]
    found = fixing.fix_program(program, Environment(), best)
    assert found.rewritten == ()
    (proposal,) = found.remaining
    assert message in [reason.message for reason in proposal.reasons], proposal.reasons


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\nprint(x)", set()),
        ("print(x)", {"x"}),
        ("def f():\n    return x", {"x"}),
        ("def f():\n    x = 1\n    def g():\n        return x", set()),
        ("def f():\n    global x\n    x = 1\ndef g():\n    return x", set()),
        ("class A:\n    x = 1\n    def f(self):\n        return __class__", set()),
        ("import a.b\nfrom c import d as e\nprint(a, e, __name__, __file__)", set()),
        ("try:\n    pass\nexcept BaseExceptionGroup:\n    pass", set()),
        ("[y for x in range(3)]", {"y"}),
        ("async def f(:", set()),
    ],
)
def test_unbound(source: str, names: set[str]) -> None:
    assert unbound(source.encode()) == names
