"""A file that cannot be decoded or parsed.

## What it does

Reports a Python file that leaklint cannot read as Python: bytes that do not fit the file's encoding, an unknown
encoding, a NUL byte, a syntax error, or brackets nested too deeply. The place is where reading stopped. The other files
are checked all the same.

## Why is this bad?

Nothing in the file was looked at. A check that passed over it in silence would call the file clean.

## Example

```python
import asyncio


async def main()
    await asyncio.sleep(0)
```

## Use instead

```python
import asyncio


async def main() -> None:
    await asyncio.sleep(0)


asyncio.run(main())
```

A file that is not meant to be Python (a template, a test input with broken syntax) belongs into `exclude`:

```toml
[tool.leaklint]
exclude = ["tests/broken/"]
```

## Limits

- A comment cannot silence this rule: the comments of a file that cannot be parsed are not known. Use `exclude`, or
  `ignore = ["LK001"]`.
- A file in a directory that mentions no spawn, and to which no task of another file leads, is decoded but not parsed,
  so a syntax error in it is not found. A file that is named on the command line is always parsed.
- Of the files of the project that are not named, those that cannot be parsed are passed over in silence.
- Syntax is read as the Python that runs leaklint reads it. Syntax newer than that is accepted as far as the parser of
  LibCST knows it.

## References

- [Python: lexical analysis, encoding declarations](https://docs.python.org/3/reference/lexical_analysis.html#encoding-declarations)
- [PEP 263: defining Python source code encodings](https://peps.python.org/pep-0263/)
"""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.fate import Fate, Pattern
from leaklint.rules import Subject

CODE = "LK001"
NAME = "unparsable-file"
LEVEL = Level.ERROR
DEFAULT = True
FATES: frozenset[Fate] = frozenset()
PATTERNS: frozenset[Pattern] = frozenset()


def check(subject: Subject) -> Iterator[Diagnostic]:
    """Yield one diagnostic where reading the file stopped."""
    broken = subject.unparsable
    if broken is not None:
        yield Diagnostic(
            path=broken.path,
            span=broken.span,
            code=CODE,
            name=NAME,
            level=LEVEL,
            message=f"this file cannot be checked: {broken.message}",
            label="reading stopped here",
            help="mend the file, or add it to `exclude` if it is not meant to be Python",
            evidence=(),
        )
