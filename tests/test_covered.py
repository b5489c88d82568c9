"""What `make coverage` counts: also lines that run only in processes which the engine ends by force."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest

from autograder.engine import child, judge
from autograder.engine.guest import keeper, learner_process
from autograder.execution import executor, pool

from . import covered
from .covered import Counted

JUDGED = """
import sys, tempfile
from pathlib import Path

from autograder.building.build import build_week
from autograder.execution.job import Mode
from autograder.execution.make_job import graded_cells, make_job
from autograder.execution.pool import Team
from autograder.week.source import load_week
from tests.tiny_week import write_tiny_week

with tempfile.TemporaryDirectory() as folder:
    week = build_week(load_week(write_tiny_week(Path(folder))))
job = make_job(week, "ann", graded_cells(week.week), {"double": "def double(number):\\n    return 2 * number"})
for mode in (Mode.SANDBOX, Mode.UNSAFE):
    with Team(1, mode=mode) as team:
        (run,) = team.run([job])
        assert run.cells["double-test-1"].verdict == "PASS", run
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> coverage.Coverage:
    """What was counted while a submission was judged, in a sandbox and without one."""
    folder = tmp_path_factory.mktemp("coverage") / "lines"
    assert covered.measure([sys.executable, "-c", JUDGED], folder) == 0
    return covered.combined(folder)


def ran(found: coverage.Coverage, function: Callable[..., Any]) -> int:
    """How many statements in the body of a function ran."""
    assert isinstance(function, FunctionType)
    _, statements, _, missing, _ = found.analysis2(function.__code__.co_filename)
    lines, first = inspect.getsourcelines(function)
    body = set(range(first + 1, first + len(lines)))
    return len(body & (set(statements) - set(missing)))


@pytest.mark.parametrize(
    ("process", "function"),
    [
        ("the one that grades", pool.Team._judged),
        ("the one that grades, and the judge", child.Started.end),
        ("a judge, which ends by os._exit or is killed", judge.Judge.run),
        ("a learner's, which is always killed", learner_process._reply),
        ("a keeper, which ends by os._exit", keeper._Watch.until_the_end),
    ],
)
def test_lines_are_counted_in_each_process(
    found: coverage.Coverage, process: str, function: Callable[..., Any]
) -> None:
    assert ran(found, function) >= 3, process


def test_lines_that_nothing_ran_are_not_counted(found: coverage.Coverage) -> None:
    assert ran(found, executor.here) == 0


def test_packages_are_counted_by_folder(found: coverage.Coverage) -> None:
    packages = covered.by_package(found)
    assert {"autograder", "autograder/engine", "autograder/engine/guest", "shared"} <= set(packages)
    assert packages["autograder/marking"].ran == 0
    assert 0 < packages["autograder/engine"].ran < packages["autograder/engine"].statements
    assert Counted(8, 2).percent == 25
    assert Counted().percent == 100


def test_the_environment_of_a_counted_process_is_as_without(tmp_path: Path) -> None:
    """Tests and grading see no variable of coverage's."""
    script = "import os, sys; sys.exit(any(name.startswith('COVERAGE') for name in os.environ))"
    assert covered.measure([sys.executable, "-c", script], tmp_path / "lines") == 0
