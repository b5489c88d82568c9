"""What nbgrader calls: see `nbgrader_config.py`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def register_week(assignment: str, student: str, notebooks: Sequence[str]) -> None:
    """Before `nbgrader autograde` grades a submission: put the week into the gradebook, if it is not there.

    Raises
    ------
    WorkbookError
        for an unknown week, or a gradebook that cannot be written.
    """
    from nbgrader.api import MissingEntry

    from .build import build_week
    from .course import Course, open_week
    from .record import open_gradebook, register

    root = Path(__file__).resolve().parent.parent
    course = Course.at(root, Path(os.environ.get("WORKBOOK_COURSE", "course")))
    with open_gradebook(course) as gradebook:
        try:
            if gradebook.find_assignment(assignment).notebooks:
                return
        except MissingEntry:
            pass
    register(build_week(open_week(root, assignment)), course)
