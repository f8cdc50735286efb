"""Writes what AnyIO 4 has in place of what AnyIO 1 to 3 had.

The old spellings raise with AnyIO 4, so nothing that works there changes. `await tg.spawn(f, x)` becomes
`tg.start_soon(f, x)`: without the `await`, which would let a loop run one child after the other. What has no successor
that does the same (queues, sockets of 1.x) is left, with the reason.

What is unsafe is so because AnyIO 4 differs, not the spelling. The error of a child that fails alone arrives in a group
(https://anyio.readthedocs.io/en/stable/migration.html): a handler for it misses it. And a cancelled child is cut at
the first `await` of its cleanup; AnyIO 1 and 2 let it go on (measured on the releases 1.4, 2.2, 3.7 and 4.16).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.removed import LIKELY
from leaklint.catalog.anyio_history import CALLS_COROUTINES, RENAMED_ARGUMENTS, Form, removed
from leaklint.fixing.hazards.children import may_be_cut
from leaklint.fixing.hazards.handlers import clauses_that_miss
from leaklint.fixing.removed import Use, is_import, is_scope, span_of
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.fate import Misuse
from leaklint.model.fix import Edit, Fix, Hazard, Replace, Substitute, Synchronize
from leaklint.model.walk import text, walk

NAME = "upgrade"
CODES = frozenset({"LK306"})

_GROUPED = "AnyIO 4 raises an `ExceptionGroup` even if a single child fails, AnyIO 3 raised the error itself"
_HELD = "only the task that holds a lock can release it, as since AnyIO 3"
_EXCEPTIONS = "anyio.exceptions"
_CUT = "cleanup-is-cut"
_ERROR_GROUP = "builtins.BaseExceptionGroup"

Answer = Fix | tuple[Hazard, ...]


def propose(finding: Finding, study: Study) -> Answer:
    """The spelling of AnyIO 4, or why there is none."""
    misuse = finding.subject
    if not isinstance(misuse, Misuse):
        return ()
    for function in study.facts.functions:
        if function.qualname == misuse.function:
            use = Use(misuse, function, study)
            is_argument = use.form in (Form.KEYWORD, Form.BACKEND)
            if use.statement is not None if is_argument else use.node is not None:
                return _BY_FORM[use.form](use)
    return ()


# -- names -------------------------------------------------------------------------------------------------------------


def _named(use: Use) -> Answer:
    """A function or class that is gone."""
    imported = _imported(use)
    if imported is not None:
        return imported
    special = _SPECIAL.get(use.row.path)
    if special is not None:
        return special(use)
    new = use.row.new
    if new is None:
        return _refusal(use.row.advice)
    if new == _ERROR_GROUP:
        return _error_group(use, new)
    return _renamed(use, new)


def _renamed(use: Use, new: str) -> Answer:
    spelled, edits = use.spelled(new)
    node = use.node
    assert isinstance(node, code.Global)
    title = f"write `{spelled}`"
    notes = (_HELD,) if new == "anyio.Lock" and _from_before(3, use) else ()
    if use.call is None:
        return _fix(use, title, Replace(node.span, spelled), *edits, notes=notes)
    names = RENAMED_ARGUMENTS.get(use.row.path, {})
    arguments = [(each, names[each.name]) for each in use.call.keywords if each.name in names]
    changed = [_argument(each, name, use) for each, name in arguments if each.name is not None]
    if None in changed:
        return _refusal("its arguments are written in a way that leaklint does not follow", "unclear-arguments")
    entering = use.entered(use.call) if is_scope(new) else ()
    if changed:
        whole = use.quoted(use.call.span, (node.span, spelled), *(each for each in changed if each))
        return _fix(use, title, Replace(use.call.span, whole), *entering, *edits)
    if entering and isinstance(entering[0], Replace):
        return _fix(use, title, _within(entering[0], node, spelled, use), *edits)
    return _fix(use, title, Replace(node.span, spelled), *entering, *edits, notes=notes)


def _within(outer: Replace, node: code.Global, spelled: str, use: Use) -> Replace:
    """A replacement in which a name is spelled anew, too."""
    old = use.quoted(node.span)
    return outer._replace(text=outer.text.replace(f"({old}", f"({spelled}", 1))


def _imported(use: Use) -> Answer | None:
    """An import of a name that the file does not use."""
    statement = use.statement
    if not isinstance(statement, code.Evaluate) or not is_import(statement):
        return None
    assert isinstance(statement.value, code.Opaque)
    if not any(part is use.node for part in statement.value.parts):
        return None
    written = use.study.written(statement.span)
    if use.row.path == _EXCEPTIONS and written.split() == ["import", "anyio.exceptions"]:
        return _fix(use, "import `anyio`", Substitute(statement.span, ("import anyio",)))
    if use.row.path.startswith(f"{_EXCEPTIONS}."):
        return _moved(use, statement.value.parts, statement.span)
    public = use.study.facts.names.public or ()
    name = use.misuse.source
    if name in public:
        return _refusal(f"`{name}` is in `__all__`: others may import it from here", "exported")
    return _fix(use, f"remove the import of `{name}`", *use.forgotten(name))


def _moved(use: Use, parts: tuple[Expr, ...], span: Span) -> Answer:
    """`from anyio.exceptions import ClosedResourceError`."""
    names = []
    for part in parts:
        row = removed(Form.NAME, part.path) if isinstance(part, code.Global) else None
        if row is None or row.new is None or not row.new.startswith("anyio."):
            return _refusal(f"`{text(part)}` is imported with it: {row.advice if row else ''}")
        assert isinstance(part, code.Global)
        name = row.new.removeprefix("anyio.")
        names.append(name if name == part.text else f"{name} as {part.text}")
    if "#" in use.study.written(span):
        return _refusal("there are comments within the import", "unclear-import")
    statement = f"from anyio import {', '.join(names)}"
    return _fix(use, "import it from `anyio`", Substitute(span, (statement,)))


def _unwrapped(use: Use) -> Answer:
    """`await maybe_async(call)`."""
    match use.waiting:
        case code.Await(value=code.Call(args=[code.Call() as inner], keywords=())) as waiting:
            edits = (Replace(waiting.span, use.quoted(inner.span)), *_forgotten(use))
            return _fix(use, "call it without `await`", *edits)
    return _refusal("it does not await a call", "unclear-use")


def _unwrapped_manager(use: Use) -> Answer:
    """`async with maybe_async_cm(manager)`."""
    if use.call is not None and len(use.call.args) == 1 and not isinstance(use.call.args[0], code.Starred):
        entering = use.entered(use.call)
        if entering and isinstance(entering[0], Synchronize):
            inner = use.quoted(span_of(use.call.args[0]))
            return _fix(use, "enter it with `with`", Replace(use.call.span, inner), *entering, *_forgotten(use))
    return _refusal("it is not entered where it is made", "unclear-use")


def _portal(use: Use) -> Answer:
    """`start_blocking_portal`, which gave the portal itself before 3.0."""
    kept = (each for each in walk(use.function.body, (code.Assign, code.Evaluate)) if use.call is not None)
    if not any(each.value is use.call for each in kept):
        assert use.row.new is not None
        return _renamed(use, use.row.new)
    return _refusal("the portal is open only within `with start_blocking_portal() as portal`", "not-entered")


def _error_group(use: Use, new: str) -> Answer:
    """The class of errors, as a handler or a test of types has it."""
    handled = (kind for each in walk(use.function.body, code.Try) for one in each.handlers for kind in one.types)
    tested = (
        arg
        for call in walk(use.function.body, code.Call)
        if path_of(call) in ("builtins.isinstance", "builtins.issubclass")
        for arg in call.args[1:]
    )
    if not any(each is use.node for each in (*handled, *tested)):
        return _refusal("only a handler, or a test of types, can do with the builtin class", "unclear-use")
    python = use.study.environment.python
    if python is not None and python < (3, 11):
        oldest = ".".join(map(str, python))
        return _refusal(
            f"the builtin class is there since Python 3.11, and the project allows {oldest}: import it from "
            "`exceptiongroup` there",
            "needs-newer-python",
        )
    name = new.rpartition(".")[2]
    assert isinstance(use.node, code.Global)
    hazard = Hazard("single-error-grouped", f"{_GROUPED}: what was handled elsewhere so far arrives here")
    return _fix(use, f"write `{name}`", Replace(use.node.span, name), *_forgotten(use), hazards=(hazard,))


def _backends(use: Use) -> Answer:
    spelled, edits = use.spelled("anyio.get_all_backends")
    assert isinstance(use.node, code.Global)
    return _fix(use, f"call `{spelled}`", Replace(use.node.span, f"{spelled}()"), *edits)


def _notified(use: Use) -> Answer:
    spelled, edits = use.spelled("anyio.notify_closing")
    if use.waiting is None or use.call is None:
        return _refusal("it is not awaited where it is called", "unclear-use")
    text_ = use.quoted(use.call.span, (use.call.func.span, spelled))  # type: ignore[union-attr]
    return _fix(use, f"call `{spelled}`", Replace(use.waiting.span, text_), *edits)


def _forgotten(use: Use) -> tuple[Edit, ...]:
    return use.forgotten(use.node.text) if isinstance(use.node, code.Global) and "." not in use.node.text else ()


_SPECIAL: dict[str, Callable[[Use], Answer]] = {
    "anyio.maybe_async": _unwrapped,
    "anyio.maybe_async_cm": _unwrapped_manager,
    "anyio.start_blocking_portal": _portal,
    "anyio.BACKENDS": _backends,
    "anyio.notify_socket_close": _notified,
}

# -- methods -----------------------------------------------------------------------------------------------------------


def _method(use: Use) -> Answer:
    """A method that is gone."""
    name = use.row.path.rpartition(".")[2]
    if name == "spawn":
        return _spawned(use)
    if name == "set_total_tokens":
        return _assigned(use)
    call, new = use.call, use.row.new
    if name == "stop_from_external_thread" and call is not None and re.fullmatch(r"[\w.]+", use.receiver):
        given = use.quoted(call.span).partition("(")[2]
        stop = f"{use.receiver}.stop" + (f", {given}" if given != ")" else given)
        return _fix(use, "stop the portal with `call`", Replace(call.span, f"{use.receiver}.call({stop}"))
    if new is None:
        return _refusal(use.row.advice)
    hazards = (Hazard("other-result", use.row.advice),) if use.row.advice else ()
    span = span_of(use.node)
    return _fix(use, f"write `{new}`", Replace(span, f"{use.receiver}.{new}"), hazards=hazards)


def _spawned(use: Use) -> Answer:
    """`await tg.spawn(f, x)`."""
    call, waiting = use.call, use.waiting
    if call is None or waiting is None:
        return _refusal("it is not called and awaited in one place", "unclear-use")
    first = call.args[0] if call.args else None
    if first is not None and any(
        each.how.startswith(Form.PASSED.value) and each.span == span_of(first)
        for each in use.study.studied.findings.misuses
    ):
        return _refusal(f"`{text(first)}` is no coroutine function: call it", "no-coroutine")
    hazards: tuple[Hazard, ...] = ()
    if first is not None and not isinstance(first, code.Starred):
        child = code.Call(first, call.args[1:], (), call.span)
        hazards = (*_handlers(child, use), *_cut(child, use))
    is_statement = isinstance(use.statement, code.Evaluate) and use.statement.value is waiting
    if not is_statement:
        hazards = (*hazards, Hazard("other-result", "it gives a handle, `spawn` gave None"))
    new = use.quoted(call.span, (span_of(call.func), f"{use.receiver}.start_soon"))
    title = "spawn it with `start_soon`, which is not awaited"
    return _fix(use, title, Replace(waiting.span, new), hazards=hazards, notes=(_GROUPED,))


def _handlers(child: code.Call, use: Use) -> tuple[Hazard, ...]:
    """`handler-stops-matching`: the handlers around the group that would miss the error of a single child."""
    steps = path_to(child.span, use.function.body)
    groups = [
        step.statement
        for step in steps
        if isinstance(step.statement, code.With)
        and any(
            isinstance(item.context, code.Call) and last_name(item.context) == "create_task_group"
            for item in step.statement.items
        )
    ]
    if not groups:
        return ()
    missed = clauses_that_miss((groups[-1],), (child,), use.function, use.study)
    return (Hazard("handler-stops-matching", "; ".join(missed[:3])),) if missed else ()


def _cut(child: code.Call, use: Use) -> tuple[Hazard, ...]:
    """`cleanup-is-cut`: what the child awaits in its cleanup, which AnyIO cancels since 3.0 and did not before."""
    if not _from_before(3, use):
        return ()
    found = may_be_cut(child, use.function, use.study)
    return tuple(each._replace(message=f"{each.message} (not before AnyIO 3)") for each in found if each.name == _CUT)


def _from_before(release: int, use: Use) -> bool:
    """Whether the program may be one for an AnyIO before a release."""
    floor = use.study.environment.anyio
    return floor is None or floor < (release,)


def _assigned(use: Use) -> Answer:
    """`await limiter.set_total_tokens(n)`."""
    match use.statement:
        case code.Evaluate(value=code.Await(value=code.Call(args=[value], keywords=())) as waiting, span=span):
            if waiting is use.waiting and not isinstance(value, code.Starred):
                line = f"{use.receiver}.total_tokens = {use.quoted(value.span)}"
                return _fix(use, "assign to `total_tokens`", Substitute(span, (line,)))
    return _refusal("it is not awaited in a statement of its own", "unclear-use")


# -- other forms -------------------------------------------------------------------------------------------------------


def _awaited(use: Use) -> Answer:
    """`await event.set()`."""
    assert isinstance(use.node, code.Await)
    call = span_of(use.node.value)
    hazards: tuple[Hazard, ...] = ()
    if use.misuse.how.startswith(LIKELY):
        class_ = use.misuse.evidence[0].message
        hazards = (Hazard("guessed-class", f"only the name of the attribute tells what this is: {class_}"),)
    return _fix(use, "call it without `await`", Replace(use.node.span, use.quoted(call)), hazards=hazards)


def _passed(use: Use) -> Answer:
    """`from_thread.run(event.set)`."""
    for call in walk(use.function.body, code.Call):
        path = path_of(call)
        callee = call.func
        if isinstance(callee, code.Global) and call.args and call.args[0] is use.node and path in CALLS_COROUTINES:
            spelled, edits = use.spelled("anyio.from_thread.run_sync", callee)
            return _fix(use, f"call `{spelled}`", Replace(callee.span, spelled), *edits)
    return _refusal("call it where it is: it does not wait", "no-coroutine")


def _entered(use: Use) -> Answer:
    """`async with move_on_after(1)`."""
    assert use.node is not None
    edits = use.entered(use.node)
    return _fix(use, "enter it with `with`", *edits) if edits else ()


def _argued(use: Use) -> Answer:
    """An argument that is called differently."""
    name = use.row.path.rpartition(".")[2]
    if use.row.new is None:
        return _refusal(use.row.advice)
    for call in walk(use.function.body, code.Call):
        for keyword in call.keywords:
            if keyword.name == name and span_of(keyword.value) == use.misuse.span:
                changed = _argument(keyword, use.row.new, use)
                if changed is not None:
                    whole = use.quoted(call.span, changed)
                    return _fix(use, f"call the argument `{use.row.new}`", Replace(call.span, whole))
    return _refusal("its arguments are written in a way that leaklint does not follow", "unclear-arguments")


def _refused(use: Use) -> Answer:
    return _refusal(use.row.advice)


_BY_FORM: dict[Form, Callable[[Use], Answer]] = {
    Form.NAME: _named,
    Form.METHOD: _method,
    Form.AWAIT: _awaited,
    Form.PASSED: _passed,
    Form.ASYNC_WITH: _entered,
    Form.KEYWORD: _argued,
    Form.BACKEND: _refused,
}


def _argument(keyword: code.Keyword, new: str, use: Use) -> tuple[Span, str] | None:
    """The place of the name of a keyword argument, and its new name."""
    value = span_of(keyword.value)
    before = use.study.lines[value.line - 1][: value.column - 1]
    found = re.search(rf"\b({keyword.name})\s*=[\s(]*$", before)
    if found is None:
        return None
    return Span(value.line, found.start(1) + 1, value.line, found.end(1) + 1), new


def _fix(use: Use, title: str, *edits: Edit, hazards: tuple[Hazard, ...] = (), notes: tuple[str, ...] = ()) -> Fix:
    floor = use.study.environment.anyio
    if floor is not None and floor < (4,):
        allowed = ".".join(map(str, floor))
        notes = (*notes, f"it needs AnyIO 4: raise the lower bound of the dependency, {allowed}, to 4.14")
    return Fix(NAME, title, use.study.path, edits, hazards, notes)


def _refusal(why: str, name: str = "no-successor") -> tuple[Hazard, ...]:
    return (Hazard(name, why, blocks=True),)
