"""What was handed in for a week: the file of each learner, its bytes, and the key that an outcome has for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .course import Course
from .errors import WorkbookError, short
from .ledger import outcome_key, work_key
from .record import MAX_STAMP, TIMESTAMP
from .repair import DamagedError, read_handed_in


@dataclass(frozen=True)
class HandedIn:
    """The file of one learner; `damaged` says why it cannot be read. Its bytes are not kept: a class may be large."""

    student: str
    path: Path
    damaged: str
    work: str
    key: str


def submissions(course: Course, week: str, topic: str) -> dict[str, Path]:
    """Learner -> the notebook they handed in, in alphabetical order; a path that may not exist.

    Raises
    ------
    WorkbookError
        when there is nothing to grade.
    """
    found: dict[str, Path] = {}
    if course.submitted.is_dir():
        for folder in sorted(course.submitted.iterdir()):
            handed_in = folder / week
            if handed_in.is_dir():
                wanted = handed_in / f"{topic}.ipynb"
                others = sorted(handed_in.glob("*.ipynb"))
                found[folder.name] = others[0] if not wanted.exists() and len(others) == 1 else wanted
    if not found:
        raise WorkbookError(
            f"no submissions of {week} in {short(course.submitted)}",
            f"put each one at {short(course.submitted)}/LEARNER/{week}/{topic}.ipynb",
        )
    return found


def read_work(student: str, path: Path, common: str) -> HandedIn:
    """Read what a learner handed in; `common` is the key of the week."""
    content, stamp, damaged = b"", b"", ""
    try:
        content = read_handed_in(path)
    except DamagedError as error:
        damaged = str(error)
    except OSError as error:
        damaged = f"the file cannot be read ({error.strerror or error})" if path.exists() else _nothing_there(path)
    with suppress(DamagedError, OSError):  # no time of hand-in, or none that can be used
        stamp = read_handed_in(path.parent / TIMESTAMP, MAX_STAMP)
    work = work_key(content, stamp, damaged.encode())
    return HandedIn(student, path, damaged, work, outcome_key(common, work, path.name))


def _nothing_there(path: Path) -> str:
    others = ", ".join(sorted(other.name for other in path.parent.glob("*.ipynb")))
    return f"no {path.name} was handed in, but {others}" if others else "no notebook was handed in"
