"""Every leak that a fixture claims is seen to happen on a real event loop, and none where it claims none.

A case is a top-level coroutine function of the fixture without parameters whose name has no leading underscore. It must
show the symptom of the rule if one of its lines is marked, or a line of a function or class of the file that it uses.
Marks of unawaited-cancel do not count: tasks that have been cancelled end soon enough.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from examples import ROOT, Example, examples, name_of
from symptoms import Case, error_unseen, left_running, unheard

Symptom = Callable[[Case], bool]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

SYMPTOMS: dict[str, Symptom] = {
    "LK201/": left_running,
    "LK202/": left_running,
    "LK203/": left_running,
    "LK204/": left_running,
    "LK205/": error_unseen,
    "LK206/": left_running,
    "LK207/": left_running,
    "LK304/": left_running,
    "quiet/waits_": left_running,
    "quiet/waits_threads": error_unseen,
}
"""What is seen where a rule is right, for the fixtures whose names begin so; the longest counts."""


def symptom_of(example: Example) -> Symptom | None:
    found = [prefix for prefix in SYMPTOMS if name_of(example).startswith(prefix)]
    return SYMPTOMS[max(found, key=len)] if found else None


def load(example: Example) -> ModuleType:
    """The fixture as a module."""
    name = name_of(example).removesuffix(".py").replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / example.path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def definitions(example: Example) -> dict[str, Definition]:
    """The top-level functions and classes of the fixture."""
    return {node.name: node for node in ast.parse(example.data).body if isinstance(node, Definition)}


def cases(module: ModuleType) -> list[str]:
    """The names of the functions to be run."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        if not inspect.signature(value).parameters
    ]


def reached(name: str, known: dict[str, Definition]) -> set[str]:
    """The definitions that one uses, itself included."""
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        words = {node.id for each in new for node in ast.walk(known[each]) if isinstance(node, ast.Name)}
        new = (words & known.keys()) - found
    return found


def claims(example: Example, names: list[str]) -> dict[str, bool]:
    """Each case, with whether it must show the symptom."""
    known = definitions(example)
    marked = {
        node.name
        for node in known.values()
        if any(node.lineno <= line <= (node.end_lineno or 0) for line, code in example.expected if code != "LK103")
    }
    return {name: bool(reached(name, known) & marked) for name in names}


def runs() -> Iterator[tuple[Example, Symptom]]:
    for example in examples():
        if symptom := symptom_of(example):
            yield example, symptom


@pytest.mark.parametrize(("example", "symptom"), [pytest.param(*run, id=name_of(run[0])) for run in runs()])
def test_what_is_claimed_is_seen(example: Example, symptom: Symptom) -> None:
    with unheard():
        module = load(example)
        expected = claims(example, cases(module))
        seen = {name: symptom(getattr(module, name)) for name in expected}
    assert seen == expected
    assert expected or not example.expected
