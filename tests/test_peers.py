"""Comments of other linters: how leaklint reads them, and that ruff and flake8 read them so, too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaklint.catalog.linters import FLAKE8, PEERS, RUFF, SONAR, Peer
from leaklint.engine import check_source
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked
from leaklint.model.facts import Comment
from leaklint.policy.config import Settings
from leaklint.policy.peers import Waiver, waivers
from leaklint.rules import find_rule

ROOT = Path(__file__).parent.parent
LOST = frozenset({"LK101", "LK206", "LK207", "LK304"})
"""What leaklint says of a task that is lost."""
YIELDS, SWALLOWS = frozenset({"LK302"}), frozenset({"LK305"})


def name(peer: Peer) -> str:
    return f"{peer.tool} {peer.code}"


def trailing(text: str) -> tuple[Waiver, ...]:
    """What a comment silences at the end of line 3, in a statement from line 2 to 5."""
    return waivers([Comment(text, Span(3, 9, 3, 9 + len(text)), own_line=False, statement=(2, 5))])


def alone(text: str, column: int = 1) -> tuple[Waiver, ...]:
    """What a comment silences on line 3, before a statement from line 4 to 5."""
    return waivers([Comment(text, Span(3, column, 3, column + len(text)), own_line=True, statement=(4, 5))])


# -- what is silenced ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# noqa: RUF006", LOST),
        ("# noqa: ASYNC300", LOST),
        ("# noqa: S7502", LOST),
        ("# ruff: ignore[RUF006]", LOST),
        ("# ruff: ignore[asyncio-dangling-task]", LOST),
        ("# NOSONAR(S7502)", LOST),
        ("# NOSONAR (S1192, S7502)", LOST),
        ("# noqa: ASYNC101", YIELDS),
        ("# noqa: ASYNC119", YIELDS),
        ("# ruff: ignore[ASYNC119]", YIELDS),
        ("# ruff: ignore[yield-in-context-manager-in-async-generator]", YIELDS),
        ("# noqa: ASYNC103", SWALLOWS),
        ("# NOSONAR(S7497)", SWALLOWS),
        ("# noqa: ASYNC10", YIELDS | SWALLOWS),
        ("# noqa: ASYNC", LOST | YIELDS | SWALLOWS),
        ("# noqa: RUF006, ASYNC103", LOST | SWALLOWS),
        ("# noqa: E501, LK103", {"LK103"}),
        ("# noqa: LK101 RUF006", LOST),
    ],
)
def test_what_names_a_rule_silences_ours_in_the_whole_statement(comment: str, rules: frozenset[str]) -> None:
    assert trailing(comment) == (Waiver(rules, (2, 5)),)


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# noqa", LOST | YIELDS | SWALLOWS),
        ("# noqa -- it ends with the process", LOST | YIELDS | SWALLOWS),
        ("# NOSONAR", LOST | SWALLOWS),
        ("# NOSONAR()", LOST | SWALLOWS),
        ("# NOSONAR: it ends with the process", LOST | SWALLOWS),
    ],
)
def test_what_names_no_rule_silences_ours_on_its_line(comment: str, rules: frozenset[str]) -> None:
    assert trailing(comment) == (Waiver(rules, (3, 3)),)


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# ruff: noqa", LOST | YIELDS | SWALLOWS),
        ("# flake8: noqa", LOST | YIELDS | SWALLOWS),
        ("# ruff: noqa: RUF006", LOST),
        ("# flake8: noqa: ASYNC103", SWALLOWS),
        ("# ruff: noqa: LK103", {"LK103"}),
        ("# ruff: file-ignore[RUF006]", LOST),
        ("# ruff: file-ignore[asyncio-dangling-task]", LOST),
    ],
)
def test_what_is_for_the_file_silences_ours_in_the_file(comment: str, rules: frozenset[str]) -> None:
    assert alone(comment) == (Waiver(rules, None),)


def test_on_a_line_of_its_own() -> None:
    assert alone("# ruff: ignore[RUF006]") == (Waiver(LOST, (4, 5)),)
    assert alone("# noqa: RUF006") == alone("# noqa") == alone("# NOSONAR") == ()
    assert alone("# ruff: noqa", column=5) == (Waiver(LOST | YIELDS | SWALLOWS, None),)
    assert alone("# ruff: file-ignore[RUF006]", column=5) == ()


def test_several_in_one_comment() -> None:
    assert trailing("# type: ignore  # noqa: RUF006  # NOSONAR") == (
        Waiver(LOST, (2, 5)),
        Waiver(LOST | SWALLOWS, (3, 3)),
    )
    assert trailing("# ruff: ignore[E501]  # ruff: ignore[RUF006]# ruff: ignore[ASYNC119]") == (
        Waiver(LOST, (2, 5)),
        Waiver(YIELDS, (2, 5)),
    )
    assert trailing("# NOSONAR(S1192)  # NOSONAR(S7497)") == (Waiver(SWALLOWS, (2, 5)),)


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: E501",
        "# noqa: BLE001, F841",
        "# noqa: ASYNC104",
        "# noqa: RUF0061",
        "# ruff: ignore[RUF]",
        "# ruff: ignore[ASYNC300]",
        "# ruff: ignore[S7502]",
        "# NOSONAR(S1192)",
        "# NOSONAR(python:S7502)",
        "# nosonar",
        "# NOSONARQUBE",
        "# why NOSONAR",
        "# ruff: ignore[]",
        "# ruff: disable[RUF006]",
        "# pylint: disable=RUF006",
        "# RUF006",
        "# LK101",
        "# NOSONAR(LK101)",
    ],
)
def test_what_has_no_counterpart_silences_nothing(comment: str) -> None:
    assert trailing(comment) == ()


def test_place() -> None:
    (waiver,) = trailing("# noqa: RUF006")
    lines = range(1, 8)
    assert [line for line in lines if waiver.covers("LK101", Span(line, 5, line, 9))] == [2, 3, 4, 5]
    assert not any(waiver.covers("LK102", Span(line, 5, line, 9)) for line in lines)
    (waiver,) = alone("# ruff: noqa: RUF006")
    assert all(waiver.covers("LK101", Span(line, 5, line, 9)) for line in lines)


# -- from source to diagnostics ------------------------------------------------------------------------------------

SOURCE = """\
import asyncio


