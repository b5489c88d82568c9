"""Grading a class: verdicts, nbgrader's gradebook, autograded notebooks, the CSV; one bad file stops nothing."""

from __future__ import annotations

import copy
import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.notebooknode import NotebookNode
from rich.console import Console

from autograder.authoring.sample_class import make_class
from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.engine.time_outs import Late
from autograder.execution.executor import here
from autograder.execution.job import Disturbed, InfraError, Job, Run
from autograder.execution.pool import Team
from autograder.execution.results import RERUN, Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.gradebook.grades_csv import write_csv
from autograder.gradebook.store import register
from autograder.grading.grade import Told, grade_week
from autograder.grading.progress import Meter
from autograder.week.cells import Test as TestCell
from autograder.week.notebooks import Notebooks
from autograder.week.source import Week, load_week

from ..tiny_week import LESSON, WEEK, WEEK_TOML, write_tiny_week

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

TESTS = ["double-test-1", "double-test-2", "quadruple-test-1", "quadruple-test-2"]
DOUBLE = "def double(number):\n    return number + number"
QUADRUPLE = "def quadruple(number):\n    return 4 * number"
RIGHT = {"double": DOUBLE, "quadruple": QUADRUPLE}


@dataclass(frozen=True)
class Sample:
    """A graded sample class, and a gradebook from before it was graded (a new one costs nbgrader 4 s)."""

    folder: Path
    built: Notebooks
    course: Course
    registered: Path
    week: Week
    outcomes: dict[str, Graded]
    started: list[int]
    done: list[str]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = tmp_path_factory.mktemp("checkout")
    folder = write_tiny_week(root, toml=WEEK_TOML.replace("cell_seconds = 2", "cell_seconds = 1"))
    built = build_week(load_week(folder))
    course = Course.at(root, Path("course"))
    register(built, course)
    registered = shutil.copy(course.gradebook, root / "registered.db")
    make_class(built, course)
    started: list[int] = []
    done: list[str] = []
    week, outcomes = grade_week(
        folder,
        course,
        crew=here(2),
        feedback=False,
        tell=Told(phase=lambda title, total: started.append(total), step=done.append),
    )
    by_name = {graded.student: graded for graded in outcomes}
    return Sample(folder, built, course, Path(registered), week, by_name, started, done)


@pytest.fixture
def course(sample: Sample, tmp_path: Path) -> Course:
    """An empty class whose gradebook knows the week."""
    course = Course(tmp_path, tmp_path / "course")
    course.folder.mkdir()
    shutil.copy(sample.registered, course.gradebook)
    return course


def answered(built: Notebooks, answers: dict[str, str]) -> NotebookNode:
    """The released notebook with these answers; the written answer is added to its cell."""
    notebook = copy.deepcopy(built.learner)
    for cell in notebook.cells:
        if cell.id == "written-why" and cell.id in answers:
            cell.source += "\n\n" + answers[cell.id]
        else:
            cell.source = answers.get(cell.id, cell.source)
    return notebook


def hand_in(course: Course, learner: str, content: NotebookNode | str, name: str = "tiny.ipynb") -> Path:
    folder = course.submitted / learner / WEEK
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def grade(sample: Sample, course: Course, *, again: bool = False) -> dict[str, Graded]:
    _, outcomes = grade_week(sample.folder, course, crew=here(1), again=again)
    return {graded.student: graded for graded in outcomes}


@contextmanager
def gradebook_of(course: Course) -> Iterator[Gradebook]:
    from nbgrader.api import Gradebook

    with Gradebook(course.db_url) as gradebook:
        yield gradebook


def cells_in_gradebook(course: Course, learner: str) -> dict[str, dict[str, Any]]:
    """What the gradebook holds of each graded cell of one learner."""
    with gradebook_of(course) as gradebook:
        (notebook,) = gradebook.find_submission(WEEK, learner).notebooks
        return {
            grade.name: {
                "auto": grade.auto_score,
                "manual": grade.manual_score,
                "max": grade.max_score,
                "needs_manual": grade.needs_manual_grade,
            }
            for grade in notebook.grades
        }


def auto_scores(course: Course, learner: str) -> list[float]:
    found = cells_in_gradebook(course, learner)
    return [found[test]["auto"] for test in TESTS]


