"""Due dates, zones, extensions and penalties: what is late, by how much, what it costs, and who says so."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.course.deadlines import Deadlines, LateRule, nbgrader_s, read_deadlines
from autograder.course.folder import Course
from autograder.course.timestamps import handed_in_at
from autograder.gradebook.scores import standings
from autograder.grading.rewrite import rewrite, touched
from autograder.reporting.class_page import class_of, write_class
from autograder.reporting.lms_export import export
from autograder.submissions.collect import collect

from ..graded_class import WEEK as TINY
from ..graded_class import GradedClass
from ..submissions.test_collect import WEEK, handed_in, notebook, put

DUE = datetime(2026, 3, 2, 22, 59)
RULES = """
timezone = "Europe/Berlin"
[due]
week01 = 2026-03-02T23:59:00
[extensions.bo]
week01_attention = 2026-03-04T23:59:00
[late]
grace_minutes = 10
percent_a_day = 10
most_percent = 25
days_accepted = 7
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")


def rules(course: Course, text: str, week: str = WEEK) -> Deadlines:
    course.folder.mkdir(exist_ok=True)
    (course.folder / "course.toml").write_text(text, encoding="utf-8")
    return read_deadlines(course, week)


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2026-03-02 12:05:01.000000 UTC", datetime(2026, 3, 2, 12, 5, 1)),
        ("2026-03-02 12:05:01", datetime(2026, 3, 2, 12, 5, 1)),
        ("2026-03-02 12:05:01 PST", datetime(2026, 3, 2, 20, 5, 1)),
        ("2026-07-02 12:05:01 PDT", datetime(2026, 7, 2, 19, 5, 1)),
        ("2026-03-02 12:05:01 CET", datetime(2026, 3, 2, 11, 5, 1)),
        ("2026-07-02 12:05:01 CEST", datetime(2026, 7, 2, 10, 5, 1)),
        ("2026-03-02 12:05:01 +0530", datetime(2026, 3, 2, 6, 35, 1)),
        ("2026-03-02 12:05:01 CST", None),
        ("2026-03-02 12:05:01 IST", None),
        ("2026-03-02 12:05:01 UTC+3", None),
        ("soon", None),
    ],
)
def test_letters_of_a_zone_are_no_utc_and_those_of_several_zones_are_no_time(
    stamp: str, moment: datetime | None
) -> None:
    assert handed_in_at(stamp.encode()) == moment


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Europe/Berlin", "2026-03-02T23:59:00", datetime(2026, 3, 2, 22, 59)),
        ("Europe/Berlin", "2026-07-02T23:59:00", datetime(2026, 7, 2, 21, 59)),
        ("America/Los_Angeles", "2026-03-02T23:59:00", datetime(2026, 3, 3, 7, 59)),
        ("America/Los_Angeles", "2026-11-01T01:30:00", datetime(2026, 11, 1, 9, 30)),
        ("Asia/Kolkata", "2026-03-02T23:59:00", datetime(2026, 3, 2, 18, 29)),
        ("Asia/Kolkata", "2026-03-02T23:59:00+01:00", datetime(2026, 3, 2, 22, 59)),
    ],
)
def test_a_due_date_is_read_in_the_zone_of_the_class(course: Course, zone: str, local: str, utc: datetime) -> None:
    assert rules(course, f'timezone = "{zone}"\n[due]\nweek01 = {local}\n').due == utc


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[due]\nweek01 = 2026-03-02T23:59:00\n", "says no zone"),
        ('timezone = "PST"\n', "is not an IANA name"),
        ('timezone = "../../etc/passwd"\n', "is not an IANA name"),
        ("[late]\npercent_a_day = 200\n", r"late.percent_a_day: .*100"),
        ("[late]\nper_day = 2\n", r"late.per_day: "),
        ("due = 3\n", "due: "),
        ("[due\n", "is not valid TOML"),
        ('timezone = "UTC"\n[due]\nwek01 = 2026-03-02T23:59:00\n', "'wek01' is not a week"),
    ],
)
def test_a_file_that_breaks_a_rule_is_told_with_the_place(course: Course, text: str, said: str) -> None:
    with pytest.raises(WorkbookError, match=said):
        rules(course, text)


@pytest.mark.parametrize(
    ("learner", "after", "share"),
    [
        ("ann", timedelta(0), None),
        ("ann", timedelta(minutes=10), None),
        ("ann", timedelta(minutes=11), 0.10),
        ("ann", timedelta(days=1), 0.10),
        ("ann", timedelta(days=1, seconds=1), 0.20),
        ("ann", timedelta(days=6), 0.25),
        ("ann", timedelta(days=7, seconds=1), 1.0),
        ("bo", timedelta(days=2), None),
        ("bo", timedelta(days=2, hours=1), 0.10),
    ],
)
def test_what_being_late_costs(course: Course, learner: str, after: timedelta, share: float | None) -> None:
    found = rules(course, RULES)
    assert found.due == DUE
    late = found.late(learner, DUE + after)
    assert (late.share if late else None) == share


