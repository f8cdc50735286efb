"""What the commands take: their options, under headings, and the value that the arguments become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

__all__ = [
    "COLOR",
    "EXPLAINING",
    "FILES",
    "JOBS",
    "OUTPUT",
    "PATHS",
    "PLACE",
    "SELECTION",
    "Grouped",
    "Request",
    "format_option",
    "option",
]

HEADINGS = ("Rule selection", "File selection", "Output", "Miscellaneous")


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


SELECTION = options(
    option(
        "--select",
        heading="Rule selection",
        multiple=True,
        metavar="RULES",
        callback=_split,
        help="Run these rules instead of the configured ones: codes, their beginnings, names or ALL, split by commas.",
    ),
    option(
        "--ignore",
        heading="Rule selection",
        multiple=True,
        metavar="RULES",
        callback=_split,
        help="Do not run these rules.",
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
        help="Whether `# noqa` and `# NOSONAR`, where they silence a rule of another linter, silence the same rule of "
        "leaklint.",
    ),
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
    exit_zero: bool = False

    @property
    def terse(self) -> bool:
        """Whether to leave out summary, warnings and progress bar."""
        return self.quiet or self.silent
