"""Time the steps of a run on 1, 2, 4 and 8 copies of a directory of Python code, in one process.

python benchmarks/time_link.py DIRECTORY [--copies 1,2,4,8] [--joined]

The steps: `find` (files, and which of them import one another), `collect` (parsing and lowering), `link` (what to read
next, and where names lead across modules), `judge` (fates and rules). The copies lie beside one another under different
names; with `--joined` they are one program, as one more file imports them all.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaklint import reading
from leaklint.adapters import pool
from leaklint.adapters.files import Sources, discover
from leaklint.analysis import Analysis
from leaklint.app import Configuration, Options, jobs_of

STEPS = ("find", "collect", "link", "judge")
SPENT: dict[str, float] = defaultdict(float)


def main() -> None:
    """Print a table: a line for each number of copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--copies", default="1,2,4,8")
    parser.add_argument("--joined", action="store_true")
    given = parser.parse_args()
    instrument()
    print("copies  modules  functions  tasks  " + "  ".join(f"{step:>9}" for step in STEPS) + "    share of link")
    for count in map(int, given.copies.split(",")):
        with tempfile.TemporaryDirectory() as place:
            copy(given.directory, Path(place), count, joined=given.joined)
            os.chdir(place)
            modules, functions, tasks = run()
            os.chdir("/")
        total = sum(SPENT[step] for step in STEPS)
        figures = "  ".join(f"{SPENT[step]:7.2f} s" for step in STEPS)
        print(f"{count:6}  {modules:7}  {functions:9}  {tasks:5}  {figures}    {SPENT['link'] / total:.1%}", flush=True)


def copy(directory: Path, place: Path, count: int, *, joined: bool) -> None:
    """Lay so many copies side by side."""
    for number in range(count):
        shutil.copytree(directory, place / f"copy_{number}", ignore=_no_code)
    if joined:
        inits = (init.parent for init in place.rglob("__init__.py"))
        packages = sorted(package for package in inits if not (package.parent / "__init__.py").exists())
        lines = [f"import {package.relative_to(place).as_posix().replace('/', '.')}" for package in packages]
        (place / "everything.py").write_text("\n".join(lines) + "\n")


def _no_code(_: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py") and "." in name]


def run() -> tuple[int, int, int]:
    """Judge everything in the working directory; the numbers of modules, functions and tasks."""
    SPENT.clear()
    gc.collect()
    gc.disable()
    started = time.process_time()
    configuration = Configuration(Options())
    found = discover(["."], exclusion_for=configuration.exclusion, layout=configuration.layout)
    sources = Sources()
    jobs = jobs_of(found.groups, configuration.settings, configuration.layout, sources)
    SPENT["find"] += time.process_time() - started
    modules = functions = tasks = 0
    for job in jobs:
        facts = read(job, sources)
        started = time.process_time()
        analysis = Analysis(facts)
        for each in facts:
            tasks += len(analysis.findings(each).tasks)
        SPENT["judge"] += time.process_time() - started
        modules += len(facts)
        functions += sum(len(each.functions) for each in facts)
        gc.collect()
    gc.enable()
    return modules, functions, tasks


def read(job: pool.Job, sources: Sources) -> tuple[Any, ...]:
    """The linked facts of a program. What is not collecting is linking."""
    texts = []
    for entry in job.entries:
        data = sources.take(entry.file)
        if isinstance(data, bytes):
            texts.append(reading.Text(entry.file.path, entry.module, data, entry.aliases))
    before = SPENT["collect"]
    started = time.process_time()
    facts = reading.read_program(texts).facts
    SPENT["link"] += time.process_time() - started - (SPENT["collect"] - before)
    return facts


def instrument() -> None:
    """Have the time of parsing and lowering noted, to be told from the rest of reading."""
    for name in ("read_source", "collect", "mentions_spawn", "decode"):
        setattr(reading, name, timed(getattr(reading, name), "collect"))


def timed(function: Callable[..., Any], step: str) -> Callable[..., Any]:
    """A function whose CPU time is added to a step."""

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        started = time.process_time()
        try:
            return function(*args, **options)
        finally:
            SPENT[step] += time.process_time() - started

    return wrapped


if __name__ == "__main__":
    main()
