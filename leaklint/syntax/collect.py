"""The one pass over a syntax tree: a parsed file in, `ModuleFacts` out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from leaklint.catalog.anyio_history import Form, removed
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.facts import ModuleFacts, ModuleNames
from leaklint.syntax.expressions import Expressions
from leaklint.syntax.names import Scope, outside_of, own_nodes, scan
from leaklint.syntax.source import Source


def collect(source: Source, *, module: str) -> ModuleFacts:
    """The facts of a parsed file.

    `module` is its dotted name; relative imports are resolved from it. Raises nothing: whatever a syntax tree can hold
    has a lowered form.
    """
    collector = _Collector(source, module)
    top = collector.run()
    return ModuleFacts(
        path=source.path,
        module=module,
        functions=tuple(function for function in collector.functions if function is not None),
        classes=tuple(scope for scope in collector.classes if scope is not None),
        names=_names(top, source.tree),
        comments=source.comments,
    )


def collect_names(source: Source, *, module: str) -> ModuleNames:
    """The names of a parsed file alone: what `collect` says of them, for a fraction of its time."""
    return _names(scan(source.tree.body, "module", module, package=_package(source, module)), source.tree)


def _names(top: Scope, tree: ast.Module) -> ModuleNames:
    imports = {name: path for name, path in top.imports.items() if name not in top.definitions}
    return ModuleNames(
        module=top.qualname,
        imports=tuple(imports.items()),
        stars=tuple(top.stars),
        public=None if top.public is None else frozenset(top.public),
        defined=frozenset(_defined(tree.body, top.qualname)),
        variables=frozenset(top.bound - set(imports) - set(top.definitions)),
    )


def _defined(body: Sequence[ast.AST], prefix: str) -> Iterator[str]:
    """The functions and classes of a module, and of the classes in it."""
    for node in own_nodes(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{prefix}.{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _defined(node.body, f"{prefix}.{node.name}")


def _package(source: Source, module: str) -> str:
    return module if source.path.endswith("__init__.py") else module.rpartition(".")[0]


class _Collector(Expressions):
    """Lowers a tree; the stack of scopes tells what a name means where it is read."""

    def __init__(self, source: Source, module: str) -> None:
        super().__init__(source)
        self.module = module
        self.package = _package(source, module)
        self.lambdas: dict[ast.Lambda, code.Function] = {}
        # places are kept for scopes in the order in which they begin, and filled when they are left
        self.functions: list[code.Function | None] = []
        self.classes: list[code.Class | None] = []

    def run(self) -> Scope:
        """Lowers the file; what its top level binds."""
        tree = self.source.tree
        end = len(self.source.lines)
        span = Span(1, 1, max(1, end), 1)
        top: list[Scope] = []

        def lower() -> Block:
            top.append(self.scopes[0])
            return self.block(tree.body)

        self.scope("module", self.module, tree.body, lower, span=span)
        return top[0]

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
        self.words.append(set())
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
            words=frozenset(self.words.pop()),
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

    # -- statements ----------------------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt]) -> Block:
        lowered = [self.statement(statement) for statement in statements]
        return tuple(statement for statement in lowered if statement is not None)

    def statement(self, node: ast.stmt) -> code.Stmt | None:
        span = self.span(node)
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                return None
            case ast.Import() | ast.ImportFrom():
                return self.import_(node, span)
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

    def import_(self, node: ast.Import | ast.ImportFrom, span: Span) -> code.Stmt | None:
        """What an import asks of a library that no longer has it; all other imports are in the tables of names."""
        within = "" if isinstance(node, ast.Import) else f"{'.' * node.level}{node.module or ''}."
        gone = [
            self.global_(path, alias.asname or alias.name, self.span(alias))
            for alias in node.names
            if (path := f"{within}{alias.name}").startswith("anyio.") and removed(Form.NAME, path)
        ]
        return code.Evaluate(code.Opaque(tuple(gone), span), span) if gone else None

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
