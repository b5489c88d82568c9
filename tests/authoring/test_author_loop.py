"""The author's loop: what a saved change touches is verified again, and the lesson is seen as a learner sees it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from autograder.authoring import preview as preview_module
from autograder.authoring.preview import preview
from autograder.authoring.watch import EVERYTHING, saved_weeks, snapshot, touched
from autograder.building.build import build_week, write_week
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.presenting import attach_pictures
from autograder.week.source import load_week

from ..tiny_week import READING

WEEK = "week01_tiny"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one dot


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("tiny.py", "return number + number", "return number * 2 + 0", ("double",)),
        ("tiny.py", "checks.equal(quadruple(1), 4", "checks.equal(quadruple(1), 2 + 2", ("quadruple",)),
        ("tiny.py", 'test="double" points=20', 'test="double" points=10', ("double",)),
        ("misconceptions.py", "Once is not twice.", "Once is only once.", ("quadruple",)),
        ("alternatives.py", '"4 * number"', '"number * 4"', ("quadruple",)),
        ("tiny.py", "from shared import checks", "from shared import checks, plotting", (EVERYTHING,)),
        ("week.toml", "cell_seconds = 2", "cell_seconds = 3", (EVERYTHING,)),
        ("week.toml", "memory_gib = 1\n", f"memory_gib = 1\n{READING}", ()),
        ("tiny.py", "# Twice a number.", "# Two times a number.", ()),
        ("tiny.py", "print(double(4))", "print(double(5))", ()),
        ("tiny.py", "# call `double` on its own result", "# call it twice", ()),
    ],
)
def test_what_a_change_touches(tiny_root: Path, file: str, old: str, new: str, found: tuple[str, ...]) -> None:
    folder = tiny_root / "solutions" / WEEK
    before = snapshot(folder)
    assert touched(before, snapshot(folder)) == ()
    edit(folder / file, old, new)
    if file == "tiny.py" and "number + number" in old:  # the variants quote the answer
        for other in ("misconceptions.py", "alternatives.py"):
            text = (folder / other).read_text(encoding="utf-8")
            (folder / other).write_text(text.replace('"number + number"', '"number * 2 + 0"'), encoding="utf-8")
    assert touched(before, snapshot(folder)) == found


def test_the_first_look_and_a_change_of_all_exercises_touch_everything(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / WEEK
    before = snapshot(folder)
    assert touched(None, before) == (EVERYTHING,)
    edit(folder / "tiny.py", "checks.equal(quadruple(1), 4", "checks.equal(quadruple(1), 2 + 2")
    edit(folder / "tiny.py", 'test="double" points=20', 'test="double" points=10')
    assert touched(before, snapshot(folder)) == (EVERYTHING,)


def test_only_sources_count_as_saved(tmp_path: Path) -> None:
    one, two = tmp_path / "week01_a", tmp_path / "week02_b"
    saved: list[set[tuple[object, str]]] = [
        {(1, str(one / "a.py")), (1, str(one / "outcome.png"))},
        {(1, str(two / "outputs.json")), (1, str(two / ".a.py.swp"))},
        {(1, str(one / "week.toml")), (1, str(two / "misconceptions.py"))},
        set(),
    ]
    assert list(saved_weeks([one, two], saved)) == [[one], [], [one, two], []]


def test_verify_watch_verifies_what_is_saved_and_ends_by_ctrl_c(tiny_root: Path) -> None:
    """The real command: first the whole week, then a saved test alone, then a mistake that is said; Ctrl-C ends it."""
    script = tiny_root / "solutions" / WEEK / "tiny.py"
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "autograder.cli", "verify", "1", "--watch", "--workers", "1"],
        cwd=tiny_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    guard = threading.Timer(120, process.kill)  # the deadline of every wait below
    guard.start()
    seen: list[str] = []

    def until(pattern: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            if re.search(pattern, line):
                return
        pytest.fail(f"no {pattern!r} in: {''.join(seen)}")

    try:
        until(r"8 variants, 0 misses")
        until(r"watching; Ctrl-C ends")
        edit(script, "checks.equal(quadruple(1), 4", "checks.equal(quadruple(1), 2 + 2")
        until(r"5 variants, 0 misses")
        edit(script, "# Twice a number.", "# Two times a number.")
        until(r"no test depends on what was saved")
        edit(script, "# %% setup=true", "# %% setup=true colour=3")
        until(r"error: .*colour")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        guard.cancel()
        process.kill()
        process.wait()


# preview


def executed(built: Notebooks, root: Path) -> nbformat.NotebookNode:
    """The instructor notebook with an output in every code cell; look and explore cells show a picture."""
    notebook = nbformat.from_dict(json.loads(json.dumps(built.instructor)))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [new_output("stream", text=f"printed by {cell.id}")]
            if cell.metadata.workbook.kind in ("look", "explore"):
                cell.outputs.append(new_output("display_data", data={"image/png": PIXEL}))
    path = root / "build" / "executed" / WEEK / "tiny.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(to_text(notebook), encoding="utf-8")
    return notebook


def test_the_preview_shows_figures_and_no_solution(
    tiny_root: Path, tiny: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny.week.folder / "outcome.png").write_bytes(base64.b64decode(PIXEL))
    tiny.learner.cells[0].source += "\n\n![the outcome](outcome.png)"
    attach_pictures(tiny.learner.cells[0], tiny.week.folder)
    for cell in tiny.learner.cells:  # blank lines, as real hints have them, so that Markdown reads what is folded
        cell.source = cell.source.replace("</summary>\n", "</summary>\n\n").replace("</details>", "\n</details>")
    write_week(tiny, tiny_root)
    executed(tiny, tiny_root)
    monkeypatch.setattr(preview_module, "execute", lambda *words: pytest.fail("it is recorded already"))
    path = preview(tiny, tiny_root)
    assert path == tiny_root / "build" / "preview" / f"{WEEK}.html"
    page = path.read_text(encoding="utf-8")
    assert page.count(f"data:image/png;base64,{PIXEL}") == 4, "two look cells, one explore cell, the outcome"
    assert '<img alt="the outcome" src="data:image/png;base64,' in page
    folds = re.findall(r"<details>.*?</details>", page, re.DOTALL)
    assert len(folds) == 6
    assert "call <code>double</code> on its own result" in folds[-1], "a hint is inside of its fold"
    for cell in ("double-look-1", "quadruple-look-1", "quadruple-explore-1"):
        assert f"printed by {cell}" in page
    text = re.sub(r"<[^>]*>", "", page)
    assert "printed by double-test-1" not in text
    assert "number + number" not in text
    assert "Because a number and itself" not in text
    assert "double of -3" not in text
    assert "NotImplementedError" in text


def test_another_source_is_executed_first(tiny_root: Path, tiny: Notebooks, monkeypatch: pytest.MonkeyPatch) -> None:
    write_week(tiny, tiny_root)
    recorded = executed(tiny, tiny_root)
    edit(tiny_root / "solutions" / WEEK / "tiny.py", "print(double(4))", "print(double(5))")
    asked: list[str] = []

    def execute(built: Notebooks, root: Path, on_cell: object) -> nbformat.NotebookNode:
        asked.append(built.week.name)
        return recorded

    monkeypatch.setattr(preview_module, "execute", execute)
    preview(build_week(load_week(tiny_root / "solutions" / WEEK)), tiny_root)
    assert asked == [WEEK]
