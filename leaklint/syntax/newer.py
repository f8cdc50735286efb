"""Syntax that is newer than the running interpreter, rewritten to older syntax in the same places.

A file may be written for a newer Python than the one leaklint runs on. What the older grammar lacks says next to
nothing about tasks (type parameters, type aliases, f-strings with nested quotes), so it is put into other words that
take up exactly as many bytes on every line: all other positions in the syntax tree stay what they are.

The constructs are found lexically. (libcst would find them, too. But it needs 20 s and 1.8 GB for a megabyte with a
syntax error in it, and the process dies of a few thousand nested brackets.)
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Older", "in_older_syntax"]


class Older(NamedTuple):
    """A rewritten file."""

    text: str
    needs: tuple[int, int]
    """The Python that the file as it was needs at least."""


class _Edit(NamedTuple):
    start: int
    end: int
    text: str
    needs: tuple[int, int]


def in_older_syntax(text: str, *, python: tuple[int, int] = sys.version_info[:2]) -> Older | None:
    """Rewrite what came after this version of Python; None when there is nothing of that sort.

    Every line end of `text` is a newline. Of text that is no Python at all, the part before the fault is rewritten.
    """
    edits = list(_edits(text, python))
    if not edits:
        return None
    pieces, done = [], 0
    for edit in edits:
        pieces += [text[done : edit.start], edit.text]
        done = edit.end
    return Older("".join([*pieces, text[done:]]), max(edit.needs for edit in edits))


# -- finding ---------------------------------------------------------------------------------------------------------

_GAP = r"(?:[ \t\f]|\\\n)"
_STRING = r"(?P<comment>\#[^\n]*) | (?:(?<!\w)(?P<prefix>[rRbBuUfFtT]{1,2}))? (?P<quote>\"\"\"|'''|\"|')"
_BRACKET = r"(?P<open>[(\[{]) | (?P<close>[)\]}])"
_TOKEN = re.compile(
    rf"""
      {_STRING}
    | \b(?:def|class)\b{_GAP}+\w+{_GAP}*(?P<generic>\[)
    | \b(?P<alias>type)\b{_GAP}+(?P<name>[^\W\d]\w*){_GAP}*(?=\[|=(?!=))
    | \b(?P<lazy>lazy)\b{_GAP}+(?=(?:import|from)\b)
    | \b(?P<handler>except)\b{_GAP}*(?:(?P<group>\*){_GAP}*)?
    | (?<=[\[,:])\s*(?P<unpack>\*)(?!\*)
    | {_BRACKET}
    """,
    re.VERBOSE,
)
_PLAIN_TOKEN = re.compile(rf"{_STRING} | {_BRACKET} | (?P<mark>[,:!\n])", re.VERBOSE)


class _FaultError(Exception):
    """The text is no Python from here on."""


def _edits(text: str, python: tuple[int, int]) -> Iterator[_Edit]:
    """The edits in the order of the text; they do not overlap."""
    brackets: list[bool] = []
    """For every open bracket, whether it is a subscript's."""
    at = 0
    try:
        while match := _TOKEN.search(text, at):
            at = match.end()
            if match["quote"]:
                fields: list[str] = []
                at = _string_end(text, match, fields)
                if _has_fields(match) and not _parses(f"({text[match.start() : at]})"):
                    _check(fields)
                    yield _literal(text, match.start(), at, bracketed=bool(brackets))
            elif match["open"]:
                brackets.append(match["open"] == "[" and _is_subscript(text, match.start()))
            elif match["close"]:
                brackets[-1:] = []
            elif match["generic"] and python < (3, 12):
                edit = _type_parameters(text, match.start("generic"))
                at = edit.end
                # Where the bracket of the parameters took the place of theirs, that is open now.
                brackets += [False] if text[at - 1] == "(" else []
                yield edit
            elif match["generic"]:
                brackets.append(False)
            elif match["alias"] and python < (3, 12) and not keyword.iskeyword(match["name"]):
                yield _Edit(*match.span("alias"), "0;  ", (3, 12))
                if text[at] == "[":
                    end = _bracket_end(text, at)
                    yield _Edit(at + 1, end - 1, _blank(text[at + 1 : end - 1]).replace(" ", "0", 1), (3, 12))
                    at = end
            elif match["lazy"] and python < (3, 15):
                yield _Edit(*match.span("lazy"), "0;  ", (3, 15))
            elif match["handler"]:
                if match["group"] and python < (3, 11):
                    yield _Edit(*match.span("group"), " ", (3, 11))
                if python < (3, 14):
                    yield from _exception_types(text, at)
            elif match["unpack"] and python < (3, 11) and _is_new_unpacking(text, match.start(), brackets):
                yield _Edit(*match.span("unpack"), " ", (3, 11))
    except _FaultError:
        return


def _is_new_unpacking(text: str, start: int, brackets: list[bool]) -> bool:
    """Whether a star here is one of `a[*b]` and `def f(*args: *Ts)`, rather than of a call or a display."""
    return bool(brackets) and (brackets[-1] or text[start - 1] == ":")


def _is_subscript(text: str, bracket: int) -> bool:
    before = text[max(0, bracket - 50) : bracket].rstrip(" \t")
    word = re.search(r"\w+\Z", before)
    return not keyword.iskeyword(word[0]) and word[0] != "case" if word else before.endswith((")", "]", "}", '"', "'"))


# -- rewriting -------------------------------------------------------------------------------------------------------


def _blank(text: str) -> str:
    """White space with the same line ends, and as many bytes on every line."""
    return re.sub(r"(\\\n|\n)|(.)", lambda match: match[1] or " " * len(match[2].encode()), text)


def _type_parameters(text: str, start: int) -> _Edit:
    """`def f[T](x)` becomes `def f(    x)`, `class A[T]:` becomes `class A( ):`; line ends stay within brackets."""
    end = _bracket_end(text, start)
    parenthesis = re.compile(rf"{_GAP}*\(").match(text, end)
    if parenthesis:
        return _Edit(start, parenthesis.end(), f"({_blank(text[start + 1 : parenthesis.end()])}", (3, 12))
    return _Edit(start, end, f"({_blank(text[start + 1 : end - 1])})", (3, 12))


def _exception_types(text: str, start: int) -> Iterator[_Edit]:
    """`except A, B:` becomes `except(A,B):`; where there is no room for brackets, only the first type stays."""
    comma, end = _comma_and_colon(text, start)
    if comma is None:
        return
    types = text[start:end]
    first, others = text[start : comma + 1], text[comma + 1 : end]
    if text[start - 1] in " \t" and others[:1] in (" ", "\t"):
        listed = others[1:].rstrip()
        tail = others[1 + len(listed) :]
        yield _Edit(start - 1, end, f"({first}{listed}){tail}", (3, 14))
    else:
        yield _Edit(start, end, first[:-1] + _blank(types[len(first) - 1 :]), (3, 14))


def _comma_and_colon(text: str, start: int) -> tuple[int | None, int]:
    """Where the first comma after `except` is (None: there is none), and the colon that ends the header."""
    comma, at = None, start
    while match := _PLAIN_TOKEN.search(text, at):
        at = match.end()
        if match["quote"]:
            at = _string_end(text, match)
        elif match["open"]:
            at = _bracket_end(text, match.start())
        elif match["mark"] == ",":
            comma = match.start() if comma is None else comma
        elif match["mark"] == ":":
            return comma, match.start()
        elif match["mark"] == "\n" or match["close"]:
            break
    raise _FaultError


def _literal(text: str, start: int, end: int, *, bracketed: bool) -> _Edit:
    """A string with fields that the interpreter cannot parse becomes a plain one of spaces."""
    literal = text[start:end]
    space = _blank(literal)
    if "\n" not in literal or literal.endswith(('"""', "'''")):
        quotes = '"' if "\n" not in literal else '"""'
        space = quotes + space[len(quotes) : -len(quotes)] + quotes
    else:
        # Line ends in the fields of a string with single quotes: they must be within brackets.
        space = f'""{space[2:]}' if bracketed else f'(""{space[3:-1]})'
    return _Edit(start, end, space, (3, 14) if re.match(r"[rR]?[tT]", literal) else (3, 12))


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


# -- brackets and strings --------------------------------------------------------------------------------------------


_CLOSING = {"(": ")", "[": "]", "{": "}"}


def _bracket_end(text: str, start: int) -> int:
    """The end of the bracket that opens here."""
    expected, at = "", start
    while match := _PLAIN_TOKEN.search(text, at):
        at = match.end()
        if match["quote"]:
            at = _string_end(text, match)
        elif match["open"]:
            expected += _CLOSING[match["open"]]
        elif match["close"]:
            if match["close"] != expected[-1]:
                break
            expected = expected[:-1]
            if not expected:
                return at
    raise _FaultError


def _has_fields(opening: re.Match[str]) -> bool:
    return bool(re.search("[fFtT]", opening["prefix"] or ""))


def _stops(quote: str, *, fields: bool, raw: bool) -> re.Pattern[str]:
    """What matters inside a string: escapes, its end, and for one with fields their braces."""
    end = quote if len(quote) == 3 else rf"{quote}|\n"
    if not fields:
        return re.compile(rf"\\.|{end}", re.DOTALL)
    named = "" if raw else r"\\N\{[^{}\n]*\}|"
    return re.compile(rf"{named}\\[^{{}}]|{{{{|{{|{end}", re.DOTALL)


_STOPS = {
    (quote, fields, raw): _stops(quote, fields=fields, raw=raw)
    for quote in ('"', "'", '"""', "'''")
    for fields in (False, True)
    for raw in (False, True)
}


def _string_end(text: str, opening: re.Match[str], fields: list[str] | None = None) -> int:
    """The end of the string literal that opens with this match; its fields' expressions are added to `fields`."""
    quote, at = opening["quote"], opening.end()
    stops = _STOPS[quote, _has_fields(opening), "r" in (opening["prefix"] or "").lower()]
    while match := stops.search(text, at):
        at = match.end()
        if match[0] == quote:
            return at
        if match[0] == "\n":
            break
        if match[0] == "{":
            at = _field_end(text, at, quote, fields)
    raise _FaultError


def _field_end(text: str, start: int, quote: str, fields: list[str] | None) -> int:
    """The end of the replacement field whose expression starts here."""
    at = start
    while match := _PLAIN_TOKEN.search(text, at):
        at = match.end()
        if match["quote"]:
            at = _string_end(text, match)
        elif match["open"]:
            at = _bracket_end(text, match.start())
        elif match["close"] == "}" or match["mark"] == ":" or (match["mark"] == "!" and text[at : at + 1] != "="):
            if fields is not None:
                fields.append(text[start : match.start()])
            if match["mark"] == "!":
                at = _conversion_end(text, at)
            return at if text[at - 1] == "}" else _format_end(text, at, quote, fields)
        elif match["close"]:
            break
    raise _FaultError


def _conversion_end(text: str, start: int) -> int:
    """The end of `r:` or `r}`."""
    match = re.compile(r"\s*[rsa]\s*[:}]").match(text, start)
    if match is None:
        raise _FaultError
    return match.end()


def _format_end(text: str, start: int, quote: str, fields: list[str] | None) -> int:
    """The end of the replacement field whose format starts here."""
    stops = re.compile(rf"[{{}}]|{quote}")
    at = start
    while match := stops.search(text, at):
        at = match.end()
        if match[0] == "}":
            return at
        if match[0] == quote:
            break
        at = _field_end(text, at, quote, fields)
    raise _FaultError


def _check(fields: list[str]) -> None:
    """Make sure that these are expressions, as the interpreter will not get to see them."""
    for field in fields:
        expression = re.sub(r"(?<![=!<>])=(?:\s|#[^\n]*\n)*\Z", "", field)
        older = in_older_syntax(expression)
        if not expression.strip() or not _parses(f"({older.text if older else expression}\n)"):
            raise _FaultError
