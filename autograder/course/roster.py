"""Who is in the class: `course/roster.csv`, and what is known of learners from earlier collections.

    id,name,email,learner,group
    12345,"Lee, Ann",ann@example.org,ann,Team A

`id` is the number that the learning platform has for a person, `learner` their folder in the course, `group` the group
that they submit with; a column may be missing or empty. The list that a platform exports will do (`class_list`).
Without a roster, folders are called what the source calls the people.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import WorkbookError, short
from .class_list import read_class_list
from .folder import Course

LONGEST = 80
WHO = "who.json"


@dataclass(frozen=True)
class Person:
    """A line of the roster; `learner` is the name of their folder, `names` what else the list calls them."""

    learner: str
    id: str = ""
    name: str = ""
    email: str = ""
    group: str = ""
    names: tuple[str, ...] = ()


@dataclass
class Known:
    """What earlier collections told of a learner: the name and the numbers that a platform has for them.

    Attributes
    ----------
    moodle : week -> Moodle's number, which is another one in each assignment.
    numbers : other platform -> its number.
    """

    learner: str
    name: str = ""
    canvas: str = ""
    moodle: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)


def attempts_folder(course: Course, learner: str = "") -> Path:
    """Where everything that was ever submitted is kept: `course/attempts/LEARNER/WEEK/`."""
    return course.folder / "attempts" / learner if learner else course.folder / "attempts"


def read_roster(course: Course) -> list[Person]:
    """The people of `course/roster.csv`, in its order; none where there is no such file.

    Raises
    ------
    WorkbookError
        for a file that is not a table with these columns, a line without a name for the folder, and two lines with one
        folder (capitals make no difference), with the number of the line.
    """
    path = course.folder / "roster.csv"
    if not path.is_file():
        return []
    people: list[Person] = []
    lines: dict[str, int] = {}
    for row in read_class_list(path):
        folder = folder_name(row.learner or row.name or row.email.partition("@")[0] or row.id)
        if not folder or (row.learner and folder != row.learner):
            told = row.learner or row.name
            what = f"{short(path)}:{row.line}: {told!r} is not a valid folder name"
            raise WorkbookError(what, "fill in column `learner`")
        other = lines.setdefault(folder.casefold(), row.line)
        if other != row.line:
            message = f"{short(path)}:{row.line}: the folder {folder!r} is taken by line {other}"
            raise WorkbookError(message, "give each their own name in column `learner`")
        people.append(Person(folder, row.id, row.name, row.email, row.group, row.names))
    return people


def read_known(course: Course) -> list[Known]:
    """What earlier collections told, from `course/attempts/LEARNER/who.json`; other files are passed."""
    found = []
    for path in sorted(attempts_folder(course).glob(f"*/{WHO}")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            numbers = {str(week): str(number) for week, number in told["moodle"].items()}
            others = {str(name): str(number) for name, number in told.get("numbers", {}).items()}
            found.append(Known(path.parent.name, str(told["name"]), str(told["canvas"]), numbers, others))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def folder_name(text: str) -> str:
    """A name as a folder can have it on any system: no separators, no control characters, at most 80 characters."""
    kept = unicodedata.normalize("NFC", text)
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else "_" if c in '/\\<>:"|?*' else c for c in kept)
    kept = " ".join(kept.split()).strip(". ")
    while len(kept) > LONGEST or len(kept.encode()) > 2 * LONGEST:
        kept = kept[:-1].rstrip(". ")
    reserved = kept.split(".")[0].upper() in {
        "CON",
        "PRN",
        "AUX",
        "NUL",
        *(f"{p}{n}" for p in ("COM", "LPT") for n in range(1, 10)),
    }
    return f"_{kept}" if reserved else kept
