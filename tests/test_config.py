"""`[tool.leaklint]` and the command line become one frozen value, or one clear error."""

from __future__ import annotations

import pickle

import pytest

from leaklint.catalog import BASE, extended
from leaklint.model.errors import UserError
from leaklint.model.fix import Target
from leaklint.policy.config import ConfigError, Overrides, Settings, codes_of, parse_pyproject
from leaklint.rules import all_rules

EVERY = frozenset(rule.code for rule in all_rules())
LK1 = frozenset(code for code in EVERY if code.startswith("LK1"))
BY_DEFAULT = frozenset(rule.code for rule in all_rules() if rule.default)


def enabled(settings: Settings) -> frozenset[str]:
    return frozenset(code for code in EVERY if settings.enabled(code))


def test_default() -> None:
    assert enabled(Settings.default()) == BY_DEFAULT
    assert sorted(EVERY - BY_DEFAULT) == ["LK105", "LK106"]


@pytest.mark.parametrize(
    ("table", "on"),
    [
        pytest.param({"strict": True}, EVERY, id="strict adds the rest"),
        pytest.param({"strict": False}, BY_DEFAULT, id="not strict"),
        pytest.param({"select": ["LK101"]}, {"LK001", "LK101"}, id="a code; LK001 stays on"),
        pytest.param({"select": ["LK105"]}, {"LK001", "LK105"}, id="a strict rule by its code"),
        pytest.param({"select": ["LK0"]}, {"LK001", "LK002"}, id="a prefix"),
        pytest.param({"select": ["lk1"]}, {"LK001", *LK1}, id="a prefix means every rule with it, in any case"),
        pytest.param({"select": ["Dropped-Task"]}, {"LK001", "LK101"}, id="a name, in any case"),
        pytest.param({"select": ["all"]}, EVERY, id="all"),
        pytest.param({"select": []}, {"LK001"}, id="nothing"),
        pytest.param({"select": [" LK101 "]}, {"LK001", "LK101"}, id="white space is no part of it"),
        pytest.param({"ignore": ["LK101", "leaky-path"]}, BY_DEFAULT - {"LK101", "LK104"}, id="ignore"),
        pytest.param({"ignore": ["LK001"]}, BY_DEFAULT - {"LK001"}, id="only ignore turns LK001 off"),
        pytest.param({"select": ["LK1"], "ignore": ["LK10"]}, {"LK001"}, id="ignore goes before select"),
        pytest.param({"strict": True, "ignore": ["LK106"]}, EVERY - {"LK106"}, id="ignore goes before strict"),
        pytest.param({"select": ["LK101"], "strict": True}, {"LK001", "LK101", "LK105", "LK106"}, id="strict adds"),
    ],
)
def test_rules(table: dict[str, object], on: frozenset[str]) -> None:
    assert enabled(Settings.from_mapping(table, origin="pyproject.toml")) == on


def test_command_line_goes_before_file_goes_before_default() -> None:
    table: dict[str, object] = {"select": ["LK101"], "ignore": ["LK102"], "exclude": ["build/"], "strict": True}
    file = Settings.from_mapping(table, origin="pyproject.toml")
    assert file == Settings(frozenset({"LK101"}), frozenset({"LK102"}), ("build/",), strict=True)
    assert file.override(Overrides()) == file
    given = Overrides(select=frozenset({"LK103"}), ignore=frozenset(), exclude=("docs/",), strict=False)
    assert file.override(given) == Settings(frozenset({"LK103"}), frozenset(), ("docs/",), strict=False)
    assert file.override(Overrides(strict=False)) == Settings(
        frozenset({"LK101"}), frozenset({"LK102"}), ("build/",), strict=False
    )


def test_comments_for_other_linters_are_honored_unless_told_otherwise() -> None:
    assert Settings.default().honor_noqa
    assert Settings.from_mapping({"honor-noqa": True}, origin="pyproject.toml") == Settings.default()
    file = Settings.from_mapping({"honor-noqa": False}, origin="pyproject.toml")
    assert file == Settings(honor_noqa=False)
    assert file.override(Overrides(honor_noqa=True)) == Settings.default()


