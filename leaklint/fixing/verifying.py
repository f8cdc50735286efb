"""Whether fixes hold: the files still compile, the findings are gone, and nothing new is found."""

from __future__ import annotations

import builtins
import symtable
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from leaklint.engine import Examination
from leaklint.fixing.composing import Choice
from leaklint.fixing.study import path_to
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Diagnostic, Failed
from leaklint.model.facts import ModuleFacts
from leaklint.model.fix import Hazard, Wrap

_NEWER = ("BaseExceptionGroup", "ExceptionGroup", "PythonFinalizationError")
_KNOWN = frozenset({*dir(builtins), *_NEWER, "__file__", "__path__", "__class__"})
"""Names that a module need not bind, also those that only a newer Python has."""


class _Place(NamedTuple):
    """What identifies a finding also when lines have moved."""

    path: str
    function: str
    code: str


def mishaps(
    chosen: Sequence[Choice],
    before: Examination,
    after: Examination,
    old: Mapping[str, bytes],
    new: Mapping[str, bytes],
) -> list[tuple[Choice, Hazard]]:
    """The choices that do not hold, with what came of them; all of them, if it cannot be told which is to blame.

    `old` and `new` are the files, by path.
    """
    broken = {path for path in new if new[path] != old[path] and _compiles(old[path]) and not _compiles(new[path])}
    broken |= {outcome.path for outcome in after.outcomes if isinstance(outcome, Failed)}
    if broken:
        return _blamed(chosen, {_Place(path, "", ""): "the file would not compile any more" for path in broken}, before)
    lost = {
        path: names for path in new if new[path] != old[path] and (names := unbound(new[path]) - unbound(old[path]))
    }
    if lost:
        said = {path: f"nothing would bind `{min(names)}` any more" for path, names in lost.items()}
        return _blamed(chosen, {_Place(path, "", ""): why for path, why in said.items()}, before)
    were, are = Counter(_places(before)), Counter(_places(after))
    mended = Counter(_place(proposal.finding, before) for proposal, _ in chosen)
    still = {
        place: f"{place.code} would still be found" for place in mended if are[place] > were[place] - mended[place]
    }
    fresh = {place: f"{place.code} would be found in `{place.function}`" for place in are if are[place] > were[place]}
    return _blamed(chosen, still or fresh, before)


def _blamed(chosen: Sequence[Choice], wrong: Mapping[_Place, str], before: Examination) -> list[tuple[Choice, Hazard]]:
    """The choices that mend or edit where something is wrong: that finding, that function, else the file, else all."""
    found: list[tuple[Choice, Hazard]] = []
    for place, message in wrong.items():
        hazard = Hazard("does-not-hold", message, blocks=True)
        in_file = [choice for choice in chosen if choice[1].path == place.path]
        mending = [choice for choice in in_file if _place(choice[0].finding, before) == place]
        inside = [choice for choice in in_file if _edits(choice, place.function, before)]
        found += [(choice, hazard) for choice in mending or inside or in_file or chosen]
    return found


def _edits(choice: Choice, function: str, before: Examination) -> bool:
    """Whether a fix mends a finding in a function, or moves statements of it."""
    moved = {edit.function for edit in choice[1].edits if isinstance(edit, Wrap)}
    return function in moved or _place(choice[0].finding, before).function == function


def _places(examination: Examination) -> Iterable[_Place]:
    for outcome in examination.outcomes:
        if isinstance(outcome, Checked):
            yield from (_place(diagnostic, examination) for diagnostic in outcome.diagnostics)


def _place(diagnostic: Diagnostic, examination: Examination) -> _Place:
    studied = examination.studied.get(diagnostic.path)
    function = _function_at(diagnostic.span, studied.facts) if studied else ""
    return _Place(diagnostic.path, function, diagnostic.code)


def _function_at(span: Span, facts: ModuleFacts) -> str:
    """The qualified name of the innermost scope whose own code holds a place."""
    for function in reversed(facts.functions):
        if path_to(span, function.body):
            return function.qualname
    return facts.module


def unbound(data: bytes) -> frozenset[str]:
    """The names that a file reads and that nothing in it binds, nor Python itself; none if Python cannot parse it."""
    if not _compiles(data):
        return frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = symtable.symtable(data, "<fixed>", "exec")  # type: ignore[arg-type]  # it takes bytes, too
    tables = [module]
    for table in tables:
        tables += table.get_children()
    symbols = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    bound = {
        symbol.get_name()
        for table, symbol in symbols
        if (table is module or symbol.is_declared_global()) and (symbol.is_assigned() or symbol.is_imported())
    }
    read = {
        symbol.get_name()
        for table, symbol in symbols
        if symbol.is_referenced() and (table is module or symbol.is_global())
    }
    return frozenset(read - bound - _KNOWN)


def _compiles(data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(data, "<fixed>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
