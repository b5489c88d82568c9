"""Every week: its tests are proven, its notebooks are fresh, and plain nbgrader grades it as we do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from autograder.authoring.lies import find_lies
from autograder.authoring.matrix import Matrix
from autograder.authoring.modes import differences
from autograder.authoring.mutants import try_mutants
from autograder.authoring.proof import Found, Part, Proof, read_proof
from autograder.authoring.verify import verify_week
from autograder.building.build import build_week
from autograder.course.folder import Course
from autograder.engine import sandbox
from autograder.execution.job import Code, Job, Mode
from autograder.execution.make_job import graded_cells, make_job
from autograder.execution.pool import Team
from autograder.execution.verdicts import Verdict
from autograder.week.cells import Exercise, Explore, Look, Test
from autograder.week.locate import all_weeks
from autograder.week.notebooks import to_text
from autograder.week.source import load_info, load_week
from autograder.week.variants import load_misconceptions

from .chosen import MATRICES, ROOT, long_weeks, weeks_to_prove

WEEKS = all_weeks(ROOT)


@cache
def matrix_of(name: str, mode: Mode) -> Matrix:
    """The matrix of a week, run once in each mode."""
    return verify_week(ROOT / "solutions" / name, mode=mode, workers=2)


@pytest.mark.parametrize("name", weeks_to_prove())
def test_the_tests_of_a_week_are_proven(name: str) -> None:
    """Reference and alternatives earn every point, stubs none, misconceptions get their message."""
    assert matrix_of(name, Mode.NOTEBOOK).misses == []


@pytest.mark.parametrize("name", weeks_to_prove())
def test_the_tests_of_a_week_are_proven_through_handles(name: str) -> None:
    """The same with answers in sandboxes and tests in the judge."""
    assert sandbox.missing() == ""
    assert matrix_of(name, Mode.SANDBOX).misses == []


@pytest.mark.parametrize("name", weeks_to_prove())
def test_verdicts_are_the_same_in_a_notebook_and_through_handles(name: str) -> None:
    found = [Found(digest="", **matrix_of(name, mode).summary()) for mode in (Mode.NOTEBOOK, Mode.SANDBOX)]
    proof = Proof(parts=dict(zip((Part.NOTEBOOK, Part.SANDBOX), found, strict=True)))
    assert differences(load_week(ROOT / "solutions" / name), proof) == []


@pytest.mark.parametrize("name", WEEKS)
def test_the_kept_verdicts_are_the_same_in_a_notebook_and_through_handles(name: str) -> None:
    """What `proof.json` keeps of both matrices: a week with a fresh proof is not run here again."""
    folder = ROOT / "solutions" / name
    proof = read_proof(folder)
    for part in {*MATRICES} & {*proof.parts}:
        assert len(proof.parts[part].rejecting) == len(load_misconceptions(load_week(folder)))
    assert differences(load_week(folder), proof) == []


def words_of_the_course(message: str) -> tuple[str, str]:
    """Of a failed check what the test says: what was checked, and the likely cause. Sizes may be drawn anew."""
    first, *others = re.sub(r"\d+", "#", message).splitlines()
    return first, next((line for line in others if line.startswith("  likely cause:")), "")


@pytest.mark.parametrize("name", weeks_to_prove())
def test_messages_are_the_same_in_a_notebook_and_through_handles(name: str) -> None:
    rows = zip(matrix_of(name, Mode.NOTEBOOK).rows, matrix_of(name, Mode.SANDBOX).rows, strict=True)
    said = {
        here.name: (words_of_the_course(here.message), words_of_the_course(there.message))
        for here, there in rows
        if here.message
    }
    assert len(said) > 10
    assert {variant: both for variant, both in said.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("name", weeks_to_prove())
def test_every_hidden_test_rejects_a_misconception_through_handles(name: str) -> None:
    """A check that something did not happen could pass for nothing where arguments are copies."""
    week = load_week(ROOT / "solutions" / name)
    hidden = {cell.id for cell in week.of_kind(Test) if "### BEGIN HIDDEN TESTS" in cell.source}
    rows = [row for row in matrix_of(name, Mode.SANDBOX).rows if row.kind == "misconception"]
    rejecting = {test for row in rows for test in hidden - {*row.left_out} if row.verdicts.get(test) == "FAIL"}
    assert hidden
    assert hidden - rejecting == set()


@pytest.mark.parametrize("name", long_weeks())
def test_lies_earn_nothing_but_in_the_cells_that_are_listed(name: str) -> None:
    """A process without an answer that lies to the judge. The lists (`lies.json` of a week) may only get shorter."""
    assert find_lies(ROOT / "solutions" / name, workers=2).misses == []


@pytest.mark.parametrize("name", long_weeks())
def test_every_change_of_a_reference_is_noticed_or_explained(name: str) -> None:
    report = try_mutants(ROOT / "solutions" / name, workers=2)
    alive = [f"line {one.line}: {one.mutant.change}" for one in report.alive]
    assert list(report.problems) == []
    assert alive == []


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    """One warm process for all weeks: its imports take longer than the stubs of a week."""
    libraries = sorted({one for name in WEEKS for one in load_info(ROOT / "solutions" / name).libraries})
    with Team(1, libraries=libraries) as team:
        yield team


@pytest.mark.parametrize("name", WEEKS)
def test_untouched_stubs_earn_nothing_and_look_cells_survive_them(name: str, team: Team) -> None:
    """Every test fails. A look cell says that there is nothing to see yet; it never raises and never warns."""
    week = load_week(ROOT / "solutions" / name)
    learner = build_week(week).learner
    kinds = {cell.id: cell.words for cell in week.cells}
    cells = [c for c in learner.cells if c.cell_type == "code" and not isinstance(kinds[c.id], Explore)]
    job = Job("stubs", tuple(Code(cell.id, cell.source) for cell in cells), week.info.limits)
    (run,) = team.run([job])
    for cell in cells:
        wanted = Verdict.FAIL if isinstance(kinds[cell.id], Test) else Verdict.PASS
        assert run.cells[cell.id].verdict is wanted, (cell.id, run.cells[cell.id].message)
        if isinstance(kinds[cell.id], Look):
            printed = "".join(o.get("text", "") for o in run.cells[cell.id].outputs)
            assert "this exercise is not written" in printed, (cell.id, printed)
            assert "Warning" not in printed, (cell.id, printed)


@pytest.fixture(scope="module")
def judged() -> Iterator[Team]:
    """As submissions are judged: course cells in the judge as well, where a learner's names are unknown."""
    libraries = sorted({one for name in WEEKS for one in load_info(ROOT / "solutions" / name).libraries})
    with Team(2, libraries=libraries, mode=Mode.UNSAFE) as team:
        yield team


