"""Takes out what nothing needs any more once the spawns are rewritten: a variable that held the event loop."""

from __future__ import annotations

from collections.abc import Iterator

import libcst

from leaklint.fixing.rewrite.users import uses

_GETTERS = frozenset({"get_event_loop", "get_running_loop"})
"""To ask for the loop in a coroutine changes nothing.
https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.get_running_loop
"""


def without_leftovers(before: libcst.FunctionDef, after: libcst.FunctionDef) -> libcst.FunctionDef:
    """A function without the variables for the event loop that were read before it was rewritten, and no more."""
    if after.asynchronous is None:
        return after
    read = {name for statement, name in _loops(before.body) if uses(_without(before, statement), name)}
    for statement, name in _loops(after.body):
        reduced = _without(after, statement)
        if name in read and not uses(reduced, name):
            after = reduced
    return after


def _without(function: libcst.FunctionDef, statement: libcst.SimpleStatementLine) -> libcst.FunctionDef:
    reduced = function.visit(_Removed(statement))
    assert isinstance(reduced, libcst.FunctionDef)
    return reduced


def _loops(body: libcst.BaseSuite) -> Iterator[tuple[libcst.SimpleStatementLine, str]]:
    """The statements of a function that do no more than to bind the loop to a variable."""
    for statement in body.body[:-1]:
        match statement:
            case libcst.SimpleStatementLine(
                body=[
                    libcst.Assign(
                        targets=[libcst.AssignTarget(target=libcst.Name(value=name))],
                        value=libcst.Call(args=[], func=libcst.Name() | libcst.Attribute() as getter),
                    )
                ],
                trailing_whitespace=libcst.TrailingWhitespace(comment=None),
            ) if _last(getter) in _GETTERS:
                yield statement, name


def _last(getter: libcst.Name | libcst.Attribute) -> str:
    return getter.value if isinstance(getter, libcst.Name) else getter.attr.value


class _Removed(libcst.CSTTransformer):
    """A function without one statement of its block."""

    def __init__(self, statement: libcst.SimpleStatementLine) -> None:
        super().__init__()
        self._statement = statement

    def leave_IndentedBlock(  # noqa: N802 - libcst names it
        self, original_node: libcst.IndentedBlock, updated_node: libcst.IndentedBlock
    ) -> libcst.IndentedBlock:
        """Take out the statement; what follows it stands where it stood, below its comments."""
        if self._statement not in original_node.body:
            return updated_node
        at = original_node.body.index(self._statement)
        before, [following, *others] = updated_node.body[:at], updated_node.body[at + 1 :]
        assert isinstance(following, libcst.SimpleStatementLine | libcst.BaseCompoundStatement)
        lines = [line for line in following.leading_lines if line.comment]
        following = following.with_changes(leading_lines=[*self._statement.leading_lines, *lines])
        return updated_node.with_changes(body=[*before, following, *others])
