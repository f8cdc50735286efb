"""Reading source: decoding, parsing, places of errors, comments, and syntax newer than the running Python."""

from __future__ import annotations

import ast
import sys
import threading
import warnings

import pytest

from leaklint.model.code import Span
from leaklint.model.facts import Comment, Unparsable
from leaklint.syntax.newer import Older, in_older_syntax
from leaklint.syntax.source import Source, decode, may_swallow, mentions_spawn, read_source


def parsed(text: str | bytes) -> Source:
    source = read_source(text if isinstance(text, bytes) else text.encode(), path="m.py")
    assert isinstance(source, Source), source
    return source


def refused(text: str | bytes) -> tuple[int, int, str]:
    """Line, column and message."""
    source = read_source(text if isinstance(text, bytes) else text.encode(), path="m.py")
    assert isinstance(source, Unparsable)
    assert source.path == "m.py"
    return source.span.line, source.span.column, source.message


def test_a_source_is_text_lines_and_tree() -> None:
    source = parsed("x = 'ä'\r\n\x0cy = '\x0b\u2028'\rz = 3")
    assert source.text == "x = 'ä'\n\x0cy = '\x0b\u2028'\nz = 3"
    assert source.lines == ("x = 'ä'", "\x0cy = '\x0b\u2028'", "z = 3")
    assert [statement.lineno for statement in source.tree.body] == [1, 2, 3]
    assert source.comments == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"asyncio.create_task(f())", True),
        (b"from asyncio import ensure_future as ef", True),
        (b"def f(): return 1", False),
        (b"", False),
    ],
)
def test_prefilter(data: bytes, expected: bool) -> None:
    assert mentions_spawn(data) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"async def f():\n try:\n  await g()\n except:\n  pass", True),
        (b"async def f():\n try:\n  await g()\n except BaseException:\n  pass", True),
        (b"from asyncio import CancelledError\nasync def f(): ...", True),
        (b"async def f():\n try:\n  await g()\n except trio.Cancelled:\n  pass", True),
        (b"async def f():\n try:\n  await g()\n except get_cancelled_exc_class():\n  pass", True),
        (b"async def f():\n while 1:\n  try:\n   await g()\n  finally:\n   h()\n   continue\n", True),
        (b"async def f():\r\n while 1:\r\n  try:\r\n   await g()\r\n  finally: # h\r\n\r\n    break\r\n", True),
        (b"async def f():\n while 1:\n  try:\n   await g()\n  finally:\n   h()\n  continue\n", False),
        (b"async def f():\n try:\n  await g()\n except Exception:\n  pass", False),
        (b"def f():\n try:\n  g()\n except BaseException:\n  pass", False),
        (b"", False),
    ],
)
def test_prefilter_of_swallowed_cancellations(data: bytes, expected: bool) -> None:
    assert may_swallow(data) is expected


# -- decoding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", "", id="empty"),
        pytest.param("x = 'ä'\n".encode("utf-8-sig"), "x = 'ä'\n", id="byte order mark"),
        pytest.param(b"\xef\xbb\xbf# coding: UTF_8\n", "# coding: UTF_8\n", id="byte order mark and declaration"),
        pytest.param(b"# -*- coding: latin-1 -*-\nx = '\xe9'", "# -*- coding: latin-1 -*-\nx = 'é'", id="latin-1"),
        pytest.param(b"#!x\n# coding=latin-1\n'\xe9'", "#!x\n# coding=latin-1\n'é'", id="second line"),
        pytest.param(b"# \xf6\n# coding: latin-1\n", "# ö\n# coding: latin-1\n", id="first line of the same coding"),
        pytest.param(b"# x\r# coding: latin-1\r'\xe9'", "# x\n# coding: latin-1\n'é'", id="old line ends"),
        pytest.param("# coding: gbk\n'中'".encode("gbk"), "# coding: gbk\n'中'", id="gbk"),
    ],
)
def test_decoding(data: bytes, text: str) -> None:
    assert decode(data, path="m.py") == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"x = 1\r\ny = '\xc3\xa9 \xff'",
            (2, 8, "cannot be decoded as utf-8: invalid start byte (byte 0xff)"),
        ),
        (
            b"x = 1\n# coding: latin-1\n'\xe9'",
            (3, 2, "cannot be decoded as utf-8: invalid continuation byte (byte 0xe9)"),
        ),
        (
            b"# coding: ascii\nx = '\xe9'",
            (2, 6, "cannot be decoded as ascii: ordinal not in range(128) (byte 0xe9)"),
        ),
        (b"#!x\n# coding: foo-8\n", (2, 11, "unknown encoding `foo-8`")),
        (b"# coding: hex\n", (1, 11, "unknown encoding `hex`")),
        (
            b"\xef\xbb\xbf# coding: latin-1\n",
            (1, 11, "is declared to be latin-1, but begins with the byte order mark of utf-8"),
        ),
        ("é = 1\n'ü' \0".encode(), (2, 5, "holds a null byte")),
        (b"# coding: raw_unicode_escape\nx = '\\ud800'\n", (2, 6, "holds a surrogate, which is no character")),
    ],
)
def test_text_that_cannot_be_decoded(data: bytes, expected: tuple[int, int, str]) -> None:
    assert refused(data) == expected


