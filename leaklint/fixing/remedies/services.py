"""Makes a class that runs a task between `__aenter__` and `__aexit__` a context manager around a task group.

The two methods become one, `__asynccontextmanager__`, of AnyIO's `AsyncContextManagerMixin`: a task group must be left
by the task that entered it, and in reverse order, which one `async with` guarantees and a pair of methods does not
(https://anyio.readthedocs.io/en/stable/contextmanagers.html). For the same reason a service with `start()` and `stop()`
is left alone: what stops it may be another task, or the service itself, which would then wait for itself for ever.

It is never safe: what the body raises arrives in an `ExceptionGroup`, and if the task fails, the body is cancelled.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of, receiver
from leaklint.fixing.study import Finding, Study, contains
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fate import Task
from leaklint.model.fix import Edit, Fix, Hazard, Import, Inherit, Substitute, Target
from leaklint.model.walk import text, walk

NAME = "context-manager"
CODES = frozenset({"LK102", "LK103", "LK106"})

_ENTER, _EXIT = "__aenter__", "__aexit__"
_NEEDED = (4, 14)
"""`AsyncContextManagerMixin` came with 4.10, `TaskGroup.create_task` with 4.14."""
_ENTERING = ("enter_async_context",)


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """The context manager, or why the task cannot live in one."""
    task = finding.subject
    if not isinstance(task, Task) or task.owner is None or task.owner not in study.program.classes:
        return ()
    function = study.function_of(task)
    class_ = study.program.classes[task.owner]
    if function is None or task.handle is None or function.owner != class_.qualname:
        return ()
    if function.name != _ENTER:
        return _outlives(function, class_, task)
    if study.environment.target is not Target.ANYIO or (study.environment.anyio or _NEEDED) < _NEEDED:
        return (Hazard("needs-anyio", "this needs AnyIO 4.14 as the target", blocks=True),)
    service = _service(function, class_, task, study)
    if isinstance(service, Hazard):
        return (service,)
    misused = next(_entered_otherwise(class_, study), None)
    if misused is not None:
        return (misused,)
    return Fix(
        NAME,
        f"hold `{task.spawned}` in a task group, from `{_ENTER}` to `{_EXIT}`",
        study.path,
        _edits(service, study),
        (
            Hazard("body-error-grouped", f"what the body of `async with {class_.name}(...)` raises arrives grouped"),
            Hazard("failure-cancels-owner", f"if `{task.spawned}` fails, the body of the `async with` is cancelled"),
        ),
        (f"leaving `async with {class_.name}(...)` cancels `{task.spawned}` and waits for it",),
    )


def _outlives(function: code.Function, class_: code.Class, task: Task) -> tuple[Hazard, ...]:
    """Why a task that lives from one method call to another has no task group."""
    if function.name == "__init__" or not function.is_async:
        return ()
    return (
        Hazard(
            "lives-between-methods",
            f"`{task.spawned}` runs on when `{class_.name}.{function.name}` returns: a task group must be left by the "
            "task that entered it, and who calls these methods need not be one task",
            blocks=True,
        ),
    )


class _Service(NamedTuple):
    """A class that can be rewritten."""

    class_: code.Class
    enter: code.Function
    exit: code.Function
    handle: str
    """The attribute that keeps the task: `_task`."""
    spawn: Span
    coroutine: str
    """What is spawned, as written."""


def _service(enter: code.Function, class_: code.Class, task: Task, study: Study) -> _Service | Hazard:
    """The class with its two methods, if they are plain enough."""
    leave = next((method for method in class_.methods if method.name == _EXIT), None)
    match [each for each in enter.body if each.span == task.span or task.span[:2] >= each.span[:2]][-1:]:
        case [code.Assign(targets=[code.Attribute(attr=handle)], value=code.Call(args=[started]) as call) as spawn]:
            pass
        case _:
            return _unplain(enter, "the task is not started by a statement of its own")
    if leave is None or call.span != task.span or isinstance(started, code.Starred) or call.keywords:
        return _unplain(enter, f"the class has no plain pair of `{_ENTER}` and `{_EXIT}`")
    subclasses = [name for name in study.program.family(class_.qualname) if name != class_.qualname]
    if any(name in study.program.classes for name in subclasses) or enter.decorators or leave.decorators:
        return _unplain(enter, "other classes share these methods")
    match enter.body[-1]:
        case code.Return(value=code.Name(id=name)) if name == receiver(enter):
            pass
        case _:
            return _unplain(enter, f"`{_ENTER}` does not end with `return self`")
    if len(list(walk(enter.body, code.Return))) > 1:
        return _unplain(enter, f"`{_ENTER}` has several ways out")
    if any(each.value is not None for each in walk(leave.body, code.Return)):
        return _unplain(enter, f"`{_EXIT}` returns a value")
    params = {param.name for param in leave.params[1:]}
    if any(name.id in params for name in walk(leave.body, code.Name)):
        return _unplain(enter, f"`{_EXIT}` looks at the error")
    service = _Service(class_, enter, leave, handle, spawn.span, study.written(started.span))
    return next(_used_otherwise(service, study), service)


def _unplain(function: code.Function, why: str) -> Hazard:
    return Hazard("no-plain-service", f"`{function.qualname.split('.')[-2]}` cannot be rewritten: {why}", blocks=True)


def _used_otherwise(service: _Service, study: Study) -> Iterator[Hazard]:
    """The uses of the handle that a rewritten class would not have any more."""
    for scope in study.program.mentioning(service.handle, service.class_.qualname):
        gone = [statement.span for statement in _gone(service, scope)]
        for attribute in walk(scope.body, code.Attribute):
            kind = study.kinds.of(attribute.value, scope)
            is_ours = attribute.attr == service.handle and (kind is None or kind == service.class_.qualname)
            if is_ours and not any(contains(span, attribute.span) for span in gone):
                where = f"line {attribute.span.line} of {study.program.paths[scope.qualname]}"
                yield Hazard("handle-escapes", f"`{text(attribute)}` is used on {where}", blocks=True)


def _gone(service: _Service, scope: code.Function) -> list[code.Stmt]:
    """The statements of a scope about the handle that the rewritten class does without."""
    if scope is service.enter:
        return [statement for statement in scope.body if statement.span == service.spawn]
    if scope is service.exit:
        return [statement for statement in scope.body if _is_ending(statement, service.handle)]
    is_constructor = scope.name == "__init__" and scope.owner == service.class_.qualname
    return [each for each in scope.body if is_constructor and _is_cleared(each, service.handle)]


def _is_cleared(statement: code.Stmt, handle: str) -> bool:
    match statement:
        case code.Assign(targets=[code.Attribute(attr=attr)], value=code.Constant(value=None)):
            return attr == handle
    return False


def _is_ending(statement: code.Stmt, handle: str) -> bool:
    """Whether a statement does nothing but end the task: cancels it, awaits it, forgets it, under whatever test."""
    if _is_cleared(statement, handle):
        return True
    match statement:
        case code.Evaluate(value=code.Call(func=code.Attribute(value=code.Attribute(attr=attr), attr="cancel"))):
            return attr == handle
        case code.Evaluate(value=code.Await(value=awaited)):
            return any(each.attr == handle for each in walk(awaited, code.Attribute))
        case code.If(branches=[code.Branch(test=test, body=body)], orelse=()):
            tested = any(each.attr == handle for each in walk(test, code.Attribute))
            return tested and all(_is_ending(each, handle) for each in body)
        case code.With(body=body, is_async=False, items=[code.Item(context=context)]):
            suppresses = isinstance(context, code.Call) and path_of(context.func) == "contextlib.suppress"
            return suppresses and all(_is_ending(each, handle) for each in body)
        case code.Try(body=body, handlers=handlers, orelse=(), final=()):
            is_quiet = all(last_name(each) == "CancelledError" for one in handlers for each in one.types)
            return (
                is_quiet
                and all(not each.body and each.types for each in handlers)
                and all(_is_ending(each, handle) for each in body)
            )
    return False


def _entered_otherwise(class_: code.Class, study: Study) -> Iterator[Hazard]:
    """The places where an object of the class is not entered with `async with`."""
    for scope in study.program.mentioning(class_.name, class_.qualname):
        entered = [item.context for each in walk(scope.body, code.With) if each.is_async for item in each.items]
        entered += [
            arg for call in walk(scope.body, code.Call) if last_name(call.func) in _ENTERING for arg in call.args
        ]
        names = {each.id for each in entered if isinstance(each, code.Name)}
        held = [
            each.value
            for each in walk(scope.body, code.Assign)
            if all(isinstance(target, code.Name) and target.id in names for target in each.targets)
        ]
        for call in walk(scope.body, code.Call):
            makes = isinstance(call.func, code.Global) and call.func.path == class_.qualname
            if makes and not any(call is each for each in (*entered, *held)):
                where = f"line {call.span.line} of {study.program.paths[scope.qualname]}"
                message = f"`{text(call.func)}(...)` on {where} is not entered with `async with`"
                yield Hazard("entered-otherwise", message, blocks=True)
    for word in (_ENTER, _EXIT):
        for scope in study.program.mentioning(word, class_.qualname):
            for attribute in walk(scope.body, code.Attribute):
                if attribute.attr == word and study.kinds.of(attribute.value, scope) == class_.qualname:
                    where = f"line {attribute.span.line} of {study.program.paths[scope.qualname]}"
                    yield Hazard("entered-otherwise", f"`{text(attribute)}` is called by hand on {where}", blocks=True)


# -- writing -----------------------------------------------------------------------------------------------------------


def _edits(service: _Service, study: Study) -> tuple[Edit, ...]:
    enter, leave = service.enter, service.exit
    group, group_imports = study.spelled("anyio.create_task_group", enter)
    mixin, mixin_imports = study.spelled("anyio.AsyncContextManagerMixin", study.program.scopes[study.facts.module])
    decorator, decorator_imports = study.spelled("contextlib.asynccontextmanager", leave)
    handle = study.free_name("tg", enter)
    returns, returns_imports = _returns(service, study)
    before, after = _source(enter, study), _source(leave, study)
    spawned = f"{handle}.create_task({service.coroutine})"
    started = _without_last(_replaced(before, service.spawn, (spawned,)))
    ended = after
    for statement in reversed(leave.body):
        if _is_ending(statement, service.handle):
            ended = _replaced(ended, statement.span, ())
    lines = [
        f"@{decorator}",
        f"async def __asynccontextmanager__({enter.params[0].name}){returns}:",
        *_indented(before.docstring, 1),
        f"    async with {group}() as {handle}:",
        *_indented(started.lines, 2),
        "        try:",
        f"            yield {enter.params[0].name}",
        "        finally:",
        *_indented(ended.lines, 3),
        f"            {handle}.cancel_scope.cancel()",
    ]
    imports: list[Import] = [*group_imports, *mixin_imports, *decorator_imports, *returns_imports]
    return (
        Inherit(service.class_.span, mixin),
        Substitute(enter.span, tuple(lines)),
        Substitute(leave.span, ()),
        *(
            Substitute(each.span, ())
            for method in service.class_.methods
            if method.name == "__init__"
            for each in _gone(service, method)
        ),
        *imports,
        *study.forgotten(enter),
        *study.forgotten(leave),
    )


def _returns(service: _Service, study: Study) -> tuple[str, tuple[Import, ...]]:
    """The annotation of what is yielded, where there was one of what is entered."""
    if service.enter.returns is None or isinstance(service.enter.returns, code.Starred):
        return "", ()
    spelled, imports = study.spelled("collections.abc.AsyncGenerator", service.enter)
    if imports:
        spelled, imports = "AsyncGenerator", (Import("from collections.abc import AsyncGenerator"),)
    return f" -> {spelled}[{study.written(service.enter.returns.span)}, None]", imports


class _Source(NamedTuple):
    """The text of a function's body, without its indentation."""

    first: int
    """The number of the first line in the file."""
    lines: tuple[str, ...]
    docstring: tuple[str, ...]


