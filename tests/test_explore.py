"""The explorer of the generative test, on programs whose paths are known."""

from __future__ import annotations

import textwrap

import pytest
from generative.explore import Exploration, explore
from generative.loop import State
from generative.program import Compound, Line, Part, Program, Site, spawn_sites

ENDED, LEFT, CANCELLED, INTERRUPTED = State.ENDED, State.LEFT, State.CANCELLED, State.INTERRUPTED


def explored(body: str, **limits: int) -> Exploration:
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    return explore(f"import asyncio\nfrom contextlib import suppress\n\nasync def host(env):\n{lines}", **limits)


def paths(body: str) -> list[str]:
    exploration = explored(body)
    assert exploration.exhaustive
    return [str(run) for run in exploration.runs]


def test_a_step_between_spawn_and_wait_may_raise_or_be_cancelled() -> None:
    assert paths("""
        t = asyncio.create_task(env.child(1))
        await env.step()
        await t
    """) == [
        "step returns; task 1 returns; host returns; task 1 has ended",
        "step raises Failure; host raises Failure; task 1 is left running",
        "host is cancelled; host is cancelled; task 1 is left running",
        "step returns; task 1 raises Failure; host raises Failure; task 1 has ended",
        "step returns; host is cancelled; task 1 ends cancelled; host is cancelled; task 1 has ended",
        "step returns; host is cancelled; task 1 returns; host returns; task 1 has ended",
        "step returns; host is cancelled; task 1 raises Failure; host raises Failure; task 1 has ended",
    ]


def test_a_wait_with_a_timeout_may_time_out() -> None:
    assert paths("""
        t = asyncio.create_task(env.child(1))
        await asyncio.wait({t}, timeout=3600)
    """) == [
        "task 1 returns; host returns; task 1 has ended",
        "task 1 raises Failure; host returns; task 1 has ended",
        "time-out; host returns; task 1 is left running",
        "host is cancelled; host is cancelled; task 1 is left running",
    ]


def test_a_sibling_of_gather_runs_on_when_one_fails() -> None:
    runs = paths("""
        a = asyncio.create_task(env.child(1))
        b = asyncio.create_task(env.child(2))
        await asyncio.gather(a, b)
    """)
    assert "task 1 raises Failure; host raises Failure; task 1 has ended; task 2 is left running" in runs
    assert "task 2 raises Failure; host raises Failure; task 1 is left running; task 2 has ended" in runs
    assert "task 2 returns; task 1 returns; host returns; task 1 has ended; task 2 has ended" in runs


def test_a_cancelled_shield_leaves_its_task_running() -> None:
    assert paths("""
        t = asyncio.create_task(env.child(1))
        await asyncio.shield(t)
    """) == [
        "task 1 returns; host returns; task 1 has ended",
        "task 1 raises Failure; host raises Failure; task 1 has ended",
        "host is cancelled; host is cancelled; task 1 is left running",
    ]


def test_calls_and_conditions_branch_and_raise() -> None:
    assert paths("""
        if env.cond():
            env.call()
        elif env.more():
            raise ValueError
    """) == [
        "cond is true; call returns; host returns",
        "cond is false; more is true; host raises ValueError",
        "cond raises Failure; host raises Failure",
        "cond raises ValueError; host raises ValueError",
        "cond is true; call raises Failure; host raises Failure",
        "cond is true; call raises ValueError; host raises ValueError",
        "cond is false; more is false; host returns",
        "cond is false; more raises Failure; host raises Failure",
        "cond is false; more raises ValueError; host raises ValueError",
    ]


def test_loops_run_a_few_times() -> None:
    assert paths("""
        for _ in env.batch():
            pass
        while env.more():
            pass
    """)[:3] == [
        "batch gives 1; more is true; more is true; more is true; more is false; host returns",
        "batch gives 2; more is true; more is true; more is true; more is false; host returns",
        "batch gives 0; more is true; more is true; more is true; more is false; host returns",
    ]


