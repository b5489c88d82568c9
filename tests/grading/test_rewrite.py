"""Feedback and the table of grades, written again from the record."""

from __future__ import annotations

import shutil
from pathlib import Path

from autograder.execution.executor import here
from autograder.feedback.pages import read_facts
from autograder.gradebook.ledger import Ledger
from autograder.gradebook.scores import standings
from autograder.grading.grade import grade_week
from autograder.grading.rewrite import rewrite, touched, write_grades

from ..graded_class import ATTACK, BROKEN, POINTS, WEEK, GradedClass, give, rows_of

# feedback


def test_feedback_tells_what_a_person_gave(graded: GradedClass) -> None:
    give(graded.course, "ann", "written-why", 15, "Well said.\nNow why 20?")
    give(graded.course, "bob", "double-test-1", 10)
    give(graded.course, "dan", "double", comment="Come to see me.")
    before = (graded.course.feedback / "cleo" / WEEK / "index.html").read_bytes()
    done = rewrite(graded.built, graded.course)
    assert set(done.written) == {*POINTS, BROKEN}
    assert (done.without, done.differ) == ((), {})
    page = {name: (graded.course.feedback / name / WEEK / "index.html").read_text(encoding="utf-8") for name in POINTS}
    assert "Written questions: <strong>15</strong> of 20 points. In all: <strong>95</strong> of 100." in page["ann"]
    assert '<div class="said"><p>Well said.\nNow why 20?</p>' in page["ann"]
    assert "W1. Why is double twice?" in page["ann"]
    assert "What the tests gave was changed: +10 points." in page["bob"]
    assert "The test gave 0; these points count instead." in page["bob"]
    assert "Come to see me." in page["dan"]
    assert "are read by your instructor and are not in this number" in page[ATTACK], "hers wait"
    assert read_facts(graded.course, WEEK)["ann"].by_hand[0].points == 15
    assert page["cleo"].encode() != before, "the question that she left is graded: nothing"


def test_points_taken_for_being_late_are_told_and_counted(graded: GradedClass) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.find_submission_notebook("tiny", WEEK, "bob").late_submission_penalty = 5
        gradebook.db.commit()
    assert standings(graded.course, WEEK)["bob"].total == 35
    rewrite(graded.built, graded.course)
    page = (graded.course.feedback / "bob" / WEEK / "index.html").read_text(encoding="utf-8")
    assert "Late submission" in page
    assert '<span class="points">-5 points</span>' in page
    assert "In all: <strong>35</strong> of 100." in page


def test_feedback_written_twice_is_the_same(graded: GradedClass) -> None:
    give(graded.course, "ann", "written-why", 15, "Well said.")
    folder = graded.course.feedback

    def everything() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    rewrite(graded.built, graded.course)
    first = everything()
    rewrite(graded.built, graded.course)
    assert everything() == first


def test_feedback_is_made_from_the_record_where_it_is_missing(graded: GradedClass) -> None:
    """Byte for byte what comes of the facts that grading wrote, also of who could not be graded."""
    rewrite(graded.built, graded.course)
    folder = graded.course.feedback
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    assert set(rewrite(graded.built, graded.course).written) == {*POINTS, BROKEN}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_feedback_older_than_the_grade_is_made_anew(graded: GradedClass) -> None:
    ledger = Ledger(graded.course, WEEK)
    entry = ledger.entry("bob")
    assert entry
    (graded.root / "build" / "signatures" / f"{WEEK}.json").unlink()
    ledger.enter("bob", entry.model_copy(update={"told": "of an earlier grading", "notes": ["seen"]}))
    rewrite(graded.built, graded.course)
    assert "seen" in (graded.course.feedback / "bob" / WEEK / "index.html").read_text(encoding="utf-8")
    now = ledger.entry("bob")
    assert now
    assert now.told != now.key, "grading names his misconception when it finds out"


def test_feedback_names_who_has_no_record_and_who_was_graded_elsewhere(graded: GradedClass) -> None:
    shutil.rmtree(graded.course.feedback / "ann")
    (graded.course.folder / "record" / WEEK / "outcomes" / "ann.json").unlink()
    from nbgrader.api import Gradebook

    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.find_grade("double-test-1", "tiny", WEEK, "bob").auto_score = 20
        gradebook.db.commit()
    done = rewrite(graded.built, graded.course)
    assert done.without == ("ann",)
    assert done.differ == {"bob": "the pages say 40 points, the gradebook 60: grade again"}


def test_the_table_of_grades_has_the_whole_sum_once_marked(graded: GradedClass) -> None:
    give(graded.course, "ann", "written-why", 15.5)
    give(graded.course, "bob", "double-test-1", 10)
    path = write_grades(graded.built, graded.course)
    rows = {row[0]: dict(zip(rows_of(path)[0], row, strict=True)) for row in rows_of(path)[1:]}

    def shown(learner: str) -> list[str]:
        columns = ("double", "quadruple", "written-why", "total", "possible", "to grade")
        return [rows[learner][name] for name in columns]

    assert shown("ann") == ["40", "40", "15.5", "95.5", "100", "0"]
    assert shown("bob") == ["10", "40", "0", "50", "100", "0"]
    assert shown("Zoë 李") == ["40", "0", "", "40", "100", "1"]
    assert shown(BROKEN) == ["", "", "", "", "80", ""]
    assert rows[BROKEN]["damaged"]


def test_grading_again_keeps_what_a_person_gave(graded: GradedClass) -> None:
    assert not touched(graded.course, WEEK)
    give(graded.course, "ann", "written-why", 15, "Well said.")
    assert touched(graded.course, WEEK)
    for learner in set(POINTS) - {"ann"}:
        shutil.rmtree(graded.course.submitted / learner)
    grade_week(graded.root / "solutions" / WEEK, graded.course, crew=here(1))
    rewrite(graded.built, graded.course, only_touched=True)
    page = (graded.course.feedback / "ann" / WEEK / "index.html").read_text(encoding="utf-8")
    assert "In all: <strong>95</strong> of 100." in page
    assert standings(graded.course, WEEK)["ann"].total == 95
