"""What a learner types: `start`."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..tiny_week import WEEK
from .checkout import Workbook, complaint

# start


def test_start_copies_once_and_never_overwrites(root: Path, workbook: Workbook) -> None:
    begun = "work/week01_tiny/tiny.ipynb: ready\nwork/week01_tiny/LOG.md: ready\n"
    assert workbook("start", "1") == (0, begun, "")
    mine = root / "work" / WEEK / "tiny.ipynb"
    assert mine.read_bytes() == (root / "weeks" / WEEK / "tiny.ipynb").read_bytes()
    mine.write_text("my answers", encoding="utf-8")
    assert workbook("start", "1") == (0, "work/week01_tiny/tiny.ipynb: kept as it is\n", "")
    assert mine.read_text(encoding="utf-8") == "my answers"


def test_start_copies_every_released_week(root: Path, workbook: Workbook) -> None:
    shutil.copytree(root / "weeks" / WEEK, root / "weeks" / "week02_other")
    assert workbook("start", "--all").code == 0
    assert sorted(path.parent.name for path in (root / "work").rglob("*.ipynb")) == [WEEK, "week02_other"]


def test_start_of_a_week_that_is_not_released(root: Path, workbook: Workbook) -> None:
    shutil.rmtree(root / "weeks" / WEEK)
    assert complaint(workbook("start", "1")).startswith("error: weeks/week01_tiny is not there -> ")
    assert not (root / "work").exists()
