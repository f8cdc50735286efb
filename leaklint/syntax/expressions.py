"""Expressions: from the nodes of a syntax tree to the lowered program."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterable

from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.syntax.names import Scope, canonical, outside_of, resolve
from leaklint.syntax.positions import Positions
from leaklint.syntax.source import Source

DEEPEST = 90
"""Expressions nested deeper than this are folded into one `Opaque`, so that no later recursion runs out of stack."""

MOST_ITEMS = 200
"""A longer list, set or dict is a table: what is in it is evaluated, but no task is looked for by its position."""

LONGEST = 80
"""Longer strings are not kept."""

_SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


class Expressions(ABC, Positions):
    """Lowers expressions; the stack of scopes tells what a name means where it is read."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.scopes: list[Scope] = []
        self.words: list[set[str]] = [set()]
        self.generators: list[bool] = []
        self.depth = 0

    @abstractmethod
    def lambda_(self, node: ast.Lambda) -> code.Function:
        """The scope of a lambda."""

    def exprs(self, nodes: Iterable[ast.expr]) -> tuple[Expr, ...]:
        return tuple([self.expr(node) for node in nodes])

    def expr(self, node: ast.expr) -> Expr:
        self.depth += 1
        try:
            return self.lower(node) if self.depth < DEEPEST or _is_shallow(node) else self.flat(node)
        finally:
            self.depth -= 1

    def lower(self, node: ast.expr) -> Expr:
        span = self.span(node)
        match node:
            case ast.Name(id=name):
                path = resolve(name, self.scopes)
                return code.Name(self.word(name), span) if path is None else self.global_(path, name, span)
            case ast.Attribute(value=value, attr=attr):
                return self.attribute(self.expr(value), attr, span)
            case ast.Constant(value=value):
                return code.Constant(value if _is_small(value) else ..., span)
            case ast.Call(func=func, args=args, keywords=keywords):
                lowered = tuple([code.Keyword(keyword.arg, self.expr(keyword.value)) for keyword in keywords])
                return code.Call(self.expr(func), self.exprs(args), lowered, span)
            case ast.Await(value=value):
                return code.Await(self.expr(value), span)
            case ast.Yield(value=optional):
                self.generators[-1] = True
                return code.Yield(self.expr(optional) if optional else None, span)
            case ast.YieldFrom(value=value):
                self.generators[-1] = True
                return code.Yield(code.Starred(self.expr(value)), span)
            case ast.Starred(value=value):
                return code.Starred(self.expr(value))
            case ast.Subscript(value=value, slice=index):
                if isinstance(index, ast.Constant) and isinstance(index.value, str):
                    self.word(index.value)
                return code.Subscript(self.expr(value), self.expr(index), span)
            case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts) if len(elts) > MOST_ITEMS:
                return code.Opaque(self.exprs(item for item in elts if not isinstance(item, ast.Constant)), span)
            case ast.Dict(values=values) if len(values) > MOST_ITEMS:
                return code.Opaque(self.exprs(item for item in values if not isinstance(item, ast.Constant)), span)
            case ast.List(elts=elts):
                return code.Display("list", self.exprs(elts), (), span)
            case ast.Tuple(elts=elts):
                return code.Display("tuple", self.exprs(elts), (), span)
            case ast.Set(elts=elts):
                return code.Display("set", self.exprs(elts), (), span)
            case ast.Dict(keys=keys, values=values):
                items = [
                    self.expr(value) if key is not None else code.Starred(self.expr(value))
                    for key, value in zip(keys, values, strict=True)
                ]
                return code.Display("dict", tuple(items), self.exprs(key for key in keys if key is not None), span)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self.comprehension(node, span)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return code.Conditional(self.expr(test), self.expr(body), self.expr(orelse), span)
            case ast.BoolOp(op=op, values=values):
                return code.Boolean("and" if isinstance(op, ast.And) else "or", self.exprs(values), span)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return code.Not(self.expr(operand), span)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return code.Compare(self.expr(left), _SYMBOLS[type(op)], self.expr(right), span)
            case ast.BinOp():
                return code.Operation(self.operands(node), _divides(node), span)
            case ast.Lambda():
                return code.Lambda(self.lambda_(node), self.exprs(outside_of(node)), span)
            case ast.NamedExpr(target=target, value=value):
                lowered_value = self.expr(value)
                lowered_target = self.expr(target)
                if isinstance(lowered_target, code.Name | code.Global):
                    return code.Walrus(lowered_target, lowered_value, span)
                return lowered_value
        return code.Opaque(self.exprs(_children(node)), span)

    def attribute(self, value: Expr, attr: str, span: Span) -> Expr:
        """Attributes of an import or a class lead to a dotted path; those of a value of this module do not."""
        if isinstance(value, code.Global) and not self.is_variable(value.path):
            return self.global_(canonical(f"{value.path}.{attr}"), f"{value.text}.{attr}", span)
        return code.Attribute(value, self.word(attr), span)

    def global_(self, path: str, text: str, span: Span) -> code.Global:
        self.word(path.rpartition(".")[2])
        return code.Global(self.word(path), text, span)

    def word(self, text: str) -> str:
        """Notes a word of the innermost scope."""
        self.words[-1].add(text)
        return text

    def is_variable(self, path: str) -> bool:
        module = self.scopes[0]
        prefix, _, name = path.rpartition(".")
        return prefix == module.qualname and name in module.bound and name not in {*module.imports, *module.definitions}

    def operands(self, node: ast.expr) -> tuple[Expr, ...]:
        """The operands of a chain of binary operators, flat, left to right."""
        operands: list[ast.expr] = []
        while isinstance(node, ast.BinOp):
            operands.append(node.right)
            node = node.left
        return self.exprs([node, *reversed(operands)])

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, span: Span) -> Expr:
        clauses = tuple(
            code.Clause(self.expr(g.target), self.expr(g.iter), self.exprs(g.ifs), bool(g.is_async))
            for g in node.generators
        )
        if isinstance(node, ast.DictComp):
            return code.Comprehension("dict", self.expr(node.key), self.expr(node.value), clauses, span)
        kind = {ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "generator"}[type(node)]
        return code.Comprehension(kind, None, self.expr(node.elt), clauses, span)

    def flat(self, node: ast.expr) -> Expr:
        """An expression too deep to follow: its calls are kept, side by side, and nothing else of it."""
        calls: list[Expr] = []
        stack: list[ast.AST] = [node]
        while stack:
            inner = stack.pop()
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name | ast.Attribute):
                depth, self.depth = self.depth, 0
                shallow = isinstance(inner.func, ast.Name) or isinstance(inner.func.value, ast.Name | ast.Attribute)
                if shallow and _height(inner.func) < DEEPEST:
                    calls.append(code.Call(self.expr(inner.func), (), (), self.span(inner)))
                self.depth = depth
            if not isinstance(inner, ast.Lambda):
                stack.extend(ast.iter_child_nodes(inner))
        return code.Opaque(tuple(calls), self.span(node))

    def annotation(self, node: ast.expr | None) -> Expr | None:
        """An annotation; what is written in it as a string is parsed, its parts take the place of the string."""
        match node:
            case None:
                return None
            case ast.Constant(value=str(written)):
                return self.quoted(written, node)
            case ast.Subscript(value=value, slice=index):
                return code.Subscript(self.expr(value), self.annotation(index) or self.expr(index), self.span(node))
            case ast.Tuple(elts=elts):
                return code.Display(
                    "tuple", tuple(self.annotation(e) or self.expr(e) for e in elts), (), self.span(node)
                )
            case ast.BinOp(left=left, right=right):
                sides = (self.annotation(left) or self.expr(left), self.annotation(right) or self.expr(right))
                return code.Operation(sides, divides=False, span=self.span(node))
        return self.expr(node)

    def quoted(self, written: str, place: ast.expr) -> Expr | None:
        try:
            inner = ast.parse(written.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for part in ast.walk(inner):
            ast.copy_location(part, place)
        return self.annotation(inner) if not isinstance(inner, ast.Constant) else None


def _divides(chain: ast.BinOp) -> bool:
    """Whether one of a chain of operators divides, or takes a remainder, by something that may be zero."""
    node: ast.expr = chain
    while isinstance(node, ast.BinOp):
        is_format = isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant | ast.JoinedStr)
        by_constant = isinstance(node.right, ast.Constant) and bool(node.right.value)
        if isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod) and not is_format and not by_constant:
            return True
        node = node.left
    return False


def _is_small(value: object) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value) < LONGEST)


def _children(node: ast.AST) -> list[ast.expr]:
    found: list[ast.expr] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            found.append(child)
        elif isinstance(child, ast.keyword):
            found.append(child.value)
    return found


def _is_shallow(node: ast.expr) -> bool:
    """Whether an expression is a name with a few attributes: what a call needs to be known by."""
    inner: ast.expr = node
    for _ in range(9):
        if isinstance(inner, ast.Attribute):
            inner = inner.value
    return isinstance(inner, ast.Name)


def _height(node: ast.expr) -> int:
    height = 0
    while isinstance(node, ast.Attribute):
        node, height = node.value, height + 1
    return height
