"""A week that changes after work was graded and marked: what people gave stays with its cell, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.database import open_gradebook
from autograder.gradebook.cells import CellContent, matched, removed_file
from autograder.gradebook.changes import Change
from autograder.gradebook.scores import standings
from autograder.gradebook.store import register
from autograder.grading.grade import Told, grade_week
from autograder.week.source import load_week

from ..graded_class import give
from ..grading.test_grade import RIGHT, answered, hand_in
from ..tiny_week import WEEK
from .test_ledger import Class, Counting
from .test_ledger import registered as registered
from .test_ledger import tiny as tiny

ESSAY = "Because a sum of two equal numbers is twice the number."
SECOND = '# %% test="double" points=20\nwith checks.step("double of 0"):'
ADDED = '# %% test="double" points=5\nwith checks.step("double of 3"):\n    checks.equal(double(3), 6, "double(3)")\n\n'


MORE = """
# %% [markdown] written="more" points=5
# **W2.** More?
#
# ### BEGIN SOLUTION
# Yes: 5 points.
# ### END SOLUTION
"""


@pytest.fixture
def marked(tiny: Class) -> Class:
    """Ann is right and wrote an answer, bob is wrong; both are graded, ann's answer has 17 points and a comment."""
    hand_in(tiny.course, "ann", answered(tiny.built, {**RIGHT, "written-why": ESSAY}))
    tiny.grade()
    give(tiny.course, "ann", "written-why", 17, "Well said.")
    give(tiny.course, "ann", "double", comment="Elegant.")
    give(tiny.course, "bob", "double-test-2", 12)
    return tiny


def held(found: Class) -> None:
    """nbgrader's tables say of every submission a grade for each graded cell and a comment for each answer, no more."""
    with open_gradebook(found.course) as gradebook:
        (notebook,) = gradebook.find_assignment(WEEK).notebooks
        for one in notebook.submissions:
            assert sorted(grade.name for grade in one.grades) == sorted(cell.name for cell in notebook.grade_cells)
            assert sorted(c.name for c in one.comments) == sorted(cell.name for cell in notebook.solution_cells)
        from nbgrader import api

        db = gradebook.db
        cells = {name for (name,) in db.query(api.BaseCell.id)}
        assert {name for (name,) in db.query(api.Grade.cell_id)} <= cells
        assert {name for (name,) in db.query(api.Comment.cell_id)} <= cells
        most = {cell.name: cell.max_score for cell in notebook.grade_cells}
    week = load_week(found.folder)
    assert most == {cell.id: cell.words.points for cell in week.cells if hasattr(cell.words, "points")}


def points(found: Class, learner: str) -> dict[str, float]:
    return {name: score.points for name, score in standings(found.course, WEEK)[learner].scores.items()}


def told(found: Class, *, agree: bool = True) -> tuple[list[str], list[Change]]:
    """What a run says that the course changed, and what it asks about."""
    said: list[str] = []
    asked: list[Change] = []

    def answer(changes: Sequence[Change]) -> bool:
        asked.extend(changes)
        return agree

    grade_week(
        found.folder,
        found.course,
        crew=Counting(),
        unsafe=True,
        feedback=False,
        agree=answer,
        tell=Told(warn=said.append),
    )
    return said, asked


def test_a_test_that_is_added_and_points_that_change(marked: Class) -> None:
    marked.edit(SECOND, ADDED + SECOND.replace("points=20", "points=15"))
    before = marked.course.gradebook.read_bytes()
    said, asked = told(marked, agree=False)
    assert said == [
        "the week changed since work was graded; cells that are new: double-test-2",
        "the week changed since work was graded; cells with another name: double-test-2 is double-test-3 now",
        "the week changed since work was graded; other points: double-test-3 20 -> 15",
    ]
    assert asked == [Change("ann", "double-test-2", 0, 5), Change("ann", "double-test-3", 20, 15)]
    assert marked.course.gradebook.read_bytes() == before
    told(marked)
    held(marked)
    assert points(marked, "ann") == {
        "double-test-1": 20,
        "double-test-2": 5,
        "double-test-3": 15,
        "quadruple-test-1": 20,
        "quadruple-test-2": 20,
        "written-why": 17,
    }
    assert points(marked, "bob")["double-test-3"] == 12, (
        "points that a person gave stay at the test they were given for"
    )
    assert points(marked, "bob")["double-test-2"] == 0
    assert standings(marked.course, WEEK)["ann"].comments == {"written-why": "Well said.", "double": "Elegant."}
    assert told(marked) == ([], [])


