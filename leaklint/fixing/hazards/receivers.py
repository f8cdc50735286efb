"""All classes that an object may be of which a method is called on: one answer of several is not the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaklint.analysis.kinds import Binding, last_name, makes_class, receiver
from leaklint.fixing.hazards.origins import bound_to_attribute, bound_to_variable, is_taken, scope_of
from leaklint.fixing.study import Study, remembered
from leaklint.model import code
from leaklint.model.code import Expr
from leaklint.model.walk import walk

Classes = frozenset[str]
_NONE: Classes = frozenset()
_DEEPEST = 6


@remembered
def classes_of(expr: Expr, function: code.Function, study: Study) -> Classes | None:
    """The dotted paths of the classes, those derived from them left out, that the value of an expression is of, read in
    a function; None if it may be of others. What an annotation says is taken to hold; `None` is of no class.
    """
    return _Receivers(study).of(expr, function)


class _Receivers:
    def __init__(self, study: Study) -> None:
        self.study, self.kinds, self.program = study, study.kinds, study.program
        self._open: set[tuple[str, str]] = set()
        """The variables and attributes that are being looked up: they add nothing to themselves."""

    def of(self, expr: Expr, function: code.Function) -> Classes | None:
        match expr:
            case code.Constant(value=None):
                return _NONE
            case code.Name(id=name):
                return self._name(name, function)
            case code.Global(path=path):
                return self._variable(path)
            case code.Attribute(value=value, attr=attr):
                return self._attribute(value, attr, function)
            case code.Await(value=value) | code.Walrus(value=value):
                return self.of(value, function)
            case code.Conditional(then=then, orelse=orelse):
                return self._all((then, orelse), function)
            case code.Boolean(values=values):
                return self._all(values, function)
            case code.Call(func=code.Global(path=path)) if path in self.program.functions:
                return self._returned(self.program.functions[path])
            case code.Call(func=code.Attribute(value=value, attr=attr)):
                return self._called(value, attr, expr, function)
        return self._single(self.kinds.of(expr, function))

    def _all(self, values: Iterable[Expr], function: code.Function) -> Classes | None:
        return _joined(self.of(value, function) for value in values)

    def _single(self, kind: str | None) -> Classes | None:
        return None if kind is None else frozenset({kind})

    # -- names ---------------------------------------------------------------------------------------------------

    def _name(self, name: str, function: code.Function) -> Classes | None:
        scope = scope_of(name, function, self.study)
        if scope is None or name == receiver(scope) or makes_class(scope, name):
            return self._single(self.kinds.of(code.Name(name, function.span), function))
        bindings = self.kinds.bindings(scope).get(name, [])
        if any(param.name == name and param.annotation is None for param in scope.params):
            return None
        if not bindings or is_taken(name, scope):
            return None
        return self._bound((scope.qualname, name), bindings)

    def _variable(self, path: str) -> Classes | None:
        """A variable of a module, or a class, or what a library is known for."""
        prefix, _, name = path.rpartition(".")
        module = self.program.scopes.get(prefix)
        bindings = bound_to_variable(path, module, self.study) if module is not None else ()
        return self._bound((prefix, name), bindings) if bindings else self._single(self.kinds.of_path(path))

    # -- attributes ----------------------------------------------------------------------------------------------

    def _attribute(self, value: Expr, attr: str, function: code.Function) -> Classes | None:
        owners = self.of(value, function)
        return None if owners is None else _joined(self._of_attribute(owner, attr) for owner in owners)

    def _of_attribute(self, owner: str, attr: str) -> Classes | None:
        if owner not in self.program.classes:
            return self._single(self.kinds.attribute(owner, attr))
        method = self.program.method(owner, attr)
        if method is not None:
            is_property = any("property" in last_name(decorator) for decorator in method.decorators)
            return self._returned(method) if is_property else None
        bindings = bound_to_attribute(owner, attr, self.study)
        if not any(self.kinds.assigned(name, attr) for name in self.program.family(owner)):
            return self._single(self.kinds.attribute(owner, attr))
        return self._bound((owner, attr), bindings)

    # -- what is bound and returned ------------------------------------------------------------------------------

    def _bound(self, variable: tuple[str, str], bindings: Sequence[Binding]) -> Classes | None:
        if variable in self._open:
            return _NONE
        if len(self._open) > _DEEPEST:
            return None
        declared = [kind for each in bindings if each.how == "type" and (kind := self.kinds.annotated(each.expr))]
        if declared:
            return frozenset(declared)
        self._open.add(variable)
        found = _joined(
            self._single(self.kinds.of(each.expr, each.function))
            if each.how == "context"
            else self.of(each.expr, each.function)
            for each in bindings
            if each.how != "type"
        )
        self._open.discard(variable)
        return found

    def _called(self, value: Expr, attr: str, call: Expr, function: code.Function) -> Classes | None:
        owners = self.of(value, function)
        if owners and owners.isdisjoint(self.program.classes):
            return self._single(self.kinds.of(call, function))
        methods = [self.program.method(owner, attr) for owner in owners or ()]
        if not methods:
            return self._single(self.kinds.of(call, function)) if owners is None else _NONE
        return _joined(None if method is None else self._returned(method) for method in methods)

    def _returned(self, function: code.Function) -> Classes | None:
        if function.returns is not None or function.is_generator:
            return self._single(self.kinds.returned(function))
        if (function.qualname, "") in self._open or len(self._open) > _DEEPEST:
            return None
        self._open.add((function.qualname, ""))
        values = [each.value for each in walk(function.body, code.Return) if each.value is not None]
        found = self._all(values, function)
        self._open.discard((function.qualname, ""))
        return found


def _joined(several: Iterable[Classes | None]) -> Classes | None:
    found = _NONE
    for each in several:
        if each is None:
            return None
        found |= each
    return found