TYPO = "def half(:\n    return None\n"


@pytest.mark.parametrize("name", WEEKS)
def test_no_cell_of_the_course_fails_because_of_an_answer(name: str, judged: Team) -> None:
    """Each answer is missing, then holds a syntax error: what is given runs all the same, on both sides."""
    week = load_week(ROOT / "solutions" / name)
    built = build_week(week)
    tests = {cell.id for cell in week.of_kind(Test)}
    answers = [cell.id for cell in week.of_kind(Exercise)]
    course = [cell for cell in graded_cells(week) if cell not in tests and cell not in answers]
    untested = [cell for cell in graded_cells(week) if cell not in tests]
    jobs = []
    for broken in answers:
        jobs.append(make_job(built, f"without {broken}", [cell for cell in untested if cell != broken], {}))
        jobs.append(make_job(built, f"a typo in {broken}", untested, {broken: TYPO}))
    assert len(jobs) >= 2
    failed = {
        (run.name, cell): run.cells[cell].message
        for run in judged.run(jobs)
        for cell in course
        if run.cells[cell].verdict is not Verdict.PASS
    }
    assert failed == {}


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


@pytest.mark.parametrize("name", WEEKS)
def test_each_version_of_a_week_is_in_the_changelog(name: str) -> None:
    """What changed for those who have the week: points, stubs or tests, in a line."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = load_info(ROOT / "solutions" / name).version
    missing = [f"week {name[4:6]}, version {one}:" for one in range(2, version + 1)]
    assert [line for line in missing if line not in text] == []
