"""What is known of one file after it was read: the whole input of the analysis, and all that a cache needs to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from leaklint.model.code import Class, Function, Span


class Comment(NamedTuple):
    """A comment that may silence something: `# leaklint: ...`, or one for another linter (`# noqa: RUF006`)."""

    text: str
    """From the first `#` to the end of the line: it may hold several comments."""
    span: Span
    own_line: bool
    """Nothing but white space stands before it."""
    statement: tuple[int, int]
    """First and last line of the logical line that the comment belongs to; for one on a line of its own, of the logical
    line that follows. (For a compound statement this is its header, never its body.)"""


class ModuleNames(NamedTuple):
    """The names that a module gives to others."""

    module: str
    """The dotted name."""
    imports: tuple[tuple[str, str], ...]
    """What the top level imports: the name in the file, and the dotted path it leads to."""
    stars: tuple[str, ...]
    """The modules of which the top level imports all names."""
    public: frozenset[str] | None
    """The names in `__all__`, as far as they are written out; None when there is no `__all__`."""
    defined: frozenset[str]
    """The qualified names of its functions and classes, and of those within its classes."""
    variables: frozenset[str]
    """The other names that the top level binds."""


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    path: str
    """As the user would write it: relative to the working directory, with forward slashes."""
    module: str
    """The dotted name."""
    functions: tuple[Function, ...]
    """Every scope of the file in source order, outer before inner: the module's top level first, then functions,
    methods, lambdas and class bodies."""
    classes: tuple[Class, ...]
    """Every class of the file in source order."""
    names: ModuleNames
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True)
class Unparsable:
    """A file that cannot be decoded or parsed, and where reading it stopped."""

    path: str
    span: Span
    message: str