def comments_in_gradebook(course: Course, learner: str) -> dict[str, str | None]:
    with gradebook_of(course) as gradebook:
        (notebook,) = gradebook.find_submission(WEEK, learner).notebooks
        return {comment.name: comment.comment for comment in notebook.comments}


def graded_learners(course: Course) -> set[str]:
    with gradebook_of(course) as gradebook:
        return {submission.student.id for submission in gradebook.assignment_submissions(WEEK)}


def autograded(course: Course, learner: str) -> NotebookNode:
    """The autograded notebook, read as nbgrader's formgrader reads it."""
    from nbgrader.nbgraderformat import read

    notebook = read(str(course.autograded / learner / WEEK / "tiny.ipynb"), as_version=4)
    nbformat.validate(notebook)
    return notebook


def printed(notebook: NotebookNode, cell_id: str) -> str:
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


# a sample class


@pytest.mark.parametrize(
    ("learner", "points", "verdicts"),
    [
        ("reference", (40, 40), "PASS PASS PASS PASS"),
        ("half-finished", (40, 0), "PASS PASS FAIL FAIL"),
        ("untouched-stubs", (0, 0), "FAIL FAIL FAIL FAIL"),
        ("wrong-small-only", (20, 40), "PASS FAIL PASS PASS"),
        ("raises-in-a-cell", (40, 0), "PASS PASS ERROR ERROR"),
        ("loops-for-ever", (40, 0), "PASS PASS TIMEOUT TIMEOUT"),
        ("leaves-by-os-exit", (40, 0), "PASS PASS CRASH CRASH"),
        ("stripped-metadata", (40, 40), "PASS PASS PASS PASS"),
        ("deleted-test-cell", (40, 40), "PASS PASS PASS PASS"),
        ("doubled-test-cell", (40, 40), "PASS PASS PASS PASS"),
    ],
)
def test_every_learner_of_the_sample_class_has_the_points_they_earned(
    sample: Sample, learner: str, points: tuple[int, int], verdicts: str
) -> None:
    graded = sample.outcomes[learner]
    assert graded.damaged == ""
    assert graded.points == {"double": points[0], "quadruple": points[1]}
    assert graded.total == sum(points)
    assert [graded.verdicts[test].verdict.value for test in TESTS] == verdicts.split()
    passed = [20.0 if verdict == "PASS" else 0.0 for verdict in verdicts.split()]
    assert auto_scores(sample.course, learner) == passed


def test_the_sample_class_is_whole_and_reported_in_order(sample: Sample) -> None:
    names = [*sample.outcomes]
    assert names == sorted(names)
    assert len(names) == 12
    assert {"broken-json", "wrong-same"} < set(names)
    assert sample.started == [12]
    assert sorted(sample.done) == names


def test_a_misconception_is_named_in_the_message(sample: Sample) -> None:
    done = sample.outcomes["wrong-same"].verdicts["double-test-1"]
    assert done.verdict == "FAIL"
    assert "this is the number itself" in done.message
    assert sample.outcomes["wrong-same"].points["double"] == 0


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ("raises-in-a-cell", "RuntimeError: left over from debugging"),
        ("loops-for-ever", "the cell ran longer than 1 s and was stopped"),
        ("leaves-by-os-exit", "the process ended inside this cell (exit code 0)"),
    ],
)
def test_where_the_answer_cell_broke_its_tests_say_so(sample: Sample, learner: str, message: str) -> None:
    verdicts = sample.outcomes[learner].verdicts
    assert [verdicts[test].message for test in TESTS[2:]] == [message, message]
    assert all(verdicts[test].in_answer for test in TESTS[2:])


def test_a_broken_file_is_reported_and_not_recorded(sample: Sample) -> None:
    broken = sample.outcomes["broken-json"]
    assert broken.damaged.startswith("the file breaks off in line ")
    assert (broken.points, broken.verdicts) == ({}, {})
    assert graded_learners(sample.course) == set(sample.outcomes) - {"broken-json"}
    assert not (sample.course.autograded / "broken-json").exists()


def test_repairs_are_noted(sample: Sample) -> None:
    assert sample.outcomes["deleted-test-cell"].notes == [
        "double-test-1 was not in your notebook; grading uses the course's own tests"
    ]
    assert sample.outcomes["reference"].notes == []


