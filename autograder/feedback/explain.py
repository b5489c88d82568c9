"""Explain grades to learners: find the misconceptions that answers behave like, and write their pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path

from ..course.folder import Course
from ..execution.executor import Crew
from ..execution.job import Job, Run
from ..execution.make_job import graded_cells, make_job
from ..execution.results import Graded
from ..execution.verdicts import CellRun, Verdict
from ..gradebook.store import recorded_notebook
from ..repair.damage import DamagedError
from ..week.cells import Exercise, Test
from ..week.notebooks import Notebooks
from ..week.variants import Misconception, load_variants
from .diagnosis import Table, diagnose, kept_table, signatures
from .facts import Feedback, facts
from .pages import write_feedback


class Explainer:
    """Writes the pages of the learners that are graded now.

    A page can be written as soon as its submission is graded, unless it failed in something and nobody knows yet
    what the misconceptions of the week do. They are run once for that, by the same crew; what they did is kept in
    `build/`.

    Parameters
    ----------
    crew : who runs the misconceptions.
    again : run those once more that could not be run.
    """

    def __init__(self, built: Notebooks, course: Course, crew: Crew, again: bool = False) -> None:
        self._built, self._course, self._crew, self._again = built, course, crew, again
        self._cache = signatures_file(built, course)
        kept = kept_table(built.week, self._cache)
        self._known: Table | None = None if kept and kept.failed and again else kept

    @cached_property
    def _misconceptions(self) -> tuple[Misconception, ...]:
        return tuple(load_variants(self._built.week).misconceptions)

    def can(self, graded: Graded) -> bool:
        """Whether all is known that the pages of a learner need."""
        return self._known is not None or not _failed(graded)

    def find_out(self, on_phase: Callable[[str, int], None], on_step: Callable[[str], None]) -> None:
        """Run the misconceptions of the week, unless what they do is known."""
        week = self._built.week

        def run(items: Sequence[Misconception]) -> dict[str, dict[str, CellRun]]:
            on_phase(f"misconceptions of {week.name}, once", len(items))
            running: list[Future[Run]] = [self._crew.submit(_misconception_job(self._built, item)) for item in items]
            found = {}
            for item, future in zip(items, running, strict=True):
                done = future.result()
                found[item.name] = {test.id: done.cells[test.id] for test in week.of_kind(Test, item.exercise)}
                on_step(item.name)
            return found

        if self._known is None:
            self._known = signatures(week, self._misconceptions, run, self._cache, again=self._again)

    def left_unknown(self) -> str:
        """Which misconceptions could not be run, why, and the next step; "" where all could."""
        failed = self._known.failed if self._known else {}
        if not failed:
            return ""
        week, reasons = self._built.week.name, "; ".join(dict.fromkeys(failed.values()))
        return (
            f"{len(failed)} misconceptions of {week} could not be run, so feedback does not name them "
            f"({', '.join(failed)}): {reasons} -> workbook grade {week} --again runs them once more"
        )

    def write(self, graded: Graded) -> None:
        """Write the pages of one learner.

        Raises
        ------
        WorkbookError, OSError
            when they cannot be written.
        """
        week, known = self._built.week, self._known.signatures if self._known else {}
        found = diagnose(week, self._misconceptions, known, graded.verdicts) if _failed(graded) else {}
        write_feedback(self._built, self._course, graded, graded.notebook, found)


def signatures_file(built: Notebooks, course: Course) -> Path:
    """Where it is kept what the misconceptions of a week do."""
    return course.root / "build" / "signatures" / f"{built.week.name}.json"


def facts_again(built: Notebooks, course: Course, graded: Graded) -> tuple[Feedback, bool]:
    """What a learner is told, from the record alone; and whether it is all that grading would tell.

    It is not where an answer failed and nobody knows by now what the misconceptions of the week do.
    """
    week = built.week
    try:
        notebook = recorded_notebook(course, week, graded.student) if graded.verdicts else None
    except DamagedError:
        notebook = None
    known = kept_table(week, signatures_file(built, course)) if _failed(graded) else None
    found = {}
    if known:
        found = diagnose(week, tuple(load_variants(week).misconceptions), known.signatures, graded.verdicts)
    return facts(built, graded, notebook, found), known is not None or not _failed(graded)


def _failed(graded: Graded) -> bool:
    return any(done.verdict is Verdict.FAIL for done in graded.verdicts.values())


def _misconception_job(built: Notebooks, item: Misconception) -> Job:
    """The reference with one wrong answer, and the tests of that exercise alone."""
    week = built.week
    others = {cell.id for cell in week.of_kind(Test) if cell.name != item.exercise}
    answer = week.of_kind(Exercise, item.exercise)[0].id
    return make_job(built, item.name, (c for c in graded_cells(week) if c not in others), {answer: item.source(week)})
