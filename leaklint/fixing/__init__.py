"""Mends a program: from its files and a choice among proposals to files in which the findings are gone. Pure.

A fix is kept only if the file still parses and compiles, the finding is gone and nothing new is found. Of fixes that do
not hold together, those to blame are searched for, and the others are kept. Fixes are applied in passes, until nothing
is left that is chosen, so a second run changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.engine import Examination, Input, examine
from leaklint.fixing.composing import Choice, combined, compatible
from leaklint.fixing.proposing import proposals
from leaklint.fixing.rewrite import CannotRewriteError, rewrite
from leaklint.fixing.verifying import Wrong, faults, mishaps, parts, place_of
from leaklint.model.diagnostic import Diagnostic, Outcome
from leaklint.model.fix import Environment, Fix, Hazard, Proposal, Rewritten
from leaklint.reading import Known

__all__ = ["Choose", "Fixed", "fix_program", "propose"]

MOST_PASSES = 20
MOST_TRIALS = 16
"""How many examinations may be spent on finding out which fixes do not hold."""

Choose = Callable[[Proposal], Fix | None]
"""Which of the ways to mend a finding is to be gone; None for none."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What came of mending a program."""

    rewritten: tuple[Rewritten, ...]
    """The files that were changed, by path."""
    remaining: tuple[Proposal, ...]
    """What is still found, in the changed program."""
    proposed: tuple[Proposal, ...]
    """What was found in the program as it was."""
    outcomes: tuple[Outcome, ...]
    """Of the changed program."""


def propose(inputs: Sequence[Input], environment: Environment) -> tuple[Proposal, ...]:
    """A proposal for each finding of a program, by path, line and column."""
    return proposals(examine(inputs, whole=True), {each.path: each.data for each in inputs}, environment)


def fix_program(inputs: Sequence[Input], environment: Environment, choose: Choose) -> Fixed:
    """Mend the files of a program that have settings; the others are only read.

    `choose` is asked for each finding, again in each pass. Never raises: a fix that cannot be made is a reason of its
    proposal.
    """
    mending = _Mending(tuple(inputs), environment, choose)
    for _ in range(MOST_PASSES):
        if not mending.run_pass():
            break
    return mending.result()