def _source(function: code.Function, study: Study) -> _Source:
    tree = ast.parse("\n".join(study.lines))
    node = next(
        each for each in ast.walk(tree) if isinstance(each, ast.AsyncFunctionDef) and each.lineno == function.span.line
    )
    body = node.body
    docstring: tuple[str, ...] = ()
    if ast.get_docstring(node) is not None:
        assert body[0].end_lineno is not None
        raw = study.lines[body[0].lineno - 1 : body[0].end_lineno]
        docstring = (raw[0].strip(), *raw[1:])
        body = body[1:]
    assert node.end_lineno is not None
    first = body[0].lineno
    while study.lines[first - 2].lstrip().startswith("#"):
        first -= 1
    lines = textwrap.dedent("\n".join(study.lines[first - 1 : node.end_lineno])).split("\n")
    return _Source(first, tuple(lines), docstring)


def _replaced(source: _Source, span: Span, new: Sequence[str]) -> _Source:
    """The text with these lines in place of a statement of the outermost block; lines after it move."""
    begin, end = span.line - source.first, span.end_line - source.first + 1
    lines = list(source.lines)
    comments = [line.strip() for line in lines[begin:end] if line.strip().startswith("#")]
    lines[begin:end] = [*comments, *new]
    return source._replace(lines=tuple(lines))


def _without_last(source: _Source) -> _Source:
    """The text without the `return` that it ends with."""
    lines = list(source.lines)
    while not lines.pop().startswith("return"):
        pass
    return source._replace(lines=tuple(lines))


def _indented(lines: Sequence[str], levels: int) -> list[str]:
    return ["    " * levels + line if line else line for line in lines]
