"""Names across modules, and code in which they lead to where they are defined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from leaklint.analysis.linking import Aliases, Names, Target, link
from leaklint.engine import collect_source
from leaklint.model import code
from leaklint.model.code import Attribute, Expr, Function, Global, Name, Span
from leaklint.model.facts import ModuleFacts
from leaklint.model.rewrite import Rewriter
from leaklint.model.walk import walk


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def collected(path: str, source: str) -> ModuleFacts:
    facts = collect_source(source.encode(), path=path, module=module_name(path))
    assert isinstance(facts, ModuleFacts)
    return facts


def modules(files: Mapping[str, str]) -> list[ModuleFacts]:
    return [collected(path, source) for path, source in files.items()]


def names_of(facts: Sequence[ModuleFacts], *, unread: Sequence[str] = (), aliases: Aliases = ()) -> Names:
    """The names of modules that have been read, in a program with others that have not; `aliases` are those of all."""
    names = Names(dict.fromkeys((*(each.module for each in facts), *unread), aliases))
    for each in facts:
        names.add(each.names)
    return names


# -- where a name leads --------------------------------------------------------------------------------------------

SHOP = {
    "shop/__init__.py": """\
from . import core
from .core import Client as Customer, TASKS, spawn
from .core import open_shop as open
from .lost import found
from .unread import thing
from outside import helper
import asyncio as aio
begin = spawn
registry = {}
""",
    "shop/core.py": """\
class Client:
    limit = 3
    class Meta:
        def check(self): ...
    async def close(self): ...
def spawn(coro): ...
def open_shop(): ...
TASKS = set()
_hidden = 1
def _secret(): ...
""",
    "shop/starred.py": "from .core import *\nfrom .listed import *\nTASKS = []\n",
    "shop/listed.py": """\