def test_undecodable_without_parsing() -> None:
    assert decode(b"x\n\0", path="m.py") == Unparsable("m.py", Span(2, 1, 2, 2), "holds a null byte")


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é = 'ü' )\n", (1, 9, "unmatched ')'")),
        ("x = 1\n    é = 2\n", (2, 4, "unexpected indent")),
        ("é = (1,\n\n", (1, 5, "'(' was never closed")),
        ("é = 'abc\n", (1, 5, "unterminated string literal (detected at line 1)")),
        ("if é:\n", (1, 6, "expected an indented block after 'if' statement on line 1")),
        ("é = \u00a01\n", (1, 5, "invalid non-printable character U+00A0")),
        ("'ü'; f() = 1\n", (1, 6, "cannot assign to function call here. Maybe you meant '==' instead of '='?")),
        ("a = 1\r\x0cé = = 2\r", (2, 6, "invalid syntax")),
        ("x = 1\n" + "(" * 5000 + ")" * 5000, (2, 201, "nested too deeply to be parsed")),
        ("".join(" " * depth + "if x:\n" for depth in range(110)), (101, 1, "nested too deeply to be parsed")),
        ("-" * 100_000 + "1", (1, 1, "nested too deeply to be parsed")),
    ],
)
def test_place_of_a_syntax_error(text: str, expected: tuple[int, int, str]) -> None:
    assert refused(text) == expected


def test_place_of_an_error_in_a_field() -> None:
    line, column, message = refused("\n\nx = 'é', f'ü{a b}'\n")
    assert (line, column) == (3, 14)
    assert message.removeprefix("f-string: ") == "invalid syntax. Perhaps you forgot a comma?"


def test_an_error_spans_what_python_marks_and_at_least_one_character() -> None:
    assert read_source("'ü'; f() = 1\n".encode(), path="m.py") == Unparsable(
        "m.py", Span(1, 6, 1, 9), "cannot assign to function call here. Maybe you meant '==' instead of '='?"
    )
    assert read_source(b"f(\n", path="m.py") == Unparsable("m.py", Span(1, 2, 1, 3), "'(' was never closed")


