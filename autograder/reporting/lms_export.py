"""Grades as learning platforms take them.

    course/export/WEEK_canvas.csv         Canvas, Gradebook, Import
    course/export/WEEK_moodle.csv         Moodle: the grading worksheet of an assignment; it also fits Grades, Import

A file holds one week: an empty cell of another week would make Canvas delete the grade that it has there. Moodle skips
a row whose grade there is younger than the row says, so the row says when it was written: a second worksheet is taken,
and a grade that somebody typed into Moodle since is not replaced.

Canvas finds people by its own number (`ID`), Moodle's worksheet by `Participant` and a number; both come from the file
names of a download (`workbook collect`), names and addresses from the roster. A learner whose written answers wait for
points is left out, unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.csv_files import write_table
from ..core.errors import WorkbookError
from ..course.folder import Course
from ..course.roster import Known, Person, read_known, read_roster
from ..gradebook.penalties import settle
from ..gradebook.scores import Standing, standings
from .return_feedback import return_feedback

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POSSIBLE = "    Points Possible"
"""Canvas's own name for the row below the header, with its four spaces."""
MOODLE = (
    "Identifier",
    "Full name",
    "Email address",
    "Status",
    "Grade",
    "Maximum Grade",
    "Grade can be changed",
    "Last modified (submission)",
    "Last modified (grade)",
    "Feedback comments",
)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    files : for each week Canvas's and Moodle's.
    rows : learners in each of them.
    pages : archives of the learners' pages -> learners in each (see `return_feedback`).
    waiting : week -> learners that were left out, because written answers of theirs wait for points.
    unknown : learners without a number of Canvas; it can only find them by their name.
    """

    files: tuple[Path, ...]
    rows: tuple[int, ...]
    waiting: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    pages: dict[Path, int]


def export(course: Course, titles: dict[str, str], unfinished: bool = False, now: datetime | None = None) -> Exported:
    """Write the files of these weeks.

    Parameters
    ----------
    titles : week -> what the assignment is called on the platform.
    unfinished : also export who has written answers without points, which then count nothing.
    now : the time that Moodle is told; by default that of the clock.

    Raises
    ------
    WorkbookError
        where there is no gradebook, and where there is nobody to export.
    """
    people = {person.learner: person for person in read_roster(course)}
    known = {one.learner: one for one in read_known(course)}
    everyone = {week: standings(course, week) for week in titles}
    for week, found in everyone.items():
        settle(course, week, found)
    waiting = {w: tuple(n for n, one in found.items() if one.waiting) for w, found in everyone.items()}
    if not unfinished:
        everyone = {w: {n: one for n, one in f.items() if not one.waiting} for w, f in everyone.items()}
    learners = sorted({name for found in everyone.values() for name in found})
    if not learners:
        raise WorkbookError(
            "nobody is graded completely", "mark written answers (workbook mark WEEK), or say --unfinished"
        )
    folder = course.folder / "export"
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    files: dict[Path, int] = {}
    pages: dict[Path, int] = {}
    for week, found in everyone.items():
        if not found:
            continue
        canvas, moodle = folder / f"{week}_canvas.csv", folder / f"{week}_moodle.csv"
        write_table(canvas, [*CANVAS, titles[week]], _canvas(found, people, known))
        rows = [_moodle(one, week, written, people.get(n), known.get(n)) for n, one in found.items()]
        write_table(moodle, MOODLE, rows)
        files |= dict.fromkeys((canvas, moodle), len(found))
        pages |= return_feedback(course, week, found)
    unknown = tuple(name for name in learners if not _canvas_id(people.get(name), known.get(name)))
    left_out = {} if unfinished else {week: names for week, names in waiting.items() if names}
    return Exported(tuple(files), tuple(files.values()), left_out, unknown, pages)


def _canvas(found: dict[str, Standing], people: dict[str, Person], known: dict[str, Known]) -> Iterator[list[object]]:
    yield [POSSIBLE, "", "", "", "", number(max(one.possible for one in found.values()))]
    for name, one in found.items():
        person, met = people.get(name), known.get(name)
        login = person.email if person else ""
        yield [_name(name, person, met), _canvas_id(person, met), "", login, "", number(one.total)]


def _moodle(standing: Standing, week: str, written: str, person: Person | None, met: Known | None) -> list[object]:
    participant = met.moodle.get(week, "") if met else ""
    said = [f"{cell}: {text}" for cell, text in standing.comments.items()]
    comments = "\n".join([*said, *([standing.late.said] if standing.late else [])])
    return [
        f"Participant {participant}" if participant else "",
        _name(standing.learner, person, met),
        person.email if person else "",
        "Submitted for grading",
        number(standing.total),
        number(standing.possible),
        "Yes",
        "",
        written,
        comments,
    ]


def number(points: float) -> str:
    """Points without needless digits: 80, 72.5."""
    return f"{round(points, 2):g}"


def _name(learner: str, person: Person | None, met: Known | None) -> str:
    return (person and person.name) or (met and met.name) or learner


def _canvas_id(person: Person | None, met: Known | None) -> str:
    return (met and met.canvas) or (person and person.id) or ""
