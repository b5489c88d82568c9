"""Every page that is opened as a file, in a real browser without a network: it asks for nothing and runs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat.v4 import new_output

from autograder.authoring.preview import POLICY
from autograder.grading.rewrite import rewrite
from autograder.rendering.notebook_view import SafeExporter
from autograder.reporting.class_page import class_of, write_class
from autograder.week.notebooks import Notebooks

from ..browser import browser_path, page
from ..feedback.hostile import HOSTILE, hostile_outcome
from ..feedback.outcomes import pages
from ..graded_class import GradedClass, give
from ..red_team.pages import CASES, PIXEL, notebook

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

pytestmark = pytest.mark.browser


class Watched:
    """A browser's page, and all that pages did besides being shown."""

    def __init__(self, one: Page, elsewhere: list[str]) -> None:
        self.page, self.elsewhere = one, elsewhere
        self.asked: list[str] = []
        self.said: list[str] = []
        one.on("request", lambda request: self.asked.append(request.url))
        one.on("console", lambda message: self.said.append(message.text))
        one.on("dialog", self.refuse)

    def refuse(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def open(self, path: Path) -> None:
        """Open a file: it is all that is asked for, but for pictures that it holds itself."""
        self.asked.clear()
        self.page.goto(path.as_uri())
        asked = [url for url in self.asked if urlsplit(url).scheme != "data"]
        assert asked == [path.as_uri()]
        assert self.elsewhere == []
        assert self.said == []
        assert (
            self.page.evaluate("document.scripts.length + document.querySelectorAll('iframe, object, embed').length")
            == 0
        )
        assert self.page.locator("meta[http-equiv=Content-Security-Policy]").count() == 1


def test_pages_about_a_class(graded: GradedClass) -> None:
    browser_path()
    give(
        graded.course, "ann", "written-why", 15, "Well said. <script>alert(1)</script> ![x](https://evil.example/x.png)"
    )
    rewrite(graded.built, graded.course)
    report = write_class(graded.course, class_of(graded.built, graded.course))
    found = [report, *sorted(graded.course.feedback.rglob("*.html"))]
    elsewhere: list[str] = []
    with page("offline", elsewhere) as one:
        watched = Watched(one, elsewhere)
        for path in found:
            watched.open(path)
    assert len(found) > 10


def test_pages_of_hostile_learners(tiny: Notebooks, tmp_path: Path) -> None:
    browser_path()
    elsewhere: list[str] = []
    with page("offline", elsewhere) as one:
        watched = Watched(one, elsewhere)
        for number, text in enumerate(HOSTILE):
            for name, shown in pages(tiny, *hostile_outcome(tiny, text)).items():
                if name.endswith(".html"):
                    (path := tmp_path / f"{number}-{name}").write_text(shown, encoding="utf-8")
                    watched.open(path)


def test_the_preview_of_a_week(tiny: Notebooks, tmp_path: Path) -> None:
    """With formulas, pictures, hints, code, and every attack of the red team, though authors are trusted."""
    from autograder.authoring.preview import as_shown

    browser_path()
    executed = nbformat.from_dict(json.loads(json.dumps(tiny.instructor)))
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [new_output("display_data", data={"image/png": PIXEL})]
    shown = as_shown(tiny, executed)
    shown.cells[0].source += "\n\n$$\\sqrt{d} \\cdot \\frac{1}{2}$$\n\n```mermaid\ngraph TD\n```"
    shown = json.loads(json.dumps(shown))
    shown["cells"] += notebook(CASES)["cells"]
    exporter = SafeExporter(template_name="lab", template_file="preview.html.j2", exclude_input_prompt=True)
    html, _ = exporter.from_notebook_node(shown, resources={"metadata": {"name": "<b>"}, "policy": POLICY})
    (path := tmp_path / "preview.html").write_text(html, encoding="utf-8")
    elsewhere: list[str] = []
    with page("offline", elsewhere) as one:
        watched = Watched(one, elsewhere)
        watched.open(path)
        formula, picture = one.locator("math[display=block] mfrac").first, one.locator("img").first
        boxes = [formula.bounding_box(), picture.bounding_box()]
        drawn = picture.evaluate("picture => picture.naturalWidth")
        assert one.evaluate("window.won") is None
    assert all(box is not None and box["height"] > 0 for box in boxes)
    assert drawn == 1
