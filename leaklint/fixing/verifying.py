"""Whether fixes hold: files still compile, findings are gone, nothing new is found; if not, which may be to blame."""

from __future__ import annotations

import builtins
import re
import symtable
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
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

_NOT_COMPILED = "the file would not compile any more"


class Place(NamedTuple):
    """What identifies a finding also when lines have moved."""

    path: str
    function: str
    code: str


class Wrong(NamedTuple):
    """Something that does not hold once fixes are made."""

    why: Hazard
    suspects: tuple[Choice, ...]
    """Those of them that stand nearest to it."""


def faults(chosen: Sequence[Choice], old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[Wrong, ...]:
    """What is wrong with the text of the files that fixes were written to.

    `old` and `new` are the files, by path.
    """
    changed = [path for path in new if new[path] != old[path]]
    broken = {path for path in changed if _compiles(old[path]) and not _compiles(new[path])}
    lost = {path: names for path in changed if (names := unbound(new[path]) - unbound(old[path]))}
    said = {path: f"nothing would bind `{min(names)}` any more" for path, names in lost.items()}
    said |= dict.fromkeys(broken, _NOT_COMPILED)
    return tuple(_wrong(Place(path, "", ""), why, chosen, None) for path, why in said.items())


def mishaps(chosen: Sequence[Choice], before: Examination, after: Examination) -> tuple[Wrong, ...]:
    """What does not hold in a program with these fixes: it cannot be read, is not mended, or something new is found."""
    broken = _failed(after) - _failed(before)
    if broken:
        return tuple(_wrong(Place(path, "", ""), _NOT_COMPILED, chosen, before) for path in sorted(broken))
    were, are = Counter(_places(before)), Counter(_places(after))
    mended = Counter(place_of(proposal.finding, before) for proposal, _ in chosen)
    still = {
        place: f"{place.code} would still be found" for place in mended if are[place] > were[place] - mended[place]
    }
    fresh = {place: f"{place.code} would be found in `{place.function}`" for place in are if are[place] > were[place]}
    return tuple(_wrong(place, why, chosen, before) for place, why in (still or fresh).items())


def parts(chosen: Sequence[Choice], wrong: Sequence[Wrong]) -> list[list[Choice]]:
    """Two or more choices, of which not all hold, in two or more parts that are to be tried in this order.

    No safe choice comes after an unsafe one that may be to blame.
    """
    suspects = [choice for each in wrong for choice in each.suspects]
    unsafe = [choice for choice in chosen if choice[1].hazards]
    late = [choice for choice in unsafe if choice in suspects] or unsafe
    if late and len(late) < len(chosen):
        return [[choice for choice in chosen if choice not in late], late]
    found = [[choice for choice in chosen if choice not in suspects]]
    for each in wrong:
        found.append([choice for choice in chosen if choice in each.suspects and not any(choice in g for g in found)])
    found = [part for part in found if part]
    return found if len(found) > 1 else _halves(chosen)


def _halves(chosen: Sequence[Choice]) -> list[list[Choice]]:
    """Each file in one of them, if there are several."""
    paths = list(dict.fromkeys(fix.path for _, fix in chosen))
    half = {fix.path for _, fix in chosen if fix.path in paths[: len(paths) // 2]}
    first = [choice for choice in chosen if choice[1].path in half] or list(chosen[: len(chosen) // 2])
    return [first, [choice for choice in chosen if choice not in first]]


def _wrong(place: Place, message: str, chosen: Sequence[Choice], before: Examination | None) -> Wrong:
    near = {choice: _nearness(choice, place, before) for choice in chosen}
    nearest = max(near.values())
    suspects = tuple(choice for choice in chosen if near[choice] == nearest)
    return Wrong(Hazard("does-not-hold", message, blocks=True), suspects)


def _nearness(choice: Choice, place: Place, before: Examination | None) -> tuple[bool | int, ...]:
    """How near to a place a fix edits: that finding, that function, its class, its file, its directory."""
    fix = choice[1]
    if fix.path != place.path or before is None:
        return fix.path == place.path, _shared(*(re.split(r"[/\\]", path) for path in (fix.path, place.path)))
    mended = place_of(choice[0].finding, before)
    functions = {mended.function, *(edit.function for edit in fix.edits if isinstance(edit, Wrap))}
    around = max(_shared(place.function.split("."), function.split(".")) for function in functions)
    return True, mended == place, place.function in functions, around


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts of a path or a name are the same, from the front."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other))))  # noqa: B905 - one may be longer


def _failed(examination: Examination) -> set[str]:
    return {outcome.path for outcome in examination.outcomes if isinstance(outcome, Failed)}


def _places(examination: Examination) -> Iterable[Place]:
    for outcome in examination.outcomes:
        if isinstance(outcome, Checked):
            yield from (place_of(diagnostic, examination) for diagnostic in outcome.diagnostics)


def place_of(diagnostic: Diagnostic, examination: Examination) -> Place:
    """What identifies a finding of an examined program."""
    studied = examination.studied.get(diagnostic.path)
    function = _function_at(diagnostic.span, studied.facts) if studied else ""
    return Place(diagnostic.path, function, diagnostic.code)


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
