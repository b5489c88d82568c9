"""Groups: work that is submitted together is graded once, and its points and comments are every member's."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from autograder.course.folder import Course
from autograder.course.groups import read_groups
from autograder.course.roster import read_roster
from autograder.execution.executor import here
from autograder.execution.job import Job, Mode, Run
from autograder.execution.results import Graded
from autograder.feedback.pages import read_facts
from autograder.gradebook.scores import standings
from autograder.grading.grade import grade_week
from autograder.grading.rewrite import rewrite
from autograder.reporting.class_stats import class_facts
from autograder.reporting.lms_export import export
from autograder.submissions.collect import Collection, collect

from ..graded_class import DOUBLE, ESSAY, QUADRUPLE, WEEK, GradedClass, give

ROSTER = "id,name,learner,group\n1,Gil Moor,gil,Team A\n2,Hal North,hal,Team A\n3,Ida Ost,ida,Team B\n"
RIGHT = {"double": DOUBLE, "quadruple": QUADRUPLE, "written-why": ESSAY}


def work(graded: GradedClass, answers: dict[str, str]) -> bytes:
    notebook = copy.deepcopy(graded.built.learner)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return json.dumps(notebook).encode()


def collected(graded: GradedClass, files: dict[str, bytes], name: str = "source", **said: Any) -> Collection:
    (graded.course.folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    for path, content in files.items():
        target = graded.root / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return collect(graded.root / name, graded.course, WEEK, **said)


class Counting:
    """A crew that notes whose work it runs."""

    def __init__(self, crew: Any, ran: list[str]) -> None:
        self._crew, self._ran = crew, ran

    def submit(self, job: Job) -> Future[Run]:
        self._ran.append(job.name)
        found: Future[Run] = self._crew.submit(job)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crew, name)


def grade(graded: GradedClass) -> tuple[dict[str, Graded], list[str]]:
    """The outcomes, and whose work was run for them."""
    ran: list[str] = []

    @contextmanager
    def counted(libraries: Sequence[str], mode: Mode) -> Iterator[Counting]:
        with here(1)(libraries, mode) as crew:
            yield Counting(crew, ran)

    _, outcomes = grade_week(graded.root / "solutions" / WEEK, graded.course, crew=counted)
    return {one.student: one for one in outcomes}, [name for name in ran if name in ("gil", "hal", "ida")]


def written(course: Course) -> dict[str, float | None]:
    return {name: one.scores["written-why"].manual for name, one in standings(course, WEEK).items()}


def test_a_group_s_work_is_graded_once_and_everybody_has_points_pages_rows_and_lines(graded: GradedClass) -> None:
    done = collected(graded, {"Team A/tiny.ipynb": work(graded, RIGHT), "ida/tiny.ipynb": work(graded, {})})
    assert read_groups(graded.course, WEEK) == {"gil": "Team A", "hal": "Team A"}
    assert {one.learner for one in done.fates} == {"gil, hal", "ida"}
    outcomes, ran = grade(graded)
    assert sorted(ran) == ["gil", "ida"]
    assert outcomes["gil"].points == outcomes["hal"].points
    assert outcomes["hal"].total == outcomes["ann"].total > outcomes["ida"].total
    assert "the work of Team A" in outcomes["gil"].remarks
    assert "the work of Team A" in outcomes["hal"].remarks
    assert grade(graded)[1] == []

    give(graded.course, "hal", "written-why", 4.0, "well said")
    points = written(graded.course)
    assert (points["gil"], points["hal"], points["ida"]) == (4.0, 4.0, None)
    there = standings(graded.course, WEEK)
    assert there["gil"].comments == there["hal"].comments == {"written-why": "well said"}
    assert there["gil"].total == there["hal"].total

    exported = export(graded.course, {WEEK: "01 Tiny"})
    rows = list(csv.reader(exported.files[0].read_text(encoding="utf-8-sig").splitlines()))
    totals = {row[0]: row[-1] for row in rows[2:]}
    assert totals["Gil Moor"] == totals["Hal North"] == f"{there['hal'].total:g}"
    facts = class_facts(graded.built, there, read_facts(graded.course, WEEK), read_roster(graded.course))
    lines = {line.learner: line for line in facts.lines}
    assert lines["gil"].total == lines["hal"].total == there["hal"].total
    assert {"gil", "hal"} <= set(rewrite(graded.built, graded.course).written)
    told = read_facts(graded.course, WEEK)
    folders = [graded.course.feedback / name / WEEK for name in ("gil", "hal")]
    assert told["gil"].points == told["hal"].points
    assert all("well said" in (folder / "index.html").read_text(encoding="utf-8") for folder in folders)


def test_points_that_a_person_gave_to_one_member_alone_stay_theirs(graded: GradedClass) -> None:
    collected(graded, {"Team A/tiny.ipynb": work(graded, RIGHT)})
    grade(graded)
    give(graded.course, "gil", "written-why", 2.0)
    give(graded.course, "hal", "written-why", 5.0)
    points = written(graded.course)
    assert (points["gil"], points["hal"]) == (2.0, 5.0)


def test_who_submits_alone_later_leaves_the_group_for_that_week(graded: GradedClass) -> None:
    collected(graded, {"Team A/tiny.ipynb": work(graded, RIGHT)})
    grade(graded)
    give(graded.course, "gil", "written-why", 3.0)
    collected(graded, {"hal/tiny.ipynb": work(graded, {"double": DOUBLE})}, "later")
    assert read_groups(graded.course, WEEK) == {"gil": "Team A"}
    outcomes, ran = grade(graded)
    assert ran == ["hal"]
    assert outcomes["hal"].total < outcomes["gil"].total
    assert written(graded.course)["hal"] is None


def test_one_member_s_work_is_the_whole_group_s_where_the_instructor_says_so(graded: GradedClass) -> None:
    files = {"hal/tiny.ipynb": work(graded, RIGHT)}
    done = collected(graded, files)
    assert [one.notes[-1] for one in done.learners] == [
        "of Team A, from which gil sent nothing: --groups makes it the work of all"
    ]
    assert read_groups(graded.course, WEEK) == {}
    collected(graded, files, whole_groups=True)
    assert read_groups(graded.course, WEEK) == {"gil": "Team A", "hal": "Team A"}
    outcomes, _ = grade(graded)
    assert outcomes["gil"].total == outcomes["hal"].total == outcomes["ann"].total


def test_no_learner_s_file_makes_a_group(graded: GradedClass) -> None:
    """The groups of a week are written by `collect` alone; files of that name in a submission are not such lists."""
    forged = json.dumps({"ann": "Team A", "ida": "Team A"}).encode()
    collected(
        graded, {"ida/tiny.ipynb": work(graded, {}), f"ida/groups/{WEEK}.json": forged, "ida/group.txt": b"Team A"}
    )
    assert read_groups(graded.course, WEEK) == {}
