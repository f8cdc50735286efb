"""The lowering of a syntax tree to facts: what is kept of it, where it stands, and what a fact can stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler

import pytest
from examples import Example, name_of, parsing_examples

from leaklint.analysis import judge
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.walk import text, walk
from leaklint.syntax.collect import collect
from leaklint.syntax.expressions import DEEPEST, LONGEST, MOST_ITEMS
from leaklint.syntax.source import Source, read_source


def read(source: str | bytes, *, path: str = "pkg/mod.py") -> Source:
    read = read_source(source.encode() if isinstance(source, str) else source, path=path)
    assert isinstance(read, Source), read
    return read


def facts(source: str | bytes, *, path: str = "pkg/mod.py", module: str = "pkg.mod") -> ModuleFacts:
    return collect(read(source, path=path), module=module)


def top(source: str) -> code.Block:
    """The statements of the module."""
    return facts(source).functions[0].body


def expr(source: str) -> code.Expr:
    """The one expression of the module."""
    (statement,) = top(source)
    assert isinstance(statement, code.Evaluate)
    return statement.value


def named(source: str, qualname: str) -> code.Function:
    (found,) = (function for function in facts(source).functions if function.qualname == qualname)
    return found


def written(source: str, span: Span) -> str:
    """The source text at a span."""
    lines = source.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    return "\n".join(lines)[span.column - 1 :]


def calls(source: str) -> list[str]:
    """The source text at the span of every call, in the order of the scopes."""
    return [written(source, call.span) for f in facts(source).functions for call in walk(f.body, code.Call)]


# -- scopes --------------------------------------------------------------------------------------------------------

SCOPES = """\
@decorate
async def outer(first, /, second: int = 1, *rest, third=lambda: 2, **options) -> list[int]:
    local = second
    async def inner():
        nonlocal local
        local = first
        yield shared
    return inner

class Client(Base[int], metaclass=Meta):
    count: int = 0

    def start(self):
        global shared
        shared = [self for self in self.all]

    class Inner:
        pass
"""


def test_scopes_stand_in_source_order_outer_before_inner() -> None:
    found = facts(SCOPES)
    assert [(f.qualname, f.kind, f.owner) for f in found.functions] == [
        ("pkg.mod", "module", None),
        ("pkg.mod.<lambda>", "lambda", None),
        ("pkg.mod.outer", "function", None),
        ("pkg.mod.outer.inner", "function", None),
        ("pkg.mod.Client", "class", None),
        ("pkg.mod.Client.start", "function", "pkg.mod.Client"),
        ("pkg.mod.Client.Inner", "class", None),
    ]
    assert [c.qualname for c in found.classes] == ["pkg.mod.Client", "pkg.mod.Client.Inner"]


def test_a_function() -> None:
    outer, inner = named(SCOPES, "pkg.mod.outer"), named(SCOPES, "pkg.mod.outer.inner")
    assert [(p.name, p.kind, p.default and text(p.default)) for p in outer.params] == [
        ("first", "positional", None),
        ("second", "positional", "1"),
        ("rest", "*", None),
        ("third", "keyword", "lambda"),
        ("options", "**", None),
    ]
    assert outer.returns is not None
    assert (text(outer.returns), [text(each) for each in outer.decorators]) == ("list[int]", ["decorate"])
    assert (outer.is_async, outer.is_generator, outer.name, outer.span) == (True, False, "outer", Span(2, 1, 2, 92))
    assert outer.local_names == {"first", "second", "rest", "third", "options", "local", "inner"}
    assert (inner.is_async, inner.is_generator, inner.local_names) == (True, True, frozenset())
    assert (outer.free_names, inner.free_names) == (frozenset(), frozenset({"local", "first"}))


def test_a_class() -> None:
    client, _ = facts(SCOPES).classes
    assert ([text(base) for base in client.bases], client.name, client.span) == (
        ["Base[int]"],
        "Client",
        Span(10, 1, 10, 41),
    )
    assert client.body.local_names == {"count", "start", "Inner"}
    assert [method.qualname for method in client.methods] == ["pkg.mod.Client.start"]
    assert named(SCOPES, "pkg.mod.Client.start").local_names == {"self"}


def test_the_package_of_relative_imports() -> None:
    source = "from .jobs import start\nstart()"
    for path, module in (("pkg/mod.py", "pkg.mod"), ("pkg/__init__.py", "pkg")):
        (statement,) = facts(source, path=path, module=module).functions[0].body
        assert isinstance(statement, code.Evaluate)
        assert statement.value == code.Call(
            code.Global("pkg.jobs.start", "start", Span(2, 1, 2, 6)), (), (), Span(2, 1, 2, 8)
        )


def test_decorators_defaults_and_bases_are_evaluated_outside() -> None:
    source = """\
