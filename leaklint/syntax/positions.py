"""Where a node of the syntax tree stands, counted as people count."""

from __future__ import annotations

import ast
from typing import Any

from leaklint.model.code import Span
from leaklint.syntax.source import Source


class Positions:
    """Spans of the nodes of one file: lines and columns from 1, columns in characters, ends exclusive."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.ascii = source.text.isascii()
        self.offsets: dict[int, list[int]] = {}

    def span(self, node: Any) -> Span:
        line, end_line = node.lineno, node.end_lineno
        column, end_column = node.col_offset, node.end_col_offset
        if not self.ascii:
            column, end_column = self.characters(line, column), self.characters(end_line, end_column)
        return Span(line, column + 1, end_line, end_column + 1)

    def characters(self, line: int, offset: int) -> int:
        """A byte offset into a line, in characters."""
        offsets = self.offsets.get(line)
        if offsets is None:
            text = self.source.lines[line - 1]
            sizes = (len(character.encode("utf-8", "surrogatepass")) for character in text)
            offsets = [0] if text.isascii() else [*(i for i, size in enumerate(sizes) for _ in range(size)), len(text)]
            self.offsets[line] = offsets
        return offsets[offset] if len(offsets) > 1 else offset

    def header(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Span:
        """From `def` or `class` to the end of that line."""
        span = self.span(node)
        text = self.source.lines[span.line - 1]
        return Span(span.line, span.column, span.line, max(span.column + 1, len(text.rstrip()) + 1))
