"""From a week and an answer to its exercises to a job for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..engine.cell_kinds import ANSWER, OWN, TEST, TRUSTED
from ..repair.aligning import text_of
from ..repair.repair import Repaired
from ..week.cells import Exercise, Given, Setup, Test
from ..week.notebooks import Notebooks
from ..week.source import Week
from .job import Code, Job


def graded_cells(week: Week) -> list[str]:
    """Ids of the code cells that grading runs, in order."""
    return [cell.id for cell in week.cells if isinstance(cell.words, Setup | Given | Exercise | Test)]


def make_job(built: Notebooks, name: str, run: Iterable[str], sources: Mapping[str, str]) -> Job:
    """The cells `run` (ids, in order) as a job.

    Parameters
    ----------
    sources : source by cell id, for answers and a learner's own cells; set-up, given and test cells always come
        from the course.
    """
    week = built.week
    course = {cell.id: cell.source for cell in built.instructor.cells}
    words = {cell.id: (cell.words, cell.name) for cell in week.cells}
    cells = []
    for cell_id in run:
        kind, exercise = words.get(cell_id, (None, ""))
        if isinstance(kind, Setup | Given):
            cells.append(Code(cell_id, course[cell_id], TRUSTED))
        elif isinstance(kind, Test):
            cells.append(Code(cell_id, course[cell_id], TEST, exercise))
        elif isinstance(kind, Exercise):
            cells.append(Code(cell_id, sources.get(cell_id, course[cell_id]), ANSWER, exercise))
        else:
            cells.append(Code(cell_id, sources[cell_id], OWN))
    exercises = tuple(week.exercises)
    stubs = {cell.id: cell.source for cell in built.learner.cells}
    written = {
        cell.exercise for cell in cells if cell.kind == ANSWER and text_of(cell.source) != text_of(stubs[cell.id])
    }
    uses = {one: tuple(other for other in exercises if one in week.dependents(other)) for one in written}
    reference = {one: course[week.of_kind(Exercise, one)[0].id] for one in exercises}
    return Job(name, tuple(cells), week.info.limits, built.answer_names, uses, reference)


def submission_job(built: Notebooks, student: str, fixed: Repaired) -> Job:
    """A repaired submission as a job."""
    return make_job(built, student, fixed.run, {cell.id: cell.source for cell in fixed.notebook.cells})
