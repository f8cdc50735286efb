"""What must hold for every fixture, whatever it is about."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from dataclasses import replace

import pytest
from examples import MARK, ROOT, Example, examples, name_of, parsing_examples, places

from leaklint.catalog.libraries import LIBRARIES
from leaklint.model.code import Span
from leaklint.model.diagnostic import Checked, Diagnostic
from leaklint.model.fate import Step, Task

ASYNCHRONOUS = {"asyncio", *(path.partition(".")[0] for path in LIBRARIES)}
"""The libraries of which the catalogue tells what they do with tasks."""
SPAWNERS = {"create_task", "ensure_future"}


@pytest.mark.parametrize("example", [each for each in examples() if each.marked], ids=name_of)
def test_exactly_the_marked_lines_are_reported(example: Example) -> None:
    assert places(example.check().diagnostics) == example.expected


@pytest.mark.parametrize("example", [each for each in parsing_examples() if "/LK002/" not in each.path], ids=name_of)
def test_an_ignore_comment_silences_its_line_and_nothing_else(example: Example) -> None:
    before = example.check().diagnostics
    for line, code in places(before):
        lines = example.lines
        lines[line - 1] = f"{MARK.sub('', lines[line - 1])}  # leaklint: ignore[{code}] -- test"
        after = example.check("\n".join(lines)).diagnostics
        assert after == tuple(found for found in before if (found.span.line, found.code) != (line, code))


# -- the same program without concurrency --------------------------------------------------------------------------


class Synchronous(ast.NodeTransformer):
    """Takes `async` and `await` away, and turns spawns into plain calls by importing them from elsewhere."""

    def visit_Import(self, node: ast.Import) -> ast.Import:
        names = [
            ast.alias(renamed(each.name), each.asname or each.name.split(".")[0])
            if renamed(each.name) != each.name
            else each
            for each in node.names
        ]
        return ast.Import(names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        return ast.ImportFrom(renamed(node.module or ""), node.names, node.level)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        # Of a loop, which may be known by its name alone.
        return replace_node(node, attr="call") if node.attr in SPAWNERS else node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        return ast.FunctionDef(**dict(ast.iter_fields(node)))

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return ast.For(**dict(ast.iter_fields(node)))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        return ast.With(**dict(ast.iter_fields(node)))

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        return node.value

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        return replace_node(node, is_async=0)


def renamed(module: str) -> str:
    """The name of the module that is imported in place of this one."""
    head, dot, tail = module.partition(".")
    return f"plain{dot}{tail}" if head in ASYNCHRONOUS else module


def replace_node(node: ast.AST, **changes: object) -> ast.AST:
    """A copy of the node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **changes})


@pytest.mark.parametrize("example", [e for e in parsing_examples() if "/LK205/" not in e.path], ids=name_of)
def test_the_synchronous_version_is_silent(example: Example) -> None:
    text = ast.unparse(ast.fix_missing_locations(Synchronous().visit(ast.parse(example.data))))
    checked = example.check(text)
    assert (checked.diagnostics, [entry.task for entry in checked.tasks if entry.task.fate.leaks]) == ((), [])


# -- the same program written otherwise ----------------------------------------------------------------------------


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_line_ends_do_not_matter(example: Example) -> None:
    for ending in (b"\r\n", b"\r"):
        assert example.check(example.data.replace(b"\n", ending)) == example.check()


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_a_byte_order_mark_does_not_matter(example: Example) -> None:
    assert example.check(b"\xef\xbb\xbf" + example.data) == example.check()


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_a_missing_final_line_end_does_not_matter(example: Example) -> None:
    assert example.check(example.data.rstrip(b"\n")) == example.check()


@pytest.mark.parametrize("example", parsing_examples(), ids=name_of)
def test_comments_and_blank_lines_shift_lines_and_nothing_else(example: Example) -> None:
    text, line_of = spaced_out(example.lines)
    assert example.check(text) == moved(example.check(), line_of)


def spaced_out(lines: list[str]) -> tuple[str, list[int]]:
    """The text with a comment and a blank line above every statement, and the new numbers of the lines from 0 on."""
    above = statement_starts(lines)
    spaced: list[str] = []
    line_of = [0]
    for number, line in enumerate(lines, 1):
        if number in above:
            indent = line[: len(line) - len(line.lstrip())]
            spaced += [f"{indent}# a comment", ""]
        spaced.append(line)
        line_of.append(len(spaced))
    return "\n".join(spaced), line_of


def statement_starts(lines: list[str]) -> set[int]:
    """The first line of every statement, with the comments above it: an ignore comment stays with its statement."""
    starts = set()
    fresh = True
    for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
        if token.type == tokenize.NEWLINE:
            fresh = True
        elif fresh and token.string.strip() and token.type != tokenize.COMMENT:
            start = token.start[0]
            while start > 1 and lines[start - 2].lstrip().startswith("#"):
                start -= 1
            starts.add(start)
            fresh = False
    return starts


def moved(checked: Checked, line_of: list[int]) -> Checked:
    """The same verdict, every line of it renumbered."""

    def span(old: Span) -> Span:
        return Span(line_of[old.line], old.column, line_of[old.end_line], old.end_column)

    def text(old: str) -> str:
        return re.sub(r"(?<=\bline )\d+", lambda number: str(line_of[int(number[0])]), old)

    def step(old: Step) -> Step:
        return Step(old.path, span(old.span), text(old.message))

    def task(old: Task) -> Task:
        return replace(
            old,
            span=span(old.span),
            evidence=tuple(map(step, old.evidence)),
            leaving=old.leaving and step(old.leaving),
            cause=old.cause and step(old.cause),
        )

    def diagnostic(old: Diagnostic) -> Diagnostic:
        return replace(
            old,
            span=span(old.span),
            message=text(old.message),
            label=text(old.label),
            help=old.help and text(old.help),
            evidence=tuple(map(step, old.evidence)),
        )

    return replace(
        checked,
        diagnostics=tuple(map(diagnostic, checked.diagnostics)),
        tasks=tuple(replace(entry, task=task(entry.task)) for entry in checked.tasks),
        hidden=tuple(replace(entry, task=task(entry.task)) for entry in checked.hidden),
    )


# -- the same program, another run ---------------------------------------------------------------------------------


def run(*arguments: str, hash_seed: int) -> tuple[int, bytes]:
    """Exit code and standard output of the command line tool on all fixtures."""
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "leaklint", *arguments, "fixtures"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("arguments", [("check", "--strict"), ("tasks", "--format", "json")], ids=lambda each: each[0])
def test_output_is_the_same_however_many_jobs_run_and_however_strings_hash(arguments: tuple[str, ...]) -> None:
    code, first = run(*arguments, "-j", "1", hash_seed=1)
    assert (code, bool(first)) == (1 if arguments[0] == "check" else 0, True)
    assert run(*arguments, "-j", "4", hash_seed=1) == (code, first)
    assert run(*arguments, "-j", "1", hash_seed=2) == (code, first)
