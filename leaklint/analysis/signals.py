"""Events and futures that a coroutine sets: whoever waits for what it sets as its last act waits for the task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from leaklint.analysis.interpreter.frame import Frame, Shared
from leaklint.analysis.interpreter.state import Waiter, field
from leaklint.analysis.kinds import last_name
from leaklint.analysis.owners import HANDS_ON, KEEPS, Effect, best_effect
from leaklint.analysis.resolve import resolved
from leaklint.catalog import ADDING, PICKING, SETTING
from leaklint.model import code
from leaklint.model.code import Block, Expr
from leaklint.model.fate import Fate, PathKind
from leaklint.model.walk import text, walk


def signal_effect(spawned: Expr, spawner: code.Function, shared: Shared) -> Effect:
    """Who waits for an event or future of the same object that the spawned coroutine sets when it ends, only then."""
    function = resolved(spawned.func, spawner, shared.kinds) if isinstance(spawned, code.Call) else None
    if function is None:
        return KEEPS
    best = KEEPS
    for target in _last_acts(function.body):
        if _setters(target.attr, function.qualname, shared) == 1:
            place = field(shared.kinds.of(target.value, function), target.attr)
            effect = best_effect(place, Waiter(frozenset({PathKind.CANCELLATION})), function, shared)
            if effect.rank > best.rank and effect.fate is not Fate.HANDED:
                setting = Frame(shared, function).act(target.span, f"sets `{text(target)}` when it ends")
                best = replace(effect, evidence=(setting, *effect.evidence))
    return max(best, _answers(function, shared), key=lambda effect: effect.rank)


def _answers(function: code.Function, shared: Shared) -> Effect:
    """Who waits for the answer of a coroutine that takes what it has to do from a queue of its object.

    Whether the answer to some message is its last act is not known: then others must see to the task.
    """
    owner = shared.program.owner_of(function)
    calls = [call.func for call in walk(function.body, code.Call) if isinstance(call.func, code.Attribute)]
    queues = {
        last_name(func.value) for func in calls if func.attr in PICKING and isinstance(func.value, code.Attribute)
    }
    if owner is None or not any(func.attr in SETTING for func in calls):
        return KEEPS
    for queue in sorted(queues):
        for asking in shared.program.mentioning(queue, owner):
            if asking is not function and shared.program.owner_of(asking) == owner and _asks(asking, queue):
                step = Frame(shared, asking).act(asking.span, f"asks it over `{queue}`, and waits for the answer")
                return Effect(HANDS_ON, Fate.HANDED, (), (step,), asking)
    return KEEPS


def _asks(function: code.Function, queue: str) -> bool:
    """Whether a function puts a future of its own into a queue, and awaits something."""
    futures = {
        text(target)
        for node in walk(function.body, code.Assign)
        if node.value is not None and last_name(node.value) in ("create_future", "Future")
        for target in node.targets
    }
    puts = (call for call in walk(function.body, code.Call) if last_name(call.func) in ADDING)
    given = (call for call in puts if isinstance(call.func, code.Attribute) and last_name(call.func.value) == queue)
    inside = (text(part) for call in given for part in walk((call.args, call.keywords), (code.Name, code.Attribute)))
    return any(part in futures for part in inside) and any(True for _ in walk(function.body, code.Await))


def _last_acts(block: Block) -> Iterator[code.Attribute]:
    """The attributes that a `finally` of these statements calls `set()` or `set_result()` on, nothing being awaited
    after it. Loops are left out: what is set there is set again.
    """
    for statement in block:
        match statement:
            case code.With(body=body):
                yield from _last_acts(body)
            case code.Try(body=body, final=final):
                yield from _last_acts(body)
                yield from _last_acts(final)
                yield from _set_at_the_end_of(final)


def _set_at_the_end_of(block: Block) -> Iterator[code.Attribute]:
    for statement in reversed(block):
        if any(True for _ in walk(statement, code.Await)):
            return
        for call in walk(statement, code.Call):
            for setter in (call.func, *call.args):  # `loop.call_soon(self.done.set)` sets it too
                match setter:
                    case code.Attribute(value=code.Attribute() as target, attr=attr) if attr in SETTING:
                        yield target


def _setters(attr: str, home: str, shared: Shared) -> int:
    """In how many places the program sets an attribute of that name."""
    setters = (
        node
        for scope in shared.program.mentioning(attr, home)
        for node in walk(scope.body, code.Attribute)
        if node.attr in SETTING and isinstance(node.value, code.Attribute) and node.value.attr == attr
    )
    return sum(1 for _ in setters)
