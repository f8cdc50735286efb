"""Functions that run in another event loop than the tasks for which they would wait.

A task wakes who waits for it in its own loop only; and the loop of an `asyncio.run` that has ended is closed:
https://docs.python.org/3/library/asyncio-runner.html#asyncio.run
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.resolve import resolved
from leaklint.catalog import Role
from leaklint.fixing.hazards.children import place
from leaklint.fixing.hazards.points import span_of
from leaklint.fixing.study import Study, contains
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_MOST = 100
"""So many scopes are looked at."""
_Run = tuple[code.Call, code.Function]
"""A call that runs a loop of its own, and where it stands."""


def other_loops(spawner: code.Function, waiter: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`waits-for-other-loop`: the program runs a function in a loop in which it does not run what spawns the task."""
    theirs = list(_runs(waiter, study))
    if not theirs:
        return ()
    ours = {id(call) for call, _ in _runs(spawner, study)}
    above = {id(scope) for scope in _above(spawner, study)}
    for call, scope in theirs if ours else ():
        if id(call) not in ours and any(id(each) in above for each in _above(scope, study)):
            where = place(call.span, scope, "", waiter, study)
            said = f"`{text(call.func)}`{where} runs `{waiter.name}` in another event loop than that of the task"
            return (Hazard("waits-for-other-loop", said),)
    return ()


def _runs(function: code.Function, study: Study) -> Iterator[_Run]:
    """The calls that start a loop in which a function is called, by itself or by others."""
    for scope in _above(function, study, within_loop=True):
        for user, node in _mentions(scope, study):
            call = _run_around(node, user, study)
            if call is not None:
                yield call, user


def _above(function: code.Function, study: Study, *, within_loop: bool = False) -> list[code.Function]:
    """A function and all that mention it, or one that does; or those alone that do so in the same event loop."""
    found = [function]
    for scope in found:
        users = [user for user, node in _mentions(scope, study) if not (within_loop and _run_around(node, user, study))]
        outer = study.program.enclosing(scope) if scope.kind == "lambda" else None
        for user in (*users, *(() if outer is None else (outer,))):
            if len(found) < _MOST and not any(each is user for each in found):
                found.append(user)
    return found


def _mentions(function: code.Function, study: Study) -> Iterator[tuple[code.Function, Expr]]:
    """Where others mention a function. (What is run in a loop of its own may be a method of anything.)"""
    if function.kind == "function":
        for user in study.program.mentioning(function.name, function.qualname):
            for node in walk(user.body, (code.Name, code.Global, code.Attribute)):
                if last_name(node) == function.name:
                    found = resolved(node, user, study.kinds)
                    is_of_unknown = isinstance(node, code.Attribute) and study.kinds.of(node.value, user) is None
                    if found is function or (is_of_unknown and _run_around(node, user, study)):
                        yield user, node


def _run_around(node: Expr, user: code.Function, study: Study) -> code.Call | None:
    """The call that runs what it is given in a loop of its own, around a place."""
    runs = (
        call
        for call in walk(user.body, code.Call)
        if path_of(call) == "anyio.run" or study.kinds.role_of_callee(call.func, user) is Role.RUN
    )
    return next((call for call in runs for arg in call.args if contains(span_of(arg), span_of(node))), None)