def test_what_a_submission_used_is_measured(sample: Sample) -> None:
    assert sample.outcomes["loops-for-ever"].cpu_seconds > sample.outcomes["reference"].cpu_seconds > 0
    assert sample.outcomes["reference"].peak_mib > 1


# the gradebook and the autograded notebooks


def test_the_gradebook_knows_points_and_what_is_left_for_the_instructor(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT | {"written-why": "It is a sum."}))
    hand_in(course, "bob", answered(sample.built, {"double": DOUBLE}))
    grade(sample, course)
    ann, bob = cells_in_gradebook(course, "ann"), cells_in_gradebook(course, "bob")
    assert set(ann) == {*TESTS, "written-why"}
    assert all(cell["max"] == 20 for cell in ann.values())
    assert ann["written-why"] == {"auto": None, "manual": None, "max": 20, "needs_manual": True}
    assert bob["written-why"] == {"auto": 0, "manual": None, "max": 20, "needs_manual": False}
    assert not any(ann[test]["needs_manual"] for test in TESTS)
    assert comments_in_gradebook(course, "ann") == {"double": None, "quadruple": None, "written-why": None}
    assert comments_in_gradebook(course, "bob") == {
        "double": None,
        "quadruple": "No response.",
        "written-why": "No response.",
    }
    with gradebook_of(course) as gradebook:
        assert gradebook.find_submission(WEEK, "ann").score == 80
        assert gradebook.find_submission(WEEK, "ann").needs_manual_grade
        assert gradebook.find_submission(WEEK, "bob").score == 40
        assert not gradebook.find_submission(WEEK, "bob").needs_manual_grade
        assert gradebook.find_assignment(WEEK).max_score == 100


def test_autograded_notebooks_are_valid_and_show_what_happened(sample: Sample, course: Course) -> None:
    notebook = answered(
        sample.built, RIGHT | {"double": "print('hello')\n" + DOUBLE, "quadruple": "raise ValueError(1)"}
    )
    own = nbformat.v4.new_code_cell("print('my own')")
    notebook.cells.insert(0, own)
    hand_in(course, "ann", notebook)
    grade(sample, course)
    result = autograded(course, "ann")
    assert printed(result, "double") == "hello\n"
    assert printed(result, "own-1") == "my own\n"
    failing = next(cell for cell in result.cells if cell.id == "quadruple-test-1")
    assert failing.outputs[-1].output_type == "error"
    counts = [cell.execution_count for cell in result.cells if cell.cell_type == "code"]
    assert [count for count in counts if count] == list(range(1, 9)), "look and explore cells are not run"
    assert "BEGIN HIDDEN TESTS" in next(cell for cell in result.cells if cell.id == "double-test-2").source


def test_every_autograded_notebook_of_the_sample_class_can_be_read(sample: Sample) -> None:
    for learner in graded_learners(sample.course):
        assert len(autograded(sample.course, learner).cells) >= len(sample.built.learner.cells)
    assert not list(sample.course.autograded.rglob("*.part"))


def test_a_cell_that_warns_or_writes_to_stderr_loses_no_points(sample: Sample, course: Course) -> None:
    loud = "import sys, warnings\n\ndef double(number):\n    warnings.warn('odd')\n    print('odd', file=sys.stderr)\n"
    hand_in(course, "ann", answered(sample.built, RIGHT | {"double": loud + "    return number + number"}))
    assert grade(sample, course)["ann"].total == 80
    assert auto_scores(course, "ann") == [20, 20, 20, 20]
    result = autograded(course, "ann")
    assert "odd" in printed(result, "double-test-1")
    assert not [o for cell in result.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]


def test_a_deleted_answer_is_missing(sample: Sample, course: Course) -> None:
    notebook = answered(sample.built, RIGHT)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "quadruple"]
    hand_in(course, "ann", notebook)
    ann = grade(sample, course)["ann"]
    assert [ann.verdicts[test].verdict.value for test in TESTS] == ["PASS", "PASS", "MISSING", "MISSING"]
    assert ann.verdicts["quadruple-test-1"].message == "no answer cell for 'quadruple' was found"
    assert ann.points == {"double": 40, "quadruple": 0}
    assert autograded(course, "ann")


# grading again