def test_known_spawners_and_owners() -> None:
    text = '[tool.leaklint]\nknown-spawners = ["lib.spawn", " lib.Pool.submit "]\nknown-owners = ["lib.Owner"]\n'
    settings = parse_pyproject(text, origin="pyproject.toml")
    assert settings == Settings(known_spawners=("lib.spawn", "lib.Pool.submit"), known_owners=("lib.Owner",))
    assert settings.catalog == extended(("lib.spawn", "lib.Pool.submit"), ("lib.Owner",))
    assert settings.override(Overrides(strict=True)).catalog == settings.catalog
    assert Settings.default().catalog == BASE


def test_the_target() -> None:
    assert Settings.default().target is Target.ANYIO
    file = Settings.from_mapping({"target": "asyncio"}, origin="pyproject.toml")
    assert file == Settings(target=Target.ASYNCIO)
    assert file.override(Overrides(target=Target.ANYIO)) == Settings.default()


def test_rules_of_two_settings_together() -> None:
    some = Settings.from_mapping({"select": ["LK101"], "ignore": ["LK102", "LK001"]}, origin="pyproject.toml")
    others = Settings.from_mapping({"select": ["LK102"], "ignore": ["LK001"], "strict": True}, origin="pyproject.toml")
    assert enabled(some.also(others)) == {"LK101", "LK102", "LK105", "LK106"}
    assert enabled(others.also(some)) == enabled(some.also(others))
    assert enabled(Settings.default().also(some)) == BY_DEFAULT
    assert Settings(honor_noqa=False).also(others).honor_noqa is False


def test_a_value() -> None:
    text = '[tool.leaklint]\nselect = ["LK1"]\nexclude = ["a/"]\nknown-owners = ["lib.Owner"]\n'
    settings = parse_pyproject(text, origin="pyproject.toml")
    assert settings is not None
    assert hash(settings) == hash(parse_pyproject(text, origin="elsewhere/pyproject.toml"))
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - it goes to worker processes that way


@pytest.mark.parametrize(
    "text", ["", "[tool]\n", '[project]\nname = "leaklint"\n', "tool = 3\n", "[tool.ruff]\nstrict = 1\n"]
)
def test_no_table(text: str) -> None:
    assert parse_pyproject(text, origin="pyproject.toml") is None


def test_empty_table() -> None:
    assert parse_pyproject("[tool.leaklint]\n", origin="pyproject.toml") == Settings.default()


