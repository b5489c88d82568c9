"""The checkout is a standard nbgrader course: its own commands work on it and give the same scores."""

from __future__ import annotations

import csv
import html
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
import pytest

from autograder.authoring.sample_class import make_class
from autograder.building import build
from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.database import open_gradebook
from autograder.course.folder import Course
from autograder.execution.executor import here
from autograder.grading import nbgrader_hooks
from autograder.grading.grade import grade_week
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..tiny_week import WEEK, write_nbgrader_config, write_tiny_week

pytestmark = pytest.mark.nbgrader

LEARNERS = ("reference", "right-with-a-warning", "untouched-stubs", "wrong-small-only")
WARNING = """

silent = double
def double(number):
    import warnings
    warnings.warn("what a library says of a right answer", stacklevel=2)
    return silent(number)
"""


@dataclass(frozen=True)
class Checkout:
    """A checkout with the tiny week, the project's own nbgrader_config.py, and two folders with the same class."""

    root: Path
    built: Notebooks
    ours: Course
    plain: Course


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """`ours` is graded by grade_week; in `plain` nothing has been done yet but handing in."""
    root = tmp_path_factory.mktemp("checkout")
    folder = write_tiny_week(root)
    write_nbgrader_config(root)
    built = build_week(load_week(folder))
    ours, plain = Course.at(root, Path("ours")), Course.at(root, Path("plain"))
    for learner in make_class(built, ours):
        if learner not in LEARNERS:
            shutil.rmtree(ours.submitted / learner)
    shutil.copytree(ours.submitted / "reference", ours.submitted / "right-with-a-warning")
    path = ours.submitted / "right-with-a-warning" / WEEK / "tiny.ipynb"
    notebook = nbformat.read(path, 4)
    next(cell for cell in notebook.cells if cell.id == "double").source += WARNING
    nbformat.write(notebook, path)
    shutil.copytree(ours.submitted, plain.submitted)
    grade_week(folder, ours, crew=here(2), feedback=False)
    return Checkout(root, built, ours, plain)


def nbgrader(checkout: Checkout, course: Course, *words: str) -> subprocess.CompletedProcess[str]:
    """One of nbgrader's commands in the checkout; $WORKBOOK_COURSE names the class."""
    tools = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": tools + os.pathsep + os.environ.get("PATH", ""),
        "WORKBOOK_COURSE": str(course.folder),
        "JUPYTER_CONFIG_DIR": str(checkout.root / "no-config"),
    }
    command = [sys.executable, "-m", "nbgrader", *words]
    return subprocess.run(command, cwd=checkout.root, env=environment, capture_output=True, text=True, check=False)


def scores(course: Course, learner: str) -> dict[str, tuple[float | None, float, bool]]:
    """Graded cell -> points, possible points, and whether the instructor has to look."""
    from nbgrader.api import Gradebook

    with Gradebook(course.db_url) as gradebook:
        (notebook,) = gradebook.find_submission(WEEK, learner).notebooks
        return {g.name: (g.auto_score, g.max_score, g.needs_manual_grade) for g in notebook.grades}


def test_plain_nbgrader_needs_no_other_step_and_gives_the_same_scores(checkout: Checkout) -> None:
    assert not checkout.plain.gradebook.exists(), "nothing was released or registered before"
    done = nbgrader(checkout, checkout.plain, "autograde", WEEK)
    assert done.returncode == 0, done.stderr
    found = {learner: scores(checkout.plain, learner) for learner in LEARNERS}
    assert found == {learner: scores(checkout.ours, learner) for learner in LEARNERS}
    assert {learner: sum(score or 0 for score, _, _ in cells.values()) for learner, cells in found.items()} == {
        "reference": 80,
        "right-with-a-warning": 80,
        "untouched-stubs": 0,
        "wrong-small-only": 60,
    }
    assert not (checkout.root / "course").exists(), "the class lies where $WORKBOOK_COURSE says"


