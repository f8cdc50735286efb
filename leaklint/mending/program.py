"""One program: mended by the engine, or step by step as the user decides, and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from leaklint.adapters import writing
from leaklint.adapters.files import File
from leaklint.app import lines_in
from leaklint.engine import Input, check_program
from leaklint.fixing import Fixed, fix_program, propose
from leaklint.mending.matching import earlier, key_of
from leaklint.mending.plan import Dependency, Mended, Plan, Question, Stop, needed_anyio
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Diagnostic, Failed
from leaklint.model.fix import Environment, Fix, Hazard, Proposal, Rewritten, Target
from leaklint.policy.config import Settings

__all__ = ["Program"]

TRIED = frozenset({"cannot-rewrite", "does-not-hold"})
"""Reasons that are known only after a fix was tried."""


@dataclass
class Program:
    """A program that is mended."""

    inputs: list[Input]
    files: Mapping[str, File]
    """By path: those that may be mended."""
    settings: Mapping[str, Settings]
    """By path: which findings are wanted."""
    environment: Environment
    pyproject: str | None
    """The file in which dependencies can be added."""
    obstacle: Callable[[File], str | None]
    """Why a file is not to be written."""
    found: tuple[Diagnostic, ...]
    """What is wanted and was found."""
    failures: list[Failed]
    """The files that could not be read or written."""
    rewritten: dict[str, Rewritten] = field(default_factory=dict)
    """By path: what has been done so far."""

    def __post_init__(self) -> None:
        with_findings = {finding.path for finding in self.found}
        obstacles = ((path, self.obstacle(self.files[path])) for path in sorted(with_findings))
        self._barred = {path: why for path, why in obstacles if why is not None}

    def mend(self, plan: Plan, note: Callable[[Mended], None]) -> bool:
        """Mend it, write it and tell of it; False if the user wants no more questions."""
        if plan.ask is not None:
            return self._converse(plan.ask, note)
        if plan.proposing:
            proposed = propose(self.inputs, self.environment)
            note(self._result(proposed, plan, proposed))
            return True
        fixed = fix_program(self.inputs, self.environment, self._allowed(plan.choosing))
        with writing.undisturbed():
            lost = self._accept(fixed.rewritten, is_writing=plan.writing)
            note(self._result((*fixed.remaining, *lost), plan, fixed.proposed))
        return True

    def _allowed(self, choose: Callable[[Proposal], Fix | None]) -> Callable[[Proposal], Fix | None]:
        """The choice among the fixes of findings that are wanted, in files that may be written."""
        return lambda proposal: (
            choose(proposal)
            if self._is_wanted(proposal.finding) and proposal.finding.path not in self._barred
            else None
        )

    def _is_wanted(self, finding: Diagnostic) -> bool:
        return self.settings[finding.path].enabled(finding.code)

    def _accept(self, rewritten: Sequence[Rewritten], *, is_writing: bool) -> list[Proposal]:
        """Write files; gives what is still found in those that cannot be written."""
        lost: list[Proposal] = []
        for each in rewritten:
            failure = self._written(each) if is_writing else None
            if failure is None:
                self._keep(each)
            else:
                self.failures.append(failure)
                self._barred[each.path] = failure.error
                lost += [Proposal(finding) for finding, _ in each.applied]
        return lost

    def _written(self, each: Rewritten) -> Failed | None:
        """What keeps a file from being written; None if it was."""
        try:
            writing.replace(self.files[each.path].location, before=each.before, after=each.after)
        except writing.NotWritten as error:
            return Failed(each.path, str(error), None)
        return None

    def _keep(self, each: Rewritten) -> None:
        earlier = self.rewritten.get(each.path)
        if earlier is not None:
            each = each._replace(before=earlier.before, applied=(*earlier.applied, *each.applied))
        self.rewritten[each.path] = each
        self.inputs = [one._replace(data=each.after) if one.path == each.path else one for one in self.inputs]

    def _result(self, remaining: Sequence[Proposal], plan: Plan, proposed: Sequence[Proposal]) -> Mended:
        """What came of it. `proposed` is what could be done at first."""
        every = (*remaining, *self._overlooked(remaining, proposed))
        wanted = sorted((each for each in every if self._is_wanted(each.finding)), key=_sort_key)
        applied = [each for path in sorted(self.rewritten) for each in self.rewritten[path].applied]
        now = [finding for finding, _ in applied] + [proposal.finding for proposal in wanted]
        before = earlier(now, self.found)
        if not plan.writing and self.rewritten:
            wanted = _as_they_stand(wanted, before[len(applied) :], proposed)
        mendable = {each.finding.path for each in wanted if plan.choosing(each) is not None}
        failed = {failure.path for failure in self.failures}
        return Mended(
            max(len(self.found), len(now)),
            tuple(self.rewritten[path] for path in sorted(self.rewritten)),
            tuple((finding, fix) for finding, (_, fix) in zip(before, applied, strict=False)),
            tuple(map(self._with_obstacle, wanted)),
            tuple((path, why) for path, why in self._barred.items() if path in mendable - failed),
            tuple(self.failures),
            self._dependencies(fix for _, fix in applied),
        )

    def _overlooked(self, remaining: Sequence[Proposal], proposed: Sequence[Proposal]) -> list[Proposal]:
        """What a check still finds and is not among what remains. A check reads only what may matter for a task, and
        takes a call of anything else for one that may fail: with all of the program in view there may be no finding.
        """
        if {_place(finding) for finding in self.found} <= {_place(each.finding) for each in proposed}:
            return []
        known = {_place(each.finding) for each in remaining}
        checked = (outcome for outcome in check_program(self.inputs) if isinstance(outcome, Checked))
        reason = Hazard("not-found", "only a check finds it, which does not read the rest of the program", blocks=True)
        return [
            Proposal(finding, (), (reason,))
            for outcome in checked
            for finding in outcome.diagnostics
            if _place(finding) not in known
        ]

    def _with_obstacle(self, proposal: Proposal) -> Proposal:
        """What is wrong with the file goes before all other reasons."""
        why = self._barred.get(proposal.finding.path)
        if why is None:
            return proposal
        reason = Hazard("left-alone", f"the file is left alone: {why}", blocks=True)
        return Proposal(proposal.finding, proposal.fixes, (reason, *proposal.reasons))

    def _dependencies(self, applied: Iterable[Fix]) -> tuple[Dependency, ...]:
        if self.environment.target is not Target.ANYIO or self.environment.anyio is not None:
            return ()
        needed = needed_anyio(applied)
        return () if needed is None else (Dependency(self.pyproject, needed),)

    # -- asking ------------------------------------------------------------------------------------------------------

    def _converse(self, ask: Callable[[Question], Fix | None], note: Callable[[Mended], None]) -> bool:
        """Ask about one finding after the other, from top to bottom; what is accepted is written before the next."""
        plan, going_on = Plan(ask=ask), True
        first = remaining = [Proposal(finding) for finding in self.found]
        passed: Counter[object] = Counter()
        try:
            while True:
                proposals = propose(self.inputs, self.environment)
                remaining = [each for each in proposals if self._is_wanted(each.finding)]
                current = self._next(remaining, passed)
                if current is None:
                    break
                if not self._settle(current, ask):
                    passed[key_of(current.finding)] += 1
        except Stop:
            going_on = False
        finally:
            note(self._result(remaining, plan, first))
        return going_on

    def _next(self, remaining: Sequence[Proposal], passed: Mapping[object, int]) -> Proposal | None:
        """The first finding that has a fix and was not decided on.

        Lines move, so findings that read the same are told apart by their order: what was passed over stands first.
        """
        seen: Counter[object] = Counter()
        for proposal in remaining:
            if proposal.fixes and proposal.finding.path not in self._barred:
                seen[key_of(proposal.finding)] += 1
                if seen[key_of(proposal.finding)] > passed[key_of(proposal.finding)]:
                    return proposal
        return None

    def _settle(self, proposal: Proposal, ask: Callable[[Question], Fix | None]) -> bool:
        """Ask about a finding; False if it is still there."""
        fixed = {fix.name: self._with_only(proposal, fix) for fix in proposal.fixes}
        holding = tuple(fix for fix in proposal.fixes if fixed[fix.name].rewritten)
        if not holding:
            return False
        data = {each.path: each.data for each in self.inputs}
        previews = {fix.name: fixed[fix.name].rewritten for fix in holding}
        question = Question(
            Proposal(proposal.finding, holding, proposal.reasons),
            previews,
            lambda path: lines_in(data[path], path) if path in data else (),
        )
        chosen = ask(question)
        if chosen is None:
            return False
        with writing.undisturbed():
            return not self._accept(previews[chosen.name], is_writing=True)

    def _with_only(self, proposal: Proposal, fix: Fix) -> Fixed:
        """The program with one fix and no other."""
        pending = [fix]

        def choose(offered: Proposal) -> Fix | None:
            return pending.pop() if pending and offered.finding == proposal.finding and fix in offered.fixes else None

        return fix_program(self.inputs, self.environment, choose)


def _place(finding: Diagnostic) -> object:
    return finding.path, finding.code, finding.span


def _sort_key(proposal: Proposal) -> tuple[str, Span, str]:
    return proposal.finding.sort_key


def _as_they_stand(
    remaining: Sequence[Proposal], before: Sequence[Diagnostic], proposed: Sequence[Proposal]
) -> list[Proposal]:
    """What would remain, with the lines that it has in the files as they are."""
    known = {each.finding: each for each in proposed}
    return [
        Proposal(
            finding,
            tuple(fix for fix in known[finding].fixes if fix.name in {other.name for other in proposal.fixes}),
            tuple(dict.fromkeys((*known[finding].reasons, *_from_trials(proposal)))),
        )
        if finding in known
        else Proposal(finding, proposal.fixes, proposal.reasons)
        for proposal, finding in zip(remaining, before, strict=True)
    ]


def _from_trials(proposal: Proposal) -> Iterable[Hazard]:
    """What came of the fixes that were tried in vain."""
    return (reason for reason in proposal.reasons if reason.name in TRIED)