async def main():
    asyncio.create_task(work())  # noqa: RUF006
    asyncio.create_task(work())  # noqa: E501
    asyncio.create_task(  # type: ignore # noqa: ASYNC300
        work(),
    )
    asyncio.create_task(
        work(),  # noqa
    )
    text = '# noqa: RUF006'; asyncio.create_task(work())
    asyncio.create_task(work())  # NOSONAR
    # ruff: ignore[asyncio-dangling-task]
    asyncio.create_task(work())
    asyncio.create_task(work())  # leaklint: ignore[LK101] # noqa: RUF006
    await work()  # noqa: RUF006
"""


def ours(source: str, settings: Settings | None = None) -> list[tuple[int, str]]:
    """What leaklint finds, by line and code."""
    outcome = check_source(
        source.encode(), path="m.py", module="m", settings=settings or Settings.default(), always_parse=True
    )
    assert isinstance(outcome, Checked)
    return [(each.span.line, each.code) for each in outcome.diagnostics]


def test_comments_in_source() -> None:
    assert ours(SOURCE) == [(6, "LK101"), (10, "LK101"), (13, "LK101")]


def test_comments_are_not_honored_where_it_is_configured() -> None:
    settings = Settings.from_mapping({"honor-noqa": False}, origin="pyproject.toml")
    assert ours(SOURCE, settings) == [(line, "LK101") for line in (5, 6, 7, 10, 13, 14, 16)]


def test_comment_for_the_file_in_source() -> None:
    assert ours(f"{SOURCE}# ruff: noqa: RUF006\n") == []


# -- what the other linters say --------------------------------------------------------------------------------------

HEAD = "import asyncio\n\n\nasync def main():\n    "
SPAWN = "asyncio.create_task(main())"

NOQA = {
    f"{SPAWN}": False,
    f"{SPAWN}  # noqa": True,
    f"{SPAWN}  # NoQA": True,
    f"{SPAWN}  # noqa because": True,
    f"{SPAWN}  # noqa# because": True,
    f"{SPAWN}  # noqa: CODE": True,
    f"{SPAWN}  # noqa:CODE": True,
    f"{SPAWN}  # NOQA : CODE": True,
    f"{SPAWN}  # noqa:\tCODE": True,
    f"{SPAWN}  ## noqa: CODE": True,
    f"{SPAWN}  # noqa: E501,CODE": True,
    f"{SPAWN}  # noqa: E501 CODE": True,
    f"{SPAWN}  # noqa:CODE,E501": True,
    f"{SPAWN}  # noqa: CODE because": True,
    f"{SPAWN}  # noqa: CODE - because": True,
    f"{SPAWN}  # noqa: CODE# because": True,
    f"{SPAWN}  # noqa: E501": False,
    f"{SPAWN}  # noqa: CODE1": False,
    f"{SPAWN}  # noqa: E501 because CODE": False,
    f"{SPAWN}  # noqa: E501 - CODE": False,
    f"{SPAWN}  # type: ignore # noqa: CODE": True,
    f"{SPAWN}  # type: ignore# noqa: CODE": True,
    f"{SPAWN}  # type: ignore noqa: CODE": False,
    f"{SPAWN}  # noqa: E501 # noqa: CODE": False,
    f"{SPAWN}  # (noqa: CODE)": False,
    f"# noqa: CODE\n    {SPAWN}": False,
    f"{SPAWN}\n    # noqa: CODE": False,
    f"text = '# noqa: CODE'\n    {SPAWN}": False,
    "asyncio.create_task(  # noqa: CODE\n        main()\n    )": True,
    "asyncio.create_task(\n        main()  # noqa\n    )": False,
    "task = (\n        asyncio.create_task(main())  # noqa: CODE\n    )": True,
    "asyncio.create_task(main('''\n'''))  # noqa: CODE": True,
    "pass; asyncio.create_task(main())  # noqa: CODE": True,
    "if main: asyncio.create_task(main())  # noqa: CODE": True,
    f"{SPAWN}  # ruff: noqa: CODE": False,
    f"{SPAWN}  # flake8: noqa": False,
    f"{SPAWN}\n\n\n# flake8: noqa": True,
    f"{SPAWN}\n    # flake8: noqa": True,
}
"""Statements, and whether their comment silences the rule of another linter that is called CODE."""

FOR_RUFF = {
    f"{SPAWN}  #noqa:CODE": True,
    f"{SPAWN}  # ruff: ignore[CODE]": True,
    f"{SPAWN}  #ruff:ignore[E501, CODE,] because": True,
    f"{SPAWN}  # type: ignore# ruff: ignore [ CODE ]# because": True,
    f"{SPAWN}  # ruff: ignore[E501] # ruff: ignore[CODE]": True,
    f"{SPAWN}  # ruff: ignore[E501]": False,
    f"{SPAWN}  # ruff: ignore[E501 CODE]": False,
    f"{SPAWN}  # ruff: ignore[RUF]": False,
    f"{SPAWN}  # ruff: ignore": False,
    f"{SPAWN}  # Ruff: ignore[CODE]": False,
    f"{SPAWN}  # ruff: IGNORE[CODE]": False,
    f"{SPAWN}  # ruff: ignore[ruf006]": False,
    f"{SPAWN}  # noqa: RUF": False,
    f"# ruff: ignore[CODE]\n    # because\n\n    {SPAWN}": True,
    f"# ruff: ignore[CODE]\n    def inner():\n        {SPAWN}": False,
    f"{SPAWN}\n\n\n# ruff: noqa": True,
    f"{SPAWN}\n\n\n#ruff:noqa:E501,CODE": True,
    f"{SPAWN}\n    # ruff : NOQA : CODE because": True,
    f"{SPAWN}\n\n\n# Ruff: noqa": False,
    f"{SPAWN}\n\n\n# ruff: noqa: E501": False,
    f"{SPAWN}\n\n\n# ruff: noqa: RUF": False,
    f"{SPAWN}\n\n\nx = 1  # ruff: noqa": False,
    f"{SPAWN}\n\n\n# ruff: file-ignore[CODE]": True,
    f"{SPAWN}\n    # ruff: file-ignore[CODE]": False,
    f"{SPAWN}\n\n\n# flake8: noqa: CODE": True,
    f"{SPAWN}\n\n\n# flake8: noqa: E501": False,
}

FOR_FLAKE8 = {
    f"{SPAWN}  # noqa: ASYNC3": True,
    f"{SPAWN}  # noqa: ASYNC": True,
    f"{SPAWN}\n\n\n# FLAKE8: NoQA": True,
}

DIFFERENCES = {
    f"{SPAWN}  # noqa: CODE: because": (True, {FLAKE8}),
    f"{SPAWN}  # noqa: CODE-because": (True, {FLAKE8}),
    f"{SPAWN}  # noqa, because": (True, {FLAKE8}),
    "asyncio.create_task(\n        main()  # noqa: CODE\n    )": (True, set()),
    "asyncio.create_task(\n        main()\n    )  # noqa: CODE": (True, set()),
    "task = (  # noqa: CODE\n        asyncio.create_task(main())\n    )": (True, {FLAKE8}),
    f"{SPAWN}  # noqa: because": (False, {FLAKE8}),
    f"{SPAWN}  # noqaCODE": (False, {FLAKE8}),
    "asyncio.create_task(main('''\n'''))  # noqa": (False, {FLAKE8, RUFF}),
    f"# ruff: disable[CODE]\n    {SPAWN}\n    # ruff: enable[CODE]": (False, {RUFF}),
}
"""Where leaklint differs from ruff or flake8: whether it takes the comment for one, and which of these two do."""


def modules(directory: Path, code: str, *tables: dict[str, bool]) -> dict[str, bool]:
    """Write each statement into a module of its own; give what is expected by the name of the module."""
    expected = {}
    directory.mkdir()
    for number, (statement, is_silent) in enumerate(entry for table in tables for entry in table.items()):
        module = f"m{number:03}.py"
        (directory / module).write_text(f"{HEAD}{statement}\n".replace("CODE", code))
        expected[module] = is_silent
    return expected


def run(*command: str) -> str:
    return subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True).stdout


def said_by(linter: str, directory: Path, code: str) -> Iterator[tuple[str, int, str]]:
    """What a linter finds in the modules of a directory, by file, line and code."""
    if linter == RUFF:
        options = ("--isolated", "--no-cache", "--preview", f"--select={code}", "--output-format=json")
        for found in json.loads(run("ruff", "check", *options, str(directory))):
            yield Path(found["filename"]).name, found["location"]["row"], found["code"]
    else:
        style = "--format=%(path)s:%(row)d:%(code)s"
        for line in run("flake8", "--isolated", f"--select={code}", style, str(directory)).splitlines():
            path, row, shown = line.rsplit(":", 2)
            yield Path(path).name, int(row), shown


def flawed(linter: str, directory: Path, code: str) -> set[str]:
    """The names of the modules in which the lost task is found."""
    if linter == "leaklint":
        return {path.name for path in directory.iterdir() if ours(path.read_text())}
    return {module for module, _, found in said_by(linter, directory, code) if found == code}


@pytest.mark.parametrize(
    ("linter", "code", "tables"), [(RUFF, "RUF006", (NOQA, FOR_RUFF)), (FLAKE8, "ASYNC300", (NOQA, FOR_FLAKE8))]
)
def test_leaklint_reads_comments_as_other_linters_do(
    tmp_path: Path, linter: str, code: str, tables: tuple[dict[str, bool], ...]
) -> None:
    directory = tmp_path / "modules"
    expected = modules(directory, code, *tables)
    for each in (linter, "leaklint"):
        found = flawed(each, directory, code)
        assert {module: module not in found for module in expected} == expected, each


def test_differences(tmp_path: Path) -> None:
    for linter, code in ((RUFF, "RUF006"), (FLAKE8, "ASYNC300")):
        directory = tmp_path / linter
        expected = modules(directory, code, {text: linter in linters for text, (_, linters) in DIFFERENCES.items()})
        found = flawed(linter, directory, code)
        assert {module: module not in found for module in expected} == expected, linter
        found = flawed("leaklint", directory, code)
        assert [module not in found for module in expected] == [silent for silent, _ in DIFFERENCES.values()], linter


# -- the table -----------------------------------------------------------------------------------------------------

SAMPLES = {
    "RUF006 ASYNC300": """\
