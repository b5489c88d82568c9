"""What was handed in for a week: the file of each learner, its bytes, and the key that an outcome has for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.texts import readable
from ..course.folder import Course
from ..course.timestamps import MAX_STAMP, TIMESTAMP
from ..gradebook.ledger import outcome_key, work_key
from ..repair.damage import Damage, DamagedError
from ..repair.repair import read_handed_in


@dataclass(frozen=True)
class HandedIn:
    """The file of one learner; `damaged` says why it cannot be read, `damage` its kind.

    Its bytes are not kept: a class may be large.
    """

    student: str
    path: Path
    damaged: str
    work: str
    key: str
    damage: Damage = Damage.OTHER


def submissions(course: Course, week: str, topic: str) -> dict[str, Path]:
    """Learner -> the notebook they handed in, in alphabetical order; a path that may not exist.

    A folder whose name is no text stands there with its odd bytes as `\\xNN`; `read_work` refuses it.

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


def read_work(student: str, path: Path, common: str) -> HandedIn:
    """Read what a learner handed in; `common` is the key of the week."""
    content, stamp, damaged, damage = b"", b"", "", Damage.OTHER
    try:
        if student != path.parent.parent.name:
            raise DamagedError("the name of the folder is no text in UTF-8; rename the folder")
        content = read_handed_in(path)
    except DamagedError as error:
        damaged, damage = str(error), error.kind
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        damaged = _nothing_there(path) if gone else f"the file cannot be read ({error.strerror or error})"
        damage = Damage.NOT_THERE if gone else Damage.OTHER
    with suppress(DamagedError, OSError):  # no time of hand-in, or none that can be used
        stamp = read_handed_in(path.parent / TIMESTAMP, MAX_STAMP)
    work = work_key(content, stamp, damaged.encode())
    return HandedIn(student, path, damaged, work, outcome_key(common, work, readable(path.name)), damage)


def _nothing_there(path: Path) -> str:
    others = ", ".join(sorted(readable(other.name) for other in path.parent.glob("*.ipynb")))
    return f"no {path.name} was submitted, but {others}" if others else "no notebook was submitted"
