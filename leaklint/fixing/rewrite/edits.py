"""Applies edits to statements and expressions, inner ones first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import libcst
from libcst import matchers
from libcst.matchers import findall
from libcst.metadata import CodeRange

from leaklint.fixing.rewrite.leftovers import without_leftovers
from leaklint.model.code import Span
from leaklint.model.fix import Edit, Forget, Import, Inherit, Insert, Precede, Replace, Substitute, Synchronize, Wrap

Statement = libcst.SimpleStatementLine | libcst.BaseCompoundStatement
Block = TypeVar("Block", libcst.Module, libcst.IndentedBlock)
Start = tuple[int, int]


class CannotRewriteError(Exception):
    """A file that cannot be rewritten; says why."""


class Edited(libcst.CSTTransformer):
    """A module with edits, but for its imports. `positions` are those of its nodes, columns from 0."""

    def __init__(
        self,
        edits: Sequence[Edit],
        positions: Mapping[libcst.CSTNode, CodeRange],
        config: libcst.PartialParserConfig,
    ) -> None:
        super().__init__()
        self._edits = edits
        self._positions = positions
        self._config = config
        self._replacing = {edit.span: edit for edit in edits if isinstance(edit, Replace)}
        self._substituting = {_start(edit.span): edit for edit in edits if isinstance(edit, Substitute)}
        self._inserting: list[Insert] = [edit for edit in edits if isinstance(edit, Insert)]
        self._wrapping: list[Wrap] = [edit for edit in edits if isinstance(edit, Wrap)]
        self._inheriting = {_start(edit.span): edit for edit in edits if isinstance(edit, Inherit)}
        self._synchronizing = {_start(edit.span): edit for edit in edits if isinstance(edit, Synchronize)}
        self._preceding = {_start(edit.span): edit for edit in edits if isinstance(edit, Precede)}
        self._done: set[int] = set()

    def raise_unless_done(self) -> None:
        """Raise `CannotRewriteError` if the place of an edit was not found."""
        for edit in self._edits:
            if not isinstance(edit, Import | Forget) and id(edit) not in self._done:
                line = (edit.first if isinstance(edit, Wrap) else edit.span).line
                raise CannotRewriteError(f"line {line} holds more than one statement")

    # -- expressions ---------------------------------------------------------------------------------------------

    def on_leave(  # type: ignore[override]  # libcst declares a type for each kind of node
        self, original_node: libcst.CSTNode, updated_node: libcst.CSTNode
    ) -> libcst.CSTNode:
        """Replace an expression; give everything else to the methods below."""
        if isinstance(original_node, libcst.BaseExpression) and self._replacing:
            span = _span(self._positions.get(original_node))
            edit = self._replacing.get(span) if span else None
            if edit is not None:
                self._done.add(id(edit))
                new = libcst.parse_expression(edit.text, self._config)
                if original_node.lpar and not new.lpar:
                    new = new.with_changes(lpar=original_node.lpar, rpar=original_node.rpar)
                return new
        left = super().on_leave(original_node, updated_node)
        assert isinstance(left, libcst.CSTNode)
        return left

    # -- statements ----------------------------------------------------------------------------------------------

    def leave_ClassDef(  # noqa: N802 - libcst names it
        self, original_node: libcst.ClassDef, updated_node: libcst.ClassDef
    ) -> libcst.ClassDef:
        """Add a base to a class."""
        edit = self._inheriting.get(self._place(original_node)) if self._inheriting else None
        if edit is None:
            return updated_node
        self._done.add(id(edit))
        base = libcst.Arg(libcst.parse_expression(edit.base, self._config))
        return updated_node.with_changes(bases=[*updated_node.bases, base])

    def leave_With(  # noqa: N802 - libcst names it
        self, original_node: libcst.With, updated_node: libcst.With
    ) -> libcst.With:
        """Enter some of what an `async with` enters with `with`."""
        edit = self._synchronizing.get(self._place(original_node)) if self._synchronizing else None
        if edit is None:
            return updated_node
        self._done.add(id(edit))
        plain = [_span(self._positions[item.item]) in edit.contexts for item in original_node.items]
        return _entered_with(updated_node, plain)

    def leave_Try(  # noqa: N802 - libcst names it
        self, original_node: libcst.Try, updated_node: libcst.Try
    ) -> libcst.Try:
        """Write clauses before others."""
        handlers: list[libcst.ExceptHandler] = []
        for old, new in zip(original_node.handlers, updated_node.handlers, strict=True):
            edit = self._preceding.get(self._place(old)) if self._preceding else None
            if edit is not None:
                self._done.add(id(edit))
                (written,) = self._parsed(("try:", "    ...", *edit.lines))
                assert isinstance(written, libcst.Try)
                handlers += written.handlers
            handlers.append(new)
        return (
            updated_node.with_changes(handlers=handlers)
            if len(handlers) > len(original_node.handlers)
            else updated_node
        )

    def leave_FunctionDef(  # noqa: N802 - libcst names it
        self, original_node: libcst.FunctionDef, updated_node: libcst.FunctionDef
    ) -> libcst.FunctionDef:
        """Take out what nothing in an edited function needs any more."""
        return without_leftovers(original_node, updated_node)

    def leave_IndentedBlock(  # noqa: N802 - libcst names it
        self, original_node: libcst.IndentedBlock, updated_node: libcst.IndentedBlock
    ) -> libcst.IndentedBlock:
        """Edit the statements of a block."""
        return self._edited(original_node, updated_node)

    def leave_Module(  # noqa: N802 - libcst names it
        self, original_node: libcst.Module, updated_node: libcst.Module
    ) -> libcst.Module:
        """Edit the statements of the top level."""
        return self._edited(original_node, updated_node)

    def _edited(self, original: Block, updated: Block) -> Block:
        starts: list[Start] = [self._place(statement) for statement in original.body]
        pieces = [self._piece(start, statement) for start, statement in zip(starts, updated.body, strict=True)]
        whole = {start for start, each in zip(starts, original.body, strict=True) if not _holds_more(each)}
        wraps = [each for each in self._wrapping if {_start(each.first), _start(each.last)} <= whole]
        as_before = all(len(piece) == 1 and piece[0] is old for piece, old in zip(pieces, updated.body, strict=True))
        if as_before and not wraps:
            return updated
        orphans: list[libcst.EmptyLine] = []
        for piece, old in zip(pieces, updated.body, strict=True):
            assert isinstance(old, Statement)
            if piece:
                piece[0], orphans = _led(piece[0], orphans), []
            else:
                orphans += _comments(old)
        self._wrap(pieces, starts, wraps)
        body: list[Statement] = [statement for piece in pieces for statement in piece]
        if not body and isinstance(updated, libcst.IndentedBlock):
            body = [libcst.SimpleStatementLine([libcst.Pass()])]
        return updated.with_changes(body=body, footer=[*orphans, *updated.footer])

    def _wrap(self, pieces: list[list[Statement]], starts: Sequence[Start], wraps: Iterable[Wrap]) -> None:
        """Move pieces into templates."""
        for wrap in sorted(wraps, key=lambda each: each.first, reverse=True):
            indices = range(starts.index(_start(wrap.first)), starts.index(_start(wrap.last)) + 1)
            inner = [statement for index in indices for statement in pieces[index]]
            if not inner:
                continue
            whole = self._wrapped(wrap.template, inner)
            for index in indices:
                pieces[index] = []
            pieces[indices[0]] = whole
            self._done.add(id(wrap))

    def _place(self, statement: libcst.CSTNode) -> Start:
        place = self._positions[statement].start
        return place.line, place.column + 1

    def _piece(self, start: Start, statement: libcst.CSTNode) -> list[Statement]:
        """What stands in the place of a statement."""
        assert isinstance(statement, Statement)
        piece: list[Statement] = [statement]
        edit = self._substituting.get(start)
        if edit is not None and not _holds_more(statement):
            self._done.add(id(edit))
            new = self._parsed(edit.lines)
            piece = _dressed(new, statement) if new else []
        for insert in self._inserting:
            if _start(insert.span) == start and not _holds_more(statement):
                self._done.add(id(insert))
                new = self._parsed(insert.lines)
                if insert.after:
                    piece = [*piece, *new]
                else:
                    piece = [*_dressed_before(new, statement), _bare(statement), *piece[1:]]
        return piece

    def _parsed(self, lines: Iterable[str]) -> list[Statement]:
        text = "\n".join(lines)
        if not text:
            return []
        return list(libcst.parse_module(text + "\n", self._config).body)

    def _wrapped(self, template: str, inner: list[Statement]) -> list[Statement]:
        """A template around statements; the blank lines before the first of them go before all of it."""
        lines = list(inner[0].leading_lines)
        blank = next((index for index, line in enumerate(lines) if line.comment), len(lines))
        inner = [inner[0].with_changes(leading_lines=lines[blank:]), *inner[1:]]
        filled = [statement.visit(_Filled(inner)) for statement in self._parsed(template.split("\n"))]
        first, *others = [statement for statement in filled if isinstance(statement, Statement)]
        return [first.with_changes(leading_lines=lines[:blank]), *others]


class _Filled(libcst.CSTTransformer):
    """A template with statements in the place of its ellipsis."""

    def __init__(self, inner: list[Statement]) -> None:
        super().__init__()
        self._inner = inner

    def leave_IndentedBlock(  # noqa: N802 - libcst names it
        self,
        original_node: libcst.IndentedBlock,  # noqa: ARG002 - libcst gives it
        updated_node: libcst.IndentedBlock,
    ) -> libcst.IndentedBlock:
        """Put the statements into the block that holds the ellipsis."""
        pieces = [self._inner if _is_ellipsis(statement) else [statement] for statement in updated_node.body]
        return updated_node.with_changes(body=[statement for piece in pieces for statement in piece])


def _is_ellipsis(statement: libcst.CSTNode) -> bool:
    match statement:
        case libcst.SimpleStatementLine(body=[libcst.Expr(value=libcst.Ellipsis())]):
            return True
    return False


def _entered_with(statement: libcst.With, plain: Sequence[bool]) -> libcst.With:
    """An `async with` of which some items are plain: nested statements, one for each run of items of one sort."""
    if all(plain):
        return statement.with_changes(asynchronous=None)
    runs = [[index for index, _ in run] for _, run in groupby(enumerate(plain), key=itemgetter(1))]
    body = statement.body
    for run in reversed(runs):
        items = [statement.items[index] for index in run]
        items[-1] = items[-1].with_changes(comma=libcst.MaybeSentinel.DEFAULT)
        new = statement.with_changes(
            items=items,
            body=body,
            asynchronous=None if plain[run[0]] else statement.asynchronous,
            **({} if len(items) > 1 else {"lpar": libcst.MaybeSentinel.DEFAULT, "rpar": libcst.MaybeSentinel.DEFAULT}),
        )
        if run is not runs[0]:
            header = body.header if isinstance(body, libcst.IndentedBlock) else libcst.TrailingWhitespace()
            inner = body.with_changes(header=libcst.TrailingWhitespace()) if header.comment else body
            new = new.with_changes(body=inner, leading_lines=[])
            body = libcst.IndentedBlock([new], header=header)
    return new


def _start(span: Span) -> Start:
    return span.line, span.column


def _span(place: CodeRange | None) -> Span | None:
    if place is None:
        return None
    return Span(place.start.line, place.start.column + 1, place.end.line, place.end.column + 1)


def _holds_more(statement: libcst.CSTNode) -> bool:
    """Whether a line holds several statements, so that one cannot be taken for the line."""
    return isinstance(statement, libcst.SimpleStatementLine) and len(statement.body) > 1


def _comments(statement: Statement) -> list[libcst.EmptyLine]:
    """What remains of a statement that is deleted: the lines before it, if any is a comment, and its own comments."""
    lines = list(statement.leading_lines)
    found = lines if any(line.comment for line in lines) else []
    return [*found, *(libcst.EmptyLine(comment=comment) for comment in _own_comments(statement))]


def _own_comments(statement: Statement) -> list[libcst.Comment]:
    """The comments in a statement, without those on the lines before it."""
    bare = statement.with_changes(leading_lines=[])
    return [node for node in findall(bare, matchers.Comment()) if isinstance(node, libcst.Comment)]


def _led(statement: Statement, lines: list[libcst.EmptyLine]) -> Statement:
    return statement.with_changes(leading_lines=[*lines, *statement.leading_lines]) if lines else statement


def _dressed(new: list[Statement], old: Statement) -> list[Statement]:
    """New statements with the lines before the old one, and its comment on the last line, if that is a simple one."""
    own = _own_comments(old)
    new = list(new)
    last = new[-1]
    is_simple = isinstance(old, libcst.SimpleStatementLine) and old.trailing_whitespace.comment is not None
    if is_simple and isinstance(last, libcst.SimpleStatementLine):
        assert isinstance(old, libcst.SimpleStatementLine)
        new[-1] = last.with_changes(trailing_whitespace=old.trailing_whitespace)
    written = [comment.value for statement in new for comment in _own_comments(statement)]
    lost = [libcst.EmptyLine(comment=comment) for comment in own if comment.value not in written]
    new[0] = new[0].with_changes(leading_lines=[*old.leading_lines, *lost])
    return new


def _dressed_before(new: list[Statement], old: Statement) -> list[Statement]:
    """Statements before another one, with the lines before that."""
    return [new[0].with_changes(leading_lines=old.leading_lines), *new[1:]]


def _bare(statement: Statement) -> Statement:
    return statement.with_changes(leading_lines=[])
