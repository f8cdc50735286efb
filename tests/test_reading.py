"""How much of a program is read, and how its files are told apart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from test_linking import module_name

from leaklint import reading
from leaklint.catalog import extended
from leaklint.model.diagnostic import Failed
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.reading import Text, collect_source, read_program, too_deep
from leaklint.syntax.collect import collect, collect_names
from leaklint.syntax.source import Source

SPAWN = "import asyncio\ndef start(): return asyncio.create_task(asyncio.sleep(1))\n"
SWALLOWS = "async def f():\n    try:\n        await g()\n    except BaseException:\n        pass\n"
BROKEN = "import asyncio\nasyncio.create_task(\n"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that are collected, in order; a module of which only the names are is in brackets."""
    found: list[str] = []

    def whole(source: Source, *, module: str) -> ModuleFacts:
        found.append(module)
        return collect(source, module=module)

    def names(source: Source, *, module: str) -> object:
        found.append(f"({module})")
        return collect_names(source, module=module)

    monkeypatch.setattr(reading, "collect", whole)
    monkeypatch.setattr(reading, "collect_names", names)
    return found


def texts(files: Mapping[str, str | bytes], *, named: str | None = None) -> list[Text]:
    """The files of a program, of which all or one are named."""
    return [
        Text(
            path,
            module_name(path),
            source if isinstance(source, bytes) else source.encode(),
            is_named=named is None or path == named,
        )
        for path, source in files.items()
    ]


# -- which files are read ------------------------------------------------------------------------------------------


def test_files_that_mention_no_spawn_are_not_read(read: list[str]) -> None:
    found = read_program(texts({"a.py": SPAWN, "b.py": "x = 1\n", "c.py": "import asyncio\n"}))
    assert (read, [facts.path for facts in found.facts], found.faults) == (["a"], ["a.py"], {})


def test_a_file_that_must_be_parsed_stands_aside_where_no_task_leads_to_it(read: list[str]) -> None:
    plain = Text("b.py", "b", b"from a import start\n", always_parse=True)
    found = read_program([*texts({"a.py": SPAWN}), plain, Text("c.py", "c", b"x = 1\n")])
    assert (read, found.faults) == (["a", "b"], {})
    assert ([facts.path for facts in found.facts], [facts.path for facts in found.aside]) == (["a.py"], ["b.py"])
    caller = plain._replace(data=b"from a import start\nstart()\n")
    found = read_program([*texts({"a.py": SPAWN}), caller])
    assert ([facts.path for facts in found.facts], found.aside) == (["a.py", "b.py"], ())


def test_a_named_file_that_may_swallow_a_cancellation_stands_aside(read: list[str]) -> None:
    files = {"a.py": SPAWN, "b.py": SWALLOWS, "c.py": SWALLOWS.replace("BaseException", "Exception")}
    found = read_program(texts(files))
    assert (read, [facts.path for facts in found.aside]) == (["a", "b"], ["b.py"])
    assert read_program(texts(files, named="a.py")).aside == ()


def test_a_file_that_may_swallow_a_cancellation_is_read_with_the_others_where_a_task_leads_to_it() -> None:
    found = read_program(texts({"a.py": SPAWN, "b.py": f"from a import start\nstart()\n{SWALLOWS}"}))
    assert ([facts.path for facts in found.facts], found.aside) == (["a.py", "b.py"], ())


def test_what_counts_as_a_mention_is_in_the_catalogue(read: list[str]) -> None:
    program = texts({"a.py": "import lib\nlib.launch()\n"})
    read_program(program)
    assert read == []
    read_program(program, extended(("lib.launch",)))
    assert read == ["a"]


CHAIN = {
    "app/main.py": "from app.api import begin\nasync def main():\n    task = begin()\n",
    "app/api.py": "from app import jobs\ndef begin(): return jobs.start()\n",
    "app/jobs.py": SPAWN,
    "app/other.py": "def main(): print()\n",
    "app/__init__.py": "",
}


def test_callers_of_what_returns_a_task_are_read_round_by_round(read: list[str]) -> None:
    found = read_program(texts(CHAIN))
    assert read == ["app.jobs", "app.api", "app.main"]
    assert [facts.module for facts in found.facts] == sorted(read)


def test_it_does_not_matter_which_files_are_named(read: list[str]) -> None:
    every = read_program(texts(CHAIN))
    assert all(read_program(texts(CHAIN, named=path)) == every for path in CHAIN)
    assert read == ["app.jobs", "app.api", "app.main"] * (1 + len(CHAIN))


def test_what_is_given_a_task_is_read_over_re_exports_of_which_the_names_are_enough(read: list[str]) -> None:
    files = {
        "main.py": "import asyncio, pkg\ndef f():\n    task = asyncio.create_task(g())\n    pkg.keep(task)\n",
        "pkg/__init__.py": "from pkg.middle import *\n",
        "pkg/middle.py": "from pkg.far import keep, lose\n",
        "pkg/far.py": "kept = []\ndef keep(task): kept.append(task)\n",
        "pkg/lose.py": "def lose(task): pass\n",
    }
    found = read_program(texts(files))
    assert read == ["main", "(pkg)", "(pkg.middle)", "(pkg.far)", "pkg.far"]
    assert [facts.module for facts in found.facts] == ["main", "pkg.far"]
    assert "pkg.far.keep" in found.facts[0].functions[1].words