class _Trial(NamedTuple):
    """What comes of a program with some fixes."""

    chosen: tuple[Choice, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    edited: tuple[Input, ...] = ()
    examination: Examination | None = None
    """None if there are no fixes, or something is wrong."""
    was_examined: bool = False


@dataclass
class _Mending:
    """A program that is being mended."""

    inputs: tuple[Input, ...]
    environment: Environment
    choose: Choose
    barred: dict[object, Hazard] = field(default_factory=dict)
    """The fixes that were tried and did not hold, with what came of them."""
    applied: dict[str, list[tuple[Diagnostic, Fix]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._original = {each.path: each.data for each in self.inputs}
        self._known: Known = {}
        self._spare = MOST_TRIALS
        self._texts: dict[tuple[Input, tuple[Fix, ...]], bytes | Hazard] = {}
        """What files become with fixes: after a trial most of them are written as they were in it."""
        self._examination = self._examined(self.inputs)
        self._proposed = self._first = self._proposals_for(self.inputs, self._examination)

    def run_pass(self) -> bool:
        """Apply what is chosen and goes together; False if that is nothing."""
        chosen = compatible(
            (proposal, fix) for proposal in self._proposals() if (fix := self.choose(proposal)) is not None
        )
        if chosen:
            trial = self._tried(chosen)
            self._spare = max(self._spare, 2)  # so that not all have to go for one
            holds = self._searched(_Trial(), chosen, trial) if trial.wrong else trial
            if holds.examination is not None:
                self._accept(holds.chosen, holds.edited, holds.examination)
                return True
        # what had to wait for a fix that did not hold has its turn now
        return any(self.choose(proposal) is not None for proposal in self._proposals())

    def result(self) -> Fixed:
        """What came of it."""
        rewritten = tuple(
            Rewritten(each.path, self._original[each.path], each.data, tuple(self.applied[each.path]))
            for each in self.inputs
            if each.data != self._original[each.path]
        )
        return Fixed(rewritten, tuple(self._proposals()), self._first, self._examination.outcomes)

    def _proposals(self) -> list[Proposal]:
        """What can be done in the state so far, without what was tried in vain."""
        return [self._without_barred(each) for each in self._proposed]

    def _without_barred(self, proposal: Proposal) -> Proposal:
        if not self.barred:
            return proposal
        barred = [self.barred[key] for fix in proposal.fixes if (key := self._key(proposal, fix)) in self.barred]
        if not barred:
            return proposal
        fixes = tuple(fix for fix in proposal.fixes if self._key(proposal, fix) not in self.barred)
        return Proposal(proposal.finding, fixes, (*proposal.reasons, *barred))

    def _searched(self, holds: _Trial, more: Sequence[Choice], failed: _Trial) -> _Trial:
        """What holds with as many more choices as can be found; the others are barred.

        `failed` is the trial of all of them together.
        """
        if len(more) == 1:
            self._bar(more, failed.wrong, certain=True)
            return holds
        for part in parts(more, failed.wrong):
            chosen = sorted((*holds.chosen, *part), key=lambda choice: choice[0].finding.sort_key)
            trial = failed  # the last part is all that was tried before, if the others hold
            if len(chosen) < len(failed.chosen):
                if not self._spare:
                    self._bar(part, failed.wrong, certain=False)
                    continue
                trial = self._tried(chosen)
                self._spare -= trial.was_examined
            holds = self._searched(holds, part, trial) if trial.wrong else trial
        return holds

    def _bar(self, choices: Sequence[Choice], wrong: Sequence[Wrong], *, certain: bool) -> None:
        for choice in choices:
            known = next((each for each in wrong if choice in each.suspects), wrong[0])
            why = known.why
            if not certain and known.suspects != (choice,):
                why = why._replace(message=f"{why.message}, with this fix or another one that was tried with it")
            self.barred[self._key(*choice)] = why

    def _tried(self, chosen: Sequence[Choice]) -> _Trial:
        edited, wrong = self._edited(chosen)
        wrong = wrong or faults(chosen, _data(self.inputs), _data(edited))
        if wrong:
            return _Trial(tuple(chosen), wrong)
        examination = self._examined(edited)
        wrong = mishaps(chosen, self._examination, examination)
        if wrong:  # an examination of a big program is big
            return _Trial(tuple(chosen), wrong, was_examined=True)
        return _Trial(tuple(chosen), (), tuple(edited), examination, was_examined=True)

    def _edited(self, chosen: Sequence[Choice]) -> tuple[list[Input], tuple[Wrong, ...]]:
        """The program with these fixes, and what cannot be written."""
        by_path: dict[str, list[Choice]] = defaultdict(list)
        for choice in chosen:
            by_path[choice[1].path].append(choice)
        edited: list[Input] = []
        wrong: list[Wrong] = []
        for each in self.inputs:
            here = by_path[each.path]
            data = self._written(each, here)
            if isinstance(data, Hazard):
                alone = [(choice, why) for choice in here if isinstance(why := self._written(each, [choice]), Hazard)]
                wrong += [Wrong(why, (choice,)) for choice, why in alone] or [Wrong(data, tuple(here))]
            else:
                edited.append(each._replace(data=data))
        return edited, tuple(wrong)

    def _written(self, each: Input, chosen: Sequence[Choice]) -> bytes | Hazard:
        """A file with these fixes, or why they cannot be written."""
        if not chosen:
            return each.data
        key = each._replace(settings=None), tuple(fix for _, fix in chosen)
        if key not in self._texts:
            self._texts[key] = _written(*key)
        return self._texts[key]

    def _accept(self, chosen: Sequence[Choice], edited: Sequence[Input], examination: Examination) -> None:
        for proposal, fix in chosen:
            self.applied[fix.path].append((proposal.finding, fix))
        self.inputs, self._examination = tuple(edited), examination
        self._proposed = self._proposals_for(self.inputs, examination)

    def _key(self, proposal: Proposal, fix: Fix) -> object:
        """What names a fix of a finding also when lines have moved."""
        finding = proposal.finding
        words = "".join(c for c in finding.message if not c.isdigit())
        return fix.name, place_of(finding, self._examination), words

    def _examined(self, inputs: Sequence[Input]) -> Examination:
        return examine(inputs, whole=True, known=self._known)

    def _proposals_for(self, inputs: Sequence[Input], examination: Examination) -> tuple[Proposal, ...]:
        return proposals(examination, _data(inputs), self.environment)


def _written(each: Input, fixes: Sequence[Fix]) -> bytes | Hazard:
    """A file with these fixes, or why they cannot be written."""
    try:
        return rewrite(each.data, combined(fixes), module=each.module)
    except CannotRewriteError as error:
        return Hazard("cannot-rewrite", str(error), blocks=True)
    except Exception as error:  # noqa: BLE001 - a fault in one fix costs no other
        message = f"leaklint itself failed to write this fix: {type(error).__name__}: {error}"
        return Hazard("internal-fault", message, blocks=True)


def _data(inputs: Sequence[Input]) -> Mapping[str, bytes]:
    return {each.path: each.data for each in inputs}
