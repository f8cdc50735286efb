"""The rewriter: what it edits, and that it leaves everything else as it is, byte by byte."""

from __future__ import annotations

import ast
import difflib
import re
from pathlib import Path

import libcst
import pytest
from examples import FIXTURES, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from leaklint.engine import collect_source
from leaklint.fixing.rewrite import CannotRewriteError, rewrite
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.fix import Edit, Forget, Import, Inherit, Insert, Precede, Replace, Substitute, Wrap

FILES = [*sorted(FIXTURES.rglob("*.py")), *sorted((ROOT / "leaklint" / "fixing").rglob("*.py"))]
GROUP = "async with anyio.create_task_group() as tg:\n    ..."


def parsable(path: Path) -> bool:
    try:
        return libcst.parse_module(path.read_bytes()).bytes == path.read_bytes()
    except (libcst.ParserSyntaxError, UnicodeError, LookupError, RecursionError):
        return False


def edited(source: str | bytes, *edits: Edit) -> str:
    data = source if isinstance(source, bytes) else source.encode()
    return rewrite(data, edits, module="package.module").decode()


def span(source: str | bytes, text: str) -> Span:
    """Where a text stands that stands there once; columns count characters, lines end as Python has it."""
    shown = source if isinstance(source, str) else source.decode()
    assert shown.count(text) == 1, text
    start = shown.index(text)

    def place(index: int) -> tuple[int, int]:
        before = re.split(r"\r\n|\r|\n", shown[:index])
        return len(before), len(before[-1]) + 1

    return Span(*place(start), *place(start + len(text)))


def wrapped(source: str, first: str, last: str | None = None, template: str = GROUP) -> str:
    return edited(source, Wrap(span(source, first), span(source, last or first), template, "f"))


# -- nothing moves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_without_edits_every_byte_stays(path: Path) -> None:
    data = path.read_bytes()
    if parsable(path):
        assert rewrite(data, [], module="m") == data
    else:
        with pytest.raises(CannotRewriteError):
            rewrite(data, [], module="m")


def statements(path: Path) -> list[code.Stmt]:
    """All statements that the analysis knows places of."""
    facts = collect_source(path.read_bytes(), path=path.as_posix(), module="m")
    assert isinstance(facts, ModuleFacts)
    return [statement for function in facts.functions for statement in function.body]


