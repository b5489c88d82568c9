"""Read a released notebook back into a week: what a learner's commands know, they know from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from pydantic import ValidationError

from ..core.errors import WorkbookError, short
from ..repair.damage import DamagedError
from ..repair.repair import read_notebook
from ..week.cells import KINDS, Cell, Text, Words
from ..week.locate import released_weeks, week_name
from ..week.notebooks import Notebooks
from ..week.source import Week, WeekInfo

OWN_WORDS = ("difficulty", "minutes", "uses")
KEPT = ("title", "version", "hours", "libraries", "limits", "reading")
"""Keys of `week.toml` that a released notebook knows."""


def open_released(root: Path, asked: str) -> Notebooks:
    """The notebooks of a released week by any of its names.

    Both are the learner's: no solution, no hidden test and no rubric is known here. The `line` of a cell is its
    number in the notebook, from 1.

    Raises
    ------
    WorkbookError
        when the week is not released, or its notebook is not what the builder writes.
    """
    name = week_name(root, asked)
    folder = root / "weeks" / name
    path = folder / f"{name.split('_', 1)[1]}.ipynb"
    if not path.is_file():
        raise WorkbookError(f"{short(folder)} is not there", _not_released(root))
    try:
        notebook = read_notebook(path)
    except DamagedError as error:
        raise WorkbookError(f"{short(path)}: {error}", "get this file from the course again") from None
    return Notebooks(read_week(folder, path, notebook), notebook, notebook)


def _not_released(root: Path) -> str:
    names = ", ".join(released_weeks(root))
    return f"released are {names}" if names else "no week is released yet, or run `make weeks`"


def read_week(folder: Path, path: Path, notebook: NotebookNode) -> Week:
    """The week that a released notebook was built from, as far as a learner may know it."""
    said = notebook.metadata.get("workbook", {})
    known: dict[str, Any] = {"title": folder.name, "summary": "", "hours": 1}
    known |= {key: said[key] for key in KEPT if key in said}
    where = "its metadata"
    try:
        info = WeekInfo.model_validate(known | {"libraries": tuple(known.get("libraries", ("torch",)))})
        cells = []
        for number, cell in enumerate(notebook.cells, 1):
            where = f"cell {number}"
            cells.append(Cell(cell["id"], _words(cell), cell.source, number))
    except (KeyError, AttributeError, TypeError, ValidationError):
        raise WorkbookError(
            f"{short(path)}: {where} is not what the course writes", "get this file from the course again"
        ) from None
    return Week(folder, info, tuple(cells))


def _words(cell: NotebookNode) -> Words:
    """The words of a cell's header, from the metadata that the builder made of them."""
    ours: dict[str, Any] = cell.metadata["workbook"]
    kind = next((kind for kind in KINDS if kind.key == ours["kind"]), None)
    compare = "nbval-check-output" in cell.metadata.get("tags", ())
    if kind is None:
        return Text(compare=compare)
    said: dict[str, Any] = {kind.key: ours.get("name", True), "compare": compare}
    said |= {key: ours[key] for key in OWN_WORDS if key in ours}
    if "uses" in said:
        said["uses"] = tuple(said["uses"])
    if cell.metadata.get("nbgrader", {}).get("grade"):
        said["points"] = cell.metadata["nbgrader"]["points"]
    return kind(**said)