@pytest.mark.parametrize(
    ("body", "states"),
    [
        pytest.param("asyncio.create_task(env.child(1))", {LEFT}, id="dropped"),
        pytest.param("await asyncio.create_task(env.child(1))", {ENDED}, id="awaited at once"),
        pytest.param(
            "await asyncio.wait([asyncio.create_task(env.child(1))])", {ENDED, LEFT}, id="a wait that is cancelled"
        ),
        pytest.param(
            """
            t = asyncio.create_task(env.child(1))
            t.cancel()
            """,
            {CANCELLED},
            id="cancelled before its start",
        ),
        pytest.param(
            """
            t = asyncio.create_task(env.child(1))
            await env.step()
            t.cancel()
            """,
            {ENDED, LEFT, CANCELLED},
            id="ended at once, left by a failing step, or cancelled",
        ),
        pytest.param(
            """
            t = asyncio.create_task(env.child(1))
            try:
                await env.step()
            finally:
                t.cancel()
                with suppress(asyncio.CancelledError):
                    await t
            """,
            {ENDED},
            id="cancelled and awaited in finally",
        ),
        pytest.param(
            """
            t = asyncio.create_task(env.child(1))
            try:
                await env.step()
            finally:
                t.cancel()
                await env.step()
                await t
            """,
            {ENDED, CANCELLED, INTERRUPTED},
            id="a step between cancel and await",
        ),
        pytest.param(
            """
            ts = [asyncio.create_task(env.child(1)) for _ in env.batch()]
            await asyncio.gather(*ts, return_exceptions=True)
            """,
            {ENDED},
            id="gather with return_exceptions",
        ),
        pytest.param(
            """
            ts = [asyncio.create_task(env.child(1)) for _ in env.batch()]
            for x in asyncio.as_completed(ts):
                with suppress(Exception):
                    await x
            """,
            {ENDED, LEFT},
            id="as_completed leaves its tasks when it is cancelled",
        ),
        pytest.param(
            """
            ts = [asyncio.create_task(env.child(1)) for _ in env.batch()]
            with suppress(asyncio.CancelledError):
                for t in ts:
                    await t
            """,
            {ENDED, LEFT},
            id="the first of several fails",
        ),
        pytest.param(
            """
            t = asyncio.create_task(env.child(1))
            with suppress(BaseException):
                while not t.done():
                    await env.step()
            await asyncio.gather(t, return_exceptions=True)
            """,
            {ENDED},
            id="polling",
        ),
        pytest.param(
            """
            a = asyncio.create_task(env.child(1))
            b = asyncio.create_task(env.child(1))
            done, pending = await asyncio.wait({a, b}, return_when=asyncio.FIRST_COMPLETED)
            for t in pending:
                t.cancel()
            """,
            {ENDED, CANCELLED, LEFT},
            id="pending cancelled, or left by a cancelled wait",
        ),
    ],
)
def test_states(body: str, states: set[State]) -> None:
    assert explored(body).states(1) == states


def test_wait_for_waits_whatever_happens() -> None:
    states = explored("await asyncio.wait_for(asyncio.ensure_future(env.child(1)), 1)").states(1)
    # Before Python 3.12, `wait_for` leaves the task to its clean-up when it is cancelled after the time-out.
    assert states - {INTERRUPTED} == {ENDED}


def test_a_cancelled_gather_waits_for_the_first_of_its_tasks_only() -> None:
    runs = explored("""
        a = asyncio.create_task(env.child(1))
        b = asyncio.create_task(env.child(2))
        await asyncio.gather(a, b)
    """)
    ends = {(run.end, seen.state) for run, seen in runs.seen(2) if run.decisions[0] == "host is cancelled"}
    assert ends == {
        ("is cancelled", INTERRUPTED),
        ("is cancelled", ENDED),
        ("raises Failure", INTERRUPTED),
        ("raises Failure", ENDED),
    }


