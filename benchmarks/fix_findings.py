"""What `leaklint fix --unsafe-fixes` could do about the findings in directories, by rule and by reason, as Markdown.

    python benchmarks/fix_findings.py DIRECTORY...

Nothing is written into them. Each directory is a project of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

KINDS = ("safe", "unsafe", "refused")


def main() -> None:
    """Print three tables: by rule, the hazards of the unsafe fixes, the reasons of those that are refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    rules: dict[str, Counter[str]] = defaultdict(Counter)
    hazards: Counter[tuple[str, str]] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    for directory in parser.parse_args().directories:
        said = fixes(directory)
        for finding in said["fixed"]:
            rules[finding["code"]][finding["fix"]["applicability"]] += 1
            hazards.update((name, finding["code"]) for name in names(finding["fix"]["hazards"]))
        for finding in said["remaining"]:
            rules[finding["code"]]["refused"] += 1
            reasons.update((name, finding["code"]) for name in names(finding["reasons"]))
    total = sum(rules.values(), Counter())
    rows = [*sorted(rules.items()), ("all", total)]
    table(("rule", "findings", *KINDS), ((code, n.total(), *(n[kind] for kind in KINDS)) for code, n in rows))
    table(("hazard of unsafe fixes", "rules", "findings"), by_name(hazards))
    table(("reason of refusals", "rules", "findings"), by_name(reasons))
    print(f"\nfixed by safe or unsafe fixes: {(total['safe'] + total['unsafe']) / max(total.total(), 1):.0%}")


def fixes(directory: Path) -> Any:
    """What the command says of a directory."""
    options = ["--check", "--unsafe-fixes", "--format", "json", "--quiet"]
    command = [sys.executable, "-m", "leaklint", "fix", *options, str(directory)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def names(hazards: Iterable[Any]) -> set[str]:
    """The names of hazards, each once."""
    return {hazard["name"] for hazard in hazards}


def by_name(counts: Counter[tuple[str, str]]) -> list[tuple[object, ...]]:
    """Rows of a name, the rules, and the number of findings, the most frequent first."""
    sums: Counter[str] = Counter()
    for (name, _), count in counts.items():
        sums[name] += count
    rules = {name: ", ".join(sorted({code for each, code in counts if each == name})) for name in sums}
    return [(f"`{name}`", rules[name], count) for name, count in sums.most_common()]


def table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Print a table."""
    print()
    for row in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
