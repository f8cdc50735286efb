"""What a call or a type of a library can mean for a task: the words that the tables are written in."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Role(Enum):
    """What a call means for the tasks it is given or makes."""

    SPAWN = "starts a task and returns its handle"
    SPAWN_OWNED = "starts a task that its library sees to: waits for it, or cancels it when it shuts down"
    SPAWN_KEPT = "starts a task, keeps it and returns its handle; the library does not wait for it"
    SPAWN_DROPPED = "calls a function later; if that is a coroutine function, its task is thrown away"
    LOOP = "an event loop: a type, or a function that returns one"
    GROUP = "a task group: a type, or a function that returns one"
    OWNER = "a class that waits for the tasks that its methods start, and for those that they are given"
    OBJECT = "a type, or an attribute of one, of whose methods the catalogue speaks"
    WORKER = "a decorator: a call of the function starts a task that the library sees to"
    GATHER = "awaited: waits for all its arguments, fails with the first that fails"
    WAIT = "awaited: waits for its tasks without raising or cancelling"
    WAIT_FOR = "awaited: waits for its argument, cancels it and waits again on time-out"
    CANCEL_AND_WAIT = "awaited: cancels its argument and waits for it"
    SHIELD = "awaited: waits for its argument, but a cancellation leaves that running"
    AS_COMPLETED = "iterated: gives its arguments one by one as they end"
    THREAD = "runs its first argument in another thread, and returns a future of it"
    RUN = "runs its argument to its end"
    TIMEOUT = "a context manager that cancels its body at a time-out and raises"
    MOVE_ON = "a context manager that cancels its body at a time-out and goes on"
    ALL_TASKS = "returns every task that has not ended"
    COROUTINE = "a decorator that makes a coroutine function out of a generator: its `yield` is an await"
    COLLECT = "returns a container or iterator over what its arguments hold"
    PICK = "returns one of what its arguments hold"
    SAME = "returns its last argument"
    STACK = "an exit stack"
    SUPPRESS = "a context manager that swallows the named exceptions"
    DEFER = "runs a callable at some later time and ignores what it returns"
    PARTIAL = "a callable that calls its first argument with the others"
    FIXTURE = "a decorator whose generator is always resumed, whatever the test did"
    RESUME_HOOK = "takes generators that the framework always resumes when it ends"
    END_HOOK = "takes functions that the framework calls, and awaits, when it ends"
    CONTEXT_MANAGER = "a decorator that makes a context manager out of a generator"
    LEAVES = "raises, always"
    ENDS = "ends the process at once"
    HARMLESS = "neither keeps a task nor can sensibly fail"


class Entry(NamedTuple):
    role: Role
    doc: str


def rows(role: Role, doc: str, names: str) -> dict[str, Entry]:
    """Rows of one role, for dotted names that are separated by white space."""
    return {name: Entry(role, doc) for name in names.split()}
