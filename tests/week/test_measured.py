"""What is kept of a cell that ran on real data: which code it depends on, and what learners read below the cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.core.errors import BuildError
from autograder.week.cells import Cell
from autograder.week.measured import (
    FILE,
    Kept,
    changed_since,
    code_digest,
    data_of,
    needed,
    not_measured,
    read_measured,
    told,
)
from autograder.week.source import load_week, parse

from ..measured_week import KEPT, MEASURED_LESSON, MEASUREMENT
from ..texts import PIXEL
from ..tiny_week import LESSON, write_tiny_week

NAME = "quadruple-explore-2"


def cells_of(lesson: str) -> tuple[list[Cell], Cell]:
    """The cells of a lesson, and the one that is measured."""
    cells = list(parse(lesson, Path("tiny.py")))
    (measured,) = [cell for cell in cells if data_of(cell)]
    return cells, measured


def digest_of(lesson: str) -> str:
    cells, measured = cells_of(lesson)
    return code_digest(needed(cells, measured))


def test_a_cell_needs_what_it_names_and_what_that_names() -> None:
    found = [cell.id for cell in needed(*cells_of(MEASURED_LESSON))]
    assert found == ["setup", "double", "quadruple", "given-count", NAME]


def test_of_two_definitions_the_later_one_before_the_use_is_needed() -> None:
    lesson = "# %% setup=true\nx = 0\n" + "".join(
        f"\n# %% explore=true{word}\n{line}\n"
        for line, word in (("a = 1", ""), ("a = 2", ""), ("b = a", ' measured="photos"'), ("a = 3", ""))
    )
    assert [cell.source for cell in needed(*cells_of(lesson))] == ["x = 0", "a = 2", "b = a"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return len(list(", "    # they are counted\n\n    return len( list("),
        ('"""The files of a folder."""', '"""How many files a folder has."""'),
        ("other = 1", "other = 2"),
        ('print("two and two is", 2 + 2)', 'print("four")'),
        ("# Twice a number.", "# Two times a number."),
        ("from shared import checks\n", "import math\nfrom shared import checks, plotting\n"),
    ],
)
def test_the_digest_stays_where_the_code_says_the_same(old: str, new: str) -> None:
    assert MEASURED_LESSON.count(old) == 1
    assert digest_of(MEASURED_LESSON.replace(old, new)) == digest_of(MEASURED_LESSON)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("budget.scaled(100)", "budget.scaled(101)"),
        ("return len(list(folder.iterdir()))", "return 1 + len(list(folder.iterdir()))"),
        ("return number + number", "return number * 2"),
        ("minutes=2)", "minutes=3)"),
        ("from pathlib import Path\n", "from pathlib import PosixPath as Path\n"),
        ("from shared import checks\n", "from shared import checks\n\nseed = 1\n"),
    ],
)
def test_the_digest_changes_with_the_code_of_the_cell_and_of_what_it_needs(old: str, new: str) -> None:
    assert MEASURED_LESSON.count(old) == 1
    assert digest_of(MEASURED_LESSON.replace(old, new)) != digest_of(MEASURED_LESSON)


def test_the_digest_is_the_same_in_every_version_of_python() -> None:
    """A value that was written down: syntax trees gain fields, which are empty, from version to version."""
    source = 'class A:\n    """Text."""\n    def f(self, *a, b: int = 1):\n        return f"{b!r:>{a}}" if a else ""\n'
    assert code_digest([Cell("a", cells_of(MEASURED_LESSON)[1].words, source, 1)]) == "71c24fb0cc7050c4"


def written(root: Path, kept: Kept | None) -> Path:
    """A checkout of the week with a measured cell; the folder of the week."""
    folder = write_tiny_week(root, MEASURED_LESSON)
    if kept:
        (folder / FILE).write_text(kept.model_dump_json(), encoding="utf-8")
        (folder / "measured-photos.png").write_bytes(PIXEL)
    return folder


def test_below_the_cell_stands_a_locked_cell_that_says_how_to_measure(tmp_path: Path) -> None:
    built = build_week(load_week(written(tmp_path, None)))
    ids = [cell.id for cell in built.learner.cells]
    cell = built.learner.cells[ids.index(NAME) + 1]
    assert (cell.id, cell.cell_type, cell.source) == (f"{NAME}-measured", "markdown", not_measured("photos", "week01"))
    assert "workbook record week01 --real-data FOLDER`" in cell.source
    assert cell.metadata["editable"] is False
    assert cell.metadata["deletable"] is False
    assert "nbgrader" not in cell.metadata


def test_what_is_kept_is_quoted_with_its_picture(tmp_path: Path) -> None:
    digest = digest_of(MEASURED_LESSON)
    kept = Kept(cells={"photos": MEASUREMENT.model_copy(update={"code": digest})})
    week = load_week(written(tmp_path, kept))
    assert read_measured(week.folder) == kept
    assert changed_since(week.cells, week.folder) == []
    (cell,) = [cell for cell in build_week(week).learner.cells if cell.id == f"{NAME}-measured"]
    head, empty, *rest = cell.source.splitlines()
    assert head == (
        "**Measured** on 2026-05-04 with `workbook record week01 --real-data FOLDER --minutes 5` at commit "
        "`0123456789ab`, seed 3: 5.2 minutes, 4.5 CPU minutes "
        "(profile cpu, x86_64, cores: 2, threads of torch: 1, torch 2.9.1)."
    )
    assert empty == ""
    assert rest == [
        "```text",
        *MEASUREMENT.printed,
        "```",
        "",
        "![A dot.](attachment:measured-photos.png)",
    ]
    assert list(cell.attachments) == ["measured-photos.png"]


def test_a_reader_is_told_where_the_code_has_changed_since(tmp_path: Path) -> None:
    week = load_week(written(tmp_path, KEPT))
    assert changed_since(week.cells, week.folder) == ["photos"]
    (cell,) = [cell for cell in week.cells if cell.id == f"{NAME}-measured"]
    assert "has changed since" in cell.source
    assert "has changed since" not in told(MEASUREMENT, holds=True)


def test_a_file_that_holds_something_else_is_an_error_of_the_week(tmp_path: Path) -> None:
    folder = written(tmp_path, None)
    (folder / FILE).write_text('{"cells": []}', encoding="utf-8")
    with pytest.raises(BuildError, match="holds something else"):
        load_week(folder)


def test_a_week_without_measured_cells_reads_no_file(tmp_path: Path) -> None:
    folder = write_tiny_week(tmp_path, LESSON)
    assert [cell.id for cell in load_week(folder).cells if cell.id.endswith("measured")] == []
