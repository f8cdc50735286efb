"""The text of a file, to be written into an edit."""

from __future__ import annotations

from leaklint.fixing.study import Study, path_to
from leaklint.model import code
from leaklint.model.code import Span

_CLOSING = (")", "]", "}")


def quoted(
    span: Span,
    function: code.Function,
    study: Study,
    *,
    changed: tuple[tuple[Span, str], ...] = (),
    is_moved: bool = False,
) -> str:
    """The text at a place in a function, with other texts at some places within it (in the order of the source).

    Lines after the first lose the indentation of the statement around them: an edit gives them that of its own place.
    If the text is to begin a statement (`is_moved`), they lose that of a last line which closes a bracket.
    """
    pieces, line, column = [], span.line, span.column
    for place, text in changed:
        pieces += [study.written(Span(line, column, place.line, place.column)), text]
        line, column = place.end_line, place.end_column
    pieces.append(study.written(Span(line, column, span.end_line, span.end_column)))
    whole = "".join(pieces)
    width = path_to(span, function.body)[-1].statement.span.column - 1
    last = whole.rpartition("\n")[2]
    if is_moved and last.lstrip()[:1] in _CLOSING:
        width = len(last) - len(last.lstrip())
    return _outdented(whole, width)


def _outdented(text: str, width: int) -> str:
    if '"""' in text or "'''" in text:
        return text  # the lines may be those of a string
    first, *others = text.split("\n")
    return "\n".join([first, *(line[width:] if not line[:width].strip() else line for line in others)])
