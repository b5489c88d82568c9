"""A small class that is graded for real, once in a test run; each test works on a copy of it."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.building.build import build_week, write_week
from autograder.course.folder import Course
from autograder.execution.executor import here
from autograder.grading.grade import grade_week
from autograder.reporting.class_page import class_of
from autograder.reporting.class_stats import ClassFacts
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from .tiny_week import WEEK as WEEK
from .tiny_week import WEEK_TOML, write_tiny_week

ATTACK = "<img src=x onerror=alert(1)>"
"""The name of a learner, who also writes it into an answer."""
FORMULA = '=HYPERLINK("http:x")'
DOUBLE, QUADRUPLE = "def double(number):\n    return number + number", "def quadruple(number):\n    return 4 * number"
SAME = "def double(number):\n    return number"
ESSAY = "Because a sum of two equal numbers is twice the number."
ANSWERS = {
    "ann": {"double": DOUBLE, "quadruple": QUADRUPLE, "written-why": ESSAY},
    "bob": {"double": SAME, "quadruple": QUADRUPLE},
    "cleo": {"double": SAME},
    "dan": {},
    FORMULA: {"double": DOUBLE, "quadruple": QUADRUPLE},
    ATTACK: {"double": f"# {ATTACK}\n{DOUBLE}", "written-why": ATTACK},
    "Zoë 李": {"double": DOUBLE, "quadruple": "while True: pass", "written-why": ESSAY},
}
"""Learner -> answers by cell; what is not there stays as it was handed out."""
BROKEN = "erin"
TITLE = {WEEK: "01 Doubling"}
POINTS = {"ann": 80.0, "bob": 40.0, "cleo": 0.0, "dan": 0.0, FORMULA: 80.0, ATTACK: 40.0, "Zoë 李": 40.0}
WAITING = {"ann", ATTACK, "Zoë 李"}
"""Learners whose written answer a person has to read."""


@dataclass(frozen=True)
class GradedClass:
    root: Path
    course: Course
    built: Notebooks


def make(root: Path) -> None:
    """Write, hand in and grade; everybody but BROKEN, whose file is not a notebook."""
    folder = write_tiny_week(root, toml=WEEK_TOML.replace("cell_seconds = 2", "cell_seconds = 1"))
    built = build_week(load_week(folder))
    write_week(built, root)
    course = Course.at(root, Path("course"))
    for learner, answers in ANSWERS.items():
        notebook = copy.deepcopy(built.learner)
        for cell in notebook.cells:
            if cell.id in answers:
                cell.source = answers[cell.id] if cell.cell_type == "code" else f"{cell.source}\n\n{answers[cell.id]}"
        hand_in(course, learner, json.dumps(notebook))
    hand_in(course, BROKEN, "{")
    grade_week(folder, course, crew=here(2))


def facts_of(graded: GradedClass) -> ClassFacts:
    return class_of(graded.built, graded.course)


def hand_in(course: Course, learner: str, text: str) -> None:
    path = course.submitted / learner / WEEK / "tiny.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def give(course: Course, learner: str, cell: str, points: float | None = None, comment: str = "") -> None:
    """What an instructor does in the formgrader."""
    from nbgrader.api import Gradebook

    with Gradebook(course.db_url) as gradebook:
        if points is not None:
            grade = gradebook.find_grade(cell, "tiny", WEEK, learner)
            grade.manual_score, grade.needs_manual_grade = points, False
        if comment:
            gradebook.find_comment(cell, "tiny", WEEK, learner).manual_comment = comment
        gradebook.db.commit()


@pytest.fixture(scope="session")
def class_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("graded-class") / "checkout"
    make(root)
    return root


@pytest.fixture
def graded(class_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GradedClass:
    """A copy of the graded class; the current folder is its checkout."""
    root = tmp_path / "checkout"
    shutil.copytree(class_once, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("WORKBOOK_COURSE", raising=False)
    return GradedClass(root, Course.at(root, Path("course")), build_week(load_week(root / "solutions" / WEEK)))


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))