def test_marks_above_the_new_points_are_said(marked: Class) -> None:
    marked.edit('written="why" points=20', 'written="why" points=15')
    path = marked.folder / "tiny.py"
    path.write_text(path.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    said, asked = told(marked)
    assert asked == []
    assert said[2:] == ["the week changed since work was graded; more points than can be had: ann 17/15 in written-why"]
    held(marked)
    assert points(marked, "ann")["written-why"] == 17
    assert standings(marked.course, WEEK)["ann"].comments["written-why"] == "Well said."
    assert points(marked, "ann")["written-more"] == 0, "nobody answered what was not asked"


def test_a_test_that_is_removed_asks_before_points_by_hand_go(marked: Class) -> None:
    """The first test goes, and the second one takes its name."""
    marked.edit(SECOND, ADDED + SECOND.replace("points=20", "points=15"))
    told(marked)
    give(marked.course, "bob", "double-test-1", 7)
    path = marked.folder / "tiny.py"
    text = path.read_text(encoding="utf-8")
    begin, end = text.index(SECOND.partition("with")[0]), text.index(ADDED)
    path.write_text(text[:begin] + ADDED.replace("=5", "=25") + text[end + len(ADDED) :], encoding="utf-8")
    before = marked.course.gradebook.read_bytes()
    with pytest.raises(WorkbookError, match="at cells of week01_tiny that are gone: double-test-1"):
        register(build_week(load_week(marked.folder)), marked.course)
    said, asked = told(marked, agree=False)
    assert [line.partition("; ")[2] for line in said] == [
        "cells that are gone: double-test-1",
        "cells with another name: double-test-2 is double-test-1 now, double-test-3 is double-test-2 now",
        "other points: double-test-1 5 -> 25",
    ]
    assert [change for change in asked if change.lost] == [Change("bob", "double-test-1", 7, 0, "points by hand")]
    assert marked.course.gradebook.read_bytes() == before
    assert not removed_file(marked.course, WEEK).exists()
    told(marked)
    held(marked)
    kept = [json.loads(line) for line in removed_file(marked.course, WEEK).read_text(encoding="utf-8").splitlines()]
    assert [(one["learner"], one["cell"], one["points"]) for one in kept] == [("bob", "double-test-1", 7)]
    assert points(marked, "bob")["double-test-2"] == 12, "given for the test that is left"
    assert points(marked, "ann") == {
        "double-test-1": 25,
        "double-test-2": 15,
        "quadruple-test-1": 20,
        "quadruple-test-2": 20,
        "written-why": 17,
    }
    assert told(marked) == ([], [])


def test_points_by_hand_are_asked_about_where_nobody_graded_is_left(marked: Class) -> None:
    """Everybody submitted anew: no work is as it was, and the points that people gave are."""
    for learner in ("ann", "bob"):
        hand_in(marked.course, learner, answered(marked.built, {**RIGHT, "quadruple": "quadruple = lambda n: 4 * n"}))
    marked.edit('written="why"', 'written="reason"')
    marked.edit("**W1.** Why is double twice?", "**W1.** What is double?")
    _, asked = told(marked, agree=False)
    assert asked == [Change("ann", "written-why", 17, 0, "points by hand and a comment")]
    assert points(marked, "ann")["written-why"] == 17


def test_an_exercise_that_is_renamed(marked: Class) -> None:
    text = (marked.folder / "tiny.py").read_text(encoding="utf-8")
    (marked.folder / "tiny.py").write_text(text.replace('="double"', '="twice"'), encoding="utf-8")
    misconceptions = (marked.folder / "misconceptions.py").read_text(encoding="utf-8")
    renamed = misconceptions.replace('exercise="double"', 'exercise="twice"').replace('="double-', '="twice-')
    (marked.folder / "misconceptions.py").write_text(renamed, encoding="utf-8")
    said, asked = told(marked)
    assert "double is twice now" in said[0]
    assert asked == [], "the same points under another name are not a change"
    held(marked)
    assert points(marked, "ann")["twice-test-2"] == 20, "an answer is found by the names it defines"
    assert points(marked, "bob")["twice-test-2"] == 12
    assert standings(marked.course, WEEK)["ann"].comments == {"written-why": "Well said.", "twice": "Elegant."}


def test_a_written_question_that_is_renamed_keeps_answer_mark_and_comment(marked: Class) -> None:
    marked.edit('written="why"', 'written="reason"')
    said, asked = told(marked)
    assert said == [
        "the week changed since work was graded; cells with another name: written-why is written-reason now"
    ]
    assert asked == []
    held(marked)
    assert points(marked, "ann")["written-reason"] == 17
    notebook = (marked.course.autograded / "ann" / WEEK / "tiny.ipynb").read_text(encoding="utf-8")
    (cell,) = [one for one in json.loads(notebook)["cells"] if one["id"] == "written-reason"]
    assert ESSAY in "".join(cell["source"])


def test_a_run_that_was_killed_while_cells_moved_goes_on(marked: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    marked.edit(SECOND, ADDED + SECOND.replace("points=20", "points=15"))

    def killed(*arguments: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr("autograder.gradebook.store.put", killed)
    with pytest.raises(KeyboardInterrupt):
        told(marked)
    monkeypatch.undo()
    told(marked)
    held(marked)
    assert points(marked, "bob")["double-test-3"] == 12


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("1A 2B", "1A 2B", "11 22"),
        ("1A 2B", "1C 2A 3B", "12 23"),
        ("1A 2B", "1B 2A", "12 21"),
        ("1A 2B", "1C 2B", "11 22"),
        ("1A 2B", "2B", "22"),
        ("1A 2B", "1B", "21"),
        ("1A 2A", "1A 2A 3A", "11 22"),
        ("1A 2A", "2A 3A", "13 22"),
        ("1A", "2B", ""),
    ],
)
def test_cells_are_found_by_name_and_text_then_by_text_then_by_name(before: str, now: str, same: str) -> None:
    def cells(text: str) -> dict[str, CellContent]:
        return {one[0]: CellContent("code", True, False, one[1]) for one in text.split()}

    assert sorted(map("".join, matched(cells(before), cells(now)).items())) == same.split()
