"""Programs mended by `leaklint fix`, run before and after, undisturbed and interrupted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
        for moment in MOMENTS:
            at = Interruption(time=moment)
            new = run(self.rewritten, at)
            if new.interrupted is not None and (found := self._compared(run(self.original, at), new, alone)):
                yield Mismatch(str(at), found)
        yield from self._interrupted_anywhere(calm, alone)

    def _interrupted_anywhere(self, calm: Trace, alone: Alone) -> Iterator[Mismatch]:
        """The turns go differently: what comes of an interruption must be like what came of one at the same time."""
        originals = {turn: run(self.original, Interruption(turn=turn)) for turn in range(1, calm.turns + 1)}
        for turn in TURNS:
            at = Interruption(turn=turn)
            new = run(self.rewritten, at)
            if new.interrupted is None:
                break
            alike = [old for old in originals.values() if old.interrupted == new.interrupted]
            alike += [calm] if calm.time <= new.interrupted else []
            results = [self._compared(old, new, alone, calm) for old in alike]
            if results and all(results):
                yield Mismatch(str(at), min(results, key=len))

    def _compared(
        self, old: Trace, new: Trace, alone: Alone, calm: Trace | None = None
    ) -> tuple[Difference, ...]:
        return Comparison(old, new, alone, self.is_timed, self.is_whole, calm).differences()


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