def test_warnings_are_silent_and_their_filters_stay() -> None:
    before = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=parsed, args=(r"x = '\d', 1if 1else 2",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        parsed(r"x = '\d'")
        assert [entry[0] for entry in warnings.filters[:1]] == ["error"]
    assert list(warnings.filters) == before


# -- comments ------------------------------------------------------------------------------------------------------


def test_comments_and_the_logical_lines_they_belong_to() -> None:
    source = parsed(
        '''\
# leaklint: ignore-file
import asyncio


async def f():
    'ä'; asyncio.create_task(g())  # leaklint: ignore[LK101] -- why
    # leaklint: ignore

    # something else
    asyncio.create_task(
        g(),  # noqa: X1 # leaklint: ignore[LK102]
        # leaklint: ignore[LK103]
    )
    for x in y:  # leaklint:ignore
        text = """
        # leaklint: no comment
        """ + '# leaklint: nor this'
    `'''.replace("`", "x = 1  # see # leaklint: ignore\n    # mentions `# leaklint:` only\n    # leaklint: at the end")
    )
    assert source.comments == (
        Comment("# leaklint: ignore-file", Span(1, 1, 1, 24), own_line=True, statement=(2, 2)),
        Comment("# leaklint: ignore[LK101] -- why", Span(6, 36, 6, 68), own_line=False, statement=(6, 6)),
        Comment("# leaklint: ignore", Span(7, 5, 7, 23), own_line=True, statement=(10, 13)),
        Comment("# noqa: X1 # leaklint: ignore[LK102]", Span(11, 15, 11, 51), own_line=False, statement=(10, 13)),
        Comment("# leaklint: ignore[LK103]", Span(12, 9, 12, 34), own_line=True, statement=(10, 13)),
        Comment("# leaklint:ignore", Span(14, 18, 14, 35), own_line=False, statement=(14, 14)),
        Comment("# see # leaklint: ignore", Span(18, 12, 18, 36), own_line=False, statement=(18, 18)),
        Comment("# leaklint: at the end", Span(20, 5, 20, 27), own_line=True, statement=(20, 20)),
    )


def test_comments_for_other_linters() -> None:
    source = parsed(
        """\
# ruff: noqa
# flake8: noqa: E501
def f():  # noqa
    g(  # NOSONAR(S7502)
        1,  # noqa: E501, F841
        2,  # type: ignore # NoQA : E501,RUF006
    )
    # ruff: ignore[E501]
    # ruff: ignore[asyncio-dangling-task]
    h('# noqa')  # why noqa
    yield  # noqa: E501, LK101
"""
    )
    assert source.comments == (
        Comment("# ruff: noqa", Span(1, 1, 1, 13), own_line=True, statement=(3, 3)),
        Comment("# noqa", Span(3, 11, 3, 17), own_line=False, statement=(3, 3)),
        Comment("# NOSONAR(S7502)", Span(4, 9, 4, 25), own_line=False, statement=(4, 7)),
        Comment("# type: ignore # NoQA : E501,RUF006", Span(6, 13, 6, 48), own_line=False, statement=(4, 7)),
        Comment("# ruff: ignore[asyncio-dangling-task]", Span(9, 5, 9, 42), own_line=True, statement=(10, 10)),
        Comment("# noqa: E501, LK101", Span(11, 12, 11, 31), own_line=False, statement=(11, 11)),
    )


def test_comments_beside_newer_syntax() -> None:
    source = parsed("def f[Té](x):  # leaklint: ignore\n    return f'{x['é']}'  # leaklint: ignore[LK101]\n")
    assert source.comments == (
        Comment("# leaklint: ignore", Span(1, 16, 1, 34), own_line=False, statement=(1, 1)),
        Comment("# leaklint: ignore[LK101]", Span(2, 25, 2, 50), own_line=False, statement=(2, 2)),
    )


# -- newer syntax --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "older", "needs"),
    [
        ("def f[T: int = str, *Ts](x): ...", "def f(                   x): ...", (3, 12)),
        ("async def f [\n  T,  # (\n](\n  x): ...", "async def f (\n         \n  \n  x): ...", (3, 12)),
        ("class A[T]: ...", "class A( ): ...", (3, 12)),
        ("class A[Té](B[T]): ...", "class A(     B[T]): ...", (3, 12)),
        ("type X = int", "0;   X = int", (3, 12)),
        ("type X[T,\n  U] = int", "0;   X[0 \n   ] = int", (3, 12)),
        ("if 1: type X = 1; type Y = 2", "if 1: 0;   X = 1; 0;   Y = 2", (3, 12)),
        ("try: f()\nexcept* A: g()", "try: f()\nexcept  A: g()", (3, 11)),
        ("try: f()\nexcept A, B.c: g()", "try: f()\nexcept(A,B.c): g()", (3, 14)),
        ("try: f()\nexcept A,B : g()", "try: f()\nexcept A   : g()", (3, 14)),
        ("try: f()\nexcept* A, b('x:', ','): g()", "try: f()\nexcept (A,b('x:', ',')): g()", (3, 14)),
        ("x[*a, 1, *b]", "x[ a, 1,  b]", (3, 11)),
        ("def f(*args: *Ts): ...", "def f(*args:  Ts): ...", (3, 11)),
        ("lazy import x\nlazy from y import z", "0;   import x\n0;   from y import z", (3, 15)),
    ],
)
def test_older_syntax(text: str, older: str, needs: tuple[int, int]) -> None:
    assert in_older_syntax(text, python=(3, 10)) == Older(older, needs)
    ast.parse(older)
    assert in_older_syntax(text, python=needs) != Older(older, needs), "left as it is where it is understood"