KEYS = "(valid keys: `exclude`, `honor-noqa`, `ignore`, `known-owners`, `known-spawners`, `select`, `strict`, `target`)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[tool.leaklint]\nselct = ["LK101"]\n',
            f"a/pyproject.toml: unknown key `selct` in [tool.leaklint], did you mean `select`? {KEYS}",
        ),
        (
            '[tool.leaklint]\nExclude = ["x"]\n',
            f"a/pyproject.toml: unknown key `Exclude` in [tool.leaklint], did you mean `exclude`? {KEYS}",
        ),
        ('[tool.leaklint]\ntarget = "trio"\n', 'a/pyproject.toml: `target` must be anyio or asyncio, not "trio"'),
        ("[tool.leaklint]\ntarget = 3\n", "a/pyproject.toml: `target` must be anyio or asyncio, not an integer"),
        ("[tool.leaklint]\ntarget = []\n", "a/pyproject.toml: `target` must be anyio or asyncio, not a list"),
        ("[tool.leaklint.rules]\n", f"a/pyproject.toml: unknown key `rules` in [tool.leaklint] {KEYS}"),
        (
            '[tool.leaklint]\nselect = "LK101"\n',
            'a/pyproject.toml: `select` must be a list of strings, not a string; write select = ["LK101"]',
        ),
        (
            "[tool.leaklint]\nexclude = 1979-05-27\n",
            "a/pyproject.toml: `exclude` must be a list of strings, not a date or time",
        ),
        (
            "[tool.leaklint]\nignore = [101]\n",
            "a/pyproject.toml: `ignore` must be a list of strings, but holds an integer",
        ),
        (
            "[tool.leaklint]\nignore = [[]]\n",
            "a/pyproject.toml: `ignore` must be a list of strings, but holds a list",
        ),
        ('[tool.leaklint]\nstrict = "yes"\n', "a/pyproject.toml: `strict` must be true or false, not a string"),
        (
            '[tool.leaklint]\nhonor-noqa = "no"\n',
            "a/pyproject.toml: `honor-noqa` must be true or false, not a string",
        ),
        (
            "[tool.leaklint]\nhonour-noqa = false\n",
            f"a/pyproject.toml: unknown key `honour-noqa` in [tool.leaklint], did you mean `honor-noqa`? {KEYS}",
        ),
        ("[tool.leaklint]\nstrict = 1\n", "a/pyproject.toml: `strict` must be true or false, not an integer"),
        ("[tool.leaklint]\nstrict = 1.5\n", "a/pyproject.toml: `strict` must be true or false, not a number"),
        ("[tool]\nleaklint = true\n", "a/pyproject.toml: `tool.leaklint` must be a table, not a boolean"),
        (
            '[tool.leaklint]\nselect = ["LK1010"]\n',
            "a/pyproject.toml: `select`: unknown rule `LK1010`, did you mean `LK101`?",
        ),
        (
            '[tool.leaklint]\nignore = ["droped_task"]\n',
            "a/pyproject.toml: `ignore`: unknown rule `droped_task`, did you mean `dropped-task`?",
        ),
        (
            '[tool.leaklint]\nknown-spawner = ["lib.spawn"]\n',
            "a/pyproject.toml: unknown key `known-spawner` in [tool.leaklint], did you mean `known-spawners`? " + KEYS,
        ),
        (
            '[tool.leaklint]\nknown-spawners = "lib.spawn"\n',
            (
                "a/pyproject.toml: `known-spawners` must be a list of strings, not a string; "
                'write known-spawners = ["lib.spawn"]'
            ),
        ),
        (
            '[tool.leaklint]\nknown-spawners = ["foo bar"]\n',
            "a/pyproject.toml: `known-spawners`: `foo bar` is not a dotted name such as `mylib.spawn`",
        ),
        (
            '[tool.leaklint]\nknown-spawners = [""]\n',
            "a/pyproject.toml: `known-spawners`: `` is not a dotted name such as `mylib.spawn`",
        ),
        (
            '[tool.leaklint]\nknown-spawners = ["spawn"]\n',
            "a/pyproject.toml: `known-spawners`: `spawn` is not a dotted name such as `mylib.spawn`",
        ),
        (
            '[tool.leaklint]\nknown-spawners = ["lib.spawn()"]\n',
            "a/pyproject.toml: `known-spawners`: `lib.spawn()` is not a dotted name such as `mylib.spawn`",
        ),
        (
            '[tool.leaklint]\nknown-owners = ["lib..Owner"]\n',
            "a/pyproject.toml: `known-owners`: `lib..Owner` is not a dotted name such as `mylib.TaskManager`",
        ),
        (
            '[tool.leaklint]\nknown-owners = ["lib.class"]\n',
            "a/pyproject.toml: `known-owners`: `lib.class` is not a dotted name such as `mylib.TaskManager`",
        ),
        (
            "[tool.leaklint]\nknown-owners = [1]\n",
            "a/pyproject.toml: `known-owners` must be a list of strings, but holds an integer",
        ),
        ('[tool.leaklint]\nselect = [""]\n', "a/pyproject.toml: `select`: unknown rule ``"),
        ('[tool.leaklint]\nselect = ["RUF006"]\n', "a/pyproject.toml: `select`: unknown rule `RUF006`"),
        ("[tool.leaklint]\nstrict = yes\n", "a/pyproject.toml:2:10: not valid TOML: Invalid value"),
        ('[tool.leaklint]\nselect = ["LK101"', "a/pyproject.toml:2:18: not valid TOML: Unclosed array"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_pyproject(text, origin="a/pyproject.toml")
    assert str(caught.value) == message
    assert isinstance(caught.value, UserError)


def test_selectors_of_the_command_line() -> None:
    assert codes_of(["LK101", "leaky-path"], origin="--select") == {"LK101", "LK104"}
    with pytest.raises(ConfigError, match=r"^--select: unknown rule `leeky-path`, did you mean `leaky-path`\?$"):
        codes_of(["LK101", "leeky-path"], origin="--select")
