"""The learner's log: written once beside their copy, with what is to be read, and theirs from then on."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from autograder.building.build import build_week, write_week
from autograder.core.errors import WorkbookError
from autograder.learner.merge import merge
from autograder.learner.released import open_released
from autograder.learner.start import start_week
from autograder.repair.repair import read_notebook
from autograder.week.source import load_week

from ..tiny_week import READING, TIMED, WEEK_TOML, write_tiny_week
from .conftest import WEEK, Workbook

HEADINGS = ["Plan", "Build", "Publish", "Minimum", "What sped up", "What broke", "What is next"]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A learner's checkout of a week with one reading."""
    folder = write_tiny_week(tmp_path / "author", TIMED, f"{WEEK_TOML}{READING}")
    write_week(build_week(load_week(folder)), tmp_path / "author")
    root = tmp_path / "learner"
    shutil.copytree(tmp_path / "author" / "weeks", root / "weeks")
    shutil.copy(tmp_path / "author" / "pyproject.toml", root)
    return root


def headings(log: Path) -> list[str]:
    return [line[3:] for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]


def test_it_has_the_readings_and_the_headings_of_a_week(course: Path) -> None:
    start_week(course, WEEK)
    log = course / "work" / WEEK / "LOG.md"
    assert [found.partition(" (")[0] for found in headings(log)] == ["Reading", *HEADINGS]
    text = log.read_text(encoding="utf-8")
    assert text.startswith("# Week 01: Doubling\n")
    box = "- [ ] [Attention Is All You Need](https://arxiv.org/abs/1706.03762), Vaswani et al. 2017, section 3.2"
    assert f"{box} (paper, 30 minutes)\n" in text
    assert text.partition("## Minimum")[2].partition("## What")[0].count("- [ ] ") == 3


@pytest.mark.parametrize("again", [False, True])
def test_it_is_never_written_again(course: Path, again: bool) -> None:
    start_week(course, WEEK)
    log = course / "work" / WEEK / "LOG.md"
    log.write_text("mine", encoding="utf-8")
    begun = start_week(course, WEEK, again=again)
    assert log.read_text(encoding="utf-8") == "mine"
    assert log not in [path for path, _ in begun.files]


def test_who_began_before_there_were_logs_gets_one(course: Path) -> None:
    start_week(course, WEEK)
    log = course / "work" / WEEK / "LOG.md"
    log.unlink()
    assert (log, "ready") in start_week(course, WEEK).files
    assert log.is_file()


def test_a_week_without_readings_has_a_log_without_that_heading(bundle: Path) -> None:
    start_week(bundle, WEEK)
    found = headings(bundle / "work" / WEEK / "LOG.md")
    assert [one.partition(" (")[0] for one in found] == HEADINGS


def test_the_command_names_it(bundle: Path, workbook: Workbook) -> None:
    assert f"work/{WEEK}/LOG.md: ready" in workbook("start", 1).out
    assert "LOG.md" not in workbook("start", 1).out
    assert (bundle / "work" / WEEK / "LOG.md").is_file()


def test_a_full_disk_leaves_the_notebook_and_no_half_of_a_log(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_week(course, WEEK)
    log = course / "work" / WEEK / "LOG.md"
    log.unlink()

    def fsync(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(WorkbookError, match="nothing was lost"):
        start_week(course, WEEK)
    assert sorted(path.name for path in log.parent.iterdir()) == ["tiny.ipynb"]


def test_an_update_brings_the_list_to_an_older_copy_and_mends_it(course: Path, bundle: Path) -> None:
    release = open_released(course, WEEK)
    older = read_notebook(bundle / "weeks" / WEEK / "tiny.ipynb")
    merged = merge(release, older, older)
    assert "new: the reading list" in merged.changes
    assert [cell.id for cell in merged.notebook.cells][:3] == ["start-text-1", "readings", "setup"]
    place = next(place for place, cell in enumerate(merged.notebook.cells) if cell.id == "readings")
    merged.notebook.cells[place].source = "mine"
    mended = merge(release, merged.notebook, release.learner)
    assert mended.changes == ("the reading list: the text of the course is back",)
    assert mended.notebook.cells[place].source == release.learner.cells[place].source