@pytest.mark.parametrize(
    "text",
    [
        "type = 1; type[0] = 2; x = type if [1] else type",
        "def f(x): return [*x], {**x}, (*x, 1), f(*x, **x), x[a:b]",
        "if x: *a, b = c",
        "try: f()\nexcept (A, B) as e: g()\nexcept C: x = 1, 2",
        "match type:\n    case [a, *b]: lazy = 1",
        "# type X = 1\n'type X = 1; def f[T](): ...'\nx = f'{a}' rb'{' '''\n def f[T]'''",
        "f'{{}} \\N{EM DASH} {a!r:>{b}} {a != b} {c:{d}}' fr'\\{x}'",
    ],
)
def test_older_syntax_stays_as_it_is(text: str) -> None:
    assert in_older_syntax(text, python=(3, 10)) is None


@pytest.mark.parametrize(
    ("text", "older"),
    [
        ("x = t'{a}' + g()", 'x = "    " + g()'),
        ("x = tr'''{\na}''', g()", 'x = """   \n  """, g()'),
        ("x = (t'{\na}', g())", 'x = ("" \n   , g())'),
        ("x = t'é{\n\na}'.b(g())", 'x = (""  \n\n  ).b(g())'),
    ],
)
def test_template_strings(text: str, older: str) -> None:
    understood = sys.version_info >= (3, 14)
    assert in_older_syntax(text) == (None if understood else Older(older, (3, 14)))
    ast.parse(older)


NEWER = '''\
import asyncio

type Ä = dict[str, "Ä"]; first()
class A[T](Base):
    type B[
        T
    ] = C[T]

    async def f[**P, é = int](self, *args: *Ts) -> "A": second(é)

def g[
    T: (int, str),
](
    x: T,
) -> T:
    try:
        third(f"ä{x["é"]}", 'b' f"{'\\n'.join(x)}", fourth())
    except* ValueError: fifth()
    return f"{
        x!r:>{width}}" + sixth() + f\'\'\'{
    x["""a"""]}
 \'\'\'.strip(seventh()), f"{f"{f"{1}"}"}", eighth()
'''


def test_positions_beside_newer_syntax() -> None:
    tree = parsed(NEWER).tree
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    calls = {
        node.func.id: (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    }
    assert calls == {
        "first": (3, 27, 3, 34),
        "second": (9, 57, 9, 67),
        "third": (17, 8, 17, 62),
        "fourth": (17, 53, 17, 61),
        "fifth": (18, 24, 18, 31),
        "sixth": (20, 25, 20, 32),
        "seventh": (22, 11, 22, 20),
        "eighth": (22, 41, 22, 49),
    }
    definitions = [
        (node.name, node.lineno, node.col_offset, node.end_lineno)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    assert sorted(definitions) == [("A", 4, 0, 9), ("f", 9, 4, 9), ("g", 11, 0, 22)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("def f[T](x): ...\ny = = 3\n", (2, 5)),
        ("class A[T]: ...\nx = f'{a b}'\n", (2, 8)),
        ("x = f'{y['a']}'\nprint 'x'\n", (2, 1)),
        ("type X = 1\ndef f[T): ...\n", (2, 8)),
    ],
)
def test_the_fault_is_found_behind_newer_syntax(text: str, place: tuple[int, int]) -> None:
    assert refused(text)[:2] == place


def test_the_needed_version_is_named() -> None:
    running = ".".join(map(str, sys.version_info[:2]))
    hint = f" (the file needs Python 3.12 or newer; leaklint runs on {running})" if sys.version_info < (3, 12) else ""
    assert refused("def f[T](x): ...\ny = = 3\n") == (2, 5, f"invalid syntax{hint}")


@pytest.mark.parametrize("text", ["f'{}'", "f'{a b}'", "f'{a!z}'", "f'{a!}'", "f'{a'", "f'{a:{}}'", "f'{a['b' 1]}'"])
def test_a_faulty_f_string_stays_one(text: str) -> None:
    assert refused(f"def f[T](): ...\n{text}\n")[0] == 2
