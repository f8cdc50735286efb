"""Adds imports where a person would put them, and removes those that nothing uses any more."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

import libcst
from libcst.helpers import get_full_name_for_node

from leaklint.fixing.rewrite.edits import Statement
from leaklint.model.fix import Forget, Import


def with_imports(
    module: libcst.Module, wanted: Sequence[Import], unwanted: Sequence[Forget], *, package: str
) -> libcst.Module:
    """A module with further imports, and without those that nothing uses; `package` is its top-level package."""
    for new in wanted:
        module = _with(module, new.statement, package)
    for old in unwanted:
        module = _without(module, old.name)
    return module


# -- adding ------------------------------------------------------------------------------------------------------------


class _Order(NamedTuple):
    """Where an import stands among others, as isort has it."""

    section: int
    """`__future__`, the standard library, libraries, the package itself."""
    is_from: bool
    name: str


def _with(module: libcst.Module, statement: str, package: str) -> libcst.Module:
    (new,) = libcst.parse_module(statement + "\n", module.config_for_parsing).body
    assert isinstance(new, libcst.SimpleStatementLine)
    body: list[Statement] = list(module.body)
    if any(_same(each, new) for each in body):
        return module
    placed = [(index, _order(each, package)) for index, each in enumerate(body) if _is_import(each)]
    first_definition = next(
        (index for index, each in enumerate(body) if isinstance(each, libcst.FunctionDef | libcst.ClassDef)), len(body)
    )
    placed = [(index, order) for index, order in placed if index < first_definition]
    order = _order(new, package)
    before = [index for index, each in placed if each <= order]
    after = [index for index, each in placed if each > order]
    if before:
        at = max(before) + 1
        neighbour = _order(body[at - 1], package)
        if neighbour.section < order.section:
            new = _with_blank_line(new)
    elif after:
        at = min(after)
        leading = list(body[at].leading_lines)
        if _order(body[at], package).section == order.section and not any(line.comment for line in leading):
            new = new.with_changes(leading_lines=leading)
            body[at] = body[at].with_changes(leading_lines=[])
    else:
        at = 1 if body and _is_docstring(body[0]) else 0
        if at:
            new = _with_blank_line(new)
    if at < len(body):
        following = body[at]
        is_apart = not _is_import(following) or _order(following, package).section != order.section
        if is_apart and not any(line.comment is None for line in following.leading_lines[:1]):
            body[at] = _with_blank_line(following)
    return module.with_changes(body=[*body[:at], new, *body[at:]])


def _with_blank_line(statement: Statement) -> Statement:
    return statement.with_changes(leading_lines=[libcst.EmptyLine(indent=False), *statement.leading_lines])


def _is_import(statement: libcst.CSTNode) -> bool:
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Import() | libcst.ImportFrom()]):
            return True
    return False


def _is_docstring(statement: libcst.CSTNode) -> bool:
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Expr(value=libcst.SimpleString() | libcst.ConcatenatedString())]):
            return True
    return False


def _same(statement: libcst.CSTNode, new: libcst.SimpleStatementLine) -> bool:
    return isinstance(statement, libcst.SimpleStatementLine) and any(
        each.deep_equals(new.body[0]) for each in statement.body
    )


def _order(statement: libcst.CSTNode, package: str) -> _Order:
    assert isinstance(statement, libcst.SimpleStatementLine)
    match statement.body[0]:
        case libcst.ImportFrom(module=module, relative=relative):
            name = _dotted(module) if module else ""
            return _Order(3 if relative else _section(name, package), True, name.lower())  # noqa: FBT003
        case libcst.Import(names=names):
            name = _dotted(names[0].name)
            return _Order(_section(name, package), False, name.lower())  # noqa: FBT003
    raise AssertionError("no import")


def _section(name: str, package: str) -> int:
    top = name.partition(".")[0]
    if top == "__future__":
        return 0
    if top in sys.stdlib_module_names:
        return 1
    return 3 if top == package else 2


def _dotted(name: libcst.BaseExpression) -> str:
    return get_full_name_for_node(name) or ""


# -- removing ----------------------------------------------------------------------------------------------------------


def _without(module: libcst.Module, name: str) -> libcst.Module:
    """The module without the import that binds a name, unless that is used."""
    users = _Users(name)
    module.visit(users)
    if users.found:
        return module
    body: list[Statement] = []
    orphans: list[libcst.EmptyLine] = []
    for statement in module.body:
        assert isinstance(statement, Statement)
        kept = _reduced(statement, name)
        if kept is None:
            lines = list(statement.leading_lines)
            orphans += lines if any(line.comment for line in lines) or not body else []
            continue
        body.append(kept.with_changes(leading_lines=[*orphans, *kept.leading_lines]) if orphans else kept)
        orphans = []
    return module.with_changes(body=body)


def _reduced(statement: Statement, name: str) -> Statement | None:
    """A statement without the import of a name; None if nothing else is in it."""
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Import(names=names) | libcst.ImportFrom(names=names) as imported]):
            if isinstance(names, libcst.ImportStar):
                return statement
            kept = [alias for alias in names if _bound(alias) != name]
            if len(kept) == len(names):
                return statement
            if not kept:
                return None
            kept[-1] = kept[-1].with_changes(comma=names[-1].comma)
            return statement.with_changes(body=[imported.with_changes(names=kept)])
    return statement


def _bound(alias: libcst.ImportAlias) -> str:
    if alias.asname is not None:
        return alias.asname.name.value if isinstance(alias.asname.name, libcst.Name) else ""
    return _dotted(alias.name).partition(".")[0]


class _Users(libcst.CSTVisitor):
    """Whether a name is used: read somewhere, or named in a string (an annotation, `__all__`)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.found = False
        self._name = name
        self._word = re.compile(rf"\b{re.escape(name)}\b")

    def visit_Import(self, node: libcst.Import) -> bool:  # noqa: N802, ARG002 - libcst names it
        """Nothing is used there."""
        return False

    def visit_ImportFrom(self, node: libcst.ImportFrom) -> bool:  # noqa: N802, ARG002
        """Nothing is used there."""
        return False

    def visit_Attribute(self, node: libcst.Attribute) -> bool:  # noqa: N802
        """The name of an attribute is no use."""
        node.value.visit(self)
        return False

    def visit_Name(self, node: libcst.Name) -> None:  # noqa: N802
        """Note a use."""
        self.found = self.found or node.value == self._name

    def visit_SimpleString(self, node: libcst.SimpleString) -> None:  # noqa: N802
        """Note a short string that may be an annotation."""
        if len(node.value) < 80 and "\n" not in node.value:
            self.found = self.found or bool(self._word.search(node.value))