class Outer:
    name = 1

    @a(name)
    def method(self, one=b(name), *, two=c(name)):
        d(name)

    @e(name)
    class Inner(f(name), metaclass=g(name)):
        h = name

    call = lambda x=i(name): j(name)
"""
    outer = named(source, "pkg.mod.Outer")
    defined = [each for each in outer.body if isinstance(each, code.Define | code.DefineClass)]
    assert [[text(part) for part in each.evaluated] for each in defined] == [
        ["a(name)", "b(name)", "c(name)"],
        ["e(name)", "f(name)", "g(name)"],
    ]
    (lambda_,) = walk(outer.body, code.Lambda)
    assert [text(part) for part in lambda_.evaluated] == ["i(name)"]
    inside = {text(call): call.args[0] for f in facts(source).functions for call in walk(f.body, code.Call)}
    local = {name for name, argument in inside.items() if isinstance(argument, code.Name)}
    assert local == {"a(name)", "b(name)", "c(name)", "e(name)", "f(name)", "g(name)", "i(name)"}
    assert inside.keys() - local == {"d(name)", "j(name)"}  # methods do not see the names of the class


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "path", "as_written"),
    [
        ("import asyncio as aio\naio.tasks.create_task", "asyncio.create_task", "aio.tasks.create_task"),
        ("class Client:\n    tasks = []\nClient.tasks", "pkg.mod.Client.tasks", "Client.tasks"),
        ("tasks = []\ntasks", "pkg.mod.tasks", "tasks"),
        ("len", "builtins.len", "len"),
    ],
)
def test_dotted_names(source: str, path: str, as_written: str) -> None:
    last = top(source)[-1]
    assert isinstance(last, code.Evaluate)
    assert isinstance(last.value, code.Global)
    assert (last.value.path, last.value.text) == (path, as_written)


def test_attributes_of_variables_are_attributes() -> None:
    last = top("client = connect()\nclient.task")[-1]
    assert isinstance(last, code.Evaluate)
    variable = code.Global("pkg.mod.client", "client", Span(2, 1, 2, 7))
    assert last.value == code.Attribute(variable, "task", Span(2, 1, 2, 12))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("asyncio.Task[int]", "asyncio.Task[int]"),
        ("'asyncio.Task[int]'", "asyncio.Task[int]"),
        ("' asyncio.Task '", "asyncio.Task"),
        ("'not an annotation'", None),
        ("''", None),
        ("'a\\0b'", None),
        ("1", "1"),
    ],
)
def test_annotations_written_as_strings(annotation: str, expected: str | None) -> None:
    source = f"import asyncio\ndef f(task: {annotation}) -> {annotation}: pass\ndef g():\n    task: {annotation}\n"
    f, g = named(source, "pkg.mod.f"), named(source, "pkg.mod.g")
    (assign,) = g.body
    assert isinstance(assign, code.Assign)
    for lowered in (f.params[0].annotation, f.returns, assign.annotation):
        assert (lowered and text(lowered)) == expected
    assert assign.value is None


# -- statements ----------------------------------------------------------------------------------------------------


def shape(block: code.Block) -> Iterator[object]:
    """The kinds of the statements and the text of their expressions, nested as they are."""
    for statement in block:
        yield type(statement).__name__
        match statement:
            case code.Evaluate(value=value):
                yield text(value)
            case code.Assign(targets=targets, value=assigned):
                yield [text(each) for each in targets], assigned and text(assigned)
            case code.Augment(target=target, value=value):
                yield text(target), text(value)
            case code.Delete(targets=targets):
                yield [text(each) for each in targets]
            case code.If(branches=branches, orelse=orelse):
                yield [(text(branch.test), [*shape(branch.body)]) for branch in branches], [*shape(orelse)]
            case code.While(test=test, body=body, orelse=orelse):
                yield text(test), [*shape(body)], [*shape(orelse)]
            case code.For(target=target, iterable=iterable, body=body, orelse=orelse, is_async=is_async):
                yield text(target), text(iterable), [*shape(body)], [*shape(orelse)], is_async
            case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                caught = [([text(each) for each in h.types], h.name, [*shape(h.body)]) for h in handlers]
                yield [*shape(body)], caught, [*shape(orelse)], [*shape(final)]
            case code.With(items=items, body=body, is_async=is_async):
                yield [(text(i.context), i.target and text(i.target)) for i in items], [*shape(body)], is_async
            case code.Match(subject=subject, cases=cases):
                yield text(subject), [(c.binds, c.guard and text(c.guard), c.irrefutable) for c in cases]
            case code.Assert(test=test):
                yield text(test)
            case code.Return(value=optional) | code.Raise(value=optional):
                yield optional and text(optional)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""docstring"""\nimport a\nfrom b import c\npass\n1', []),
        ("def f():\n    global x\n    nonlocal_ = 1", ["Define"]),
        ("f()", ["Evaluate", "f()"]),
        ("a = b.c = d", ["Assign", (["a", "b.c"], "d")]),
        ("a: int", ["Assign", (["a"], None)]),
        ("a |= {b}", ["Augment", ("a", "...")]),
        ("del a, b[c]", ["Delete", ["a", "b[c]"]]),
        ("assert a, b", ["Assert", "a"]),
        ("while a: break\nelse: f()", ["While", ("a", ["Break"], ["Evaluate", "f()"])]),
        ("for a in b: continue\nelse: f()", ["For", ("a", "b", ["Continue"], ["Evaluate", "f()"], False)]),
        ("with a as b, c: f()", ["With", ([("a", "b"), ("c", None)], ["Evaluate", "f()"], False)]),
        ("raise a from b", ["Raise", "a"]),
        (
            "try: f()\nexcept (A, b.C) as e: raise\nexcept D: pass\nexcept: pass\nelse: g()\nfinally: h()",
            [
                "Try",
                (
                    ["Evaluate", "f()"],
                    [(["A", "b.C"], "e", ["Raise", None]), (["D"], None, []), ([], None, [])],
                    ["Evaluate", "g()"],
                    ["Evaluate", "h()"],
                ),
            ],
        ),
        ("try: f()\nexcept* A as e: g()", ["Try", (["Evaluate", "f()"], [(["A"], "e", ["Evaluate", "g()"])], [], [])]),
        (
            "match a:\n  case [b, *c] if d: pass\n  case {'e': f, **g}: pass\n  case h.I(): pass\n  case j: pass",
            [
                "Match",
                ("a", [(("b", "c"), "d", False), (("g", "f"), None, False), ((), None, False), (("j",), None, True)]),
            ],
        ),
        ("match a:\n    case _ if b: pass\n    case _: pass", ["Match", ("a", [((), "b", False), ((), None, True)])]),
    ],
)
def test_statements(source: str, expected: list[object]) -> None:
    assert [*shape(top(source))] == expected


