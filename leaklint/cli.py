"""The command line: from arguments to the use cases of `app`, from their outcomes to text and an exit code.

Findings, tables and the summary go to standard output, all else to standard error. What a command needs is imported
when it runs, so that `leaklint --version` and shell completion stay quick.
"""

from __future__ import annotations

import difflib
import os
import sys
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from leaklint import __version__
from leaklint.arguments import (
    COLOR,
    EXPLAINING,
    FILES,
    FIXED_SELECTION,
    FIXING,
    JOBS,
    OUTPUT,
    PATHS,
    PLACE,
    SELECTION,
    FixRequest,
    Grouped,
    Request,
    format_option,
    option,
)
from leaklint.model.errors import UserError
from leaklint.terminal import look_of, say, tolerate_any_text, waiting, write

if TYPE_CHECKING:
    from leaklint.app import Options, Run
    from leaklint.mending import Mended, Plan
    from leaklint.report.frame import Look
    from leaklint.rules import Rule

__all__ = ["main"]

CLEAN, FINDINGS, FAILED, INTERRUPTED = 0, 1, 2, 130
UNPARSABLE = "LK001"


class Program(click.Group):
    """The command group: gives every mistake one clear line and an exit code, and never shows a traceback for it."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command line and exit with its code."""
        for stream in (sys.stdout, sys.stderr):
            tolerate_any_text(stream)
        extra = {**extra, "prog_name": "leaklint", "standalone_mode": False}
        try:
            code = super().main(*args, **extra)
        except click.ClickException as error:
            code = _mistake(error.format_message(), getattr(error, "ctx", None))
        except UserError as error:
            code = _mistake(str(error))
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001 - Python would exit with 1, which means findings
            code = _fault(error, verbose=not {"-v", "--verbose"}.isdisjoint(sys.argv))
        sys.exit(code)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was probably meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            found = difflib.get_close_matches(name, self.commands, n=1)
            hint = f", did you mean `{found[0]}`?" if found else f" (commands: {', '.join(sorted(self.commands))})"
            ctx.fail(f"unknown command `{name}`{hint}")
        return super().resolve_command(ctx, args)


# -- commands ------------------------------------------------------------------------------------------------------


@click.group(cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="leaklint %(version)s")
@click.pass_context
def main(ctx: click.Context) -> int:
    """Find every asyncio task that nobody waits for."""
    if ctx.invoked_subcommand is None:
        write(f"{ctx.get_help()}\n", sys.stderr)
        return FAILED
    return CLEAN


@main.command(cls=Grouped)
@PATHS
@format_option("full", "concise", "json", env="LEAKLINT_OUTPUT_FORMAT")
@SELECTION
@FILES
@OUTPUT
@JOBS
@option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
def check(**given: Any) -> int:
    """Report tasks that may still run when their owner is left.

    PATHS are files and directories, or `-` for standard input; the current directory if there are none.

    Exits with 0 if nothing was found, 1 if something was found, 2 if leaklint could not run.
    """
    from leaklint.report import machine, text

    request = Request(**given)
    run = _run(request)
    look = look_of(request.color)
    if request.format == "json":
        result = machine.check_json(run.outcomes)
    elif request.format == "concise":
        result = text.concise(run.diagnostics, look=look)
    else:
        result = text.full(run.diagnostics, lines_of=run.lines_of, look=look)
    if request.format != "json" and not request.terse:
        result += text.summary(run.outcomes, look=look)
    code = FINDINGS if run.diagnostics and not request.exit_zero else CLEAN
    return _finish(request, run, result, code, look)


@main.command(cls=Grouped)
@PATHS
@FIXING
@format_option("text", "json")
@FIXED_SELECTION
@FILES
@OUTPUT
@JOBS
@option("--exit-zero", is_flag=True, help="Exit with 0 even if findings remain.")
@option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 also if something was fixed.")
def fix(**given: Any) -> int:
    """Rewrite code so that the tasks it starts are waited for.

    PATHS are files and directories, or `-` for standard input; the current directory if there are none. What is fixed
    without further options changes nothing but that: functions wait for the tasks they start, and a failure of one
    reaches them and cancels the others.

    Exits with 0 if no finding remains, 1 if one does (with --diff and --check also if something would be fixed), 2 if
    leaklint could not run or could not write a file.
    """
    from leaklint.mending import together
    from leaklint.repairing import plan_of, tell, tell_interrupted

    request = FixRequest(**given)
    look = look_of(request.color)
    plan = plan_of(request, look)
    done: list[Mended] = []
    try:
        run, source = _mend(request, plan, done)
    except KeyboardInterrupt:
        tell_interrupted(request, together(done), look)
        return INTERRUPTED
    mended = together(done)
    failed = tell(request, run, mended, source, look)
    is_found = bool(mended.remaining) or (bool(mended.rewritten) and request.fails_on_fix)
    if failed:
        return FAILED
    return FINDINGS if is_found and not request.exit_zero and not request.list_choices else CLEAN


