"""A file that is to be mended, as the remedies see it: its code, its text, and what is known of its program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from leaklint.analysis.kinds import Kinds
from leaklint.analysis.outcomes import Outcomes
from leaklint.analysis.program import Program
from leaklint.engine import Studied
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.model.fate import Misuse, Task, Unclosed
from leaklint.model.fix import Environment, Forget, Import
from leaklint.model.walk import walk
from leaklint.syntax.source import decode

Subject = Task | Misuse | Unclosed
Node = TypeVar("Node")
Answer = TypeVar("Answer")


class Finding(NamedTuple):
    """What is to be mended."""

    diagnostic: Diagnostic
    subject: Subject | None
    """What it is about; None if that is no task, scope or object."""


@dataclass(frozen=True)
class Study:
    """A file under repair. Its helpers answer what every remedy asks."""

    studied: Studied
    data: bytes
    environment: Environment

    @property
    def path(self) -> str:
        """As the user would write it."""
        return self.facts.path

    @property
    def facts(self) -> ModuleFacts:
        """What the file says."""
        return self.studied.facts

    @property
    def kinds(self) -> Kinds:
        """What the values of the program are."""
        return self.studied.analysis.kinds

    @property
    def program(self) -> Program:
        """The modules of the program."""
        return self.kinds.program

    @cached_property
    def outcomes(self) -> Outcomes:
        """What the functions of the program can do."""
        return Outcomes(self.kinds)

    # -- code ----------------------------------------------------------------------------------------------------

    def function_of(self, subject: Subject) -> code.Function | None:
        """The scope that a task or a misuse stands in."""
        if isinstance(subject, Unclosed):
            return None
        named = [each for each in self.facts.functions if each.qualname == subject.function]
        return next((each for each in named if path_to(subject.span, each.body)), None)

    # -- text ----------------------------------------------------------------------------------------------------

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file."""
        text = decode(self.data, path=self.path)
        assert not isinstance(text, Unparsable)
        return text.split("\n")

    def written(self, span: Span) -> str:
        """The text at a place."""
        lines = self.lines[span.line - 1 : span.end_line]
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return "\n".join(lines)

    # -- names ---------------------------------------------------------------------------------------------------

    def spelled(self, path: str, function: code.Function) -> tuple[str, tuple[Import, ...]]:
        """How a function writes something of a module (`anyio.create_task_group`), and the import that this needs.

        An import of the module that is there already is used, under whatever name it has.
        """
        module, _, attribute = path.rpartition(".")
        for name, imported in self.facts.names.imports:
            if imported == path and self._is_visible(name, function):
                return name, ()
        for name, imported in self.facts.names.imports:
            if imported == module and self._is_visible(name, function):
                return f"{name}.{attribute}", ()
        name = self._unused(module)
        statement = f"import {module}" if name == module else f"import {module} as {name}"
        return f"{name}.{attribute}", (Import(statement),)

    def forgotten(self, function: code.Function) -> tuple[Forget, ...]:
        """The imports of asyncio that nothing may use any more once a function has been rewritten."""
        named = [name for name, path in self.facts.names.imports if f"{path}.".startswith("asyncio.")]
        used = {each.text.partition(".")[0] for each in walk(function.body, code.Global)}
        return tuple(Forget(name) for name in named if name in used)

    def free_name(self, wish: str, function: code.Function) -> str:
        """A name that means nothing yet in a function, in what is nested in it, or in the module."""
        inside = self.program.inside(function)
        taken = {word for scope in inside for word in (*scope.words, *scope.local_names, *scope.free_names)}
        taken |= self._module_names
        around: code.Function | None = self.program.enclosing(function)
        while around is not None:
            taken |= around.local_names
            around = self.program.enclosing(around)
        return next(name for name in _numbered(wish) if name not in taken)

    def _is_visible(self, name: str, function: code.Function) -> bool:
        """Whether a name of the module means the same in a function."""
        scope: code.Function | None = function
        while scope is not None and scope.kind != "module":
            if name in scope.local_names:
                return False
            scope = self.program.enclosing(scope)
        return True

    def _unused(self, module: str) -> str:
        everywhere = {name for scope in self.facts.functions for name in scope.local_names} | self._module_names
        return next(name for name in _numbered(module) if name not in everywhere)

    @cached_property
    def _module_names(self) -> set[str]:
        names = self.facts.names
        top = {name.partition(".")[0] for name in names.defined}
        return {name for name, _ in names.imports} | set(names.variables) | top


def _numbered(name: str) -> list[str]:
    return [name, *(f"{name}_{number}" for number in range(1, 100))]


def remembered(
    question: Callable[[Node, code.Function, Study], Answer],
) -> Callable[[Node, code.Function, Study], Answer]:
    """A question about code that is read in a function, answered once for each program.

    The answer may depend on the program alone, not on the file under repair, and holds nothing of its `Program`.
    """
    known: WeakKeyDictionary[Program, dict[tuple[int, int], tuple[Node, code.Function, Answer]]] = WeakKeyDictionary()

    @wraps(question)
    def answer(node: Node, function: code.Function, study: Study) -> Answer:
        here = known.setdefault(study.program, {})
        key = id(node), id(function)  # these are kept, so that no other object gets their `id`
        if key not in here:
            here[key] = node, function, question(node, function, study)
        return here[key][2]

    return answer


def contains(outer: Span, inner: Span) -> bool:
    """Whether a place lies within another one."""
    return outer[:2] <= inner[:2] and inner[2:] <= outer[2:]


class Step(NamedTuple):
    """One statement on the way to a place: the one at `position` in a block."""

    block: code.Block
    position: int

    @property
    def statement(self) -> code.Stmt:
        """The statement."""
        return self.block[self.position]


def path_to(span: Span, block: code.Block) -> tuple[Step, ...]:
    """The statements around a place, the outermost first; none if the block does not hold it."""
    for position, statement in enumerate(block):
        if contains(statement.span, span):
            step = Step(block, position)
            inner = (path_to(span, each) for each in blocks_of(statement))
            return (step, *next((found for found in inner if found), ()))
    return ()


def blocks_of(statement: code.Stmt) -> tuple[code.Block, ...]:
    """The blocks of a compound statement, in the order of the source."""
    match statement:
        case code.If(branches=branches, orelse=orelse):
            return (*(branch.body for branch in branches), orelse)
        case code.While(body=body, orelse=orelse) | code.For(body=body, orelse=orelse):
            return (body, orelse)
        case code.Try(body=body, handlers=handlers, orelse=orelse, final=final):
            return (body, *(handler.body for handler in handlers), orelse, final)
        case code.With(body=body):
            return (body,)
        case code.Match(cases=cases):
            return tuple(case.body for case in cases)
    return ()