from .core import Client
__all__ = ['_named', 'Client', 'absent']
def _named(): ...
def unlisted(): ...
""",
    "shop/stars.py": "from .starred import *\n",
    "shop/hopeful.py": "from .unread import *\nfrom .core import *\nfrom outside import *\n",
    "shop/one.py": "from .two import ball\nfrom .two import *\n",
    "shop/two.py": "from .one import ball\nfrom .one import *\n",
    "shop/fallback.py": "try:\n    from .fast import run\nexcept ImportError:\n    def run(): ...\n",
}
UNREAD = ("shop.unread", "shop.fast")


@pytest.fixture(scope="module")
def shop() -> Names:
    return names_of(modules(SHOP), unread=UNREAD)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        # a definition, a variable, a module and what is none of these
        ("shop.core.spawn", Target("shop.core.spawn")),
        ("shop.core.TASKS", Target("shop.core.TASKS")),
        ("shop.core", Target("shop.core")),
        ("shop.core.nothing", Target("shop.core.nothing")),
        ("asyncio.create_task", Target("asyncio.create_task")),
        ("shopping.core.spawn", Target("shopping.core.spawn")),
        # re-exports
        ("shop.spawn", Target("shop.core.spawn")),
        ("shop.open", Target("shop.core.open_shop")),
        ("shop.Customer", Target("shop.core.Client")),
        ("shop.TASKS", Target("shop.core.TASKS")),
        ("shop.begin", Target("shop.core.spawn")),
        ("shop.core.Client", Target("shop.core.Client")),
        ("shop.helper", Target("outside.helper")),
        ("shop.helper.run", Target("outside.helper.run")),
        ("shop.aio.create_task", Target("asyncio.create_task")),
        # attributes of classes and functions are part of the path, as far as they are definitions, and one further
        ("shop.Customer.close", Target("shop.core.Client.close")),
        ("shop.Customer.limit", Target("shop.core.Client.limit")),
        ("shop.Customer.limit.real", Target("shop.core.Client.limit", ("real",))),
        ("shop.Customer.Meta.check", Target("shop.core.Client.Meta.check")),
        ("shop.Customer.Meta.check.__doc__.strip", Target("shop.core.Client.Meta.check.__doc__", ("strip",))),
        ("shop.spawn.calls", Target("shop.core.spawn.calls")),
        ("shop.spawn.calls.append", Target("shop.core.spawn.calls", ("append",))),
        # attributes of a variable are those of its value
        ("shop.registry.values", Target("shop.registry", ("values",))),
        ("shop.TASKS.add", Target("shop.core.TASKS", ("add",))),
        ("shop.core.TASKS.add.x", Target("shop.core.TASKS", ("add", "x"))),
        # stars: without `__all__` no names with an underscore, with it those and no others; what is bound goes first
        ("shop.starred.spawn", Target("shop.core.spawn")),
        ("shop.starred.Client.close", Target("shop.core.Client.close")),
        ("shop.starred.TASKS", Target("shop.starred.TASKS")),
        ("shop.starred._hidden", Target("shop.starred._hidden")),
        ("shop.starred._secret", Target("shop.starred._secret")),
        ("shop.starred._named", Target("shop.listed._named")),
        ("shop.starred.unlisted", Target("shop.starred.unlisted")),
        ("shop.starred.absent", Target("shop.starred.absent")),
        # chains of stars
        ("shop.stars.spawn", Target("shop.core.spawn")),
        ("shop.stars.TASKS.add", Target("shop.starred.TASKS", ("add",))),
        ("shop.stars._named", Target("shop.stars._named")),
        # cycles
        ("shop.one.ball", Target("shop.one.ball")),
        ("shop.one.bat", Target("shop.one.bat")),
        # modules of the program that have not been read
        ("shop.thing", Target("shop.unread.thing", unread="shop.unread")),
        ("shop.unread.thing.part", Target("shop.unread.thing.part", unread="shop.unread")),
        ("shop.unread", Target("shop.unread")),
        ("shop.hopeful.spawn", Target("shop.hopeful.spawn", unread="shop.unread")),
        ("shop.hopeful.TASKS.add", Target("shop.hopeful.TASKS", ("add",), unread="shop.unread")),
        # one that is no part of the program
        ("shop.found", Target("shop.lost.found")),
        # a definition hides the import for which it is the fallback
        ("shop.fallback.run", Target("shop.fallback.run")),
    ],
)
def test_target(shop: Names, path: str, target: Target) -> None:
    assert shop.target(path, "elsewhere") == target
    assert shop.target(path, "elsewhere") == target  # what is remembered is the same


@pytest.mark.parametrize(
    ("module", "path", "target"),
    [
        ("shop.starred", "builtins.spawn", Target("shop.core.spawn")),
        ("shop.starred", "builtins.TASKS", Target("shop.core.TASKS")),
        ("shop.starred", "builtins.print", Target("builtins.print")),
        ("shop.starred", "builtins.nothing", Target("builtins.nothing")),
        ("shop.hopeful", "builtins.spawn", Target("shop.hopeful.spawn", unread="shop.unread")),
        ("shop.core", "builtins.spawn", Target("builtins.spawn")),
        ("elsewhere", "builtins.spawn", Target("builtins.spawn")),
    ],
)
def test_a_name_that_nothing_binds_may_come_from_a_star(shop: Names, module: str, path: str, target: Target) -> None:
    assert shop.target(path, module) == target


def test_a_module_that_is_read_later_changes_what_its_names_lead_to() -> None:
    facts = modules({"a.py": "from b import run\n", "b.py": "from c import run\n", "c.py": "def run(): ...\n"})
    names = Names(dict.fromkeys("abc", ()))
    found = []
    for each in facts:
        names.add(each.names)
        found.append(names.target("a.run", "a"))
    assert found == [Target("b.run", unread="b"), Target("c.run", unread="c"), Target("c.run")]


def test_re_exports_are_followed_through_twelve_modules() -> None:
    files = {f"m{n}.py": f"from m{n + 1} import run\n" for n in range(20)} | {"m20.py": "def run(): ...\n"}
    names = names_of(modules(files))
    assert names.target("m8.run", "m8") == Target("m20.run")
    assert names.target("m0.run", "m0").path == "m12.run"


def test_what_imports_call_differently() -> None:
    facts = modules({"services/a/app/__init__.py": "def run(): ...\n", "services/a/main.py": "import app\n"})
    aliases = (("app", "services.a.app"),)
    names = names_of(facts, aliases=aliases)
    assert [
        names.target(path, "services.a.main") for path in ("app.run", "app", "apple.run", "services.a.app.run")
    ] == [
        Target("services.a.app.run"),
        Target("services.a.app"),
        Target("apple.run"),
        Target("services.a.app.run"),
    ]


def test_module_of() -> None:
    names = names_of(modules({"pkg/__init__.py": "", "pkg/mod.py": ""}))
    paths = ("pkg.mod.Client.close", "pkg.mod", "pkg.other.f", "package.f", "")
    assert [names.module_of(path) for path in paths] == ["pkg.mod", "pkg.mod", "pkg", None, None]


def test_trees_that_a_module_can_know_of() -> None:
    sources = {
        "one/a.py": "import asyncio, two.b\nfrom three import c\ndef f():\n    asyncio.run(two.b.g(c))\n",
        "two/b.py": "def g(): ...\n",
        "three.py": "def c(): ...\n",
        "four.py": "def f(): print()\n",
    }
    facts = modules(sources)
    names = names_of(facts)
    assert [names.trees(each) for each in facts] == [{"one", "two", "three"}, {"two"}, {"three"}, {"four"}]


# -- linked code ---------------------------------------------------------------------------------------------------


def linked(files: Mapping[str, str], *, unread: Sequence[str] = ()) -> tuple[ModuleFacts, ModuleFacts]:
    """The first of the files, as it was and as it is when all of them are linked."""
    facts = modules(files)
    return facts[0], link(facts, names_of(facts, unread=unread))[0]


def used(facts: ModuleFacts) -> list[Expr]:
    """Global names, and attributes of them, in the order of the source."""
    found = [node for function in facts.functions for node in walk(function.body, (Global, Attribute))]
    inner = {id(node.value) for node in found if isinstance(node, Attribute)}
    return [node for node in found if id(node) not in inner]


CORE = "class Client:\n    async def close(self): ...\ndef spawn(coro): ...\nTASKS = set()\n"
PACKAGE = "from .core import Client as Customer, TASKS, spawn\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pkg\npkg.spawn()", Global("pkg.core.spawn", "pkg.spawn", Span(2, 1, 2, 10))),
        ("from pkg import spawn as s\ns()", Global("pkg.core.spawn", "s", Span(2, 1, 2, 2))),
        ("from pkg import *\nspawn()", Global("pkg.core.spawn", "spawn", Span(2, 1, 2, 6))),
        ("import pkg\npkg.Customer.close()", Global("pkg.core.Client.close", "pkg.Customer.close", Span(2, 1, 2, 19))),
        # attributes of a variable's value stand outside of the name
        (
            "import pkg\npkg.TASKS.add()",
            Attribute(Global("pkg.core.TASKS", "pkg.TASKS", Span(2, 1, 2, 10)), "add", Span(2, 1, 2, 14)),
        ),
        (
            "import pkg\npkg.TASKS.copy.__doc__",
            Attribute(
                Attribute(Global("pkg.core.TASKS", "pkg.TASKS", Span(2, 1, 2, 10)), "copy", Span(2, 1, 2, 15)),
                "__doc__",
                Span(2, 1, 2, 23),
            ),
        ),
        # over several lines every part has the place of the whole
        (
            "import pkg\n(pkg\n .TASKS.add)()",
            Attribute(Global("pkg.core.TASKS", "pkg.TASKS", Span(2, 2, 3, 12)), "add", Span(2, 2, 3, 12)),
        ),
        # an alias of an attribute of a variable is one name
        (
            "import pkg\nadd = pkg.TASKS.add\ndef f(): add()",
            Global("pkg.core.TASKS", "add", Span(3, 10, 3, 13)),
        ),
    ],
)
def test_names_lead_to_where_they_are_defined(source: str, found: Expr) -> None:
    _, after = linked({"main.py": source, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE})
    assert used(after)[-1] == found


def test_words_lead_to_the_linked_code() -> None:
    source = "import pkg\ndef f():\n    pkg.TASKS.add(pkg.Customer)\n    print()\ndef g(): f()\n"
    before, after = linked({"main.py": source, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE})
    scopes = list(zip(before.functions, after.functions, strict=True))
    assert [old.words - new.words for old, new in scopes] == [
        set(),
        {"pkg.Customer", "pkg.TASKS", "pkg.TASKS.add"},
        set(),
    ]
    assert [new.words - old.words for old, new in scopes] == [
        set(),
        {"Client", "pkg.core.Client", "pkg.core.TASKS"},
        set(),
    ]
    assert {"add", "TASKS"} <= after.functions[1].words


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import asyncio\nasync def f():\n    await asyncio.sleep(1)\n", id="only names of others"),
        pytest.param("import pkg.core\npkg.core.spawn(pkg.core.TASKS)\n", id="names that lead there already"),
        pytest.param("import pkg\npkg.missing()\n", id="names that lead nowhere"),
        pytest.param("import late\nlate.thing()\n", id="names of a module that was not read"),
    ],
)
def test_a_module_in_which_no_name_changes_stays_the_same_object(source: str) -> None:
    before, after = linked({"main.py": source, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE}, unread=["late"])
    assert after is before


NESTED = """\
import pkg