def test_grading_again_keeps_what_was_entered_by_hand_and_updates_the_rest(sample: Sample, course: Course) -> None:
    wrong = {"double": "def double(number):\n    return number", "written-why": "It is a sum."}
    hand_in(course, "ann", answered(sample.built, RIGHT | wrong))
    grade(sample, course)
    assert auto_scores(course, "ann") == [0, 0, 20, 20]
    with gradebook_of(course) as gradebook:
        gradebook.find_grade("written-why", "tiny", WEEK, "ann").manual_score = 15
        gradebook.find_grade("double-test-1", "tiny", WEEK, "ann").manual_score = 5
        gradebook.find_grade("quadruple-test-1", "tiny", WEEK, "ann").extra_credit = 2
        gradebook.find_comment("written-why", "tiny", WEEK, "ann").manual_comment = "Well said."
        gradebook.db.commit()
    hand_in(course, "ann", answered(sample.built, RIGHT | {"written-why": "It is a sum."}))
    assert grade(sample, course)["ann"].total == 80
    found = cells_in_gradebook(course, "ann")
    assert auto_scores(course, "ann") == [20, 20, 20, 20]
    assert found["written-why"]["manual"] == 15
    assert found["double-test-1"] == {"auto": 20, "manual": 5, "max": 20, "needs_manual": True}
    assert comments_in_gradebook(course, "ann")["written-why"] == "Well said."
    with gradebook_of(course) as gradebook:
        assert gradebook.find_submission(WEEK, "ann").score == 5 + 60 + 2 + 15
        assert len(gradebook.assignment_submissions(WEEK)) == 1


def test_an_answer_taken_back_loses_its_points_and_gets_its_comment(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT))
    grade(sample, course)
    assert comments_in_gradebook(course, "ann")["double"] is None
    hand_in(course, "ann", answered(sample.built, {}))
    grade(sample, course)
    assert auto_scores(course, "ann") == [0, 0, 0, 0]
    assert comments_in_gradebook(course, "ann")["double"] == "No response."