LIVELY = [path for path in FILES if parsable(path) and b"async def" in path.read_bytes() and statements(path)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_lines_outside_an_edit_stay(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(LIVELY))
    before = path.read_bytes()
    statement = data.draw(st.sampled_from(statements(path)))
    kind = data.draw(st.sampled_from(["substitute", "insert", "insert before", "wrap"]))
    edit: Edit
    match kind:
        case "substitute":
            edit = Substitute(statement.span, ("edited()",))
        case "wrap":
            edit = Wrap(statement.span, statement.span, "with edited():\n    ...", "f")
        case _:
            edit = Insert(statement.span, ("edited()",), after=kind == "insert")
    try:
        after = rewrite(before, [edit], module="m")
    except CannotRewriteError:
        return  # several statements on one line, or a statement that is no line of its own
    (whole,) = (
        each
        for each in ast.walk(ast.parse(before))
        if isinstance(each, ast.stmt) and (each.lineno, each.col_offset + 1) == statement.span[:2]
    )
    assert whole.end_lineno is not None
    first = min([whole.lineno, *(each.lineno for each in getattr(whole, "decorator_list", ()))])
    last = whole.end_lineno
    old, new = (re.split(rb"(?<=\n)", text) for text in (before, after))
    assert new[: first - 1 - len(leading(old, first))] == old[: first - 1 - len(leading(old, first))]
    rest = len(old) - last
    assert new[len(new) - rest :] == old[last:] if rest else True
    if kind.startswith("insert"):
        kept = [line for line in difflib.ndiff(lines(old), lines(new)) if line.startswith("- ")]
        assert kept == []


def leading(old: list[bytes], first: int) -> list[bytes]:
    """The blank and comment lines before a line."""
    found: list[bytes] = []
    for line in reversed(old[: first - 1]):
        if line.strip() and not line.strip().startswith(b"#"):
            break
        found.append(line)
    return found


def lines(texts: list[bytes]) -> list[str]:
    return [text.decode("utf-8", "replace") for text in texts]


# -- encodings and line ends ---------------------------------------------------------------------------------------

PLAIN = """\
import asyncio


async def f(x):
    # first
    a = g(x)  # own

    b = h(x)
    return a
"""


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("    ", "\t"),
        PLAIN.replace("    ", "  "),
        PLAIN.replace("\n\n\n", "\n\n\f\n"),
        PLAIN.replace("first", "é").replace("own", "\N{OLD ITALIC LETTER A}"),
        PLAIN + "\n\n# the end",
        PLAIN + "   ",
        PLAIN.replace("g(x)", "g(\n        x,\n    )"),
    ],
    ids=["plain", "crlf", "bom", "no newline", "tabs", "two", "form feed", "unicode", "comment", "blanks", "brackets"],
)
def test_a_statement_is_wrapped_as_the_file_is_written(text: str) -> None:
    end = "\r\n" if "\r\n" in text else "\n"
    indent = "\t" if "\t" in text else "  " if "\n  b" in text else "    "
    source = text.encode()
    first, last = text.split(end).index(indent + "# first".replace("first", "é" if "é" in text else "first")) + 2, 0
    rows = text.split(end)
    last = next(number for number, row in enumerate(rows, 1) if "b = h" in row)
    width = len(indent) + 1
    wrap = Wrap(Span(first, width, first, width + 1), Span(last, width, last, width + 1), GROUP, "f")
    rows[first - 2 : last] = [
        f"{indent}async with anyio.create_task_group() as tg:",
        *(f"{indent}{row}" if row.strip() else row for row in rows[first - 2 : last]),
    ]
    rows = [row.replace(f"{indent * 3}x", f"{indent * 3}x") for row in rows]
    got = rewrite(source, [wrap], module="m").decode()
    # lines within brackets keep their place: that is no indentation
    assert re.sub(r"(?m)^ +(x,|\))", r"\1", got) == re.sub(r"(?m)^ +(x,|\))", r"\1", end.join(rows))


def test_encodings_stay() -> None:
    source = "# -*- coding: latin-1 -*-\ndef f():\n    'ö'\n    g()\n"
    got = rewrite(source.encode("latin-1"), [Substitute(Span(4, 5, 4, 8), ("h('ö')",))], module="m")
    assert got == source.replace("g()", "h('ö')").encode("latin-1")


def test_what_an_encoding_cannot_say_is_refused() -> None:
    source = b"# -*- coding: ascii -*-\ndef f():\n    g()\n"
    with pytest.raises(CannotRewriteError):
        rewrite(source, [Substitute(Span(3, 5, 3, 8), ("h('ö')",))], module="m")


# -- statements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("def f():\n    a(); b()\n", "b()"),
        ("def f():\n    a(); b()\n", "a()"),
        ("def f():\n    a();\n", "a()"),
        ("def f(): a()\n", "a()"),
        ("def f():\n    if x: a()\n", "a()"),
        ("def f():\n    if x: pass\n    else: a()\n", "a()"),
        ("def f():\n    for x in y: a(); b()\n", "a()"),
        ("class A: a()\n", "a()"),
    ],
)
@pytest.mark.parametrize("kind", [Substitute, Insert, Wrap])
def test_what_shares_its_line_is_refused_or_edited_whole(source: str, place: str, kind: type[Edit]) -> None:
    where = span(source, place)
    edit: Edit = Wrap(where, where, "with c:\n    ...", "f") if kind is Wrap else kind(where, ("c()",))  # type: ignore[call-arg, arg-type]
    if source == "def f():\n    a();\n":
        assert "c" in edited(source, edit)
    else:
        with pytest.raises(CannotRewriteError):
            edited(source, edit)


