"""The desk after grading: feedback from the record, the report on the class, exports that are read back."""

from __future__ import annotations

import csv
import errno
import html
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder import charts
from autograder.by_hand import question, read_facts, rewrite, touched
from autograder.class_facts import ClassFacts, class_facts
from autograder.class_report import render_report, write_report
from autograder.course import Course
from autograder.crew import here
from autograder.errors import WorkbookError
from autograder.export import CANVAS, MOODLE, POSSIBLE, Exported, export
from autograder.grade import grade_week
from autograder.grades_csv import write_csv
from autograder.roster import read_roster
from autograder.spreadsheet import harmless, write_table
from autograder.standings import standings, weeks_in_gradebook

from .graded_class import ATTACK, BROKEN, FORMULA, WEEK, GradedClass, give, hand_in

TITLE = {WEEK: "01 Doubling"}
POINTS = {"ann": 80.0, "bob": 40.0, "cleo": 0.0, "dan": 0.0, FORMULA: 80.0, ATTACK: 40.0, "Zoë 李": 40.0}
WAITING = {"ann", ATTACK, "Zoë 李"}


def facts_of(graded: GradedClass) -> ClassFacts:
    recorded, told = standings(graded.course, WEEK), read_facts(graded.course, WEEK)
    return class_facts(graded.built, recorded, told, read_roster(graded.course))


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
    assert '<p class="said">Well said.\nNow why 20?</p>' in page["ann"]
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
    assert "Handed in late" in page
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


def test_feedback_names_who_has_no_facts_and_who_was_graded_elsewhere(graded: GradedClass) -> None:
    shutil.rmtree(graded.course.feedback / "ann")
    from nbgrader.api import Gradebook

    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.find_grade("double-test-1", "tiny", WEEK, "bob").auto_score = 20
        gradebook.db.commit()
    done = rewrite(graded.built, graded.course)
    assert done.without == ("ann",)
    assert done.differ == {"bob": "the pages say 40 points, the gradebook 60: grade again"}


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
    assert (double.full, double.some, double.none, double.median) == (4, 0, 3, 40)
    assert (quadruple.full, quadruple.some, quadruple.none, quadruple.median) == (3, 0, 4, 0)
    (why,) = facts.written
    assert (why.waiting, why.full, why.none) == (3, 0, 4)
    assert facts.waiting == 3
    assert [(m.names, m.learners) for m in facts.misunderstandings] == [(("same",), ("bob", "cleo"))]
    reasons = {line.learner: line.reasons for line in facts.need_help}
    assert reasons == {
        "cleo": ("has 0 of 100 judged points",),
        "dan": ("has 0 of 100 judged points", "did not begin 2 exercises"),
        "bob": ("has 40 of 100 judged points",),
        "Zoë 李": ("Exercise 2. Quadruple: the answer is too slow",),
        BROKEN: (reasons[BROKEN][0],),
        "finn": ("handed in nothing",),
    }
    assert reasons[BROKEN][0].startswith("could not be graded: the file breaks off")


def test_what_most_can_do_is_said_of_those_who_cannot(graded: GradedClass) -> None:
    recorded, told = standings(graded.course, WEEK), read_facts(graded.course, WEEK)
    keep = ("ann", FORMULA, ATTACK, "bob")
    facts = class_facts(graded.built, {n: recorded[n] for n in keep}, {n: told[n] for n in keep}, [])
    reasons = {line.learner: line.reasons for line in facts.need_help}
    assert "has no points in what most can do: Exercise 1. Double" in reasons["bob"]


def test_the_page_stands_alone_and_runs_nothing(graded: GradedClass) -> None:
    path = write_report(graded.course, [facts_of(graded)])
    assert path.name == f"{WEEK}_report.html"
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
    text = render_report([facts_of(graded)])
    page = Page(text)
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert labels[0] == "Distribution of points: 7 learners, median 40 of 100"
    assert labels[1] == "Shares of the class with all, some and no points, for each exercise"
    for words in (
        "median 40",
        "Exercise 1. Double",
        "57 %",
        "One is not two.",
        "2 learners",
        "did not begin 2 exercises",
    ):
        assert words in page.text, words
    assert "Because a number and itself are two of them: 20 points." in page.text, "the rubric, for who grades"
    assert re.search(r"3\s+answers wait", page.text)


def test_the_charts_keep_to_the_policy_of_the_page(graded: GradedClass) -> None:
    """No chart has a style attribute or element: the policy would drop it, and all colors with it."""
    text = render_report([facts_of(graded)])
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    drawn = [chart for chart in charts if 'class="chart"' in chart]
    assert len(drawn) == 2
    for chart in drawn:
        assert "style" not in chart
        assert 'fill="#3f8fdc"' in chart
        assert "currentColor" in chart
        assert "#010203" not in chart


def test_a_formula_in_a_title_is_a_label_and_no_formula_of_matplotlib(graded: GradedClass) -> None:
    drawn = charts.difficulty("name", [(r"**W1.** Why $\sqrt d$ and $x", 0.5, 0.25, 0.25)])
    assert "W1. Why √d and $x" in Page(drawn).text


def test_the_rows_can_be_put_in_order_without_a_script(graded: GradedClass) -> None:
    facts = facts_of(graded)
    text = render_report([facts])
    rules = dict(re.findall(r"by-points:checked\) tbody tr:nth-child\((\d+)\)\{order:(\d+)\}", text))
    shown = sorted(rules, key=lambda row: int(rules[row]))
    totals = [facts.lines[int(row) - 1].total for row in shown]
    assert totals == [0, 0, 40, 40, 40, 80, 80, None]


def test_the_same_record_gives_the_same_page(graded: GradedClass) -> None:
    assert render_report([facts_of(graded)]) == render_report([facts_of(graded)])


def test_several_weeks_are_one_page(graded: GradedClass) -> None:
    from dataclasses import replace

    first = facts_of(graded)
    second = replace(first, week="week02_other", title="Another <week>", lines=first.lines[:3])
    path = write_report(graded.course, [first, second])
    assert path.name == "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), sorted(i for i in ids if ids.count(i) > 1)
    assert "Median (dot) and middle half (bar) of the class in each week" in [a.get("aria-label") for _, a in page.tags]
    assert "Another <week>" in page.text


def test_a_week_that_nobody_handed_in_has_a_page(graded: GradedClass) -> None:
    assert "Nobody is graded yet." in Page(render_report([class_facts(graded.built, {}, {}, [])])).text


# exports


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
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
    write_report(graded.course, [facts_of(graded)])

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
            lambda: write_report(graded.course, [facts_of(graded)]),
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
