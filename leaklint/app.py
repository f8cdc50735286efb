"""The use cases: which files are checked with which settings, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leaklint.adapters import pool
from leaklint.adapters.files import Exclusion, File, Group, Sources, discover, is_excluded, read, surroundings
from leaklint.adapters.programs import programs
from leaklint.adapters.projects import Layout, Project, display_path, working_directory
from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Outcome, Reported
from leaklint.model.facts import Unparsable
from leaklint.policy.config import Overrides, Settings
from leaklint.syntax.source import decode

__all__ = ["Options", "Run", "check", "check_stdin"]

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
        return _lines(data, path) if isinstance(data, bytes) else ()


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
    configuration = _Configuration(options)
    found = discover(
        paths,
        exclusion_for=configuration.exclusion,
        layout=configuration.layout,
        force=options.force_exclude,
        isolated=options.isolated_files,
    )
    sources = Sources()
    work = _work(found.groups, configuration, sources)
    outcomes = [*found.failures, *pool.run(work, sources=sources, workers=jobs, on_progress=on_progress)]
    return Run(
        tuple(sorted(outcomes, key=lambda outcome: outcome.path)),
        {entry.file.path: entry.file for job in work for entry in job.entries},
    )


def check_stdin(data: bytes, *, filename: str | None, options: Options) -> Run:
    """Check source that came by standard input as if it were in a file of this name, which need not exist.

    Without a name it is judged by itself.
    """
    configuration = _Configuration(options)
    location = str(working_directory() / (filename or STDIN))
    path = display_path(location)
    if options.force_exclude and is_excluded(location, exclusion_for=configuration.exclusion):
        return Run(())
    group = surroundings(
        location,
        exclusion_for=configuration.exclusion,
        layout=configuration.layout,
        isolated=options.isolated_files or filename is None,
    )
    sources = Sources()
    (file,) = (file for file in group.files if file.named)
    sources.put(file, data)
    work = _work([group], configuration, sources)
    others = {entry.file.path: entry.file for job in work for entry in job.entries}
    return Run(tuple(pool.run(work, sources=sources, workers=1)), {**others, path: data})


def _work(groups: Iterable[Group], configuration: _Configuration, sources: Sources) -> list[pool.Job]:
    """The programs in groups of files, with what is configured for the named files."""
    found = (program for group in groups for program in programs(group, layout=configuration.layout, read=sources.peek))
    return [
        pool.Job(
            tuple(
                pool.Entry(
                    member.file,
                    member.module,
                    configuration.settings(Path(member.file.location).parent) if member.file.named else None,
                    member.aliases,
                )
                for member in program
            )
        )
        for program in found
    ]


class _Configuration:
    """What is configured where, each directory looked up once."""

    def __init__(self, options: Options) -> None:
        self.layout = Layout()
        self._options = options
        self._settings: dict[Path, Settings] = {}

    def settings(self, directory: Path) -> Settings:
        """The settings for the files in a directory: the same object for all of a project."""
        project = self._project(directory)
        if project.root not in self._settings:
            self._settings[project.root] = project.settings.override(self._options.overrides)
        return self._settings[project.root]

    def exclusion(self, directory: str) -> Exclusion:
        """What is left out in a directory."""
        project = self._project(Path(directory))
        given = self._options.overrides.exclude
        root = project.root if given is None else working_directory()
        return Exclusion(str(root), project.settings.exclude if given is None else given)

    def _project(self, directory: Path) -> Project:
        if self._options.isolated:
            return Project(working_directory(), Settings.default())
        return self.layout.project(directory)


def _lines(data: bytes, path: str) -> Sequence[str]:
    text = decode(data, path=path)
    return data.decode("latin-1").split("\n") if isinstance(text, Unparsable) else text.split("\n")
