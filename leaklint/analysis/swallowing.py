"""Cancellations that are caught and forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.interpreter.frame import Shared
from leaklint.model.facts import ModuleFacts
from leaklint.model.fate import Misuse


def swallowed(facts: ModuleFacts, shared: Shared) -> Iterator[Misuse]:
    """The `except` clauses of a file that catch a cancellation and go on."""
    del facts, shared
    yield from ()