def test_a_wrap_needs_something_in_it() -> None:
    source = "def f():\n    a()\n"
    with pytest.raises(CannotRewriteError):
        edited(source, Substitute(span(source, "a()"), ()), Wrap(span(source, "a()"), span(source, "a()"), GROUP, "f"))


def test_a_header_with_its_suite_on_the_same_line_is_moved_whole() -> None:
    source = "async def f():\n    if x: y()\n    z()\n"
    assert wrapped(source, "if x: y()", "z()") == (
        "async def f():\n    async with anyio.create_task_group() as tg:\n        if x: y()\n        z()\n"
    )


def test_nested_blocks_strings_and_continuations_are_moved_without_harm() -> None:
    source = '''\
async def f():
    a = """
  keeps
its place
"""
    b = 1 + \\
        2
    match b:
        case 1:
            def g():
                # inner
                return 1
        case _:
            pass
    # last
    h(a,
      b)  # own
    # after
'''
    got = wrapped(source, 'a = """', "h(a,")
    assert (
        got
        == '''\
async def f():
    async with anyio.create_task_group() as tg:
        a = """
  keeps
its place
"""
        b = 1 + \\
        2
        match b:
            case 1:
                def g():
                    # inner
                    return 1
            case _:
                pass
        # last
        h(a,
          b)  # own
    # after
'''
    )
    compile(got, "x", "exec")


def test_decorated_definitions_are_moved_whole() -> None:
    source = "async def f():\n    @one\n    # two\n    @two\n    def g(): pass\n    g()\n"
    facts = collect_source(source.encode(), path="m.py", module="m")
    assert isinstance(facts, ModuleFacts)
    got = edited(source, Wrap(Span(5, 5, 5, 18), span(source, "    g()\n")._replace(column=5), GROUP, "f"))
    compile(got, "x", "exec")
    assert "        @one\n        # two\n        @two\n        def g(): pass\n        g()\n" in got


def test_comments_survive_a_deletion() -> None:
    source = "def f():\n    a()\n    # why\n    b()  # how\n    c()\n"
    assert edited(source, Substitute(span(source, "b()"), ())) == "def f():\n    a()\n    # why\n    # how\n    c()\n"


def test_a_block_that_loses_everything_passes() -> None:
    source = "def f():\n    a()  # how\n\n\nx = 1\n"
    assert edited(source, Substitute(span(source, "a()"), ())) == "def f():\n    pass\n    # how\n\n\nx = 1\n"


def test_several_edits_of_one_place() -> None:
    source = "async def f():\n    a(1)\n    b(2)\n"
    got = edited(
        source,
        Replace(span(source, "1"), "x"),
        Insert(span(source, "a(1)"), ("before()",), after=False),
        Insert(span(source, "b(2)"), ("after()",)),
        Wrap(span(source, "a(1)"), span(source, "b(2)"), GROUP, "f"),
    )
    inside = "        before()\n        a(x)\n        b(2)\n        after()\n"
    assert got == f"async def f():\n    async with anyio.create_task_group() as tg:\n{inside}"


def test_an_expression_within_brackets_keeps_them() -> None:
    source = "x = (  # why\n    a.b\n)\n"
    assert edited(source, Replace(span(source, "a.b"), "c.d")) == "x = (  # why\n    c.d\n)\n"


def test_a_replaced_operand_keeps_its_meaning() -> None:
    source = "x = a * b\ny = c.d\nz = not e\n"
    got = edited(source, Replace(span(source, "b"), "(1 + 2)"))
    assert got == source.replace("b", "(1 + 2)")


