"""Explain grades to learners: find the misconceptions that answers behave like, and write everybody's pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from pydantic import ValidationError

from .build import Notebooks
from .course import Course
from .crew import Crew
from .diagnosis import diagnose, signatures
from .facts import Feedback
from .feedback import facts_file, write_feedback, write_summary
from .jobs import graded_cells, make_job
from .outcomes import Graded
from .runner import CellRun, Job, Run, Verdict
from .source import Exercise, Test
from .variants import Misconception, load_variants


def explain(
    built: Notebooks,
    course: Course,
    crew: Crew,
    fresh: Sequence[Graded],
    everybody: Sequence[str],
    on_phase: Callable[[str, int], None],
    on_step: Callable[[str], None],
) -> None:
    """Write the pages of those who were graded now, and the page of the class.

    Every misconception of the week is run once, by the same crew; what it did is kept in `build/`.

    Parameters
    ----------
    everybody : the learners of the class; of those that are not in `fresh`, the facts are read from their files.
    """
    week = built.week
    misconceptions = load_variants(week).misconceptions

    def run(items: Sequence[Misconception]) -> dict[str, dict[str, CellRun]]:
        on_phase(f"misconceptions of {week.name}, once", len(items))
        running: list[Future[Run]] = [crew.submit(_misconception_job(built, item)) for item in items]
        found = {}
        for item, future in zip(items, running, strict=True):
            done = future.result()
            found[item.name] = {test.id: done.cells[test.id] for test in week.of_kind(Test, item.exercise)}
            on_step(item.name)
        return found

    cache = course.root / "build" / "signatures" / f"{week.name}.json"
    failed = any(done.verdict is Verdict.FAIL for graded in fresh for done in graded.verdicts.values())
    known = signatures(week, misconceptions, run, cache) if failed else {}
    on_phase("feedback", len(fresh))
    written: dict[str, Feedback] = {}
    for graded in fresh:
        found = diagnose(week, misconceptions, known, graded.verdicts)
        written[graded.student] = write_feedback(built, course, graded, graded.notebook, found)
        on_step(graded.student)
    told = [written.get(student) or _told_before(course, student, week.name) for student in everybody]
    write_summary(built, course, [one for one in told if one])


def _told_before(course: Course, student: str, week: str) -> Feedback | None:
    try:
        return Feedback.model_validate_json(facts_file(course, student, week).read_bytes())
    except (OSError, ValidationError):
        return None


def _misconception_job(built: Notebooks, item: Misconception) -> Job:
    """The reference with one wrong answer, and the tests of that exercise alone."""
    week = built.week
    others = {cell.id for cell in week.of_kind(Test) if cell.name != item.exercise}
    answer = week.of_kind(Exercise, item.exercise)[0].id
    return make_job(built, item.name, (c for c in graded_cells(week) if c not in others), {answer: item.source(week)})
