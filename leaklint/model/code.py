"""The lowered program: what the analysis needs to know of Python source, as frozen values.

One file's syntax tree becomes a tree of these values, once. Everything after that (analysis, rules, cache, worker
processes) works on them and never sees source text or a parser's nodes. Names that lead to an import or to a definition
of the module are already resolved to `Global`; whatever the analysis has no use for is folded into `Opaque`.

Lines and columns count from 1, columns in characters (not bytes); an end column is exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of source text."""

    line: int
    column: int
    end_line: int
    end_column: int


# -- expressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A local variable, or a name nothing in the module binds (a builtin)."""

    id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Global:
    """A name resolved to a dotted path: an import (`asyncio.create_task`) or a definition or variable of a module."""

    path: str
    text: str
    """As it is written in the source."""
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    value: Expr
    attr: str
    span: Span


@dataclass(frozen=True, slots=True)
class Subscript:
    value: Expr
    index: Expr
    span: Span


class Keyword(NamedTuple):
    """A keyword argument; the name is None for `**mapping`."""

    name: str | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Call:
    func: Expr
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Await:
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Yield:
    value: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Starred:
    """`*value` in a call or a display; `**value` in a dict display."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Display:
    """A list, tuple, set or dict written out. For a dict, `items` are the values and `keys` stand beside them."""

    kind: str
    items: tuple[Expr, ...]
    keys: tuple[Expr, ...]
    span: Span


class Clause(NamedTuple):
    """One `for target in iterable if ...` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: tuple[Expr, ...]
    is_async: bool


@dataclass(frozen=True, slots=True)
class Comprehension:
    """A list, set or dict comprehension or a generator expression (kinds `list`, `set`, `dict`, `generator`)."""

    kind: str
    key: Expr | None
    element: Expr
    clauses: tuple[Clause, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    test: Expr
    then: Expr
    orelse: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Boolean:
    """`and` / `or` over two or more values."""

    op: str
    values: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison; `op` is as written (`is`, `is not`, `in`, `not in`, `==`, ...). Chains are `Opaque`."""

    left: Expr
    op: str
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Lambda:
    """Its defaults are evaluated where it stands, its body is not."""

    function: Function
    evaluated: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Walrus:
    target: Name | Global
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    """None, a boolean, a number or a string; anything longer than a name would be is kept as an ellipsis."""

    value: object
    span: Span


@dataclass(frozen=True, slots=True)
class Operation:
    """A chain of binary operators, flat, left to right: `a + b | c`."""

    operands: tuple[Expr, ...]
    divides: bool
    """There is a division among them, or a remainder, by what may be zero."""
    span: Span


@dataclass(frozen=True, slots=True)
class Opaque:
    """Any other expression: its parts are evaluated in order, its own value is of no interest."""

    parts: tuple[Expr, ...]
    span: Span


Expr = (
    Name
    | Global
    | Attribute
    | Subscript
    | Call
    | Await
    | Yield
    | Starred
    | Display
    | Comprehension
    | Conditional
    | Boolean
    | Not
    | Compare
    | Lambda
    | Walrus
    | Constant
    | Operation
    | Opaque
)

# -- statements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression statement, or the parts of any statement the analysis has no use for."""

    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = ... = value`, with or without annotation; a bare annotation has no value."""

    targets: tuple[Expr, ...]
    value: Expr | None
    annotation: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Augment:
    """`target op= value`."""

    target: Expr
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Delete:
    targets: tuple[Expr, ...]
    span: Span


class Branch(NamedTuple):
    test: Expr
    body: Block


@dataclass(frozen=True, slots=True)
class If:
    """`if`/`elif` branches in order, then `else`."""

    branches: tuple[Branch, ...]
    orelse: Block
    span: Span


@dataclass(frozen=True, slots=True)
class While:
    test: Expr
    body: Block
    orelse: Block
    span: Span


@dataclass(frozen=True, slots=True)
class For:
    target: Expr
    iterable: Expr
    body: Block
    orelse: Block
    is_async: bool
    span: Span


class Handler(NamedTuple):
    """One `except`; `types` is empty for a bare one."""

    types: tuple[Expr, ...]
    name: str | None
    body: Block
    span: Span


@dataclass(frozen=True, slots=True)
class Try:
    body: Block
    handlers: tuple[Handler, ...]
    orelse: Block
    final: Block
    span: Span


class Item(NamedTuple):
    """One `context as target` of a `with`."""

    context: Expr
    target: Expr | None


@dataclass(frozen=True, slots=True)
class With:
    items: tuple[Item, ...]
    body: Block
    is_async: bool
    span: Span


class Case(NamedTuple):
    """One `case`; `binds` are the names its pattern captures, `irrefutable` says that it matches anything."""

    binds: tuple[str, ...]
    guard: Expr | None
    body: Block
    irrefutable: bool


@dataclass(frozen=True, slots=True)
class Match:
    subject: Expr
    cases: tuple[Case, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Assert:
    test: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Return:
    value: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Raise:
    value: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Break:
    span: Span


@dataclass(frozen=True, slots=True)
class Continue:
    span: Span


@dataclass(frozen=True, slots=True)
class Define:
    """A nested `def`: its decorators and defaults are evaluated where it stands, its body is not."""

    function: Function
    evaluated: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class DefineClass:
    """A `class` statement: decorators and bases are evaluated where it stands; the body is `scope.body`."""

    scope: Class
    evaluated: tuple[Expr, ...]
    span: Span


Stmt = (
    Evaluate
    | Assign
    | Augment
    | Delete
    | If
    | While
    | For
    | Try
    | With
    | Match
    | Assert
    | Return
    | Raise
    | Break
    | Continue
    | Define
    | DefineClass
)
Block = tuple[Stmt, ...]

# -- scopes --------------------------------------------------------------------------------------------------------


class Param(NamedTuple):
    """A parameter; `kind` is `positional`, `keyword`, `*` or `**`."""

    name: str
    kind: str
    annotation: Expr | None
    default: Expr | None


@dataclass(frozen=True, slots=True)
class Function:
    """A function, a lambda (its body is one `Return`), a class body or a module's top level."""

    qualname: str
    """Dotted, module first: `pkg.mod.Client.start`; a module's top level has the module's name."""
    kind: str
    """`function`, `lambda`, `class` or `module`."""
    owner: str | None
    """The qualified name of the class whose body holds it, for methods."""
    params: tuple[Param, ...]
    is_async: bool
    is_generator: bool
    decorators: tuple[Expr, ...]
    returns: Expr | None
    local_names: frozenset[str]
    """The names bound in this scope, parameters included."""
    free_names: frozenset[str]
    """The names read or rebound here (or in scopes within) that belong to an enclosing function."""
    words: frozenset[str]
    """The attribute names, names, string keys and global paths (with their last names) in the scope's own code."""
    body: Block
    span: Span

    @property
    def name(self) -> str:
        return self.qualname.rpartition(".")[2]

    def __hash__(self) -> int:
        # functions are part of the analysis' states: hashing their whole code would cost more than all the rest
        return hash((self.qualname, self.span))


@dataclass(frozen=True, slots=True)
class Class:
    qualname: str
    bases: tuple[Expr, ...]
    decorators: tuple[Expr, ...]
    body: Function
    """The class body as a scope of kind `class`."""
    methods: tuple[Function, ...]
    span: Span

    @property
    def name(self) -> str:
        return self.qualname.rpartition(".")[2]
