"""Who is in the class: `course/roster.csv`, and what is known of learners from earlier collections.

    id,name,email,learner
    12345,"Lee, Ann",ann@example.org,ann

`id` is the number that the learning platform has for a person, `learner` their folder in the course; a column may be
missing or empty. Without a roster, folders are called what the source calls the people.
"""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .course import Course
from .errors import WorkbookError, short
from .files import write_text
from .recognize import Claim

COLUMNS = ("id", "name", "email", "learner")
LONGEST = 80
WHO = "who.json"


@dataclass(frozen=True)
class Person:
    """A line of the roster; `learner` is the name of their folder."""

    learner: str
    id: str = ""
    name: str = ""
    email: str = ""


@dataclass
class Known:
    """What earlier collections told of a learner: the name and the numbers that a platform has for them.

    Attributes
    ----------
    moodle : week -> Moodle's number, which is another one in each assignment.
    """

    learner: str
    name: str = ""
    canvas: str = ""
    moodle: dict[str, str] = field(default_factory=dict)


def attempts_folder(course: Course, learner: str = "") -> Path:
    """Where everything that was ever handed in is kept: `course/attempts/LEARNER/WEEK/`."""
    return course.folder / "attempts" / learner if learner else course.folder / "attempts"


def read_roster(course: Course) -> list[Person]:
    """The people of `course/roster.csv`, in its order; none where there is no such file.

    Raises
    ------
    WorkbookError
        for a file that is no table with these columns, a line without a name for the folder, and two lines with one
        folder (capitals make no difference), with the number of the line.
    """
    path = course.folder / "roster.csv"
    if not path.is_file():
        return []
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise WorkbookError(f"{short(path)} is no CSV file in UTF-8: {error}", "save it as CSV, UTF-8") from None
    people: list[Person] = []
    lines: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        cells = {(key or "").strip().lower(): (value or "").strip() for key, value in row.items() if key is not None}
        if not set(cells) & {"name", "learner"}:
            raise WorkbookError(
                f"{short(path)} has no column `name` or `learner`", f"begin it with {','.join(COLUMNS)}"
            )
        person = {name: unicodedata.normalize("NFC", cells.get(name, "")) for name in COLUMNS}
        if not any(person.values()):
            continue
        folder = folder_name(person["learner"] or person["name"])
        if not folder or (person["learner"] and folder != person["learner"]):
            told = person["learner"] or person["name"]
            raise WorkbookError(f"{short(path)}:{number}: {told!r} is no name of a folder", "fill in column `learner`")
        other = lines.setdefault(folder.casefold(), number)
        if other != number:
            message = f"{short(path)}:{number}: the folder {folder!r} is taken by line {other}"
            raise WorkbookError(message, "give each their own name in column `learner`")
        people.append(Person(folder, person["id"], person["name"], person["email"]))
    return people


