"""The use cases: which files are checked with which settings, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leaklint.adapters import pool
from leaklint.adapters.files import Exclusion, File, Group, Sources, discover, is_excluded, read, surroundings
from leaklint.adapters.programs import programs
from leaklint.adapters.projects import Layout, Project, display_path, working_directory
from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Outcome, Reported
from leaklint.model.facts import Unparsable
from leaklint.model.fix import Environment
from leaklint.policy.config import Overrides, Settings
from leaklint.policy.requirements import Requirements
from leaklint.syntax.source import decode

__all__ = [
    "Configuration",
    "Options",
    "Run",
    "Work",
    "check",
    "check_stdin",
    "jobs_of",
    "lines_in",
    "run",
    "work_in",
    "work_on_stdin",
]

STDIN = "<stdin>"
"""What is read from standard input is called, unless it is given a name."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line, or a caller of the API, asks for."""

    overrides: Overrides = field(default_factory=Overrides)
    """Go before what the configuration says. Patterns to exclude are relative to the working directory."""
    isolated: bool = False
    """No configuration is read."""
    force_exclude: bool = False
    """What is excluded is left out even if it is named."""
    isolated_files: bool = False
    """Each file is judged by itself: the rest of its project is not read."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run."""

    outcomes: tuple[Outcome, ...]
    """One for each file asked for, and one for each directory that could not be read; sorted by path."""
    _sources: Mapping[str, File | bytes] = field(default_factory=dict, repr=False, compare=False)
    """By path, the source or where it can be read again."""

    @property
    def checked(self) -> tuple[Checked, ...]:
        """The files that were looked at."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Checked))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings, by path, line and column."""
        return tuple(diagnostic for outcome in self.checked for diagnostic in outcome.diagnostics)

    @property
    def tasks(self) -> tuple[Reported, ...]:
        """All spawns, by path, line and column."""
        return tuple(task for outcome in self.checked for task in outcome.tasks)

    @property
    def hidden(self) -> tuple[Reported, ...]:
        """All calls that leave tasks running without spawning them, by path, line and column."""
        return tuple(task for outcome in self.checked for task in outcome.hidden)

    @property
    def failures(self) -> tuple[Failed, ...]:
        """The files and directories that could not be looked at."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failed))

    def lines_of(self, path: str) -> Sequence[str]:
        """The lines of a file, without line ends, to be shown beside findings; none if it cannot be read any more."""
        source = self._sources.get(path)
        data = read(source) if isinstance(source, File) else source
        return lines_in(data, path) if isinstance(data, bytes) else ()


def check(
    paths: Iterable[str],
    *,
    options: Options,
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Check files and all Python files in directories; each is configured by the nearest `pyproject.toml`.

    Files that import one another are judged together, and so the rest of their projects is read, but not reported on.
    `jobs` is the number of worker processes (None: what fits the work and the machine; 1: none). `on_progress` is
    called with the number of files done and that of all files.

    Raises `UserError` for a path that does not exist and for a mistake in a configuration.
    """
    configuration = Configuration(options)
    work = work_in(paths, configuration, configuration.settings)
    return run(work, jobs=jobs, on_progress=on_progress)


def check_stdin(data: bytes, *, filename: str | None, options: Options) -> Run:
    """Check source that came by standard input as if it were in a file of this name, which need not exist.

    Without a name it is judged by itself.
    """
    configuration = Configuration(options)
    work = work_on_stdin(data, filename, configuration, configuration.settings)
    return run(work, jobs=1)


class Work(NamedTuple):
    """What is to be looked at."""

    jobs: list[pool.Job]
    sources: Sources
    failures: tuple[Failed, ...] = ()
    """The directories that could not be read."""
    given: Mapping[str, bytes] = {}
    """By path, the sources that are not on the disk."""


SettingsOf = Callable[[Path], Settings]
"""What is configured for the files in a directory."""


