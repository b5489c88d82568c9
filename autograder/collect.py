"""Bring what was handed in into the course, from wherever learners put it.

Bytes are copied, never opened as a notebook for more than a look at its metadata; what cannot be collected is said by
name, and stops nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from .attempts import hand_over, keep, kept
from .course import Course
from .errors import WorkbookError, short
from .opening import name_in_receipt, open_handed_in
from .reading import DamagedError
from .recognize import Claim, claims, is_topic
from .record import MAX_STAMP, TIMESTAMP, handed_in_at
from .roster import Class, Person
from .sources import LEADS_OUT, Entry, entries
from .texts import clean

EXCHANGE = "exchange"
"""The source that means nbgrader's own."""


@dataclass
class Collected:
    """What became of one learner's work.

    Attributes
    ----------
    file : the file in the source that counts; "" where nothing could be collected.
    attempts, new : versions that are kept, and how many of them this collection added.
    handed_in : when the newest one was handed in, naive UTC.
    """

    learner: str
    file: str = ""
    attempts: int = 0
    new: int = 0
    handed_in: datetime | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collection:
    """Everything that one collection did.

    Attributes
    ----------
    learners : in alphabetical order.
    nobodys : files that name no learner, or cannot be collected for them, with the reason.
    missing : people on the roster of whom nothing is there.
    other_weeks : files of other weeks that were passed.
    """

    week: str
    learners: tuple[Collected, ...]
    nobodys: tuple[str, ...]
    missing: tuple[Person, ...]
    other_weeks: int = 0


def collect(source: Path, course: Course, week: str, on_file: Callable[[str], None] = lambda name: None) -> Collection:
    """Collect the submissions of a week. Of several attempts the newest is handed to grading, all others are kept.

    Parameters
    ----------
    source : a folder, an archive, or one file; `sources.entries` and `recognize` say which.

    Raises
    ------
    WorkbookError
        for a source that is not there, a roster that cannot be read, and a source without any notebook.
    """
    topic = week.split("_", 1)[1]
    found = entries(source)
    said = claims(found, topic)
    stamps = _stamps(found)
    if any(claim.canvas for claim in said):
        found = _downloaded_together(found, said)
    wanted = [(e, c) for e, c in zip(found, said, strict=True) if e.name.lower().endswith((".ipynb", ".zip"))]
    here = [(entry, claim) for entry, claim in wanted if claim.week in ("", week)]
    if not here:
        raise WorkbookError(f"{short(source)} holds no notebook of {week}", "name the folder or the .zip that does")
    group = Class(course)
    pieces, nobodys = _named(here, week, topic)
    folders = group.assign([claim for _, claim in pieces], week)
    by_learner: dict[str, list[tuple[Entry, Claim]]] = {}
    for entry, claim in pieces:
        by_learner.setdefault(folders[claim][0], []).append((entry, claim))
    done = []
    for learner, files in sorted(by_learner.items()):
        notes = list(dict.fromkeys(note for _, claim in files for note in folders[claim][1]))
        done.append(_collect_one(course, learner, week, files, stamps, notes))
        on_file(learner)
    group.save([one.learner for one in done if one.file])
    there = {one.learner for one in done if one.file}
    missing = [p for p in group.people if p.learner not in there and not _lies_there(course, p.learner, week)]
    return Collection(week, tuple(done), tuple(nobodys), tuple(missing), len(wanted) - len(here))


def _lies_there(course: Course, learner: str, week: str) -> bool:
    return any((course.submitted / learner / week).glob("*.ipynb"))


def _stamps(found: Sequence[Entry]) -> dict[tuple[str, ...], datetime]:
    """Folder -> what nbgrader's timestamp.txt in it says."""
    stamps = {}
    for entry in found:
        if entry.name == TIMESTAMP and not entry.problem:
            try:
                content = entry.read()
            except DamagedError:
                continue
            if len(content) <= MAX_STAMP and (moment := handed_in_at(content)):
                stamps[entry.parts[:-1]] = moment
    return stamps