def read_known(course: Course) -> list[Known]:
    """What earlier collections told, from `course/attempts/LEARNER/who.json`; other files are passed."""
    found = []
    for path in sorted(attempts_folder(course).glob(f"*/{WHO}")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            numbers = {str(week): str(number) for week, number in told["moodle"].items()}
            found.append(Known(path.parent.name, str(told["name"]), str(told["canvas"]), numbers))
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


class Class:
    """Finds the folder of a learner for what a path says, always the same one.

    First by the roster (number, folder, name in either order), then by what earlier collections told, then by the
    name itself. A folder that another person has is never given away: the number or a few digits are added.
    """

    def __init__(self, course: Course) -> None:
        self.course = course
        self.people = read_roster(course)
        self.known = {known.learner: known for known in read_known(course)}
        taken = [*(person.learner for person in self.people), *self.known]
        if course.submitted.is_dir():
            taken += sorted(path.name for path in course.submitted.iterdir() if path.is_dir())
        self._taken = {name.casefold(): name for name in taken}

    def folder_of(self, name: str) -> str:
        """The folder of somebody of the class who is called so; "" where nobody is, or several are."""
        found = {person.learner for person in self.people if _is(person, name, "")}
        found |= {one.learner for one in self.known.values() if name in (one.name, one.learner)}
        return found.pop() if len(found) == 1 else ""

    def assign(self, claims: Iterable[Claim], week: str) -> dict[Claim, tuple[str, list[str]]]:
        """Claim -> the learner's folder ("" where it names nobody), and notes; for all of one collection."""
        asked = list(claims)
        persons = {_person(claim) for claim in asked if claim.learner}
        names = Counter(_folded(learner) for learner, _, _ in persons)
        given = {key: self._assign(key, week, names[_folded(key[0])] > 1) for key in sorted(persons)}
        return {claim: given.get(_person(claim), ("", [])) for claim in asked}

    def _assign(self, person: tuple[str, str, str], week: str, shared: bool) -> tuple[str, list[str]]:
        """The folder of one person; `shared`: somebody else in this collection has the same name."""
        learner, canvas, moodle = person
        notes = []
        if self.people:
            matches = [someone for someone in self.people if _is(someone, learner, canvas)]
            if len(matches) == 1 and not (shared and moodle):
                return self._remember(matches[0].learner, person, week), []
            notes.append(f"{len(matches)} people on the roster have this name" if matches else "is not on the roster")
        known = [one for one in self.known.values() if _same_number(one, canvas, moodle, week)]
        if not known and not shared:
            known = [one for one in self.known.values() if one.name == learner and not (canvas and one.canvas)]
        if not known and not (canvas or moodle):
            known = [one for one in self.known.values() if one.name == learner]
        if len(known) == 1:
            if _folded(known[0].name) != _folded(learner):
                notes.append(f"was called {known[0].name!r} in an earlier collection")
            return self._remember(known[0].learner, person, week), notes
        plain = folder_name(learner) or "unnamed"
        if plain != learner:
            notes.append(f"is called {learner!r} in the source")
        if len(scripts := _scripts(plain)) > 1:
            notes.append(f"mixes letters of {' and '.join(scripts)}, so it may look like another name")
        other = self._taken.get(plain.casefold(), plain)
        by_hand = other == plain and plain not in self.known and plain not in {one.learner for one in self.people}
        if not shared and not known and by_hand:  # nobody's yet, or a folder that the instructor made
            return self._remember(plain, person, week), notes
        number = canvas or moodle or hashlib.sha256(learner.encode()).hexdigest()[:4]
        notes.append("shares this name with somebody else, so a number was added; a roster.csv tells them apart")
        return self._remember(f"{plain} {number}", person, week), notes

    def _remember(self, folder: str, person: tuple[str, str, str], week: str) -> str:
        learner, canvas, moodle = person
        known = self.known.setdefault(folder, Known(folder, learner))
        known.canvas = canvas or known.canvas
        if moodle:
            known.moodle[week] = moodle
        self._taken.setdefault(folder.casefold(), folder)
        return folder

    def save(self, learners: Sequence[str]) -> None:
        """Keep what is known of these learners for the next collection."""
        for learner in learners:
            known = self.known[learner]
            told = {"name": known.name, "canvas": known.canvas, "moodle": dict(sorted(known.moodle.items()))}
            text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
            write_text(attempts_folder(self.course, learner) / WHO, text)


def _person(claim: Claim) -> tuple[str, str, str]:
    """What tells people apart in one collection."""
    return claim.learner, claim.canvas, claim.moodle


def _folded(learner: str) -> str:
    return folder_name(learner).casefold()


def _is(person: Person, learner: str, canvas: str) -> bool:
    """Whether a line of the roster is the person that a path names."""
    if person.id and canvas:
        return person.id == canvas
    if learner == person.learner or (person.id and learner == person.id):
        return True
    address, name = person.email.partition("@")[0], _letters(learner)
    if person.email and learner.casefold() in (person.email.casefold(), address.casefold()):
        return True
    words = person.name.replace(",", " ").split()
    turned = {_letters("".join(words[i:] + words[:i])) for i in range(len(words))}
    return bool(name) and name in turned


def _letters(text: str) -> str:
    """Letters and digits alone, small: Canvas writes `Lee, Ann` as `leeann`."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _scripts(text: str) -> list[str]:
    """Of the alphabets whose letters look like each other's, those that a name uses."""
    found = {unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()}
    return sorted(found & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def _same_number(known: Known, canvas: str, moodle: str, week: str) -> bool:
    """Whether a platform's number says that this is somebody from an earlier collection."""
    return bool((canvas and canvas == known.canvas) or (moodle and moodle == known.moodle.get(week)))
