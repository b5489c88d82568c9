"""What nbgrader calls: see `nbgrader_config.py`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbgrader.plugins import CsvExportPlugin
from nbgrader.preprocessors import ClearHiddenTests, GetGrades
from nbgrader.utils import is_grade, is_solution


def register_week(assignment: str, student: str, notebooks: Sequence[str]) -> None:
    """Before `nbgrader autograde` grades submissions: put the week into the gradebook, if it is not there.

    Also keeps Python's warnings out of the kernels that this process starts: nbgrader gives a test cell no points when
    anything stands on its standard error, and a library's warning is not a wrong answer.

    Raises
    ------
    WorkbookError
        for an unknown week, or a gradebook that cannot be written.
    """
    from nbgrader.api import MissingEntry

    from ..building.build import build_week
    from ..course.database import open_gradebook
    from ..course.folder import Course
    from ..course.pins import open_pinned
    from ..gradebook.store import register

    os.environ["PYTHONWARNINGS"] = "ignore"
    root = Path(__file__).resolve().parents[2]
    course = Course.at(root, Path(os.environ.get("WORKBOOK_COURSE", "course")))
    with open_gradebook(course) as gradebook:
        try:
            if gradebook.find_assignment(assignment).notebooks:
                return
        except MissingEntry:
            pass
    register(build_week(open_pinned(course, assignment)), course)


@cache
def settled(week: str) -> None:
    """Once in a program: write what the course's rules take for being late where nbgrader looks for it."""
    from ..course.folder import Course
    from ..gradebook.penalties import settle
    from ..gradebook.scores import standings

    root = Path(__file__).resolve().parents[2]
    course = Course.at(root, Path(os.environ.get("WORKBOOK_COURSE", "course")))
    if course.gradebook.is_file():
        settle(course, week, standings(course, week))


class SettledExport(CsvExportPlugin):
    """What `nbgrader export` writes, after penalties for being late were put into the gradebook."""

    def export(self, gradebook: Any) -> None:
        for assignment in gradebook.assignments:
            if assignment.submissions:
                settled(assignment.name)
        gradebook.db.expire_all()
        super().export(gradebook)


class SettledGrades(GetGrades):
    """What `nbgrader generate_feedback` reads, after penalties for being late were put into the gradebook."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        settled(resources["nbgrader"]["assignment"])
        found: tuple[NotebookNode, dict[str, Any]] = super().preprocess(nb, resources)
        return found


class WithoutHiddenTests(ClearHiddenTests):
    """Takes hidden tests out of the feedback that `nbgrader generate_feedback` writes, with what they printed."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], cell_index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        if not is_grade(cell) or is_solution(cell):
            return cell, resources  # a learner's words are not hidden tests
        before = cell.source
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.source != before:
            cell.outputs = []
        return cell, resources
