"""Small asynchronous programs: a tree of statements, its source text, and where its spawns stand."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

HEADER = "import asyncio\nfrom contextlib import suppress\n\n\nasync def host(env):\n"


@dataclass(frozen=True, slots=True)
class Line:
    """A simple statement. Its spawns read `env.child()`: they are numbered when the program is written out."""

    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A header such as `if env.cond():`, with what stands below it."""

    header: str
    body: Block


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound statement: `if` with its `else`, `try` with its handlers."""

    parts: tuple[Part, ...]


Block = tuple["Line | Compound", ...]


@dataclass(frozen=True, slots=True)
class Program:
    body: Block

    @property
    def source(self) -> str:
        """A module with `async def host(env)`, its spawns numbered from 1."""
        first, *others = "\n".join(written(self.body, "    ")).split("env.child()")
        numbered = [f"env.child({number}){text}" for number, text in enumerate(others, 1)]
        return f"{HEADER}{first}{''.join(numbered)}\n"

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True, slots=True)
class Project:
    """A program of several modules."""

    modules: tuple[tuple[str, Block], ...]
    """Dotted names with what stands in them; the first defines `async def host(env)`."""

    @property
    def sources(self) -> Mapping[str, str]:
        """The text of the modules, spawns numbered throughout from 1."""
        numbers = itertools.count(1)
        texts = {name: "\n".join(written(block, "")) + "\n" for name, block in self.modules}
        return {
            name: re.sub(r"env\.child\(\)", lambda _: f"env.child({next(numbers)})", text)
            for name, text in texts.items()
        }

    def __str__(self) -> str:
        return "\n".join(f"# {name}\n{source}" for name, source in self.sources.items())


class Site(NamedTuple):
    """Where a spawn stands; line and column count from 1."""

    line: int
    column: int


def spawn_sites(source: str) -> dict[int, Site]:
    """The spawns of a program by their number: the calls whose first argument is `env.child(n)`."""
    sites = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(args=[ast.Call(func=ast.Attribute(attr="child"), args=[ast.Constant(value=int(number))])]):
                sites[number] = Site(node.lineno, node.col_offset + 1)
    return sites


def written(block: Block, indent: str) -> Iterator[str]:
    """The lines of a block."""
    for statement in block:
        if isinstance(statement, Line):
            yield indent + statement.text
        else:
            for part in statement.parts:
                yield indent + part.header
                yield from written(part.body, indent + "    ")


def lines(*texts: str) -> Block:
    """A block of simple statements."""
    return tuple(Line(text) for text in texts)


def compound(*parts: tuple[str, Block]) -> Block:
    """A block of one compound statement."""
    return (Compound(tuple(Part(*part) for part in parts)),)
