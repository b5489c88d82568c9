"""Week 1 as a learner meets it: JupyterLab in a real browser, an answer is typed, a test passes, a figure is seen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.source import load_week

from .browser import SECONDS, TOKEN, browser_path, jupyter, page
from .chosen import ROOT

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


def answer() -> str:
    """The reference, as a learner would type it: without marks."""
    (cell,) = [cell for cell in load_week(ROOT / "solutions" / WEEK).cells if cell.id == EXERCISE]
    return "\n".join(line for line in cell.source.splitlines() if "### " not in line)


def test_an_answer_is_typed_and_its_test_passes(tmp_path: Path) -> None:
    from playwright.sync_api import Page, expect

    browser_path()
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "weeks" / WEEK, checkout / "weeks" / WEEK)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    subprocess.run(
        [sys.executable, "-m", "autograder.cli", "start", "1"], cwd=checkout, check=True, capture_output=True
    )
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "jupyter lab $(AS_ROOT) --ServerApp.root_dir=work" in makefile, "as `make lab` starts it"
    expect.set_options(timeout=SECONDS * 1000)

    def go_to(lab: Page, cell_id: str) -> None:
        lab.wait_for_function(FIND, arg=cell_id)
        lab.locator(f'[data-released="{cell_id}"]').scroll_into_view_if_needed()

    def run(lab: Page, cell_id: str) -> None:
        """Run a cell by the keyboard; done when its number is there and the kernel is idle."""
        go_to(lab, cell_id)
        lab.locator(f'[data-released="{cell_id}"] .jp-InputPrompt').click()
        lab.keyboard.press("Control+Enter")
        prompt = lab.locator(f'[data-released="{cell_id}"] .jp-InputArea-prompt')
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"))

    words = ["--ServerApp.root_dir=work", "--LabApp.expose_app_in_browser=True"]
    with jupyter(words, checkout, tmp_path / "jupyter") as address, page("lab") as lab:
        lab.goto(f"{address}lab/tree/{WEEK}/attention.ipynb?token={TOKEN}")
        for name in ("setup", *(cell.id for cell in load_week(ROOT / "solutions" / WEEK).cells if "given" in cell.id)):
            run(lab, name)
        go_to(lab, EXERCISE)
        lab.locator(f'[data-released="{EXERCISE}"] .cm-content').click()
        lab.keyboard.press("Control+a")
        lab.keyboard.insert_text(answer())
        assert lab.evaluate(SOURCE).rstrip() == answer().rstrip()
        run(lab, EXERCISE)
        run(lab, f"{EXERCISE}-look-1")
        figure = lab.locator(f'[data-released="{EXERCISE}-look-1"] .jp-OutputArea-output img').first
        figure.wait_for()
        lab.wait_for_function(SIZE, arg=figure.element_handle())
        box = figure.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 100
        run(lab, f"{EXERCISE}-test-1")
        passed = lab.locator(f'[data-released="{EXERCISE}-test-1"] .jp-OutputArea-output')
        expect(passed).to_contain_text(re.compile(r"✓ \d+ checks passed"))
        if shown := os.environ.get("WORKBOOK_SCREENSHOTS"):
            figure.scroll_into_view_if_needed()
            lab.screenshot(path=f"{shown}/lab.png")
