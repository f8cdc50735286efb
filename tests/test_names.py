"""Names lead to what they were imported as, or to what the module or a function binds."""

from __future__ import annotations

import ast

import pytest

from leaklint.syntax.names import Scope, canonical, outside_of, resolve, scan


def scope(source: str, kind: str = "module", qualname: str = "pkg.mod", *, package: str = "pkg") -> Scope:
    return scan(ast.parse(source).body, kind, qualname, package=package)


def function(source: str, qualname: str = "pkg.mod.run") -> Scope:
    return scope(source, "function", qualname)


# -- the top level of a module -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name", "path"),
    [
        pytest.param("import asyncio", "asyncio", "asyncio", id="module"),
        pytest.param("import asyncio as aio", "aio", "asyncio", id="module under another name"),
        pytest.param("import os.path", "os", "os", id="submodule binds its package"),
        pytest.param("import os.path as paths", "paths", "os.path", id="submodule under another name"),
        pytest.param("from asyncio import create_task", "create_task", "asyncio.create_task", id="function"),
        pytest.param("from asyncio import create_task as ct", "ct", "asyncio.create_task", id="function, renamed"),
        pytest.param("from asyncio import tasks", "tasks", "asyncio.tasks", id="private module"),
        pytest.param("from asyncio.tasks import wait", "wait", "asyncio.wait", id="function of a private module"),
        pytest.param("from . import jobs", "jobs", "pkg.jobs", id="module of the package"),
        pytest.param("from .jobs import start", "start", "pkg.jobs.start", id="relative"),
        pytest.param("from . import asyncio", "asyncio", "pkg.asyncio", id="relative namesake"),
        pytest.param("from compat import asyncio", "asyncio", "asyncio", id="detour to asyncio"),
        pytest.param("from compat import asyncio as aio", "aio", "asyncio", id="detour to asyncio, renamed"),
        pytest.param("from asyncio import *", "create_task", "asyncio.create_task", id="star"),
        pytest.param("from asyncio.tasks import *", "gather", "asyncio.gather", id="star of a private module"),
        pytest.param("from asyncio import *", "len", "builtins.len", id="not among the starred"),
        pytest.param("from asyncio import *\ngather = 1", "gather", "pkg.mod.gather", id="bound after a star"),
        pytest.param(
            "if fast:\n    import uvloop as loops\nelse:\n    import asyncio as loops", "loops", "uvloop", id="if"
        ),
        pytest.param("spawn = asyncio.create_task\nimport asyncio", "spawn", "asyncio.create_task", id="alias"),
        pytest.param("import asyncio\naio = asyncio", "aio", "asyncio", id="alias of a module"),
        pytest.param("from asyncio import wait\nhold = wait", "hold", "asyncio.wait", id="alias of a function"),
        pytest.param(
            "import asyncio\nspawn = asyncio.create_task\nspawn = print", "spawn", "pkg.mod.spawn", id="rebound"
        ),
        pytest.param("import asyncio\nspawn = asyncio.create_task()", "spawn", "pkg.mod.spawn", id="result of a call"),
        pytest.param("spawn = loop.create_task", "spawn", "pkg.mod.spawn", id="alias of something unknown"),
        pytest.param("def start(): pass", "start", "pkg.mod.start", id="function of the module"),
        pytest.param("class Client: pass", "Client", "pkg.mod.Client", id="class of the module"),
        pytest.param("from asyncio import wait\ndef wait(): pass", "wait", "pkg.mod.wait", id="hidden by a function"),
        pytest.param("import asyncio\nclass asyncio: pass", "asyncio", "pkg.mod.asyncio", id="hidden by a class"),
        pytest.param(
            "try:\n    from asyncio import wait\nexcept ImportError:\n    async def wait(): pass",
            "wait",
            "asyncio.wait",
            id="fallback",
        ),
        pytest.param(
            "try:\n    import asyncio\nexcept E:\n    asyncio = None", "asyncio", "asyncio", id="None for want of it"
        ),
        pytest.param("", "len", "builtins.len", id="bound by nothing"),
    ],
)
def test_names_of_a_module(source: str, name: str, path: str) -> None:
    assert resolve(name, [scope(source)]) == path


@pytest.mark.parametrize(
    ("package", "source", "path"),
    [
        ("pkg.sub", "from . import start", "pkg.sub.start"),
        ("pkg.sub", "from .jobs import start", "pkg.sub.jobs.start"),
        ("pkg.sub", "from .. import start", "pkg.start"),
        ("pkg.sub", "from ..jobs.late import start", "pkg.jobs.late.start"),
    ],
)
def test_relative_imports_start_from_the_package(package: str, source: str, path: str) -> None:
    assert resolve("start", [scope(source, package=package)]) == path


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "x: int",
        "x += 1",
        "del x",
        "a, (b, *x) = c",
        "for x in y: pass",
        "with y as x: pass",
        "try: pass\nexcept E as x: pass",
        "print(x := 1)",
        "def f(a=(x := 1)): pass",
        "match y:\n    case x: pass",
        "match y:\n    case [1, *x]: pass",
        "match y:\n    case {'a': 1, **x}: pass",
        "if y:\n    while z:\n        x = 1",
    ],
)
def test_everything_that_binds_a_name_of_the_module(source: str) -> None:
    assert resolve("x", [scope(source)]) == "pkg.mod.x"