def test_a_base_is_added() -> None:
    assert edited("class A:\n    x = 1\n", Inherit(Span(1, 1, 2, 10), "B")) == "class A(B):\n    x = 1\n"
    assert edited("class A():\n    x = 1\n", Inherit(Span(1, 1, 2, 10), "B")) == "class A(B):\n    x = 1\n"
    assert edited("class A(C):\n    x = 1\n", Inherit(Span(1, 1, 2, 10), "B")) == "class A(C, B):\n    x = 1\n"


@pytest.mark.parametrize("source", ["class A(metaclass=M):\n    x = 1\n", "class A(C, metaclass=M):\n    x = 1\n"])
def test_a_base_is_added_before_keywords(source: str) -> None:
    got = edited(source, Inherit(Span(1, 1, 2, 10), "B"))
    compile(got, "x", "exec")
    assert "B, metaclass=M" in got


def test_a_clause_is_added_before_another() -> None:
    source = "try:\n    a()\nexcept OSError:\n    b()\n# whatever it is\nexcept:  # all\n    c()\n"
    got = edited(source, Precede(Span(6, 1, 7, 8), ("except ValueError:", "    raise")))
    assert got == source.replace("# whatever", "except ValueError:\n    raise\n# whatever")
    with pytest.raises(CannotRewriteError):
        edited(source, Precede(Span(5, 1, 5, 2), ("except ValueError:", "    raise")))


@pytest.mark.parametrize("place", [Span(9, 1, 9, 2), Span(1, 3, 1, 4)])
def test_a_place_that_is_not_there_is_refused(place: Span) -> None:
    for edit in (Replace(place, "y"), Substitute(place, ("y",)), Insert(place, ("y",)), Wrap(place, place, GROUP, "")):
        with pytest.raises(CannotRewriteError):
            edited("x = 1\n", edit)


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "a and " * 20_000 + "a\n",
        "x = " + "-" * 900 + "a\n",
        "x = " + "[" * 180 + "]" * 180 + "\n",
        "x = a" + ".b" * 900 + "\n",
    ],
    ids=["operands", "signs", "lists", "attributes"],
)
def test_what_is_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(CannotRewriteError, match="nested too deeply"):
        edited(source)


