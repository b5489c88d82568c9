"""What the gradebook says of a week, by machine and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.gradebook.scores import standings, weeks_in_gradebook
from autograder.reporting.lms_export import export

from ..graded_class import POINTS, TITLE, WAITING, WEEK, GradedClass, give

# the gradebook


def test_standings_are_what_the_gradebook_holds(graded: GradedClass) -> None:
    found = standings(graded.course, WEEK)
    assert {name: one.total for name, one in found.items()} == POINTS
    assert {name for name, one in found.items() if one.waiting == ("written-why",)} == WAITING
    assert {one.possible for one in found.values()} == {100.0}
    assert found["bob"].scores["written-why"].auto == 0, "an untouched question is worth nothing, and waits for nobody"
    assert weeks_in_gradebook(graded.course) == [WEEK]
    assert standings(graded.course, "week02_other") == {}


def test_points_and_comments_of_a_person_count_instead(graded: GradedClass) -> None:
    give(graded.course, "ann", "written-why", 15.5, "Well said.")
    give(graded.course, "bob", "double-test-1", 10)
    found = standings(graded.course, WEEK)
    assert (found["ann"].total, found["ann"].waiting) == (95.5, ())
    assert found["ann"].comments == {"written-why": "Well said."}
    assert found["bob"].total == 50


def test_without_a_gradebook_the_next_step_is_said(tmp_path: Path) -> None:
    course = Course(tmp_path, tmp_path / "course")
    for ask in (lambda: standings(course, WEEK), lambda: weeks_in_gradebook(course), lambda: export(course, TITLE)):
        with pytest.raises(WorkbookError, match=r"gradebook.db is not there -> grade a week first"):
            ask()
    assert not course.folder.exists(), "to ask makes nothing"
