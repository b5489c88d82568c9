"""Every week: its tests are proven, its notebooks are fresh, and plain nbgrader grades it as we do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.build import build_week, to_text
from autograder.course import Course, all_weeks
from autograder.runner import Code, Job, Team, Verdict
from autograder.source import Explore, Look, Test, load_week
from autograder.verify import verify_week

from .chosen import ROOT, long_weeks

WEEKS = all_weeks(ROOT)


@pytest.mark.parametrize("name", WEEKS)
def test_the_tests_of_a_week_are_proven(name: str) -> None:
    """Reference and alternatives earn every point, stubs none, misconceptions get their message."""
    matrix = verify_week(ROOT / "solutions" / name, workers=2)
    assert matrix.misses == []


@pytest.mark.parametrize("name", WEEKS)
def test_look_cells_survive_untouched_stubs(name: str) -> None:
    """A look cell says that there is nothing to see yet; it never raises and never warns."""
    week = load_week(ROOT / "solutions" / name)
    learner = build_week(week).learner
    kinds = {cell.id: cell.words for cell in week.cells}
    skipped = Explore | Test
    cells = [c for c in learner.cells if c.cell_type == "code" and not isinstance(kinds[c.id], skipped)]
    job = Job("stubs", tuple(Code(cell.id, cell.source) for cell in cells), week.info.limits)
    with Team(1, libraries=week.info.libraries) as team:
        (run,) = team.run([job])
    for cell in cells:
        assert run.cells[cell.id].verdict is Verdict.PASS, (cell.id, run.cells[cell.id].message)
        if isinstance(kinds[cell.id], Look):
            printed = "".join(o.get("text", "") for o in run.cells[cell.id].outputs)
            assert "this exercise is not written" in printed, (cell.id, printed)
            assert "Warning" not in printed, (cell.id, printed)


@pytest.mark.nbgrader
@pytest.mark.parametrize("name", long_weeks())
def test_plain_nbgrader_grades_the_reference_and_the_stubs(name: str, tmp_path: Path) -> None:
    """`nbgrader autograde` alone, on a class that nothing was prepared for: full marks and none."""
    from nbgrader.api import Gradebook

    built = build_week(load_week(ROOT / "solutions" / name))
    answers = {cell.id: cell.source for cell in built.instructor.cells}
    for student in ("reference", "stubs"):
        notebook = build_week(built.week).learner
        for cell in notebook.cells:
            if student == "reference" and cell.id in built.week.exercises:
                cell.source = answers[cell.id]
        folder = tmp_path / "submitted" / student / name
        folder.mkdir(parents=True)
        (folder / f"{built.week.topic}.ipynb").write_text(to_text(notebook), encoding="utf-8")
    tools = Path(sys.executable).parent
    environment = os.environ | {"WORKBOOK_COURSE": str(tmp_path), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    command = [str(tools / "nbgrader"), "autograde", name, "--NbGrader.logfile="]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with Gradebook(Course(ROOT, tmp_path).db_url) as gradebook:
        scores = {s: gradebook.find_submission(name, s).code_score for s in ("reference", "stubs")}
    assert scores == {"reference": 80, "stubs": 0}
