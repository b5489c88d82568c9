"""Grades as learning platforms take them.

    course/export/canvas.csv              Canvas, Gradebook, Import: a column for each week
    course/export/WEEK_moodle.csv         Moodle: the grading worksheet of an assignment; it also fits Grades, Import

Canvas finds people by its own number (`ID`), Moodle's worksheet by `Participant` and a number; both come from the file
names of a download (`workbook collect`), names and addresses from the roster. A learner whose written answers wait for
points is left out, unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .course import Course
from .errors import WorkbookError
from .roster import Known, Person, read_known, read_roster
from .spreadsheet import write_table
from .standings import Standing, standings

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
    files : the files, Canvas's first.
    rows : learners in each of them.
    waiting : week -> learners that were left out, because written answers of theirs wait for points.
    unknown : learners without a number of Canvas; it can only find them by their name.
    """

    files: tuple[Path, ...]
    rows: tuple[int, ...]
    waiting: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]


def export(course: Course, titles: dict[str, str], unfinished: bool = False) -> Exported:
    """Write the files of these weeks.

    Parameters
    ----------
    titles : week -> what the assignment is called on the platform.
    unfinished : also export who has written answers without points, which then count nothing.

    Raises
    ------
    WorkbookError
        where there is no gradebook, and where there is nobody to export.
    """
    people = {person.learner: person for person in read_roster(course)}
    known = {one.learner: one for one in read_known(course)}
    everyone = {week: standings(course, week) for week in titles}
    waiting = {w: tuple(n for n, one in found.items() if one.waiting) for w, found in everyone.items()}
    if not unfinished:
        everyone = {w: {n: one for n, one in f.items() if not one.waiting} for w, f in everyone.items()}
    learners = sorted({name for found in everyone.values() for name in found})
    if not learners:
        raise WorkbookError("nobody is graded completely", "grade written answers (make desk), or say --unfinished")
    folder = course.folder / "export"
    canvas = folder / "canvas.csv"
    write_table(canvas, [*CANVAS, *titles.values()], _canvas(learners, everyone, people, known))
    files, rows = [canvas], [len(learners)]
    for week, found in everyone.items():
        path = folder / f"{week}_moodle.csv"
        write_table(path, MOODLE, [_moodle(one, week, people.get(n), known.get(n)) for n, one in found.items()])
        files.append(path)
        rows.append(len(found))
    unknown = tuple(name for name in learners if not _canvas_id(people.get(name), known.get(name)))
    return Exported(tuple(files), tuple(rows), {} if unfinished else {w: n for w, n in waiting.items() if n}, unknown)


def _canvas(
    learners: Sequence[str],
    everyone: dict[str, dict[str, Standing]],
    people: dict[str, Person],
    known: dict[str, Known],
) -> list[list[object]]:
    possible = [max((one.possible for one in found.values()), default=0.0) for found in everyone.values()]
    rows: list[list[object]] = [[POSSIBLE, "", "", "", "", *map(number, possible)]]
    for name in learners:
        person, met = people.get(name), known.get(name)
        points = [number(found[name].total) if name in found else "" for found in everyone.values()]
        login = person.email if person else ""
        rows.append([_name(name, person, met), _canvas_id(person, met), "", login, "", *points])
    return rows


def _moodle(standing: Standing, week: str, person: Person | None, met: Known | None) -> list[object]:
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
        "",
        comments,
    ]


def number(points: float) -> str:
    """Points without needless digits: 80, 72.5."""
    return f"{round(points, 2):g}"


def _name(learner: str, person: Person | None, met: Known | None) -> str:
    return (person and person.name) or (met and met.name) or learner


def _canvas_id(person: Person | None, met: Known | None) -> str:
    return (met and met.canvas) or (person and person.id) or ""
