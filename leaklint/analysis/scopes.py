"""Task groups and cancel scopes that are used wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Shared
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse


def misused_scopes(facts: ModuleFacts, shared: Shared) -> Iterator[Misuse]:
    """The groups of a file that are entered by hand, yielded in, or used after their end."""
    del facts, shared
    yield from ()
