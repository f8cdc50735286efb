"""Settings: which rules run and which files are looked at, from `[tool.leaklint]` and the command line.

Nothing here touches the disk: text or a mapping goes in, a frozen value or a `ConfigError` comes out.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from keyword import iskeyword

from leaklint.catalog import Catalog, extended
from leaklint.model.errors import UserError
from leaklint.model.fix import Target
from leaklint.rules import Rule, all_rules, nearest_rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ConfigError", "Overrides", "Settings", "codes_of", "parse_pyproject"]

ALWAYS_ON = frozenset({"LK001"})
"""A file that cannot be parsed is never passed over in silence: no selection leaves these out, only `ignore` does."""


class ConfigError(UserError):
    """A mistake in the configuration: names where it stands and what would be right."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line (or a caller of the API) says in place of the file; None where it says nothing."""

    select: frozenset[str] | None = None
    ignore: frozenset[str] | None = None
    exclude: tuple[str, ...] | None = None
    strict: bool | None = None
    honor_noqa: bool | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration that holds for a file."""

    select: frozenset[str] | None = None
    """Codes of the rules that run; None for the rules that are on by default."""
    ignore: frozenset[str] = frozenset()
    """Codes of the rules that do not run; wins over `select` and `strict`."""
    exclude: tuple[str, ...] = ()
    """Patterns in the manner of `.gitignore`, relative to the directory of the file they stand in."""
    strict: bool = False
    """Adds the rules that are off by default."""
    honor_noqa: bool = True
    """A comment that silences a rule of another linter silences the rule about the same thing (see `peers`)."""
    known_spawners: tuple[str, ...] = ()
    """Dotted paths of functions and methods that start a task and return its handle."""
    known_owners: tuple[str, ...] = ()
    """Dotted paths of classes that wait for the tasks that their methods start or are given."""
    target: Target = Target.ANYIO
    """The library whose task groups fixes write."""

    @classmethod
    def default(cls) -> Settings:
        """The settings of a project that configures nothing."""
        return cls()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], *, origin: str) -> Settings:
        """Settings from the `[tool.leaklint]` table; `origin` (a file's name) begins every error message.

        Raises `ConfigError` for an unknown key, a value of the wrong type, an unknown rule and a name without a module.
        """
        for key in mapping:
            if key not in KEYS:
                raise ConfigError(f"{origin}: {_unknown_key(key)}")
        ignore = _strings(mapping, "ignore", origin)
        return cls(
            select=codes_of(_strings(mapping, "select", origin), origin=f"{origin}: `select`")
            if "select" in mapping
            else None,
            ignore=codes_of(ignore, origin=f"{origin}: `ignore`"),
            exclude=_strings(mapping, "exclude", origin),
            strict=_boolean(mapping, "strict", origin),
            honor_noqa=_boolean(mapping, "honor-noqa", origin, default=True),
            known_spawners=_dotted_names(mapping, "known-spawners", origin),
            known_owners=_dotted_names(mapping, "known-owners", origin),
            target=_target(mapping, origin),
        )

    @property
    def catalog(self) -> Catalog:
        """What is known of the calls of libraries, with what is configured of further ones."""
        return extended(self.known_spawners, self.known_owners)

    def override(self, given: Overrides) -> Settings:
        """These settings with every value of `given` that is not None in place of its own."""
        values = {field.name: getattr(given, field.name) for field in fields(given)}
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def also(self, other: Settings) -> Settings:
        """These settings, with the rules that run under `other` added to those that run."""
        both = frozenset(rule.code for rule in all_rules() if self.enabled(rule.code) or other.enabled(rule.code))
        return replace(self, select=both, ignore=ALWAYS_ON - both, strict=False)

    def enabled(self, code: str) -> bool:
        """Whether the rule with this code runs."""
        if code in self.ignore:
            return False
        if code in ALWAYS_ON:
            return True
        by_default = code in _codes(default=True)
        return (by_default if self.select is None else code in self.select) or (self.strict and not by_default)


def parse_pyproject(text: str, *, origin: str) -> Settings | None:
    """The settings in the text of a `pyproject.toml`; None when it has no `[tool.leaklint]` table.

    `origin` is the file's name as the user would write it. Raises `ConfigError`, also for text that is not TOML.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}:{_toml_place(text, str(error))}") from None
    tool = document.get("tool", {})
    table = tool.get("leaklint") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{origin}: `tool.leaklint` must be a table, not {_kind(table)}")
    return Settings.from_mapping(table, origin=origin)


def codes_of(selectors: Iterable[str], *, origin: str) -> frozenset[str]:
    """The codes that selectors stand for: codes, prefixes of codes, rule names or `ALL`, in any case.

    Raises `ConfigError`, which begins with `origin`, for a selector that fits no rule.
    """
    return frozenset(code for selector in selectors for code in _expand(selector, origin))


# -- selectors -----------------------------------------------------------------------------------------------------


@cache
def _codes(*, default: bool) -> frozenset[str]:
    return frozenset(rule.code for rule in all_rules() if rule.default is default)


def _expand(selector: str, origin: str) -> list[str]:
    wanted = selector.strip().upper()
    found = [rule.code for rule in all_rules() if wanted and _fits(wanted, rule)]
    if not found:
        near = nearest_rule(selector)
        raise ConfigError(f"{origin}: unknown rule `{selector}`" + (f", did you mean `{near}`?" if near else ""))
    return found


def _fits(wanted: str, rule: Rule) -> bool:
    return wanted in ("ALL", rule.name.upper()) or (wanted.startswith("LK") and rule.code.startswith(wanted))


# -- the table -----------------------------------------------------------------------------------------------------

KEYS = tuple(sorted(field.name.replace("_", "-") for field in fields(Settings)))


def _strings(mapping: Mapping[str, object], key: str, origin: str) -> tuple[str, ...]:
    value = mapping.get(key, [])
    if not isinstance(value, (list, tuple)):
        example = f'; write {key} = ["{value}"]' if isinstance(value, str) else ""
        raise ConfigError(f"{origin}: `{key}` must be a list of strings, not {_kind(value)}{example}")
    for item in value:
        if not isinstance(item, str):
            raise ConfigError(f"{origin}: `{key}` must be a list of strings, but holds {_kind(item)}")
    return tuple(value)


def _dotted_names(mapping: Mapping[str, object], key: str, origin: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in _strings(mapping, key, origin))
    for name in names:
        parts = name.split(".")
        if len(parts) < 2 or not all(part.isidentifier() and not iskeyword(part) for part in parts):
            example = "mylib.TaskManager" if key == "known-owners" else "mylib.spawn"
            raise ConfigError(f"{origin}: `{key}`: `{name}` is not a dotted name such as `{example}`")
    return names


def _boolean(mapping: Mapping[str, object], key: str, origin: str, *, default: bool = False) -> bool:
    value = mapping.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{origin}: `{key}` must be true or false, not {_kind(value)}")
    return value


def _target(mapping: Mapping[str, object], origin: str) -> Target:
    value = mapping.get("target", Target.ANYIO.value)
    known = [target.value for target in Target]
    if value not in known:
        given = f'"{value}"' if isinstance(value, str) else _kind(value)
        raise ConfigError(f"{origin}: `target` must be {' or '.join(known)}, not {given}")
    return Target(value)


KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "a table"),
)


def _kind(value: object) -> str:
    """The TOML name of a value's type."""
    return next((name for type_, name in KINDS if isinstance(value, type_)), "a date or time")


def _unknown_key(key: str) -> str:
    near = difflib.get_close_matches(key.casefold().replace("_", "-"), KEYS, n=1, cutoff=0.5)
    hint = f", did you mean `{near[0]}`?" if near else ""
    return f"unknown key `{key}` in [tool.leaklint]{hint} (valid keys: {', '.join(f'`{known}`' for known in KEYS)})"


def _toml_place(text: str, message: str) -> str:
    """`line:column: not valid TOML: why`, taken from the parser's message, as its errors have no fields before 3.14."""
    match = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if match is not None:
        return f"{match[1]}:{match[2]}: not valid TOML: {message[: match.start()]}"
    lines = text.split("\n")
    return f"{len(lines)}:{len(lines[-1]) + 1}: not valid TOML: {message.removesuffix(' (at end of document)')}"
