"""Write the tables of `docs/fixes.md` from the remedies and hazards: `python docs/generate_fixes.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from leaklint.fixing.hazards import EXPLAINED
from leaklint.fixing.remedies import REMEDIES

PAGE = Path(__file__).parent / "fixes.md"


def page() -> str:
    """The text of the page with today's tables."""
    text = PAGE.read_text(encoding="utf-8")
    remedies = ((f"`{each.name}`", ", ".join(sorted(each.codes)), each.summary) for each in REMEDIES)
    hazards = ((f"`{name}`", sentence) for name, sentence in sorted(EXPLAINED.items()))
    text = with_table(text, "remedies", ("name", "mends", "what it does"), remedies)
    return with_table(text, "hazards", ("name", "meaning"), hazards)


def with_table(text: str, name: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A page with a table between its markers."""
    lines = [heads, ("---",) * len(heads), *rows]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{table}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
