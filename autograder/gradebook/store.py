"""Write grades: nbgrader's gradebook, and the autograded notebooks that its formgrader shows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat.notebooknode import NotebookNode

from ..core.errors import WorkbookError, short
from ..core.files import write_text
from ..course.database import open_gradebook, patiently
from ..course.folder import Course
from ..course.timestamps import MAX_STAMP, TIMESTAMP, handed_in_at
from ..repair.damage import DamagedError
from ..repair.repair import read_handed_in
from ..repair.written_answers import is_prose, own_cells_below
from ..week.cells import Test, Written
from ..week.notebooks import Notebooks, to_text
from ..week.source import Week
from .cells import Moves, bring_up_to_date, find_moves, released

if TYPE_CHECKING:
    from nbgrader.api import Gradebook


def register(
    built: Notebooks,
    course: Course,
    on_wait: Callable[[str], None] = lambda reason: None,
    *,
    removing: bool = False,
) -> None:
    """Put the week's cells, points and hidden tests into the gradebook, as `nbgrader generate_assignment` does.

    Where submissions are recorded already, points and comments stay at their cells (see `cells`).

    Parameters
    ----------
    removing : whether what people gave at cells that are gone may go; it is written down then.

    Raises
    ------
    WorkbookError
        when the gradebook cannot be written, and where people gave something at cells that are gone.
    """
    from nbgrader.preprocessors import SaveCells

    week, cells = built.week, released(built)
    names = {"assignment": week.name, "notebook": week.topic, "student": ".", "db_url": course.db_url}

    def put() -> None:
        with open_gradebook(course) as gradebook:
            gradebook.update_or_create_assignment(week.name)
            if not removing and (given := find_moves(gradebook, week.name, week.topic, cells).given):
                raise WorkbookError(
                    f"people gave points or comments at cells of {week.name} that are gone: "
                    + ", ".join(sorted({one.cell for one in given})),
                    f"workbook grade {week.name} lists them, and asks",
                )
            bring_up_to_date(gradebook, course, week.name, week.topic, cells)
        SaveCells().preprocess(nbformat.from_dict(json.loads(json.dumps(cells))), {"nbgrader": names})

    with _readable(course):
        patiently(put, course, on_wait)


@contextlib.contextmanager
def _readable(course: Course) -> Iterator[None]:
    """An error of the database as one that names the gradebook and the next step."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise WorkbookError(
            f"{short(course.gradebook)} cannot be written: {str(error).splitlines()[0]}",
            "close programs that hold it, or check the rights of the folder",
        ) from None


