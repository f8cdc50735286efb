"""How a spawn is written in a group."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.analysis.spawns import Spawn
from leaklint.fixing.quoting import quoted
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Span
from leaklint.model.fix import Edit, Import, Replace

_FIRST_HANDLES = (4, 14)
"""The release of AnyIO whose groups have `create_task`: https://anyio.readthedocs.io/en/stable/versionhistory.html"""
_PARTIAL = "functools.partial"


@dataclass(frozen=True, slots=True)
class Calls:
    """The spawns of one group."""

    group: str
    """The name of the group."""
    is_native: bool
    """Whether the group is one of asyncio, whose tasks are what they were before."""
    study: Study

    @property
    def gives_handles(self) -> bool:
        """Whether spawning in the group gives a handle."""
        oldest = self.study.environment.anyio
        return self.is_native or oldest is None or oldest >= _FIRST_HANDLES

    @property
    def result(self) -> str:
        """How the result of a task is read that has ended."""
        return "{}.result()" if self.is_native else "{}.return_value"

    def edit(self, spawn: Spawn) -> Edit:
        """The edit of a spawn that stays where it is."""
        if self.gives_handles and not any(keyword.name == "loop" for keyword in spawn.call.keywords):
            return Replace(_of(spawn.call.func), f"{self.group}.create_task")
        return Replace(spawn.call.span, self.text(spawn))

    def text(self, spawn: Spawn) -> str:
        """A spawn, written anew."""
        inner = spawn.spawned_call
        assert inner is not None
        assert not isinstance(inner, code.Starred)
        named = [f"name={self._quoted(_of(k.value), spawn)}" for k in spawn.call.keywords if k.name == "name"]
        if self.gives_handles and not any(keyword.name == "loop" for keyword in spawn.call.keywords):
            end = _of(spawn.call.func)
            whole = Span(end.end_line, end.end_column, spawn.call.span.end_line, spawn.call.span.end_column)
            return f"{self.group}.create_task{self._quoted(whole, spawn)}"
        if self.gives_handles:
            others = [keyword for keyword in spawn.call.keywords if keyword.name == "context"]
            context = [f"context={self._quoted(_of(keyword.value), spawn)}" for keyword in others]
            given = [self._quoted(inner.span, spawn), *named, *context]
            return f"{self.group}.create_task({', '.join(given)})"
        assert isinstance(inner, code.Call)
        func = self._quoted(_of(inner.func), spawn)
        passed = self._arguments(inner, spawn)
        if inner.keywords:
            partial, _ = self.study.spelled(_PARTIAL, spawn.function)
            return f"{self.group}.start_soon({', '.join([f'{partial}({func}, {passed})', *named])})"
        return f"{self.group}.start_soon({', '.join([func, *([passed] if passed else []), *named])})"

    def imports(self, spawn: Spawn) -> tuple[Import, ...]:
        """What a spawn needs besides the group."""
        inner = spawn.spawned_call
        needs = not self.gives_handles and isinstance(inner, code.Call) and bool(inner.keywords)
        return self.study.spelled(_PARTIAL, spawn.function)[1] if needs else ()

    def _arguments(self, call: code.Call, spawn: Spawn) -> str:
        """What stands between the brackets of a call."""
        end = _of(call.func)
        written = self._quoted(Span(end.end_line, end.end_column, call.span.end_line, call.span.end_column), spawn)
        return written.strip().removeprefix("(").removesuffix(")").strip().removesuffix(",")

    def _quoted(self, span: Span, spawn: Spawn) -> str:
        return quoted(span, spawn.function, self.study)


def _of(expr: code.Expr) -> Span:
    assert not isinstance(expr, code.Starred)
    return expr.span
