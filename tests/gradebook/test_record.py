"""Writing a grade: whole or not at all, and after any other program that writes to the gradebook."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autograder.gradebook.store import Recorder, recorded_scores

from ..graded_class import GradedClass

NEW, KNOWN = "fay", "ann"
POINTS = {"double-test-1": 7.0, "double-test-2": 6.0, "quadruple-test-1": 5.0, "quadruple-test-2": 4.0}
"""Not what anybody has."""


@pytest.fixture
def recorder(graded: GradedClass) -> Recorder:
    recorder = Recorder(graded.built, graded.course, lambda reason: None)
    recorder.register()
    return recorder


def save(recorder: Recorder, graded: GradedClass, learner: str) -> None:
    recorder.save(learner, graded.built.learner, POINTS, Path("nothing was handed in here"))


def rows(graded: GradedClass, table: str) -> int:
    """How many rows another program sees."""
    with closing(sqlite3.connect(graded.course.gradebook)) as beside:
        return int(beside.execute(f"select count(*) from {table}").fetchone()[0])


@pytest.mark.parametrize("learner", [NEW, KNOWN])
def test_a_grade_waits_for_another_program_that_writes(graded: GradedClass, recorder: Recorder, learner: str) -> None:
    """The other program lets go when the message comes; reading is possible all the time."""
    said: list[str] = []

    def let_go(reason: str) -> None:
        said.append(reason)
        other.rollback()

    recorder._on_wait = let_go
    with closing(sqlite3.connect(graded.course.gradebook, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        save(recorder, graded, learner)
    assert len(said) == 1
    assert "is held by another program; waiting for it" in said[0]
    assert recorded_scores(graded.course, graded.built.week)[learner] == POINTS


@pytest.mark.parametrize("step", ["update_or_create_student", "update_or_create_submission"])
def test_a_grade_is_recorded_whole_or_not_at_all(
    graded: GradedClass, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Where writing ends half-way, the gradebook does not even know the learner; after that it works again."""
    from nbgrader.api import Gradebook

    real: Callable[..., Any] = getattr(Gradebook, step)

    def fail(*arguments: Any, **named: Any) -> Any:
        real(*arguments, **named)
        raise OSError("the disk is gone")

    before = {table: rows(graded, table) for table in ("student", "submitted_assignment", "grade", "comment")}
    with monkeypatch.context() as patch:
        patch.setattr(Gradebook, step, fail)
        with pytest.raises(OSError, match="the disk is gone"):
            save(recorder, graded, NEW)
    assert {table: rows(graded, table) for table in before} == before
    save(recorder, graded, NEW)
    assert rows(graded, "student") == before["student"] + 1
    assert recorded_scores(graded.course, graded.built.week)[NEW] == POINTS


def test_what_nbgrader_refuses_itself_is_not_taken_for_the_database(
    graded: GradedClass, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbgrader.api import Gradebook, InvalidEntry

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise InvalidEntry("no such thing")

    monkeypatch.setattr(Gradebook, "update_or_create_student", refuse)
    with pytest.raises(InvalidEntry, match="no such thing"):
        save(recorder, graded, NEW)