def _mend(request: FixRequest, plan: Plan, done: list[Mended]) -> tuple[Run, bytes | None]:
    """Mend what is asked for, with what came of each program in `done`; gives also what came by standard input."""
    from leaklint import mending

    options = _app_options(request)
    started = time.monotonic()
    source = None
    if request.reads_stdin:
        source = _stdin()
        run = mending.fix_stdin(source, plan, filename=request.stdin_filename, options=options, note=done.append)
    else:
        with waiting(shown=not request.terse) as note:
            run = mending.fix(
                request.paths or (".",),
                plan,
                options=options,
                jobs=request.jobs,
                note=done.append,
                on_checked=note,
                on_fixed=None if request.interactive else partial(note, what="fixing programs"),
            )
    _say_about(request, run, time.monotonic() - started)
    return run, source


@main.command(cls=Grouped)
@PATHS
@format_option("table", "json")
@FILES
@OUTPUT
@JOBS
def tasks(**given: Any) -> int:
    """List every task that is spawned, whatever becomes of it.

    PATHS are files and directories, or `-` for standard input; the current directory if there are none.

    Exits with 0, also if a file could not be parsed (the list of errors tells), and with 2 if leaklint could not run or
    could not read a file.
    """
    from leaklint.report import machine, text

    # The inventory does not depend on the configured rules, nor does the list of files that cannot be parsed.
    request = Request(**given, select=("ALL",), ignore=())
    run = _run(request)
    look = look_of(request.color)
    if request.format == "json":
        result = machine.tasks_json(run.outcomes)
    else:
        result = text.tasks_table(run.tasks, look=look)
        result += "" if request.terse else text.tasks_summary(run.tasks, look=look)
    if not request.terse:
        for found in run.diagnostics:
            if found.code == UNPARSABLE:
                say(f"{found.path}:{found.span.line}:{found.span.column}: {found.message}", "warning")
    return _finish(request, run, result, CLEAN, look)


@main.command(cls=Grouped)
@PLACE
@format_option("text", "json")
@EXPLAINING
def why(place: str, **given: Any) -> int:
    """Explain what becomes of the tasks that are spawned on a line.

    The verdict comes with all its evidence, also where it is quiet. With a column, only the spawn there is explained.
    Where none is spawned, a `gather` or other wait is explained that leaves tasks running.

    Exits with 0 if a task is spawned there, and with 2 if none is or leaklint could not run.
    """
    from leaklint.model.diagnostic import Checked
    from leaklint.places import nowhere, parse_place, spawns_at
    from leaklint.report import machine
    from leaklint.report.why import explained

    _refuse_directory(place)
    wanted = parse_place(place)
    _refuse_directory(wanted.path)
    request = Request(**given, paths=(wanted.path,), select=("ALL",), ignore=())
    run = _run(request)
    _raise_trouble(request, run)
    path = run.outcomes[0].path if run.outcomes else wanted.path
    found = spawns_at(run.tasks, wanted) or spawns_at(run.hidden, wanted)
    if not found:
        raise UserError(nowhere(run.tasks, wanted, path))
    look = look_of(request.color)
    if request.format == "json":
        result = machine.tasks_json([Checked(path, (), found)])
    else:
        result = explained(found, run.diagnostics, lines_of=run.lines_of, look=look)
    write(result, sys.stdout, color=look.color)
    return CLEAN


def _refuse_directory(path: str) -> None:
    if os.path.isdir(path):  # noqa: PTH112 - never raises
        raise UserError(f"`{path}` is a directory: name a file and a line in it")


