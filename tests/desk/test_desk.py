"""The desk after grading: feedback from the record, the report on the class, exports that are read back."""

from __future__ import annotations

import csv
import errno
import html
import json
import os
import re
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from autograder.core.csv_files import harmless, write_table
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.course.roster import folder_name
from autograder.execution.executor import here
from autograder.feedback.pages import read_facts
from autograder.gradebook.grades_csv import write_csv
from autograder.gradebook.ledger import Ledger
from autograder.gradebook.scores import standings, weeks_in_gradebook
from autograder.grading.grade import grade_week
from autograder.grading.rewrite import rewrite, touched, write_grades
from autograder.reporting.class_page import class_of, histogram, render_class, spread, write_class
from autograder.reporting.class_stats import ClassFacts, class_facts
from autograder.reporting.lms_export import CANVAS, MOODLE, POSSIBLE, Exported, export
from autograder.reporting.return_feedback import return_feedback
from autograder.submissions.attempts import keep
from autograder.week.headings import question

from ..graded_class import ATTACK, BROKEN, FORMULA, WEEK, GradedClass, give, hand_in

TITLE = {WEEK: "01 Doubling"}
POINTS = {"ann": 80.0, "bob": 40.0, "cleo": 0.0, "dan": 0.0, FORMULA: 80.0, ATTACK: 40.0, "Zoë 李": 40.0}
WAITING = {"ann", ATTACK, "Zoë 李"}


def facts_of(graded: GradedClass) -> ClassFacts:
    return class_of(graded.built, graded.course)


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


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("**W1.** Why is double twice?", "W1. Why is double twice?"),
        ("**W2. Why $\\sqrt d$? (5 points)** Derive it.", "W2. Why $\\sqrt d$?"),
        ("**W3. The floor (5 points, about 300 words).** Derive it.", "W3. The floor"),
        ("### A heading\n\ntext", "A heading"),
        ("\nSay it well. Then say it again.", "Say it well."),
    ],
)
def test_what_a_question_is_called(source: str, name: str) -> None:
    assert question(source) == name


# the report


