"""Context managers, and clauses, after which code goes on that a cancellation has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from leaklint.analysis.cancellation.catching import Chain, chains
from leaklint.analysis.cancellation.suspending import Suspending
from leaklint.analysis.kinds import last_name, path_of, receiver
from leaklint.analysis.resolve import called_on
from leaklint.catalog import Role
from leaklint.fixing.hazards.cancelled import YES, Caught, Exit, catches
from leaklint.fixing.hazards.origins import made_by, origins
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Block, Expr, Span
from leaklint.model.walk import text, walk

_SUPPRESS = "contextlib.suppress"
_ENTERING = frozenset({"enter_context", "enter_async_context", "push", "push_async_exit"})
"""https://docs.python.org/3/library/contextlib.html#contextlib.ExitStack"""
_DEEPEST = 5


class Catch(NamedTuple):
    """A place that catches a cancellation, and lets code go on."""

    written: str
    span: Span
    exits: tuple[Exit, ...]
    """How it is left, other than by an error."""
    around: Chain
    """The statements around the place, innermost first."""


@remembered
def catches_in(body: Block, function: code.Function, study: Study) -> tuple[Catch, ...]:
    """The places in the body of a function that catch a cancellation which comes from outside, and do not raise it, or
    another error, again. Unlike the rule about this, it looks up what clauses and context managers are.
    """
    del body
    suspending = Suspending(function, study.kinds)
    return tuple(_catches(function, study, lambda block: any(True for _ in suspending.suspensions(block))))


def _catches(function: code.Function, study: Study, stops: Callable[[object], bool]) -> Iterator[Catch]:
    """Those where the error comes from what stops the function."""
    for statement, around in chains(function.body, ()):
        if isinstance(statement, code.Try):
            if _is_reached(statement.body, function, study, stops):
                yield from _by_clauses(statement, around, function, study)
        elif isinstance(statement, code.With):
            found = _suppressing(statement, function, study)
            if found is not None and stops(statement.body):
                yield Catch(_written(found), _span(found), (None,), around)


def _is_reached(block: Block, function: code.Function, study: Study, stops: Callable[[object], bool]) -> bool:
    """Whether a cancellation can leave a block, as far as clauses at its top level do not keep it."""
    for statement in block:
        if not isinstance(statement, code.Try):
            if stops(statement):
                return True
            continue
        kept = _is_kept(statement, function, study)
        inner = [*(() if kept else (statement.body,)), *(each.body for each in statement.handlers)]
        if any(_is_reached(each, function, study, stops) for each in (*inner, statement.orelse, statement.final)):
            return True
    return False


def _is_kept(statement: code.Try, function: code.Function, study: Study) -> bool:
    """Whether a clause certainly catches a cancellation of the body, and raises nothing."""
    for handler in statement.handlers:
        answer = catches(handler.types, function, study)
        if True in answer:
            exits = _exits(handler, function, study)
            return answer == YES and not any(isinstance(each, code.Raise) for each in exits)
    return False


def _exits(handler: code.Handler, function: code.Function, study: Study) -> tuple[Exit, ...]:
    named = frozenset({handler.name} if handler.name else ())
    return Caught(function, study, errors=named).exits(handler.body)


def _by_clauses(statement: code.Try, around: Chain, function: code.Function, study: Study) -> Iterator[Catch]:
    for handler in statement.handlers:
        answer = catches(handler.types, function, study)
        if True in answer:
            exits = tuple(e for e in _exits(handler, function, study) if not isinstance(e, code.Raise))
            if exits:
                yield Catch(_clause(handler), handler.span, exits, around)
        if answer == YES:
            break
    if not _is_kept(statement, function, study):
        last = Caught(function, study).exits(statement.final)
        for jump in last:
            if isinstance(jump, code.Break | code.Continue | code.Return):
                yield Catch(f"finally: {type(jump).__name__.lower()}", jump.span, (jump,), around)
                break


def _clause(handler: code.Handler) -> str:
    names = ", ".join(map(text, handler.types))
    if not handler.types:
        return "except:"
    return f"except {names}" if len(handler.types) == 1 else f"except ({names})"


# -- context managers --------------------------------------------------------------------------------------------------


