"""The verdict on a spawn in full: what its fate means, who holds the handle, the steps that prove it, the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic, Reported
from leaklint.model.fate import EXPLAINED, Fate, PathKind, Pattern, Task
from leaklint.report.frame import Line, Look, Mark, Piece, draw, place, story, visible, wrapped
from leaklint.report.paint import FATE_ROLES, paint
from leaklint.rules import Rule, all_rules, find_rule

__all__ = ["explained"]

MEANINGS = {
    Fate.NOT_A_SPAWN: "The call only looks like a spawn: it is something else, or wraps what is a task already.",
    Fate.GROUPED: "It is spawned into a group, which waits for its tasks when it is left.",
    Fate.DROPPED: "Nothing keeps the handle for anything that waits: the task may end at any time, or never.",
    Fate.HAZARD: "The straight path sees to its end, but {paths} may leave it running.",
    Fate.CANCELLED: "Every way out at least cancels it, but nobody waits until it has ended.",
    Fate.JOINED: "It is waited for on every way out, exceptions included.",
    Fate.OWNED: "It is kept beyond the function that spawns it, and the end or the next use of its owner waits for it.",
    Fate.KEPT: "It is kept beyond the function that spawns it, but nobody waits for it or cancels it.",
    Fate.HANDED: "It is given to code that is not in view: the receiver must see to its end.",
}
WAITS = frozenset(EXPLAINED) | {Pattern.THREAD_FUTURE}
"""What is told of a call that is no spawn."""
WAYS_OUT = {
    PathKind.EXCEPTION: "an exception",
    PathKind.EARLY_EXIT: "an early exit",
    PathKind.TIMEOUT: "a time-out",
    PathKind.SIBLING: "the failure of another task",
    PathKind.PARTIAL_WAIT: "a wait for only some of the tasks",
    PathKind.CANCELLATION: "a cancellation",
}


def explained(
    entries: Iterable[Reported],
    diagnostics: Iterable[Diagnostic],
    *,
    lines_of: Callable[[str], Sequence[str]],
    look: Look | None = None,
) -> str:
    """The verdict on each task, with all its evidence.

    `diagnostics` are what all rules say about these files, comments heeded; `lines_of` is as for `text.full`.
    """
    look = look or Look()
    heard = {(found.path, found.span, found.code) for found in diagnostics}
    lines = lru_cache(maxsize=8)(lines_of)
    return "\n".join(paint(_explain(entry, heard, lines, look), look) for entry in entries)


def _explain(
    entry: Reported, heard: AbstractSet[tuple[str, Span, str]], lines_of: Callable[[str], Sequence[str]], look: Look
) -> Iterator[Line]:
    task, rule = entry.task, _rule(entry)
    role = FATE_ROLES[task.fate]
    spawn = visible(f"{task.call}({task.spawned})")
    yield Piece(f"{place(task.path, task.span)}: "), Piece(f"{spawn} is ", "strong"), Piece(_fate(task), role)
    meaning = MEANINGS[task.fate].format(paths=_any_of([WAYS_OUT[path] for path in task.paths]))
    yield from ((Piece(f"  {row}"),) for row in wrapped(meaning, look.width - 2))
    for title, value in _holders(task):
        yield Piece(f"  {title}: ", "strong"), Piece(visible(value))
    is_spawn = task.fate is not Fate.NOT_A_SPAWN and (task.pattern not in WAITS or task.cause is not None)
    mark = Mark(task.span, "spawned here" if is_spawn else "called here", role)
    sections = story(task.path, mark, task.evidence, lines_of, numbered=len(task.evidence) > 1)
    is_silenced = rule is not None and (task.path, task.span, rule.code) not in heard
    yield from draw(sections, _remarks(task, rule, is_silenced=is_silenced), look)


def _fate(task: Task) -> str:
    kinds = ", ".join(path.value for path in task.paths)
    return {Fate.NOT_A_SPAWN: "not a spawn", Fate.HAZARD: f"a hazard ({kinds})"}.get(task.fate, task.fate.value)


def _holders(task: Task) -> Iterator[tuple[str, str]]:
    yield "function", task.function
    if task.handle is not None or task.fate not in (Fate.NOT_A_SPAWN, Fate.GROUPED):
        yield "handle", task.handle or "none"
    if task.owner is not None:
        yield "owner", task.owner


def _rule(entry: Reported) -> Rule | None:
    """The rule that reports the task, on by default or not."""
    if entry.rule is not None:
        return find_rule(entry.rule)
    return next((rule for rule in all_rules() if entry.task.fate in rule.fates), None)


def _remarks(task: Task, rule: Rule | None, *, is_silenced: bool) -> Iterator[tuple[str, str]]:
    if task.likely:
        yield "guess", f"`{task.call}` is taken for a spawn because of its name only"
    if rule is None:
        yield "rule", "none, there is nothing to report"
        return
    standing = "on by default" if rule.default else "quiet: `--strict` lists it"
    elsewhere = f"; reported at {place(task.cause.path, task.cause.span)}: one cause, one finding" if task.cause else ""
    silenced = "; a comment silences it here" if is_silenced and not task.cause else ""
    yield "rule", f"{rule.code} {rule.name}, {standing}{elsewhere}{silenced}"
    yield "docs", f"leaklint rule {rule.code}"


def _any_of(words: Sequence[str]) -> str:
    *first, last = words or ("some path",)
    return f"{', '.join(first)} or {last}" if first else last
