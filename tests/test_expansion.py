"""What the modules that were read ask for: found by words, before any function is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from test_linking import collected, names_of

from leaklint.analysis.expansion import Expansion, Wanted
from leaklint.catalog import BASE, Catalog, extended

NOTHING = Wanted(frozenset(), frozenset(), frozenset())


def wanted(
    source: str | Mapping[str, str],
    *,
    unread: Sequence[str] = (),
    catalog: Catalog = BASE,
) -> Wanted:
    """What these files ask for of others, a single one being `main.py`, in a program with more modules."""
    files = {"main.py": source} if isinstance(source, str) else source
    facts = [collected(path, text) for path, text in files.items()]
    expansion = Expansion(names_of(facts, unread=unread), catalog)
    for each in facts:
        expansion.add(each)
    found = expansion.wanted()
    assert expansion.wanted() == found
    return found._replace(facts=found.facts - {each.module for each in facts})


def asking(*needles: tuple[str, ...]) -> Wanted:
    """Files that know of `main` and have these words, and nothing else."""
    return Wanted(frozenset(), frozenset(), frozenset((*needle, "main") for needle in needles))


WORK = "import asyncio\nasync def work(): ...\n"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def f(): return g()\n", id="no spawn"),
        pytest.param("async def f(): await asyncio.create_task(work())\n", id="waited for"),
        pytest.param("async def f():\n    asyncio.create_task(work())\n    return 1\n", id="dropped"),
        pytest.param("async def f(g):\n    t = asyncio.create_task(work())\n    return g.close()\n", id="not returned"),
        pytest.param("def f(queue): return queue.put(work())\n", id="no spawn returned"),
        pytest.param("f = lambda: asyncio.create_task(work())\n", id="lambda"),
        pytest.param("class C:\n    def __new__(c): return asyncio.create_task(work())\n", id="double underscore"),
    ],
)
def test_nothing_is_asked_for(source: str) -> None:
    assert wanted(WORK + source) == NOTHING


# -- who may get a handle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "needles"),
    [
        pytest.param("def start(): return asyncio.create_task(work())", ["start("], id="function"),
        pytest.param("def start(loop): return loop.create_task(work())", ["start("], id="method of a loop"),
        pytest.param("def start():\n    t = asyncio.create_task(work())\n    return t", ["start("], id="by a name"),
        pytest.param("def start(): return (1, [asyncio.create_task(work())])", ["start("], id="in a display"),
        pytest.param("def start(): return [asyncio.create_task(work()) for _ in x]", ["start("], id="comprehension"),
        pytest.param("def start(): return Result(asyncio.create_task(work()))", ["start("], id="in an object"),
        pytest.param("def start(x): return x or asyncio.create_task(work())", ["start("], id="or"),
        pytest.param("def start(x): return None if x else asyncio.create_task(work())", ["start("], id="conditional"),
        pytest.param("class C:\n    def start(self): return asyncio.create_task(work())", ["start("], id="method"),
        pytest.param(
            "class C:\n    @property\n    def task(self): return asyncio.create_task(work())", [".task"], id="property"
        ),
        pytest.param(
            "def outer(): return inner()\ndef inner(): return asyncio.create_task(work())",
            ["inner(", "outer("],
            id="through another",
        ),
        pytest.param(
            "class C:\n    def one(self): return self.two()\n    def two(self): return asyncio.create_task(work())",
            ["one(", "two("],
            id="through another method",
        ),
        pytest.param(
            "import functools\ndef start(): return asyncio.create_task(work())\n"
            "begin = functools.partial(start)\nlaunch = start",
            ["begin(", "launch(", "start("],
            id="other names",
        ),
    ],
)
def test_files_that_may_call_what_returns_a_handle(source: str, needles: list[str]) -> None:
    assert wanted(WORK + source) == asking(*((needle,) for needle in needles))


def test_what_is_configured_starts_tasks_too() -> None:
    source = "import lib\ndef start(): return lib.spawn(work())\n"
    assert wanted(source) == NOTHING
    assert wanted(source, catalog=extended(("lib.spawn",))) == asking(("start(",))


@pytest.mark.parametrize(
    ("source", "needles"),
    [
        pytest.param(
            "class Client:\n    def start(self): self._task = asyncio.create_task(work())",
            [("Client", "._task"), ("Client", "Client("), ("Client", "Client.")],
            id="attribute of self",
        ),
        pytest.param(
            "class Client:\n    def start(self): self.tasks.append(asyncio.create_task(work()))",
            [("Client", ".tasks"), ("Client", "Client("), ("Client", "Client.")],
            id="container of self",
        ),
        pytest.param(
            "class Client:\n    def start(self):\n        t = asyncio.create_task(work())\n        self.tasks.add(t)",
            [("Client", ".tasks"), ("Client", "Client("), ("Client", "Client.")],
            id="container of self, by a name",
        ),
        pytest.param(
            "def start(client): client.task = asyncio.create_task(work())", [(".task",)], id="attribute of another"
        ),
        pytest.param("TASK = asyncio.create_task(work())", [("TASK", "main")], id="variable of the module"),
        pytest.param(
            "TASKS = []\ndef start(): TASKS.append(asyncio.create_task(work()))",
            [("TASKS", "main")],
            id="container of the module",
        ),
        pytest.param(
            "class Pool:\n    tasks = []\ndef start(): Pool.tasks.append(asyncio.create_task(work()))",
            [("tasks", "Pool")],
            id="container of a class",
        ),
    ],
)
def test_files_that_may_reach_what_keeps_a_handle(source: str, needles: list[tuple[str, ...]]) -> None:
    assert wanted(WORK + source) == asking(*needles)


# -- modules by name -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param(
            "from lib import end\nasync def f():\n    t = asyncio.create_task(work())\n    await end(t)",
            Wanted(frozenset({"lib"}), frozenset(), frozenset()),
            id="what is given the handle",
        ),
        pytest.param(
            "from lib import end\nasync def f():\n    t = asyncio.create_task(work())\n    await end(tasks=[t])",
            Wanted(frozenset({"lib"}), frozenset(), frozenset()),
            id="what is given it in a display, by keyword",
        ),
        pytest.param(
            "from lib import end\nasync def f():\n    t = asyncio.create_task(work())\n    await end(1)",
            NOTHING,
            id="what is given something else",
        ),
        pytest.param(
            "from lib import end\nasync def f():\n    await end(1)",
            NOTHING,
            id="what is called by a function without a spawn",
        ),
        pytest.param(
            "import lib\nclass C(lib.Base):\n    def start(self): asyncio.create_task(work())",
            Wanted(frozenset({"lib"}), frozenset(), frozenset()),
            id="base of the class",
        ),
        pytest.param(
            "import lib\nclass C(lib.Base):\n    def start(self): pass",
            NOTHING,
            id="base of a class without a spawn",
        ),
        pytest.param(
            "from lib import Pool\ndef f(pool: Pool): pool.add(asyncio.create_task(work()))",
            NOTHING,
            id="a class of which nothing is known",
        ),
        pytest.param(
            "import other\nclass C(other.Base):\n    def start(self): asyncio.create_task(work())",
            NOTHING,
            id="not the program's",
        ),
    ],
)
def test_modules_whose_names_are_wanted(source: str, found: Wanted) -> None:
    assert wanted(WORK + source, unread=["lib"]) == found


POOL = "import asyncio\nclass Pool:\n    def begin(self): asyncio.create_task(self.run())\n"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def f(pool: Pool): pool.give(asyncio.create_task(work()))", id="parameter"),
        pytest.param("def f(): Pool().give(asyncio.create_task(work()))", id="made on the spot"),
        pytest.param(
            "class C:\n    def __init__(self): self.p = Pool()\n"
            "    def f(self): self.p.give(asyncio.create_task(work()))",
            id="attribute",
        ),
        pytest.param(
            "class C:\n    p: Pool\n    def f(self): self.p.give(asyncio.create_task(work()))", id="annotated attribute"
        ),
    ],
)
def test_the_names_that_lead_to_a_class_with_spawns_are_wanted(source: str) -> None:
    files = {"main.py": f"{WORK}from lib import Pool\n{source}\n", "pools.py": POOL}
    assert wanted(files, unread=["lib"]) == Wanted(frozenset({"lib"}), frozenset(), frozenset())


USES = """\
import asyncio
from pkg import Base, end

