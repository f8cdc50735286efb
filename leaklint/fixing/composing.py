"""Which fixes can be applied together, and the edits that they make together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaklint.fixing.study import contains
from leaklint.model.code import Span
from leaklint.model.fix import Edit, Fix, Forget, Import, Insert, Proposal, Replace, Substitute, Synchronize, Wrap

Choice = tuple[Proposal, Fix]
"""A finding, and the way in which it is to be mended."""


def compatible(chosen: Iterable[Choice]) -> list[Choice]:
    """The choices without those that edit what another one edits: these have their turn in the next pass.

    What is safe goes before what is not, what is found earlier before what is found later.
    """
    every = list(chosen)
    kept: list[int] = []
    for number in sorted(range(len(every)), key=lambda number: bool(every[number][1].hazards)):
        if not any(_conflict(every[number][1], every[other][1]) for other in kept):
            kept.append(number)
    return [every[number] for number in sorted(kept)]


def _conflict(fix: Fix, other: Fix) -> bool:
    return fix.path == other.path and any(_clash(one, two) for one in other.edits for two in fix.edits)


def combined(fixes: Iterable[Fix]) -> tuple[Edit, ...]:
    """The edits of the fixes of one file: each once, and wraps that overlap as one."""
    edits = list(dict.fromkeys(edit for fix in fixes for edit in fix.edits))
    wraps = [edit for edit in edits if isinstance(edit, Wrap)]
    return (*(edit for edit in edits if not isinstance(edit, Wrap)), *_merged(wraps))


def _merged(wraps: Sequence[Wrap]) -> list[Wrap]:
    merged: list[Wrap] = []
    for wrap in sorted(wraps, key=lambda each: each.first):
        near = next((each for each in merged if _alike(each, wrap) and _overlap(_extent(each), _extent(wrap))), None)
        if near is None:
            merged.append(wrap)
        elif not contains(_extent(near), _extent(wrap)):
            merged[merged.index(near)] = near._replace(last=wrap.last)
    return merged


def _clash(one: Edit, other: Edit) -> bool:
    if one == other or isinstance(one, Import | Forget) or isinstance(other, Import | Forget):
        return False
    if isinstance(one, Wrap) and isinstance(other, Wrap):
        return not _alike(one, other) and one.function == other.function and _overlap(_extent(one), _extent(other))
    if isinstance(one, Wrap) or isinstance(other, Wrap):
        return False
    if isinstance(one, Synchronize) and isinstance(other, Synchronize):
        return one.span[:2] == other.span[:2]
    for this, that in ((one, other), (other, one)):
        if isinstance(this, Synchronize):  # what stands in the statement can be edited
            return isinstance(that, Substitute) and contains(that.span, this.span)
    if isinstance(one, Insert) or isinstance(other, Insert):
        both_statements = not isinstance(one, Replace) and not isinstance(other, Replace)
        return both_statements and one.span[:2] == other.span[:2]
    return _overlap(one.span, other.span)


def _alike(one: Wrap, other: Wrap) -> bool:
    """Whether two can become one."""
    if one.exact or other.exact:
        return one == other
    return one.template == other.template and one.function == other.function


def _extent(edit: Wrap) -> Span:
    return Span(edit.first.line, edit.first.column, edit.last.end_line, edit.last.end_column)


def _overlap(one: Span, other: Span) -> bool:
    return one[:2] < other[2:] and other[:2] < one[2:]


__all__ = ["Choice", "combined", "compatible"]