def test_a_damaged_submission_stops_nothing_and_leaves_earlier_grades(sample: Sample, course: Course) -> None:
    hand_in(course, "bob", answered(sample.built, RIGHT))
    grade(sample, course)
    before = (course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes()
    hand_in(course, "ann", answered(sample.built, RIGHT))
    hand_in(course, "bob", "{")
    hand_in(course, "cleo", answered(sample.built, {"double": DOUBLE}))
    outcomes = grade(sample, course)
    assert [outcomes[name].total for name in ("ann", "bob", "cleo")] == [80, 0, 40]
    assert outcomes["bob"].damaged.startswith("the file breaks off")
    assert auto_scores(course, "bob") == [20, 20, 20, 20]
    assert (course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes() == before
    assert graded_learners(course) == {"ann", "bob", "cleo"}


def test_a_fault_of_the_grader_costs_no_points(sample: Sample, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judges of two learners end, twice each: nothing of theirs is recorded, and the others are graded."""
    hand_in(course, "ann", answered(sample.built, RIGHT))
    grade(sample, course)
    hand_in(course, "cleo", answered(sample.built, RIGHT))
    hand_in(course, "bob", answered(sample.built, RIGHT))
    judged, tries = Team._judged, []

    def fails_for_two(team: Team, job: Job) -> Run:
        if job.name in ("ann", "cleo"):
            tries.append(job.name)
            raise InfraError("the judge ended (SIGKILL)")
        return judged(team, job)

    monkeypatch.setattr(Team, "_judged", fails_for_two)
    outcomes = grade(sample, course, again=True)
    ann = outcomes["ann"]
    assert sorted(tries) == ["ann", "ann", "cleo", "cleo"]
    assert ann.damaged == "not graded, the grader failed: InfraError: the judge ended (SIGKILL)"
    assert ann.points == {}
    assert {done.verdict.value for done in ann.verdicts.values()} == {"INFRA"}
    assert auto_scores(course, "ann") == [20, 20, 20, 20]
    assert outcomes["bob"].total == 80


def test_work_whose_own_judging_alone_fails_is_recorded_as_tampered(
    sample: Sample, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would never be graded, and keep an older grade for ever."""
    hand_in(course, "ann", answered(sample.built, RIGHT))
    hand_in(course, "bob", answered(sample.built, RIGHT))
    grade(sample, course)
    hand_in(course, "ann", answered(sample.built, {"double": DOUBLE, "quadruple": "# ends the judge"}))
    judged, tries = Team._judged, []

    def fails_for_ann(team: Team, job: Job) -> Run:
        tries.append(job.name)
        if job.name == "ann":
            raise InfraError("the judge ended (SIGKILL)")
        return judged(team, job)

    monkeypatch.setattr(Team, "_judged", fails_for_ann)
    outcomes = grade(sample, course)
    assert tries[:5] == ["ann"] * 4 + ["the course's own answers"]
    assert {done.verdict.value for done in outcomes["ann"].verdicts.values()} == {"TAMPERED"}
    assert auto_scores(course, "ann") == [0, 0, 0, 0]
    assert auto_scores(course, "bob") == [20, 20, 20, 20]
    page = (course.feedback / "ann" / WEEK / "index.html").read_text(encoding="utf-8")
    assert "the instructor looks at it" in page
    assert "SIGKILL" not in page


def test_who_had_no_processor_is_graded_by_a_second_run_and_the_log_says_so(
    sample: Sample, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run of ann ran out of time and had used a tenth of it."""
    hand_in(course, "ann", answered(sample.built, RIGHT))
    hand_in(course, "bob", answered(sample.built, RIGHT))
    judged, tries = Team._judged, []

    def starves_ann(team: Team, job: Job) -> Run:
        tries.append(job.name)
        if tries.count("ann") == 1 and job.name == "ann":
            late = CellRun(Verdict.TIMEOUT, "the cell ran longer than 2 s and was stopped")
            return Run("ann", {cell.id: late for cell in job.cells}, late=(Late(2, 0.2, 1.8),))
        return judged(team, job)

    monkeypatch.setattr(Team, "_judged", starves_ann)
    log = course.folder / "grade.log"
    with Meter("grade", Console(file=io.StringIO()), log) as meter:
        _, (ann, bob) = grade_week(sample.folder, course, crew=here(1), feedback=False, tell=Told(graded=meter.graded))
    assert tries == ["ann", "bob", "ann"], "alone, after all others"
    assert (ann.total, bob.total) == (80, 80)
    assert (ann.notes, bob.notes) == ([RERUN[Disturbed.WAITED]], [])
    assert auto_scores(course, "ann") == [20, 20, 20, 20]
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if " graded " in line]
    assert [line.endswith(" rerun=waited") for line in lines] == [False, True]


def test_a_library_that_is_missing_stops_before_anything_is_recorded(
    sample: Sample, course: Course, tmp_path: Path
) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT))
    broken = write_tiny_week(
        tmp_path / "other", toml=WEEK_TOML.replace("libraries = []", 'libraries = ["no_such_library"]')
    )
    with pytest.raises(WorkbookError, match="`libraries` names 'no_such_library', and there is no such module"):
        grade_week(broken, course, crew=here(1))
    assert graded_learners(course) == set()


def test_a_result_that_cannot_be_written_stops_only_its_learner(sample: Sample, course: Course) -> None:
    for learner in ("ann", "bob", "cleo"):
        hand_in(course, learner, answered(sample.built, RIGHT))
    course.autograded.mkdir()
    (course.autograded / "bob").write_text("in the way", encoding="utf-8")
    outcomes = grade(sample, course)
    assert outcomes["bob"].damaged.startswith("graded with 80 points, but not recorded: ")
    assert [outcomes[name].damaged for name in ("ann", "cleo")] == ["", ""]
    assert graded_learners(course) == {"ann", "cleo"}


def test_text_that_is_no_unicode_stops_nothing(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT | {"double": DOUBLE + "\n\nprint(chr(0xD800))"}))
    hand_in(course, "bob", answered(sample.built, RIGHT | {"written-why": "a half emoji: \ud83d"}))
    hand_in(course, "cleo", answered(sample.built, RIGHT))
    assert [graded.total for graded in grade(sample, course).values()] == [80, 80, 80]
    assert autograded(course, "ann")
    assert autograded(course, "bob")


def test_metadata_of_an_odd_type_stops_nothing(sample: Sample, course: Course) -> None:
    notebook = answered(sample.built, RIGHT)
    notebook.metadata = {"kernelspec": None}
    hand_in(course, "ann", notebook)
    hand_in(course, "bob", answered(sample.built, RIGHT))
    assert [graded.total for graded in grade(sample, course).values()] == [80, 80]


# what is handed in


def test_a_missing_notebook_is_said(sample: Sample, course: Course) -> None:
    (course.submitted / "ann" / WEEK).mkdir(parents=True)
    hand_in(course, "bob", answered(sample.built, RIGHT))
    outcomes = grade(sample, course)
    assert outcomes["ann"].damaged == "no notebook was submitted"
    assert outcomes["bob"].total == 80


def test_a_renamed_notebook_is_found_and_noted(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT), "tiny (1) final.ipynb")
    ann = grade(sample, course)["ann"]
    assert ann.total == 80
    assert ann.notes == ["the file was called 'tiny (1) final.ipynb'"]
    assert autograded(course, "ann")


def test_the_notebook_of_the_right_name_counts_among_others(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT))
    hand_in(course, "ann", answered(sample.built, {}), "another.ipynb")
    ann = grade(sample, course)["ann"]
    assert (ann.total, ann.notes) == (80, [])


def test_two_notebooks_of_other_names_are_named(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT), "one.ipynb")
    hand_in(course, "ann", answered(sample.built, RIGHT), "two.ipynb")
    damaged = grade(sample, course)["ann"].damaged
    assert "one.ipynb" in damaged
    assert "two.ipynb" in damaged


def test_learners_have_names_of_every_kind(sample: Sample, course: Course) -> None:
    learners = ["Zoë de la Cruz", "李雷", "o'brien; drop table grade", "a.b@example.org"]
    for learner in learners:
        hand_in(course, learner, answered(sample.built, RIGHT))
    assert {name: graded.total for name, graded in grade(sample, course).items()} == dict.fromkeys(learners, 80)
    for learner in learners:
        assert auto_scores(course, learner) == [20, 20, 20, 20]
        assert autograded(course, learner)


def test_files_beside_the_learners_are_no_learners(sample: Sample, course: Course) -> None:
    hand_in(course, "ann", answered(sample.built, RIGHT))
    (course.submitted / ".DS_Store").write_text("", encoding="utf-8")
    (course.submitted / "bob" / "week02_other").mkdir(parents=True)
    assert [*grade(sample, course)] == ["ann"]


def times_in_gradebook(sample: Sample, course: Course, stamps: list[str]) -> list[datetime | None]:
    """Grade one learner with each timestamp.txt; the times that the gradebook then holds."""
    for number, stamp in enumerate(stamps):
        path = hand_in(course, f"learner-{number}", answered(sample.built, RIGHT))
        path.with_name("timestamp.txt").write_text(stamp, encoding="utf-8")
    assert {graded.total for graded in grade(sample, course).values()} == {80}
    for number, stamp in enumerate(stamps):
        kept = course.autograded / f"learner-{number}" / WEEK / "timestamp.txt"
        assert kept.read_text(encoding="utf-8") == stamp
    with gradebook_of(course) as gradebook:
        return [gradebook.find_submission(WEEK, f"learner-{n}").timestamp for n in range(len(stamps))]


def test_the_time_of_hand_in_is_kept(sample: Sample, course: Course) -> None:
    stamps = {
        "2026-03-01 12:00:00.5 UTC": datetime(2026, 3, 1, 12, 0, 0, 500_000),
        "2026-03-01 12:00:00 +0200\n": datetime(2026, 3, 1, 10),
        "2026-03-01T12:00:00": datetime(2026, 3, 1, 12),
    }
    assert times_in_gradebook(sample, course, [*stamps]) == [*stamps.values()]


def test_a_time_that_cannot_be_read_stops_nothing(sample: Sample, course: Course) -> None:
    stamps = ["yesterday", "", "9" * 40, "0001-01-01 00:00:00 +1400"]
    assert times_in_gradebook(sample, course, stamps) == [None] * len(stamps)


@pytest.mark.parametrize("folder", ["", "submitted", "submitted/ann", "submitted/ann/week02_other"])
def test_an_empty_class_is_an_error_that_names_the_folder(sample: Sample, tmp_path: Path, folder: str) -> None:
    course = Course(tmp_path, tmp_path / "nobody")
    (course.folder / folder).mkdir(parents=True)
    with pytest.raises(WorkbookError) as caught:
        grade_week(sample.folder, course)
    assert caught.value.message == f"no submissions of {WEEK} in {course.submitted}"
    assert caught.value.next_step == f"put each one at {course.submitted}/LEARNER/{WEEK}/tiny.ipynb"
    assert not course.gradebook.exists()


MORE = LESSON.replace(
    '# %% test="quadruple" points=20\nwith checks.step("quadruple of 0")',
    '# %% test="quadruple" points=0\nchecks.equal(quadruple(2), 8)\n\n'
    '# %% test="quadruple" points=20\nwith checks.step("quadruple of 0")',
)
"""The lesson with a third test of the second exercise."""


@pytest.mark.parametrize(("lesson", "later"), [(LESSON, MORE), (MORE, LESSON)], ids=["one more test", "one less"])
def test_a_week_may_change_after_somebody_was_graded(
    sample: Sample, course: Course, tmp_path: Path, lesson: str, later: str
) -> None:
    assert MORE != LESSON
    folder = write_tiny_week(tmp_path / "before", lesson=lesson)
    hand_in(course, "ann", answered(sample.built, RIGHT))
    for version in (folder, write_tiny_week(tmp_path / "after", lesson=later), folder):
        week, (ann,) = grade_week(version, course, crew=here(1))
        assert ann.total == 80
        tests = [cell.id for cell in week.of_kind(TestCell)]
        with gradebook_of(course) as gradebook:
            grades = {grade.name: grade.score for grade in gradebook.find_submission(WEEK, "ann").notebooks[0].grades}
            assert sorted(grades) == sorted([*tests, "written-why"])
            assert sum(grades.values()) == 80


# the CSV


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_a_row_for_every_learner(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "new" / "grades.csv"
    write_csv(path, sample.week, [*sample.outcomes.values()])
    rows = {row["learner"]: row for row in rows_of(path)}
    assert [*rows] == [*sample.outcomes]
    assert [*rows["reference"]] == [
        "learner",
        "double",
        "quadruple",
        "written-why",
        "total",
        "possible",
        "to grade",
        *TESTS,
        "notes",
        "damaged",
    ]
    half = rows["half-finished"]
    assert (half["double"], half["quadruple"], half["total"], half["possible"]) == ("40", "0", "40", "80")
    assert [half[test] for test in TESTS] == ["PASS", "PASS", "FAIL", "FAIL"]
    broken = rows["broken-json"]
    assert (broken["double"], broken["total"], broken["double-test-1"]) == ("", "", "")
    assert broken["damaged"].startswith("the file breaks off")
    assert rows["doubled-test-cell"]["notes"] == "", "a second copy of a test changes nothing"
    (note,) = sample.outcomes["deleted-test-cell"].notes
    assert rows["deleted-test-cell"]["notes"] == note


def test_the_csv_quotes_what_needs_it_and_runs_no_formula(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    names = ['=HYPERLINK("http://x","y")', "+1", "-1", "@sum", "\tx", 'comma, and "quotes"', "Zoë"]
    outcomes = [Graded(name, damaged="=1+1", notes=["=2", "two\nlines"]) for name in names]
    write_csv(path, sample.week, outcomes)
    rows = rows_of(path)
    assert [row["learner"] for row in rows] == [f"'{name}" for name in names[:5]] + names[5:]
    assert {row["damaged"] for row in rows} == {"'=1+1"}
    assert {row["notes"] for row in rows} == {"'=2; two\nlines"}


def test_a_gradebook_that_another_program_holds_is_waited_for_with_a_message(sample: Sample, course: Course) -> None:
    """The other program lets go when the message comes; the grade is recorded."""
    hand_in(course, "ann", answered(sample.built, RIGHT))
    other = sqlite3.connect(course.gradebook, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    said: list[str] = []

    def let_go(reason: str) -> None:
        said.append(reason)
        if other.in_transaction:
            other.rollback()

    grade_week(sample.folder, course, crew=here(1), feedback=False, tell=Told(wait=let_go))
    other.close()
    assert len(said) == 1
    assert "is held by another program; waiting for it" in said[0]
    assert auto_scores(course, "ann") == [20, 20, 20, 20]