def _raise_trouble(request: Request, run: Run) -> None:
    """Raise for a file that could not be looked at, or not be parsed."""
    for failure in run.failures:
        if failure.details is not None and request.verbose:
            write(failure.details, sys.stderr)
        raise UserError(f"{failure.path}: {failure.error}")
    for found in run.diagnostics:
        if found.code == UNPARSABLE:
            raise UserError(f"{found.path}:{found.span.line}:{found.span.column}: {found.message}")


def _finish(request: Request, run: Run, result: str, code: int, look: Look) -> int:
    """Write the result, then the files that could not be looked at; give the exit code."""
    if not request.silent:
        write(result, sys.stdout, color=look.color)
    for failure in run.failures:
        say(f"{failure.path}: {failure.error}", "error")
        if failure.details is not None and request.verbose:
            write(failure.details, sys.stderr)
    return FAILED if run.failures else code


@main.command(cls=Grouped)
@click.argument("rule", required=False, metavar="CODE|NAME")
@option("--all", "every", is_flag=True, help="Show every rule.")
@format_option("text", "json")
@COLOR
def rule(rule: str | None, *, every: bool, format: str, color: str) -> int:  # noqa: A002 - click names it
    """Show the documentation of a rule."""
    from leaklint.report import machine, text

    rules = _wanted_rules(rule, every=every)
    look = look_of(color)
    result = machine.rules_json(rules) if format == "json" else text.rule_pages(rules, look=look)
    write(result, sys.stdout, color=look.color)
    return CLEAN


def _wanted_rules(name: str | None, *, every: bool) -> tuple[Rule, ...]:
    from leaklint.rules import all_rules, find_rule, nearest_rule

    if every == (name is not None):
        raise UserError("give the code or name of one rule, or --all")
    if name is None:
        return all_rules()
    found = find_rule(name)
    if found is None:
        nearest = nearest_rule(name)
        hint = f", did you mean `{nearest}`?" if nearest else "; `leaklint rule --all` shows them all"
        raise UserError(f"unknown rule `{name}`{hint}")
    return (found,)


# -- running -------------------------------------------------------------------------------------------------------


def _run(request: Request) -> Run:
    """Look at what is asked for; on standard error, say what is worth saying about it."""
    from leaklint import app

    options = _app_options(request)
    started = time.monotonic()
    if request.reads_stdin:
        run = app.check_stdin(_stdin(), filename=request.stdin_filename, options=options)
    else:
        with waiting(shown=not request.terse) as note:
            run = app.check(request.paths or (".",), options=options, jobs=request.jobs, on_progress=note)
    _say_about(request, run, time.monotonic() - started)
    return run


def _stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin else b""


def _say_about(request: Request, run: Run, seconds: float) -> None:
    """On standard error, say what is worth saying about a run."""
    if not run.outcomes and not request.terse:
        remaining = " that are not excluded" if request.force_exclude else ""
        named = ", ".join(request.paths or (() if request.stdin_filename else (".",))) or request.stdin_filename
        say(f"no Python files found in {named}{remaining}", "warning")
    if request.verbose:
        files = "1 file" if len(run.outcomes) == 1 else f"{len(run.outcomes)} files"
        say(f"{files} looked at in {seconds:.2f} s")


def _app_options(request: Request) -> Options:
    from leaklint.app import Options
    from leaklint.model.fix import Target
    from leaklint.policy.config import Overrides, codes_of

    return Options(
        overrides=Overrides(
            select=None if request.select is None else codes_of(request.select, origin="--select"),
            ignore=None if request.ignore is None else codes_of(request.ignore, origin="--ignore"),
            exclude=request.exclude,
            strict=request.strict,
            honor_noqa=request.honor_noqa,
            target=None if request.target is None else Target(request.target),
        ),
        isolated=request.isolated,
        force_exclude=request.force_exclude,
        isolated_files=request.isolated_files,
    )


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _mistake(message: str, ctx: click.Context | None = None) -> int:
    say(" ".join(message.split("\n")), "error")
    if ctx is not None:
        write(f"Try '{ctx.command_path} --help' for help.\n", sys.stderr)
    return FAILED


def _fault(error: Exception, *, verbose: bool) -> int:
    """Own up to a fault of leaklint's: never with the exit code of a finding."""
    say(f"leaklint itself failed: {type(error).__name__}: {error} (--verbose shows the traceback)", "error")
    if verbose:
        write("".join(traceback.format_exception(error)), sys.stderr)
    return FAILED
