"""The one pass over a syntax tree: a parsed file in, `ModuleFacts` out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.facts import ModuleFacts
from leaklint.syntax.names import Scope, canonical, outside_of, resolve, scan
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


def collect(source: Source, *, module: str) -> ModuleFacts:
    """The facts of a parsed file.

    `module` is its dotted name; relative imports are resolved from it. Raises nothing: whatever a syntax tree can hold
    has a lowered form.
    """
    collector = _Collector(source, module)
    collector.run()
    return ModuleFacts(
        path=source.path,
        module=module,
        functions=tuple(function for function in collector.functions if function is not None),
        classes=tuple(scope for scope in collector.classes if scope is not None),
        comments=source.comments,
    )


class _Collector:
    """Lowers a tree; the stack of scopes tells what a name means where it is read."""

    def __init__(self, source: Source, module: str) -> None:
        self.source = source
        self.module = module
        is_package = source.path.endswith("__init__.py")
        self.package = module if is_package else module.rpartition(".")[0]
        self.scopes: list[Scope] = []
        self.generators: list[bool] = []
        self.depth = 0
        self.ascii = source.text.isascii()
        self.offsets: dict[int, list[int]] = {}
        self.lambdas: dict[ast.Lambda, code.Function] = {}
        # places are kept for scopes in the order in which they begin, and filled when they are left
        self.functions: list[code.Function | None] = []
        self.classes: list[code.Class | None] = []

    def run(self) -> None:
        tree = self.source.tree
        end = len(self.source.lines)
        span = Span(1, 1, max(1, end), 1)
        self.scope("module", self.module, tree.body, lambda: self.block(tree.body), span=span)

    # -- scopes --------------------------------------------------------------------------------------------------

    def scope(
        self,
        kind: str,
        qualname: str,
        body: Sequence[ast.AST],
        lower: Callable[[], Block],
        *,
        span: Span,
        owner: str | None = None,
        is_async: bool = False,
        arguments: ast.arguments | None = None,
        decorators: Sequence[ast.expr] = (),
        returns: ast.expr | None = None,
    ) -> code.Function:
        params = self.params(arguments)
        lowered_decorators = self.exprs(decorators)
        lowered_returns = self.annotation(returns)
        scope = scan(body, kind, qualname, package=self.package)
        scope.bound.update(param.name for param in params)
        place = len(self.functions)
        self.functions.append(None)
        self.scopes.append(scope)
        self.generators.append(False)
        outer_depth, self.depth = self.depth, 0
        block = lower()
        self.depth = outer_depth
        self.scopes.pop()
        if scope.kind != "class" and len(self.scopes) > 1:
            # what an inner scope reads from further out is free here too
            self.scopes[-1].free.update(scope.free - self.scopes[-1].bound)
        function = code.Function(
            qualname=qualname,
            kind=kind,
            owner=owner,
            params=params,
            is_async=is_async,
            is_generator=self.generators.pop(),
            decorators=lowered_decorators,
            returns=lowered_returns,
            local_names=frozenset(scope.bound - scope.declared_global - scope.declared_nonlocal),
            free_names=frozenset(scope.free | scope.declared_nonlocal),
            body=block,
            span=span,
        )
        self.functions[place] = function
        return function

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> code.Function:
        outer = self.scopes[-1]
        return self.scope(
            "function",
            f"{outer.qualname}.{node.name}",
            node.body,
            lambda: self.block(node.body),
            span=self.header(node),
            owner=outer.qualname if outer.kind == "class" else None,
            is_async=isinstance(node, ast.AsyncFunctionDef),
            arguments=node.args,
            decorators=node.decorator_list,
            returns=node.returns,
        )

    def lambda_(self, node: ast.Lambda) -> code.Function:
        if node not in self.lambdas:  # one in a default is met twice: as a parameter's, and where the `def` stands
            self.lambdas[node] = self.scope(
                "lambda",
                f"{self.scopes[-1].qualname}.<lambda>",
                [node.body],
                lambda: (code.Return(self.expr(node.body), self.span(node.body)),),
                span=self.span(node),
                arguments=node.args,
            )
        return self.lambdas[node]

    def class_(self, node: ast.ClassDef) -> code.Class:
        qualname = f"{self.scopes[-1].qualname}.{node.name}"
        place = len(self.classes)
        self.classes.append(None)
        first = len(self.functions)
        body = self.scope("class", qualname, node.body, lambda: self.block(node.body), span=self.header(node))
        lowered = code.Class(
            qualname=qualname,
            bases=self.exprs(node.bases),
            decorators=self.exprs(node.decorator_list),
            body=body,
            methods=tuple(f for f in self.functions[first:] if f is not None and f.owner == qualname),
            span=self.header(node),
        )
        self.classes[place] = lowered
        return lowered

    def params(self, arguments: ast.arguments | None) -> tuple[code.Param, ...]:
        if arguments is None:
            return ()
        positional = [*arguments.posonlyargs, *arguments.args]
        missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
        found = [
            self.param(arg, "positional", default)
            for arg, default in zip(positional, [*missing, *arguments.defaults], strict=True)
        ]
        if arguments.vararg:
            found.append(self.param(arguments.vararg, "*", None))
        found += [
            self.param(arg, "keyword", default)
            for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
        if arguments.kwarg:
            found.append(self.param(arguments.kwarg, "**", None))
        return tuple(found)

    def param(self, arg: ast.arg, kind: str, default: ast.expr | None) -> code.Param:
        return code.Param(arg.arg, kind, self.annotation(arg.annotation), self.expr(default) if default else None)

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
                return code.Operation(sides, self.span(node))
        return self.expr(node)

    def quoted(self, written: str, place: ast.expr) -> Expr | None:
        try:
            inner = ast.parse(written.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for part in ast.walk(inner):
            ast.copy_location(part, place)
        return self.annotation(inner) if not isinstance(inner, ast.Constant) else None

    # -- positions -----------------------------------------------------------------------------------------------

    def span(self, node: Any) -> Span:
        line, end_line = node.lineno, node.end_lineno
        column, end_column = node.col_offset, node.end_col_offset
        if not self.ascii:
            column, end_column = self.characters(line, column), self.characters(end_line, end_column)
        return Span(line, column + 1, end_line, end_column + 1)

    def characters(self, line: int, offset: int) -> int:
        """A byte offset into a line, in characters."""
        offsets = self.offsets.get(line)
        if offsets is None:
            text = self.source.lines[line - 1]
            sizes = (len(character.encode("utf-8", "surrogatepass")) for character in text)
            offsets = [0] if text.isascii() else [*(i for i, size in enumerate(sizes) for _ in range(size)), len(text)]
            self.offsets[line] = offsets
        return offsets[offset] if len(offsets) > 1 else offset

    def header(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Span:
        """From `def` or `class` to the end of that line."""
        span = self.span(node)
        text = self.source.lines[span.line - 1]
        return Span(span.line, span.column, span.line, max(span.column + 1, len(text.rstrip()) + 1))

    # -- statements ----------------------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt]) -> Block:
        lowered = [self.statement(statement) for statement in statements]
        return tuple(statement for statement in lowered if statement is not None)

    def statement(self, node: ast.stmt) -> code.Stmt | None:
        span = self.span(node)
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Import() | ast.ImportFrom():
                return None
            case ast.Global() | ast.Nonlocal():
                return None
            case ast.Expr(value=value):
                return code.Evaluate(self.expr(value), span)
            case ast.Assign(targets=targets, value=value):
                return code.Assign(self.exprs(targets), self.expr(value), None, span)
            case ast.AnnAssign(target=target, annotation=annotation, value=optional):
                lowered = self.expr(optional) if optional else None
                return code.Assign((self.expr(target),), lowered, self.annotation(annotation), span)
            case ast.AugAssign(target=target, value=value):
                return code.Augment(self.expr(target), self.expr(value), span)
            case ast.Delete(targets=targets):
                return code.Delete(self.exprs(targets), span)
            case ast.If():
                return self.if_(node, span)
            case ast.While(test=test, body=body, orelse=orelse):
                return code.While(self.expr(test), self.block(body), self.block(orelse), span)
            case (
                ast.For(target=target, iter=iterable, body=body, orelse=orelse)
                | ast.AsyncFor(target=target, iter=iterable, body=body, orelse=orelse)
            ):
                is_async = isinstance(node, ast.AsyncFor)
                return code.For(
                    self.expr(target), self.expr(iterable), self.block(body), self.block(orelse), is_async, span
                )
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                lowered_items = tuple(
                    code.Item(
                        self.expr(item.context_expr), self.expr(item.optional_vars) if item.optional_vars else None
                    )
                    for item in items
                )
                return code.With(lowered_items, self.block(body), isinstance(node, ast.AsyncWith), span)
            case ast.Match(subject=subject, cases=cases):
                return code.Match(self.expr(subject), tuple(map(self.case, cases)), span)
            case ast.Assert(test=test):
                return code.Assert(self.expr(test), span)
            case ast.Return(value=optional):
                return code.Return(self.expr(optional) if optional else None, span)
            case ast.Raise(exc=exc):
                return code.Raise(self.expr(exc) if exc else None, span)
            case ast.Break():
                return code.Break(span)
            case ast.Continue():
                return code.Continue(span)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return code.Define(self.function(node), self.exprs(outside_of(node)), self.header(node))
            case ast.ClassDef():
                return code.DefineClass(self.class_(node), self.exprs(outside_of(node)), self.header(node))
        if hasattr(node, "handlers"):  # ast.Try, and ast.TryStar where the interpreter has it
            return self.try_(node, span)
        return self.other(node, span)

    def if_(self, node: ast.If, span: Span) -> code.If:
        branches = [code.Branch(self.expr(node.test), self.block(node.body))]
        # an `elif` chain is flat here, however long it is
        while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node = node.orelse[0]
            branches.append(code.Branch(self.expr(node.test), self.block(node.body)))
        return code.If(tuple(branches), self.block(node.orelse), span)

    def try_(self, node: Any, span: Span) -> code.Try:
        handlers = tuple(
            code.Handler(self.handler_types(handler.type), handler.name, self.block(handler.body), self.span(handler))
            for handler in node.handlers
        )
        return code.Try(self.block(node.body), handlers, self.block(node.orelse), self.block(node.finalbody), span)

    def handler_types(self, node: ast.expr | None) -> tuple[Expr, ...]:
        if node is None:
            return ()
        return self.exprs(node.elts if isinstance(node, ast.Tuple) else [node])

    def case(self, node: ast.match_case) -> code.Case:
        binds = tuple(
            name
            for part in ast.walk(node.pattern)
            for name in (getattr(part, "name", None), getattr(part, "rest", None))
            if isinstance(name, str)
        )
        irrefutable = isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None and node.guard is None
        return code.Case(binds, self.expr(node.guard) if node.guard else None, self.block(node.body), irrefutable)

    def other(self, node: ast.stmt, span: Span) -> code.Stmt | None:
        """A statement of a newer Python, such as `type X = ...`: only its expressions matter."""
        parts = self.exprs([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)])
        return code.Evaluate(code.Opaque(parts, span), span) if parts else None

    # -- expressions ---------------------------------------------------------------------------------------------

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
                return code.Name(name, span) if path is None else code.Global(path, name, span)
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
                return code.Operation(self.operands(node), span)
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
            return code.Global(canonical(f"{value.path}.{attr}"), f"{value.text}.{attr}", span)
        return code.Attribute(value, attr, span)

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