def test_bases_of_a_class_that_spawns_and_users_of_what_it_keeps_are_read(read: list[str]) -> None:
    files = {
        "client.py": "from base import Base\nimport asyncio\nclass Client(Base):\n"
        "    def start(self): self._task = asyncio.create_task(self.run())\n",
        "base.py": "class Base:\n    async def close(self): await self.stop()\n",
        "use.py": "from client import Client\nasync def f():\n    c = Client()\n    c.start()\n",
        "peek.py": "import client\ndef peek(c): return c._task  # of a Client\n",
        "apart.py": "def peek(c): return c._task  # of a Client, but how would it come here?\n",
        "other.py": "import client\ndef peek(c): return c._task\n",
    }
    read_program(texts(files))
    assert read == ["client", "use", "peek", "(base)", "base"]


def test_the_last_rounds_are_cut_off(read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_ROUNDS", 1)
    read_program(texts(CHAIN))
    assert read == ["app.jobs", "app.api"]


def test_names_are_linked() -> None:
    api, *_ = read_program(texts(CHAIN)).facts
    assert api.module == "app.api"
    assert "app.jobs.start" in api.functions[1].words


def test_what_imports_call_differently(read: list[str]) -> None:
    program = [
        Text("a/app.py", "a.app", SPAWN.encode()),
        Text("a/use.py", "a.use", b"import app\ndef f(): app.start()\n", aliases=(("app", "a.app"),)),
    ]
    found = read_program(program)
    assert read == ["a.app", "a.use"]
    assert "a.app.start" in found.facts[1].functions[1].words


# -- files that cannot be read -------------------------------------------------------------------------------------


def test_a_named_file_that_cannot_be_read_is_a_fault_and_another_is_passed_over() -> None:
    files: dict[str, str | bytes] = {
        "good.py": SPAWN,
        "broken.py": BROKEN,
        "latin.py": b"# create_task\nx = '\xff'\n",
        "bytes.py": b"x = '\xff'\n",
    }
    every = read_program(texts(files))
    assert [facts.path for facts in every.facts] == ["good.py"]
    assert {path: type(fault) for path, fault in every.faults.items()} == {
        "broken.py": Unparsable,
        "latin.py": Unparsable,
        "bytes.py": Unparsable,
    }
    assert read_program(texts(files, named="good.py")) == reading.Reading(every.facts)
    assert read_program(texts(files, named="broken.py")).faults == {"broken.py": every.faults["broken.py"]}


def test_a_file_without_a_spawn_need_not_be_python() -> None:
    files = {"good.py": SPAWN, "odd.py": "x = = 1\n"}
    assert read_program(texts(files)).faults == {}
    strict = [text._replace(always_parse=True) for text in texts(files)]
    assert list(read_program(strict).faults) == ["odd.py"]


def test_of_a_broken_file_whose_names_are_wanted_nothing_is_known() -> None:
    files = {
        "main.py": "import asyncio, lib\ndef f():\n    task = asyncio.create_task(g())\n    lib.keep(task)\n",
        "lib.py": "def keep(task)\n",
    }
    found = read_program(texts(files))
    assert ([facts.path for facts in found.facts], found.faults) == (["main.py"], {})


def fail_with(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def test_a_fault_of_our_own_costs_the_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(source: Source, *, module: str) -> ModuleFacts:
        if module == "bad":
            raise KeyError(module)
        return collect(source, module=module)

    monkeypatch.setattr(reading, "collect", fragile)
    found = read_program(texts({"bad.py": SPAWN, "good.py": SPAWN}))
    assert [facts.path for facts in found.facts] == ["good.py"]
    (fault,) = found.faults.values()
    assert isinstance(fault, Failed)
    assert (fault.path, fault.error) == ("bad.py", "leaklint itself failed on this file: KeyError: 'bad'")
    assert read_program(texts({"bad.py": SPAWN, "good.py": SPAWN}, named="good.py")).faults == {}


@pytest.mark.parametrize("stage", ["read_source", "collect"])
def test_endless_nesting_is_no_fault_of_ours(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, stage, fail_with(RecursionError("maximum recursion depth exceeded")))
    assert collect_source(SPAWN.encode(), path="a.py", module="a") == too_deep("a.py")
    assert read_program(texts({"a.py": SPAWN})) == reading.Reading((), faults={"a.py": too_deep("a.py")})


def test_ctrl_c_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "collect", fail_with(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        read_program(texts({"a.py": SPAWN}))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (KeyError("two\nlines"), "KeyError: 'two\\nlines'"),
        (MemoryError(), "MemoryError"),
        (AssertionError(" "), "AssertionError"),
    ],
)
def test_a_fault_of_our_own_is_told_in_one_line(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "collect", fail_with(error))
    found = read_program(texts({"a.py": SPAWN})).faults["a.py"]
    assert isinstance(found, Failed)
    assert (found.path, found.error) == ("a.py", f"leaklint itself failed on this file: {text}")
    assert found.details is not None
    assert found.details.startswith("Traceback (most recent call last):\n")
