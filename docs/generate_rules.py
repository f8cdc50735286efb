"""Write the pages of `docs/rules` from the docstrings of the rule modules: `python docs/generate_rules.py`."""

from __future__ import annotations

from pathlib import Path

from leaklint.rules import Rule, all_rules

DIRECTORY = Path(__file__).parent / "rules"


def pages() -> dict[str, str]:
    """The text of every page, by file name."""
    rules = all_rules()
    return {"index.md": index(rules)} | {file_name(rule): page(rule) for rule in rules}


def file_name(rule: Rule) -> str:
    return f"{rule.code}.md"


def page(rule: Rule) -> str:
    return f"# {rule.name} ({rule.code})\n\nLevel: {rule.level.value}. {when(rule)}.\n\n{rule.documentation}\n"


def index(rules: tuple[Rule, ...]) -> str:
    rows = [f"| [{rule.code}]({file_name(rule)}) | {rule.name} | {rule.level.value} | {cell(rule)} |" for rule in rules]
    return "\n".join(["# Rules", "", "| code | name | level | reports |", "|---|---|---|---|", *rows, ""])


def cell(rule: Rule) -> str:
    return rule.summary if rule.default else f"{rule.summary} (strict)"


def when(rule: Rule) -> str:
    return "On by default" if rule.default else "Off by default; `--strict` turns it on"


def main() -> None:
    """Write the pages, and remove those of rules that are gone."""
    DIRECTORY.mkdir(exist_ok=True)
    wanted = pages()
    for stale in DIRECTORY.glob("*.md"):
        if stale.name not in wanted:
            stale.unlink()
    for name, text in wanted.items():
        (DIRECTORY / name).write_bytes(text.encode())


if __name__ == "__main__":
    main()