class Page(HTMLParser):
    """What is in a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_facts_of_the_class(graded: GradedClass) -> None:
    (graded.course.folder / "roster.csv").write_text("learner,name\nfinn,Finn Roe\nann,Ann Lee\n", encoding="utf-8")
    facts = facts_of(graded)
    double, quadruple = facts.exercises
    assert (double.full, double.some, double.none, double.unbegun, double.median) == (4, 0, 2, 1, 40)
    assert (quadruple.full, quadruple.some, quadruple.none, quadruple.unbegun, quadruple.median) == (3, 0, 1, 3, 40)
    (why,) = facts.written
    assert (why.waiting, why.judged, why.unbegun) == (3, 0, 4), "what waits is neither hard nor easy"
    assert all(each.everybody == 7 for each in (double, quadruple, why))
    assert [each.name for each in facts.by_difficulty] == ["double", "quadruple"]
    assert facts.unjudged == (why,)
    assert facts.waiting == 3
    assert [(m.names, m.learners) for m in facts.misunderstandings] == [(("same",), ("bob", "cleo"))]
    assert {line.learner: line.reasons for line in facts.low} == {
        "cleo": ("0 of 100 judged points",),
        "dan": ("0 of 100 judged points", "left 2 exercises untouched"),
        "bob": ("40 of 100 judged points",),
        "Zoë 李": (
            "scored 0 where most succeed: Exercise 2. Quadruple",
            "Exercise 2. Quadruple: the answer is too slow",
        ),
    }
    assert [line.learner for line in facts.need_help] == ["dan", "cleo"], "a fifth of seven, rounded up"
    missing = {line.learner: line.missing for line in facts.missing}
    assert set(missing) == {BROKEN, "finn"}
    assert missing["finn"] == "no submission"
    assert missing[BROKEN].startswith("could not be read: ")
    assert {line.called for line in facts.missing} == {BROKEN, "Finn Roe"}


def test_what_most_can_do_is_said_of_those_who_tried_and_cannot(graded: GradedClass) -> None:
    recorded, told = standings(graded.course, WEEK), read_facts(graded.course, WEEK)

    def reasons(*keep: str) -> dict[str, tuple[str, ...]]:
        facts = class_facts(graded.built, {n: recorded[n] for n in keep}, {n: told[n] for n in keep}, [])
        return {line.learner: line.reasons for line in facts.low}

    assert "scored 0 where most succeed: Exercise 1. Double" in reasons("ann", FORMULA, ATTACK, "bob")["bob"]
    assert reasons("ann", FORMULA, ATTACK, "dan")["dan"] == ("0 of 100 judged points", "left 2 exercises untouched")


@pytest.mark.parametrize(("size", "named"), [(1, 1), (5, 1), (6, 2), (40, 8)])
def test_at_most_a_fifth_of_a_class_is_named_the_lowest_first(graded: GradedClass, size: int, named: int) -> None:
    recorded, told = standings(graded.course, WEEK), read_facts(graded.course, WEEK)
    names = [f"l{number:02}" for number in range(size)]
    facts = class_facts(graded.built, dict.fromkeys(names, recorded["cleo"]), dict.fromkeys(names, told["cleo"]), [])
    assert (len(facts.low), len(facts.need_help)) == (size, named)
    more = f"{size - named} learner"
    assert (more in Page(render_class([facts])).text) == (size > named)


def test_late_work_is_said_with_the_time(graded: GradedClass) -> None:
    from nbgrader.api import Gradebook

    due = datetime(2026, 9, 1, 12)
    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.find_assignment(WEEK).duedate = due
        for learner, hours in (("ann", -1), ("bob", 2), ("cleo", 36)):
            gradebook.find_submission(WEEK, learner).timestamp = due + timedelta(hours=hours)
        gradebook.db.commit()
    facts = facts_of(graded)
    assert [(line.learner, line.overdue) for line in facts.late] == [("cleo", 36 * 3600), ("bob", 2 * 3600)]
    text = " ".join(Page(render_class([facts])).text.split())
    assert "cleo: 1 day 12 h late, due " in text
    assert "bob: 2 h late, due " in text


def test_remarks_of_grading_stand_on_the_page_and_nowhere_else(graded: GradedClass) -> None:
    ledger = Ledger(graded.course, WEEK)
    entry = ledger.entry("ann")
    assert entry
    remark = "cell 'double' uses ctypes: worth a look, no points lost"
    ledger.enter("ann", entry.model_copy(update={"remarks": [remark]}))
    rewrite(graded.built, graded.course)
    text = (graded.course.folder / f"{WEEK}.html").read_text(encoding="utf-8")
    assert "Worth a look" in text
    assert remark in Page(text).text
    assert all(remark not in p.read_text(encoding="utf-8") for p in graded.course.feedback.rglob("*.*"))


def test_the_page_stands_alone_and_runs_nothing(graded: GradedClass) -> None:
    path = write_class(graded.course, facts_of(graded))
    assert path.name == f"{WEEK}.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "img", "form", "image"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert "style" not in attributes, (tag, attributes)
        for name in ("href", "src", "xlink:href"):
            assert not re.match(r"(?i)\s*(https?:|javascript:|data:|//)", attributes.get(name) or "")
    assert ATTACK not in text
    assert html.escape(ATTACK, quote=False) in text
    assert ATTACK in page.text
    assert "default-src 'none'" in text


def test_the_page_shows_points_difficulty_misunderstandings_and_needs(graded: GradedClass) -> None:
    text = render_class([facts_of(graded)])
    page = Page(text)
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert labels[:10] == [f"{n} learner{'s' * (n != 1)}" for n in (2, 0, 0, 0, 3, 0, 0, 0, 2, 0)], "0-10, 40-50, 80-90"
    assert labels[10:] == [
        "4 with all points, 0 with some, 2 with none, 1 not begun",
        "3 with all points, 0 with some, 1 with none, 3 not begun",
    ]
    words = " ".join(page.text.split())
    for said in (
        "median points",
        "Exercise 1. Double 67 % all points",
        "Nothing can be said yet: 0 with all points, 0 with some, 0 with none, 4 not begun, 3 to grade",
        "One is not two.",
        "2 learners",
        "left 2 exercises untouched",
        "Because a number and itself are two of them: 20 points.",
        "3 answers wait",
    ):
        assert said in words, said


def test_a_bar_is_as_long_as_its_parts(graded: GradedClass) -> None:
    text = render_class([facts_of(graded)])
    bar = re.search(r'aria-label="4 with all points.*?</svg>', text, re.DOTALL)
    assert bar
    parts = re.findall(r'class="(\w+)" x="([\d.]+)" width="([\d.]+)"', bar[0])
    assert parts == [("full", "0.00", "66.67"), ("none", "66.67", "33.33")]


def test_headings_are_in_order_and_tables_have_names(graded: GradedClass) -> None:
    from dataclasses import replace

    facts = facts_of(graded)
    for weeks in ([facts], [facts, replace(facts, week="week02_other")]):
        page = Page(render_class(weeks))
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        tables = [attributes for tag, attributes in page.tags if tag == "table"]
        captions = sum(tag == "caption" for tag, _ in page.tags)
        assert captions + sum("aria-labelledby" in one for one in tables) == len(tables)
        ids = {attributes.get("id") for _, attributes in page.tags}
        named = [attributes.get("aria-labelledby") for _, attributes in page.tags if "aria-labelledby" in attributes]
        assert set(named) <= ids


def test_points_beyond_the_sum_and_full_points_lie_in_the_last_step() -> None:
    counts = [one.count for one in histogram([0, 9.9, 10, 99, 100, 104], 100)]
    assert counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]


@pytest.mark.parametrize(("totals", "shown"), [([50.0], (50, 50, 50)), ([0.0, 10.0, 20.0, 30.0, 80.0], (10, 20, 30))])
def test_the_spread_of_a_class(graded: GradedClass, totals: list[float], shown: tuple[float, ...]) -> None:
    from dataclasses import replace

    facts = facts_of(graded)
    lines = tuple(replace(facts.lines[0], total=total) for total in totals)
    found = spread(replace(facts, lines=lines))
    assert (found.low, found.middle, found.high) == shown


def test_the_rows_can_be_put_in_order_without_a_script(graded: GradedClass) -> None:
    facts = facts_of(graded)
    text = render_class([facts])
    rules = dict(re.findall(r"by-points:checked\) tbody tr:nth-child\((\d+)\)\{order:(\d+)\}", text))
    shown = sorted(rules, key=lambda row: int(rules[row]))
    totals = [facts.lines[int(row) - 1].total for row in shown]
    assert totals == [0, 0, 40, 40, 40, 80, 80, None]


def test_the_same_record_gives_the_same_page(graded: GradedClass) -> None:
    assert render_class([facts_of(graded)]) == render_class([facts_of(graded)])


def test_several_weeks_are_one_page(graded: GradedClass) -> None:
    from dataclasses import replace

    first = facts_of(graded)
    second = replace(first, week="week02_other", title="Another <week>", lines=first.lines[:3])
    path = write_class(graded.course, first, second)
    assert path.name == "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), sorted(i for i in ids if ids.count(i) > 1)
    assert "median 40 %, middle half 20 to 60 %" in [a.get("aria-label") for _, a in page.tags]
    assert "Another <week>" in page.text


def test_a_week_that_nobody_handed_in_has_a_page(graded: GradedClass) -> None:
    assert "Nobody is graded yet." in Page(render_class([class_facts(graded.built, {}, {}, [])])).text


# exports


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def exported(graded: GradedClass, unfinished: bool = False) -> tuple[Exported, list[list[str]], list[list[str]]]:
    done = export(graded.course, TITLE, unfinished)
    return done, rows_of(done.files[0]), rows_of(done.files[1])


def test_canvas_takes_the_file(graded: GradedClass) -> None:
    (graded.course.folder / "roster.csv").write_text(
        'id,name,email,learner\n12345,"Lee, Ann",ann@example.org,ann\n', encoding="utf-8"
    )
    done, canvas, _ = exported(graded, unfinished=True)
    assert canvas[0] == [*CANVAS, "01 Doubling"]
    assert canvas[1] == [POSSIBLE, "", "", "", "", "100"]
    points = {row[0]: row[5] for row in canvas[2:]}
    assert points["Lee, Ann"] == "80"
    assert next(row for row in canvas if row[0] == "Lee, Ann")[1:4] == ["12345", "", "ann@example.org"]
    assert set(done.unknown) == set(POINTS) - {"ann"}
    assert len(canvas) == 2 + len(POINTS)


def test_moodle_takes_the_worksheet(graded: GradedClass) -> None:
    folder = graded.course.folder / "attempts" / "ann"
    folder.mkdir(parents=True)
    (folder / "who.json").write_text(
        f'{{"name": "Ann Lee", "canvas": "", "moodle": {{"{WEEK}": "4711"}}}}', encoding="utf-8"
    )
    give(graded.course, "ann", "written-why", 12.5, 'Good, "short",\nand = right.')
    _, _, moodle = exported(graded)
    assert moodle[0] == list(MOODLE)
    row = dict(zip(MOODLE, next(row for row in moodle if row[1] == "Ann Lee"), strict=True))
    assert (row["Identifier"], row["Grade"], row["Maximum Grade"]) == ("Participant 4711", "92.5", "100")
    assert row["Feedback comments"] == 'written-why: Good, "short",\nand = right.'


def test_moodle_takes_a_second_worksheet_and_keeps_what_was_typed_there_since(graded: GradedClass) -> None:
    """Moodle skips a row whose own grade is more than a minute younger than `Last modified (grade)`."""
    at = MOODLE.index("Last modified (grade)")
    first, second = datetime(2026, 11, 2, 9, 30, tzinfo=UTC), datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
    shown = []
    for when in (first, second):
        done = export(graded.course, TITLE, now=when)
        shown.append({row[at] for row in rows_of(done.files[1])[1:]})
    assert shown == [{"2026-11-02 09:30 UTC"}, {"2026-11-03 09:30 UTC"}]


def test_every_week_has_files_of_its_own(graded: GradedClass) -> None:
    """In one file for all weeks an empty cell would make Canvas delete a grade."""
    done = export(graded.course, TITLE | {"week02_other": "02 Other"})
    assert [path.name for path in done.files] == [f"{WEEK}_canvas.csv", f"{WEEK}_moodle.csv"]
    assert all(row[5] for row in rows_of(done.files[0])[1:])


def test_tables_begin_with_a_mark_that_excel_needs(graded: GradedClass) -> None:
    for path in export(graded.course, TITLE).files:
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        assert b"\xef\xbb\xbf" not in path.read_bytes()[3:]


def test_pages_go_back_by_the_names_of_the_download(graded: GradedClass) -> None:
    (graded.course.folder / "roster.csv").write_text("learner,name\nann,Ann_Lee / Roe\n", encoding="utf-8")
    attempts = graded.course.folder / "attempts"
    for learner, canvas, moodle, serial in (
        ("ann", "12345", "4711", 67890),
        ("bob", "", "4712", 0),
        ("cleo", "7", "", 1),
    ):
        (attempts / learner / WEEK).mkdir(parents=True)
        told = {"name": learner.title(), "canvas": canvas, "moodle": {WEEK: moodle} if moodle else {}}
        (attempts / learner / "who.json").write_text(json.dumps(told), encoding="utf-8")
        keep(graded.course, learner, WEEK, b"{}", datetime(2026, 9, 1), serial)
    rewrite(graded.built, graded.course)
    done = export(graded.course, TITLE, unfinished=True)

    def names(end: str) -> list[str]:
        with zipfile.ZipFile(graded.course.folder / "export" / f"{WEEK}{end}.zip") as archive:
            return archive.namelist()

    assert names("_feedback_canvas") == ["ann_12345_67890_index.html", "ann_12345_67890_tiny.html"]
    assert names("_feedback_moodle") == [
        "Ann Lee   Roe_4711_assignsubmission_file_/index.html",
        "Ann Lee   Roe_4711_assignsubmission_file_/tiny.html",
        "Bob_4712_assignsubmission_file_/index.html",
        "Bob_4712_assignsubmission_file_/tiny.html",
    ]
    assert {name.partition("/")[0] for name in names("_feedback")} == {folder_name(learner) for learner in POINTS}
    assert list(done.pages.values()) == [1, 2, len(POINTS)]
    before = {path: path.read_bytes() for path in done.pages}
    assert {path: path.read_bytes() for path in export(graded.course, TITLE, unfinished=True).pages} == before
    shutil.rmtree(attempts)
    assert len(export(graded.course, TITLE, unfinished=True).pages) == 1
    assert not (graded.course.folder / "export" / f"{WEEK}_feedback_canvas.zip").exists()


def read_as_canvas(name: str) -> tuple[str, str]:
    """The person and the file that Canvas finds in a name: the first two parts that are nothing but digits."""
    person, file, *_ = [part for part in name.split("_") if part.isdigit()]
    return person, file


def read_as_moodle(path: str) -> tuple[str, list[str]]:
    """The participant and the plugin that Moodle finds in a path."""
    info = path.split("/")[0].split("_", 4)
    assert len(info) >= 4
    return info[1], info[2:4]


@pytest.mark.parametrize("learner", ["ann_7_8", "Zoë 12 李", "9", "=1+1"])
def test_names_with_numbers_and_underscores_confuse_no_platform(graded: GradedClass, learner: str) -> None:
    page = graded.course.feedback / learner / WEEK / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("page", encoding="utf-8")
    told = {"name": learner, "canvas": "12345", "moodle": {WEEK: "4711"}}
    who = graded.course.folder / "attempts" / learner / "who.json"
    (who.parent / WEEK).mkdir(parents=True)
    who.write_text(json.dumps(told), encoding="utf-8")
    keep(graded.course, learner, WEEK, b"{}", datetime(2026, 9, 1), 67890)
    made = return_feedback(graded.course, WEEK, [learner])
    canvas, moodle, _ = [zipfile.ZipFile(path).namelist()[0] for path in made]
    assert read_as_canvas(canvas) == ("12345", "67890")
    assert read_as_moodle(moodle) == ("4711", ["assignsubmission", "file"])


def test_who_waits_for_a_person_is_left_out_and_named(graded: GradedClass) -> None:
    done, canvas, moodle = exported(graded)
    assert set(done.waiting[WEEK]) == WAITING
    assert {row[0] for row in canvas[2:]} == {"bob", "cleo", "dan", f"'{FORMULA}"}
    assert len(moodle) == 1 + 4
    done, canvas, _ = exported(graded, unfinished=True)
    assert done.waiting == {}
    assert len(canvas) == 2 + len(POINTS)


def test_where_nobody_is_done_nothing_is_written(graded: GradedClass) -> None:
    for learner in set(POINTS) - WAITING:
        from nbgrader.api import Gradebook

        with Gradebook(graded.course.db_url) as gradebook:
            gradebook.remove_student(learner)
    with pytest.raises(WorkbookError, match=r"nobody is graded completely -> .* --unfinished"):
        export(graded.course, TITLE)
    assert not (graded.course.folder / "export").exists()


def test_no_name_is_a_formula(graded: GradedClass) -> None:
    _, canvas, moodle = exported(graded, unfinished=True)
    cells = [cell for row in (*canvas, *moodle) for cell in row]
    assert f"'{FORMULA}" in cells
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    "text",
    ["{}1", "  {}1", "\t{}1", "\r{}1", "\n{}1", "a;{}1", "a; {}1", 'a;"{}1', "a\t{}1", "a\r\n{}1", "a|{}1", '"{}1'],
)
def test_what_looks_like_a_formula_is_text(tmp_path: Path, text: str) -> None:
    """Whichever separator a spreadsheet on this computer expects, it finds no cell that begins as a formula."""
    path = tmp_path / "t.csv"
    for sign in "=+-@＝＋－＠":
        write_table(path, [text.format(sign)], [["5", text.format(sign), 7]])
        assert harmless(text.format(sign)) != text.format(sign)
        for line in path.read_text(encoding="utf-8").splitlines():
            for separator in (",", ";", "\t", "|"):
                for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                    cells = next(csv.reader([line], delimiter=separator, quoting=quoting), [])
                    assert not [cell for cell in cells if cell.strip(' \t"').startswith(sign)]


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@sum", "  =1", "＝1", "－1", "\ttext"])
def test_an_apostrophe_stands_before_it(tmp_path: Path, text: str) -> None:
    assert harmless(text) == f"'{text}"
    write_table(tmp_path / "t.csv", ["a"], [[text]])
    assert rows_of(tmp_path / "t.csv") == [["a"], [f"'{text}"]]


@pytest.mark.parametrize("value", [-1, 2.5, "a-b", "Zoë", "", "a=b", "Lee, Ann", "a; b - c"])
def test_everything_else_stays(value: object) -> None:
    assert harmless(value) == value


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