def untouched():
    print(1)


def decorated(f):
    return f


class Owner(pkg.Customer):
    registry = {}

    def start(self):
        def inner():
            pkg.spawn()
        return inner

    def stop(self):
        print(2)


@decorated
def outer(client: pkg.Customer = pkg.TASKS) -> pkg.Customer:
    return lambda: 1
"""


def test_code_that_does_not_change_stays_the_same_object() -> None:
    before, after = linked({"main.py": NESTED, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE})
    same = {old.qualname: new is old for old, new in zip(before.functions, after.functions, strict=True)}
    assert same == {
        "main": False,
        "main.untouched": True,
        "main.decorated": True,
        "main.Owner": False,
        "main.Owner.start": False,
        "main.Owner.start.inner": False,
        "main.Owner.stop": True,
        "main.outer": False,
        "main.outer.<lambda>": True,
    }
    assert [new is old for old, new in zip(before.classes, after.classes, strict=True)] == [False]


def scopes_in(functions: Sequence[Function]) -> Iterator[Function]:
    """The scopes that stand in the code of these, as their definitions."""
    for function in functions:
        for node in walk(function.body, (code.Define, code.Lambda, code.DefineClass)):
            yield node.scope.body if isinstance(node, code.DefineClass) else node.function


def test_a_scope_that_occurs_in_several_places_stays_one_object() -> None:
    for facts in linked({"main.py": NESTED, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE}):
        listed = {function.qualname: function for function in facts.functions}
        defined = list(scopes_in(facts.functions))
        assert sorted(each.qualname for each in defined) == sorted(name for name in listed if name != "main")
        assert all(listed[each.qualname] is each for each in defined)
        (owner,) = facts.classes
        assert owner.body is listed["main.Owner"]
        assert [listed[method.qualname] is method for method in owner.methods] == [True, True]
        (define,) = walk(listed["main"].body, code.DefineClass)
        assert define.scope is owner


def test_headers_and_bases_are_linked() -> None:
    _, after = linked({"main.py": NESTED, "pkg/__init__.py": PACKAGE, "pkg/core.py": CORE})
    (outer,) = (function for function in after.functions if function.name == "outer")
    (param,) = outer.params
    header = [param.annotation, param.default, outer.returns, *outer.decorators, *after.classes[0].bases]
    assert [each.path if isinstance(each, Global) else None for each in header] == [
        "pkg.core.Client",
        "pkg.core.TASKS",
        "pkg.core.Client",
        "main.decorated",
        "pkg.core.Client",
    ]


# -- rebuilding code -----------------------------------------------------------------------------------------------


def rebuilt(function: Function) -> Function:
    """The function with `old` exchanged for a name, wherever it stands."""

    def exchange(node: Global) -> Expr:
        return Name("new", node.span) if node.path == "m.old" else node

    return Rewriter(
        exchange, lambda words: words - {"m.old", "old"} | {"new"}, dirty={id(function)}, touched={id(function)}
    ).scope(function)


EVERYTHING = """\
async def f(*args):
    x: NAME = NAME
    x += NAME
    del NAME[0]
    if NAME: NAME()
    elif NAME: pass
    else: NAME()
    while NAME: break
    async for NAME.y in NAME: continue
    try: NAME()
    except NAME: NAME()
    else: NAME()
    finally: NAME()
    async with NAME as NAME.z: NAME()
    match NAME:
        case 1 if NAME: NAME()
    assert NAME
    raise NAME
    [NAME, *NAME, {NAME: NAME}, NAME if NAME else NAME, NAME and NAME, not NAME, NAME < NAME, NAME + NAME]
    [NAME for NAME.a in NAME if NAME], f"{NAME}", NAME[NAME], await NAME, (w := NAME), NAME.b
    NAME(NAME, *NAME, k=NAME, **NAME)
    return lambda a=NAME: 1
"""


def test_a_name_is_exchanged_wherever_it_stands() -> None:
    source = f"def old(): ...\ndef new(): ...\n{EVERYTHING}"
    before = collected("m.py", source.replace("NAME", "old")).functions[3]
    assert len(list(walk(before.body, Global))) == EVERYTHING.count("NAME")
    after = rebuilt(before)
    assert [node for node in walk(after.body, Global) if node.path == "m.old"] == []
    assert [node.span for node in walk(after.body, Name) if node.id == "new"] == [
        node.span for node in walk(before.body, Global) if node.path == "m.old"
    ]
    assert after.words == before.words - {"m.old", "old"} | {"new"}


def test_the_body_of_a_clean_scope_is_left_alone() -> None:
    function = collected("m.py", "def old(): ...\ndef f(a=old): old()\n").functions[2]
    rewriter = Rewriter(lambda node: Name("new", node.span), lambda words: words, dirty=set(), touched={id(function)})
    after = rewriter.scope(function)
    assert after == replace(function, params=after.params)
    assert after.params == (code.Param("a", "positional", None, Name("new", Span(2, 9, 2, 12))),)
    assert after.body is function.body
    assert rewriter.scope(function) is after
