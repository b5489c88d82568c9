"""The time of tests by week, and its projection, with one process and with several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .chosen import ROOT
from .durations import Durations

WEEKS = ["week01_first", "week02_second", "week03_third"]
CHOSEN = ["week01_first"]
CONFTEST = f"""
import pytest

from tests.durations import report_durations


def pytest_configure(config):
    report_durations(config, {WEEKS}, {CHOSEN})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    seconds = {{"test_of_every": 10, "test_of_chosen": 100, "test_of_none": 1000}}[item.originalname]
    report.duration = seconds if call.when == "call" and report.outcome != "skipped" else 0.2
    return report
"""
TESTS = f"""
import pytest


@pytest.mark.parametrize("name", {WEEKS})
def test_of_every(name):
    pass


@pytest.mark.parametrize("name", {WEEKS})
def test_of_chosen(name):
    if name not in {CHOSEN}:
        pytest.skip("not among the chosen weeks")


@pytest.mark.parametrize("number", range(4))
def test_of_none(number):
    assert number < 3
"""


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """pytest on TESTS in a process of its own, with the plugins that are named alone."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "test_small.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_prints_the_seconds_of_each_week_and_a_projection(tmp_path: Path, workers: int) -> None:
    done = run(tmp_path, "--durations", 3, "-p", "xdist", "-n", workers)
    assert done.returncode == 1, f"one test fails, and its time counts as well: {done.stdout}"
    rows = {name: float(seconds) for seconds, name in re.findall(r"^ +([\d.]+) s  (.+)$", done.stdout, re.MULTILINE)}
    assert rows == {"week01_first": 110.8, "week02_second": 11.0, "week03_third": 11.0, "the rest": 4001.6}
    assert re.search(r"^projection for 42 weeks: [\d.]+ min on 2 cores \(budget 30\)$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("words", [("-k", "of_none or of_chosen", "--durations", 3), ()], ids=["few", "not asked"])
def test_a_run_of_a_few_tests_prints_none(tmp_path: Path, words: tuple[object, ...]) -> None:
    done = run(tmp_path, *words)
    assert "1 failed" in done.stdout
    assert "projection" not in done.stdout


@pytest.mark.parametrize(
    ("nodeid", "week"),
    [
        ("tests/test_weeks.py::test_stubs[week02_second]", "week02_second"),
        ("tests/learner/test_screens.py::test_hints[week02_second-80]", "week02_second"),
        ("build/source/week03_third/third.ipynb::Cell 4", "week03_third"),
        ("tests/training_seeds/test_week03.py::test_week03_learns[small]", "week03_third"),
        ("tests/test_gpu_cells.py::test_week01_draws_large_models", "week01_first"),
        ("tests/course/test_course.py::test_a_typo_gets_a_suggestion[week02-week02_second]", "week02_second"),
        ("tests/authoring/test_new.py::test_the_number[week01_first-week02_second]", ""),
        ("tests/grading/test_grade.py::test_a_class[week01_tiny]", ""),
        ("tests/authoring/test_new.py::test_week01_other", "week01_first"),
        ("tests/feedback/test_diagnosis.py::test_every_misconception_of_week_1_is_told", ""),
        ("tests/grading/test_grade.py::test_week12_of_no_lesson", ""),
    ],
)
def test_the_week_that_a_test_belongs_to(nodeid: str, week: str) -> None:
    assert Durations(WEEKS, CHOSEN).week_of(nodeid) == week


def test_what_runs_for_every_week_grows_with_their_number() -> None:
    counted = Durations(WEEKS, CHOSEN)
    for week in WEEKS:
        counted.add(f"build/source/{week}/lesson.ipynb::Cell 1", 20)
        counted.add(f"tests/test_weeks.py::test_proof[{week}]", 0, ran=False)
    counted.add("tests/test_weeks.py::test_proof[week01_first]", 500)
    counted.add("tests/grading/test_grade.py::test_a_class", 40)
    assert counted.of_every_week == 60
    assert sum(counted.by_week.values()) + counted.rest == 600
    assert counted.projection(elapsed=600, workers=1) == (600 + 60 * 13) / 2 / 60
    assert counted.projection(elapsed=330, workers=2) == 330 * (600 + 60 * 13) / 600 / 60


def test_where_all_weeks_are_chosen_their_long_checks_grow_too() -> None:
    counted = Durations(WEEKS, WEEKS)
    for week in WEEKS:
        counted.add(f"tests/test_weeks.py::test_proof[{week}]", 100)
    assert counted.of_every_week == 300
    assert counted.projection(elapsed=300, workers=2) == 4200 / 60
