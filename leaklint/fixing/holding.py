"""What holds the handles of tasks in a function, and where they go from there."""

from __future__ import annotations

from collections.abc import Container, Sequence

from leaklint.analysis.kinds import last_name
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk


def live_names(names: Sequence[str], call: code.Call, function: code.Function) -> tuple[str, ...]:
    """The names that hold handles which may still run, or what waits for them: these, and what is made of them."""
    live = dict.fromkeys(names)
    for assign in walk(function.body, code.Assign):
        targets = [each.id for each in walk(assign.targets, code.Name)]
        if isinstance(assign.value, code.Await):
            if _returns_sets(assign.value.value, call, live):
                live |= dict.fromkeys(targets[1:] if len(targets) > 1 else targets)  # the first are done
        elif assign.value is not None and (
            any(each is call for each in walk(assign.value, code.Call)) or _holds(assign.value, live)
        ):
            live |= dict.fromkeys(targets)
    return tuple(live)


def _returns_sets(awaited: Expr, call: code.Call, live: Container[str]) -> bool:
    """Whether what is awaited is an `asyncio.wait`, which gives back its tasks."""
    if not isinstance(awaited, code.Call) or last_name(awaited.func) != "wait" or not awaited.args:
        return False
    return awaited is call or any(name.id in live for name in walk(awaited.args[0], code.Name))


def _holds(value: Expr, live: Container[str]) -> bool:
    """Whether an expression may give a handle of these names, or something that holds one."""
    if any(isinstance(part, code.Name) and part.id in live for part in (value, *_parts(value))):
        return True
    return any(_holds(part, live) for part in _parts(value))


def _parts(value: Expr) -> tuple[Expr, ...]:
    """The parts of an expression that its value may hold; what a method is called on is none."""
    match value:
        case code.Call(args=args, keywords=keywords):
            return (*args, *(keyword.value for keyword in keywords))
        case code.Display(items=items, keys=keys):
            return (*items, *keys)
        case code.Comprehension(element=element, clauses=clauses) if not isinstance(element, code.Call):
            return (element, *(clause.iterable for clause in clauses))
        case code.Conditional(then=then, orelse=orelse):
            return (then, orelse)
        case code.Boolean(values=values) | code.Operation(operands=values):
            return values
        case code.Starred(value=inner) | code.Subscript(value=inner):
            return (inner,)
    return ()


def mentions(statement: code.Stmt, names: Sequence[str], function: code.Function, study: Study) -> bool:
    """Whether a statement mentions one of some names, or may call a function within that does."""
    if any(name.id in names for name in walk(statement, code.Name)):
        return True
    within = [scope for scope in study.program.inside(function) if scope is not function]
    return any(not scope.free_names.isdisjoint(names) for scope in within)


def escape_of(name: str, function: code.Function) -> Hazard | None:
    """`handle-escapes`: a handle, or what holds it, goes where this function cannot follow it."""
    message = "`{}` is {} on line {}: others may wait for the tasks"
    for statement in walk(function.body, (code.Return, code.Yield)):
        if statement.value is not None and _gives(statement.value, name):
            return Hazard("handle-escapes", message.format(name, "handed on", statement.span.line), blocks=True)
    for assign in walk(function.body, code.Assign):
        kept = any(isinstance(target, code.Attribute | code.Subscript | code.Global) for target in assign.targets)
        if kept and assign.value is not None and _gives(assign.value, name):
            return Hazard("handle-escapes", message.format(name, "kept", assign.span.line), blocks=True)
    for call in walk(function.body, code.Call):
        given = (*call.args, *(keyword.value for keyword in call.keywords))
        if any(_gives(each, name) for each in given) and not _is_looking(call, function):
            what = f"passed to `{text(call.func)}`"
            return Hazard("handle-escapes", message.format(name, what, call.span.line), blocks=True)
    return None


def _gives(value: Expr, name: str) -> bool:
    """Whether an expression is a name, or a container written out that holds it."""
    match value:
        case code.Name(id=id_):
            return id_ == name
        case code.Starred(value=inner):
            return _gives(inner, name)
        case code.Display(items=items):
            return any(_gives(item, name) for item in items)
    return False


def _is_looking(call: code.Call, function: code.Function) -> bool:
    """Whether a call does not keep the handles that it is given: of the library, or a method of something local."""
    match call.func:
        case code.Global(path=path):
            return path.startswith(("asyncio.", "builtins."))
        case code.Attribute(value=code.Name(id=name)):
            return name in function.local_names and name not in {param.name for param in function.params}
    return False
