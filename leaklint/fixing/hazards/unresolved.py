"""Calls and awaits of what cannot be resolved: of a parameter, an attribute, an item, of what `getattr` gives."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import makes_class, path_of, receiver
from leaklint.analysis.resolve import resolved
from leaklint.catalog import LOOP_RUNS, POPPING, Role
from leaklint.fixing.hazards.awaiting import Sort, held, meaning, once_bound
from leaklint.fixing.hazards.following import Guess, Site, Value, Way, way_of_coroutine, way_of_function
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

_MEMBERS = frozenset({"inspect.getmembers", "inspect.getmembers_static"})
_LOOKUPS = frozenset({"builtins.getattr", *_MEMBERS})
_SETTING = frozenset({"types.SimpleNamespace", "builtins.setattr"})
_NAMES = "builtins.globals"
_PROXIES = frozenset({"__getattr__", "__getattribute__"})
_SORTING = _MEMBERS | frozenset(
    """builtins.dir builtins.callable inspect.iscoroutinefunction asyncio.iscoroutinefunction inspect.ismethod
    inspect.isfunction inspect.isroutine inspect.iscoroutine inspect.isawaitable asyncio.iscoroutine""".split()
)
"""Who uses these looks for functions among attributes of all sorts."""
_IMPORTING = frozenset({"importlib.import_module", "builtins.__import__", "sys.modules"})
_TAKING = frozenset({Role.SPAWN, Role.SPAWN_KEPT, Role.GATHER, Role.WAIT_FOR, Role.SHIELD, Role.RUN})
_ONLY_LOST = Way(lost=frozenset({Value.FUNCTION}))


def outlets(lost: frozenset[Value], study: Study) -> Iterator[Site]:
    """Where a function, or a coroutine, may come out that is stored, or handed to what is not known."""
    program = study.program
    everything = program.modules, program.modules[0].functions[0], study
    if Value.FUNCTION in lost:
        yield from _calls(*everything)
    if Value.COROUTINE in lost:
        yield from _awaits(*everything)
    if Value.TASK in lost:
        yield from _waits(*everything)


def looked_up(function: code.Function, study: Study) -> Iterator[Way]:
    """What becomes of what `getattr` gives, where that may be a function or a method."""
    for call, scope in _lookups(study.program.modules, study.program.modules[0].functions[0], study):
        if _may_give(call, function, scope, study):
            way = way_of_function(call, scope, study)
            # what is stored of attributes of any name is data, most of the time
            yield way if _is_told(call) or _sorts(call, scope, study) else way._replace(lost=frozenset())
    if function.owner is None and study.program.mentioning(_NAMES, function.qualname):
        yield _ONLY_LOST


@remembered
def _lookups(root: object, scope: code.Function, study: Study) -> tuple[tuple[code.Call, code.Function], ...]:
    """The calls of `getattr`, and the like, in the program. (Attributes of a proxy are what they are taken for.)"""
    del root, scope
    return tuple(
        (call, scope)
        for module in study.program.modules
        for scope in module.functions
        if not scope.words.isdisjoint(_LOOKUPS) and scope.name not in _PROXIES
        for call in walk(scope.body, code.Call)
        if path_of(call) in _LOOKUPS
    )


def _is_told(call: code.Call) -> bool:
    """Whether a `getattr` says something of the name that it asks for."""
    name = call.args[1] if len(call.args) > 1 else None
    return name is not None and (_ends(name) != ("", "") or isinstance(name, code.Constant))


def _ends(name: Expr) -> tuple[str, str]:
    """How a name begins and ends that is put together at run time."""
    match name:
        case code.Operation(operands=parts) | code.Opaque(parts=parts) if parts:
            first, last = (each.value if isinstance(each, code.Constant) else "" for each in (parts[0], parts[-1]))
            begin = first.partition("%")[0] if isinstance(first, str) else ""
            return begin, last if isinstance(last, str) and begin == first else ""
        case code.Call(func=code.Attribute(value=code.Constant(value=str(pattern)), attr="format")):
            return pattern.partition("{")[0], pattern.rpartition("}")[2]
    return "", ""


def _sorts(call: code.Call, scope: code.Function, study: Study) -> bool:
    """Whether functions are looked for among the attributes of an object whose class is known."""
    if _SORTING.isdisjoint(scope.words) or not call.args:
        return False
    path = path_of(call.args[0]) if isinstance(call.args[0], code.Global) else None
    return path in study.program.scopes or study.kinds.of(call.args[0], scope) is not None


def _may_give(call: code.Call, function: code.Function, scope: code.Function, study: Study) -> bool:
    """Whether a `getattr` may give a function: by the name that it asks for, and by what it asks."""
    match call.args:
        case (holder, code.Constant(value=str(name)), *_):
            return name == function.name and _may_have(holder, function, scope, study)
        case (holder, *rest):
            begin, end = _ends(rest[0]) if rest else ("", "")
            is_named = function.name.startswith(begin) and function.name.endswith(end)
            return is_named and _may_have(holder, function, scope, study)
    return False


def _may_have(holder: Expr, function: code.Function, scope: code.Function, study: Study) -> bool:
    program = study.program
    path = path_of(holder) if isinstance(holder, code.Global) else None
    if function.owner is None:
        if path in program.scopes:
            return function.qualname == f"{path}.{function.name}"
        return isinstance(holder, code.Name | code.Call) and not _IMPORTING.isdisjoint(scope.words)
    kind = path if path in program.classes else study.kinds.of(holder, scope)
    return kind is None or function.owner in program.family(kind)


# -- values ------------------------------------------------------------------------------------------------------------


@remembered
def _calls(root: object, scope: code.Function, study: Study) -> tuple[Site, ...]:
    """Where what calls of unresolved callees give is awaited, in the whole program."""
    del root, scope
    return tuple(
        site
        for module in study.program.modules
        for scope in module.functions
        if scope.kind == "function"
        for call in given_on(scope)
        if is_value(call.func, scope, study)
        for site in _guessed(call, scope, study)
    )


def given_on(scope: code.Function) -> Iterator[code.Call]:
    """The calls in a function that may give coroutines: those that it returns if it does not await."""
    if scope.is_async:
        yield from walk(scope.body, code.Call)
    else:
        yield from (each.value for each in walk(scope.body, code.Return) if isinstance(each.value, code.Call))


@remembered
def _awaits(root: object, scope: code.Function, study: Study) -> tuple[Site, ...]:
    """Where values that are not known are awaited, in the whole program."""
    del root, scope
    return tuple(
        site
        for module in study.program.modules
        for scope in module.functions
        if scope.kind == "function"
        for value in taken(scope, study)
        if is_unknown(value, scope, study)
        for site in _guessed(value, scope, study)
    )


@remembered
def _waits(root: object, scope: code.Function, study: Study) -> tuple[Site, ...]:
    """Where tasks that are not known are awaited, or asked for their results, in the whole program."""
    del root, scope
    found: list[Site] = []
    for module in study.program.modules:
        for scope in module.functions:
            for node in walk(scope.body, (code.Await, code.Call)) if scope.is_async or "result" in scope.words else ():
                match node:
                    case code.Await(value=value) if _is_task(value, scope, study):
                        found.append(Site(scope, node.span, is_awaited=True, guess=Guess.VALUE))
                    case code.Call(func=code.Attribute(value=value, attr="result"), args=()):
                        if _is_task(value, scope, study):
                            found.append(Site(scope, node.span, is_awaited=True, guess=Guess.VALUE))
    return tuple(found)


def _is_task(value: Expr, scope: code.Function, study: Study) -> bool:
    """Whether it is a name, an attribute, or an item that may hold any task; not what the object itself keeps."""
    match value:
        case code.Subscript() | code.Await():
            return True
        case code.Call(func=code.Attribute(attr=attr)):
            return attr in POPPING
        case code.Name(id=name):
            return once_bound(name, scope, study) is None and held(value, scope, study) is None
        case code.Attribute(value=code.Name(id=name)):
            return name != receiver(scope)
    return False


def taken(scope: code.Function, study: Study) -> Iterator[Expr]:
    """What a function awaits, or makes tasks of."""
    words = study.kinds.spawn_words | LOOP_RUNS | {"run"}
    if not scope.is_async and words.isdisjoint(scope.words):
        return
    for node in walk(scope.body, (code.Await, code.Call)):
        match node:
            case code.Await(value=value):
                yield value
            case code.Call(func=func, args=args):
                runs = isinstance(func, code.Attribute) and func.attr in LOOP_RUNS
                if runs or study.kinds.role_of_callee(func, scope) in _TAKING:
                    yield from (arg.value if isinstance(arg, code.Starred) else arg for arg in args)


def _guessed(node: Expr, scope: code.Function, study: Study) -> Iterator[Site]:
    """Where it comes out that an expression gives a coroutine."""
    way = way_of_coroutine(node, scope, study)
    for site in way.sites:
        yield site._replace(guess=Guess.VALUE)
    if way.is_returned and not scope.is_async:
        yield Site(scope, span_of(node), is_awaited=False, guess=Guess.VALUE, is_returned=True)


def is_unknown(value: Expr, scope: code.Function, study: Study) -> bool:
    """Whether what is awaited is a name, an attribute, or an item that may hold any coroutine."""
    match value:
        case code.Await() | code.Subscript():
            return True
        case code.Name(id=name):
            made = once_bound(name, scope, study)
            if made is not None and is_of_library(path_of(made), study):
                return False
        case code.Attribute():
            pass
        case _:
            return False
    is_known = meaning(value, scope, study).sort is not Sort.UNKNOWN
    return not is_known and held(value, scope, study) is None


def is_of_library(path: str | None, study: Study) -> bool:
    """Whether a dotted path leads out of the program."""
    if path is None:
        return False
    root = path.partition(".")[0]
    return all(module.module.partition(".")[0] != root for module in study.program.modules)


def is_value(callee: Expr, scope: code.Function, study: Study) -> bool:
    """Whether a callee is a name, an attribute, or an item that may hold any function."""
    kinds, program = study.kinds, study.program
    match callee:
        case code.Subscript():
            return True
        case code.Call(func=func):
            return path_of(func) not in program.classes and not is_of_library(path_of(callee), study)
        case code.Name(id=name):
            return resolved(callee, scope, kinds) is None and not makes_class(scope, name)
        case code.Attribute(value=holder, attr=attr):
            if attr in _set_from_outside(program.modules, program.modules[0].functions[0], study):
                return True
            if resolved(callee, scope, kinds) is not None:
                return False
            if isinstance(holder, code.Name) and holder.id == receiver(scope):
                return True
            kind = kinds.of(holder, scope)  # methods of others are known by their names
            family = program.family(kind) if kind is not None else None
            declaring = kinds.declaring(attr)
            return bool(declaring) if family is None else not declaring.isdisjoint(family)
        case code.Global(path=path):
            prefix, _, name = path.rpartition(".")
            is_defined = path in program.classes or resolved(callee, scope, kinds) is not None
            holder_ = program.scopes.get(prefix)
            return not is_defined and holder_ is not None and bool(kinds.bindings(holder_).get(name))
    return False


@remembered
def _set_from_outside(root: object, scope: code.Function, study: Study) -> frozenset[str]:
    """The attributes in the program that others than the methods of their class set."""
    del root, scope
    found: set[str] = set()
    for module in study.program.modules:
        for scope in module.functions:
            for assign in walk(scope.body, code.Assign):
                for target in assign.targets:
                    match target:
                        case code.Attribute(value=holder, attr=attr):
                            is_own = isinstance(holder, code.Name) and holder.id == receiver(scope)
                            found |= set() if is_own else {attr}
                        case code.Global(path=path) if path.rpartition(".")[0] in study.program.classes:
                            found.add(path.rpartition(".")[2])
            for call in walk(scope.body, code.Call) if not scope.words.isdisjoint(_SETTING) else ():
                match call:
                    case code.Call(func=code.Global(path="types.SimpleNamespace"), keywords=keywords):
                        found |= {keyword.name for keyword in keywords if keyword.name is not None}
                    case code.Call(
                        func=code.Global(path="builtins.setattr"), args=[_, code.Constant(value=str(attr)), _]
                    ):
                        found.add(attr)
    return frozenset(found)
