"""What a week names to read: typed, shown in the lesson above the set-up cell, and a list of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.learner.released import read_week
from autograder.week.cells import Readings
from autograder.week.locate import all_weeks
from autograder.week.readings import Reading, as_boxes, as_table, promised
from autograder.week.source import load_week

from ..chosen import ROOT
from ..tiny_week import READING, TIMED, WEEK_TOML, write_tiny_week

FEWEST, MOST = 3, 6
"""Readings of a week."""
PAPER = Reading(
    title="[A] of B | C",
    authors="Ann, Bob and Carl",
    year=2017,
    url="https://arxiv.org/abs/1706.03762",
    sections="section 3 | 4",
    minutes=20,
    why="It says A | B.",
    kind="paper",
    must=False,
)
VIDEO = PAPER.model_copy(
    update={"title": "Seen", "url": "https://youtu.be/x", "kind": "video", "must": True, "sections": "", "minutes": 7}
)
TOML = f'reproduces = "Ann et al. (2017), figure 1. The same: A. Not the same: B."\n{WEEK_TOML}{READING}'


def test_the_table_has_what_must_be_read_first_and_no_more_columns_than_its_head() -> None:
    table = as_table([PAPER, VIDEO], "", number=4)
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        r"| **[Seen](https://youtu.be/x)**, Ann, Bob and Carl 2017 (video) | 7 | It says A \| B. |",
        r"| [\[A\] of B \| C](https://arxiv.org/abs/1706.03762), Ann, Bob and Carl 2017, section 3 \| 4 (paper) "
        r"| 20 | It says A \| B. |",
    ]
    assert "**7 minutes** for what is in bold; the rest, 20 minutes," in table
    assert "`workbook start 4`" in table


def test_the_boxes_are_a_line_each() -> None:
    assert as_boxes([PAPER, VIDEO]).splitlines() == [
        "- [ ] [Seen](https://youtu.be/x), Ann, Bob and Carl 2017 (video, 7 minutes)",
        r"- [ ] [\[A\] of B | C](https://arxiv.org/abs/1706.03762), Ann, Bob and Carl 2017, section 3 | 4 "
        "(paper, 20 minutes, for those who want more)",
    ]


def test_only_what_must_be_read_is_promised() -> None:
    assert promised([PAPER, VIDEO, VIDEO]) == 14
    assert "20 minutes, for those who want more" in as_table([PAPER], "", 1)


def test_the_lesson_shows_them_above_the_set_up_cell_in_a_locked_cell(tmp_path: Path) -> None:
    built = build_week(load_week(write_tiny_week(tmp_path, TIMED, TOML)))
    ids = [cell.id for cell in built.learner.cells]
    assert ids[:3] == ["start-text-1", "readings", "setup"]
    cell = built.learner.cells[1]
    assert (cell.cell_type, cell.metadata.editable, cell.metadata.deletable) == ("markdown", False, False)
    assert cell.metadata.nbgrader.locked
    assert "**[Attention Is All You Need](https://arxiv.org/abs/1706.03762)**" in cell.source
    assert cell.source.endswith("Ann et al. (2017), figure 1. The same: A. Not the same: B.")


def test_a_learner_knows_them_from_the_notebook(tmp_path: Path) -> None:
    week = load_week(write_tiny_week(tmp_path, TIMED, TOML))
    learner = build_week(week).learner
    released = read_week(week.folder, tmp_path / "tiny.ipynb", learner)
    assert released.info.reading == week.info.reading
    assert [cell.id for cell in released.of_kind(Readings)] == ["readings"]


def test_a_week_that_names_nothing_has_no_such_cell(tmp_path: Path) -> None:
    assert not load_week(write_tiny_week(tmp_path)).of_kind(Readings)


def test_what_is_reproduced_is_shown_without_readings_too(tmp_path: Path) -> None:
    toml = f'reproduces = "Ann (2017), figure 1."\n{WEEK_TOML}'
    (cell,) = load_week(write_tiny_week(tmp_path, toml=toml)).of_kind(Readings)
    assert cell.source == "## Reading\n\n**Reproduced this week.** Ann (2017), figure 1."


@pytest.mark.parametrize("name", all_weeks(ROOT))
def test_each_week_names_some_and_not_too_many(name: str) -> None:
    week = load_week(ROOT / "solutions" / name)
    assert FEWEST <= len(week.info.reading) <= MOST
    if week.info.reproduces:
        assert "The same:" in week.info.reproduces
        assert "Not the same:" in week.info.reproduces
