"""Programs of several modules, made to report to a ledger: which function runs, and which call gives it a task.

The text that leaklint sees stays as it is; what runs is its tree with a decorator on every function and a wrapper
around every call that spawns or that names a function of the program. Modules are loaded anew for each run, by an
import of their own: nothing gets into `sys.modules`.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from generative.loop import PROGRAM, silent

SPAWNING = frozenset({"create_task", "ensure_future"})


class Place(NamedTuple):
    """A call; line and column count from 1."""

    module: str
    line: int
    column: int
    awaited: int | None
    """The column of the `await` around it, which stands on the same line."""
    name: str
    """The last name of what is called."""
    function: str
    """The name of the function that it stands in."""
    returned: bool
    """That function may return what the call gives: it returns something."""


class Instrumented(NamedTuple):
    codes: Mapping[str, CodeType]
    """The modules by their dotted names; the first defines `host`."""
    places: Sequence[Place]
    """The calls that may give a task, by their numbers."""


class Watcher(NamedTuple):
    """What the program reports to."""

    call: Callable[[int, Callable[..., Any]], Callable[..., Any]]
    """Wraps the function that is called at a numbered place."""
    function: Callable[[Callable[..., Any]], Callable[..., Any]]
    """Decorates a function."""


def instrument(sources: Mapping[str, str]) -> Instrumented:
    """The modules of a program, by their dotted names, ready to be run."""
    trees = {module: ast.parse(source) for module, source in sources.items()}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    defined = {node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, functions)}
    places: list[Place] = []
    codes = {}
    for module, tree in trees.items():
        marked = _Marker(module, defined | SPAWNING, places).visit(tree)
        codes[module] = compile(ast.fix_missing_locations(marked), PROGRAM, "exec")
    return Instrumented(codes, places)


class _Marker(ast.NodeTransformer):
    def __init__(self, module: str, names: set[str], places: list[Place]) -> None:
        self._module = module
        self._names = names
        self._places = places
        self._awaited: dict[int, int] = {}
        self._functions: list[tuple[str, bool]] = []

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self._awaited[id(node.value)] = node.col_offset + 1
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in self._names:
            number = len(self._places)
            awaited = self._awaited.get(id(node))
            place = Place(self._module, node.lineno, node.col_offset + 1, awaited, name, *self._functions[-1])
            self._places.append(place)
            wrapper = ast.Name("__call__", ast.Load())
            node.func = ast.copy_location(ast.Call(wrapper, [ast.Constant(number), node.func], []), node.func)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        returns = any(isinstance(each, ast.Return) and each.value is not None for each in ast.walk(node))
        self._functions.append((node.name, returns))
        self.generic_visit(node)
        self._functions.pop()
        node.decorator_list.append(ast.Name("__function__", ast.Load()))
        return node


class Loader:
    """Loads the modules of a program; each loader has modules of its own."""

    def __init__(self, codes: Mapping[str, CodeType], watcher: Watcher) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._codes = codes
        own = {**vars(builtins), "__import__": self._import, "print": silent}
        self._names = {"__builtins__": own, "__call__": watcher.call, "__function__": watcher.function}

    def load(self, name: str) -> ModuleType:
        if name not in self.modules:
            module = self.modules[name] = ModuleType(name)
            package, _, last = name.rpartition(".")
            vars(module).update(self._names, __package__=package)
            if package:
                setattr(self.load(package), last, module)
            if name in self._codes:
                exec(self._codes[name], vars(module))
        return self.modules[name]

    def _import(
        self,
        name: str,
        names: Mapping[str, object] | None = None,
        _locals: object = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level:
            assert names is not None
            name = f"{names['__package__']}.{name}".rstrip(".")
        if not any(code == name or code.startswith(f"{name}.") for code in self._codes):
            return builtins.__import__(name, None, None, wanted or (), 0)
        module = self.load(name)
        for each in wanted or ():
            if f"{name}.{each}" in self._codes:
                self.load(f"{name}.{each}")
        return module if wanted else self.load(name.partition(".")[0])
