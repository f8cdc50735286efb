"""leaklint finds every asyncio task that nobody waits for.

`check_source`, `check_paths` and `explain` are the whole interface; the values they return are frozen. Nothing is
imported before it is used, so `import leaklint` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from leaklint.app import Run
    from leaklint.model.code import Span
    from leaklint.model.diagnostic import Checked, Diagnostic, Failed, Level, Outcome, Reported, Skipped
    from leaklint.model.errors import UserError
    from leaklint.model.fate import Fate, PathKind, Step, Task
    from leaklint.rules import Rule

__version__ = "0.1.0"

__all__ = [
    "Checked",
    "Diagnostic",
    "Failed",
    "Fate",
    "Level",
    "Outcome",
    "PathKind",
    "Reported",
    "Rule",
    "Run",
    "Skipped",
    "Span",
    "Step",
    "Task",
    "UserError",
    "__version__",
    "check_paths",
    "check_source",
    "explain",
]

_HOMES = {
    "leaklint.app": ("Run",),
    "leaklint.model.code": ("Span",),
    "leaklint.model.diagnostic": ("Checked", "Diagnostic", "Failed", "Level", "Outcome", "Reported", "Skipped"),
    "leaklint.model.errors": ("UserError",),
    "leaklint.model.fate": ("Fate", "PathKind", "Step", "Task"),
    "leaklint.rules": ("Rule",),
}
"""Where the values live that are imported on first use."""


def check_source(
    source: str | bytes,
    *,
    path: str = "<string>",
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    strict: bool = False,
) -> Checked:
    """Check one piece of Python source. Nothing is read from the disk, no configuration either.

    `source` as bytes is decoded as Python does it (byte order mark, coding comment). `path` is what the diagnostics and
    tasks carry. `select` names the rules to run in place of those that are on by default, `ignore` rules to leave out:
    codes (`LK101`), beginnings of codes (`LK1`), names (`dropped-task`) or `ALL`. `strict` adds the rules that are off
    by default.

    Returns the diagnostics and every spawn with its fate. Lines and columns count from 1, columns in characters; end
    columns are exclusive. Source that cannot be parsed gives one diagnostic, LK001.

    Raises `UserError` for a selector that fits no rule.
    """
    from leaklint import engine
    from leaklint.model.diagnostic import Checked
    from leaklint.policy.config import Settings

    settings = Settings(select=_codes(select, "select"), ignore=_codes(ignore, "ignore") or frozenset(), strict=strict)
    data = source if isinstance(source, bytes) else _encoded(source)
    outcome = engine.check_source(data, path=path, module=_module(path), settings=settings, always_parse=True)
    if isinstance(outcome, Checked):
        return outcome
    raise RuntimeError(outcome)  # a fault of leaklint's own


def check_paths(
    paths: Iterable[str | PathLike[str]],
    *,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    strict: bool | None = None,
    isolated: bool = False,
    isolated_files: bool = False,
    jobs: int | None = None,
) -> Run:
    """Check files, and the Python files in directories, as `leaklint check` does.

    The rest of their projects is read as well, so what is said of a file does not depend on which others are given;
    with `isolated_files`, each file is judged by itself. The nearest `pyproject.toml` configures each file, unless
    `isolated` is set. `select`, `ignore` (as in `check_source`), `exclude` (patterns in the manner of `.gitignore`) and
    `strict` override it where they are not None. `jobs` is the number of worker processes; None chooses by the work and
    the machine. There are none in a coroutine, whose event loop this stops for as long as it takes: use
    `asyncio.to_thread(check_paths, ...)` there.

    Returns the outcomes of all files, by path. A file that cannot be read is `Failed`, and the others are checked all
    the same.

    Raises `UserError` for a path that does not exist, a selector that fits no rule and a mistake in a configuration.
    """
    from os import fspath

    from leaklint import app
    from leaklint.policy.config import Overrides

    overrides = Overrides(
        select=_codes(select, "select"),
        ignore=_codes(ignore, "ignore"),
        exclude=None if exclude is None else _strings(exclude),
        strict=strict,
    )
    named = [fspath(path) for path in ([paths] if isinstance(paths, str) else paths)]
    options = app.Options(overrides=overrides, isolated=isolated, isolated_files=isolated_files)
    return app.check(named, options=options, jobs=jobs)


def explain(rule: str) -> Rule:
    """The rule with this code or name (in any case); its `documentation` is Markdown.

    Raises `UserError` if there is none.
    """
    from leaklint.model.errors import UserError
    from leaklint.rules import find_rule, nearest_rule

    found = find_rule(rule)
    if found is None:
        nearest = nearest_rule(rule)
        raise UserError(f"unknown rule `{rule}`" + (f", did you mean `{nearest}`?" if nearest else ""))
    return found


def _strings(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _codes(selectors: Iterable[str] | None, option: str) -> frozenset[str] | None:
    from leaklint.policy.config import codes_of

    return None if selectors is None else codes_of(_strings(selectors), origin=f"`{option}`")


def _encoded(source: str) -> bytes:
    """The bytes that decode to this text again, whatever its coding comment says."""
    from io import BytesIO
    from tokenize import detect_encoding

    text = source.removeprefix("\ufeff")
    data = text.encode("utf-8", "surrogatepass")
    try:
        return text.encode(detect_encoding(BytesIO(data).readline)[0])
    except (SyntaxError, UnicodeEncodeError):
        return data


def _module(path: str) -> str:
    """A dotted name for source of which only a path is known."""
    return path.replace("\\", "/").rpartition("/")[2].removesuffix(".py").strip("<>") or "source"


if not TYPE_CHECKING:  # a type checker sees the imports above, and none of the names that do not exist

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names:
                return globals().setdefault(name, getattr(import_module(home), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
