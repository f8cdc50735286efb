"""Programs mended by `leaklint fix`, run before and after, undisturbed and interrupted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from generative.differences import Alone, Comparison, Difference
from generative.running import NOT_INTERRUPTED, Interruption, Trace, run
from leaklint.engine import Input
from leaklint.fixing import Choose, Fixed, fix_program
from leaklint.model.diagnostic import Checked
from leaklint.model.fix import Environment, Fix, Proposal, Target
from leaklint.policy.config import Settings

ANYIO = tuple(int(part) for part in re.findall(r"\d+", version("anyio"))[:2])
"""What the mended programs run on."""
MOMENTS = (0.03125, 1.03125, 2.03125, 3.03125)
"""When a program is interrupted, in seconds: when it waits."""
TURNS = range(1, 9)
"""And in which turns of the loop."""
MOST_TURNS = 60
"""The turns of the original in which it is interrupted, too."""


def safe(proposal: Proposal) -> Fix | None:
    """What is chosen by default."""
    return proposal.safe


def best(proposal: Proposal) -> Fix | None:
    """What is chosen with `--unsafe-fixes`."""
    return proposal.fixes[0] if proposal.fixes else None


def mended(source: str, choose: Choose = safe, target: Target = Target.ANYIO) -> Fixed:
    """A module after fixes."""
    inputs = [Input("program.py", "program", source.encode(), Settings.default(), always_parse=True)]
    return fix_program(inputs, Environment(target, ANYIO), choose)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is different when both programs are run in one way."""

    way: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        return f"{self.way}: {'; '.join(map(str, self.differences))}"


@dataclass(frozen=True)
class Pair:
    """A program before and after."""

    original: str
    rewritten: str
    spawned: Sequence[str] = ()
    """The calls that give the coroutines of its tasks."""
    is_timed: bool = True
    is_whole: bool = True

    def mismatches(self) -> Iterator[Mismatch]:
        """The ways to run it in which something is different that is not meant to be."""
        alone = alone_of(self.original, self.spawned)
        calm = run(self.original)
        if found := self._compared(calm, run(self.rewritten), alone):
            yield Mismatch("undisturbed", found)
        originals = _Interrupted(self.original, calm)
        for at in (*(Interruption(time=time) for time in MOMENTS), *(Interruption(turn=turn) for turn in TURNS)):
            new = run(self.rewritten, at)
            if new.interrupted is None:
                continue
            alike = originals.alike(at, new.interrupted, anywhere=self._is_past(new, calm))
            results = []
            for old, is_exact in alike:
                results.append(self._compared(old, new, alone, None if is_exact else calm))
                if not results[-1]:
                    break
            else:
                if results:
                    yield Mismatch(str(at), min(results, key=len))

    def _is_past(self, new: Trace, calm: Trace) -> bool:
        """I1: callers come later to where they are, if the function has done all that it does, or is called again.
        I2: they come there earlier, if a task has failed. I3: the function waits for what it has cancelled.
        """
        at = new.interrupted
        if not self.is_timed or at is None or any(failure.time <= at for failure in calm.failures):
            return True
        told, usual = new.told("host"), calm.told("host")
        over = [event for event in calm.events.get("host", ()) if event.time <= at]
        return told == usual != () or (0 < len(told) <= len(over) == len(usual) and told == usual[: len(told)])

    def _compared(self, old: Trace, new: Trace, alone: Alone, calm: Trace | None = None) -> tuple[Difference, ...]:
        return Comparison(
            old, new, alone, self.is_timed, self.is_whole, "suppress(" in self.original, calm
        ).differences()


@dataclass
class _Interrupted:
    """The runs of a program that is interrupted."""

    source: str
    calm: Trace

    def alike(self, at: Interruption, time: float, *, anywhere: bool) -> Iterator[tuple[Trace, bool]]:
        """Those that an interruption of the mended program may come to, and whether they were in the same state.

        Turns go differently in the two programs, so all those at the same time are alike.
        """
        if at.turn is None:
            yield run(self.source, at), True
        if self.calm.time <= time or any(failure.time == time for failure in self.calm.failures):
            yield self.calm, False  # it had ended; or an error comes at the same time, and either may win
        if at.turn is not None or anywhere:
            yield from ((old, False) for old in self._by_turn if anywhere or old.interrupted == time)

    @cached_property
    def _by_turn(self) -> list[Trace]:
        runs = [run(self.source, Interruption(turn=turn)) for turn in range(1, min(self.calm.turns, MOST_TURNS) + 1)]
        return [each for each in runs if each.interrupted is not None]


def alone_of(source: str, spawned: Sequence[str]) -> Alone:
    """What the tasks of a program may tell: each is run by itself, undisturbed and cancelled in each of its turns."""
    told: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for call in spawned:
        calm = run(source, NOT_INTERRUPTED, call)
        traces = [calm, *(run(source, Interruption(turn=turn), call) for turn in range(1, min(calm.turns, 20)))]
        for trace in traces:
            for who in trace.events:
                told[who] |= {(), trace.told(who)}
    return told


def pair(source: str, fixed: Fixed, spawned: Sequence[str] = (), *, is_once: bool = True) -> Pair | None:
    """A program and what came of it, if anything did."""
    if not fixed.rewritten:
        return None
    (changed,) = fixed.rewritten
    functions = {function_at(source, diagnostic.span.line) for diagnostic, _ in changed.applied}
    leaks = [
        each for outcome in fixed.outcomes if isinstance(outcome, Checked)
        for each in outcome.diagnostics if each.code != "LK305"
    ]  # fmt: skip
    return Pair(source, changed.after.decode(), spawned, is_once and functions == {"host"}, not leaks)


def function_at(source: str, line: int) -> str:
    """The name of the function that a line stands in."""
    defined = re.findall(r"^(?:async )?def (\w+)", "\n".join(source.split("\n")[:line]), re.MULTILINE)
    return defined[-1] if defined else ""
