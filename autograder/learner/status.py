"""How far the learner is in every week, from what was checked last. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..repair.damage import DamagedError
from ..repair.repair import read_notebook
from ..week.cells import Exercise, Written
from ..week.locate import released_weeks
from .check import UNWRITTEN, known
from .locations import notebook_path
from .released import open_released
from .renamed import doubtful
from .start import read_copy, update_waits
from .state import Kept
from .tasks import lesson_of


@dataclass(frozen=True)
class Score:
    """One week.

    Attributes
    ----------
    points : of tests whose visible checks passed when they ran last, on the answers as they are now.
    minutes, minutes_left : planned for all exercises and questions, and for those that are not done.
    unchecked : exercises that changed since their last check.
    next_step : what to do next, beginning with a command.
    """

    number: int
    title: str
    started: bool
    exercises: int
    possible: int
    questions: int
    minutes: int
    minutes_left: int
    passed: int = 0
    points: int = 0
    answered: int = 0
    unchecked: tuple[str, ...] = ()
    next_step: str = ""


def scores(root: Path) -> list[Score]:
    """The score of every released week. A damaged copy says so in its next step."""
    return [score(root, name) for name in released_weeks(root)]


def score(root: Path, name: str) -> Score:
    """The score of one week."""
    released = open_released(root, name)
    week = released.week
    minutes = {cell.name: cell.words.minutes for cell in week.cells if isinstance(cell.words, Exercise | Written)}
    questions = len(week.of_kind(Written))
    blank = Score(
        number=week.number,
        title=week.info.title,
        started=False,
        exercises=len(week.exercises),
        possible=sum(week.points(exercise) for exercise in week.exercises),
        questions=questions,
        minutes=sum(minutes.values()),
        minutes_left=sum(minutes.values()),
        next_step=f"workbook start {week.number}",
    )
    renamed = doubtful(root, released)
    if not renamed and not notebook_path(root, name).exists():
        return blank
    try:
        mine = read_notebook(renamed[0].path.resolve()) if renamed else read_copy(root, name)[0]
        lesson = lesson_of(released, mine)
    except (WorkbookError, DamagedError) as error:
        return replace(blank, started=True, next_step=str(error))
    results = known(lesson, Kept.of(root, name))
    done = {exercise for exercise, result in results.items() if result.passed}
    done |= {cell.name for cell in week.of_kind(Written) if cell.name not in lesson.unanswered}
    found = replace(
        blank,
        started=True,
        passed=sum(result.passed for result in results.values()),
        points=sum(result.points for result in results.values()),
        answered=questions - len(lesson.unanswered),
        minutes_left=sum(planned for cell, planned in minutes.items() if cell not in done),
        unchecked=tuple(exercise for exercise in week.exercises if exercise not in results),
    )
    if renamed:
        step = f"workbook check {week.number}, which asks whether {short(renamed[0].path)} is your notebook"
        return replace(found, next_step=step)
    states = {exercise: result.state for exercise, result in results.items()}
    return replace(found, next_step=_next_step(root, name, found, states, lesson.unanswered))


def _next_step(root: Path, name: str, score: Score, states: dict[str, str], unanswered: tuple[str, ...]) -> str:
    number = score.number
    if update_waits(root, name):
        return f"workbook start {number} --again: the course has an update"
    if score.unchecked:
        return f"workbook check {number}: {', '.join(score.unchecked)} changed since the last check"
    for exercise, state in states.items():
        if state not in ("PASS", UNWRITTEN):
            return f"workbook check {number} {exercise}: its test does not pass yet"
    for exercise, state in states.items():
        if state == UNWRITTEN:
            return f"workbook watch {number}, and write {exercise}"
    if unanswered:
        return f"answer the written questions: {', '.join(unanswered)}"
    handed_in = root / "work" / "submissions" / f"{name}.zip"
    notebook = notebook_path(root, name)
    if not handed_in.exists() or handed_in.stat().st_mtime < notebook.stat().st_mtime:
        return f"workbook submit {number}"
    return ""
