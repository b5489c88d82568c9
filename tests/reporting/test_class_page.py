"""The page about a class: what is true of it, and how it is shown."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from autograder.feedback.pages import read_facts
from autograder.gradebook.ledger import Ledger
from autograder.gradebook.scores import standings
from autograder.grading.rewrite import rewrite
from autograder.reporting.class_page import histogram, render_class, spread, write_class
from autograder.reporting.class_stats import class_facts

from ..graded_class import ATTACK, BROKEN, FORMULA, WEEK, GradedClass, facts_of

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
