"""What a wait that is put into a function would stand in front of."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.analysis.outcomes import is_harmless
from leaklint.fixing.study import contains, path_to
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fix import Hazard
from leaklint.model.walk import walk


def pauses_before(span: Span, function: code.Function) -> tuple[Hazard, ...]:
    """`pause-before-work`: a wait after the statement at a place would come before something that was reached without
    a pause. Another task may come in between, and a second cancellation, or one of AnyIO, would end the function there.
    """
    for statement in behind(span, function):
        if isinstance(statement, code.Raise) or _gives_own(statement, function):
            return ()
        if _works(statement):
            message = f"`{function.name}` would pause before line {statement.span.line}, which it reached at once"
            return (Hazard("pause-before-work", message),)
        if isinstance(statement, code.Return):
            return ()
    return ()


def goes_on_with_some(wait: code.Call) -> bool:
    """Whether `asyncio.wait` may return while tasks still run. Time limits do not count: see `limits_of`."""
    until = next((keyword.value for keyword in wait.keywords if keyword.name == "return_when"), None)
    return until is not None and last_name(until) != "ALL_COMPLETED"


def passes_at_once(statement: code.Stmt) -> bool:
    """Whether a statement neither pauses, nor leaves the block, nor does what others can see but to print or log."""
    return isinstance(statement, code.Evaluate | code.Assign | code.Augment) and not _works(statement)


def behind(span: Span, function: code.Function, extent: Span | None = None) -> Iterator[code.Stmt]:
    """The statements that come after one: in its block, in the next turn of a loop, in the clauses of a `try` that
    follow its body, and in the blocks around it. With an extent, a run of statements, those within that.
    """
    for step in reversed(path_to(span, function.body)):
        if extent is not None and not contains(extent, step.statement.span):
            return
        match step.statement:
            case code.For(body=body) | code.While(body=body):
                yield from body
            case code.Try(body=body, orelse=orelse, final=final) if not path_to(span, final):
                yield from (*(orelse if path_to(span, body) else ()), *final)
        following = step.block[step.position + 1 :]
        yield from (each for each in following if extent is None or contains(extent, each.span))


def _gives_own(statement: code.Stmt, function: code.Function) -> bool:
    """Whether a statement returns what it asks variables of the function for, and does nothing else."""
    if not isinstance(statement, code.Return) or any(True for _ in walk(statement, code.Await)):
        return False
    params = {param.name for param in function.params}
    return all(_root(call.func) in function.local_names - params for call in walk(statement, code.Call))


def _root(callee: object) -> str | None:
    """The variable that a chain of attributes and calls begins with."""
    match callee:
        case code.Name(id=name):
            return name
        case code.Attribute(value=value) | code.Call(func=value) | code.Subscript(value=value):
            return _root(value)
    return None


def _works(statement: code.Stmt) -> bool:
    """Whether a statement does something that others can see; to forget a handle is nothing."""
    match statement:
        case code.Assign(targets=targets, value=code.Constant(value=None)):
            return not all(isinstance(target, code.Name | code.Attribute) for target in targets)
        case code.Assign(targets=targets) if not all(isinstance(target, code.Name) for target in targets):
            return True
        case code.Augment(target=target) if not isinstance(target, code.Name):
            return True
        case code.Delete():
            return True
    awaits = any(True for _ in walk(statement, code.Await))
    calls = (call for call in walk(statement, code.Call) if last_name(call.func) != "cancel")
    return awaits or any(not is_harmless(call.func) for call in calls)
