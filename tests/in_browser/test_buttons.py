"""Every button of the desk is clicked: a learner's code runs in a sandbox or not at all, no page of ours is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.gradebook.scores import standings

from ..browser import browser_path
from ..graded_class import ANSWERS, BROKEN, DOUBLE, WEEK, GradedClass, give, hand_in
from ..opened_desk import Desk, opened

pytestmark = pytest.mark.browser
HIDDEN = "for number in (-3, 10**9):"
"""A line of a hidden test of the tiny week."""


def pages(graded: GradedClass) -> dict[str, bytes]:
    folder = graded.course.feedback
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def came_by_the_exchange(graded: GradedClass) -> None:
    for folder in graded.course.submitted.glob(f"*/{WEEK}"):
        (folder / "timestamp.txt").write_text("2026-03-01 12:00:00 UTC", encoding="utf-8")
        (folder / "submission_secret.txt").write_text(f"a secret of {folder.parent.name}", encoding="utf-8")


def click(desk: Desk, row: str, button: str) -> tuple[str, str]:
    """Click the button in the row of a list, wait for its box. Returns the box's heading and text."""
    one = desk.page
    line = one.locator("#main-table tr", has=one.get_by_text(row, exact=True))
    line.locator(f".{button} a").click()
    box = one.locator(".modal-dialog")
    box.wait_for()
    heading, text = box.locator(".modal-title").inner_text(), box.locator(".modal-body").inner_text()
    box.get_by_role("button", name="OK").click()
    box.wait_for(state="detached")
    return heading, text


def test_the_buttons_of_a_submission_lead_to_our_engine(graded: GradedClass, tmp_path: Path) -> None:
    browser_path()
    mark, exchange = tmp_path / "ran-outside", tmp_path / "exchange"
    exchange.mkdir(mode=0o777)
    escape = f"try:\n    open({str(mark)!r}, 'w')\nexcept OSError:\n    pass\n{DOUBLE}"
    notebook = json.loads(json.dumps(graded.built.learner))
    for cell in notebook["cells"]:
        cell["source"] = {"double": escape}.get(cell["id"], cell["source"])
    hand_in(graded.course, "dan", json.dumps(notebook))
    give(graded.course, "ann", "written-why", 15, "Well said.")
    came_by_the_exchange(graded)
    before = pages(graded)
    with opened(graded, tmp_path, f"\nc.Exchange.root = {str(exchange)!r}\n") as desk:
        desk.go(f"manage_submissions/{WEEK}")
        assert desk.page.get_by_text("nbgrader autograde").count() == 0, "nothing is recommended that runs it unguarded"
        forged = desk.page.request.post(f"{desk.address}formgrader/api/submission/{WEEK}/dan/autograde")
        assert forged.status == 403, "another site's page cannot press it"
        heading, text = click(desk, "dan", "autograde")
        assert heading == "Success", text
        assert standings(graded.course, WEEK)["dan"].total == 40
        assert not mark.exists()
        assert set(pages(graded)) >= set(before)
        heading, text = click(desk, "ann", "generate-feedback")
        assert heading == "Success", text
        after = pages(graded)
        assert set(after) >= set(before)
        assert b"Well said." in after[f"ann/{WEEK}/index.html"]
        heading, text = click(desk, "ann", "release-feedback")
        assert heading == "Success", text
        assert pages(graded) == after
    released = [path.read_bytes() for path in exchange.rglob("feedback/*.html")]
    assert after[f"ann/{WEEK}/tiny.html"] in released
    assert not [page for page in (*after.values(), *released) if HIDDEN.encode() in page]


def test_the_buttons_of_a_week_lose_nothing(graded: GradedClass, tmp_path: Path) -> None:
    browser_path()
    give(graded.course, "ann", "written-why", 15, "Well said.")
    exchange = tmp_path / "exchange"
    exchange.mkdir(mode=0o777)
    came_by_the_exchange(graded)
    before, points = pages(graded), standings(graded.course, WEEK)
    submitted = {path: path.read_bytes() for path in graded.course.submitted.rglob("*.ipynb")}
    with opened(graded, tmp_path, f"\nc.Exchange.root = {str(exchange)!r}\n") as desk:
        desk.go("manage_assignments")
        said = {}
        for button in ("generate-feedback", "release-feedback", "assign", "release", "collect", "release"):
            said[button], _ = click(desk, WEEK, button)
            desk.go("manage_assignments")
        assert said["generate-feedback"] == said["release-feedback"] == "Success"
        for opener in (".edit a", "tfoot a"):
            desk.page.locator(opener).first.click()
            desk.page.locator(".modal-dialog").wait_for()
            desk.go("manage_assignments")
        desk.go("manage_students")
        desk.page.locator("tfoot a").click()
        desk.page.locator(".modal-dialog").wait_for()
        desk.go(f"gradebook/{WEEK}/tiny")
        desk.page.locator("[onclick='toggleAllNames()']").click()
        desk.page.get_by_role("link", name="ann", exact=True).wait_for()
        assert desk.refused == []
        assert desk.elsewhere == []
    after = pages(graded)
    assert set(after) >= set(before)
    assert b"Well said." in after[f"ann/{WEEK}/index.html"]
    assert not [name for name, page in after.items() if HIDDEN.encode() in page]
    assert standings(graded.course, WEEK) == points
    assert {path: path.read_bytes() for path in graded.course.submitted.rglob("*.ipynb")} == submitted
    assert {name.partition("/")[0] for name in after} == {*ANSWERS, BROKEN}
