"""From the bytes of a file to text, syntax tree and linters' comments, in the way Python itself reads source."""

from __future__ import annotations

import ast
import codecs
import io
import re
import sys
import threading
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from leaklint.catalog import SPAWN_WORDS
from leaklint.catalog.linters import COMMENT_WORDS
from leaklint.model.code import Span
from leaklint.model.facts import Comment, Unparsable
from leaklint.syntax.newer import Older, in_older_syntax

__all__ = ["Source", "decode", "may_swallow", "mentions_spawn", "read_source"]

TOO_DEEP = "nested too deeply to be parsed"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that could be parsed."""

    path: str
    text: str
    """Decoded, without a byte order mark, every line end a newline."""
    lines: tuple[str, ...]
    """The text split at newlines only: form feeds and their like end no line."""
    tree: ast.Module
    """Lines and columns as `ast` counts them: lines from 1, columns from 0 and in UTF-8 bytes."""
    comments: tuple[Comment, ...]
    """Those that may silence something, in order."""


def mentions_spawn(data: bytes, words: tuple[bytes, ...] = SPAWN_WORDS) -> bool:
    """Whether a file holds one of the words without which it cannot spawn a task (see `Catalog.words`)."""
    return any(word in data for word in words)


_CATCHING = (b"CancelledError", b"BaseException", b"get_cancelled_exc_class", b"trio.Cancelled", b"except:")
_JUMP_IN_FINALLY = re.compile(
    rb"^([ \t]+)finally:[^\n]*\n(?:\1[ \t][^\n]*\n|[ \t]*\r?\n)*?\1[ \t]+(?:break|continue)\b", re.MULTILINE
)


def may_swallow(data: bytes) -> bool:
    """Whether a file holds a coroutine function, and something that can catch its cancellation."""
    if b"async def" not in data:
        return False
    return any(word in data for word in _CATCHING) or (
        b"finally:" in data and _JUMP_IN_FINALLY.search(data) is not None
    )


def read_source(data: bytes, *, path: str) -> Source | Unparsable:
    """Decode and parse a file; `path` is what it is called in the result.

    Syntax newer than the running Python is understood, too (see `leaklint.syntax.newer`).
    """
    text = decode(data, path=path)
    if isinstance(text, Unparsable):
        return text
    lines = tuple(text.split("\n"))
    try:
        tree, parsed = _parse(text)
        comments = tuple(_comments(parsed, lines)) if _FOR_LINTERS.search(text) else ()
    except SyntaxError as error:
        return Unparsable(path, _span(error, lines), _message(error))
    except UnicodeEncodeError as error:
        return Unparsable(path, _point(text[: error.start]), "holds a surrogate, which is no character")
    except (RecursionError, MemoryError):
        return Unparsable(path, _point(""), TOO_DEEP)
    return Source(path, text, lines, tree, comments)


# -- decoding ------------------------------------------------------------------------------------------------------

# PEP 263. The standard library's `tokenize.detect_encoding` refuses files that Python reads: it wants the first two
# lines to be UTF-8 even if they declare something else.
_DECLARATION = re.compile(rb"[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_NO_CODE = re.compile(rb"[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n)")


def decode(data: bytes, *, path: str) -> str | Unparsable:
    """The text of a file by its byte order mark or coding declaration, every line end turned into a newline.

    A file that cannot be decoded, or holds a null byte, gives the place of the first byte at fault.
    """
    declaration = _declaration(data)
    encoding = declaration[1].decode() if declaration else "utf-8"
    before = data[: declaration.start(1)] if declaration else b""
    if data.startswith(codecs.BOM_UTF8):
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
            message = f"is declared to be {encoding}, but begins with the byte order mark of utf-8"
            return Unparsable(path, _point(before.decode("utf-8-sig", "replace")), message)
        encoding = "utf-8-sig"
    try:
        text = _decoded(data, encoding)
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode(encoding, "replace")
        fault = f"{error.reason} (byte 0x{error.object[error.start]:02x})"
        return Unparsable(path, _point(good), f"cannot be decoded as {encoding.removesuffix('-sig')}: {fault}")
    except (LookupError, UnicodeError, ValueError):
        return Unparsable(path, _point(before.decode("latin-1")), f"unknown encoding `{encoding}`")
    null = text.find("\0")
    return text if null < 0 else Unparsable(path, _point(text[:null]), "holds a null byte")


def _decoded(data: bytes, encoding: str) -> str:
    if encoding == "utf-8":
        return _with_newlines(data.decode())
    with _without_warnings():
        return _with_newlines(data.decode(encoding))


def _declaration(data: bytes) -> re.Match[bytes] | None:
    """The coding declaration in the first line, or in the second if the first has no code."""
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    found = _DECLARATION.match(data, start)
    if found is None and (first := _NO_CODE.match(data, start)):
        found = _DECLARATION.match(data, first.end())
    return found


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


# -- parsing -------------------------------------------------------------------------------------------------------

_WARNINGS = threading.Lock()


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the parser's warnings (an invalid escape, say) from the user, and from being raised under `-W error`.

    The filters are the process's; two threads that set and restore them in turn could leave them changed for good.
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parse(text: str) -> tuple[ast.Module, str]:
    """The syntax tree, and the text it is of: the given one, or that in older syntax."""
    with _without_warnings():
        try:
            return ast.parse(text), text
        except SyntaxError as error:
            older = None if _is_too_deep(error) else in_older_syntax(text)
            if older is None:
                raise
            return _parse_older(older, error), older.text


def _parse_older(older: Older, first: SyntaxError) -> ast.Module:
    try:
        return ast.parse(older.text)
    except SyntaxError as error:
        # The one further down is past what is merely newer: the fault itself.
        worse = max(first, error, key=lambda each: (each.lineno or 0, each.offset or 0))
        if worse.msg == "invalid syntax":
            needed, running = (".".join(map(str, version)) for version in (older.needs, sys.version_info[:2]))
            worse.msg += f" (the file needs Python {needed} or newer; leaklint runs on {running})"
        raise worse from None


def _is_too_deep(error: SyntaxError) -> bool:
    return error.msg in ("too many nested parentheses", "too many levels of indentation")


def _message(error: SyntaxError) -> str:
    return TOO_DEEP if _is_too_deep(error) else error.msg.partition("\n")[0]


def _span(error: SyntaxError, lines: tuple[str, ...]) -> Span:
    """Where Python found the error, kept within the text: errors at the end of the file lie beyond it."""
    line = min(max(error.lineno or 1, 1), len(lines))
    text = lines[line - 1]
    if line != error.lineno:
        return Span(line, len(text) + 1, line, len(text) + 2)
    shift = _field_column(error, text)
    column = min(max((error.offset or 1) + shift, 1), len(text) + 1)
    end = (error.end_offset or 0) + shift if error.end_lineno == line else 0
    return Span(line, column, line, end if column < end <= len(text) + 1 else column + 1)


def _field_column(error: SyntaxError, text: str) -> int:
    """Before Python 3.12, an error in a field of an f-string shows `(field)` and counts its columns from there."""
    field = (error.text or "").strip()
    if not error.msg.startswith("f-string: ") or not field.startswith("("):
        return 0
    return max(text.find("{" + field[1:-1]), 0)


def _point(before: str) -> Span:
    """The character after this text."""
    before = _with_newlines(before)
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    return Span(line, column, line, column + 1)


# -- comments ------------------------------------------------------------------------------------------------------

# A comment for leaklint, one that silences all rules of a linter, or one that names a rule of another linter which
# leaklint has, too. The many that only name other rules are no reason to look at every token of a file.
_FOR_LINTERS = re.compile(
    "#(?:"
    r"(?<!\S#)\s*leaklint:"
    r"|\s*(?:NOSONAR|(?:(?:ruff|(?i:flake8))\s*[:=]\s*)?(?i:noqa)(?!\s*:))"
    rf"|[^#\n]*\b(?:{'|'.join(re.escape(word) for word in COMMENT_WORDS)})"
    ")"
)


def _comments(parsed: str, lines: tuple[str, ...]) -> Iterator[Comment]:
    """The comments for linters. `parsed` is what the interpreter accepts, `lines` are as the user wrote them."""
    waiting: list[tuple[str, Span, bool]] = []
    first = 0
    for token in _tokens(parsed):
        row = token.start[0]
        if token.type == tokenize.COMMENT:
            text = token.string.rstrip()
            if _FOR_LINTERS.search(text):
                line = lines[row - 1]
                end = len(line.rstrip()) + 1
                start = end - len(text)
                own_line = not line[: start - 1].strip()
                waiting.append((text, Span(row, start, row, end), own_line))
        elif token.type == tokenize.NEWLINE:
            yield from (Comment(*each, (first or row, row)) for each in waiting)
            waiting, first = [], 0
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            first = first or row
    yield from (Comment(*each, (each[1].line, each[1].line)) for each in waiting)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of a text that was parsed; up to the first that the tokenizer, unlike the parser, takes offence at."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError):
        return
