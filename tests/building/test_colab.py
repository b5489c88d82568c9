"""The badge of Colab: in every notebook where the repository's address is set, and nowhere without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.building.build import build_week, stale, write_week
from autograder.building.colab import Repository, repository_of, with_colab
from autograder.core.errors import WorkbookError
from autograder.week.locate import all_weeks
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

ROOT = Path(__file__).parents[2]
NOTEBOOK = Path("weeks/week01_tiny/tiny.ipynb")


def first_cell(root: Path) -> str:
    cell = json.loads((root / NOTEBOOK).read_text(encoding="utf-8"))["cells"][0]
    assert cell["cell_type"] == "markdown"
    return str(cell["source"])


def set_address(root: Path, address: str) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8") if (root / "pyproject.toml").is_file() else ""
    (root / "pyproject.toml").write_text(f'{text}\n[project.urls]\nRepository = "{address}"\n', encoding="utf-8")


def told_of_notebook(built: Notebooks, root: Path) -> list[str]:
    """What `workbook build --check` says about the notebook."""
    return [line for line in stale(built, root) if str(NOTEBOOK) in line]


def test_without_an_address_a_notebook_says_nothing_about_colab(tiny: Notebooks, tiny_root: Path) -> None:
    assert repository_of(tiny_root) is None
    write_week(tiny, tiny_root)
    assert "olab" not in (tiny_root / NOTEBOOK).read_text(encoding="utf-8").replace('"cellView"', "")


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_the_badge_opens_the_released_notebook(end: str, tiny: Notebooks, tiny_root: Path) -> None:
    set_address(tiny_root, f"https://github.com/school/vision-course{end}")
    write_week(tiny, tiny_root)
    told = first_cell(tiny_root)
    assert told.startswith("# A tiny week\n\n[![Open in Colab](")
    opened = "https://colab.research.google.com/github/school/vision-course/blob/main/weeks/week01_tiny/tiny.ipynb"
    assert f"]({opened})" in told
    assert "    !git clone https://github.com/school/vision-course workbook\n" in told
    assert not told_of_notebook(tiny, tiny_root)


def test_another_branch(tiny: Notebooks, tiny_root: Path) -> None:
    set_address(tiny_root, "https://github.com/school/vision-course/tree/autumn/2026")
    write_week(tiny, tiny_root)
    told = first_cell(tiny_root)
    assert "/github/school/vision-course/blob/autumn/2026/weeks/week01_tiny/tiny.ipynb)" in told
    assert "    !git clone -b autumn/2026 https://github.com/school/vision-course workbook\n" in told


def test_colab_opens_no_other_host_by_its_address(tiny: Notebooks, tiny_root: Path) -> None:
    set_address(tiny_root, "https://gitlab.example.org/school/2026/vision")
    write_week(tiny, tiny_root)
    told = first_cell(tiny_root)
    assert "!git clone https://gitlab.example.org/school/2026/vision workbook" in told
    assert "colab.research.google.com" not in told


def test_an_address_that_came_later_makes_the_release_stale(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(tiny, tiny_root)
    set_address(tiny_root, "https://github.com/school/vision-course")
    assert told_of_notebook(tiny, tiny_root) == [f"{NOTEBOOK} is not what solutions/week01_tiny/ builds"]
    assert write_week(tiny, tiny_root)
    assert not told_of_notebook(tiny, tiny_root)


def test_the_badge_is_no_part_of_what_grading_compares(tiny: Notebooks, tiny_root: Path) -> None:
    set_address(tiny_root, "https://github.com/school/vision-course")
    before = tiny.learner_text
    write_week(tiny, tiny_root)
    assert tiny.learner_text == before
    released = json.loads((tiny_root / NOTEBOOK).read_text(encoding="utf-8"))
    assert released["metadata"]["workbook"]["content"] == tiny.learner.metadata.workbook.content


@pytest.mark.parametrize(
    "address", ["school/vision", "http://github.com/a/b", "https://github.com/a/b; rm -rf ~", "ADDRESS"]
)
def test_what_is_no_address_is_told(address: str, tiny_root: Path) -> None:
    set_address(tiny_root, address)
    with pytest.raises(WorkbookError, match=r"pyproject\.toml: Repository = .* is no address"):
        repository_of(tiny_root)


@pytest.mark.parametrize("name", all_weeks(ROOT))
def test_no_week_leaves_an_address_to_be_filled_in(name: str) -> None:
    built = build_week(load_week(ROOT / "solutions" / name))
    assert not [cell.id for cell in built.learner.cells if "ADDRESS" in cell.source and "olab" in cell.source]
    somewhere = Repository("https://github.com/school/course", "github.com", "school/course", "main")
    told = with_colab(built.learner, built.week, somewhere).cells[0].source
    assert f"/blob/main/weeks/{name}/{built.week.topic}.ipynb)" in told
    assert ("open_clip_torch" in told) == ("open_clip" in built.week.info.libraries)
