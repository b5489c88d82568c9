"""Plan: what was submitted for a week, what is known of it from earlier gradings, and so what is to do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.texts import readable
from ..course.folder import Course
from ..course.groups import read_groups
from ..course.timestamps import MAX_STAMP, TIMESTAMP
from ..execution.results import Graded, scores_of
from ..feedback.pages import facts_file
from ..gradebook.ledger import outcome_key, week_key, work_key
from ..gradebook.store import recorded_scores
from ..repair.damage import Damage, DamagedError
from ..repair.repair import read_handed_in
from .submission import Grading, Submission


def plan(grading: Grading) -> list[Submission]:
    """Every submission of the week, in alphabetical order of learners; those that are not `known` are to be graded.

    Raises
    ------
    WorkbookError
        when there is nothing to grade.
    """
    week, course = grading.week, grading.course
    found = files(course, week.name, week.topic)
    common, groups = week_key(week, grading.unsafe), read_groups(course, week.name)
    grading.told.phase(f"grade {week.name}", len(found))
    recorded = None if grading.again or grading.ledger.sealed() else recorded_scores(course, week)
    return [
        with_the_record(grading, read(grading, common, student, path, groups.get(student, "")), recorded)
        for student, path in found.items()
    ]


def files(course: Course, week: str, topic: str) -> dict[str, Path]:
    """Learner -> the notebook they submitted, in alphabetical order; a path that may not exist.

    A folder whose name is not text stands there with its odd bytes as `\\xNN`; `read` refuses it.

    Raises
    ------
    WorkbookError
        when there is nothing to grade.
    """
    found: dict[str, Path] = {}
    if course.submitted.is_dir():
        # names that are text come first: they are taken as they are
        for folder in sorted(course.submitted.iterdir(), key=lambda one: (readable(one.name) != one.name, one.name)):
            if path := _notebook_in(folder / week, topic):
                student = readable(folder.name)
                while student in found:
                    student += "_"
                found[student] = path
    if not found:
        raise WorkbookError(
            f"no submissions of {week} in {short(course.submitted)}",
            f"put each one at {short(course.submitted)}/LEARNER/{week}/{topic}.ipynb",
        )
    return dict(sorted(found.items()))


def _notebook_in(folder: Path, topic: str) -> Path | None:
    """The notebook in a learner's folder of a week; None where there is no such folder."""
    wanted = folder / f"{topic}.ipynb"
    try:
        if not folder.is_dir():
            return None
        others = sorted(folder.glob("*.ipynb"))
        return others[0] if not wanted.exists() and len(others) == 1 else wanted
    except OSError:  # a folder that nobody may look into: reading the file says so
        return wanted


def read(grading: Grading, common: str, student: str, path: Path, group: str) -> Submission:
    """Read what a learner submitted; `common` is the key of the week."""
    content, stamp, damaged, damage = b"", b"", "", Damage.OTHER
    try:
        if student != path.parent.parent.name:
            raise DamagedError("the name of the folder is not text in UTF-8; rename the folder")
        content = read_handed_in(path)
    except DamagedError as error:
        damaged, damage = str(error), error.kind
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        damaged = _nothing_there(path) if gone else f"the file cannot be read ({error.strerror or error})"
        damage = Damage.NOT_THERE if gone else Damage.OTHER
    with suppress(DamagedError, OSError):  # no time of submission, or none that can be used
        stamp = read_handed_in(path.parent / TIMESTAMP, MAX_STAMP)
    work = work_key(content, stamp, damaged.encode())
    key = outcome_key(common, work, readable(path.name))
    graded = Graded(student, damaged=damaged, damage=damage, unsafe=grading.unsafe)
    return Submission(student, path, work, key, group, graded)


def _nothing_there(path: Path) -> str:
    others = ", ".join(sorted(readable(other.name) for other in path.parent.glob("*.ipynb")))
    return f"no {path.name} was submitted, but {others}" if others else "no notebook was submitted"


def with_the_record(
    grading: Grading, submission: Submission, recorded: Mapping[str, Mapping[str, float]] | None
) -> Submission:
    """The submission with what an earlier grading made of this very work, which need not be made again if it stands.

    `recorded` holds the scores of the gradebook; None where nobody has written to it since.
    """
    student = submission.student
    entry = grading.ledger.entry(student)
    if entry is None or entry.work != submission.work:
        return submission
    submission = replace(submission, earlier=entry)
    if grading.again or entry.key != submission.key:
        return replace(submission, may_change=True)
    graded = entry.graded(student)
    in_gradebook = recorded is None or graded.damaged or recorded.get(student) == scores_of(grading.week, graded)
    told = entry.told == entry.key and facts_file(grading.course, student, grading.week.name).is_file()
    if in_gradebook and (told or not grading.feedback):
        return replace(submission, graded=graded, known=True)
    return submission
