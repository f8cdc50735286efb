"""Task groups and cancel scopes that are used wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import Kinds
from leaklint.analysis.scopes.entering import hand_entered
from leaklint.analysis.scopes.exits import used_after_exit
from leaklint.analysis.scopes.yielding import yielded_in
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse

__all__ = ["misused_scopes"]


def misused_scopes(facts: ModuleFacts, kinds: Kinds) -> Iterator[Misuse]:
    """The groups and scopes of a file that are entered by hand, yielded in, or used after their end."""
    for function in facts.functions:
        yield from hand_entered(function, kinds)
        yield from yielded_in(function, kinds)
        yield from used_after_exit(function, kinds)
