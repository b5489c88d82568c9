"""The demo of week 11 in a real browser: the folder that its notebook exports, served by `streamlit run`."""

from __future__ import annotations

import json
import linecache
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autograder.week.cells import Exercise, Given, Setup
from autograder.week.source import load_week

from ..browser import SECONDS, browser_path, page
from ..chosen import ROOT

pytestmark = pytest.mark.browser
WEEK = ROOT / "solutions" / "week11_attention_archaeology"
CONFIG = {
    "data": {"name": "field_tiles", "train": 64, "test": 64, "seeds": [0, 0]},
    "models": {"vit": "small_vit", "cnn": "small_cnn"}, "size": 32,
    "steps": 12, "batch": 32, "seed": 0, "rate": {"vit": 2e-3, "cnn": 3e-3},
}  # fmt: skip
IMAGES = '[data-testid="stImageContainer"] img'
HIDDEN = "() => document.querySelector('[data-testid=\"stStatusWidget\"]') === null"
"""Streamlit shows its status widget while the script runs."""


def names_of_the_notebook(answers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the notebook defines, cell by cell, as in a kernel: each cell is a file of its own.

    `answers` : exercise -> code; the reference's where there is none.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in load_week(WEEK).cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            source = (answers or {}).get(cell.id, cell.source)
            file = f"<cell {cell.id} of {id(names)}>"
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            exec(compile(source, file, "exec"), names)
    return names


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `archaeology/`, as the export cell writes it, with two models after a few steps."""
    folder: Path = tmp_path_factory.mktemp("demo") / "archaeology"
    names = names_of_the_notebook()
    tiles = names["datasets"].field_tiles(64, seed=0)
    models, run = names["train_pair"](CONFIG, tiles, folder / "runs")
    study = names["Study"](models["vit"], models["cnn"], tiles.x, tiles.y, names["datasets"].LAND_USES)
    share = {
        name: (names["logits_of"](model, tiles.x).argmax(1) == tiles.y).double().mean().item()
        for name, model in models.items()
    }
    reported = {
        "title": "A study",
        "question": "Who is right?",
        "data": {"name": "field_tiles"},
        "training": {"run": run.folder.name},
        "accuracy": {name: {"accuracy": value} for name, value in share.items()},
    }
    (folder / "report").mkdir()
    (folder / "report" / "results.json").write_text(json.dumps(reported), encoding="utf-8")
    names["export_project"](folder, study, reported)
    return folder


@contextmanager
def served(app: Path) -> Iterator[str]:
    """`streamlit run` on a free port; gives the address."""
    words = ["--server.headless", "true", "--server.port", "0", "--server.fileWatcherType", "none"]
    words += ["--browser.gatherUsageStats", "false", "--server.address", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(app), *words],
        cwd=app.parent.parent,
        env={key: value for key, value in os.environ.items() if not key.startswith("STREAMLIT")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    log: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        address = ""
        while not address and (line := lines.get(timeout=SECONDS)) is not None:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            address = found[0] if found else ""
        if not address:
            pytest.fail("streamlit ended: " + "".join(log)[-3000:])
        yield address
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


def test_every_exported_module_can_be_imported_alone(exported: Path) -> None:
    for module in ("models", "analysis", "experiments", "report"):
        done = subprocess.run(
            [sys.executable, "-c", f"import archaeology.{module}"],
            cwd=exported.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_training_again_gives_what_was_reported(exported: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archaeology.experiments"],
        cwd=exported.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pairs = re.findall(r"(vit|cnn): accuracy ([\d.]+), reported ([\d.]+)", done.stdout)
    assert [name for name, _, _ in pairs] == ["vit", "cnn"]
    assert all(abs(float(came) - float(said)) < 0.05 for _, came, said in pairs), done.stdout


def test_exported_functions_are_the_cells_own_text(exported: Path) -> None:
    sources = {cell.name: cell.source for cell in load_week(WEEK).cells if isinstance(cell.words, Exercise)}
    for module, exercise, name in (("analysis", "ablator", "class HeadAblator"), ("app", "page", "def page(")):
        text = (exported / f"{module}.py").read_text(encoding="utf-8")
        begin = sources[exercise].index(name)
        lines = sources[exercise][begin:].rstrip().splitlines()
        assert "\n".join(lines[:20]) in text


def test_a_visitor_digs(exported: Path, tmp_path: Path) -> None:
    from playwright.sync_api import Page, expect

    browser_path()
    expect.set_options(timeout=SECONDS * 1000)

    def settled(demo: Page) -> None:
        """The script has run to its end and the pictures are there."""
        demo.wait_for_function(HIDDEN)
        expect(demo.locator('[data-testid="stApp"]')).to_have_attribute("data-test-script-state", "notRunning")
        expect(demo.locator(IMAGES)).to_have_count(3)

    def pictures(demo: Page) -> list[str]:
        images = demo.locator(IMAGES)
        return [str(image.get_attribute("src")) for image in images.all()]

    def choose(demo: Page, label: str, option: str) -> None:
        demo.get_by_role("combobox", name=re.compile(label)).click()
        demo.get_by_role("option", name=option, exact=True).click()

    with served(exported / "app.py") as address, page("demo") as demo:
        demo.goto(address)
        settled(demo)
        expect(demo.get_by_role("heading", name="Attention archaeology")).to_be_visible()
        first = pictures(demo)
        said = demo.locator('[data-testid="stMetricValue"]')
        expect(said).to_have_count(2)

        choose(demo, "Head", "3")
        expect(demo.get_by_text("ViT: layer 0, head 3")).to_be_visible()
        settled(demo)
        second = pictures(demo)
        assert second[1] != first[1], "another head, another map"
        assert (second[0], second[2]) == (first[0], first[2]), "the tile and the CNN's map stay"

        thumb = demo.get_by_role("slider")
        thumb.focus()
        for _ in range(8):
            demo.keyboard.press("ArrowRight")
        expect(thumb).to_have_value("8")
        settled(demo)
        demo.wait_for_function(
            "([images, old]) => [...document.querySelectorAll(images)]"
            ".every((image, k) => (image.getAttribute('src') !== old[k]) === (k > 0))",
            arg=[IMAGES, second],
        )  # the attack changes both maps and not the tile

        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        demo.locator('input[type="file"]').set_input_files(broken)
        expect(demo.get_by_text("broken.png is no image that can be read")).to_be_visible()
        settled(demo)
        assert demo.locator('[data-testid="stException"]').count() == 0, "a visitor sees no traceback"
        if shown := os.environ.get("WORKBOOK_SCREENSHOTS"):
            demo.screenshot(path=f"{shown}/demo.png")


@pytest.mark.parametrize("reading", ["grad_cam", "attention_of"])
def test_a_reading_is_its_own_whatever_other_visitors_do(reading: str) -> None:
    """In the midst of one visitor's pass another one, in a thread of their own, runs the same model."""
    names = names_of_the_notebook()
    study = names["untrained_study"](0)
    others = study.images[3:5]
    model = study.cnn if reading == "grad_cam" else study.vit

    def read() -> torch.Tensor:
        if reading == "grad_cam":
            return names["grad_cam"](study.cnn, study.cam_layer, study.images[:1], torch.tensor([1]))
        return torch.stack(names["attention_of"](study.vit, study.images[:1]))

    def visited(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if threading.current_thread() is threading.main_thread():
            visitor = threading.Thread(target=lambda: model(others))
            visitor.start()
            visitor.join()

    alone = read()
    hook = model.register_forward_pre_hook(visited)
    try:
        assert torch.equal(read(), alone)
    finally:
        hook.remove()