def work_in(paths: Iterable[str], configuration: Configuration, settings: SettingsOf) -> Work:
    """The programs among and below these paths."""
    options = configuration.options
    found = discover(
        paths,
        exclusion_for=configuration.exclusion,
        layout=configuration.layout,
        force=options.force_exclude,
        isolated=options.isolated_files,
    )
    sources = Sources()
    return Work(jobs_of(found.groups, settings, configuration.layout, sources), sources, found.failures)


def work_on_stdin(data: bytes, filename: str | None, configuration: Configuration, settings: SettingsOf) -> Work:
    """The program around source that came by standard input; no program, if such a file is excluded."""
    options = configuration.options
    sources = Sources()
    location = str(working_directory() / (filename or STDIN))
    if options.force_exclude and is_excluded(location, exclusion_for=configuration.exclusion):
        return Work([], sources)
    group = surroundings(
        location,
        exclusion_for=configuration.exclusion,
        layout=configuration.layout,
        isolated=options.isolated_files or filename is None,
    )
    (file,) = (file for file in group.files if file.named)
    sources.put(file, data)
    jobs = jobs_of([group], settings, configuration.layout, sources)
    return Work(jobs, sources, given={display_path(location): data})


def run(work: Work, *, jobs: int | None, on_progress: Callable[[int, int], None] | None = None) -> Run:
    """Check the programs."""
    outcomes = [*work.failures, *pool.run(work.jobs, sources=work.sources, workers=jobs, on_progress=on_progress)]
    return Run(
        tuple(sorted(outcomes, key=lambda outcome: outcome.path)),
        {**{entry.file.path: entry.file for job in work.jobs for entry in job.entries}, **work.given},
    )


def jobs_of(groups: Iterable[Group], settings: SettingsOf, layout: Layout, sources: Sources) -> list[pool.Job]:
    """The programs in groups of files, with what is configured for the named files."""
    found = (program for group in groups for program in programs(group, layout=layout, read=sources.peek))
    return [
        pool.Job(
            tuple(
                pool.Entry(
                    member.file,
                    member.module,
                    settings(Path(member.file.location).parent) if member.file.named else None,
                    member.aliases,
                )
                for member in program
            )
        )
        for program in found
    ]


class Configuration:
    """What is configured where, each directory looked up once."""

    def __init__(self, options: Options) -> None:
        self.layout = Layout()
        self.options = options
        self._settings: dict[Path, Settings] = {}
        self._guards: dict[Path, Settings] = {}

    def settings(self, directory: Path) -> Settings:
        """The settings for the files in a directory: the same object for all of a project."""
        project = self._project(directory)
        if project.root not in self._settings:
            self._settings[project.root] = project.settings.override(self.options.overrides)
        return self._settings[project.root]

    def guard(self, directory: Path) -> Settings:
        """The same, with the rules that the file configures beside those that were asked for: what a fix must heed."""
        project = self._project(directory)
        if project.root not in self._guards:
            self._guards[project.root] = self.settings(directory).also(project.settings)
        return self._guards[project.root]

    def environment(self, directory: Path) -> Environment:
        """What the program in a directory runs on."""
        asked = Requirements() if self.options.isolated else self.layout.declared(directory).requirements
        return Environment(self.settings(directory).target, asked.anyio, asked.python)

    def pyproject(self, directory: Path) -> str | None:
        """The file in which the project around a directory lists its dependencies, as the user would write it."""
        declared = self.layout.declared(directory)
        return declared.path if declared.requirements.listed and not self.options.isolated else None

    def exclusion(self, directory: str) -> Exclusion:
        """What is left out in a directory."""
        project = self._project(Path(directory))
        given = self.options.overrides.exclude
        root = project.root if given is None else working_directory()
        return Exclusion(str(root), project.settings.exclude if given is None else given)

    def _project(self, directory: Path) -> Project:
        if self.options.isolated:
            return Project(working_directory(), Settings.default())
        return self.layout.project(directory)


def lines_in(data: bytes, path: str) -> Sequence[str]:
    """The lines of a file, without line ends, also if its encoding is broken."""
    text = decode(data, path=path)
    return data.decode("latin-1").split("\n") if isinstance(text, Unparsable) else text.split("\n")