def test_async_statements() -> None:
    source = "async def f():\n    async for a in b: pass\n    async with c as d: pass\n    return await e"
    assert [*shape(named(source, "pkg.mod.f").body)] == [
        "For",
        ("a", "b", [], [], True),
        "With",
        ([("c", "d")], [], True),
        "Return",
        "await e",
    ]


def test_a_chain_of_elif_is_flat() -> None:
    length = 100
    chain = "".join(f"elif a == {number}: f({number})\n" for number in range(length))
    (statement,) = top(f"{chain[2:]}else: g()")
    assert isinstance(statement, code.If)
    assert [text(branch.test) for branch in statement.branches] == [f"a == {number}" for number in range(length)]
    assert [*shape(statement.orelse)] == ["Evaluate", "g()"]


def test_an_if_within_an_else_after_something_else_is_nested() -> None:
    assert [*shape(top("if a: pass\nelse:\n    f()\n    if b: pass"))] == [
        "If",
        ([("a", [])], ["Evaluate", "f()", "If", ([("b", [])], [])]),
    ]


# -- expressions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind", "parts"),
    [
        ("f(a, *b, c=d, **e)", code.Call, ["f", "a", "*b", "d", "e"]),
        ("a[b]", code.Subscript, ["a", "b"]),
        ("a[b:c]", code.Subscript, ["a", "..."]),
        ("[a, *b]", code.Display, ["a", "*b"]),
        ("{**a, b: c}", code.Display, ["b", "*a", "c"]),
        ("a if b else c", code.Conditional, ["b", "a", "c"]),
        ("a and b and c", code.Boolean, ["a", "b", "c"]),
        ("not a", code.Not, ["a"]),
        ("-a", code.Opaque, ["a"]),
        ("a is not b", code.Compare, ["a", "b"]),
        ("a < b < c", code.Opaque, ["a", "b", "c"]),
        ("a + b | c", code.Operation, ["a", "b", "c"]),
        ("(a := b)", code.Walrus, ["a", "b"]),
        ("f'{a!r:>{b}}'", code.Opaque, ["..."]),
        ("{a: b for c in d if e}", code.Comprehension, ["a", "b", "c", "d", "e"]),
    ],
)
def test_expressions(source: str, kind: type, parts: list[str]) -> None:
    lowered = expr(source)
    assert type(lowered) is kind
    assert list(map(text, children(lowered))) == parts


