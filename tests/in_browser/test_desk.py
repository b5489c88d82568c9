"""The instructor's desk in a real browser: a written answer gets points and a comment, which arrive everywhere."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from autograder.gradebook.scores import standings
from autograder.grading.rewrite import rewrite
from autograder.reporting.class_page import class_of, render_class, write_class
from autograder.reporting.lms_export import export

from ..browser import browser_path, page
from ..chosen import ROOT
from ..graded_class import ESSAY, WEEK, GradedClass
from ..opened_desk import GUARD, START, opened, submission_id

pytestmark = pytest.mark.browser


def saved(method_and_url: tuple[str, str], kind: str) -> bool:
    method, url = method_and_url
    return method == "PUT" and f"/formgrader/api/{kind}/" in url


def test_a_written_answer_is_graded_at_the_desk(graded: GradedClass, tmp_path: Path) -> None:
    browser_path()
    option, value = GUARD.split("=", 1)
    assert f'jupyter lab $(AS_ROOT) {START} {option}="{value}"' in (ROOT / "Makefile").read_text(encoding="utf-8"), (
        "as `make desk` starts it"
    )
    before = standings(graded.course, WEEK)["ann"]
    with opened(graded, tmp_path) as at_the_desk:
        desk = at_the_desk.page
        desk.get_by_role("link", name="Manual Grading").click()
        desk.get_by_role("link", name=WEEK).click()
        desk.get_by_role("link", name="tiny").click()
        desk.get_by_role("link", name="Submission #").first.wait_for()
        assert desk.get_by_role("link", name="Submission #").count() == len(standings(graded.course, WEEK))
        if shown := os.environ.get("WORKBOOK_SCREENSHOTS"):
            desk.screenshot(path=f"{shown}/desk-list.png")
        at_the_desk.go(f"submissions/{submission_id(graded, 'ann')}")
        desk.get_by_text(ESSAY).wait_for()
        points = desk.locator("input#written-why")
        points.wait_for()
        with desk.expect_response(lambda r: saved((r.request.method, r.url), "grade")) as response:
            points.fill("15.5")
            points.blur()
        assert response.value.ok
        comment = desk.locator("textarea#written-why-comment")
        with desk.expect_response(lambda r: saved((r.request.method, r.url), "comment")) as response:
            comment.fill('Well said. <b>"=1+1"</b>')
            comment.blur()
        assert response.value.ok
        if shown:
            points.scroll_into_view_if_needed()
            desk.screenshot(path=f"{shown}/desk-submission.png")
    after = standings(graded.course, WEEK)["ann"]
    assert before.waiting == ("written-why",)
    assert (after.total, after.waiting) == (before.total + 15.5, ())
    assert after.comments == {"written-why": 'Well said. <b>"=1+1"</b>'}
    rewrite(graded.built, graded.course)
    feedback = (graded.course.feedback / "ann" / WEEK / "index.html").read_text(encoding="utf-8")
    assert "Well said. &lt;b&gt;" in feedback
    facts = class_of(graded.built, graded.course)
    assert (facts.waiting, facts.written[0].some) == (2, 1)
    assert "1 graded, 2 to grade, 4 not answered" in render_class([facts])
    done = export(graded.course, {WEEK: "01 Doubling"})
    canvas, moodle = (list(csv.reader(path.open(newline="", encoding="utf-8-sig"))) for path in done.files)
    assert ["ann", "", "", "", "", "95.5"] in canvas
    assert next(row for row in moodle if row[1] == "ann")[4::5] == ["95.5", 'written-why: Well said. <b>"=1+1"</b>']


ORDER = """
table => [...table.querySelectorAll("tbody tr")]
  .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
  .map(row => row.lastElementChild.textContent.trim())
"""
"""The last cells of a table's rows, from top to bottom as they are seen."""


def test_the_report_obeys_its_policy_and_its_rows_can_be_sorted(graded: GradedClass) -> None:
    """In a browser that obeys the page's policy: nothing is refused, a choice puts the rows in order."""
    facts = class_of(graded.built, graded.course)
    path = write_class(graded.course, facts)
    with page("report") as one:
        said: list[str] = []
        one.on("console", lambda message: said.append(message.text))
        one.goto(path.as_uri())
        table = one.locator("table.sortable")
        by_name = table.evaluate(ORDER)
        one.get_by_label("points, the fewest first").check()
        by_points = table.evaluate(ORDER)
        one.get_by_label("name").check()
        assert table.evaluate(ORDER) == by_name
        bar = one.locator("svg.bar rect.full").first
        box = bar.bounding_box()
    assert by_name == ["40", "80", "80", "40", "0", "0", "–", "40"]
    assert by_points == ["0", "0", "40", "40", "40", "80", "80", "–"]
    assert box is not None
    assert min(box["width"], box["height"]) > 5
    assert said == []
