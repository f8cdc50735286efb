"""What the commands take: their options, under headings, and the value that the arguments become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from leaklint.model.errors import UserError

__all__ = [
    "COLOR",
    "EXPLAINING",
    "FILES",
    "FIXED_SELECTION",
    "FIXING",
    "JOBS",
    "OUTPUT",
    "PATHS",
    "PLACE",
    "SELECTION",
    "FixRequest",
    "Grouped",
    "Request",
    "format_option",
    "option",
]

HEADINGS = ("Fixes", "Rule selection", "File selection", "Output", "Miscellaneous")


class Grouped(click.Command):
    """A command whose help lists its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        headings: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                headings[param.heading if isinstance(param, Option) else HEADINGS[-1]].append(record)
        for heading, records in headings.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Option(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *args: Any, heading: str = HEADINGS[-1], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def options(*decorators: Decorator) -> Decorator:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def option(*names: str, **attributes: Any) -> Decorator:
    return click.option(*names, cls=Option, **attributes)


def format_option(*choices: str, env: str | None = None) -> Decorator:
    return option(
        "--format",
        "--output-format",
        "format",
        heading="Output",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        envvar=env,
        show_envvar=env is not None,
        help="How to write the result.",
    )


def _split(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """The parts of values that are separated by commas; None if the option was not given."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip()) if values else None


def selection(*, select: str, ignore: str) -> Decorator:
    """The options that select rules; what the first two are for depends on the command."""
    return options(
        option(
            "--select",
            heading="Rule selection",
            multiple=True,
            metavar="RULES",
            callback=_split,
            help=f"{select}: codes, their beginnings, names or ALL, split by commas.",
        ),
        option(
            "--ignore", heading="Rule selection", multiple=True, metavar="RULES", callback=_split, help=f"{ignore}."
        ),
        option(
            "--strict/--no-strict",
            heading="Rule selection",
            default=None,
            help="Also report tasks that are handed to other code or waited for by hand.",
        ),
        option(
            "--honor-noqa/--no-honor-noqa",
            heading="Rule selection",
            default=None,
            help="Whether `# noqa` and `# NOSONAR`, where they silence a rule of another linter, silence the same rule "
            "of leaklint.",
        ),
    )


SELECTION = selection(select="Run these rules instead of the configured ones", ignore="Do not run these rules")
FIXED_SELECTION = selection(
    select="Fix what these rules find instead of what the configured ones find",
    ignore="Do not fix what these rules find",
)
ISOLATED = option("--isolated", heading="File selection", is_flag=True, help="Read no pyproject.toml.")
EXCLUDE = option(
    "--exclude",
    heading="File selection",
    multiple=True,
    metavar="PATTERNS",
    callback=_split,
    help="Leave out what these patterns match (in the manner of .gitignore) instead of the configured ones, "
    "split by commas.",
)
FILES = options(
    EXCLUDE,
    option(
        "--force-exclude",
        heading="File selection",
        is_flag=True,
        help="Leave out what is excluded even if it is named (by pre-commit, for instance).",
    ),
    option(
        "--stdin-filename",
        heading="File selection",
        metavar="PATH",
        help="The name of what is read from standard input.",
    ),
    ISOLATED,
    option(
        "--isolated-files",
        heading="File selection",
        is_flag=True,
        help="Judge each file by itself: do not read the rest of the project.",
    ),
)
COLOR = option(
    "--color",
    heading="Output",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether to colour the output; auto heeds NO_COLOR, FORCE_COLOR and the terminal.",
)
VERBOSE = option("-v", "--verbose", heading="Output", is_flag=True, help="Say what was done; show tracebacks.")
OUTPUT = options(
    COLOR,
    option("-q", "--quiet", heading="Output", is_flag=True, help="Write no summary and no warnings."),
    option(
        "-s", "--silent", heading="Output", is_flag=True, help="Write nothing but errors; the exit code tells the rest."
    ),
    VERBOSE,
)
JOBS = option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="as many as there are processors",
    help="How many processes to use.",
)
EXPLAINING = options(EXCLUDE, ISOLATED, COLOR, VERBOSE, JOBS)
"""What `why` takes: the project around the one file matters."""
FIXING = options(
    option("--unsafe-fixes", heading="Fixes", is_flag=True, help="Apply fixes with hazards, too; each hazard is told."),
    option(
        "--diff", heading="Fixes", is_flag=True, help="Write nothing; show what would be written as a unified diff."
    ),
    option("--check", heading="Fixes", is_flag=True, help="Write nothing; tell what would be fixed."),
    option("-i", "--interactive", heading="Fixes", is_flag=True, help="Show each fix and ask whether to apply it."),
    option("--list-choices", heading="Fixes", is_flag=True, help="Write nothing; list the fixes of each finding."),
    option(
        "--choose",
        heading="Fixes",
        multiple=True,
        metavar="NAMES",
        callback=_split,
        help="Of several fixes for a finding, prefer those of these names, split by commas.",
    ),
    option("--show-reasons", heading="Fixes", is_flag=True, help="Tell of each finding that remains why it does."),
    option(
        "--target",
        heading="Fixes",
        type=click.Choice(["anyio", "asyncio"]),
        help="The library whose task groups to write, instead of the configured one (anyio).",
    ),
)
PATHS = click.argument("paths", nargs=-1, metavar="[PATHS]...")
PLACE = click.argument("place", metavar="PATH:LINE[:COLUMN]")


@dataclass(frozen=True, slots=True)
class Request:
    """What the arguments of a command that looks at files ask for; None where they say nothing."""

    paths: tuple[str, ...]
    format: str
    color: str
    exclude: tuple[str, ...] | None
    isolated: bool
    verbose: bool
    jobs: int | None
    force_exclude: bool = False
    stdin_filename: str | None = None
    isolated_files: bool = False
    quiet: bool = False
    silent: bool = False
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    strict: bool | None = None
    honor_noqa: bool | None = None
    target: str | None = None
    exit_zero: bool = False

    @property
    def reads_stdin(self) -> bool:
        """Whether the source comes by standard input. Raises `UserError` if other things are asked for as well."""
        if self.paths == ("-",) or (not self.paths and self.stdin_filename):
            return True
        if "-" in self.paths:
            raise UserError("`-` (standard input) cannot be checked together with other paths")
        if self.stdin_filename:
            raise UserError("--stdin-filename is for standard input: give `-` as the only path")
        return False

    @property
    def terse(self) -> bool:
        """Whether to leave out summary, warnings and progress bar."""
        return self.quiet or self.silent


@dataclass(frozen=True, slots=True)
class FixRequest(Request):
    """What the arguments of `fix` ask for."""

    unsafe_fixes: bool = False
    diff: bool = False
    check: bool = False
    interactive: bool = False
    list_choices: bool = False
    choose: tuple[str, ...] | None = None
    show_reasons: bool = False
    exit_non_zero_on_fix: bool = False

    def __post_init__(self) -> None:
        modes = ("diff", "check", "interactive", "list_choices")
        given = [f"--{mode.replace('_', '-')}" for mode in modes if getattr(self, mode)]
        if len(given) > 1:
            raise UserError(f"{given[0]} and {given[1]} exclude each other")
        if self.format == "json" and (self.diff or self.interactive):
            raise UserError(f"{given[0]} and --format json exclude each other")
        if self.reads_stdin and self.interactive:
            raise UserError("--interactive cannot ask where standard input is the source: name files")
        if self.reads_stdin and self.format == "json" and not given:
            raise UserError(
                "standard output is for the fixed source: give --check or --list-choices with --format json"
            )

    @property
    def writes(self) -> bool:
        """Whether what is fixed is written, be it to standard output."""
        return not (self.diff or self.check or self.list_choices)

    @property
    def fails_on_fix(self) -> bool:
        """Whether something that is fixed, or would be, is told by the exit code."""
        return not self.writes or self.exit_non_zero_on_fix
