"""Points taken for being late: nbgrader's own tables and export, our pages, CSV and exports say the same."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from autograder.course.database import open_gradebook
from autograder.feedback.pages import read_facts
from autograder.gradebook.ledger import Ledger
from autograder.gradebook.penalties import FILE, Kept, settle
from autograder.gradebook.scores import standings
from autograder.grading import nbgrader_hooks as hooks
from autograder.grading.nbgrader_hooks import SettledExport
from autograder.grading.rewrite import rewrite, write_grades
from autograder.reporting.lms_export import export

from ..course.test_deadlines import DUE, RULES, _rows, _set, rules
from ..graded_class import WEEK, GradedClass, give


@pytest.fixture
def late(graded: GradedClass) -> GradedClass:
    """Ann was an hour late (10 %), bob a month (all is taken), dan in time."""
    _set(graded, {"ann": DUE + timedelta(hours=1), "bob": DUE + timedelta(days=30), "dan": DUE})
    rules(graded.course, RULES, WEEK)
    return graded


@pytest.fixture(autouse=True)
def nothing_settled_yet() -> Iterator[None]:
    hooks.settled.cache_clear()
    yield
    hooks.settled.cache_clear()


def table(graded: GradedClass) -> dict[str, float | None]:
    """What nbgrader's table takes from each learner."""
    with open_gradebook(graded.course) as gradebook:
        submissions = gradebook.find_assignment(WEEK).submissions
        return {one.student.id: one.notebooks[0].late_submission_penalty for one in submissions}


def by_nbgrader(graded: GradedClass, monkeypatch: pytest.MonkeyPatch, path: Path) -> dict[str, tuple[float, float]]:
    """Learner -> penalty and score, as `nbgrader export` writes them."""
    monkeypatch.setenv("WORKBOOK_COURSE", str(graded.course.folder))
    with open_gradebook(graded.course) as gradebook:
        SettledExport(to=str(path)).export(gradebook)
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == WEEK]
    return {row["student_id"]: (float(row["late_submission_penalty"]), float(row["score"])) for row in rows}


def test_all_tables_say_the_same(late: GradedClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(late.course, "ann", "written-why", 15)
    rewrite(late.built, late.course)
    found = standings(late.course, WEEK)
    assert (found["ann"].penalty, found["ann"].total) == (9.5, 85.5)
    taken = table(late)
    assert {name: value for name, value in taken.items() if value} == {"ann": 9.5, "bob": 40}
    assert taken["dan"] is None
    exported = by_nbgrader(late, monkeypatch, tmp_path / "nbgrader.csv")
    assert exported == {name: (one.penalty, one.total) for name, one in found.items()}
    moodle = {row[1]: row for row in _rows(export(late.course, {WEEK: "01 Tiny"}, unfinished=True).files[1])}
    assert {name: float(moodle[name][4]) for name in ("ann", "bob")} == {"ann": 85.5, "bob": 0}
    ours = {row[0]: row for row in _rows(write_grades(late.built, late.course))}
    assert "85.5" in ours["ann"]
    facts = read_facts(late.course, WEEK)["ann"]
    assert [one.points for one in facts.by_hand if one.id == "late"] == [-9.5]


def test_points_given_after_the_pages_are_counted_by_nbgrader_too(
    late: GradedClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark changes what a tenth is: at the formgrader nobody runs a command of ours."""
    rewrite(late.built, late.course)
    assert table(late)["ann"] == 8
    give(late.course, "ann", "written-why", 20)
    assert by_nbgrader(late, monkeypatch, tmp_path / "nbgrader.csv")["ann"] == (10, 90)
    assert table(late)["ann"] == 10


def test_what_nbgrader_took_itself_stands_again_without_a_rule(late: GradedClass) -> None:
    with open_gradebook(late.course) as gradebook:
        for learner, points in (("ann", 3.0), ("dan", 5.0)):
            gradebook.find_submission_notebook("tiny", WEEK, learner).late_submission_penalty = points
        gradebook.db.commit()
    for _ in range(2):
        settle(late.course, WEEK, standings(late.course, WEEK))
        assert (table(late)["ann"], table(late)["dan"]) == (8, None), "the class's own rule counts"
    (late.course.folder / "course.toml").unlink()
    assert standings(late.course, WEEK)["ann"].penalty == 3, "also before the table is written again"
    settle(late.course, WEEK, standings(late.course, WEEK))
    assert (table(late)["ann"], table(late)["dan"], table(late)["bob"]) == (3, 5, None)
    assert settle(late.course, WEEK, standings(late.course, WEEK)) == []


@pytest.mark.parametrize("written", [True, False], ids=["after the table", "before the table"])
def test_a_run_that_ended_in_between_mistakes_nothing_for_nbgraders(
    late: GradedClass, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    settle(late.course, WEEK, standings(late.course, WEEK))
    give(late.course, "ann", "written-why", 20)
    write, calls = Kept.write, 0

    def killed(self: Kept) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            write(self)
        if calls == 2 or not written:
            raise KeyboardInterrupt

    monkeypatch.setattr(Kept, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        settle(late.course, WEEK, standings(late.course, WEEK))
    monkeypatch.undo()
    assert table(late)["ann"] == (10 if written else 8)
    (late.course.folder / "course.toml").unlink()
    assert standings(late.course, WEEK)["ann"].penalty == 0
    settle(late.course, WEEK, standings(late.course, WEEK))
    assert table(late)["ann"] is None


def test_a_sealed_record_stays_sealed(late: GradedClass) -> None:
    ledger = Ledger(late.course, WEEK)
    ledger.seal()
    assert settle(late.course, WEEK, standings(late.course, WEEK)) == ["ann", "bob"]
    assert ledger.sealed()
    give(late.course, "ann", "written-why", 20)
    settle(late.course, WEEK, standings(late.course, WEEK))
    assert not ledger.sealed(), "somebody else wrote meanwhile"


def test_where_nobody_is_late_nothing_is_kept(graded: GradedClass) -> None:
    assert settle(graded.course, WEEK, standings(graded.course, WEEK)) == []
    assert not (graded.course.folder / "record" / WEEK / FILE).exists()