def children(node: code.Expr) -> Iterator[code.Expr]:
    """The expressions directly within an expression, in the order of their fields; keys and constants of text aside."""
    match node:
        case code.Call(func=func, args=args, keywords=keywords):
            yield from (func, *args, *(keyword.value for keyword in keywords))
        case code.Subscript(value=value, index=index):
            yield from (value, index)
        case code.Display(items=items, keys=keys):
            yield from (*keys, *items)
        case code.Conditional(test=test, then=then, orelse=orelse):
            yield from (test, then, orelse)
        case code.Boolean(values=parts) | code.Operation(operands=parts) | code.Opaque(parts=parts):
            yield from parts
        case code.Not(value=value):
            yield value
        case code.Compare(left=left, right=right):
            yield from (left, right)
        case code.Walrus(target=target, value=value):
            yield from (target, value)
        case code.Comprehension(key=key, element=element, clauses=clauses):
            yield from (key,) if key is not None else ()
            yield element
            for clause in clauses:
                yield from (clause.target, clause.iterable, *clause.conditions)


def test_kinds_of_comprehensions() -> None:
    sources = ["[a for b in c]", "{a for b in c}", "(a for b in c)", "{a: b for b in c}", "[a async for b in c]"]
    found = [
        next(walk(named(f"async def f(): return {source}", "pkg.mod.f").body, code.Comprehension)) for source in sources
    ]
    assert [(each.kind, each.clauses[0].is_async) for each in found] == [
        ("list", False),
        ("set", False),
        ("generator", False),
        ("dict", False),
        ("list", True),
    ]


@pytest.mark.parametrize("source", ["yield", "yield a", "yield from a", "b = yield a", "[a, (yield)]"])
def test_yields_make_a_generator(source: str) -> None:
    assert named(f"def f():\n    {source}", "pkg.mod.f").is_generator
    assert not named(f"def f():\n    def g():\n        {source}", "pkg.mod.f").is_generator


def test_yield_from_unpacks() -> None:
    (yielded,) = walk(named("def f(a): yield from a", "pkg.mod.f").body, code.Yield)
    assert (yielded.value and text(yielded.value)) == "*a"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("None", None),
        ("True", True),
        ("1.5", 1.5),
        ("'FIRST_COMPLETED'", "FIRST_COMPLETED"),
        (repr("x" * (LONGEST - 1)), "x" * (LONGEST - 1)),
        (repr("x" * LONGEST), ...),
        ("b''", ...),
        ("...", ...),
        ("1j", ...),
    ],
)
def test_constants_are_kept_while_they_are_small(source: str, value: object) -> None:
    (statement,) = top(f"a = {source}")
    assert isinstance(statement, code.Assign)
    assert isinstance(statement.value, code.Constant)
    assert statement.value.value == value


@pytest.mark.parametrize(
    ("brackets", "item"), [("[]", "f({}), 1"), ("()", "f({}), 1"), ("{}", "f({}), 1"), ("{}", "{}: f({}), 'x': 1")]
)
def test_of_a_long_table_only_what_is_evaluated_is_kept(brackets: str, item: str) -> None:
    start, end = brackets[0], brackets[1]
    items = [item.replace("{}", str(number)) for number in range(MOST_ITEMS)]
    short, long = (expr(start + ", ".join(part) + end) for part in (items[:3], items))
    assert isinstance(short, code.Display)
    assert len(short.items) == 6
    assert isinstance(long, code.Opaque)
    assert [text(part) for part in long.parts] == [f"f({number})" for number in range(MOST_ITEMS)]


# -- deep nesting --------------------------------------------------------------------------------------------------


def depth(node: object) -> int:
    """How deep lowered code is nested."""
    if isinstance(node, tuple):
        return max(map(depth, node), default=0)
    slots = getattr(node, "__slots__", ())
    return 1 + max((depth(getattr(node, slot)) for slot in slots), default=0) if slots else 0


FORMS = ["f({})", "[{}]", "{} if a else b", "not {}", "a and ({})", "a[{}]", "(lambda: {})"]


