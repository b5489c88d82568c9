"""The cells of a week in the gradebook, after the lesson changed: what people gave stays with what they gave it for.

nbgrader takes no cell in or out once a week has submissions. Here a cell that moved or was renamed is found by its
text and keeps its rows, with the points and comments in them; a new one gets an empty row for each submission. The rows
of a cell that is gone go, too, and what people gave there becomes lines of `course/record/WEEK/removed.jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat.notebooknode import NotebookNode

from ..core.files import append_lines
from ..course.folder import Course
from ..week.notebooks import Notebooks

REMOVED = "removed.jsonl"


class CellContent(NamedTuple):
    """What a cell is: by it a cell is found that is called something else now."""

    cell_type: str
    grade: bool
    solution: bool
    source: str


@dataclass(frozen=True)
class ManualGrade:
    """What a person gave at a cell that is gone."""

    learner: str
    cell: str
    points: float | None
    extra: float
    comment: str


@dataclass(frozen=True)
class Moves:
    """What became of the cells of a week since its submissions were recorded.

    Attributes
    ----------
    renamed : old name -> new name, where the text is the same. added, removed : names of cells.
    rated : names of cells -> the most points before and now, where they differ.
    given : what people gave at cells that are gone.
    above : learner and cell of marks that are above what can be had now, with both.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rated: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    given: tuple[ManualGrade, ...] = ()
    above: tuple[tuple[str, str, float, float], ...] = ()

    @property
    def said(self) -> list[str]:
        """One line for each kind of change, for a person."""
        kinds = (
            ("cells that are new", ", ".join(self.added)),
            ("cells that are gone", ", ".join(self.removed)),
            ("cells with another name", ", ".join(f"{old} is {new} now" for old, new in self.renamed.items())),
            ("other points", ", ".join(f"{name} {was:g} -> {now:g}" for name, (was, now) in self.rated.items())),
            ("more points than can be had", ", ".join(f"{who} {p:g}/{m:g} in {c}" for who, c, p, m in self.above)),
        )
        return [f"{kind}: {names}" for kind, names in kinds if names]


def released(built: Notebooks) -> NotebookNode:
    """The cells of a week as `nbgrader generate_assignment` puts them into the gradebook, with hidden tests."""
    from nbgrader.preprocessors import CheckCellMetadata, ClearSolutions, ComputeChecksums, LockCells

    notebook = nbformat.from_dict(json.loads(json.dumps(built.instructor)))
    resources: dict[str, Any] = {}
    for step in (LockCells, ClearSolutions, CheckCellMetadata, ComputeChecksums):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def looks(notebook: NotebookNode) -> tuple[dict[str, CellContent], dict[str, float]]:
    """The cells of a notebook that the gradebook keeps, by name, and the points of the graded ones."""
    from nbgrader.utils import is_grade, is_locked, is_solution

    found, points = {}, {}
    for cell in notebook.cells:
        if is_grade(cell) or is_solution(cell) or is_locked(cell):
            name = cell.metadata.nbgrader["grade_id"]
            found[name] = _look(cell.cell_type, is_grade(cell), is_solution(cell), cell.source)
            if is_grade(cell):
                points[name] = float(cell.metadata.nbgrader["points"])
    return found, points


def _look(cell_type: str, grade: bool, solution: bool, source: str) -> CellContent:
    """How a cell looks, without the first line of a test: the builder writes it, with number and points."""
    test = grade and not solution
    return CellContent(cell_type, grade, solution, source.partition("\n")[2] if test else source)


def matched(before: Mapping[str, CellContent], now: Mapping[str, CellContent]) -> dict[str, str]:
    """Old name -> new name of the cells that are still there.

    Who kept name and text comes first, then whose text stands under another name, then whose text alone changed.
    """
    found = {name: name for name, look in before.items() if now.get(name) == look}
    for name, look in before.items():
        if name not in found:
            same = (other for other, its in now.items() if its == look and other not in found.values())
            if (other := next(same, None)) is not None:
                found[name] = other
    for name, look in before.items():
        if name not in found and name in now and name not in found.values() and now[name][:3] == look[:3]:
            found[name] = name
    return found


