"""Week 1 as a learner meets it: JupyterLab in a real browser, from the page it opens with to a test that passes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autograder.week.cells import Test
from autograder.week.source import load_week

from ..browser import SECONDS, TOKEN, browser_path, jupyter, page
from ..chosen import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
WEEK, EXERCISE = "week01_attention", "sdpa"
FIND = """
id => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const cells = panel?.content?.widgets ?? [];
  const index = cells.findIndex(cell => cell.model.sharedModel.id === id);
  if (index < 0 || panel.sessionContext.session?.kernel?.status !== "idle") return false;
  panel.content.activeCellIndex = index;
  cells[index].node.dataset.released = id;
  return true;
}
"""
"""Makes a cell the active one, as a click does, and marks its element; false until notebook and kernel are ready."""
SOURCE = "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
SIZE = "image => image.complete && image.naturalWidth > 0"
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }"
ALL_RAN = """
() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = [...panel.content.model.cells].filter(cell => cell.type === "code");
  return panel.sessionContext.session.kernel.status === "idle" && cells.every(cell => cell.executionCount);
}
"""
OUTPUT = """
id => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
  return JSON.stringify(cells.find(cell => cell.sharedModel.id === id).sharedModel.getOutputs());
}
"""


def answer() -> str:
    """The reference, as a learner would type it: without marks."""
    (cell,) = [cell for cell in load_week(ROOT / "solutions" / WEEK).cells if cell.id == EXERCISE]
    return "\n".join(line for line in cell.source.splitlines() if "### " not in line)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Page]:
    """JupyterLab as `make lab` starts it in a new checkout, at the page that it opens with."""
    from playwright.sync_api import expect

    browser_path()
    expect.set_options(timeout=SECONDS * 1000)
    assert "\n\t@workbook lab $(AS_ROOT)\n" in (ROOT / "Makefile").read_text(encoding="utf-8"), (
        "as `make lab` starts it"
    )
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "weeks" / WEEK, checkout / "weeks" / WEEK)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    words, start = ["--LabApp.expose_app_in_browser=True"], ("-m", "autograder.cli", "lab")
    with jupyter(words, checkout, tmp_path / "jupyter", start) as address, page("lab") as lab:
        lab.goto(f"{address}?token={TOKEN}")
        yield lab


def show(lab: Page, name: str) -> None:
    """A picture for whoever wants to look: WORKBOOK_SCREENSHOTS names a folder."""
    if shown := os.environ.get("WORKBOOK_SCREENSHOTS"):
        lab.screenshot(path=f"{shown}/{name}.png")


def go_to(lab: Page, cell_id: str) -> None:
    lab.wait_for_function(FIND, arg=cell_id)
    lab.locator(f'[data-released="{cell_id}"]').scroll_into_view_if_needed()


def run(lab: Page, cell_id: str, folded: bool = False) -> None:
    """Run a cell by the keyboard; done when its number is another one and the kernel is idle."""
    go_to(lab, cell_id)
    cell = f'[data-released="{cell_id}"]'
    before = lab.evaluate(COUNT)
    lab.locator(f"{cell} .jp-InputPlaceholder" if folded else f"{cell} .jp-InputPrompt").first.click()
    lab.keyboard.press("Control+Enter")
    lab.wait_for_function(RAN, arg=before)


COUNT = "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.executionCount"
RAN = f"before => {{ const count = ({COUNT})(); return count && count !== before }}"


def test_a_learner_begins_runs_all_and_answers(lab: Page) -> None:
    """The start page leads to the week; Run All passes what is not written; the message stands below the stub."""
    from playwright.sync_api import expect

    week = load_week(ROOT / "solutions" / WEEK)
    lab.get_by_role("heading", name="Start here").wait_for()
    show(lab, "lab-start")
    lab.get_by_role("link", name="week 1:").click()
    lab.wait_for_function(FIND, arg="setup")
    picture = lab.locator(".jp-MarkdownOutput img").first
    lab.wait_for_function(SIZE, arg=picture.element_handle())
    assert str(picture.get_attribute("alt")).startswith("Left: ")
    assert picture.get_attribute("src") != "outcome.png", "it lies in the notebook"
    for button in ("Create Assignment", "Validate", "Nbgrader", "Formgrader", "Assignment List"):
        assert lab.get_by_text(button).count() == 0, button

    lab.evaluate(RUN_ALL)
    lab.wait_for_function(ALL_RAN)
    for test in week.of_kind(Test):
        assert "not written yet" in lab.evaluate(OUTPUT, test.id)
    go_to(lab, f"{EXERCISE}-check")
    expect(lab.locator(f'[data-released="{EXERCISE}-check"] .jp-OutputArea-output')).to_contain_text("not written yet")
    go_to(lab, f"{EXERCISE}-test-1")
    expect(lab.locator(f'[data-released="{EXERCISE}-test-1"] .cm-content')).to_have_count(0)
    expect(lab.locator(f'[data-released="{EXERCISE}-test-1"] .jp-InputPlaceholder')).to_contain_text("test 1 of 3")
    show(lab, "lab-run-all")

    go_to(lab, EXERCISE)
    lab.locator(f'[data-released="{EXERCISE}"] .cm-content').click()
    lab.keyboard.press("Control+a")
    wrong = answer().replace("1.0 / math.sqrt(head_dim)", "1.0 / head_dim")
    assert wrong != answer()
    lab.keyboard.insert_text(wrong)
    run(lab, EXERCISE)
    run(lab, f"{EXERCISE}-check")
    message = lab.locator(f'[data-released="{EXERCISE}-check"] .jp-OutputArea-output')
    expect(message).to_contain_text("likely cause")
    message.scroll_into_view_if_needed()
    show(lab, "lab-check")

    go_to(lab, EXERCISE)
    lab.locator(f'[data-released="{EXERCISE}"] .cm-content').click()
    lab.keyboard.press("Control+a")
    lab.keyboard.insert_text(answer())
    assert lab.evaluate(SOURCE).rstrip() == answer().rstrip()
    run(lab, EXERCISE)
    run(lab, f"{EXERCISE}-check")
    expect(message).to_contain_text("16/16 points")
    run(lab, f"{EXERCISE}-look-1")
    figure = lab.locator(f'[data-released="{EXERCISE}-look-1"] .jp-OutputArea-output img').first
    figure.wait_for()
    lab.wait_for_function(SIZE, arg=figure.element_handle())
    assert "a map of" in str(figure.get_attribute("alt"))
    box = figure.bounding_box()
    assert box is not None
    assert box["width"] > 200
    assert box["height"] > 100
    run(lab, f"{EXERCISE}-test-1", folded=True)
    passed = lab.locator(f'[data-released="{EXERCISE}-test-1"] .jp-OutputArea-output')
    expect(passed).to_contain_text(re.compile(r"✓ \d+ checks passed"))
    figure.scroll_into_view_if_needed()
    show(lab, "lab")
