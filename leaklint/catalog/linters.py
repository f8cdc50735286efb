"""Rules of other linters that report what a rule of leaklint reports, in the same place: data, each with its page."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMENT_WORDS", "FLAKE8", "PEERS", "RUFF", "SONAR", "Peer"]

RUFF, FLAKE8, SONAR = "ruff", "flake8-async", "Sonar"


class Peer(NamedTuple):
    """A rule of another linter."""

    tool: str
    code: str
    name: str | None
    """How ruff's own comments may call it; the other linters have codes only."""
    rules: tuple[str, ...]
    """The codes of leaklint's rules about the same thing."""
    doc: str


_TASK_IS_LOST = ("LK101", "LK206", "LK207", "LK304")
"""Where the lost task is spawned in a callback, a constructor or a scope of AnyIO, leaklint says that instead."""

PEERS: tuple[Peer, ...] = (
    Peer(
        RUFF,
        "RUF006",
        "asyncio-dangling-task",
        _TASK_IS_LOST,
        "https://docs.astral.sh/ruff/rules/asyncio-dangling-task/",
    ),
    Peer(FLAKE8, "ASYNC300", None, _TASK_IS_LOST, "https://flake8-async.readthedocs.io/en/latest/rules.html#async300"),
    Peer(SONAR, "S7502", None, _TASK_IS_LOST, "https://rules.sonarsource.com/python/RSPEC-7502/"),
    Peer(FLAKE8, "ASYNC101", None, ("LK302",), "https://flake8-async.readthedocs.io/en/latest/rules.html#async101"),
    Peer(FLAKE8, "ASYNC119", None, ("LK302",), "https://flake8-async.readthedocs.io/en/latest/rules.html#async119"),
    Peer(
        RUFF,
        "ASYNC119",
        "yield-in-context-manager-in-async-generator",
        ("LK302",),
        "https://docs.astral.sh/ruff/rules/yield-in-context-manager-in-async-generator/",
    ),
    Peer(FLAKE8, "ASYNC103", None, ("LK305",), "https://flake8-async.readthedocs.io/en/latest/rules.html#async103"),
    Peer(SONAR, "S7497", None, ("LK305",), "https://rules.sonarsource.com/python/RSPEC-7497/"),
)

COMMENT_WORDS = tuple(
    sorted(
        {"LK"}
        | {"ASYNC" if peer.tool == FLAKE8 else peer.code for peer in PEERS}
        | {peer.name for peer in PEERS if peer.name is not None}
    )
)
"""One of them stands in every comment that names one of these rules, by the beginning of its code if it is flake8's, or
one of leaklint's.
"""
