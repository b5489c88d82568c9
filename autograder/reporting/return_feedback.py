"""The learners' pages of a week as archives that learning platforms take back.

    course/export/WEEK_feedback_canvas.zip   Canvas: the assignment, *Upload submissions*; each file becomes a comment
    course/export/WEEK_feedback_moodle.zip   Moodle: the assignment, *Upload multiple feedback files in a zip*
    course/export/WEEK_feedback.zip          a folder for each learner, for any other way

Canvas finds people by two numbers between underscores, the person's and that of a file of theirs; Moodle by the name of
a folder, `NAME_NUMBER_assignsubmission_file_`. Both are those of the download that was collected.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ..core.files import write_bytes
from ..course.folder import Course
from ..course.roster import Known, folder_name, read_known, read_roster
from ..submissions.attempts import kept

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that equal pages give equal bytes."""


def return_feedback(course: Course, week: str, learners: Iterable[str]) -> dict[Path, int]:
    """Write the archives of these learners' pages, but no empty one. Returns how many learners are in each."""
    known = {one.learner: one for one in read_known(course)}
    names = {one.learner: one.name for one in read_roster(course) if one.name}
    pages = {learner: _pages(course, week, learner) for learner in sorted(learners)}
    called = {
        learner: (names.get(learner) or (known[learner].name if learner in known else "") or learner)
        for learner in pages
    }

    def canvas(learner: str) -> str:
        return _canvas(course, week, learner, known)

    def moodle(learner: str) -> str:
        number = known[learner].moodle.get(week, "") if learner in known else ""
        name = re.sub(r"[_/\\]", " ", called[learner])
        return f"{name}_{number}_assignsubmission_file_/" if number else ""

    made: dict[Path, int] = {}
    ways: Mapping[str, Callable[[str], str]] = {
        "_feedback_canvas": canvas,
        "_feedback_moodle": moodle,
        "_feedback": lambda learner: f"{folder_name(learner) or 'unnamed'}/",
    }
    for end, prefix in ways.items():
        members = {learner: prefix(learner) for learner, found in pages.items() if found}
        members = {learner: start for learner, start in members.items() if start}
        path = course.folder / "export" / f"{week}{end}.zip"
        if members:
            write_bytes(path, _archive(_files(members, pages)))
            made[path] = len(members)
        else:
            path.unlink(missing_ok=True)  # of an earlier export, whose learners are gone
    return made


def _pages(course: Course, week: str, learner: str) -> dict[str, bytes]:
    """Name -> content of the pages that a learner may open."""
    folder = course.feedback / learner / week
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.html"))} if folder.is_dir() else {}


def _canvas(course: Course, week: str, learner: str, known: Mapping[str, Known]) -> str:
    """How Canvas's names of a learner's files begin; "" where it did not name any in this week."""
    number = known[learner].canvas if learner in known else ""
    serials = [one.serial for one in kept(course, learner, week)]
    if not number or not serials or serials[-1] < 2:  # a small one is that of a copy
        return ""
    return f"{''.join(filter(str.isalpha, learner)) or 'learner'}_{number}_{serials[-1]}_"


def _files(members: Mapping[str, str], pages: Mapping[str, Mapping[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    for learner, start in members.items():
        for name, content in pages[learner].items():
            yield f"{start}{name}", content


def _archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return into.getvalue()
