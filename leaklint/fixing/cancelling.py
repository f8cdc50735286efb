"""What a call of `cancel` ends, and the edits that make the function wait for it: one task, or all of a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leaklint.analysis.kinds import last_name, path_of
from leaklint.analysis.outcomes import is_harmless
from leaklint.analysis.resolve import called_on, resolved
from leaklint.fixing.hazards.awaiting import once_bound
from leaklint.fixing.study import Step, Study, path_to
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.fix import Edit, Hazard, Insert, Substitute
from leaklint.model.walk import text, walk

_COPIES = frozenset({"builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "builtins.reversed"})
_READ_ONCE = frozenset(
    f"{module}.{name}"
    for module in ("typing", "collections.abc")
    for name in ("Iterable", "Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator")
)
_ENDED = ("done", "cancelled")


class Waited(NamedTuple):
    """What is to be waited for."""

    argument: str
    """What `asyncio.wait` is given."""
    test: str | None
    """Under which condition."""
    holders: tuple[Expr, ...]
    """The variables or attributes that hold it."""
    is_one: bool = False
    """It is one task, by its handle."""

    @property
    def is_local(self) -> bool:
        """Whether nobody else can change what holds it."""
        return all(isinstance(holder, code.Name) for holder in self.holders)

    def is_changed_in(self, statement: code.Stmt | Expr) -> bool:
        """Whether a statement changes what holds it."""
        return any(_changes(statement, text(holder)) for holder in self.holders)


class Placed(NamedTuple):
    """The edits for one call of `cancel`, and what stands against them."""

    edits: list[Edit]
    hazards: tuple[Hazard, ...]


class Cancel(NamedTuple):
    """One call of `cancel`."""

    call: code.Call
    handle: Expr
    others: tuple[Expr, ...]
    """The handles that are cancelled right after it."""
    function: code.Function
    study: Study
    wait: str
    guarded: bool
    """The task itself may get here."""

    def edits(self) -> Placed | Hazard:
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

    def _one(self) -> Waited | Hazard:
        if not is_plain(self.handle):
            return self._reason("no-plain-handle", "is called on what has no name")
        if self.others and not self.guarded:
            every = (self.handle, *self.others)
            return Waited(f"[{', '.join(map(text, every))}]", None, every)
        return Waited(f"[{text(self.handle)}]", self._unless_itself(text(self.handle)), (self.handle,), is_one=True)

    def holder(self) -> Expr | None:
        """What holds all the tasks of a loop."""
        around = path_to(self.call.span, self.function.body)
        loop = self._loop(around)
        target = self._all(around, loop) if loop is not None else None
        return target.holders[0] if isinstance(target, Waited) and len(target.holders) == 1 else None

    def _unless_itself(self, handle: str) -> str | None:
        if not self.guarded or self._is_guarded():
            return None
        current, _ = self.study.spelled("asyncio.current_task", self.function)
        return f"{handle} is not {current}()"

    def _is_guarded(self) -> bool:
        """Whether the code asks already whether the task is itself."""
        tests = [
            branch.test
            for step in path_to(self.call.span, self.function.body)
            if isinstance(step.statement, code.If)
            for branch in step.statement.branches
        ]
        asked = [node for node in walk(tuple(tests), code.Compare) if node.op == "is not"]
        parts = [part for node in asked for part in (node.left, node.right)]
        made = [once_bound(p.id, self.function, self.study) if isinstance(p, code.Name) else p for p in parts]
        return any(part is not None and path_of(part) == "asyncio.current_task" for part in made)

    def _loop(self, around: Sequence[Step]) -> int | None:
        """The loop over all that is cancelled: its place among the statements around."""
        for index in reversed(range(len(around))):
            statement = around[index].statement
            if isinstance(statement, code.For) and _is_bound(self.handle, statement.target):
                return index
            if isinstance(statement, code.Evaluate) and isinstance(statement.value, code.Comprehension):
                return index
        return None

    def _all(self, around: Sequence[Step], loop: int) -> Waited | Hazard:
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
        collection = _collection_of(iterable, target)
        if not plain or collection is None:
            return self._reason("no-plain-loop", "is in a loop over what cannot be waited for as a whole")
        holders, argument, is_full = collection
        holder = holders[0]
        if self.study.kinds.of(holder, self.function) in _READ_ONCE:
            return self._reason("no-plain-loop", f"is in a loop over `{text(holder)}`, which can be read only once")
        handle = text(self.handle)
        wanted = [test for test in conditions if not _asks_whether_ended(test, handle)]
        if self.guarded:
            wanted_text = [self._unless_itself(handle) or "", *(self.study.written(_span_of(test)) for test in wanted)]
        else:
            wanted_text = [self.study.written(_span_of(test)) for test in wanted]
        if not wanted_text:
            return Waited(argument, None if is_full else text(holder), holders)
        name = self.study.free_name("cancelled", self.function)
        chosen = f"{name} := [{handle} for {handle} in {argument} if {' and '.join(dict.fromkeys(wanted_text))}]"
        return Waited(name, chosen, holders)

    # -- where it waits ------------------------------------------------------------------------------------------

    def _placed(self, around: Sequence[Step], target: Waited) -> Placed | Hazard:
        at, changed = self._run_on(around[-1], target)
        guard = None
        if not changed and at is around[-1].block[-1] and len(around) > 1:
            guards = self._guards(around[-2].statement, target)
            after, changed_after = self._run_on(around[-2], target) if guards is not None else (at, False)
            if changed_after and guards is not None:
                around, at, changed, guard = around[:-1], after, True, next(iter(guards), None)
        statement = around[-1].statement
        shares_line = len(around) > 1 and around[-2].statement.span.line == statement.span.line
        if not changed:
            lines = _lines(f"await {self.wait}({target.argument})", target.test)
            edits: list[Edit] | Hazard = [Insert(at.span, lines)]
            if shares_line:
                edits = self._spread(around[-2].statement, statement, lines)
        elif shares_line:
            edits = self._reason("in-expression", "stands with others on its line")
        else:
            edits = self._aliased(statement, at, target, guard)
        if isinstance(edits, Hazard):
            return edits
        return Placed(edits, tuple(self._pauses(at, target)))

    def _run_on(self, start: Step, target: Waited) -> tuple[code.Stmt, bool]:
        """The last statement that runs before the function pauses, or leaves the block; and whether what holds the
        handle is changed until then. (A variable is not changed by others: it waits before that.)
        """
        block, position = start
        at, changed = block[position], target.is_changed_in(block[position])
        for statement in block[position + 1 :]:
            changes = target.is_changed_in(statement)
            if not self._is_at_once(statement) or (changes and target.is_local):
                break
            at, changed = statement, changed or changes
        return at, changed

    def _guards(self, outer: code.Stmt, target: Waited) -> list[str] | None:
        """The tests of an `if` that ask only whether there is a task and whether it runs: those that ask whether there
        is one, with `{}` for it; None if it asks for more.
        """
        match outer:
            case code.If(branches=[branch], orelse=()) if target.is_one:
                handle = text(self.handle)
                found = []
                for test in _conjuncts(branch.test):
                    if text(test) in (handle, f"{handle} is not None"):
                        found.append(text(test).replace(handle, "{}", 1))
                    elif not _asks_whether_ended(test, handle):
                        return None
                return found
        return None

    def _aliased(self, first: code.Stmt, last: code.Stmt, target: Waited, guard: str | None) -> list[Edit] | Hazard:
        """A variable that keeps what is to be waited for while what held it is changed."""
        if target.test is not None and ":=" in target.test:
            return self._reason("no-plain-loop", f"is in a loop that changes `{text(target.holders[0])}`")
        holder = text(target.holders[0])
        wish = holder.rpartition(".")[2].strip("_") if target.is_one else "cancelled"
        name = self.study.free_name(wish, self.function)
        if name != wish:
            name = self.study.free_name("cancelled", self.function)
        if target.is_one:
            value, argument = holder, f"[{name}]"
        else:
            value = target.argument if len(target.holders) > 1 else f"list({target.argument})"
            argument = name
        tests = [guard.format(name) if guard else None, target.test and target.test.replace(holder, name, 1)]
        test = " and ".join(each for each in tests if each) or None
        lines = _lines(f"await {self.wait}({argument})", test)
        return [Insert(first.span, (f"{name} = {value}",), after=False), Insert(last.span, lines)]

    def _pauses(self, at: code.Stmt, target: Waited) -> Iterator[Hazard]:
        """`pause-before-change`: where the function now waits, others see a task that it is about to replace."""
        if target.is_local:
            return
        after = [
            node
            for node in walk(self.function.body, (code.Assign, code.Delete, code.Evaluate, code.Await))
            if node.span[:2] >= at.span[2:]
        ]
        for node in after:
            if isinstance(node, code.Await):
                return
            if target.is_changed_in(node):
                holder = next(text(each) for each in target.holders)
                said = f"`{self.function.name}` would pause before line {node.span.line} changes `{holder}`"
                yield Hazard("pause-before-change", said)
                return

    def _spread(self, outer: code.Stmt, statement: code.Stmt, lines: Sequence[str]) -> list[Edit] | Hazard:
        """An `if` on one line, with its statement on the next."""
        match outer:
            case code.If(branches=[branch], orelse=()) if len(branch.body) == 1:
                header = f"if {self.study.written(_span_of(branch.test))}:"
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
        if last_name(call.func) in ("cancel", "set", *_ENDED) or is_harmless(call.func):
            return True
        called = resolved(call.func, self.function, self.study.kinds)
        return called is not None and called.is_async  # that only makes a coroutine


def _lines(wait: str, test: str | None) -> tuple[str, ...]:
    return (wait,) if test is None else (f"if {test}:", f"    {wait}")


def _is_whole(statement: code.Stmt, call: code.Call) -> bool:
    """Whether a call is a statement by itself, or what a loop in brackets does."""
    match statement:
        case code.Evaluate(value=code.Comprehension(element=element)):
            return element is call
        case code.Evaluate(value=value) | code.Assign(value=value):
            return value is call
    return False


# -- expressions -------------------------------------------------------------------------------------------------------


def is_plain(expr: Expr) -> bool:
    """Whether an expression is a name, or an attribute of one."""
    match expr:
        case code.Name() | code.Global():
            return True
        case code.Attribute(value=value):
            return is_plain(value)
    return False


def _is_bound(handle: Expr, target: Expr) -> bool:
    """Whether a loop binds the handle."""
    return isinstance(handle, code.Name) and any(name.id == handle.id for name in walk(target, code.Name))


def _collection_of(iterable: Expr, target: Expr) -> tuple[tuple[Expr, ...], str, bool] | None:
    """What holds the tasks that a loop goes through, how it is written, and whether it is never empty."""
    match iterable:
        case code.Call(args=[inner], keywords=()) if path_of(iterable) in _COPIES:
            return _collection_of(inner, target)
        case code.Call(func=code.Attribute(value=holder, attr="copy"), args=()):
            return _collection_of(holder, target)
        case code.Call(func=code.Attribute(value=holder, attr="values"), args=()) if is_plain(holder):
            return ((holder,), f"{text(holder)}.values()", False) if isinstance(target, code.Name) else None
        case code.Call(func=code.Attribute(value=holder, attr="items"), args=()) if is_plain(holder):
            return ((holder,), f"{text(holder)}.values()", False) if isinstance(target, code.Display) else None
        case code.Display(items=items) if items and all(map(is_plain, items)) and isinstance(target, code.Name):
            return items, f"[{', '.join(map(text, items))}]", True
    if is_plain(iterable) and isinstance(target, code.Name):
        return (iterable,), text(iterable), False
    return None


def _tests_to(step: Step) -> list[Expr] | None:
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


def _span_of(expr: Expr) -> code.Span:
    assert not isinstance(expr, code.Starred)
    return expr.span


def _changes(statement: code.Stmt | Expr, holder: str) -> bool:
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
