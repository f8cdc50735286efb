"""Unified diffs: for people, and for `git apply` and `patch -p1`.

For programs they are bytes, since a file may be in any encoding. For people, whatever could act on a terminal is made
visible, as in frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import diff_bytes, unified_diff
from io import BytesIO
from tokenize import detect_encoding

from leaklint.model.fix import Rewritten
from leaklint.report.frame import TAB, Line, Look, Piece, visible
from leaklint.report.paint import paint

__all__ = ["patch", "shown"]

ROLES = {b"+": "added", b"-": "removed", b"@": "hunk"}
UNFINISHED = b"\\ No newline at end of file\n"
"""What follows a line that ends with the file."""


def patch(rewritten: Sequence[Rewritten]) -> bytes:
    """The diffs as programs read them: the names relative to the working directory, after `a/` and `b/` as in git."""
    return b"".join(line for each in rewritten for line in _diff(each))


def shown(rewritten: Sequence[Rewritten], look: Look) -> str:
    """The diffs as people read them."""
    return paint((line for each in rewritten for line in _shown(each)), look)


def _shown(each: Rewritten) -> Iterator[Line]:
    encoding, _ = detect_encoding(BytesIO(each.before).readline)
    for number, line in enumerate(_diff(each)):
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode(encoding, "surrogateescape")
        role = "strong" if number < 2 else ROLES.get(line[:1], "")
        yield (Piece("".join(TAB if character == "\t" else visible(character) for character in text), role),)


def _diff(each: Rewritten) -> Iterator[bytes]:
    before, after = _lines(each.before), _lines(each.after)
    old, new = (_name(f"{side}/{each.path}") for side in "ab")
    for line in diff_bytes(unified_diff, before, after, old, new):
        yield line if line.endswith(b"\n") else line + b"\n" + UNFINISHED


def _lines(data: bytes) -> list[bytes]:
    """The lines as patch counts them: a carriage return or a form feed is no end of one."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def _name(path: str) -> bytes:
    """A file name as in git: quoted where it holds what would not survive, and with a tab after one with spaces."""
    data = path.encode("utf-8", "surrogateescape")
    if path.isprintable() and '"' not in path and "\\" not in path:
        return data + (b"\t" if " " in path else b"")
    escaped = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in data)
    return f'"{escaped}"'.encode()
