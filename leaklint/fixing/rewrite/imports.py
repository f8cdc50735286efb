"""Adds imports where a person would put them, and removes those that nothing uses any more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import libcst
from libcst.helpers import get_full_name_for_node

from leaklint.fixing.rewrite.edits import Statement
from leaklint.fixing.rewrite.users import uses
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
    merged = _merged(body, new)
    if merged is not None:
        return module.with_changes(body=merged)
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
            if at < len(body) and _is_import(body[at]) and _order(body[at], package).section == order.section:
                body[at] = _without_blank_line(body[at])
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


def _merged(body: list[Statement], new: libcst.SimpleStatementLine) -> list[Statement] | None:
    """The statements with a name added to what is imported from its module; None if nothing is."""
    for index, statement in enumerate(body):
        match statement, new.body[0]:
            case (
                libcst.SimpleStatementLine(body=[libcst.ImportFrom(names=[*names]) as found]),
                libcst.ImportFrom(names=[libcst.ImportAlias(asname=None) as alias], module=module, relative=relative),
            ) if _dotted(found.module) == _dotted(module) and len(found.relative) == len(relative):
                imported = found.with_changes(names=_among(names, alias))
                return [*body[:index], statement.with_changes(body=[imported]), *body[index + 1 :]]
    return None


def _among(names: list[libcst.ImportAlias], new: libcst.ImportAlias) -> list[libcst.ImportAlias]:
    """Names with a new one: in its place if they are sorted, else at the end."""
    keys = [_sorting(each) for each in names]
    at = sum(key < _sorting(new) for key in keys) if keys == sorted(keys) else len(names)
    between = _bare_comma(names[0]) if len(names) > 1 else libcst.MaybeSentinel.DEFAULT
    if at < len(names):
        return [*names[:at], new.with_changes(comma=between), *names[at:]]
    *others, last = names
    if isinstance(last.comma, libcst.Comma):
        return [*others, last, new.with_changes(comma=_bare_comma(last))]
    return [*others, last.with_changes(comma=between), new]


def _bare_comma(alias: libcst.ImportAlias) -> libcst.Comma | libcst.MaybeSentinel:
    """The comma after a name, without the comments there."""
    comma = alias.comma
    if isinstance(comma, libcst.Comma) and isinstance(comma.whitespace_after, libcst.ParenthesizedWhitespace):
        line = comma.whitespace_after.first_line.with_changes(comment=None, whitespace=libcst.SimpleWhitespace(""))
        return comma.with_changes(whitespace_after=comma.whitespace_after.with_changes(first_line=line, empty_lines=[]))
    return comma


def _sorting(alias: libcst.ImportAlias) -> tuple[int, str]:
    """Constants, classes, functions, as isort has it."""
    name = _dotted(alias.name)
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _with_blank_line(statement: Statement) -> Statement:
    return statement.with_changes(leading_lines=[libcst.EmptyLine(indent=False), *statement.leading_lines])


def _without_blank_line(statement: Statement) -> Statement:
    lines = list(statement.leading_lines)
    return statement.with_changes(leading_lines=lines[1:]) if lines and lines[0].comment is None else statement


def _is_import(statement: libcst.CSTNode) -> bool:
    return isinstance(statement, libcst.SimpleStatementLine) and all(
        isinstance(each, libcst.Import | libcst.ImportFrom) for each in statement.body
    )


def _is_docstring(statement: libcst.CSTNode) -> bool:
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Expr(value=libcst.SimpleString() | libcst.ConcatenatedString())]):
            return True
    return False


def _same(statement: libcst.CSTNode, new: libcst.SimpleStatementLine) -> bool:
    if not isinstance(statement, libcst.SimpleStatementLine):
        return False
    for each in statement.body:
        match each, new.body[0]:
            case libcst.Import(names=names), libcst.Import(names=[alias]):
                if any(_is_alike(name, alias) for name in names):
                    return True
            case _:
                if each.deep_equals(new.body[0]):
                    return True
    return False


def _is_alike(one: libcst.ImportAlias, other: libcst.ImportAlias) -> bool:
    return (_dotted(one.name), _bound(one)) == (_dotted(other.name), _bound(other))


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


def _dotted(name: libcst.BaseExpression | None) -> str:
    return (get_full_name_for_node(name) if name is not None else None) or ""


# -- removing ----------------------------------------------------------------------------------------------------------


def _without(module: libcst.Module, name: str) -> libcst.Module:
    """The module without the import that binds a name, unless that is used."""
    if uses(module, name):
        return module
    body: list[Statement] = []
    orphans: list[libcst.EmptyLine] = []
    for statement in module.body:
        assert isinstance(statement, Statement)
        kept = _reduced(statement, name)
        if kept is None:
            orphans += statement.leading_lines
            continue
        if any(line.comment for line in orphans) or not any(line.comment is None for line in kept.leading_lines[:1]):
            kept = kept.with_changes(leading_lines=[*orphans, *kept.leading_lines])
        if not body and not module.header and statement is not module.body[0]:  # nothing is above it any more
            lines = kept.leading_lines
            first = next((index for index, line in enumerate(lines) if line.comment), len(lines))
            kept = kept.with_changes(leading_lines=lines[first:])
        body.append(kept)
        orphans = []
    return module.with_changes(body=body)


def _reduced(statement: Statement, name: str) -> Statement | None:
    """A statement without the import of a name; None if nothing else is in it."""
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Import(names=names) | libcst.ImportFrom(names=names) as imported]):
            own = statement.trailing_whitespace.comment
            if isinstance(names, libcst.ImportStar) or (own is not None and "noqa" in own.value):
                return statement
            kept = [alias for alias in names if _bound(alias) != name]
            if len(kept) == len(names):
                return statement
            if not kept:
                return None
            kept[-1] = kept[-1].with_changes(comma=names[-1].comma)
            comments = [line for alias in names if alias not in kept for line in _comments_after(alias)]
            return statement.with_changes(
                body=[imported.with_changes(names=kept)], leading_lines=[*statement.leading_lines, *comments]
            )
    return statement


def _comments_after(alias: libcst.ImportAlias) -> list[libcst.EmptyLine]:
    """The comments behind a name, on lines of their own."""
    comma = alias.comma
    space = comma.whitespace_after if isinstance(comma, libcst.Comma) else None
    if not isinstance(space, libcst.ParenthesizedWhitespace):
        return []
    comments = [space.first_line.comment, *(line.comment for line in space.empty_lines)]
    return [libcst.EmptyLine(comment=comment) for comment in comments if comment is not None]


def _bound(alias: libcst.ImportAlias) -> str:
    if alias.asname is not None:
        return alias.asname.name.value if isinstance(alias.asname.name, libcst.Name) else ""
    return _dotted(alias.name).partition(".")[0]
