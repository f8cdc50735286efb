"""A `# leaklint:` comment that silenced nothing.

## What it does

Reports a suppression that matched no diagnostic, that names a rule which does not exist, or that is not written as
leaklint reads it (and therefore silences nothing). The forms are:

| comment | silences |
|---|---|
| `# leaklint: ignore[LK101] -- why` | that rule, for diagnostics that begin in the statement the comment belongs to |
| `# leaklint: ignore[LK101, unawaited-cancel]` | several rules, by code or by name |
| `# leaklint: ignore` | every rule but LK002 |
| `# leaklint: ignore-file[LK101]`, `# leaklint: ignore-file` | the same for the whole file |

A comment at the end of a line belongs to the statement it stands in, over all its lines; a comment on a line of its own
belongs to the statement that follows. The header of a `def`, `with` or `if` is a statement, its body is not.
`ignore-file` stands on a line of its own, anywhere in the file. The reason after `--` is free text.

Comments for other linters (`# noqa: RUF006`, `# NOSONAR`) silence what leaklint and these have rules for, unless
`honor-noqa` is turned off. They are never reported here: whether they are used is for the other linter to say.

## Why is this bad?

A suppression that silences nothing is a claim about the code that is no longer true, or never was. It hides the next
leak that appears in its place. One with a misspelt rule looks like a decision, and is none.

## Example

```python
import asyncio


async def main() -> None:
    await asyncio.sleep(0)  # leaklint: ignore[LK101] -- the poller lives as long as the process


asyncio.run(main())
```

## Use instead

```python
import asyncio


async def main() -> None:
    await asyncio.sleep(0)


asyncio.run(main())
```

## Limits

- A rule that does not run (it is ignored, not selected, or only runs with `--strict`) makes no suppression unused.
- A file in a directory that mentions no spawn, and to which no task of another file leads, is not parsed, so its
  comments are not looked at.
- To silence this rule, name it: `ignore[LK002]` on the same line, or `ignore-file[LK002]`. A bare `ignore` does not
  cover it, or no bare `ignore` could ever be reported.

## References

- [ruff: unused-noqa (RUF100)](https://docs.astral.sh/ruff/rules/unused-noqa/), the same for `# noqa`
- [mypy: `--warn-unused-ignores`](https://mypy.readthedocs.io/en/stable/command_line.html#cmdoption-mypy-warn-unused-ignores)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern
from leaklint.rules import Subject

CODE = "LK002"
NAME = "unused-suppression"
LEVEL = Level.WARNING
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic for every complaint about a comment."""
    for complaint in subject.complaints:
        yield Diagnostic(
            path=subject.path,
            span=complaint.span,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=complaint.message,
            label="silences nothing",
            help=complaint.help,
            evidence=(),
        )
