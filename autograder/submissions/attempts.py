"""Keep everything that was submitted, and put the one that counts where grading looks.

    course/attempts/LEARNER/WEEK/20260302T120501-0-1f3a9c0b7d2e.ipynb    time (UTC), Canvas's number, digits of SHA-256
    course/submitted/LEARNER/WEEK/TOPIC.ipynb, timestamp.txt              a copy of what counts

The names say all there is to know, so a collection that was interrupted, or is done again, changes nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import short
from ..core.files import write_bytes
from ..course.folder import Course
from ..course.roster import attempts_folder
from ..course.timestamps import MAX_STAMP, TIMESTAMP, handed_in_at
from ..repair.damage import DamagedError
from ..repair.repair import read_handed_in

NAME = re.compile(r"(?P<time>\d{8}T\d{6})-(?P<serial>\d+)-(?P<digits>[0-9a-f]{12})\.ipynb")


@dataclass(frozen=True, order=True)
class Attempt:
    """One version of a learner's work; the newest is the largest. `moment` is naive UTC, to the second.

    `serial` is the platform's number of the file, or that of a copy; where all is equal, the digits decide.
    """

    moment: datetime
    serial: int
    digits: str

    @classmethod
    def of(cls, content: bytes, moment: datetime, serial: int = 0) -> Attempt:
        return cls(moment.replace(microsecond=0), serial, hashlib.sha256(content).hexdigest()[:12])

    @property
    def name(self) -> str:
        return f"{self.moment:%Y%m%dT%H%M%S}-{self.serial}-{self.digits}.ipynb"


def kept(course: Course, learner: str, week: str) -> list[Attempt]:
    """The attempts that are kept of a learner, oldest first."""
    found = []
    for path in (attempts_folder(course, learner) / week).glob("*.ipynb"):
        if name := NAME.fullmatch(path.name):
            moment = datetime.strptime(name["time"], "%Y%m%dT%H%M%S")
            found.append(Attempt(moment, int(name["serial"]), name["digits"]))
    return sorted(found)


def keep(course: Course, learner: str, week: str, content: bytes, moment: datetime, serial: int = 0) -> bool:
    """Keep a version; False where it is kept already: the newest has the same content, or it is as old or older."""
    attempt = Attempt.of(content, moment, serial)
    earlier = kept(course, learner, week)
    same = [one for one in earlier if one.digits == attempt.digits]
    if same and (earlier[-1].digits == attempt.digits or attempt <= same[-1]):
        return False
    write_bytes(attempts_folder(course, learner) / week / attempt.name, content)
    return True


def content_of(course: Course, learner: str, week: str, attempt: Attempt) -> bytes:
    """The bytes of an attempt that is kept."""
    return (attempts_folder(course, learner) / week / attempt.name).read_bytes()


def hand_over(
    course: Course, learner: str, week: str, topic: str, best: Callable[[Sequence[Attempt]], Attempt] = max
) -> list[str]:
    """Put the attempt that counts where grading looks, unless it is there. What lay there is kept first. Returns notes.

    Parameters
    ----------
    best : chooses among all that are kept, oldest first.

    Raises
    ------
    OSError
        when it cannot be written; the file that lay there is whole.
    """
    folder = course.submitted / learner / week
    target = folder / f"{topic}.ipynb"
    if folder.is_symlink() or folder.parent.is_symlink():
        return [f"{short(folder)} is a link: nothing was written through it"]
    notes = []
    if target.is_symlink():
        return [f"{short(target)} is a link: nothing was written through it"]
    there = b""
    if target.exists():
        try:
            there = read_handed_in(target)
        except DamagedError as error:
            return [f"{short(target)}: {error}"]
        if keep(course, learner, week, there, _moment(target)):
            notes.append("what lay in submitted/ was kept as an attempt")
    chosen = best(kept(course, learner, week))
    content = content_of(course, learner, week, chosen)
    if content != there or not target.exists():  # an empty file is something too
        write_bytes(target, content)
    stamp = f"{chosen.moment:%Y-%m-%d %H:%M:%S} UTC\n".encode()
    if not (folder / TIMESTAMP).is_file() or (folder / TIMESTAMP).read_bytes() != stamp:
        write_bytes(folder / TIMESTAMP, stamp)  # last: a stamp that is too old is fixed by the next collection
    return notes


def _moment(path: Path) -> datetime:
    """When a notebook in `submitted/` was submitted: by the timestamp.txt beside it, else by its own time."""
    try:
        if stamp := handed_in_at(read_handed_in(path.parent / TIMESTAMP, MAX_STAMP)):
            return stamp
    except (OSError, DamagedError):
        pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