def _suppressing(statement: code.With, function: code.Function, study: Study) -> Expr | None:
    """What of a `with` may keep a cancellation from leaving it, itself or by what is entered into it."""
    for item in statement.items:
        if suppresses(item.context, function, study):
            return item.context
        named = {text(each) for each in (item.context, item.target) if each is not None} - {"..."}
        for call in walk(function.body, code.Call) if not _ENTERING.isdisjoint(function.words) else ():
            stack = called_on(call.func)
            is_in = stack is not None and last_name(call.func) in _ENTERING and text(stack) in named
            if is_in and call.args and suppresses(call.args[0], function, study):
                return call.args[0]
    return None


def suppresses(manager: Expr, function: code.Function, study: Study, depth: int = 0) -> bool:
    """Whether a context manager, read in a function, may keep a cancellation from leaving the `with`. (Of one of a
    library nothing is known; few do.)
    """
    if depth > _DEEPEST:
        return False
    match manager:
        case code.Call(func=func, args=args):
            path = path_of(func)
            if study.kinds.role_of(path) is Role.SUPPRESS:
                types = args if path == _SUPPRESS else args[:1]
                return bool(types) and True in catches(types, function, study)
            if path in study.program.classes:
                return _is_class_suppressing(path or "", manager, function, study)
            made = made_by(func, function, study)
            return any(_is_made_suppressing(each, study, depth) for each in made)
        case code.Conditional(then=then, orelse=orelse):
            return any(suppresses(each, function, study, depth + 1) for each in (then, orelse))
        case code.Name(id=name) if name == receiver(function) and function.owner is not None:
            return _is_class_suppressing(function.owner, None, function, study)
        case code.Name() | code.Global() | code.Attribute():
            return any(
                any(_is_class_suppressing(each, None, function, study) for each in _classes(binding.expr, study))
                if binding.how == "type"
                else suppresses(binding.expr, binding.function, study, depth + 1)
                for binding in origins(manager, function, study).bindings
            )
    return False


def _classes(annotation: Expr, study: Study) -> list[str]:
    """The classes that something may be of, by its annotation: those that are derived from that one included."""
    kind, program = study.kinds.annotated(annotation), study.program
    if kind not in program.classes:
        return []
    return [each for each in program.family(kind or "") if kind in program.ancestors(each)]


def _is_made_suppressing(maker: code.Function, study: Study, depth: int) -> bool:
    """Whether a function gives a context manager that suppresses, or a generator is one."""
    if not maker.is_generator:
        values = (each.value for each in walk(maker.body, code.Return) if each.value is not None)
        return any(suppresses(value, maker, study, depth + 1) for value in values)
    if not study.kinds.is_decorated(maker, Role.CONTEXT_MANAGER):
        return False
    return any(True for _ in _catches(maker, study, lambda block: any(True for _ in walk(block, code.Yield))))


def _is_class_suppressing(owner: str, made: code.Call | None, function: code.Function, study: Study) -> bool:
    """Whether what leaves objects of a class may return something true for a cancellation."""
    methods = [study.program.method(owner, name) for name in ("__exit__", "__aexit__")]
    if any(method is not None and True in _in_exit(method, study).returned(method) for method in methods):
        return True
    if any(methods) or _SUPPRESS not in study.program.ancestors(owner):
        return False
    init = study.program.method(owner, "__init__")
    if init is None:
        return made is not None and bool(made.args) and True in catches(made.args, function, study)
    above = [call for call in walk(init.body, code.Call) if last_name(call.func) == "__init__" and call.args]
    return any(True in catches(call.args, init, study) for call in above)


def _in_exit(method: code.Function, study: Study) -> Caught:
    params = method.params[1:]
    triples = frozenset(param.name for param in params if param.kind == "*")
    names = [param.name for param in params if param.kind == "positional"]
    return Caught(method, study, frozenset(names[1:3]), frozenset(names[:1]), triples)


def _written(manager: Expr) -> str:
    match manager:
        case code.Call(func=func, args=args, keywords=()):
            return f"{text(func)}({', '.join(map(text, args))})"
    return text(manager)


def _span(expr: Expr) -> Span:
    return _span(expr.value) if isinstance(expr, code.Starred) else expr.span
