"""Context managers that may look at the errors which leave their body."""

from __future__ import annotations

import sys

from leaklint.analysis.kinds import last_name, path_of
from leaklint.catalog import LOGGING, Role
from leaklint.fixing.hazards.awaiting import Entry, entered, once_bound
from leaklint.fixing.hazards.callees import manager
from leaklint.fixing.hazards.clauses import spelled_out
from leaklint.fixing.hazards.errors import Errors, is_broad, is_ending, matches
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import text, walk

_LOOKING = frozenset({"contextlib.suppress", "contextlib.ExitStack", "contextlib.AsyncExitStack"})
_HARMLESS = frozenset(
    """anyio.open_file anyio.open_signal_receiver anyio.TemporaryDirectory anyio.NamedTemporaryFile
    anyio.TemporaryFile""".split()
)
_GROUPS_SUPPRESSED = (3, 12)
"""`contextlib.suppress` looks into groups since then.
https://docs.python.org/3/library/contextlib.html#contextlib.suppress"""


def stops(item: code.Item) -> bool:
    """Whether a context manager keeps every error in, grouped or not."""
    context = item.context
    if not isinstance(context, code.Call) or path_of(context) != "contextlib.suppress":
        return False
    return bool(context.args) and is_broad(context.args)


def looks_at(
    item: code.Item, statement: code.With, errors: Errors, function: code.Function, study: Study
) -> str | None:
    """What a context manager around errors would do with them now that they are grouped; None if nothing changes."""
    context, kinds = item.context, study.kinds
    made = once_bound(context.id, function, study) if isinstance(context, code.Name) else context
    path = path_of(made) if made is not None else None
    said = text(made.func if isinstance(made, code.Call) else context)
    if kinds.role_of(path) is Role.SUPPRESS or last_name(context).startswith("assertRaises"):
        args = context.args[:1] if isinstance(context, code.Call) and path != "contextlib.suppress" else _args(context)
        args = spelled_out(args, study)
        is_new = path == "contextlib.suppress" and (study.environment.python or (0,)) >= _GROUPS_SUPPRESSED
        if is_new or not args or is_broad(args) or is_ending(args) or not matches(args, errors, study):
            return None
        return f"`{said}` would not see it any more"
    if path in _LOOKING:
        return f"`{said}` may look at its type"
    if isinstance(made, code.Call) and (generator := manager(made.func, function, study)) is not None:
        return f"`{said}` looks at its type" if _generator_looks(generator, errors, study) else None
    found = entered(context, function, study, is_async=statement.is_async)
    if found.entry in (Entry.SCOPE, Entry.GROUP, Entry.LOCK) or path in _HARMLESS or _is_lock(context):
        return None
    if path is not None and path.partition(".")[0] in (*sys.stdlib_module_names, "builtins"):
        return None
    kind = kinds.of(context, function)
    if kind in study.program.classes:
        method = study.program.method(kind or "", "__aexit__" if statement.is_async else "__exit__")
        if method is not None:
            return f"`{said}` looks at its type" if _method_looks(method) else None
    return f"`{said}` may look at its type"


def _args(context: Expr) -> tuple[Expr, ...]:
    return context.args if isinstance(context, code.Call) else ()


def _is_lock(context: Expr) -> bool:
    """The one guess from spelling: what is called a lock is one."""
    return last_name(context).lower().endswith(("lock", "mutex", "semaphore"))


def _generator_looks(generator: code.Function, errors: Errors, study: Study) -> bool:
    """Whether a generator catches errors where it yields, other than all alike."""
    for statement in walk(generator.body, code.Try):
        if any(True for _ in walk(statement.body, code.Yield)):
            for handler in statement.handlers:
                types = spelled_out(handler.types, study)
                if is_broad(types):
                    if uses_error(handler):
                        return True
                    break
                if not is_ending(types) and matches(types, errors, study):
                    return True
        elif any(True for _ in walk((*statement.final, *statement.orelse), code.Yield)):
            continue
    return False


def _method_looks(method: code.Function) -> bool:
    """Whether an `__exit__` reads the error, other than to ask whether there is one, or to log it."""
    names = {param.name for param in method.params[1:]}
    fine = {
        id(name)
        for node in walk(method.body, (code.Compare, code.Not, code.If, code.Call))
        for name in plain_reads(node)
    }
    return any(node.id in names and id(node) not in fine for node in walk(method.body, code.Name))


def plain_reads(node: code.Compare | code.Not | code.If | code.Call) -> list[Expr]:
    """What an expression or a statement only logs, or asks whether it is there."""
    match node:
        case code.Compare(left=left, op="is" | "is not", right=code.Constant(value=None)):
            return [left]
        case code.Not(value=value):
            return [value]
        case code.If(branches=branches):
            return [branch.test for branch in branches]
        case code.Call() if last_name(node) in LOGGING:
            return list(walk((*node.args, *(keyword.value for keyword in node.keywords)), code.Name))
    return []


LOGGERS = LOGGING | frozenset(
    """format_exception print_exception format_exc print_exc format_exception_only capture_exception
    log_exception""".split()
)
"""What logs the error that it is given."""


def uses_error(handler: code.Handler) -> bool:
    """Whether a handler does more with the error than to log it or to raise it again."""
    if handler.name is None:
        return False
    nodes = list(walk(handler.body, (code.Name, code.Call, code.Raise)))
    said = {
        id(name)
        for node in nodes
        if isinstance(node, code.Raise) or (isinstance(node, code.Call) and last_name(node) in LOGGERS)
        for name in ((node.value,) if isinstance(node, code.Raise) else walk(given(node), code.Name))
    }
    return any(isinstance(each, code.Name) and each.id == handler.name and id(each) not in said for each in nodes)


def given(call: code.Call) -> tuple[Expr, ...]:
    """The arguments of a call."""
    return (*call.args, *(keyword.value for keyword in call.keywords))
