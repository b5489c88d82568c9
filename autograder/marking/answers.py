"""Written answers as learners left them: the answer cell, and what stands in cells of their own below it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbformat.notebooknode import NotebookNode

from ..course.folder import Course
from ..gradebook.store import recorded_notebook
from ..rendering.notebook_view import text
from ..repair.written_answers import is_prose, own_cells_below
from ..week.cells import Written
from ..week.headings import question
from ..week.marks import regions
from ..week.notebooks import Notebooks
from ..week.source import Week


@dataclass(frozen=True)
class Part:
    """One cell of an answer: Markdown with its attachments, or code."""

    kind: str
    source: str
    attachments: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A written question: its text as learners have it, and its rubric (Markdown)."""

    cell: str
    title: str
    text: str
    rubric: str
    points: float


def questions(built: Notebooks) -> tuple[Question, ...]:
    """The written questions of a week, in the order of the notebook."""
    handed_out = {cell.id: cell.source for cell in built.learner.cells}
    return tuple(
        Question(
            cell.id,
            question(cell.source),
            handed_out[cell.id],
            "\n\n".join(regions(cell.source, "SOLUTION")),
            float(cell.words.points),
        )
        for cell in built.week.of_kind(Written)
        if isinstance(cell.words, Written)
    )


def answer(notebook: NotebookNode, course_cells: Collection[str], asked: Question) -> tuple[Part, ...]:
    """The parts of an answer, empty where the question was left as it was handed out and nothing stands below it."""
    own = own_cells_below(notebook, course_cells, asked.cell)
    cell = next((one for one in notebook.cells if one.get("id") == asked.cell), None)
    written = [cell] if cell is not None and text(cell.get("source")).strip() != asked.text.strip() else []
    if not written and not any(is_prose(one) for one in own):
        return ()
    return tuple(_parts([*written, *own], asked))


def _parts(cells: Sequence[Mapping[str, Any]], asked: Question) -> Iterator[Part]:
    for cell in cells:
        kind = "code" if cell.get("cell_type") == "code" else "markdown"
        source = text(cell.get("source"))
        if cell.get("id") == asked.cell:
            source = own_words(source, asked.text)
        yield Part(kind, source, cell.get("attachments") or {})


def own_words(source: str, question: str) -> str:
    """An answer without the question that it begins with, as far as that was left as it was; else all of it."""
    lines, asked = source.splitlines(), question.splitlines()
    same = next(
        (number for number, (one, other) in enumerate(zip(lines, asked, strict=False)) if one.strip() != other.strip()),
        min(len(lines), len(asked)),
    )
    return "\n".join(lines[same:]).strip() or source


def read_answers(course: Course, week: Week, learner: str, asked: Sequence[Question]) -> dict[str, tuple[Part, ...]]:
    """Question's cell -> the answer of one learner, from the notebook that was graded.

    Raises
    ------
    DamagedError
        where that notebook is not there or cannot be read.
    """
    notebook = recorded_notebook(course, week, learner)
    course_cells = {cell.id for cell in week.cells}
    return {one.cell: answer(notebook, course_cells, one) for one in asked}
