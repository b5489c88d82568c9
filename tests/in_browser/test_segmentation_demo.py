"""The demo and the deck of week 14: the folder that its notebook exports, in Streamlit's harness and in a browser."""

from __future__ import annotations

import linecache
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from autograder.week.cells import Exercise, Given, Setup
from autograder.week.source import load_week
from shared import decks

from ..browser import SECONDS, browser_path, page
from ..chosen import ROOT
from .test_demo import HIDDEN, IMAGES, served

pytestmark = pytest.mark.browser
WEEK = ROOT / "solutions" / "week14_promptable_segmentation"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder `sam/`, as the export cell writes it, with a model that was not trained."""
    folder: Path = tmp_path_factory.mktemp("segmentation") / "sam"
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in load_week(WEEK).cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            file = f"<cell {cell.id} of {id(names)}>"
            linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
            exec(compile(cell.source, file, "exec"), names)
    torch.manual_seed(0)
    scenes, videos = names["datasets"].part_whole_scenes(4), names["datasets"].mask_videos(2)
    names["export_demo"](folder, names["SmallSAM"](), scenes.images, videos.frames)
    yield folder
    sys.modules.pop("sam", None)


def test_the_exported_page_answers_clicks_and_shows_its_memory(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    app = AppTest.from_file(str(exported / "app.py"), default_timeout=SECONDS).run()
    assert not app.exception
    assert not app.metric
    assert app.info[0].value.startswith("Choose a pixel")
    app.slider(key="column").set_value(5)
    app.slider(key="row").set_value(7)
    app.button(key="click").click().run()
    assert [metric.label for metric in app.metric] == ["predicted IoU", "pixels in the mask"]
    assert len(app.get("image")) + len(app.get("imgs")) == 4, "the picture and three masks"
    app.radio(key="kind").set_value("not in it")
    app.button(key="click").click().run()
    assert len(app.get("image")) + len(app.get("imgs")) == 2, "the picture and one mask after two clicks"
    app.radio(key="what").set_value("a video").run()
    assert not app.metric, "a video has clicks of its own"
    app.button(key="click").click().run()
    app.slider(key="frame").set_value(5)
    app.slider(key="recent").set_value(2).run()
    assert app.metric[-1].value == "0, 3, 4"
    app.button(key="again").click().run()
    assert not app.metric
    assert not app.exception


def test_the_exported_model_is_a_module_of_its_own(exported: Path) -> None:
    code = (
        "from pathlib import Path; from sam.model import answer_clicks, load_demo; "
        "model, images, _ = load_demo(Path('sam/checkpoint')); "
        "print([len(answer_clicks(model, images[0], [((9.5, 9.5), 1)] * n)[0]) for n in (1, 2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=exported.parent, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[3, 1]", done.stderr


def test_a_visitor_clicks(exported: Path) -> None:
    from playwright.sync_api import Page, expect

    browser_path()
    expect.set_options(timeout=SECONDS * 1000)

    def settled(demo: Page, images: int) -> None:
        demo.wait_for_function(HIDDEN)
        expect(demo.locator('[data-testid="stApp"]')).to_have_attribute("data-test-script-state", "notRunning")
        expect(demo.locator(IMAGES)).to_have_count(images)

    with served(exported / "app.py") as address, page("segmentation") as demo:
        demo.goto(address)
        settled(demo, 1)
        expect(demo.get_by_role("heading", name="Click, and see the mask")).to_be_visible()
        demo.get_by_role("button", name="click", exact=True).click()
        settled(demo, 4)
        expect(demo.locator('[data-testid="stMetricValue"]')).to_have_count(2)
        demo.locator("label").filter(has_text=re.compile("^a video$")).click()
        settled(demo, 1)
        demo.get_by_role("button", name="click", exact=True).click()
        settled(demo, 2)
        frame = demo.locator('input[aria-label="frame"]')
        frame.focus()
        demo.keyboard.press("ArrowRight")
        expect(demo.get_by_text("frame 1, carried along by memory")).to_be_visible()
        assert demo.locator('[data-testid="stException"]').count() == 0


def test_arrow_keys_turn_the_pages_of_a_deck(tmp_path: Path) -> None:
    browser_path()
    path = decks.write(tmp_path / "deck.html", "A talk", [decks.Slide("One", notes="slowly"), decks.Slide("Two")])
    elsewhere: list[str] = []
    with page("deck", elsewhere) as talk:
        talk.goto(path.as_uri())
        shown = talk.locator("section.shown h2")
        assert shown.all_inner_texts() == ["One"]
        assert not talk.locator(".notes").is_visible()
        talk.keyboard.press("n")
        assert talk.locator(".notes").is_visible()
        for key, title in (("ArrowRight", "Two"), ("ArrowRight", "Two"), ("ArrowLeft", "One"), (" ", "Two")):
            talk.keyboard.press(key)
            assert shown.all_inner_texts() == [title]
        assert talk.url.endswith("#s2")
    assert elsewhere == []
