"""What asyncio, AnyIO, trio and others do with a task: data, each row with the page that says so.

Keys are canonical dotted names (see `leaklint.syntax.names`). A test imports the libraries that are small enough to
install and checks that every row exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from leaklint.catalog import anyio_history
from leaklint.catalog.libraries import LIBRARIES, TYPES
from leaklint.catalog.methods import (
    ADDING,
    ALTERING,
    CALLBACK_AT,
    CALLBACK_OF,
    CONTAINER_TYPES,
    EMPTYING,
    EXPLORING,
    GROUP_ONLY_SPAWNS,
    GROUP_SPAWNS,
    HARMLESS_METHODS,
    LIBRARY_ONLY_SPAWNS,
    LOGGING,
    LOOP_DEFERS,
    LOOP_RUNS,
    LOOP_SOON,
    LOOP_SPAWNS,
    OWNER_SPAWNS,
    PICKING,
    POPPING,
    REMOVING,
    SETTING,
    SPAWN_LIKE,
    SPAWN_WORDS,
    SYNCHRONISATION,
    TASK_METHODS,
    VIEWING,
)
from leaklint.catalog.roles import Entry, Role
from leaklint.catalog.standard import STANDARD

__all__ = [
    "ADDING",
    "ALTERING",
    "BASE",
    "CALLBACK_AT",
    "CALLBACK_OF",
    "CATALOG",
    "CONTAINER_TYPES",
    "EMPTYING",
    "EXPLORING",
    "GROUP_ONLY_SPAWNS",
    "GROUP_SPAWNS",
    "HARMLESS_METHODS",
    "HOOK_WORDS",
    "LIBRARY_ONLY_SPAWNS",
    "LOGGING",
    "LOOP_DEFERS",
    "LOOP_RUNS",
    "LOOP_SOON",
    "LOOP_SPAWNS",
    "OWNER_SPAWNS",
    "PICKING",
    "POPPING",
    "REMOVING",
    "SETTING",
    "SPAWN_LIKE",
    "SPAWN_WORDS",
    "SYNCHRONISATION",
    "TASK_METHODS",
    "TYPES",
    "VIEWING",
    "Catalog",
    "Entry",
    "Role",
    "extended",
]

CATALOG: dict[str, Entry] = {**STANDARD, **LIBRARIES}
"""The rows, by dotted path."""

HOOK_WORDS = frozenset(
    next(part for part in reversed(path.split(".")) if part not in ADDING)
    for path, row in CATALOG.items()
    if row.role in (Role.END_HOOK, Role.RESUME_HOOK)
)
"""A scope without any of these gives no function to a framework that calls it at its end."""

_SPAWNS = (Role.SPAWN, Role.SPAWN_OWNED, Role.SPAWN_KEPT, Role.SPAWN_DROPPED)
_METHODS = frozenset(path.rpartition(".")[2] for path, row in LIBRARIES.items() if row.role in _SPAWNS)
_EVERYWHERE = frozenset({"add", "start"})
"""Methods whose names are in so many files that they say nothing."""


@dataclass(frozen=True)
class Catalog:
    """The rows, and what the configuration adds to them."""

    spawners: frozenset[str] = frozenset()
    """Functions and methods that start a task and return its handle."""
    owners: frozenset[str] = frozenset()
    """Classes that wait for the tasks that their methods start or are given."""

    def role(self, path: str | None) -> Role | None:
        """What is said of a dotted path; None when nothing is."""
        if path is None:
            return None
        if path in self.spawners:
            return Role.SPAWN
        if path in self.owners:
            return Role.OWNER
        entry = CATALOG.get(path)
        if entry is not None:
            return entry.role
        return Role.OBJECT if path in self._holders else None

    def type_of(self, path: str) -> str | None:
        """The class of what an attribute or a call gives, or of what a decorator makes; None when nothing is said."""
        found = TYPES.get(path)
        return found[0] if found else anyio_history.TYPES.get(path)

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """A file without any of these holds no spawn."""
        words = {path.rpartition(".")[2] for path in self.spawners | self.owners}
        if self.owners:
            words |= {f"{name}(" for name in OWNER_SPAWNS - _EVERYWHERE}
        return (*SPAWN_WORDS, *(word.encode() for word in sorted(words)))

    @cached_property
    def spawn_names(self) -> frozenset[str]:
        """The names of methods that start a task when their receiver is of the right class."""
        known = {path.rpartition(".")[2] for path in self.spawners} | (OWNER_SPAWNS if self.owners else set())
        return LOOP_SPAWNS | GROUP_SPAWNS | LIBRARY_ONLY_SPAWNS | _METHODS | known

    @cached_property
    def spawn_words(self) -> frozenset[str]:
        """The names of everything that starts a task, or looks like it."""
        rows = {path.rpartition(".")[2] for path, entry in CATALOG.items() if entry.role in _SPAWNS}
        return self.spawn_names | self.handle_names | SPAWN_LIKE | rows

    @cached_property
    def handle_names(self) -> frozenset[str]:
        """The names of what starts a task and returns its handle."""
        giving = {path for path, entry in CATALOG.items() if entry.role is Role.SPAWN}
        return LOOP_SPAWNS | {path.rpartition(".")[2] for path in giving.union(self.spawners)}

    @cached_property
    def _holders(self) -> frozenset[str]:
        """The types, or modules, of the known spawners."""
        return frozenset(path.rpartition(".")[0] for path in self.spawners)


BASE = Catalog()
"""The rows alone."""


@cache
def extended(spawners: tuple[str, ...] = (), owners: tuple[str, ...] = ()) -> Catalog:
    """The rows and what is configured, by dotted path: functions and methods that start a task and return its handle,
    and classes that wait for the tasks that their methods start or are given.
    """
    return Catalog(frozenset(spawners), frozenset(owners))
