"""What is known from a released notebook is what its source says, but for what learners must not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.learner.released import open_released
from autograder.week.cells import Test
from autograder.week.locate import all_weeks
from autograder.week.source import load_week

from .conftest import WEEK

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", all_weeks(ROOT))
def test_a_released_week_tells_what_its_source_says(name: str) -> None:
    source, released = load_week(ROOT / "solutions" / name), open_released(ROOT, name).week
    assert released.name == name
    assert [cell.id for cell in released.cells] == [cell.id for cell in source.cells]
    assert released.exercises == source.exercises
    assert (released.info.title, released.info.hours) == (source.info.title, source.info.hours)
    assert (released.info.libraries, released.info.limits) == (source.info.libraries, source.info.limits)
    for mine, theirs in zip(released.cells, source.cells, strict=True):
        if isinstance(theirs.words, Test):
            assert isinstance(mine.words, Test)
            assert mine.words.points == theirs.words.points
        else:
            authors = {"picture", "after", "measured"}  # words for the builder alone
            assert mine.words.model_dump(exclude=authors) == theirs.words.model_dump(exclude=authors)


def test_a_release_of_an_older_builder_is_read(bundle: Path) -> None:
    path = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["workbook"] = {"week": WEEK, "title": "Doubling"}
    for cell in notebook["cells"]:
        if cell["metadata"]["workbook"]["kind"] == "written":
            del cell["metadata"]["workbook"]["minutes"]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    released = open_released(bundle, "1").week
    assert released.info.title == "Doubling"
    assert released.info.limits.cell_seconds > 0
    assert list(released.exercises) == ["double", "quadruple"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda notebook: notebook["cells"][3].pop("id"), "cell 4 is not what the course writes"),
        (lambda notebook: notebook["cells"][3]["metadata"].clear(), "cell 4 is not what the course writes"),
        (lambda notebook: notebook["cells"][3]["metadata"]["workbook"].update(minutes="x"), "cell 4 is not"),
        (lambda notebook: notebook["metadata"]["workbook"].update(hours="many"), "its metadata is not"),
        (lambda notebook: notebook.update(cells=[]), "the notebook has no cells"),
    ],
)
def test_a_damaged_release_is_named(bundle: Path, damage: object, said: str) -> None:
    path = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    damage(notebook)  # type: ignore[operator]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(WorkbookError) as error:
        open_released(bundle, "1")
    assert error.value.message.startswith(f"weeks/{WEEK}/tiny.ipynb: {said}")
    assert error.value.next_step == "get this file from the course again"


def test_a_week_without_its_notebook_is_not_released(bundle: Path) -> None:
    (bundle / "weeks" / WEEK / "tiny.ipynb").unlink()
    with pytest.raises(WorkbookError, match="is not there"):
        open_released(bundle, "1")
