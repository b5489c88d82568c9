"""What plain nbgrader gives for notebooks of learners: `nbgrader autograde`, in a course of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from autograder.course.folder import Course
from autograder.gradebook.store import register
from autograder.week.cells import Test
from autograder.week.notebooks import Notebooks

from .notebook import Notebook

CONFIG = Path(__file__).parents[2] / "nbgrader_config.py"


def by_nbgrader(built: Notebooks, notebooks: Mapping[str, Notebook]) -> dict[str, frozenset[str] | None]:
    """Name of a notebook -> exercises whose tests pass; None where nbgrader does not grade it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "nbgrader_config.py").write_text(CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
        course = Course.at(root, Path("course"))
        course.folder.mkdir()
        register(built, course)  # the hook finds the week there and takes it as it is
        week = built.week
        for name, notebook in notebooks.items():
            path = course.submitted / name / week.name / f"{week.topic}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(notebook), encoding="utf-8")
        environment = os.environ | {"JUPYTER_CONFIG_DIR": str(root / "none"), "WORKBOOK_COURSE": str(course.folder)}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [sys.executable, "-m", "nbgrader", "autograde", week.name, "--student"]
        for name in notebooks:  # each alone: some stop nbgrader, a copied cell with the same id among them
            subprocess.run([*command, name], cwd=root, env=environment, capture_output=True, check=False)
        return {name: _passed(built, course, name) for name in notebooks}


def _passed(built: Notebooks, course: Course, learner: str) -> frozenset[str] | None:
    from nbgrader.api import Gradebook, MissingEntry

    week = built.week
    with Gradebook(course.db_url) as gradebook:
        try:
            (notebook,) = gradebook.find_submission(week.name, learner).notebooks
        except MissingEntry:
            return None
        scores = {grade.name: grade.auto_score for grade in notebook.grades}
    if not any(scores.values()) and not (course.folder / "autograded" / learner / week.name).is_dir():
        return None
    failed = {
        cell.name
        for cell in week.of_kind(Test)
        if isinstance(cell.words, Test) and scores.get(cell.id) != cell.words.points
    }
    return frozenset(week.exercises) - failed