def test_nbgrader_grades_on_in_a_gradebook_of_ours(checkout: Checkout, tmp_path: Path) -> None:
    course = Course(checkout.root, tmp_path / "class")
    shutil.copytree(checkout.ours.folder, course.folder)
    stub, right = (course.submitted / name / WEEK / "tiny.ipynb" for name in ("untouched-stubs", "reference"))
    shutil.copy(right, stub)
    done = nbgrader(checkout, course, "autograde", WEEK, "--student", "untouched-stubs", "--force")
    assert done.returncode == 0, done.stderr
    assert scores(course, "untouched-stubs") == scores(checkout.ours, "reference")
    assert scores(course, "wrong-small-only") == scores(checkout.ours, "wrong-small-only")


def unhighlighted(page: str) -> str:
    """The text of a page, also of code in colors."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def test_nbgrader_writes_feedback_from_our_autograded_notebooks(checkout: Checkout) -> None:
    ours = checkout.ours.feedback / "wrong-small-only" / WEEK / "tiny.html"
    ours.parent.mkdir(parents=True)
    ours.write_text("a page of ours", encoding="utf-8")
    done = nbgrader(checkout, checkout.ours, "generate_feedback", WEEK, "--student", "wrong-small-only", "--force")
    assert done.returncode == 0, done.stderr
    folder = checkout.ours.folder / "nbgrader_feedback" / "wrong-small-only" / WEEK
    page = (folder / "tiny.html").read_text(encoding="utf-8")
    assert "(Score: 60.0 / 100.0)" in page
    assert "No response." in page
    assert "checks.equal(double(0), 0" in unhighlighted(page), "visible tests are shown"
    assert "10**9" not in unhighlighted(page), "hidden ones are not"
    assert "1000000000" not in unhighlighted(page), "nor what they said"
    assert ours.read_text(encoding="utf-8") == "a page of ours", "nbgrader deletes and writes in another folder"


def test_nbgraders_own_commands_take_what_being_late_costs(checkout: Checkout, tmp_path: Path) -> None:
    course = Course(checkout.root, tmp_path / "class")
    shutil.copytree(checkout.ours.folder, course.folder)
    rules = 'timezone = "UTC"\n[due]\nweek01 = 2026-03-02T12:00:00\n[late]\npercent_a_day = 10\n'
    (course.folder / "course.toml").write_text(rules, encoding="utf-8")
    with open_gradebook(course) as gradebook:
        gradebook.find_submission(WEEK, "reference").timestamp = datetime(2026, 3, 2, 13, 0)
        gradebook.db.commit()
    done = nbgrader(checkout, course, "export", "--to", str(tmp_path / "grades.csv"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "grades.csv").open(encoding="utf-8") as file:
        found = {row["student_id"]: (row["raw_score"], row["score"]) for row in csv.DictReader(file)}
    assert found["reference"] == ("80.0", "72.0")
    assert found["wrong-small-only"] == ("60.0", "60.0")
    done = nbgrader(checkout, course, "generate_feedback", WEEK, "--student", "reference", "--force")
    assert done.returncode == 0, done.stderr
    page = (course.folder / "nbgrader_feedback" / "reference" / WEEK / "tiny.html").read_text(encoding="utf-8")
    assert "(Score: 72.0 / 100.0)" in page


def test_the_hook_registers_a_week_once(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbgrader.api import Gradebook

    monkeypatch.setattr(nbgrader_hooks, "__file__", str(checkout.root / "autograder" / "grading" / "nbgrader_hooks.py"))
    monkeypatch.setenv("WORKBOOK_COURSE", str(tmp_path / "class"))
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    with pytest.raises(WorkbookError, match=r"there is no week 'week09_none' -> .*week01_tiny"):
        nbgrader_hooks.register_week("week09_none", "ann", ["tiny"])
    nbgrader_hooks.register_week(WEEK, "ann", ["tiny"])
    assert os.environ["PYTHONWARNINGS"] == "ignore"
    with Gradebook(Course(tmp_path, tmp_path / "class").db_url) as gradebook:
        assert gradebook.find_assignment(WEEK).max_score == 100
        assert len(gradebook.find_notebook("tiny", WEEK).grade_cells) == 5
        assert not gradebook.students
    monkeypatch.setattr(build, "build_week", lambda week: pytest.fail("it is there already"))
    nbgrader_hooks.register_week(WEEK, "bob", ["tiny"])