@pytest.mark.parametrize("form", FORMS)
def test_no_spawn_is_lost_at_any_depth(form: str) -> None:
    spawn = "asyncio.create_task(work())"
    for levels in range(1, 50 if "lambda" in form else 98):
        source = spawn
        for _ in range(levels):
            source = form.replace("{}", source)
        found = facts(f"import asyncio\n{source}").functions
        assert [
            (levels, text(call.func))
            for function in found
            for call in walk(function.body, code.Call)
            if text(call.func) not in ("f", "work", "...")
        ] == [(levels, "asyncio.create_task")]
        assert depth(found[0].body) < 2 * DEEPEST + 10


def test_a_long_chain_of_operators_is_flat() -> None:
    lowered = expr(" + ".join(f"f({number})" for number in range(500)))
    assert isinstance(lowered, code.Operation)
    assert [text(operand) for operand in lowered.operands] == [f"f({number})" for number in range(500)]


def test_a_long_chain_of_attributes_and_calls_is_folded() -> None:
    for chain in ("a" + ".b" * 200, "a" + ".b()" * 200, "a" + "[0]" * 200):
        assert depth(top(chain)) < 2 * DEEPEST + 10


# -- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "ü = 1; f(ä)",
        "'😀', f('😀', ö)",
        "x = f(  # ü\n  'é', g(1)); h('…')",
        "if a:\n\tf('é'); g()",
        'é = f"ü{f(1)}"',
        'f"""\nüüü\n  {f(1)} é {f(2)}"""',
        'f"é" f"{f(1)}" "ü" f"{f(2):{f(3)}}"',
        "x = ('é'\n   f'{f(1)}'\n  'ö' f'''\n   é {f(2)}''')",
        "naïve = [f(each) for each in 'é' if f(each)]; lambda: f('ü')",
        "x = '\u2028'; f(1)",
        "\x0cf(1)\x0c; f('é')",
    ],
)
def test_columns_count_characters(source: str) -> None:
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert sorted(calls(source)) == sorted(filter(None, (ast.get_source_segment(source, node) for node in nodes)))
    assert len(nodes) > 0


@pytest.mark.parametrize("example", parsing_examples(), ids=name_of)
def test_places_in_the_fixtures(example: Example) -> None:
    source = example.data.decode().replace("work", "wörk")  # characters and bytes part ways
    parsed = ast.parse(source)
    expected = [ast.get_source_segment(source, node) for node in ast.walk(parsed) if isinstance(node, ast.Call)]
    # the calls in annotations and decorators are evaluated, too, where they stand
    assert sorted(calls(source)) == sorted(filter(None, expected))


def test_places_of_definitions_are_their_headers() -> None:
    source = "@a\n@b\ndef é(\n    x,\n): pass\n\n@c\nclass D: é = 1  # ö  \n"
    f, d = named(source, "pkg.mod.é"), facts(source).classes[0]
    assert (f.span, d.span, d.body.span) == (Span(3, 1, 3, 7), Span(8, 1, 8, 20), Span(8, 1, 8, 20))


def test_the_module_spans_the_file() -> None:
    assert [facts(source).functions[0].span for source in ("", "a\n", "a\nb")] == [
        Span(1, 1, 1, 1),
        Span(1, 1, 2, 1),
        Span(1, 1, 2, 1),
    ]


# -- facts are values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", parsing_examples(), ids=name_of)
def test_facts_survive_a_round_trip(example: Example) -> None:
    before = facts(example.data, path=example.path)
    after = ForkingPickler.loads(ForkingPickler.dumps(before))  # as between processes
    assert after == before
    assert after is not before
    assert list(map(hash, after.functions)) == list(map(hash, before.functions))
    assert judge(after) == judge(before)


def test_facts_of_the_same_source_are_equal_and_of_another_are_not() -> None:
    assert facts(SCOPES) == facts(SCOPES)
    assert facts(SCOPES) != facts(SCOPES.replace("count: int = 0", "count: int = 1"))


def test_all_that_the_analysis_keeps_in_sets_is_hashable() -> None:
    found = facts(SCOPES)
    assert len({*found.functions, *facts(SCOPES).functions}) == len(found.functions)
    assert {hash(statement) for function in found.functions for statement in function.body}


def test_two_functions_at_different_places_differ() -> None:
    first, second = facts("def f(): pass\ndef f(): pass").functions[1:]
    assert (first.qualname, first == second, hash(first) == hash(second)) == (second.qualname, False, False)
