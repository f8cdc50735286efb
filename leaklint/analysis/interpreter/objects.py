"""Objects of classes of the program: those that are made with the task in them, and one that is followed itself."""

from __future__ import annotations

from leaklint.analysis.interpreter.called import Called
from leaklint.analysis.interpreter.frame import Frame, bind
from leaklint.analysis.interpreter.state import Owner, Record, Result, Value, Way, field, holds
from leaklint.analysis.kinds import receiver
from leaklint.analysis.program import Program
from leaklint.analysis.resolve import resolved
from leaklint.model import code
from leaklint.model.walk import walk


def record(path: str, called: Called, frame: Frame) -> list[Result] | None:
    """An object of a class with annotated fields and no `__init__`, such as a dataclass, that is given the task.

    None when the task goes to none of its fields. A field that no method of the class mentions is a plain one: the
    object itself holds the task, as a tuple would. Any other belongs to the class: its methods may see to the task.
    """
    program = frame.shared.program
    names = _fields(path, program)
    given = dict(zip(names, called.args, strict=False))
    given |= {k.name or "": v for k, v in zip(called.expr.keywords, called.keywords, strict=True)}
    held = {name: value for name, value in given.items() if holds(value) and name in names}
    if not held:
        return None
    frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
    if all(_is_plain(path, name, program) for name in held):
        return called.result(Record(tuple((name, given.get(name)) for name in names)))
    state, trail = called.state, called.trail
    for name, value in held.items():
        trail = (*trail, frame.step(called.expr.span, f"kept in `{path.rpartition('.')[2]}.{name}`"))
        state = bind(state, field(path, name), value)
    return [Result(state, trail, None)]


def _fields(path: str, program: Program) -> list[str]:
    """The annotated names in the bodies of a class and its bases, those of the bases first."""
    return [
        target.id
        for ancestor in reversed(program.ancestors(path))
        if ancestor in program.classes
        for statement in program.classes[ancestor].body.body
        if isinstance(statement, code.Assign) and statement.annotation is not None
        for target in statement.targets
        if isinstance(target, code.Name)
    ]


def _is_plain(path: str, name: str, program: Program) -> bool:
    classes = [program.classes[each] for each in program.family(path) if each in program.classes]
    return not any(
        name in scope.words for each in classes for method in each.methods for scope in program.inside(method)
    )


def owner_method(attr: str, owner: Owner, called: Called, frame: Frame) -> list[Result]:
    """A method of the followed object: one that ends it, one that returns the object itself, or any other."""
    if attr in owner.ends:
        steps = (*called.trail, frame.step(called.expr.span, f"`{attr}` ends it"))
        return [Result(called.state.ended(), steps, None)]
    frame.leave(Way.EXCEPTION, called.state, called.trail, called.expr.span)
    function = resolved(called.expr.func, frame.function, frame.shared.kinds)
    itself: Value | None = owner if function is not None and _returns_itself(function) else None
    return called.result(itself)


def _returns_itself(function: code.Function) -> bool:
    itself = receiver(function)
    returned = (statement.value for statement in walk(function.body, code.Return))
    return any(isinstance(value, code.Name) and value.id == itself for value in returned)