@pytest.mark.parametrize(
    "source", ["def f(x): x = 1", "class C:\n    x = 1", "lambda x: (x := 1)", "f(x=1)", "y.x = 1"]
)
def test_what_binds_a_name_elsewhere_or_no_name(source: str) -> None:
    assert resolve("x", [scope(source)]) == "builtins.x"


# -- scopes within -------------------------------------------------------------------------------------------------

IMPORTS = "from asyncio import create_task"


def test_a_local_variable_hides_an_import() -> None:
    assert resolve("create_task", [scope(IMPORTS), function("create_task = print")]) is None


def test_a_parameter_hides_an_import() -> None:
    inner = function("")
    inner.bound.add("create_task")
    assert resolve("create_task", [scope(IMPORTS), inner]) is None


def test_an_import_within_a_function_is_known_there_and_in_functions_within() -> None:
    module, outer, inner = scope(""), function(IMPORTS), function("", "pkg.mod.run.inner")
    assert resolve("create_task", [module, outer]) == "asyncio.create_task"
    assert resolve("create_task", [module, outer, inner]) == "asyncio.create_task"
    assert resolve("create_task", [module]) == "builtins.create_task"


def test_names_of_a_class_body_are_known_there_and_not_in_its_methods() -> None:
    module, class_, method = scope(IMPORTS), scope("create_task = 1", "class"), function("", "pkg.mod.Client.run")
    assert resolve("create_task", [module, class_]) is None
    assert resolve("create_task", [module, class_, method]) == "asyncio.create_task"


def test_a_global_variable_belongs_to_the_module_whoever_binds_it() -> None:
    inner = function("global task\ntask = 1")
    assert resolve("task", [scope(""), inner]) == "pkg.mod.task"
    assert resolve("task", [scope("task = None"), inner]) == "pkg.mod.task"


def test_a_global_variable_skips_the_enclosing_functions() -> None:
    outer, inner = function("task = 1"), function("global task\ntask = 2", "pkg.mod.run.inner")
    assert resolve("task", [scope(""), outer, inner]) == "pkg.mod.task"
    assert (outer.free, inner.free) == (set(), set())


def test_a_variable_of_an_enclosing_function_is_free_in_every_scope_between() -> None:
    outer, middle, inner = function("task = 1"), function(""), function("")
    assert resolve("task", [scope("task = 0"), outer, middle, inner]) is None
    assert (outer.free, middle.free, inner.free) == (set(), {"task"}, {"task"})


def test_a_nonlocal_variable_belongs_to_the_enclosing_function() -> None:
    outer, inner = function("task = None"), function("nonlocal task\ntask = 1")
    assert resolve("task", [scope(""), outer, inner]) is None
    assert (outer.free, inner.free) == (set(), {"task"})


def test_a_function_within_is_a_local_name() -> None:
    assert resolve("start", [scope("def start(): pass"), function("def start(): pass")]) is None


# -- paths and places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("asyncio.tasks.create_task", "asyncio.create_task"),
        ("asyncio.tasks.Task.cancel", "asyncio.Task.cancel"),
        ("asyncio.tasks", "asyncio.tasks"),
        ("asyncio.create_task", "asyncio.create_task"),
        ("asyncio.subprocess.Process", "asyncio.subprocess.Process"),
        ("trio.tasks.create_task", "trio.tasks.create_task"),
    ],
)
def test_private_modules_of_asyncio_are_left_out(path: str, public: str) -> None:
    assert canonical(path) == public


@pytest.mark.parametrize(
    ("source", "outside"),
    [
        ("@a\n@b.c\ndef f(x: d, y: e = g, *z, w, v=h) -> i: j", ["a", "b.c", "g", "h"]),
        ("@a\nasync def f(x, /, y=g, *, w=h): j", ["a", "g", "h"]),
        ("@a\nclass C(b, metaclass=c, **d): e", ["a", "b", "c", "d"]),
        ("x = 1", []),
    ],
)
def test_what_is_evaluated_where_a_definition_stands(source: str, outside: list[str]) -> None:
    assert [ast.unparse(node) for node in outside_of(ast.parse(source).body[0])] == outside


def test_the_defaults_of_a_lambda_are_evaluated_where_it_stands() -> None:
    node = ast.parse("lambda x, y=a, *, z=b, w: c", mode="eval").body
    assert [ast.unparse(each) for each in outside_of(node)] == ["a", "b"]
