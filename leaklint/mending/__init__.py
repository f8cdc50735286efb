"""The use case `fix`: programs are mended one after the other, and what holds is written at once."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leaklint import app
from leaklint.adapters import pool, writing
from leaklint.adapters.files import File, Sources
from leaklint.app import Configuration, Options, Run
from leaklint.mending.plan import Choosing, Dependency, Mended, Plan, Question, Stop, fix_names, together
from leaklint.mending.program import Program
from leaklint.model.diagnostic import Checked, Diagnostic, Outcome
from leaklint.model.errors import UserError
from leaklint.model.fix import Proposal
from leaklint.policy.config import Settings
from leaklint.reading import failed

__all__ = ["Choosing", "Dependency", "Mended", "Plan", "Question", "Stop", "fix", "fix_names", "fix_stdin", "together"]

Note = Callable[[Mended], None]
"""Called as soon as a program is done: a Ctrl-C does not come between writing it and this."""
Progress = Callable[[int, int], None]


def fix(
    paths: Sequence[str],
    plan: Plan,
    *,
    options: Options,
    note: Note,
    jobs: int | None = None,
    on_checked: Progress | None = None,
    on_fixed: Progress | None = None,
) -> Run:
    """Mend files and the Python files in directories; gives what was found before that.

    `options` say which findings are wanted; no fix may add one of a rule that the configuration turns on. `on_checked`
    is called with the number of files that are checked, `on_fixed` with that of programs that are mended, and each with
    how many there are.

    Raises `UserError` as `app.check` does.
    """
    configuration = Configuration(options)
    work = app.work_in(paths, configuration, configuration.guard)
    run = app.run(work, jobs=jobs, on_progress=on_checked)
    within = writing.trees(paths)
    mending = _Mending(configuration, plan, work.sources, lambda file: writing.obstacle(file.location, within), note)
    return mending.run(run, work.jobs, on_fixed or _ignore)


def fix_stdin(data: bytes, plan: Plan, *, filename: str | None, options: Options, note: Note) -> Run:
    """Mend source that came by standard input; what becomes of it is told to `note`, and nothing is written."""
    configuration = Configuration(options)
    work = app.work_on_stdin(data, filename, configuration, configuration.guard)
    run = app.run(work, jobs=1)
    for job in work.jobs:
        for entry in job.wanted:
            work.sources.put(entry.file, data)
    plan = replace(plan, writing=False)
    return _Mending(configuration, plan, work.sources, lambda _: None, note).run(run, work.jobs, _ignore)


@dataclass(frozen=True, slots=True)
class _Mending:
    """A run that mends programs."""

    configuration: Configuration
    plan: Plan
    sources: Sources
    obstacle: Callable[[File], str | None]
    note: Note

    def run(self, run: Run, jobs: Sequence[pool.Job], on_fixed: Progress) -> Run:
        """Mend the programs in which something wanted was found; gives the run with these findings alone."""
        settings = {each.file.path: self.settings(each.file) for job in jobs for each in job.wanted}
        run = replace(run, outcomes=tuple(_only_wanted(outcome, settings) for outcome in run.outcomes))
        by_path: dict[str, list[Diagnostic]] = defaultdict(list)
        for diagnostic in run.diagnostics:
            by_path[diagnostic.path].append(diagnostic)
        found = [tuple(each for entry in job.wanted for each in by_path[entry.file.path]) for job in jobs]
        waiting = [(job, here) for job, here in zip(jobs, found, strict=True) if here]
        going_on = True
        for done, (job, here) in enumerate(waiting):
            on_fixed(done, len(waiting))
            if going_on:
                with pool.collector_off():
                    going_on = self.mend(job, here, settings)
                gc.collect()
            else:
                self.note(Mended(len(here), remaining=tuple(map(Proposal, here))))
        return run

    def mend(self, job: pool.Job, found: tuple[Diagnostic, ...], settings: Mapping[str, Settings]) -> bool:
        """Mend one program. A fault of leaklint's own costs this program, and no other."""
        try:
            return self.program(job, found, settings).mend(self.plan, self.note)
        except Exception as error:
            if isinstance(error, UserError) or self.plan.ask is not None:
                raise
            remaining = tuple(map(Proposal, found))
            self.note(Mended(len(found), remaining=remaining, failures=(failed(found[0].path, error),)))
            return True

    def settings(self, file: File) -> Settings:
        """What is configured for a file."""
        return self.configuration.settings(Path(file.location).parent)

    def program(self, job: pool.Job, found: tuple[Diagnostic, ...], settings: Mapping[str, Settings]) -> Program:
        """A program, in which this was found."""
        inputs, failures = pool.inputs_of(job, self.sources)
        directory = Path(job.wanted[0].file.location).parent
        return Program(
            inputs,
            {entry.file.path: entry.file for entry in job.wanted},
            settings,
            self.configuration.environment(directory),
            self.configuration.pyproject(directory),
            self.obstacle,
            found,
            failures,
        )


def _only_wanted(outcome: Outcome, settings: Mapping[str, Settings]) -> Outcome:
    """An outcome without the findings that nobody asked for."""
    if not isinstance(outcome, Checked):
        return outcome
    enabled = settings[outcome.path].enabled
    return replace(outcome, diagnostics=tuple(each for each in outcome.diagnostics if enabled(each.code)))


def _ignore(_done: int, _total: int) -> None:
    pass
