"""Time `leaklint tasks` on a directory of Python code, such as an unpacked corpus of packages.

python benchmarks/time_tasks.py DIRECTORY [--jobs N] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path


def main() -> None:
    """Run the command several times and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--jobs", type=int, help="processes; as many as there are processors if not given")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    files, lines = size(given.directory)
    jobs = ["-j", str(given.jobs)] if given.jobs else []
    command = [sys.executable, "-m", "leaklint", "tasks", "--format", "json", *jobs, str(given.directory)]
    timed = [run(command) for _ in range(given.runs)]
    seconds = [each for each, _ in timed]
    fates = Counter(task["fate"] for task in json.loads(timed[0][1])["tasks"])
    print(f"{files} files, {lines} lines, {fates.total()} tasks")
    print(", ".join(f"{count} {fate}" for fate, count in fates.most_common()))
    print(f"best {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s of {given.runs} runs")
    print(f"{lines / min(seconds) / 1000:.0f} thousand lines a second")


def size(directory: Path) -> tuple[int, int]:
    """How many Python files there are, with how many lines."""
    files = [path for path in directory.rglob("*.py") if path.is_file()]
    return len(files), sum(path.read_bytes().count(b"\n") for path in files)


def run(command: list[str]) -> tuple[float, bytes]:
    """Seconds that the command takes, and its output."""
    started = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return time.perf_counter() - started, output


if __name__ == "__main__":
    main()
