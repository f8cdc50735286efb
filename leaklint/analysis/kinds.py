"""What a value is: the dotted name of its class, as far as imports, annotations and assignments tell.

Flow-insensitive and shallow on purpose: it answers "is this an event loop, a task group, an instance of that class of
the project?", and None when nothing says so.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

from leaklint.analysis.program import Program
from leaklint.catalog import BASE, CONTAINER_TYPES, LOOP_SPAWNS, SYNCHRONISATION, Catalog, Role
from leaklint.catalog.anyio_history import ENDS
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

TASK = "asyncio.Task"
FUTURE = "asyncio.Future"
_DEEPEST = 6
_WRAPPERS = ("Optional", "Union", "Annotated", "Final", "ClassVar", "InitVar", "Required", "NotRequired")
_SAYING_NOTHING = (*_WRAPPERS, "Any", "object", "Self", "TypeAlias")
"""Annotations that name no class when they stand alone: the value decides."""
FUTURES = ("create_future", "run_in_executor", "wrap_future")
"""What gives a future: methods of an event loop, and a function of asyncio."""
_AWAITABLE = ("typing.Awaitable", "collections.abc.Awaitable")
"""Annotations that name a coroutine as well as a future."""
_TYPES = (Role.LOOP, Role.GROUP, Role.OWNER, Role.OBJECT, Role.STACK)


class Binding(NamedTuple):
    """One thing a name or attribute is bound to: a `value`, a `type`, or what entering a `context` gives."""

    how: str
    expr: Expr
    function: code.Function


def role_of(path: str | None) -> Role | None:
    """What the catalogue says of a dotted path, the configuration left out."""
    return BASE.role(path)


class Kinds:
    def __init__(self, program: Program, catalog: Catalog = BASE) -> None:
        self.program = program
        self.catalog = catalog
        self._bindings: dict[str, dict[str, list[Binding]]] = {}
        self._known: dict[tuple[int, str], str | None] = {}

    def role_of(self, path: str | None) -> Role | None:
        """What the catalogue says of a dotted path."""
        return self.catalog.role(path)

    def role_of_kind(self, kind: str | None) -> Role | None:
        """What the catalogue says of a class, or of the nearest of its bases."""
        ancestors = self.program.ancestors(kind) if kind else ()
        return next((role for ancestor in ancestors if (role := self.catalog.role(ancestor))), None)

    def role_of_callee(self, callee: Expr, function: code.Function) -> Role | None:
        """What the catalogue says of a callee, read in a function: by its path, or by the class of its receiver."""
        match callee:
            case code.Global(path=path):
                name = path.rpartition(".")[2]
                return self.catalog.role(path) or self.role_of_method(self.of_receiver(callee, function), name)
            case code.Attribute(attr=attr):
                return self.role_of_method(self.of_receiver(callee, function), attr)
        return None

    def of_receiver(self, callee: Expr, function: code.Function) -> str | None:
        """The class of what a method is called on, read in a function."""
        match callee:
            case code.Global(path=path):
                return self.of_path(path.rpartition(".")[0])
            case code.Attribute(value=value):
                return self.of(value, function)
        return None

    def is_owner(self, kind: str | None) -> bool:
        """Whether a class waits for the tasks that its methods start or are given."""
        return self.role_of_kind(kind) is Role.OWNER

    def role_of_method(self, kind: str | None, name: str) -> Role | None:
        """What the catalogue says of a method of a class or of one of its bases."""
        ancestors = self.program.ancestors(kind) if kind else ()
        return next((role for ancestor in ancestors if (role := self.catalog.role(f"{ancestor}.{name}"))), None)

    def is_decorated(self, function: code.Function, role: Role) -> bool:
        """Whether a function has a decorator of a role."""
        return any(self.catalog.role(path_of(decorator)) is role for decorator in function.decorators)

    @cached_property
    def spawn_words(self) -> frozenset[str]:
        """A scope that mentions none of these words spawns nothing."""
        return self.catalog.spawn_words | self.workers | {path.rpartition(".")[2] for path in self.partials}

    @cached_property
    def partials(self) -> dict[str, str]:
        """The variables of modules that are partials of a dotted path, by their own path."""
        return {
            target.path: path
            for module in self.program.modules
            if "functools.partial" in module.functions[0].words
            for statement in module.functions[0].body
            if isinstance(statement, code.Assign) and isinstance(statement.value, code.Call)
            for target in statement.targets
            if path_of(statement.value) == "functools.partial" and statement.value.args
            if isinstance(target, code.Global) and (path := path_of(statement.value.args[0])) is not None
        }

    @cached_property
    def workers(self) -> frozenset[str]:
        """The names of the functions that a decorator makes start a task."""
        return frozenset(f.name for f in self.program.functions.values() if self.is_decorated(f, Role.WORKER))

    def of_path(self, path: str) -> str | None:
        """The class of the value that a dotted path leads to."""
        return self._global(path, 0)

    def of(self, expr: Expr, function: code.Function) -> str | None:
        """The class of an expression's value, read in a function."""
        key = (id(expr), function.qualname)
        if key not in self._known:
            self._known[key] = self._of(expr, function, 0)
        return self._known[key]

    def _of(self, expr: Expr, function: code.Function, depth: int) -> str | None:
        if depth > _DEEPEST:
            return None
        match expr:
            case code.Name(id=name):
                return self._name(name, function, depth)
            case code.Global(path=path):
                return self._global(path, depth)
            case code.Attribute(value=value, attr=attr):
                owner = self._of(value, function, depth + 1)
                return self.attribute(owner, attr, depth + 1) if owner else None
            case code.Call(func=func, args=args):
                return self._call(func, args, function, depth)
            case code.Await(value=code.Call(func=code.Attribute(attr="enter_async_context"), args=[context])):
                return self._of(context, function, depth + 1)
            case code.Await(value=value) | code.Walrus(value=value):
                return self._of(value, function, depth + 1)
            case code.Conditional(then=then, orelse=orelse):
                return self._of(then, function, depth + 1) or self._of(orelse, function, depth + 1)
            case code.Boolean(values=values):
                return next((kind for value in values if (kind := self._of(value, function, depth + 1))), None)
            case code.Display(kind=kind) | code.Comprehension(kind=kind):
                return f"builtins.{kind}"
            case code.Operation(operands=[code.Display(kind=kind), *_]):
                return f"builtins.{kind}"  # `[None] * 3`
        return None

    def attribute(self, owner: str, attr: str, depth: int = 0) -> str | None:
        """The class of an attribute of an instance of `owner`."""
        for ancestor in self.program.ancestors(owner):
            for binding in self._attributes.get((ancestor, attr), ()):
                if kind := self._bound(binding, depth + 1):
                    return kind
            method = self.program.functions.get(f"{ancestor}.{attr}")
            if method and any("property" in last_name(decorator) for decorator in method.decorators):
                return self.returned(method, depth + 1)
            if kind := self._declared(f"{ancestor}.{attr}"):
                return kind
        return None

    def _declared(self, path: str) -> str | None:
        """What the catalogue says that an attribute of a type is, or a decorator makes of a function."""
        if kind := self.catalog.type_of(path):
            return kind
        if self.catalog.role(path) is Role.OBJECT:
            return path
        function = self.program.functions.get(path)
        made = (self.catalog.type_of(path_of(decorator) or "") for decorator in function.decorators) if function else ()
        return next((kind for kind in made if kind), None)

    def declaring(self, attr: str) -> frozenset[str]:
        """The classes of the program that have an attribute of that name."""
        return self._declaring.get(attr, frozenset())

    @cached_property
    def _declaring(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for owner, attr in self._attributes:
            found[attr].add(owner)
        return {attr: frozenset(owners) for attr, owners in found.items()}

    def assigned(self, owner: str, attr: str) -> list[Binding]:
        """What an attribute of a class is bound to, also by its bases."""
        return [b for name in self.program.ancestors(owner) for b in self._attributes.get((name, attr), ())]

    def makes_itself(self, owner: str, attr: str) -> bool:
        """Whether a class makes what it keeps in an attribute: binds it to a new object, not to what it was given."""
        bindings = self.assigned(owner, attr)
        values = [binding.expr for binding in bindings if binding.how == "value"]
        if any(isinstance(value, code.Call | code.Display | code.Comprehension | code.Operation) for value in values):
            return True
        annotated = any(binding.how == "type" for binding in bindings)
        return annotated and not any(isinstance(value, code.Name | code.Attribute) for value in values)

    def returned(self, function: code.Function, depth: int = 0) -> str | None:
        """The class of what a call of a function of the program returns (awaited, if it is a coroutine function)."""
        if function.returns is not None:
            kind = function.owner if last_name(function.returns) == "Self" else self.annotated(function.returns)
            return FUTURE if kind in _AWAITABLE and self.gives_futures(function, depth) else kind
        if function.is_generator or depth > _DEEPEST:
            return None
        for statement in walk(function.body, code.Return):
            if statement.value is not None and (kind := self._of(statement.value, function, depth + 1)):
                return kind
        return None

    def gives_futures(self, function: code.Function, depth: int = 0) -> bool:
        """Whether a plain function gives nothing but futures and tasks: its annotation says so, or all it returns."""
        if function.is_async or function.is_generator or depth > _DEEPEST:
            return False
        if function.returns is not None and self.annotated(function.returns) in (TASK, FUTURE):
            return True
        values = [statement.value for statement in walk(function.body, code.Return)]
        kinds = [self._of(value, function, depth + 1) if value is not None else None for value in values]
        return bool(kinds) and all(kind in (TASK, FUTURE) for kind in kinds)

    def annotated(self, annotation: Expr) -> str | None:
        """The class an annotation names; `Optional` and its like are looked through."""
        match annotation:
            case code.Global(path=path):
                return None if last_name(annotation) in _SAYING_NOTHING else path
            case code.Subscript(value=value, index=index):
                if last_name(value) in _WRAPPERS:
                    parts = index.items if isinstance(index, code.Display) else (index,)
                    return next((kind for part in parts if (kind := self.annotated(part))), None)
                return self.annotated(value)
            case code.Operation(operands=operands):
                return next((kind for part in operands if (kind := self.annotated(part))), None)
        return None

    # -- names ---------------------------------------------------------------------------------------------------

    def _name(self, name: str, function: code.Function, depth: int) -> str | None:
        scope: code.Function | None = function
        while scope is not None and name not in scope.local_names:
            scope = self.program.enclosing(scope)
        if scope is None:
            return None
        if kind := self._declared(f"{scope.qualname}.{name}"):
            return kind
        if name == receiver(scope):
            annotation = scope.params[0].annotation
            kind = self.annotated(annotation) if annotation is not None else None
            # a class that is derived from this one says more; a protocol says less
            return kind if kind and scope.owner in self.program.ancestors(kind) else scope.owner
        for binding in self.bindings(scope).get(name, ()):
            if kind := self._bound(binding, depth + 1):
                return kind
        return None

    def _global(self, path: str, depth: int) -> str | None:
        prefix, _, name = path.rpartition(".")
        if module := self.program.scopes.get(prefix):
            for binding in self.bindings(module).get(name, ()):
                if kind := self._bound(binding, depth + 1):
                    return kind
        return self._declared(path)

    def _call(self, func: Expr, args: tuple[Expr, ...], function: code.Function, depth: int) -> str | None:
        if isinstance(func, code.Global):
            role = self.role_of(func.path)
            if role in (Role.SPAWN, Role.SPAWN_KEPT):
                return TASK
            if role is Role.SAME and args:
                return self.annotated(args[0]) or self._of(args[-1], function, depth + 1)
            if kind := self.catalog.type_of(func.path):
                return kind
            if role in _TYPES or func.path in CONTAINER_TYPES or func.path in SYNCHRONISATION:
                return func.path
            if func.path in self.program.classes:
                return func.path
            if func.path in self.program.functions:
                return self.returned(self.program.functions[func.path], depth + 1)
            return None
        if isinstance(func, code.Name):
            return function.owner if makes_class(function, func.id) else None
        if isinstance(func, code.Attribute):
            if args and self._is_spawner(args[0], function, depth):
                return TASK  # `context.run(loop.create_task, coroutine)`
            owner = self._of(func.value, function, depth + 1)
            if self.role_of(owner) is Role.LOOP:
                return TASK if func.attr in LOOP_SPAWNS else FUTURE if func.attr in FUTURES else None
            if owner and (method := self.program.method(owner, func.attr)):
                return self.returned(method, depth + 1)
            if owner and (kind := self.catalog.type_of(f"{owner}.{func.attr}")):
                return kind
            if self.role_of_method(owner, func.attr) in (Role.SPAWN, Role.SPAWN_KEPT):
                return TASK
            if func.attr in ("get_event_loop", "get_running_loop"):
                return "asyncio.AbstractEventLoop"
        return None

    def _is_spawner(self, expr: Expr, function: code.Function, depth: int) -> bool:
        """Whether an expression refers to a function that spawns, without calling it."""
        if isinstance(expr, code.Attribute) and expr.attr in LOOP_SPAWNS:
            kind = self._of(expr.value, function, depth + 1)
            return self.role_of(kind) is Role.LOOP or (kind is None and guess_from_spelling(expr.value) is Role.LOOP)
        return isinstance(expr, code.Global) and self.role_of(expr.path) is Role.SPAWN

    def _bound(self, binding: Binding, depth: int) -> str | None:
        if binding.how == "type":
            return self.annotated(binding.expr)
        return self._of(binding.expr, binding.function, depth)

    # -- tables --------------------------------------------------------------------------------------------------

    def bindings(self, function: code.Function) -> dict[str, list[Binding]]:
        """What each name of a scope is bound to, parameters included."""
        found = self._bindings.get(function.qualname)
        if found is None:
            found = defaultdict(list)
            for param in function.params:
                if param.annotation is not None and param.kind in ("positional", "keyword"):
                    found[param.name].append(Binding("type", param.annotation, function))
                if param.default is not None:
                    found[param.name].append(Binding("value", param.default, function))
            for target, binding in _assignments(function):
                if isinstance(target, code.Name):
                    found[target.id].append(binding)
                elif isinstance(target, code.Global) and function.kind == "module":
                    found[target.path.rpartition(".")[2]].append(binding)
            self._bindings[function.qualname] = found
        return found

    @cached_property
    def _attributes(self) -> dict[tuple[str, str], list[Binding]]:
        """What each attribute of each class is bound to, in its body and through `self`; annotations first."""
        found: dict[tuple[str, str], list[Binding]] = defaultdict(list)
        for scope in self.program.classes.values():
            for name, bindings in self.bindings(scope.body).items():
                found[scope.qualname, name].extend(bindings)
            for method in scope.methods:
                itself = selves(method)
                for target, binding in _assignments(method):
                    match target:
                        case code.Attribute(value=code.Name(id=name), attr=attr) if name in itself:
                            found[scope.qualname, attr].append(binding)
        for bindings in found.values():
            bindings.sort(key=lambda binding: binding.how != "type")
        return found


def guess_from_spelling(expr: Expr) -> Role | None:
    """The only guess from spelling: what a receiver that nothing resolves is taken for, by its last name."""
    name = last_name(expr).lower()
    if name in ("loop", "event_loop", "eventloop") or name.endswith("_loop"):
        return Role.LOOP
    if name in ("tg", "task_group", "taskgroup", "nursery") or name.endswith(("_tg", "_task_group", "_nursery")):
        return Role.GROUP
    return None


def receiver(function: code.Function) -> str | None:
    """The name of `self` in a method."""
    if function.owner is None or function.kind != "function" or not function.params:
        return None
    if any(last_name(decorator) == "staticmethod" for decorator in function.decorators):
        return None
    return function.params[0].name


def makes_class(function: code.Function, name: str) -> bool:
    """Whether a name is the class that a class method is called on."""
    is_class = any(path_of(decorator) == "builtins.classmethod" for decorator in function.decorators)
    return is_class and name == receiver(function)


def selves(method: code.Function) -> set[str]:
    """The names in a method of objects of its class: `self`, and what a class method makes by `cls()`."""
    found = {receiver(method) or ""}
    for node in walk(method.body, code.Assign):
        match node:
            case code.Assign(targets=[code.Name(id=name)], value=code.Call(func=code.Name(id=made))):
                if makes_class(method, made):
                    found.add(name)
    return found


def path_of(expr: Expr) -> str | None:
    """The dotted path an expression leads to; that of the callee for a call."""
    named = expr.func if isinstance(expr, code.Call) else expr
    return named.path if isinstance(named, code.Global) else None


def last_name(expr: Expr) -> str:
    """The last part of a dotted name, of the callee for a call; empty for anything else."""
    match expr:
        case code.Name(id=name):
            return name
        case code.Global(path=path):
            return path.rpartition(".")[2]
        case code.Attribute(attr=attr):
            return attr
        case code.Call(func=func):
            return last_name(func)
    return ""


def _assignments(function: code.Function) -> list[tuple[Expr, Binding]]:
    found: list[tuple[Expr, Binding]] = []
    for node in walk(function.body, (code.Assign, code.Walrus, code.With)):
        match node:
            case code.Assign(targets=targets, value=value, annotation=annotation):
                for target in targets:
                    if annotation is not None:
                        found.append((target, Binding("type", annotation, function)))
                    if value is not None:
                        found.extend((t, Binding("value", v, function)) for t, v in pairs(target, value))
            case code.Walrus(target=target, value=value):
                found.append((target, Binding("value", value, function)))
            case code.With(items=items):
                found.extend((item.target, Binding("context", item.context, function)) for item in items if item.target)
    return found


def pairs(target: Expr, value: Expr) -> list[tuple[Expr, Expr]]:
    """`a, b = x, y` is two assignments; so is `a, b = f()`, where it is known of what classes the two are."""
    if isinstance(target, code.Display) and isinstance(value, code.Call):
        made = value.func.value if isinstance(value.func, code.Subscript) else value.func
        ends = ENDS.get(path_of(made) or "", ())
        return [(each, code.Global(end, end, value.span)) for each, end in zip(target.items, ends, strict=False)]
    if isinstance(target, code.Display) and isinstance(value, code.Display) and len(target.items) == len(value.items):
        return list(zip(target.items, value.items, strict=True))
    return [(target, value)]
