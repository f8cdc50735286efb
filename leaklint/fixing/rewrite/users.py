"""Whether code uses a name."""

from __future__ import annotations

import re

import libcst


def uses(code: libcst.CSTNode, name: str) -> bool:
    """Whether a name is read or bound in code, imports apart, or named in a string (an annotation, `__all__`)."""
    users = _Users(name)
    code.visit(users)
    return users.found


class _Users(libcst.CSTVisitor):
    """Whether a name is used: read somewhere, or named in a string (an annotation, `__all__`)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.found = False
        self._name = name
        self._word = re.compile(rf"\b{re.escape(name)}\b")

    def visit_Import(self, node: libcst.Import) -> bool:  # noqa: N802, ARG002 - libcst names it
        """Nothing is used there."""
        return False

    def visit_ImportFrom(self, node: libcst.ImportFrom) -> bool:  # noqa: N802, ARG002
        """Nothing is used there."""
        return False

    def visit_Attribute(self, node: libcst.Attribute) -> bool:  # noqa: N802
        """The name of an attribute is no use."""
        node.value.visit(self)
        return False

    def visit_Name(self, node: libcst.Name) -> None:  # noqa: N802
        """Note a use."""
        self.found = self.found or node.value == self._name

    def visit_SimpleString(self, node: libcst.SimpleString) -> None:  # noqa: N802
        """Note a short string that may be an annotation, and one with an example that may be run."""
        if (len(node.value) < 80 and "\n" not in node.value) or ">>>" in node.value:
            self.found = self.found or bool(self._word.search(node.value))
