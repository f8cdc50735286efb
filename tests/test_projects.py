"""Projects of several files, one for each mechanism: fates, findings and evidence, whichever of the files are named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pytest
from projects import PROJECTS, Project, evidence, findings, inventory, projects, told
from test_fixtures import compare

from leaklint.app import Options, Run, check
from leaklint.engine import check_program


@dataclass
class Copy:
    """A project that stands alone, and what a run on it finds. It is the working directory."""

    project: Project

    @cached_property
    def run(self) -> Run:
        return check(["."], options=Options(), jobs=1)


@pytest.fixture(params=projects(), ids=lambda project: project.name, scope="module")
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    project: Project = request.param
    root = tmp_path_factory.mktemp("projects") / project.name
    shutil.copytree(project.directory, root)
    (root / "pyproject.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield Copy(project)


def test_fates(copy: Copy) -> None:
    wanted = copy.project.spawns
    assert told(inventory(copy.run, wanted)) == told(wanted)


def test_findings(copy: Copy) -> None:
    assert copy.run.failures == ()
    assert told(findings(copy.run)) == told(copy.project.findings)


def test_evidence(copy: Copy, *, update: bool) -> None:
    compare(PROJECTS / f"{copy.project.name}.out", evidence(copy.run), update=update)


def test_a_verdict_does_not_depend_on_the_files_that_are_named(copy: Copy) -> None:
    for path in copy.project.files:
        alone = check([path], options=Options(), jobs=1)
        assert alone.tasks == tuple(entry for entry in copy.run.tasks if entry.task.path == path)
        assert alone.diagnostics == tuple(found for found in copy.run.diagnostics if found.path == path)


def test_a_verdict_does_not_depend_on_the_order_of_the_files(copy: Copy) -> None:
    inputs = copy.project.inputs
    wanted = check_program(inputs)
    for order in (inputs[::-1], inputs[1::2] + inputs[::2]):
        found = check_program(order)
        assert sorted(found, key=lambda outcome: outcome.path) == list(wanted)
