"""Run the visible tests on the learner's copy, and say of each exercise what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.checks.kinds import Kind

from ..execution.job import Run, was_cancelled
from ..execution.results import in_the_answer
from ..execution.verdicts import CellRun, Verdict
from ..execution.wording import worded
from ..week.cells import Test
from ..week.notebooks import Notebooks
from .backend import Bench
from .state import Kept
from .tasks import Lesson, Task

UNWRITTEN = "UNWRITTEN"
"""The state of an exercise whose stub is as the course gave it; its tests are not run."""
NOT_RUN = "NOT_RUN"
"""The state of an exercise whose cell was not run in a notebook's kernel."""
SETTLED = (Verdict.PASS, Verdict.FAIL)
"""Verdicts that the same cells give again."""


@dataclass(frozen=True)
class TestResult:
    """One test cell.

    Attributes
    ----------
    hidden : whether the grader's version of it checks more.
    in_answer : whether the message is about the learner's own cell, which broke.
    parts : what a failed check says; None where no check failed.
    """

    __test__ = False  # not a test class of pytest

    id: str
    verdict: str
    points: int
    hidden: bool
    message: str = ""
    seconds: float = 0.0
    in_answer: bool = False
    parts: dict[str, str] | None = None


@dataclass(frozen=True)
class Result:
    """One exercise.

    Attributes
    ----------
    state : PASS, UNWRITTEN, or the verdict of the first test that did not pass.
    message : what the learner reads about that.
    number : the cell of the answer in the learner's notebook, from 1.
    blamed : exercises that this one builds on and that do not pass themselves.
    fingerprint : see `tasks.Task`.
    fresh : whether it was run now.
    """

    exercise: str
    title: str
    state: str
    tests: tuple[TestResult, ...]
    message: str = ""
    number: int = 0
    blamed: tuple[str, ...] = ()
    seconds: float = 0.0
    fingerprint: str = ""
    fresh: bool = True

    @property
    def passed(self) -> bool:
        return self.state == Verdict.PASS

    @property
    def first_failure(self) -> TestResult | None:
        return next((test for test in self.tests if test.verdict != Verdict.PASS), None)

    @property
    def broken(self) -> bool:
        """Whether the learner's own cell broke."""
        return self.first_failure is not None and self.first_failure.in_answer

    @property
    def points(self) -> int:
        """Points of the tests whose visible checks pass."""
        return sum(test.points for test in self.tests if test.verdict == Verdict.PASS)

    @property
    def possible(self) -> int:
        return sum(test.points for test in self.tests)

    def plain(self) -> dict[str, Any]:
        """For `Kept`."""
        return asdict(self)

    @classmethod
    def of(cls, said: dict[str, Any]) -> Result | None:
        """From what `Kept` holds; None where it is not what `plain` gives."""
        try:
            tests = tuple(TestResult(**test) for test in said["tests"])
            return cls(**said | {"tests": tests, "blamed": tuple(said["blamed"]), "fresh": False})
        except (KeyError, TypeError):
            return None


class Cancelled(Exception):  # noqa: N818 - no error: somebody saved the file again
    """The check was stopped."""


def known(lesson: Lesson, kept: Kept) -> dict[str, Result]:
    """Results that are still true of the learner's copy: kept ones, and those of unwritten and missing exercises."""
    found = {}
    for name, task in lesson.tasks.items():
        if not task.written or task.missing:
            found[name] = _not_run(lesson, task)
        elif (result := Result.of(kept.results.get(name, {}))) and result.fingerprint == task.fingerprint:
            found[name] = replace(result, number=task.number)
    return found


def check(lesson: Lesson, bench: Bench, names: Sequence[str]) -> Iterator[Result]:
    """Run the visible tests of some exercises, one after another.

    Raises
    ------
    Cancelled
        when `backend.cancel` was called.
    """
    tasks = [lesson.tasks[name] for name in names]
    runs = bench.run([task.job for task in tasks if task.written and not task.missing])
    for task in tasks:
        if not task.written or task.missing:
            yield _not_run(lesson, task)
            continue
        run = next(runs)
        if was_cancelled(run):
            raise Cancelled
        yield _result(lesson, task, run)


def remember(kept: Kept, result: Result) -> None:
    """Keep a result for later, if the same cells will give it again."""
    kept.results.pop(result.exercise, None)
    if result.state in SETTLED:
        kept.results[result.exercise] = result.plain()


def with_blame(lesson: Lesson, results: dict[str, Result]) -> dict[str, Result]:
    """Name the exercises below one that fails."""

    def blamed(result: Result) -> tuple[str, ...]:
        own = result.passed or result.state == UNWRITTEN or result.broken
        below = () if own else lesson.tasks[result.exercise].builds_on
        return tuple(name for name in below if name in results and not results[name].passed)

    return {name: replace(result, blamed=blamed(result)) for name, result in results.items()}


def _not_run(lesson: Lesson, task: Task) -> Result:
    state = Verdict.MISSING if task.missing else UNWRITTEN
    week = lesson.released.week
    message = f"its cell is not in your notebook: `workbook start {week.number} --again` puts it back"
    tests = tuple(replace(test, verdict=state) for test in tests_of(lesson.released, task.exercise))
    return Result(task.exercise, task.title, state, tests, message * task.missing, task.number)


def tests_of(released: Notebooks, exercise: str) -> Iterator[TestResult]:
    """The test cells of an exercise, not run yet."""
    for cell in released.week.of_kind(Test, exercise):
        assert isinstance(cell.words, Test)
        yield TestResult(cell.id, "", cell.words.points, "checks.done(hidden=True)" in cell.source)


def _result(lesson: Lesson, task: Task, run: Run) -> Result:
    """The verdicts of a run. Where the answer cell itself broke, its tests say so."""
    answer = run.cells[task.exercise]
    around = lesson.around(task.exercise)
    tests = []
    for test in tests_of(lesson.released, task.exercise):
        done = run.cells[test.id]
        if done.verdict is not Verdict.PASS and answer.verdict is not Verdict.PASS:
            done = in_the_answer(done, replace(answer, message=_with_line(answer)))
        tests.append(_tested(test, worded(done, around)))
    failed = next((test for test in tests if test.verdict != Verdict.PASS), None)
    return Result(
        task.exercise,
        task.title,
        failed.verdict if failed else Verdict.PASS.value,
        tuple(tests),
        failed.message if failed else "",
        task.number,
        seconds=sum(run.cells[cell.id].seconds for cell in task.job.cells if cell.id in run.cells),
        fingerprint=task.fingerprint,
    )


def _tested(test: TestResult, done: CellRun) -> TestResult:
    """A test with what it did."""
    ran = replace(test, verdict=done.verdict.value, message=done.message, seconds=done.seconds)
    return replace(ran, in_answer=done.in_answer, parts=done.check)


def _with_line(done: CellRun) -> str:
    """What a cell raised and in which of its lines."""
    if done.kind is Kind.STOPPED:  # it says where it was stopped
        return done.message
    return f"{done.message} (line {done.line})" if done.line else done.message


def whole_run(lesson: Lesson, bench: Bench) -> tuple[dict[str, Result], Run]:
    """Run the whole notebook once, in one process, as the grader does: exercise -> result, and the run itself."""
    run = next(bench.run([lesson.whole]))
    if was_cancelled(run):
        raise Cancelled
    found = {}
    for name, task in lesson.tasks.items():
        unwritten = task.missing or not task.written
        found[name] = _not_run(lesson, task) if unwritten else _result(lesson, task, run)
    return with_blame(lesson, found), run
