"""What is known at a place of a program that is being drawn: its names, and what the project offers beside asyncio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

SPAWNERS = ["asyncio.create_task"] * 3 + ["asyncio.ensure_future", "asyncio.get_running_loop().create_task"]


@dataclass(frozen=True, slots=True)
class Kit:
    """What a project offers to its functions, as expressions and statements with `{}` for a task or a group.

    `@` stands for the module of a name: `"await @join(env, {})"`.
    """

    spawns: tuple[str, ...] = ()
    """Give a task."""
    pairs: tuple[str, ...] = ()
    """Give two."""
    several: tuple[str, ...] = ()
    """Give a list."""
    one: tuple[str, ...] = ()
    """Take a task."""
    two: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    """Stand for themselves."""

    def __add__(self, other: Kit) -> Kit:
        return Kit(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def seen_from(self, prefix: str) -> Kit:
        """The kit in a module that puts this before the names."""
        return Kit(*(tuple(text.replace("@", prefix) for text in getattr(self, each.name)) for each in fields(self)))


@dataclass(slots=True)
class Scope:
    """What is known of the names where the next statement will stand."""

    budget: list[int]
    """How many statements may follow; shared by all scopes of a program."""
    kit: Kit = field(default_factory=Kit)
    bound: set[str] = field(default_factory=set)
    """Handles that have a value, perhaps None."""
    tasks: set[str] = field(default_factory=set)
    """Handles that are a task."""
    groups: set[str] = field(default_factory=set)
    in_loop: bool = False
    depth: int = 0

    def inner(self, *, in_loop: bool | None = None) -> Scope:
        return replace(
            self,
            bound=set(self.bound),
            tasks=set(self.tasks),
            groups=set(self.groups),
            in_loop=self.in_loop if in_loop is None else in_loop,
            depth=self.depth + 1,
        )

    def bind(self, name: str) -> None:
        self.bound.add(name)
        self.tasks.add(name)

    def meet(self, *others: Scope) -> None:
        """Keeps what holds in every one of the scopes."""
        self.bound = set.intersection(*(other.bound for other in others))
        self.tasks = set.intersection(*(other.tasks for other in others))
        self.groups = set.intersection(*(other.groups for other in others))

    def spawn(self, draw: DrawFn) -> str:
        """An expression that gives a task."""
        if self.kit.spawns and draw(st.sampled_from([True, True, False])):
            return draw(st.sampled_from(self.kit.spawns))
        return f"{draw(st.sampled_from(SPAWNERS))}(env.child())"


def maybe(draw: DrawFn, texts: Sequence[str]) -> str | None:
    """Perhaps one of the texts; nothing is drawn where there are none."""
    if not texts:
        return None
    wanted = draw(st.booleans())
    return draw(st.sampled_from(texts)) if wanted else None
