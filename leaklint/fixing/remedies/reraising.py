"""Lets a cancellation go on that a handler has caught and forgotten.

A handler for cancellations alone ends with `raise`, after whatever it does; one that catches everything gets a clause
before it that raises them again. It is never safe: what came after the handler may have been meant to happen
(https://docs.python.org/3/library/asyncio-task.html#task-cancellation).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.fixing.study import Finding, Study
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Misuse
from leaklint.model.fix import Edit, Fix, Hazard, Insert, Precede, Substitute
from leaklint.model.walk import walk

NAME = "reraise"
CODES = frozenset({"LK305"})


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """The handler without its hold on cancellations, or why that is not for leaklint to decide."""
    misuse = finding.subject
    function = study.function_of(misuse) if isinstance(misuse, Misuse) else None
    if not isinstance(misuse, Misuse) or function is None:
        return ()
    handler = next((each for each in _handlers(function) if each.span[:2] == misuse.span[:2]), None)
    if handler is not None and _forgets(handler):
        message = f"`{misuse.source}` does nothing but forget the cancellation: take it out"
        return (Hazard("needless-handler", message, blocks=True),)
    edits = _edits(handler, function, study) if handler is not None else ()
    if not edits:
        message = f"what `{misuse.source}` is for, if it is to let a cancellation through, is not plain"
        return (Hazard("unclear-intent", message, blocks=True),)
    return Fix(
        NAME,
        "let the cancellation go on",
        study.path,
        edits,
        (Hazard("cancellation-ends-it", f"when `{function.name}` is cancelled, it ends: what follows is not done"),),
        (f"a cancellation of `{function.name}` reaches who awaits it",),
    )


def _handlers(function: code.Function) -> Iterator[code.Handler]:
    return (handler for statement in walk(function.body, code.Try) for handler in statement.handlers)


def _forgets(handler: code.Handler) -> bool:
    """Whether a handler for cancellations alone has nothing to do."""
    is_idle = all(isinstance(each, code.Break | code.Continue | code.Return) for each in handler.body)
    return is_idle and [last_name(each) for each in handler.types] == ["CancelledError"]


def _edits(handler: code.Handler, function: code.Function, study: Study) -> tuple[Edit, ...]:
    header = study.lines[handler.span.line - 1][handler.span.column - 1 :]
    is_of_groups = header.removeprefix("except").lstrip().startswith("*")
    match [last_name(each) for each in handler.types]:
        case ["CancelledError"] if not is_of_groups:
            return (_raising(handler, study),)
        case [] | ["BaseException"] if not is_of_groups:
            written, imports = study.spelled("asyncio.CancelledError", function)
            return (Precede(handler.span, (f"except {written}:", "    raise")), *imports)
    return ()


def _raising(handler: code.Handler, study: Study) -> Edit:
    """A `raise` at the end of a handler, in place of what goes on there."""
    body = next(
        each.body
        for each in ast.walk(ast.parse("\n".join(study.lines)))
        if isinstance(each, ast.ExceptHandler) and each.lineno == handler.span.line
    )
    last = body[-1]
    span = Span(last.lineno, last.col_offset + 1, last.end_lineno or last.lineno, last.col_offset + 2)
    if isinstance(last, ast.Pass | ast.Continue | ast.Break | ast.Return):
        return Substitute(span, ("raise",))
    return Insert(span, ("raise",))
