"""A disk without room loses no grade and no page."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from autograder.execution.executor import here
from autograder.gradebook.grades_csv import write_csv
from autograder.gradebook.scores import standings
from autograder.grading.grade import grade_week
from autograder.grading.rewrite import rewrite
from autograder.reporting.class_page import write_class
from autograder.reporting.lms_export import export

from ..graded_class import BROKEN, POINTS, TITLE, WEEK, GradedClass, facts_of, give, hand_in

# a full disk


def test_a_full_disk_loses_no_grade_and_no_page(graded: GradedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    give(graded.course, "ann", "written-why", 15, "Well said.")
    export(graded.course, TITLE)
    write_class(graded.course, facts_of(graded))

    def everything() -> dict[str, bytes]:
        folder = graded.course.folder
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = everything()
    give_later = standings(graded.course, WEEK)

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        for action in (
            lambda: rewrite(graded.built, graded.course),
            lambda: export(graded.course, TITLE, unfinished=True),
            lambda: write_class(graded.course, facts_of(graded)),
        ):
            with pytest.raises(OSError, match="No space left"):
                action()
    assert everything() == before
    assert standings(graded.course, WEEK) == give_later


def test_a_full_disk_while_grading_leaves_the_grades_of_before(
    graded: GradedClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody hands in nothing but stubs, and the disk is full: who cannot be recorded keeps the old grade."""
    give(graded.course, "ann", "written-why", 15, "Well said.")
    before = standings(graded.course, WEEK)
    notebooks = {p: p.read_bytes() for p in graded.course.autograded.rglob("*") if p.is_file()}
    for learner in POINTS:
        hand_in(graded.course, learner, json.dumps(graded.built.learner))
    table = graded.course.folder / f"{WEEK}.csv"
    table.write_text("the table of before", encoding="utf-8")

    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        week, outcomes = grade_week(graded.root / "solutions" / WEEK, graded.course, crew=here(1), feedback=False)
        with pytest.raises(OSError, match="No space left"):
            write_csv(table, week, outcomes)
    said = {one.student: one.damaged for one in outcomes if one.student != BROKEN}
    assert said.pop("dan") == "", "his work is unchanged, and known"
    assert all("not recorded: [Errno 28] No space left on device" in why for why in said.values()), said
    assert standings(graded.course, WEEK) == before
    assert {p: p.read_bytes() for p in graded.course.autograded.rglob("*") if p.is_file()} == notebooks
    assert table.read_text(encoding="utf-8") == "the table of before"
    grade_week(graded.root / "solutions" / WEEK, graded.course, crew=here(1), feedback=False)
    after = standings(graded.course, WEEK)
    assert {one.total for name, one in after.items() if name != "ann"} == {0}
    assert after["ann"].total == 15, "what a person gave stays"