def test_sets_go_both_ways() -> None:
    runs = paths("""
        pool = {asyncio.create_task(env.child(1)), asyncio.create_task(env.child(2))}
        for t in pool:
            await t
    """)
    assert (
        "sets go forward; task 1 raises Failure; host raises Failure; task 1 has ended; task 2 is left running" in runs
    )
    assert (
        "sets go backward; task 2 raises Failure; host raises Failure; task 1 is left running; task 2 has ended" in runs
    )


def test_a_second_cancellation_is_tried_on_demand() -> None:
    program = """
        async def host(env):
            t = asyncio.create_task(env.child(1))
            try:
                await asyncio.wait([t])
            finally:
                await asyncio.wait([t])
    """
    source = "import asyncio\n" + textwrap.dedent(program)
    assert explore(source).states(1) == {ENDED}
    assert explore(source, cancellations=2).states(1) == {ENDED, LEFT}


@pytest.mark.parametrize(
    ("body", "blurred"),
    [
        pytest.param("await a\nb = asyncio.create_task(env.child(2))\nawait a", True, id="awaited again"),
        pytest.param("await a\nb = asyncio.create_task(env.child(2))\na.done()", True, id="asked after its end"),
        pytest.param("await a\na.done()\nb = asyncio.create_task(env.child(2))", True, id="asked before the spawn"),
        pytest.param("b = asyncio.create_task(env.child(2))\nawait a\nawait a", False, id="ended after the spawn"),
        pytest.param("b = asyncio.create_task(env.child(2))\nb.done()", False, id="asked itself"),
        pytest.param("b = asyncio.create_task(env.child(2))\na.done()", True, id="asked before it could run"),
        pytest.param("b = asyncio.create_task(env.child(2))\nawait env.step()\na.done()", False, id="asked in time"),
        pytest.param("b = asyncio.create_task(env.child(2))\nawait asyncio.wait([a, b])", False, id="not asked"),
    ],
)
def test_tasks_are_blurred_by_what_is_asked_of_others(body: str, *, blurred: bool) -> None:
    seen = explored(f"a = asyncio.create_task(env.child(1))\n{body}").seen(2)
    assert any(sighting.blurred for _, sighting in seen) is blurred


def test_limits_make_an_exploration_incomplete() -> None:
    steps = "await env.step()\n" * 4
    assert [len(explored(steps, max_runs=most).runs) for most in (5, 100)] == [5, 9]
    assert [explored(steps, max_runs=most).exhaustive for most in (5, 100)] == [False, True]


def test_a_run_without_end_is_cut_off() -> None:
    forever = explored("while True:\n    await env.step()", max_decisions=3)
    assert [str(run) for run in forever.runs] == [
        "step raises Failure; host raises Failure",
        "host is cancelled; host is cancelled",
        "step returns; step raises Failure; host raises Failure",
        "step returns; host is cancelled; host is cancelled",
        "step returns; step returns; step raises Failure; host raises Failure",
        "step returns; step returns; host is cancelled; host is cancelled",
    ]


def test_a_slip_of_the_program_does_not_count() -> None:
    slips = explored("if env.cond():\n    return\nawait missing")
    assert [str(run) for run in slips.runs] == [
        "cond is true; host returns",
        "cond raises Failure; host raises Failure",
    ]
    assert not slips.exhaustive


def test_programs_are_written_out_with_numbered_spawns() -> None:
    spawn = Line("t = asyncio.create_task(env.child())")
    program = Program((spawn, Compound((Part("if t:", (spawn,)), Part("else:", (Line("await t"),))))))
    assert program.source == textwrap.dedent("""\
        import asyncio
        from contextlib import suppress


        async def host(env):
            t = asyncio.create_task(env.child(1))
            if t:
                t = asyncio.create_task(env.child(2))
            else:
                await t
    """)
    assert spawn_sites(program.source) == {1: Site(6, 9), 2: Site(8, 13)}