class C(Base):
    async def f(self):
        task = asyncio.create_task(self.run())
        await end(task)
"""


def test_modules_are_wanted_whole_where_the_definition_is() -> None:
    """First the names of the package, then those of the modules that it takes them from, then these as a whole."""
    every = {
        "main.py": USES,
        "pkg/__init__.py": "from pkg.ends import end\nfrom pkg.bases import Base\nfrom pkg.others import thing\n",
        "pkg/ends.py": "def end(task): ...\n",
        "pkg/bases.py": "class Base: ...\n",
        "pkg/others.py": "thing = 1\n",
    }
    modules = {path: collected(path, text) for path, text in every.items()}
    main = modules.pop("main.py")
    names = names_of([main], unread=[each.module for each in modules.values()])
    expansion = Expansion(names, BASE)
    expansion.add(main)
    assert expansion.wanted() == Wanted(frozenset({"pkg"}), frozenset(), frozenset())
    names.add(modules["pkg/__init__.py"].names)
    assert expansion.wanted() == Wanted(frozenset({"pkg.ends", "pkg.bases"}), frozenset(), frozenset())
    names.add(modules["pkg/ends.py"].names)
    names.add(modules["pkg/bases.py"].names)
    assert expansion.wanted() == Wanted(frozenset(), frozenset({"pkg.ends", "pkg.bases"}), frozenset())


def test_a_module_that_comes_later_may_call_what_is_known_to_return_a_handle() -> None:
    first = collected("one.py", f"{WORK}def start(): return asyncio.create_task(work())\n")
    second = collected("two.py", "from one import start\ndef begin(): return start()\n")
    third = collected("three.py", "from two import begin as b\nclass C:\n    def run(self): self.t = b()\n")
    names = names_of([first, second, third])
    expansion = Expansion(names, BASE)
    found = []
    for each in (first, second, third):
        expansion.add(each)
        found.append(expansion.wanted())
    start, begin = ("start(", "one"), ("begin(", "two")
    kept = {("C", ".t", "three"), ("C", "C(", "three"), ("C", "C.", "three")}
    assert found == [
        Wanted(frozenset(), frozenset(), frozenset({start})),
        Wanted(frozenset(), frozenset({"one"}), frozenset({start, begin})),
        Wanted(frozenset(), frozenset({"one", "two"}), frozenset({start, begin, *kept})),
    ]


def test_what_is_known_of_a_package_is_held_against_those_alone_that_import_it() -> None:
    files = {
        "one.py": f"{WORK}def start(): return asyncio.create_task(work())\n",
        "two.py": "from elsewhere import start\nclass C:\n    def run(self): self.t = start()\n",
    }
    assert wanted(files) == Wanted(frozenset(), frozenset(), frozenset({("start(", "one")}))
