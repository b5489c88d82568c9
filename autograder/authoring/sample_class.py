"""A sample class made from a real week: right, half right, empty, wrong in known ways, and broken."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable

from nbformat.notebooknode import NotebookNode

from ..core.errors import WorkbookError, short
from ..course.folder import Course
from ..week.cells import Test
from ..week.notebooks import Notebooks, to_text
from ..week.variants import load_variants

MADE_HERE = "sample-class.txt"
"""The file that marks a folder as a sample class."""


def _notebook(built: Notebooks, answers: dict[str, str] | None = None) -> NotebookNode:
    """The learner notebook with these answers in place of stubs; None for all of the reference's."""
    notebook = copy.deepcopy(built.learner)
    reference = {cell.id: cell.source for cell in built.instructor.cells}
    for cell in notebook.cells:
        if cell.id in built.week.exercises:
            cell.source = (reference if answers is None else answers).get(cell.id, cell.source)
    return notebook


def _reference(built: Notebooks, names: list[str]) -> dict[str, str]:
    return {cell.id: cell.source for cell in built.instructor.cells if cell.id in names}


def _begin_with(notebook: NotebookNode, cell_id: str, code: str) -> NotebookNode:
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    cell.source = f"{code}\n\n{cell.source}"
    return notebook


def _strip_metadata(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        cell.metadata = {}
        cell.pop("id", None)
    notebook.nbformat_minor = 4
    return notebook


def _without(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    notebook.cells = [cell for cell in notebook.cells if cell.id != cell_id]
    return notebook


def _doubled(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    at = next(i for i, cell in enumerate(notebook.cells) if cell.id == cell_id)
    notebook.cells.insert(at + 1, copy.deepcopy(notebook.cells[at]))
    return notebook


def make_class(built: Notebooks, course: Course, on_learner: Callable[[str], None] = lambda name: None) -> list[str]:
    """Write the class into `course/submitted/`, replacing an earlier sample class. Returns the learners.

    The half-finished learner has the first half of the exercises; every misconception of the exercise with the
    fewest of them is one learner.
    """
    week = built.week
    names = list(week.exercises)
    half = _reference(built, names[: len(names) // 2])
    misconceptions = load_variants(week).misconceptions
    counts = {name: sum(item.exercise == name for item in misconceptions) for name in names}
    chosen = min(counts, key=lambda name: counts[name])
    first, second = names[0], names[1]
    a_test = week.of_kind(Test, first)[0].id
    learners: dict[str, str] = {
        "reference": to_text(_notebook(built)),
        "half-finished": to_text(_notebook(built, half)),
        "untouched-stubs": to_text(_notebook(built, {})),
    }
    for item in misconceptions:
        if item.exercise == chosen:
            answers = _reference(built, names) | {chosen: item.source(week)}
            learners[f"wrong-{item.name}"] = to_text(_notebook(built, answers))
    learners |= {
        "raises-in-a-cell": to_text(
            _begin_with(_notebook(built), second, 'raise RuntimeError("left over from debugging")')
        ),
        "loops-for-ever": to_text(_begin_with(_notebook(built), second, "while True:\n    pass")),
        "leaves-by-os-exit": to_text(_begin_with(_notebook(built), second, "import os\nos._exit(0)")),
        "broken-json": to_text(_notebook(built))[:4000],
        "stripped-metadata": json.dumps(_strip_metadata(_notebook(built))),
        "deleted-test-cell": to_text(_without(_notebook(built), a_test)),
        "doubled-test-cell": to_text(_doubled(_notebook(built), a_test)),
    }
    for learner, text in learners.items():
        folder = course.submitted / learner / week.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / f"{week.topic}.ipynb").write_text(text, encoding="utf-8")
        on_learner(learner)
    return list(learners)


def clear(course: Course) -> None:
    """Remove an earlier sample class with everything graded in it.

    Raises
    ------
    WorkbookError
        when the folder holds something else: a real class is never removed.
    """
    if course.folder.exists() and not (course.folder / MADE_HERE).is_file():
        raise WorkbookError(
            f"{short(course.folder)} was not made by `workbook demo`", "name a folder that is not there, or none"
        )
    shutil.rmtree(course.folder, ignore_errors=True)
    course.folder.mkdir(parents=True)
    (course.folder / MADE_HERE).write_text("`workbook demo` makes this folder anew each time.\n", encoding="utf-8")
