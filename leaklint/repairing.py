"""`leaklint fix`: from its arguments to a plan, and from what came of it to text on both streams.

What is the result goes to standard output: the report, or with `--diff` the patch, or the fixed source if it came by
standard input. Where the report is not the result, it goes to standard error.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

from leaklint.app import Run
from leaklint.arguments import FixRequest
from leaklint.conversation import Conversation, refuse_without_terminal
from leaklint.mending import Choosing, Mended, Plan, fix_names
from leaklint.model.diagnostic import Failed
from leaklint.model.errors import UserError
from leaklint.report import diff, machine, repairs
from leaklint.report.frame import Look
from leaklint.report.repairs import Tally
from leaklint.terminal import look_of, say, write, write_bytes

__all__ = ["plan_of", "tell", "tell_interrupted"]


def plan_of(request: FixRequest, look: Look) -> Plan:
    """What is to be done. Raises `UserError` for the name of a fix that does not exist, and if nobody can be asked."""
    known = fix_names()
    for name in request.choose or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean `{near[0]}`?" if near else f" (fixes: {', '.join(known)})"
            raise UserError(f"--choose: unknown fix `{name}`{hint}")
    choosing = Choosing(request.unsafe_fixes, request.choose or ())
    if request.interactive:
        refuse_without_terminal()
    ask = Conversation(choosing, look) if request.interactive else None
    return Plan(choosing, writing=request.writes, proposing=request.list_choices, ask=ask)


def tell(request: FixRequest, run: Run, mended: Mended, source: bytes | None, look: Look) -> bool:
    """Write what came of it; gives whether a file could not be looked at or written.

    `source` is what came by standard input, if anything did.
    """
    failures = tuple({failure.path: failure for failure in (*run.failures, *mended.failures)}.values())
    if not request.silent:
        if request.format == "json":
            write(_json(request, run, mended, failures), sys.stdout)
        else:
            _tell_people(request, mended, source, look)
    if source is not None and request.writes and not request.diff:
        write_bytes(mended.rewritten[0].after if mended.rewritten else source)
    if not request.terse:
        for path, why in mended.left_alone:
            say(f"{path}: left alone: {why}", "warning")
    for failure in failures:
        say(f"{failure.path}: {failure.error}", "error")
        if failure.details is not None and request.verbose:
            write(failure.details, sys.stderr)
    return bool(failures)


def tell_interrupted(request: FixRequest, mended: Mended, look: Look) -> None:
    """Write what was fixed before the user pressed Ctrl-C."""
    written = [each.path for each in mended.rewritten] if request.writes and not request.reads_stdin else []
    if written and not request.silent and request.format != "json":
        write(repairs.mended(mended.applied, look=look), sys.stdout, color=look.color)
    say(f"interrupted; written: {', '.join(written)}" if written else "interrupted; nothing was written", "error")


def _json(request: FixRequest, run: Run, mended: Mended, failures: Sequence[Failed]) -> str:
    return machine.fixes_json(
        run.outcomes,
        mended.applied,
        mended.remaining,
        rewritten=[each.path for each in mended.rewritten],
        left_alone=mended.left_alone,
        needs=mended.dependencies,
        failures=failures,
        found=mended.found,
        is_written=request.writes,
    )


def _tell_people(request: FixRequest, mended: Mended, source: bytes | None, look: Look) -> None:
    stream = sys.stdout
    if request.diff:
        if look.color or look.terminal:
            write(diff.shown(mended.rewritten, look), stream, color=look.color)
        else:
            write_bytes(diff.patch(mended.rewritten))
    if request.diff or (source is not None and request.writes):
        stream, look = sys.stderr, look_of(request.color, sys.stderr)
    told = (
        ""
        if request.diff or request.interactive
        else repairs.mended(mended.applied, is_written=request.writes, look=look)
    )
    if request.list_choices or request.show_reasons:
        told += repairs.reasons(mended.remaining, look=look)
    if not request.terse:
        told += "".join(repairs.needs(need.release, need.path, look=look) for need in mended.dependencies)
        told += repairs.tally(_tally(request, mended), look=look) if not request.list_choices else ""
    write(told, stream, color=look.color)


def _tally(request: FixRequest, mended: Mended) -> Tally:
    barred = {path for path, _ in mended.left_alone}
    more = sum(
        bool(each.fixes) and not request.unsafe_fixes and each.safe is None and each.finding.path not in barred
        for each in mended.remaining
    )
    return Tally(
        mended.found,
        mended.found - len(mended.remaining),
        more,
        is_written=request.writes,
        explained=request.show_reasons,
    )