import asyncio

import anyio


class Poller:
    def __init__(self):
        asyncio.create_task(poll())  # HERE


async def poll():
    asyncio.create_task(poll())  # HERE
    later = asyncio.get_running_loop()
    later.call_soon(start)


def start():
    asyncio.create_task(poll())  # HERE


async def scoped():
    with anyio.move_on_after(1):
        asyncio.create_task(poll())  # HERE
""",
    "ASYNC101 ASYNC119": """\
import anyio


async def numbers():
    async with anyio.create_task_group() as tg:
        tg.start_soon(anyio.sleep, 1)
        yield 1  # HERE


async def main():
    async for number in numbers():
        print(number)
""",
    "ASYNC103": """\
import asyncio


async def poll():
    while True:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:  # HERE
            print("cancelled")


async def main():
    task = asyncio.create_task(poll())
    task.cancel()
    await task
""",
}
"""What two linters say about these lines, by the codes of the other one."""


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.tool != SONAR], ids=name)
def test_same_place(peer: Peer, tmp_path: Path) -> None:
    (source,) = (text for codes, text in SAMPLES.items() if peer.code in codes.split())
    lines = [number for number, line in enumerate(source.split("\n"), start=1) if line.endswith("# HERE")]
    (tmp_path / "plain.py").write_text(source)
    (tmp_path / "quiet.py").write_text(source.replace("HERE", f"noqa: {peer.code}"))
    found = sorted(
        (module, line) for module, line, code in said_by(peer.tool, tmp_path, peer.code) if code == peer.code
    )
    assert found == [("plain.py", line) for line in lines]
    assert {line for line, _ in ours(source)} == set(lines)
    assert {code for _, code in ours(source)} == set(peer.rules)
    assert ours((tmp_path / "quiet.py").read_text()) == []


@pytest.mark.parametrize("peer", PEERS, ids=name)
def test_documentation_names_the_peers(peer: Peer) -> None:
    for code in peer.rules:
        rule = find_rule(code)
        assert rule is not None, code
        assert peer.code in rule.documentation, code
    assert f"[{peer.code}]({peer.doc})" in (ROOT / "docs" / "usage.md").read_text()


def test_names_of_ruff() -> None:
    for peer in PEERS:
        if peer.tool == RUFF:
            said = json.loads(run("ruff", "rule", peer.code, "--output-format=json"))
            assert (said["code"], said["name"]) == (peer.code, peer.name)
            assert peer.doc == f"https://docs.astral.sh/ruff/rules/{peer.name}/"