def test_an_extension_never_shortens() -> None:
    found = Deadlines(DUE, (("ann", DUE - timedelta(days=1)), ("bo", DUE + timedelta(days=1))), LateRule())
    assert [found.due_for(name) for name in ("ann", "bo", "cy")] == [DUE, DUE + timedelta(days=1), DUE]


def test_lateness_is_said_in_the_zone_of_the_class(course: Course) -> None:
    late = rules(course, RULES).late("ann", DUE + timedelta(days=1, hours=2))
    assert late
    assert late.said == "1 day 2 h late, due 2026-03-02 23:59 CET: 20% of its points are taken"


@pytest.mark.parametrize(("attempt", "counts"), [("newest", "late"), ("newest in time", "in time")])
def test_which_attempt_counts_is_the_class_s_choice_and_said(course: Course, attempt: str, counts: str) -> None:
    rules(course, f'attempt = "{attempt}"\n{RULES}')
    source = course.root / "source"
    put(source / "ann" / "attention.ipynb", notebook("in time"), DUE - timedelta(hours=1))
    put(source / "ann" / "attention (1).ipynb", notebook("late"), DUE + timedelta(days=1, hours=2))
    put(source / "cy" / "attention.ipynb", notebook("late alone"), DUE + timedelta(hours=1))
    for _ in range(2):
        done = collect(source, course, WEEK)
        assert handed_in(course) == {"ann": notebook(counts), "cy": notebook("late alone")}
    said = {one.learner: [note for note in one.notes if "late, due" in note] for one in done.learners}
    assert said["cy"] == ["1 h late, due 2026-03-02 23:59 CET: 10% of its points are taken"]
    assert bool(said["ann"]) == (counts == "late")


def _set(graded: GradedClass, moments: dict[str, datetime], due: datetime | None = None) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(graded.course.db_url) as gradebook:
        for learner, moment in moments.items():
            gradebook.find_submission(TINY, learner).timestamp = moment
        gradebook.find_assignment(TINY).duedate = due
        gradebook.db.commit()


def _rows(path: Path) -> Sequence[Sequence[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_what_is_taken_is_in_totals_pages_report_and_export(graded: GradedClass) -> None:
    before = standings(graded.course, TINY)
    _set(graded, {"ann": DUE + timedelta(hours=1), "bob": DUE, "cleo": DUE + timedelta(days=30)})
    assert not touched(graded.course, TINY)
    rules(graded.course, RULES, TINY)
    found = standings(graded.course, TINY)
    assert found["ann"].total == pytest.approx(0.9 * before["ann"].total, abs=0.01)
    assert (found["bob"].total, found["bob"].late) == (before["bob"].total, None)
    assert found["cleo"].total == 0
    assert touched(graded.course, TINY)
    rewrite(graded.built, graded.course)
    facts = class_of(graded.built, graded.course)
    lines = {line.learner: line for line in facts.lines}
    late = lines["ann"].late
    assert late
    assert late.said == "1 h late, due 2026-03-02 23:59 CET: 10% of its points are taken"
    assert lines["bob"].late is None
    assert late.said in write_class(graded.course, facts).read_text(encoding="utf-8")
    page = (graded.course.feedback / "ann" / TINY / "index.html").read_text(encoding="utf-8")
    assert "Late submission" in page
    exported = export(graded.course, {TINY: "01 Tiny"}, unfinished=True)
    moodle = {row[1]: row for row in _rows(exported.files[1])}
    assert moodle["ann"][4] == f"{found['ann'].total:g}"
    assert "1 h late, due" in moodle["ann"][-1]
    assert "late" not in moodle["bob"][-1]


def test_nbgrader_s_due_date_counts_where_the_file_has_none(graded: GradedClass) -> None:
    from nbgrader.api import Gradebook

    _set(graded, {"ann": DUE + timedelta(hours=1), "bob": DUE}, due=DUE)
    assert nbgrader_s(graded.course, TINY) == DUE
    found = standings(graded.course, TINY)
    late = found["ann"].late
    assert late
    assert (late.by, late.share) == (timedelta(hours=1), 0.0)
    assert found["bob"].late is None
    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.find_submission(TINY, "ann").extension = timedelta(days=1)
        gradebook.db.commit()
    assert standings(graded.course, TINY)["ann"].late is None, "an extension in nbgrader's gradebook"
    rules(graded.course, 'timezone = "UTC"\n[extensions.ann]\nweek01 = 2026-03-02T22:59:30\n', TINY)
    late = standings(graded.course, TINY)["ann"].late
    assert late
    assert late.due == datetime(2026, 3, 2, 22, 59, 30), "that of the file counts"
    rules(graded.course, 'timezone = "UTC"\n[due]\nweek01 = 2026-04-01T00:00:00\n', TINY)
    assert standings(graded.course, TINY)["ann"].late is None
