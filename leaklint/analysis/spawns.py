"""Which calls start a task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from leaklint.analysis.kinds import FUTURE, TASK, Kinds, guess_from_spelling, role_of
from leaklint.catalog import GROUP_ONLY_SPAWNS, GROUP_SPAWNS, LOOP_SPAWNS, SPAWN_LIKE, Role
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk


class Sort(Enum):
    """What a call that looks like a spawn is."""

    FREE = "a task that no group owns"
    GROUPED = "a task in a group"
    NONE = "no spawn"


@dataclass(frozen=True, slots=True)
class Spawn:
    call: code.Call
    function: code.Function
    sort: Sort
    likely: bool
    """Decided by the name of the receiver alone."""

    @property
    def called(self) -> str:
        """The called expression, as written."""
        return text(self.call.func)

    @property
    def spawned_call(self) -> Expr | None:
        """The argument that says what runs in the task."""
        named = (k.value for k in self.call.keywords if k.name in ("coro", "coro_or_future"))
        return next(iter([*self.call.args, *named]), None)

    @property
    def spawned(self) -> str:
        """What runs in the task, as written, without its arguments."""
        inner = self.spawned_call
        if inner is None:
            return "..."
        return text(inner.func) if isinstance(inner, code.Call) else text(inner)


def find_spawns(function: code.Function, kinds: Kinds) -> Iterator[Spawn]:
    """The calls in a scope's own code that start a task, or look like it."""
    for call in walk(function.body, code.Call):
        verdict = _sort(call, function, kinds)
        if verdict is not None:
            yield Spawn(call, function, *verdict)


def _sort(call: code.Call, function: code.Function, kinds: Kinds) -> tuple[Sort, bool] | None:
    match call.func:
        case code.Global(path=path, text=written):
            if role_of(path) is Role.SPAWN:
                wraps = path == "asyncio.ensure_future" and _is_future(call, function, kinds)
                return (Sort.NONE if wraps else Sort.FREE), False
            name = path.rpartition(".")[2]
            if "." not in written or path in kinds.program.functions:
                return None
            holder = code.Global(path.rpartition(".")[0], written.rpartition(".")[0], call.func.span)
            return _by_receiver(holder, None, name)
        case code.Attribute(value=value, attr=attr):
            if attr not in LOOP_SPAWNS | GROUP_SPAWNS:
                return None
            kind = kinds.of(value, function)
            if kind is not None and kinds.program.method(kind, attr) is not None:
                return None  # a method of the program: what it does with the task is decided there
            verdict = _by_receiver(value, kind, attr)
            proven = verdict == (Sort.NONE, False) and _is_annotated(call, function, kinds)
            return (Sort.FREE, True) if proven else verdict
    return None


def _by_receiver(receiver: Expr, kind: str | None, method: str) -> tuple[Sort, bool] | None:
    role = role_of(kind)
    if role is Role.LOOP and method in LOOP_SPAWNS:
        return Sort.FREE, False
    if role is Role.GROUP and method in GROUP_SPAWNS:
        return Sort.GROUPED, False
    if kind is None or kind == "typing.Any":
        guess = guess_from_spelling(receiver)
        if guess is Role.LOOP and method in LOOP_SPAWNS:
            return Sort.FREE, True
        if (guess is Role.GROUP and method in GROUP_SPAWNS) or method in GROUP_ONLY_SPAWNS:
            return Sort.GROUPED, True
    return (Sort.NONE, False) if method in SPAWN_LIKE else None


def _is_annotated(call: code.Call, function: code.Function, kinds: Kinds) -> bool:
    """Whether the value of a call is assigned to something that is annotated as a task."""
    for node in walk(function.body, code.Assign):
        if node.value is call and node.annotation is not None:
            return kinds.annotated(node.annotation) in (TASK, FUTURE)
    return False


def _is_future(call: code.Call, function: code.Function, kinds: Kinds) -> bool:
    return bool(call.args) and kinds.of(call.args[0], function) in (TASK, FUTURE)