# -- imports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "import anyio"),
        ("x = 1\n", "import anyio\n\nx = 1\n"),
        ('"""Doc."""\n', '"""Doc."""\n\nimport anyio\n'),
        ('"""Doc."""\n\nx = 1\n', '"""Doc."""\n\nimport anyio\n\nx = 1\n'),
        (
            "#!/usr/bin/env python\n# coding: utf-8\nx = 1\n",
            "#!/usr/bin/env python\n# coding: utf-8\nimport anyio\n\nx = 1\n",
        ),
        ("#!/usr/bin/env python\n# coding: utf-8\n", "#!/usr/bin/env python\n# coding: utf-8\nimport anyio\n"),
        ("# Licence.\n\nimport asyncio\n", "# Licence.\n\nimport asyncio\n\nimport anyio\n"),
        ("# Licence.\n\nimport zope\n", "# Licence.\n\nimport anyio\nimport zope\n"),
        (
            '"""Doc."""\nfrom __future__ import annotations\n\nx = 1\n',
            '"""Doc."""\nfrom __future__ import annotations\n\nimport anyio\n\nx = 1\n',
        ),
        (
            "import asyncio\nimport sys\n\nimport attrs\nimport zope\n\nfrom . import x\n",
            "import asyncio\nimport sys\n\nimport anyio\nimport attrs\nimport zope\n\nfrom . import x\n",
        ),
        (
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import anyio\n\nx = 1\n",
            "from typing import TYPE_CHECKING\n\nimport anyio\n\nif TYPE_CHECKING:\n    import anyio\n\nx = 1\n",
        ),
        (
            "try:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n\nx = 1\n",
            "import anyio\n\ntry:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n\nx = 1\n",
        ),
        (
            "import asyncio\n\ntry:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n",
            "import asyncio\n\nimport anyio\n\ntry:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n",
        ),
        ("import anyio\n", "import anyio\n"),
        ("import asyncio, anyio\n", "import asyncio, anyio\n"),
        ("import asyncio\n# about sys\nimport sys\n", "import asyncio\n# about sys\nimport sys\n\nimport anyio\n"),
        ("import asyncio\n\n\ndef f():\n    pass\n", "import asyncio\n\nimport anyio\n\n\ndef f():\n    pass\n"),
        ("def f():\n    pass\n\n\nimport asyncio\n", "import anyio\n\ndef f():\n    pass\n\n\nimport asyncio\n"),
        ("import asyncio; import sys\n", "import asyncio; import sys\n\nimport anyio\n"),
        ("import asyncio\r\n\r\nx = 1\r\n", "import asyncio\r\n\r\nimport anyio\r\n\r\nx = 1\r\n"),
        ("import asyncio", "import asyncio\n\nimport anyio"),
        ("if True:\n    import asyncio\n", "import anyio\n\nif True:\n    import asyncio\n"),
    ],
)
def test_an_import_is_added_where_a_person_would(before: str, after: str) -> None:
    got = edited(before, Import("import anyio"))
    assert got == after
    assert edited(got, Import("import anyio")) == got


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import asyncio\nx = 1\n", "x = 1\n"),
        ("import asyncio, sys\nsys\n", "import sys\nsys\n"),
        ("import sys, asyncio\nsys\n", "import sys\nsys\n"),
        ("from a import asyncio, b\nb\n", "from a import b\nb\n"),
        ("from a import (\n    asyncio,\n    b,\n)\nb\n", "from a import (\n    b,\n)\nb\n"),
        ("from a import (\n    b,\n    asyncio,\n)\nb\n", "from a import (\n    b,\n)\nb\n"),
        ("# why\nimport asyncio\n# what\nimport sys\n", "# why\n# what\nimport sys\n"),
        ("import asyncio.subprocess\nx = 1\n", "x = 1\n"),
        ("import asyncio\n\nimport b\n\nb\n", "import b\n\nb\n"),
        ("import asyncio\n\n# what\nimport b\n\nb\n", "# what\nimport b\n\nb\n"),
        ("# why\nimport asyncio\n\n\nx = 1\n", "# why\n\n\nx = 1\n"),
    ],
)
def test_an_import_that_nothing_uses_is_removed(before: str, after: str) -> None:
    assert edited(before, Forget("asyncio")) == after


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.run(main())\n",
        'import asyncio\n__all__ = ["asyncio"]\n',
        'import asyncio\nx: "asyncio.Task[int]"\n',
        "import asyncio\ndef f(x: 'list[asyncio.Task]'): pass\n",
        'import asyncio\ndef f():\n    """>>> asyncio.run(f())"""\n',
        'import asyncio\ndef f():\n    """Do.\n\n    >>> asyncio.run(f())\n    """\n',
        "import asyncio\nx = f'{asyncio.sleep}'\n",
        "import asyncio\nx = [asyncio for x in y]\n",
        "import asyncio\nglobal_ = (asyncio)\n",
        "import asyncio\ndel asyncio\n",
        "import asyncio\n\ndef f():\n    import asyncio\n    return asyncio\n",
        "if True:\n    import asyncio\n",
        "import asyncio as other\n",
        "from asyncio import *\n",
        'import asyncio\nx = cast("asyncio.Task[" "int]", y)\n',
        "import asyncio  # noqa: F401 - patched by the tests\nx = 1\n",
    ],
)
def test_an_import_that_something_may_use_stays(source: str) -> None:
    assert edited(source, Forget("asyncio")) == source


def test_the_last_statement_of_a_block_is_not_removed() -> None:
    """An import under a condition is not touched at all."""
    source = "try:\n    import asyncio\nexcept ImportError:\n    asyncio = None\n"
    assert edited(source, Forget("asyncio")) == source