def _downloaded_together(found: Sequence[Entry], said: Sequence[Claim]) -> list[Entry]:
    """Canvas gives every file the time of the download, to a few seconds: its own numbers tell which is newer."""
    latest = max(entry.moment for entry, claim in zip(found, said, strict=True) if claim.canvas)
    return [replace(entry, moment=latest) if claim.canvas else entry for entry, claim in zip(found, said, strict=True)]


def _named(here: Sequence[tuple[Entry, Claim]], week: str, topic: str) -> tuple[list[tuple[Entry, Claim]], list[str]]:
    """The files with a learner's name, if need be from the receipt in a bundle; and what is nobody's."""
    pieces, nobodys = [], []
    for entry, claim in here:
        if not claim.learner and not entry.problem and entry.name.lower().endswith(".zip"):
            claim = replace(claim, learner=name_in_receipt(entry))
        if claim.learner and entry.problem != LEADS_OUT:
            pieces.append((entry, claim))
        else:
            why = entry.problem or f"its name does not say whose it is: call it {topic}_NAME.ipynb"
            nobodys.append(f"{entry.shown}: {why}")
    return pieces, nobodys


def _collect_one(
    course: Course,
    learner: str,
    week: str,
    files: Sequence[tuple[Entry, Claim]],
    stamps: dict[tuple[str, ...], datetime],
    notes: list[str],
) -> Collected:
    """Keep every version of one learner's work, and hand the newest over."""
    topic = week.split("_", 1)[1]
    done = Collected(learner, notes=notes)
    chosen = [(e, c) for e, c in files if is_topic(c.file, topic) or e.name.lower().endswith(".zip")] or list(files)
    passed = [claim.file for entry, claim in files if (entry, claim) not in chosen]
    if passed:
        done.notes.append(f"not collected: {clean(', '.join(sorted(set(passed))), 120)}")
    newest: tuple[datetime, int] | None = None
    for entry, claim in chosen:
        if entry.problem:
            done.notes.append(f"{clean(claim.file, 80)}: {entry.problem}")
            continue
        try:
            found = open_handed_in(entry, claim, week)
            moment = stamps.get(entry.parts[:-1], entry.moment)
            done.new += keep(course, learner, week, found.content, moment, claim.serial)
        except DamagedError as error:
            done.notes.append(f"{clean(claim.file, 80)}: {error}")
            continue
        except OSError as error:
            done.notes.append(f"{clean(claim.file, 80)}: not kept ({error.strerror or error})")
            continue
        if newest is None or (moment, claim.serial) >= newest:
            newest = (moment, claim.serial)
            done.file = entry.shown
            own = list(found.notes)
    if newest is None:
        return done
    done.notes += own
    if any(claim.late for _, claim in chosen):
        done.notes.append("late, says Canvas")
    try:
        done.notes += hand_over(course, learner, week, topic)
    except OSError as error:
        done.notes.append(f"kept, but not handed to grading ({error.strerror or error})")
    versions = kept(course, learner, week)
    done.attempts, done.handed_in = len(versions), versions[-1].moment
    return done


def from_exchange(course: Course, week: str, on_file: Callable[[str], None] = lambda name: None) -> Collection:
    """Collect from nbgrader's exchange, by `nbgrader collect` itself, which takes each learner's last submission.

    Raises
    ------
    WorkbookError
        with what nbgrader says, when there is no exchange or nothing in it.
    """
    with tempfile.TemporaryDirectory(prefix="workbook-exchange-") as folder:
        command = [sys.executable, "-m", "nbgrader", "collect", week, f"--CourseDirectory.submitted_directory={folder}"]
        said = subprocess.run(command, cwd=course.root, capture_output=True, text=True, check=False)
        if said.returncode or not any(Path(folder).iterdir()):
            lines = [line for line in said.stderr.splitlines() if "ERROR" in line or "WARNING" in line] or [""]
            told = clean(lines[-1].rpartition("] ")[2], 200) or "nothing was collected"
            raise WorkbookError(f"nbgrader collect {week}: {told}", "see `c.Exchange.root` in nbgrader_config.py")
        return collect(Path(folder), course, week, on_file)


def local(moment: datetime) -> str:
    """A time as people here read it, from naive UTC."""
    return f"{moment.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}"
