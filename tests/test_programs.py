"""Which files are judged together, and what their modules are called there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaklint.adapters.files import Exclusion, Group, Sources, discover, surroundings
from leaklint.adapters.programs import Member, Program, programs
from leaklint.adapters.projects import Layout


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def make(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def exclusion(exclude: tuple[str, ...] = ()) -> Exclusion:
    return Exclusion(str(Path.cwd()), exclude)


def found(*paths: str, exclude: tuple[str, ...] = (), isolated: bool = False) -> list[Program]:
    layout = Layout()
    groups = discover(paths, exclusion_for=lambda _: exclusion(exclude), layout=layout, isolated=isolated).groups
    return [program for group in groups for program in programs(group, layout=layout, read=Sources().peek)]


def modules(*paths: str, exclude: tuple[str, ...] = (), isolated: bool = False) -> list[dict[str, str]]:
    """The programs: by path, what the modules are called."""
    return sorted(
        (
            {member.file.path: member.module for member in program}
            for program in found(*paths, exclude=exclude, isolated=isolated)
        ),
        key=sorted,
    )


def together(*paths: str, exclude: tuple[str, ...] = (), isolated: bool = False) -> list[str]:
    """The programs: the paths of their files, those of named files with a star; sorted without regard to stars."""
    joined = (
        " ".join(f"{'*' * member.file.named}{member.file.path}" for member in program)
        for program in found(*paths, exclude=exclude, isolated=isolated)
    )
    return sorted(joined, key=lambda text: text.replace("*", ""))


def aliases(*paths: str) -> dict[str, dict[str, str]]:
    """What the imports of files call differently."""
    return {member.file.path: dict(member.aliases) for program in found(*paths) for member in program if member.aliases}


# -- names ---------------------------------------------------------------------------------------------------------


def test_modules_are_named_from_where_packages_begin(root: Path) -> None:
    make(
        root,
        {
            "src/pkg/__init__.py": "",
            "src/pkg/sub/__init__.py": "",
            "src/pkg/sub/mod.py": "",
            "google/genai/__init__.py": "import pkg\n",
            "google/genai/client.py": "",
            "run-it.py": "import pkg\n",
            "other.py": "",
        },
    )
    assert modules(".") == [
        {
            "google/genai/__init__.py": "genai",
            "google/genai/client.py": "genai.client",
            "run-it.py": "run-it",
            "src/pkg/__init__.py": "pkg",
            "src/pkg/sub/__init__.py": "pkg.sub",
            "src/pkg/sub/mod.py": "pkg.sub.mod",
        },
        {"other.py": "other"},
    ]


SERVICES = {
    "common/__init__.py": "",
    "services/a/app/__init__.py": "",
    "services/a/app/main.py": "from app import core\nimport common\n",
    "services/a/app/core.py": "",
    "services/a/tests/test_main.py": "from app.main import main\n",
    "services/b/app/__init__.py": "from .core import x\nimport common\n",
    "services/b/app/core.py": "",
    "services/b/manage.py": "import app.core\n",
}


def test_trees_of_one_name_are_called_by_their_path(root: Path) -> None:
    make(root, SERVICES)
    assert modules(".") == [
        {
            "common/__init__.py": "common",
            "services/a/app/__init__.py": "services.a.app",
            "services/a/app/core.py": "services.a.app.core",
            "services/a/app/main.py": "services.a.app.main",
            "services/a/tests/test_main.py": "test_main",
            "services/b/app/__init__.py": "services.b.app",
            "services/b/app/core.py": "services.b.app.core",
            "services/b/manage.py": "manage",
        }
    ]
    a, b = {"app": "services.a.app"}, {"app": "services.b.app"}
    assert aliases(".") == {
        "services/a/app/main.py": a,
        "services/a/tests/test_main.py": a,
        "services/b/manage.py": b,
    }


def test_only_what_is_in_one_program_collides(root: Path) -> None:
    make(root, {name: text.replace("import common", "") for name, text in SERVICES.items()})
    assert modules(".") == [
        {"common/__init__.py": "common"},
        {
            "services/a/app/__init__.py": "app",
            "services/a/app/core.py": "app.core",
            "services/a/app/main.py": "app.main",
            "services/a/tests/test_main.py": "test_main",
        },
        {"services/b/app/__init__.py": "app", "services/b/app/core.py": "app.core", "services/b/manage.py": "manage"},
    ]
    assert aliases(".") == {}


def test_every_module_has_a_name_of_its_own(root: Path) -> None:
    make(
        root,
        {
            "pkg/__init__.py": "",
            "pkg/mod.py": "",
            "pkg/mod.pyw": "",
            "pkg/mod/__init__.py": "",
            "pkg.py": "",
            "a.b/x.py": "import pkg\n",
            "a/b/x.py": "import pkg\n",
        },
    )
    assert modules(".") == [
        {
            "a.b/x.py": "a.b.x",
            "a/b/x.py": "a.b.x~2",
            "pkg.py": "pkg~2",
            "pkg/__init__.py": "pkg",
            "pkg/mod.py": "pkg.mod~2",
            "pkg/mod.pyw": "pkg.mod~3",
            "pkg/mod/__init__.py": "pkg.mod",
        }
    ]


def test_a_script_takes_no_name_from_a_library(root: Path) -> None:
    make(
        root,
        {
            "pkg/__init__.py": "import asyncio, anyio\n",
            "examples/asyncio.py": "import pkg\n",
            "examples/anyio.py": "",
            "examples/more.py": "import asyncio\n",
            "src/trio/__init__.py": "",
            "tests/test_trio.py": "import trio\n",
        },
    )
    assert modules(".") == [
        {"examples/anyio.py": "examples.anyio"},
        {"examples/asyncio.py": "examples.asyncio", "examples/more.py": "more", "pkg/__init__.py": "pkg"},
        {"src/trio/__init__.py": "trio", "tests/test_trio.py": "test_trio"},
    ]
    assert aliases(".") == {"examples/more.py": {"asyncio": "examples.asyncio"}}


# -- imports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import lib",
        "    import lib.deep as x",
        "import os, lib",
        "from lib import (\n    a,\n    b\n)",
        "from lib.mod import *",
        "from  lib   import a # , b",
        "x = 1\r\nimport lib\r\n",
        "import lib; import os",
        "from lib import \\\n    a",
        "\timport\tlib",
    ],
)
def test_imports_that_join(root: Path, line: str) -> None:
    make(root, {"lib/__init__.py": "", "bin/use.py": f"{line}\n"})
    assert together(".") == ["*bin/use.py *lib/__init__.py"]


@pytest.mark.parametrize(
    "line",
    [
        "import library",
        "import os, sys",
        "# import lib",
        "important = lib",
        "from .lib import a",
        "x.import_(lib)",
        "importlib",
    ],
)
def test_lines_that_join_nothing(root: Path, line: str) -> None:
    make(root, {"lib/__init__.py": "", "bin/use.py": f"{line}\n"})
    assert together(".") == ["*bin/use.py", "*lib/__init__.py"]


def test_over_others_and_only_from_what_is_named(root: Path) -> None:
    make(
        root,
        {
            "a.py": "import b\n",
            "b.py": "import c\n",
            "c.py": "",
            "d.py": "import c\n",
            "e.py": "",
            "f.py": "import e\n",
        },
    )
    (root / ".git").mkdir()
    assert together(".") == ["*a.py *b.py *c.py *d.py", "*e.py *f.py"]
    assert together("d.py") == ["a.py b.py c.py *d.py"]
    assert together("f.py", "a.py") == ["*a.py b.py c.py d.py", "e.py *f.py"]


def test_a_name_is_looked_up_nearby_first_and_then_where_it_is_the_only_one(root: Path) -> None:
    make(
        root,
        {
            "tests/unit/conftest.py": "",
            "tests/unit/test_a.py": "import conftest\n",
            "tests/conftest.py": "",
            "tests/other/test_b.py": "import conftest\n",
            "lib/far.py": "",
            "lib/twice.py": "",
            "tools/twice.py": "",
            "bin/use.py": "import far\nimport twice\n",
        },
    )
    assert together(".") == [
        "*bin/use.py *lib/far.py",
        "*lib/twice.py",
        "*tests/conftest.py *tests/other/test_b.py",
        "*tests/unit/conftest.py *tests/unit/test_a.py",
        "*tools/twice.py",
    ]


def test_packages_without_init(root: Path) -> None:
    make(
        root,
        {
            "google/genai/__init__.py": "from google.auth import x\n",
            "google/genai/types.py": "from ..auth.deep import y\nfrom google.genai import z\n",
            "google/auth/__init__.py": "",
            "google/auth/deep.py": "",
            "bin/run.py": "from google import (  # both\n    genai,\n)\n",
            "app/models/user.py": "from . import base\nfrom ..views import shown\n",
            "app/models/base.py": "",
            "app/views/shown.py": "",
        },
    )
    assert modules(".") == [
        {"app/models/base.py": "base", "app/models/user.py": "user", "app/views/shown.py": "shown"},
        {
            "bin/run.py": "run",
            "google/auth/__init__.py": "auth",
            "google/auth/deep.py": "auth.deep",
            "google/genai/__init__.py": "genai",
            "google/genai/types.py": "genai.types",
        },
    ]
    assert aliases(".") == {
        "app/models/user.py": {".base": "base", "..views.shown": "shown"},
        "bin/run.py": {"google.genai": "genai"},
        "google/genai/__init__.py": {"google.auth": "auth"},
        "google/genai/types.py": {".auth": "auth", "google.genai": "genai"},
    }


def test_packages_in_packages_without_init_between(root: Path) -> None:
    make(
        root,
        {
            "discord/__init__.py": "from .ext import bridge\n",
            "discord/errors.py": "",
            "discord/ext/bridge/__init__.py": "from ...errors import E\nfrom discord.ext.bridge.bot import B\n",
            "discord/ext/bridge/bot.py": "from ... import errors\nfrom . import x\n",
        },
    )
    assert modules(".") == [
        {
            "discord/__init__.py": "discord",
            "discord/errors.py": "discord.errors",
            "discord/ext/bridge/__init__.py": "bridge",
            "discord/ext/bridge/bot.py": "bridge.bot",
        }
    ]
    assert aliases(".") == {
        "discord/__init__.py": {"discord.ext.bridge": "bridge"},
        "discord/ext/bridge/__init__.py": {"..errors": "discord.errors", "discord.ext.bridge": "bridge"},
        "discord/ext/bridge/bot.py": {"..errors": "discord.errors"},
    }


# -- around a file -------------------------------------------------------------------------------------------------

PROJECT = {
    "src/pkg/__init__.py": "",
    "src/pkg/mod.py": "",
    "tests/test_mod.py": "import pkg.mod\n",
    "tests/test_other.py": "",
}
WHOLE = "src/pkg/__init__.py src/pkg/mod.py tests/test_mod.py"


@pytest.mark.parametrize("marker", ["pyproject.toml", ".git"])
def test_the_rest_of_the_project_comes_along(root: Path, marker: str) -> None:
    make(root, {**PROJECT, marker: ""})
    named = WHOLE.replace("src/pkg/mod.py", "*src/pkg/mod.py")
    assert together("src/pkg/mod.py") == [named]
    assert together("src/pkg/mod.py", "tests/test_other.py") == [named, "*tests/test_other.py"]
    assert together("tests") == [WHOLE.replace("tests/", "*tests/"), "*tests/test_other.py"]
    os.chdir("tests")
    assert together("../src/pkg/mod.py") == ["../src/pkg/__init__.py *../src/pkg/mod.py test_mod.py"]


def test_projects_in_projects_are_apart(root: Path) -> None:
    make(root, {**PROJECT, ".git": "", "plugins/one/pyproject.toml": "", "plugins/one/one.py": "import pkg, two\n"})
    make(root, {"plugins/one/deep/two.py": "", "use.py": "import one\n"})
    assert together("src/pkg/mod.py") == [WHOLE.replace("src/pkg/mod.py", "*src/pkg/mod.py")]
    assert together("plugins/one/one.py") == ["plugins/one/deep/two.py *plugins/one/one.py"]
    assert together("plugins") == ["*plugins/one/deep/two.py *plugins/one/one.py"]
    assert together(".") == sorted(
        [
            "*plugins/one/deep/two.py *plugins/one/one.py",
            "*tests/test_other.py",
            "*use.py",
            f"*{WHOLE.replace(' ', ' *')}",
        ]
    )


def test_the_root_of_the_file_system_is_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    top = Path.cwd().anchor
    monkeypatch.setattr(os.path, "exists", lambda path: str(Path(path).parent) == top)
    assert Layout().root(str(Path(top, "src", "pkg"))) is None


def test_without_a_marker(root: Path) -> None:
    make(root, PROJECT)
    assert together(".") == [f"*{WHOLE.replace(' ', ' *')}", "*tests/test_other.py"]
    assert together("src/pkg/mod.py") == ["src/pkg/__init__.py *src/pkg/mod.py"]
    assert together("src/pkg") == ["*src/pkg/__init__.py *src/pkg/mod.py"]
    assert together("src/pkg/mod.py", ".") == [f"*{WHOLE.replace(' ', ' *')}", "*tests/test_other.py"]
    make(root, {"tests/test_other.py": "import test_mod\n", "tests/deep/test_third.py": "import test_mod\n"})
    assert together("tests/test_mod.py") == ["*tests/test_mod.py tests/test_other.py"]


def test_what_the_project_leaves_out_brings_its_package(root: Path) -> None:
    make(root, {**PROJECT, ".git": "", ".gitignore": "*_pb2.py\nout/\n"})
    site = ".venv/lib/site-packages"
    make(root, {f"{site}/dep/__init__.py": "import other\n", f"{site}/dep/x.py": "", f"{site}/other.py": ""})
    make(root, {"src/pkg/x_pb2.py": "", "src/pkg/y_pb2.py": "", "src/pkg/out/a.py": "", "src/pkg/out/b.py": ""})
    make(root, {"out/script.py": "import beside\n", "out/beside.py": "", "run": "import pkg\n", "go": ""})
    dep = f"{site}/dep/__init__.py {site}/dep/x.py"
    assert together(f"{site}/dep/x.py") == [dep.replace("/__init__.py ", "/__init__.py *")]
    assert together(f"{site}/dep") == [f"*{dep.replace(' ', ' *')}"]
    assert together("src/pkg/x_pb2.py") == ["src/pkg/__init__.py src/pkg/mod.py *src/pkg/x_pb2.py src/pkg/y_pb2.py"]
    assert together("src/pkg/mod.py", "src/pkg/x_pb2.py") == [
        "src/pkg/__init__.py src/pkg/mod.py *src/pkg/x_pb2.py src/pkg/y_pb2.py",
        WHOLE.replace("src/pkg/mod.py", "*src/pkg/mod.py"),
    ]
    assert together("src/pkg/out/a.py") == ["*src/pkg/out/a.py"]
    assert together("out/script.py") == ["out/beside.py *out/script.py"]
    assert together("run") == ["*run"]
    assert together("run", "go") == ["*go", "*run"]


def test_what_is_excluded_is_not_read(root: Path) -> None:
    make(root, {**PROJECT, ".git": ""})
    assert together("src/pkg/mod.py", exclude=("tests",)) == ["src/pkg/__init__.py *src/pkg/mod.py"]


def test_isolated_files(root: Path) -> None:
    make(root, {**SERVICES, ".git": ""})
    assert modules("services/a/app", isolated=True) == [
        {"services/a/app/__init__.py": "app"},
        {"services/a/app/core.py": "app.core"},
        {"services/a/app/main.py": "app.main"},
    ]


def test_links_into_a_project_lead_to_where_files_are_found_in_it(root: Path) -> None:
    make(root, {**PROJECT, ".git": ""})
    (root / "link").symlink_to("src/pkg", target_is_directory=True)
    (root / "one.py").symlink_to("src/pkg/mod.py")
    named = WHOLE.replace("src/pkg/mod.py", "").replace("  ", " ")
    assert together("one.py") == [f"*one.py {named}"]
    assert modules("link/mod.py") == [
        {"link/mod.py": "pkg.mod", "src/pkg/__init__.py": "pkg", "tests/test_mod.py": "test_mod"}
    ]


def test_a_directory_of_the_rest_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, {**PROJECT, ".git": ""})
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("tests"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    discovery = discover(["src"], exclusion_for=lambda _: exclusion(), layout=Layout())
    assert ([file.path for file in discovery.files], discovery.failures) == (
        ["src/pkg/__init__.py", "src/pkg/mod.py"],
        (),
    )


def around(name: str) -> Group:
    return surroundings(str(Path.cwd() / name), exclusion_for=lambda _: exclusion(), layout=Layout())


def test_what_is_around_standard_input(root: Path) -> None:
    make(root, {**PROJECT, ".git": "", ".gitignore": "out\n"})
    for name in ("src/pkg/mod.py", "src/pkg/new.py", "new.py"):
        group = around(name)
        assert [file.path for file in group.files] == sorted({*PROJECT, name})
        assert [file.path for file in group.files if file.named] == [name]
    assert [file.path for file in around("out/new.py").files] == ["out/new.py"]
    assert [file.path for file in around("src/pkg/out/new.py").files] == ["src/pkg/out/new.py"]


def test_what_is_around_standard_input_without_a_marker(root: Path) -> None:
    make(root, PROJECT)
    assert [file.path for file in around("src/pkg/new.py").files] == [
        "src/pkg/__init__.py",
        "src/pkg/mod.py",
        "src/pkg/new.py",
    ]
    assert [file.path for file in around("tests/new.py").files] == [
        "tests/new.py",
        "tests/test_mod.py",
        "tests/test_other.py",
    ]


# -- whichever files are named -------------------------------------------------------------------------------------

FOLDERS = ["", "a/", "a/b/", "a/b/c/", "b/", "b/a/", ".venv/a/"]
NAMES = ["__init__", "a", "b", "c", "asyncio"]
IMPORTS = [
    "import a",
    "from a.b import c",
    "from . import b",
    "from ..b import a",
    "import asyncio",
    "from b import a, c",
]


class Layouts(NamedTuple):
    files: dict[str, str]
    subset: list[str]


@st.composite
def layouts(draw: st.DrawFn) -> Layouts:
    paths = st.builds("{}{}.py".format, st.sampled_from(FOLDERS), st.sampled_from(NAMES))
    lines = st.lists(st.sampled_from(IMPORTS), max_size=2).map("\n".join)
    files = draw(st.dictionaries(paths, lines, min_size=2, max_size=9))
    markers = draw(st.dictionaries(st.sampled_from(["", "a/", "b/"]), st.just(""), max_size=2))
    ignored = draw(st.sampled_from(["", "c.py\n", "b/\n", "a/b\n"]))
    subset = draw(st.lists(st.sampled_from(sorted(files)), min_size=1, unique=True))
    extra = {f"{folder}pyproject.toml": "" for folder in markers} | {".gitignore": ignored}
    return Layouts({**files, **extra}, subset)


def seen(named: list[str]) -> dict[str, list[tuple[str, str, object]]]:
    """By named file, what is in its program."""
    return {
        member.file.path: [_without_flags(each) for each in program]
        for program in found(*named)
        for member in program
        if member.file.named
    }


def _without_flags(member: Member) -> tuple[str, str, object]:
    return member.file.path, member.module, member.aliases


@settings(max_examples=60, deadline=None)
@given(layouts())
def test_the_program_of_a_file_does_not_depend_on_which_files_are_named(layout: Layouts) -> None:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make(Path(folder), layout.files)
            everything = [name for name in layout.files if name.endswith(".py")]
            known = seen(everything)
            assert sorted(known) == sorted(everything)
            some = seen(layout.subset)
            assert some == {name: known[name] for name in layout.subset}
            if "pyproject.toml" in layout.files:
                assert {name: known[name] for name in seen(["."])} == seen(["."])
            for program in known.values():
                assert len({module for _, module, _ in program}) == len(program)
        finally:
            os.chdir(before)
