"""Waits for tasks that are cancelled, where they are cancelled.

`asyncio.wait` raises nothing of what the tasks raise, lets a cancellation of the function that waits through, and
takes tasks that are done. (`gather` with `return_exceptions=True` would take no tasks, too, where `wait` refuses; but
a cancellation of the waiting function cancels its tasks a second time, which cuts their cleanup, and what they have
raised is never logged: an experiment on Python 3.10 to 3.13.) What the function did without a pause it still does
without one: it waits only where it would pause or go on elsewhere, for the handle as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.outcomes import is_harmless
from leaklint.analysis.resolve import called_on
from leaklint.fixing.hazards.handles import may_be_no_future, may_deadlock, may_go_on, may_wait_for_itself
from leaklint.fixing.study import Finding, Study, path_to
from leaklint.fixing.study import Step as Around
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fate import Task
from leaklint.model.fix import Edit, Fix, Hazard, Insert, Substitute
from leaklint.model.walk import text, walk

NAME = "wait-after-cancel"
CODES = frozenset({"LK103", "LK104"})

_COPIES = frozenset({"builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "builtins.reversed"})
_NO_COLLECTIONS = frozenset(
    f"{module}.{name}"
    for module in ("typing", "collections.abc")
    for name in ("Iterable", "Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator")
)
_ENDED = ("done", "cancelled")


def propose(finding: Finding, study: Study) -> Fix | tuple[Hazard, ...]:
    """A wait after each cancel that nothing waits after, in the function that the evidence names."""
    task = finding.subject
    spawner = study.function_of(task) if isinstance(task, Task) else None
    if not isinstance(task, Task) or spawner is None:
        return ()
    steps = [step for step in task.evidence if step.message.endswith(" cancels it")]
    if not steps:
        return ()
    step = steps[-1]
    if step.path != study.path:
        said = f"{step.message.removesuffix(' cancels it')} in {step.path} cancels it, and a fix edits one file"
        return (Hazard("cancelled-elsewhere", said, blocks=True),)
    found = _function_with(step.span, study)
    if found is None:
        return ()
    waiter, call = found
    if waiter.kind != "function" or not waiter.is_async:
        name = f"`{waiter.name}`" if waiter.kind == "function" else "what cancels it"
        return (Hazard("no-coroutine-function", f"{name} is no coroutine function: it cannot wait", blocks=True),)
    return _waiting(task, spawner, waiter, call, study)


def _function_with(span: code.Span, study: Study) -> tuple[code.Function, code.Call] | None:
    """The call of `cancel` at a place, and the scope that it is in."""
    for function in study.facts.functions:
        for call in walk(function.body, code.Call):
            if call.span == span and last_name(call.func) == "cancel":
                return function, call
    return None


def _waiting(
    task: Task, spawner: code.Function, waiter: code.Function, first: code.Call, study: Study
) -> Fix | tuple[Hazard, ...]:
    handle = called_on(first.func)
    if handle is None:
        return ()
    wait, imports = study.spelled("asyncio.wait", waiter)
    guarded = may_wait_for_itself(task, spawner, waiter, study)
    edits: list[Edit] = []
    hazards: list[Hazard] = []
    for call in _calls_like(first, handle, waiter):
        answer = _Cancel(call, called_on(call.func) or handle, waiter, study, wait, guarded).edits()
        if isinstance(answer, Hazard):
            return (answer,)
        edits += [edit for edit in answer if edit not in edits]
        hazards += may_deadlock(task, spawner, call.span, waiter, study)
    if guarded and any(
        "current_task" in line for edit in edits if isinstance(edit, Insert | Substitute) for line in edit.lines
    ):
        _, more = study.spelled("asyncio.current_task", waiter)
        imports = (*imports, *more)
    hazards += [*may_go_on(task, spawner, study), *may_be_no_future(handle, waiter, study)]
    note = f"`{waiter.name}` now waits until `{task.spawned}` has ended"
    edits += imports
    return Fix(NAME, "wait for what is cancelled", study.path, tuple(edits), tuple(dict.fromkeys(hazards)), (note,))


def _calls_like(first: code.Call, handle: Expr, waiter: code.Function) -> Iterator[code.Call]:
    """A call of `cancel`, and the others of the same handle after which nothing waits."""
    for call in walk(waiter.body, code.Call):
        if call is first:
            yield call
        elif last_name(call.func) == "cancel" and (other := called_on(call.func)) is not None:
            yield from () if text(other) != text(handle) or _is_waited_for(call, text(handle), waiter) else (call,)


def _is_waited_for(call: code.Call, handle: str, waiter: code.Function) -> bool:
    """Whether something that mentions the handle is awaited after a call."""
    awaited = (node for node in walk(waiter.body, code.Await) if node.span[:2] > call.span[:2])
    return any(handle in _texts(node.value) for node in awaited)


def _texts(root: object) -> set[str]:
    return {text(node) for node in walk(root, (code.Name, code.Global, code.Attribute))}


class _Target(NamedTuple):
    """What is to be waited for."""

    argument: str
    """What `asyncio.wait` is given."""
    test: str | None
    """Under which condition."""
    holder: Expr
    """The variable or attribute that holds it."""


class _Cancel(NamedTuple):
    """One call of `cancel`."""

    call: code.Call
    handle: Expr
    function: code.Function
    study: Study
    wait: str
    guarded: bool
    """The task itself may get here."""

    def edits(self) -> list[Edit] | Hazard:
        """The edits that make it wait, or why there are none."""
        around = path_to(self.call.span, self.function.body)
        if not _is_whole(around[-1].statement, self.call):
            return self._reason("in-expression", "is part of a larger expression or statement")
        loop = self._loop(around)
        target = self._one() if loop is None else self._all(around, loop)
        if isinstance(target, Hazard):
            return target
        return self._placed(around if loop is None else around[: loop + 1], target)

    def _reason(self, name: str, said: str) -> Hazard:
        return Hazard(name, f"`{text(self.call)}` on line {self.call.span.line} {said}", blocks=True)

    # -- what is waited for --------------------------------------------------------------------------------------

    def _one(self) -> _Target | Hazard:
        if not _is_plain(self.handle):
            return self._reason("no-plain-handle", "is called on what has no name")
        return _Target(f"[{text(self.handle)}]", self._unless_itself(text(self.handle)), self.handle)

    def _unless_itself(self, handle: str) -> str | None:
        if not self.guarded:
            return None
        current, _ = self.study.spelled("asyncio.current_task", self.function)
        return f"{handle} is not {current}()"

    def _loop(self, around: Sequence[Around]) -> int | None:
        """The loop over all that is cancelled: its place among the statements around."""
        for index in reversed(range(len(around))):
            statement = around[index].statement
            if isinstance(statement, code.For) and _is_bound(self.handle, statement.target):
                return index
            if isinstance(statement, code.Evaluate) and isinstance(statement.value, code.Comprehension):
                return index
        return None

    def _all(self, around: Sequence[Around], loop: int) -> _Target | Hazard:
        statement = around[loop].statement
        if isinstance(statement, code.Evaluate):
            assert isinstance(statement.value, code.Comprehension)
            clause = statement.value.clauses[0]
            target, iterable, conditions = clause.target, clause.iterable, list(clause.conditions)
            plain = len(statement.value.clauses) == 1 and _is_bound(self.handle, target) and not clause.is_async
        else:
            assert isinstance(statement, code.For)
            target, iterable = statement.target, statement.iterable
            tests = [_tests_to(step) for step in around[loop + 1 : -1]]
            conditions = [test for each in tests for test in each or ()]
            plain = not statement.is_async and None not in tests
        collection = _collection(iterable, target)
        if not plain or collection is None:
            return self._reason("no-plain-loop", "is in a loop over what cannot be waited for as a whole")
        holder, argument, is_full = collection
        if self.study.kinds.of(holder, self.function) in _NO_COLLECTIONS:
            return self._reason("no-plain-loop", f"is in a loop over `{text(holder)}`, which can be read only once")
        handle = text(self.handle)
        wanted = [test for test in conditions if not _asks_whether_ended(test, handle)]
        if self.guarded:
            wanted_text = [self._unless_itself(handle) or "", *(self.study.written(_span(test)) for test in wanted)]
        else:
            wanted_text = [self.study.written(_span(test)) for test in wanted]
        if not wanted_text:
            return _Target(argument, None if is_full else text(holder), holder)
        name = self.study.free_name("cancelled", self.function)
        chosen = f"{name} := [{handle} for {handle} in {argument} if {' and '.join(dict.fromkeys(wanted_text))}]"
        return _Target(name, chosen, holder)

    # -- where it waits ------------------------------------------------------------------------------------------

    def _placed(self, around: Sequence[Around], target: _Target) -> list[Edit] | Hazard:
        block, position = around[-1]
        holder = text(target.holder)
        at, changed = position, _changes(block[position], holder)
        for index in range(position + 1, len(block)):
            if not self._is_at_once(block[index]) or (
                isinstance(target.holder, code.Name) and _changes(block[index], holder)
            ):
                break
            at, changed = index, changed or _changes(block[index], holder)
        edits: list[Edit] = []
        statement = block[position]
        lines = [f"await {self.wait}({target.argument})"]
        if changed:
            if target.test is not None and ":=" in target.test:
                return self._reason("no-plain-loop", f"is in a loop that changes `{holder}`")
            is_one = target.argument.startswith("[")
            wish = (
                holder.rpartition(".")[2].strip("_")
                if is_one or holder.rpartition(".")[2].strip("_") != holder
                else "cancelled"
            )
            name = self.study.free_name(wish or "cancelled", self.function)
            value, argument = (holder, f"[{name}]") if is_one else (f"list({target.argument})", name)
            edits.append(Insert(statement.span, (f"{name} = {value}",), after=False))
            lines = [f"await {self.wait}({argument})"]
            test = target.test.replace(holder, name, 1) if target.test else None
        else:
            test = target.test
        if test is not None:
            lines = [f"if {test}:", f"    {lines[0]}"]
        outer = around[-2].statement if len(around) > 1 else None
        if outer is not None and outer.span.line == statement.span.line:
            return (
                self._spread(outer, statement, lines)
                if not changed
                else self._reason("in-expression", "stands with others on its line")
            )
        return [*edits, Insert(block[at].span, tuple(lines))]

    def _spread(self, outer: code.Stmt, statement: code.Stmt, lines: Sequence[str]) -> list[Edit] | Hazard:
        """An `if` on one line, with its statement on the next."""
        match outer:
            case code.If(branches=[branch], orelse=()) if len(branch.body) == 1:
                header = f"if {self.study.written(_span(branch.test))}:"
                body = [self.study.written(statement.span), *lines]
                return [Substitute(outer.span, (header, *(f"    {line}" for line in body)))]
        return self._reason("in-expression", "stands with others on its line")

    def _is_at_once(self, statement: code.Stmt) -> bool:
        """Whether a statement neither pauses, nor leaves the block, nor runs code that might change the handle."""
        match statement:
            case code.Evaluate() | code.Assign() | code.Augment() | code.Delete():
                pass
            case code.If(branches=branches, orelse=orelse):
                blocks = [*(branch.body for branch in branches), orelse]
                if not all(self._is_at_once(each) for block in blocks for each in block):
                    return False
            case _:
                return False
        if any(True for _ in walk(statement, (code.Await, code.Yield))):
            return False
        return all(self._is_harmless(call) for call in walk(statement, code.Call))

    def _is_harmless(self, call: code.Call) -> bool:
        return last_name(call.func) in ("cancel", "set", *_ENDED) or is_harmless(call.func)


def _is_whole(statement: code.Stmt, call: code.Call) -> bool:
    """Whether a call is a statement by itself, or what a loop in brackets does."""
    match statement:
        case code.Evaluate(value=code.Comprehension(element=element)):
            return element is call
        case code.Evaluate(value=value) | code.Assign(value=value):
            return value is call
    return False


def _is_plain(expr: Expr) -> bool:
    """Whether an expression is a name, or an attribute of one."""
    match expr:
        case code.Name() | code.Global():
            return True
        case code.Attribute(value=value):
            return _is_plain(value)
    return False


def _is_bound(handle: Expr, target: Expr) -> bool:
    """Whether a loop binds the handle."""
    return isinstance(handle, code.Name) and any(name.id == handle.id for name in walk(target, code.Name))


def _collection(iterable: Expr, target: Expr) -> tuple[Expr, str, bool] | None:
    """What holds the tasks that a loop goes through, how it is written, and whether it is never empty."""
    match iterable:
        case code.Call(args=[inner], keywords=()) if path_of(iterable) in _COPIES:
            return _collection(inner, target)
        case code.Call(func=code.Attribute(value=holder, attr="copy"), args=()):
            return _collection(holder, target)
        case code.Call(func=code.Attribute(value=holder, attr="values"), args=()) if _is_plain(holder):
            return (holder, f"{text(holder)}.values()", False) if isinstance(target, code.Name) else None
        case code.Call(func=code.Attribute(value=holder, attr="items"), args=()) if _is_plain(holder):
            return (holder, f"{text(holder)}.values()", False) if isinstance(target, code.Display) else None
        case code.Display(items=items) if items and all(map(_is_plain, items)) and isinstance(target, code.Name):
            return items[0], f"[{', '.join(map(text, items))}]", True
    if _is_plain(iterable) and isinstance(target, code.Name):
        return iterable, text(iterable), False
    return None


def _tests_to(step: Around) -> list[Expr] | None:
    """The conditions under which a statement comes to what is in it; None if that is not plain to see."""
    match step.statement:
        case code.If(branches=[branch], orelse=()):
            return _conjuncts(branch.test)
    return None


def _conjuncts(test: Expr) -> list[Expr]:
    if isinstance(test, code.Boolean) and test.op == "and":
        return [each for value in test.values for each in _conjuncts(value)]
    return [test]


def _asks_whether_ended(test: Expr, handle: str) -> bool:
    """Whether a condition is `not task.done()`."""
    match test:
        case code.Not(value=code.Call(func=code.Attribute(value=value, attr=attr), args=())):
            return attr in _ENDED and text(value) == handle
    return False


def _span(expr: Expr) -> code.Span:
    assert not isinstance(expr, code.Starred)
    return expr.span


def _changes(statement: code.Stmt, holder: str) -> bool:
    """Whether a statement binds a variable or attribute anew, or calls a method of it that is not to look at it."""
    for node in walk(statement, (code.Assign, code.Delete, code.Call)):
        match node:
            case code.Assign(targets=targets) | code.Delete(targets=targets):
                bound = [
                    each
                    for target in targets
                    for each in (target.items if isinstance(target, code.Display) else (target,))
                ]
                if any(text(each) == holder or _is_item(each, holder) for each in bound):
                    return True
            case code.Call(func=func):
                owner = called_on(func)
                if owner is not None and text(owner) == holder and last_name(func) in _CHANGING:
                    return True
    return False


_CHANGING = frozenset("clear pop popitem remove discard difference_update".split())


def _is_item(target: Expr, holder: str) -> bool:
    return isinstance(target, code.Subscript) and text(target.value) == holder
