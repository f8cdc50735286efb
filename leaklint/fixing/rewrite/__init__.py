"""From the bytes of a file and edits to new bytes: the one place that knows concrete syntax."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider

from leaklint.fixing.rewrite.edits import CannotRewriteError, Edited
from leaklint.fixing.rewrite.imports import with_imports
from leaklint.model.fix import Edit, Forget, Import

__all__ = ["CannotRewriteError", "rewrite"]


MOST_OPERANDS = 500
"""libcst nests what stands between `and` and `or`: 8,000 operands end the process on a stack of 8 MiB. So do 1,500
brackets, but these are more than Python itself takes."""


def rewrite(data: bytes, edits: Sequence[Edit], *, module: str) -> bytes:
    """The file with these edits: every byte outside of them is as before (line ends, encoding, comments, blank lines).

    `module` is the dotted name of the file, which tells its own imports from those of libraries. Raises
    `CannotRewriteError` for a file that libcst does not give back as it is, and for an edit whose place is not there.
    """
    if _is_long_winded(data):
        raise CannotRewriteError("the file is nested too deeply")
    try:
        return _rewritten(data, edits, module)
    except RecursionError:
        raise CannotRewriteError("the file is nested too deeply") from None
    except UnicodeEncodeError as error:
        raise CannotRewriteError(f"the encoding of the file cannot say {error.object[error.start]!r}") from None


def _rewritten(data: bytes, edits: Sequence[Edit], module: str) -> bytes:
    try:
        tree = libcst.parse_module(data)
    except (libcst.ParserSyntaxError, UnicodeError, LookupError):
        raise CannotRewriteError("libcst cannot parse this file") from None
    if tree.bytes != data:
        raise CannotRewriteError("libcst does not give this file back as it is")
    wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
    visitor = Edited(edits, wrapper.resolve(PositionProvider), tree.config_for_parsing)
    changed = tree.visit(visitor)
    visitor.raise_unless_done()
    return with_imports(
        changed,
        [edit for edit in edits if isinstance(edit, Import)],
        [edit for edit in edits if isinstance(edit, Forget)],
        package=module.partition(".")[0],
    ).bytes


def _is_long_winded(data: bytes) -> bool:
    """Whether an expression has more operands than libcst stands."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return any(isinstance(node, ast.BoolOp) and len(node.values) > MOST_OPERANDS for node in ast.walk(tree))
