"""Awaits the future of work in another thread, where nobody looked at it.

`run_in_executor` gives an awaitable; the futures of `run_coroutine_threadsafe` and of executors become one by
`asyncio.wrap_future`. So the errors of the work are seen, and the function does not end before it.
https://docs.python.org/3/library/asyncio-future.html#asyncio.wrap_future
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name
from leaklint.analysis.resolve import resolved
from leaklint.fixing.hazards.children import may_not_end
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Task
from leaklint.model.fix import Edit, Fix, Hazard, Import, Replace, Substitute
from leaklint.model.walk import text, walk

NAME = "await-thread"
CODES = frozenset({"LK205"})


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """An `await` of the future that a call gives."""
    task = finding.subject
    function = study.function_of(task) if isinstance(task, Task) else None
    call = _call_at(finding, function) if function is not None else None
    if function is None or call is None:
        return ()
    if not function.is_async:
        message = f"{_named(function)} cannot await the future, and to block until it is done stops the thread"
        return (Hazard("not-a-coroutine-function", message, blocks=True),)
    statement = path_to(call.span, function.body)[-1].statement
    if not isinstance(statement, code.Evaluate | code.Assign) or statement.value is not call:
        message = f"the future is given by an expression on line {call.span.line} that goes on without it"
        return (Hazard("within-expression", message, blocks=True),)
    written = quoted(call.span, function, study)
    imports: tuple[Import, ...] = ()
    if last_name(call.func) != "run_in_executor":
        spelled, imports = study.spelled("asyncio.wrap_future", function)
        written = f"{spelled}({written})"
    notes = (f"`{function.name}` waits on line {call.span.line} until the work is done, and gets its errors",)
    written = f"await {written}"
    # the future is all that an unused variable was for: the result may be None
    unused = isinstance(statement, code.Assign) and _is_unused(statement, function, study)
    waiting = Substitute(statement.span, (written,)) if unused else Replace(call.span, written)
    edits: tuple[Edit, ...] = (waiting, *imports)
    hazards = tuple(dict.fromkeys(_hazards(call, statement, function, study)))
    return Fix(NAME, "await the future", study.path, edits, hazards, notes)


def _call_at(finding: Finding, function: code.Function) -> code.Call | None:
    return next((call for call in walk(function.body, code.Call) if call.span == finding.diagnostic.span), None)


def _named(function: code.Function) -> str:
    return f"`{function.name}`, which is no coroutine function," if function.kind == "function" else "a lambda"


def _is_unused(statement: code.Assign, function: code.Function, study: Study) -> bool:
    """Whether all that an assignment binds is one variable of the function, which nothing else mentions."""
    match statement.targets:
        case (code.Name(id=name),) if name in function.local_names:
            mentioned = sum(each.id == name for each in walk(function.body, code.Name))
            return mentioned == 1 and not any(name in scope.free_names for scope in study.program.inside(function))
    return False


def _hazards(
    call: code.Call, statement: code.Evaluate | code.Assign, function: code.Function, study: Study
) -> Iterator[Hazard]:
    steps = path_to(statement.span, function.body)
    is_repeated = any(isinstance(step.statement, code.For | code.While) for step in steps)
    if is_repeated or any(step.position < len(step.block) - 1 for step in steps):
        message = f"what follows line {call.span.line} runs when the work is done, no longer beside it"
        yield Hazard("waits-here", message)
    if last_name(call.func) == "run_coroutine_threadsafe" and call.args:
        message = f"line {call.span.line} waits for another loop: neither goes on if that waits for this one"
        yield Hazard("waits-for-other-loop", message)
        yield from may_not_end(call.args[0], function, study)
        return
    at = 1 if last_name(call.func) == "run_in_executor" else 0
    started = call.args[at] if len(call.args) > at else call.func
    if not _plainly_ends(started, function, study):
        yield Hazard("unresolved-callee", f"whether `{text(started)}` ends is not known")


def _plainly_ends(started: Expr, function: code.Function, study: Study) -> bool:
    """Whether a function of the program has no loop that may go on for ever, and calls nothing that is not in view."""
    called = resolved(started, function, study.kinds)
    return called is not None and not any(walk(called.body, code.While)) and not study.outcomes.call_raises(called)