def recorded_notebook(course: Course, week: Week, learner: str) -> NotebookNode:
    """The notebook of a learner as it was graded, with course and own cells.

    Raises
    ------
    DamagedError
        where it is not there or cannot be read.
    """
    path = course.autograded / learner / week.name / f"{week.topic}.ipynb"
    try:
        return nbformat.reads(read_handed_in(path).decode("utf-8"), as_version=4)
    except OSError as error:
        raise DamagedError(f"{short(path)} cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, AttributeError) as error:  # no JSON, or none of a notebook
        raise DamagedError(f"{short(path)} cannot be read ({type(error).__name__})") from None


def recorded_scores(course: Course, week: Week) -> dict[str, dict[str, float]]:
    """Learner -> test cell -> the points that the gradebook holds; empty where it cannot be read."""
    found: dict[str, dict[str, float]] = {}
    if not course.gradebook.exists():
        return found
    from nbgrader import api  # slow, and a new class should not wait for it
    from sqlalchemy.exc import SQLAlchemyError

    tests = {cell.id for cell in week.of_kind(Test)}
    try:
        with open_gradebook(course) as gradebook:
            query = (
                gradebook.db.query(api.SubmittedAssignment.student_id, api.GradeCell.name, api.Grade.auto_score)
                .select_from(api.Grade)
                .join(api.GradeCell, api.GradeCell.id == api.Grade.cell_id)
                .join(api.SubmittedNotebook, api.SubmittedNotebook.id == api.Grade.notebook_id)
                .join(api.SubmittedAssignment, api.SubmittedAssignment.id == api.SubmittedNotebook.assignment_id)
                .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
                .filter(api.Assignment.name == week.name)
            )
            for student, cell, score in query:
                if cell in tests:
                    found.setdefault(student, {})[cell] = score
    except SQLAlchemyError:
        return {}
    return found


class Recorder:
    """Writes grades of a week; puts the week itself into the gradebook before the first of them.

    The gradebook stays open from one grade to the next: to open it costs as much as to write a grade.
    """

    def __init__(self, built: Notebooks, course: Course, on_wait: Callable[[str], None]) -> None:
        self._built, self._course, self._on_wait = built, course, on_wait
        self._registered = False
        self._open = contextlib.ExitStack()
        self._gradebook: Gradebook | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the gradebook; the next grade opens it again."""
        self._gradebook = None
        self._open.close()

    def moves(self) -> Moves:
        """What became of the week's cells since submissions were recorded."""
        if not self._course.gradebook.is_file():
            return Moves()
        week, cells = self._built.week, released(self._built)

        def look() -> Moves:
            with open_gradebook(self._course) as gradebook:
                return find_moves(gradebook, week.name, week.topic, cells)

        with _readable(self._course):
            return patiently(look, self._course, self._on_wait)

    def register(self, *, removing: bool = False) -> None:
        """See `register`; once."""
        if not self._registered:
            register(self._built, self._course, self._on_wait, removing=removing)
            self._registered = True

    def save(self, student: str, notebook: NotebookNode, scores: Mapping[str, float], submitted: Path) -> None:
        """Record one graded submission: the autograded notebook first, then all scores in one transaction.

        Manual scores and comments of earlier gradings stay.

        Parameters
        ----------
        notebook : the repaired notebook with its outputs.
        scores : points of every test cell, by cell id.
        submitted : the file that was submitted; a timestamp.txt beside it is kept.
        """
        from nbgrader.preprocessors import ComputeChecksums
        from nbgrader.utils import is_solution

        self.register()
        week = self._built.week
        stubs = {cell.id: cell.metadata.nbgrader["checksum"] for cell in self._built.learner.cells if is_solution(cell)}
        notebook, _ = ComputeChecksums().preprocess(notebook, {})
        answered = {
            cell.id: cell.metadata.nbgrader["checksum"] != stubs[cell.id]
            for cell in notebook.cells
            if is_solution(cell)
        }
        handed_out = {cell.id for cell in week.cells}
        for asked in week.of_kind(Written):
            answered[asked.id] |= any(is_prose(one) for one in own_cells_below(notebook, handed_out, asked.id))
        for cell in notebook.cells:
            if is_solution(cell):
                cell.metadata.nbgrader["checksum"] = stubs[cell.id]
        folder = self._course.autograded / student / week.name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{week.topic}.ipynb", to_text(notebook))
        when = None
        with contextlib.suppress(OSError, DamagedError):  # no time of submission, or none that can be used
            stamp = read_handed_in(submitted.parent / TIMESTAMP, MAX_STAMP)
            (folder / TIMESTAMP).write_bytes(stamp)
            when = handed_in_at(stamp)
        patiently(
            lambda: self._in_gradebook(lambda book: put(book, week, student, notebook, scores, answered, when)),
            self._course,
            self._on_wait,
        )

    def _in_gradebook(self, action: Callable[[Gradebook], None]) -> None:
        """Do something with it. After an error it is opened anew: it may be locked, or another one by now."""
        try:
            if self._gradebook is None:
                self._gradebook = self._open.enter_context(open_gradebook(self._course))
            action(self._gradebook)
        except BaseException:
            self.close()
            raise


def put(
    gradebook: Gradebook,
    week: Week,
    student: str,
    notebook: NotebookNode,
    scores: Mapping[str, float],
    answered: Mapping[str, bool],
    when: datetime | None,
) -> None:
    """Write the scores of one submission, all at once. A written answer waits for a person, an empty one gets 0."""
    from nbgrader.utils import is_grade, is_solution

    with one_transaction(gradebook), gradebook.db.no_autoflush:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(week.name, student, **({"timestamp": when} if when else {}))
        (record,) = (one for one in submission.notebooks if one.name == week.topic)
        known = (*record.notebook.grade_cells, *record.notebook.solution_cells)
        names = {cell.id: cell.name for cell in known}  # a query for all cells, not two for each
        grades = {names[grade.cell_id]: grade for grade in record.grades}
        comments = {names[comment.cell_id]: comment for comment in record.comments}
        for cell in notebook.cells:
            if is_grade(cell):
                grade = grades[cell.id]
                grade.auto_score = scores[cell.id] if cell.id in scores else None if answered[cell.id] else 0.0
                grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None
            if is_solution(cell):
                comments[cell.id].auto_comment = None if answered[cell.id] else "No response."


@contextlib.contextmanager
def one_transaction(gradebook: Gradebook) -> Iterator[None]:
    """nbgrader commits after each step of its own; here they are committed together or, after an error, not at all.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError
        the database's own error, which nbgrader wraps in one of its own.
    """
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import SQLAlchemyError

    commit = gradebook.db.commit
    gradebook.db.commit = gradebook.db.flush
    try:
        yield
    except InvalidEntry as error:
        if isinstance(error.__context__, SQLAlchemyError):
            raise error.__context__ from None
        raise
    finally:
        gradebook.db.commit = commit
    commit()
