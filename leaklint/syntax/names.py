"""Names: from imports, aliases and definitions to canonical dotted names.

A name that nothing binds is a builtin (`builtins.list`). Names bound in a function stay local.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from leaklint.catalog import CATALOG

_ASYNCIO_MODULES = frozenset(
    "base_events coroutines events exceptions futures locks queues runners taskgroups tasks threads timeouts".split()
)

_KNOWN_MODULES = frozenset(path.rpartition(".")[0] for path in CATALOG)


def canonical(path: str) -> str:
    """The public name of what is reached by a private path: `asyncio.tasks.wait` is `asyncio.wait`."""
    parts = path.split(".")
    if len(parts) > 2 and parts[0] == "asyncio" and parts[1] in _ASYNCIO_MODULES:
        return ".".join(["asyncio", *parts[2:]])
    return path


@dataclass
class Scope:
    """What one scope binds. `imports` and `definitions` lead to dotted paths, the rest of `bound` stays a name."""

    kind: str
    qualname: str
    bound: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    declared_global: set[str] = field(default_factory=set)
    declared_nonlocal: set[str] = field(default_factory=set)
    stars: dict[str, bool] = field(default_factory=dict)
    """The modules of which all names are imported, and whether the catalogue knows them."""
    public: set[str] | None = None
    """The names that `__all__` is said to hold."""
    free: set[str] = field(default_factory=set)


def scan(body: Sequence[ast.AST], kind: str, qualname: str, *, package: str) -> Scope:
    """What the statements of one scope bind, scopes within left out.

    `package` is the dotted package that relative imports start from.
    """
    scope = Scope(kind, qualname)
    assigned: dict[str, list[ast.expr | None]] = {}
    for node in own_nodes(body):
        if kind == "module" and (said := _in_all(node)) is not None:
            scope.public = (scope.public or set()) | said
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                scope.bound.add(name)
                assigned.setdefault(name, []).append(None)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name() | ast.Attribute() as value):
                assigned.setdefault(name, []).append(value)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                scope.bound.add(name)
                scope.definitions[name] = f"{qualname}.{name}"
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    scope.imports.setdefault(alias.asname or top, alias.name if alias.asname else top)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module, level, package)
                for alias in names:
                    if alias.name == "*":
                        scope.stars[base] = canonical(f"{base}.").rpartition(".")[0] in _KNOWN_MODULES
                    else:
                        # `from compat import asyncio` is a detour to the module itself
                        found = "asyncio" if alias.name == "asyncio" and not level else f"{base}.{alias.name}"
                        scope.imports.setdefault(alias.asname or alias.name, found)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                scope.bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                scope.bound.add(name)
            case ast.Global(names=declared):
                scope.declared_global.update(declared)
            case ast.Nonlocal(names=declared):
                scope.declared_nonlocal.update(declared)
    scope.bound |= set(scope.imports)
    for node in body:
        # a definition hides the import of that name, unless it is a fallback in a `try` or `if`
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.imports.pop(node.name, None)
    for name, values in assigned.items():
        # `spawn = asyncio.create_task`, the only binding of that name in the scope, is an alias
        if len(values) == 2 and values.count(None) == 1 and name not in scope.imports:
            target = _dotted(next(v for v in values if v is not None))
            if target and (root := target.partition(".")[0]) in scope.imports:
                scope.imports[name] = scope.imports[root] + target[len(root) :]
    return scope


def resolve(name: str, scopes: Sequence[Scope]) -> str | None:
    """The dotted path a name leads to, read in the innermost of the scopes (module first); None for a local.

    Reading a name of an enclosing function is noted in `free` of every scope in between.
    """
    module = scopes[0]
    passed: list[Scope] = []
    for depth in range(len(scopes) - 1, 0, -1):
        scope = scopes[depth]
        if scope.kind == "class" and depth != len(scopes) - 1:
            continue
        if name in scope.declared_global:
            break
        if name in scope.bound and name not in scope.declared_nonlocal:
            if name in scope.imports:
                return canonical(scope.imports[name])
            for between in passed:
                between.free.add(name)
            return None
        passed.append(scope)
    if name in module.imports:
        return canonical(module.imports[name])
    if name in module.definitions:
        return module.definitions[name]
    if name in module.bound or any(name in scope.declared_global for scope in scopes):
        return f"{module.qualname}.{name}"
    for star, known in module.stars.items():
        if known and canonical(f"{star}.{name}") in CATALOG:
            return canonical(f"{star}.{name}")
    return f"builtins.{name}"


def _in_all(node: ast.AST) -> set[str] | None:
    """The names that a statement puts into `__all__`; None for any other statement."""
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.AugAssign(target=ast.Name(id="__all__")):
            value: ast.AST = node.value
        case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
            pass
        case _:
            return None
    constants = (each.value for each in ast.walk(value) if isinstance(each, ast.Constant))
    return {each for each in constants if isinstance(each, str)}


def _absolute(module: str | None, level: int, package: str) -> str:
    """The dotted path of the module in a `from` clause; one that leads out of the outermost package keeps its dots."""
    if not level:
        return module or ""
    parts = package.split(".") if package else []
    above = level - 1 - len(parts)
    if above >= 0:
        return "." * (above + 1) + (module or "")
    base = parts[: len(parts) - (level - 1)]
    return ".".join([*base, *([module] if module else [])])


def _dotted(node: ast.expr | None) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope; of scopes within only the node itself, its decorators, defaults and bases."""
    stack = list(body)[::-1]
    while stack:
        node = stack.pop()
        yield node
        class_: Any = node.__class__
        if class_ in _SCOPES:
            stack.extend(outside_of(node))
            continue
        for name in reversed(_parts(class_)):
            part = getattr(node, name, None)
            if isinstance(part, list):
                stack.extend([each for each in reversed(part) if isinstance(each, ast.AST)])
            elif isinstance(part, ast.AST):
                stack.append(part)


_LEAVES = frozenset({"ctx", "op", "ops", "id", "attr", "kind", "type_comment"})


@cache
def _parts(class_: Any) -> tuple[str, ...]:
    """The fields of a node that can hold nodes with names in them. (`ast.iter_child_nodes` asks for every field.)"""
    return tuple(name for name in class_._fields if name not in _LEAVES)


def outside_of(node: ast.AST) -> list[ast.expr]:
    """What is evaluated where a function, lambda or class is defined: decorators, defaults, bases."""
    match node:
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *_defaults(node.args)]
        case ast.Lambda():
            return _defaults(node.args)
    return []


def _defaults(args: ast.arguments) -> list[ast.expr]:
    return [*args.defaults, *(default for default in args.kw_defaults if default is not None)]