def find_moves(gradebook: Any, week: str, topic: str, notebook: NotebookNode) -> Moves:
    """What `bring_up_to_date` would do; nothing is written. Without submissions there are no moves."""
    record = _record(gradebook, week, topic)
    if record is None:
        return Moves()
    now, points = looks(notebook)
    before = _looks_before(record)
    same = matched(before, now)
    called = {new: old for old, new in same.items()}
    removed = tuple(sorted(name for name in before if name not in same))
    were = {same[cell.name]: cell.max_score for cell in record.grade_cells if cell.name in same}
    rated = {name: (were[name], most) for name, most in points.items() if name in were and were[name] != most}
    above = tuple(
        (learner, same[grade.name], grade.manual_score, points[same[grade.name]])
        for learner, grade in (_by_hand(record) if rated else ())
        if same.get(grade.name) in rated and grade.manual_score > points[same[grade.name]]
    )
    return Moves(
        {called[new]: new for new in now if called.get(new, new) != new},
        tuple(name for name in now if name not in same.values()),
        removed,
        rated,
        tuple(_given(record, set(removed))),
        above,
    )


def bring_up_to_date(gradebook: Any, course: Course, week: str, topic: str, notebook: NotebookNode) -> None:
    """Give the gradebook the cells of a notebook, in one transaction; what is removed is written down first."""
    from nbgrader import api

    record = _record(gradebook, week, topic)
    moves = find_moves(gradebook, week, topic, notebook)
    if record is None or not (moves.renamed or moves.added or moves.removed):
        return
    write_down(course, week, moves.given)
    db, (now, points) = gradebook.db, looks(notebook)
    for cell in list(_cells(record)):
        if cell.name in moves.removed:
            _remove(db, cell)
    moving = [cell for cell in _cells(record) if cell.name in moves.renamed]
    names = [moves.renamed[cell.name] for cell in moving]
    for number, cell in enumerate(moving):  # first out of each other's way
        cell.name = f"moving-{number}"
    db.flush()
    for cell, name in zip(moving, names, strict=True):
        cell.name = name
    db.flush()
    for name in moves.added:
        look = now[name]
        db.add(api.SourceCell(name=name, cell_type=look.cell_type, source=look.source, notebook=record))
        if look.grade:
            graded = api.GradeCell(name=name, notebook=record, max_score=points[name], cell_type=look.cell_type)
            db.add(graded)
            db.add_all(api.Grade(cell=graded, notebook=one) for one in record.submissions)
        if look.solution:
            answer = api.SolutionCell(name=name, notebook=record)
            db.add(answer)
            db.add_all(api.Comment(cell=answer, notebook=one) for one in record.submissions)
    db.commit()


def write_down(course: Course, week: str, given: Sequence[ManualGrade]) -> None:
    """Keep what people gave at cells that go."""
    at = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    lines = [json.dumps(at | asdict(one), ensure_ascii=False) for one in given]
    append_lines(removed_file(course, week), lines)


def removed_file(course: Course, week: str) -> Path:
    return course.folder / "record" / week / REMOVED


def _record(gradebook: Any, week: str, topic: str) -> Any:
    """nbgrader's row of the notebook; None where there is none, or nobody has submitted it."""
    from nbgrader.api import MissingEntry

    try:
        found = gradebook.find_notebook(topic, week)
    except MissingEntry:
        return None
    return found if found.submissions else None


def _cells(record: Any) -> Iterator[Any]:
    return chain(record.source_cells, record.grade_cells, record.solution_cells)


def _looks_before(record: Any) -> dict[str, CellContent]:
    grades = {cell.name for cell in record.grade_cells}
    solutions = {cell.name for cell in record.solution_cells}
    return {
        cell.name: _look(cell.cell_type, cell.name in grades, cell.name in solutions, cell.source or "")
        for cell in record.source_cells
    }


def _by_hand(record: Any) -> Iterator[tuple[str, Any]]:
    """(learner, grade) where a person gave points."""
    for one in record.submissions:
        for grade in one.grades:
            if grade.manual_score is not None:
                yield one.student.id, grade


def _given(record: Any, removed: set[str]) -> Iterator[ManualGrade]:
    for one in record.submissions if removed else ():
        grades = {grade.name: grade for grade in one.grades if grade.name in removed}
        comments = {c.name: (c.manual_comment or "").strip() for c in one.comments if c.name in removed}
        for name in sorted(grades.keys() | comments.keys()):
            grade, comment = grades.get(name), comments.get(name, "")
            points, extra = (grade.manual_score, grade.extra_credit or 0.0) if grade else (None, 0.0)
            if points is not None or extra or comment:
                yield ManualGrade(one.student.id, name, points, extra, comment)


def _remove(db: Any, cell: Any) -> None:
    """A cell with the grades and comments of all submissions."""
    for row in (*(getattr(cell, "grades", None) or ()), *(getattr(cell, "comments", None) or ())):
        db.delete(row)
    db.delete(cell)
