"""Everything that a learner can bring to the desk, in a real browser: nothing runs, nothing is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from ..browser import browser_path
from ..graded_class import ATTACK, WEEK, GradedClass
from ..opened_desk import GUARD, START, Desk, opened, submission_id
from ..red_team.pages import CASES, notebook

pytestmark = pytest.mark.browser
IN_A_NAME = '<img src=x onerror="fetch(String(/won-name/))">'
FILE = "<script>fetch('/won-file')</script>"


def bring(graded: GradedClass, learner: str) -> str:
    """Every attack of the red team in one graded notebook, a page beside it, and a name. Returns its id."""
    from nbgrader.api import Gradebook

    folder = graded.course.autograded / learner / WEEK
    path = folder / "tiny.ipynb"
    graded_notebook = json.loads(path.read_text(encoding="utf-8"))
    hostile = notebook(CASES)
    graded_notebook["cells"] += hostile["cells"]
    graded_notebook["metadata"] |= hostile["metadata"]
    path.write_text(json.dumps(graded_notebook), encoding="utf-8")
    (folder / "evil.html").write_text(FILE, encoding="utf-8")
    with Gradebook(graded.course.db_url) as gradebook:
        gradebook.update_or_create_student(learner, first_name=IN_A_NAME, last_name=IN_A_NAME, email=IN_A_NAME)
    return submission_id(graded, learner)


def check(desk: Desk) -> None:
    assert [path for path in desk.asked if "/won-" in path] == []
    assert desk.elsewhere == []
    assert desk.page.evaluate("window.won") is None
    assert desk.refused == [], "there was nothing left that a policy had to stop, and nothing of nbgrader's was stopped"


def test_a_hostile_notebook_runs_nothing_at_the_desk(graded: GradedClass, tmp_path: Path) -> None:
    browser_path()
    number = bring(graded, "ann")
    with opened(graded, tmp_path) as desk:
        one = desk.go(f"submissions/{number}/")
        one.get_by_text("[picture 'x' is not in the notebook]").first.wait_for()
        one.locator("input#written-why").wait_for()
        inside = one.locator("#notebook-container")
        for link in inside.locator("a").all():
            address = link.get_attribute("href")
            assert address in (None, "https://a.example"), address
            if address is None:
                link.click()
        for fold in inside.locator("summary").all():
            fold.click()
        for element in inside.locator("b, img, td, math").all():
            element.hover(force=True)
        one.locator(".glyphicon-eye-open").click()
        one.get_by_text(IN_A_NAME).first.wait_for()
        check(desk)
        for case in CASES:
            assert case.name not in one.locator("#notebook-container script").all_inner_texts()
        desk.go(f"submissions/{submission_id(graded, ATTACK)}/")
        one.locator(".glyphicon-eye-open").click()
        check(desk)


def test_names_run_nothing_in_any_list(graded: GradedClass, tmp_path: Path) -> None:
    browser_path()
    bring(graded, "ann")
    attack = quote(ATTACK, safe="")
    with opened(graded, tmp_path) as desk:
        for path in (
            "manage_assignments",
            f"manage_submissions/{WEEK}",
            "gradebook",
            f"gradebook/{WEEK}",
            f"gradebook/{WEEK}/tiny",
            "manage_students",
            "manage_students/ann",
            f"manage_students/{attack}",
            f"manage_students/{attack}/{WEEK}",
        ):
            one = desk.go(path)
            one.locator("#main-table tr").first.wait_for()
            assert "Loading" not in one.locator("#main-table").inner_text(), path
            check(desk)
        assert one.get_by_text(ATTACK).count(), "shown as it is"


@pytest.mark.parametrize(
    "path", ["api/students", "api/submissions/" + WEEK, "api/student_submissions/ann", "submissions/{}/evil.html"]
)
def test_data_and_files_opened_as_a_page_run_nothing(graded: GradedClass, tmp_path: Path, path: str) -> None:
    """nbgrader sends data as HTML, and files of a submission as they are, from Jupyter's own address."""
    browser_path()
    number = bring(graded, "ann")
    with opened(graded, tmp_path) as desk:
        address = f"{desk.address}formgrader/{path.format(number)}"
        answer = desk.page.request.get(address)
        assert answer.ok
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"
        if path.startswith("api"):
            desk.go(path)
            assert desk.page.evaluate("document.images.length") > 0, "it would have been a page"
        else:
            assert answer.headers["content-disposition"] == "attachment"
            with desk.page.expect_download():
                desk.page.evaluate(
                    "address => { location.href = address }", f"{desk.address}formgrader/{path.format(number)}"
                )
        assert [path for path in desk.asked if "/won-" in path] == []
        assert desk.elsewhere == []


def test_no_link_makes_the_desk_run_a_configuration(graded: GradedClass, tmp_path: Path) -> None:
    """nbgrader would run the nbgrader_config.py of any folder that a link names."""
    browser_path()
    mark = tmp_path / "ran"
    folder = graded.course.submitted / "ann" / WEEK
    (folder / "nbgrader_config.py").write_text(f"open({str(mark)!r}, 'w')", encoding="utf-8")
    with opened(graded, tmp_path) as desk:
        for slash in ("", "/"):
            answer = desk.page.request.get(f"{desk.address}formgrader{slash}?path={folder}")
            assert answer.status == 403
            assert "make desk" in answer.text()
        assert not mark.exists()


def test_without_its_guard_the_desk_shows_no_work(graded: GradedClass, tmp_path: Path) -> None:
    """`jupyter lab` by hand: the configuration of the course refuses, and the log says what to do."""
    browser_path()
    with opened(graded, tmp_path, "", START) as desk:
        answer = desk.page.request.get(f"{desk.address}formgrader/api/submissions/{WEEK}")
        assert json.loads(answer.text()) == []
        assert (
            desk.page.request.get(f"{desk.address}formgrader/submissions/{submission_id(graded, 'ann')}").status == 404
        )
    log = (tmp_path / "jupyter" / "jupyter.log").read_text(encoding="utf-8")
    assert "make desk" in log
    option, value = GUARD.split("=", 1)
    assert f'jupyter lab {option}="{value}"' in log, "as it can be started by hand"
