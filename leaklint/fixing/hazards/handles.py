"""Whether a function can cancel a task and wait for it: what the task does then, and what its handle may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaklint.analysis.kinds import FUTURE, TASK, last_name, receiver
from leaklint.analysis.resolve import called_on
from leaklint.catalog import ADDING, Role
from leaklint.fixing.hazards.children import cleanups, may_outlive_cancellation
from leaklint.fixing.hazards.points import functions_of
from leaklint.fixing.hazards.resources import limited
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Task
from leaklint.model.fix import Hazard
from leaklint.model.walk import text, walk

_FUTURES = (TASK, FUTURE)


def coroutine_of(task: Task, function: code.Function, study: Study) -> Expr | None:
    """What runs in a task that a function spawns; None if that is not plain to see."""
    call = next((call for call in walk(function.body, code.Call) if call.span == task.span), None)
    if call is None or not call.args or isinstance(call.args[0], code.Starred):
        return None
    return call.args[0] if study.kinds.of(call, function) in _FUTURES else None


def may_go_on(task: Task, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`swallows-cancellation`, `unresolved-callee`: a task that a function spawns may not end when it is cancelled."""
    coroutine = coroutine_of(task, function, study)
    if coroutine is None:
        return (Hazard("unresolved-callee", f"what `{task.spawned}` does is not known"),)
    guessed = Hazard("guessed-spawn", f"`{task.call}` was taken for a spawn by its name")
    return (*may_outlive_cancellation(coroutine, function, study), *((guessed,) if task.likely else ()))


def may_run_out_of_time(task: Task, spawner: code.Function, waiter: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`time-limit`: the task takes its time to clean up, and a caller limits that of the function that now waits."""
    coroutine = coroutine_of(task, spawner, study)
    takes_time = coroutine is None or bool(cleanups(coroutine, spawner, study))
    return limited(waiter, study) if takes_time else ()


def may_wait_for_itself(task: Task, spawner: code.Function, waiter: code.Function, study: Study) -> bool:
    """Whether the task may call the function that waits for it: itself, or through what it was given to call."""
    coroutine = coroutine_of(task, spawner, study)
    found = functions_of(coroutine, spawner, study) if coroutine is not None else ()
    return any(each.qualname == waiter.qualname or _calls_back(each, study) for each in found)


def _calls_back(function: code.Function, study: Study) -> bool:
    """Whether a function calls what is in a variable or an attribute, which anybody may have put there."""
    itself = receiver(function)
    for call in walk(function.body, code.Call):
        match call.func:
            case code.Name(id=name):
                scope = study.program.functions.get(f"{function.qualname}.{name}")
                if name in function.local_names and scope is None:
                    return True
            case code.Attribute(value=code.Name(id=name), attr=attr) if itself is not None and name == itself:
                owner = study.kinds.of(call.func.value, function)
                if owner and study.program.method(owner, attr) is None and attr in _assigned(owner, study):
                    return True
    return False


def _assigned(owner: str, study: Study) -> set[str]:
    """The attributes that a class assigns."""
    classes = [study.program.classes[each] for each in study.program.family(owner) if each in study.program.classes]
    return {
        target.attr
        for each in classes
        for method in each.methods
        for assign in walk(method.body, code.Assign)
        for target in assign.targets
        if isinstance(target, code.Attribute)
    }


def may_be_no_future(handle: Expr, function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`handle-of-other-kind`: what holds the handle may hold something else, too, that cannot be waited for."""
    for value, where in _values(handle, function, study):
        if not _is_awaitable(value, where, study):
            line = value.span.line if not isinstance(value, code.Starred) else where.span.line
            said = f"`{text(handle)}` may also be `{text(value)}` (line {line})"
            return (Hazard("handle-of-other-kind", said),)
    return ()


def _values(handle: Expr, function: code.Function, study: Study) -> Iterator[tuple[Expr, code.Function]]:
    """What is bound to a variable or an attribute."""
    match handle:
        case code.Name(id=name):
            for binding in study.kinds.bindings(function).get(name, ()):
                if binding.how == "value":
                    yield binding.expr, binding.function
        case code.Attribute(value=holder, attr=attr):
            owner = study.kinds.of(holder, function)
            family = set(study.program.family(owner)) if owner else set()
            for where in study.program.mentioning(attr, owner or function.qualname):
                for assign in walk(where.body, code.Assign):
                    for target in assign.targets:
                        is_it = isinstance(target, code.Attribute) and target.attr == attr
                        if is_it and assign.value is not None and _holder_kind(target, where, study) in family:
                            yield assign.value, where


def _holder_kind(target: Expr, where: code.Function, study: Study) -> str | None:
    return study.kinds.of(target.value, where) if isinstance(target, code.Attribute) else None


def _is_awaitable(value: Expr, function: code.Function, study: Study) -> bool:
    """Whether a value is a future, or None, or comes from where the handle may come from."""
    match value:
        case code.Constant(value=constant):
            return constant is None
        case code.Call(func=func):
            return study.kinds.of(value, function) in _FUTURES or study.kinds.role_of_callee(func, function) in (
                Role.SPAWN,
                Role.SPAWN_KEPT,
                Role.GATHER,
                Role.SHIELD,
            )
        case code.Display() | code.Comprehension() | code.Lambda():
            return False
        case code.Conditional(then=then, orelse=orelse):
            return _is_awaitable(then, function, study) and _is_awaitable(orelse, function, study)
        case code.Boolean(values=values):
            return all(_is_awaitable(each, function, study) for each in values)
    return True


def may_hold_others(holder: Expr, spawns: Sequence[Span], function: code.Function, study: Study) -> tuple[Hazard, ...]:
    """`unresolved-callee`: a container may hold tasks besides those that are spawned at some places of the file."""
    for call, where in _adding(holder, function, study):
        for added in call.args:
            values = _values(added, where, study) if isinstance(added, code.Name) else [(added, where)]
            known = [value for value, _ in values if not isinstance(value, code.Starred) and value.span in spawns]
            if not known or study.program.paths[where.qualname] != study.path:
                said = f"`{text(holder)}` gets `{text(added)}` on line {call.span.line} of `{where.name}`, too"
                return (Hazard("unresolved-callee", said),)
    return ()


def _adding(holder: Expr, function: code.Function, study: Study) -> Iterator[tuple[code.Call, code.Function]]:
    """The calls that put something into what a variable or an attribute holds."""
    word = last_name(holder)
    home = holder.path if isinstance(holder, code.Global) else function.qualname
    local = isinstance(holder, code.Name)
    for where in study.program.inside(function) if local else study.program.mentioning(word, home):
        for call in walk(where.body, code.Call):
            owner = called_on(call.func)
            if owner is not None and last_name(owner) == word and last_name(call.func) in ADDING:
                yield call, where
