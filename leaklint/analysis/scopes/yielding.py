"""Task groups and cancel scopes in which an async generator yields."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import Kinds
from leaklint.analysis.scopes.openings import is_context_manager, opened
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Misuse, Pattern, Step
from leaklint.model.walk import text, walk


def yielded_in(function: code.Function, kinds: Kinds) -> Iterator[Misuse]:
    """The groups and scopes in which an async generator yields, unless that is a context manager; one for each that is
    in no other.
    """
    if not (function.is_async and function.is_generator):
        return
    found = list(_around_yields(function.body, function, kinds))
    if not found or is_context_manager(function, kinds):
        return
    for item, kind, span in found:
        path = kinds.program.paths[function.qualname]
        assert not isinstance(item.context, code.Starred)
        step = Step(path, item.context.span, f"the {kind} is entered here")
        yield Misuse(Pattern.YIELD_INSIDE, path, span, text(item.context), function.qualname, kind, (step,))


def _around_yields(block: object, function: code.Function, kinds: Kinds) -> Iterator[tuple[code.Item, str, Span]]:
    """The outermost groups and scopes that are entered in a block and yielded in, with the first place of that."""
    inside: set[int] = set()
    for node in walk(block, code.With):
        if id(node) in inside:
            continue
        items = [(item, kind) for item in node.items if (kind := opened(item.context, function, kinds))]
        first = next(walk(node.body, code.Yield), None)
        if items and first is not None:
            inside.update(id(each) for each in walk(node.body, code.With))
            yield (*items[0], first.span)
