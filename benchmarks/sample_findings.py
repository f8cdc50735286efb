"""Count the findings in real packages, and draw some of each rule for reading.

python benchmarks/sample_findings.py DIRECTORY [--per-rule 20] [--seed 2026] [--rules LK2,LK3]

DIRECTORY holds a directory for each package; each is checked by itself, with the default settings. Prints, for each
rule, how many findings there are and where the drawn ones are (`package/path:line`), as a list in Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path


def main() -> None:
    """Print a section for each rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--per-rule", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--rules", default="LK2,LK3")
    given = parser.parse_args()
    found: dict[str, list[str]] = defaultdict(list)
    for package in sorted(path for path in given.directory.iterdir() if path.is_dir()):
        for code, place in findings(package, given.rules):
            found[code].append(place)
    for code, places in sorted(found.items()):
        drawn = sorted(places, key=lambda place: lot(place, given.seed))[: given.per_rule]
        print(f"## {code}: {len(places)} findings\n", *(f"- `{place}`" for place in sorted(drawn)), "", sep="\n")


def lot(place: str, seed: int) -> bytes:
    """By what a place is drawn: a finding more or less changes nothing for the others."""
    return hashlib.sha256(f"{seed} {place}".encode()).digest()


def findings(package: Path, rules: str) -> list[tuple[str, str]]:
    """The code and place of every finding in a package."""
    command = [sys.executable, "-m", "leaklint", "check", "--isolated", "--format", "json", "--select", rules, "."]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{package.name}: {done.stderr}")
    entries = json.loads(done.stdout)["findings"]
    return [(entry["code"], f"{package.name}/{entry['path']}:{entry['line']}") for entry in entries]


if __name__ == "__main__":
    main()
