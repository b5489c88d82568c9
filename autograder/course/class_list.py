"""Read a class list as platforms and spreadsheets write it: any of the usual encodings, separators and columns.

| from | columns |
| --- | --- |
| here | id, name, email, learner, group |
| Canvas, gradebook export | Student, ID, SIS User ID, SIS Login ID, Section |
| Moodle, grading worksheet | Identifier, Full name, Email address |
| Moodle, participants | First name, Last name, ID number, Email address, Groups |
| Blackboard, gradebook (tabs, UTF-16) | Last Name, First Name, Username, Student ID |
| Brightspace, grades export (`#` before each value) | OrgDefinedId, Username, Last Name, First Name, Email |
| Gradescope | Name or First Name, Last Name; SID, Email |
| ILIAS (semicolons) | Login, Firstname, Lastname, Email; also in German |
| GitHub Classroom | identifier, github_username, github_id, name |
| nbgrader | id, first_name, last_name, email |
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import WorkbookError, short

FIELDS: dict[str, tuple[str, ...]] = {
    "learner": ("learner", "folder"),
    "name": ("name", "student", "full name", "student name", "display name", "vollständiger name", "nom complet"),
    "first": ("first name", "firstname", "first_name", "given name", "vorname", "prénom", "nombre"),
    "last": ("last name", "lastname", "last_name", "surname", "family name", "nachname", "nom", "apellido(s)"),
    "email": ("email", "email address", "e-mail", "e-mail-adresse", "e-mail address", "mail", "adresse e-mail"),
    "login": ("username", "login", "user name", "benutzername", "anmeldename", "github_username", "sis login id"),
    "id": (
        "id",
        "student id",
        "sid",
        "orgdefinedid",
        "id number",
        "matriculation number",
        "matrikelnummer",
        "id-nummer",
    ),
    "other": ("sis user id", "identifier", "github_id", "lms_user_id"),
    "group": ("group", "groups", "group name", "team", "gruppe", "gruppen", "gruppenname"),
}
"""What is read -> how lists call its column, in small letters; the first that is there and not empty counts."""
NOT_PEOPLE = ("points possible", "student, test")
"""Rows of Canvas's export that are not learners."""
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Row:
    """A line of a class list; what it does not say is "".

    Attributes
    ----------
    names : everything that the list calls the person, for finding them again.
    """

    line: int
    learner: str
    id: str
    name: str
    email: str
    group: str
    names: tuple[str, ...]


def read_class_list(path: Path) -> list[Row]:
    """The rows of a class list.

    Raises
    ------
    WorkbookError
        for a file that is not a table, or has no column that names people.
    """
    try:
        text = decoded(path.read_bytes())
        first, _, rest = text.partition("\n")
        if first.lower().startswith("sep="):  # for Excel
            text, first = rest, rest.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        table = [(lines.line_num, row) for row in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise WorkbookError(f"{short(path)} cannot be read as a table: {error}", "save it as CSV, UTF-8") from None
    table = [(number, row) for number, row in table if any(cell.strip() for cell in row)]
    header = [_column(name) for name in table[0][1]] if table else []
    places = {field: [header.index(name) for name in names if name in header] for field, names in FIELDS.items()}
    if not (places["learner"] or places["name"] or places["login"] or (places["last"] and places["first"])):
        message = f"{short(path)} has no column `name` or `learner`"
        raise WorkbookError(message, "begin it with id,name,email,learner")
    rows = [_row(number, row, places, "first_name" in header) for number, row in table[1:]]
    return [row for row in rows if row is not None]


def _column(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).strip().lower().split())


def _row(number: int, row: Sequence[str], places: dict[str, list[int]], nbgrader: bool) -> Row | None:
    def cell(field: str) -> str:
        found = (_value(row[place]) for place in places[field] if place < len(row))
        return next((value for value in found if value), "")

    name = cell("name") or " ".join(filter(None, (cell("first"), cell("last"))))
    if name.lower() in NOT_PEOPLE:
        return None
    learner = cell("learner") or (cell("id") if nbgrader else "")
    names = [cell("login"), cell("other"), *(_value(row[place]) for place in places["other"] if place < len(row))]
    if cell("first") and cell("last"):
        names.append(f"{cell('first')} {cell('last')}")
    if not any((learner, name, cell("login"), cell("email"), cell("id"))):
        return None
    kept = tuple(dict.fromkeys(filter(None, names)))
    return Row(number, learner, cell("id"), name or cell("login"), cell("email"), cell("group"), kept)


def _value(cell: str) -> str:
    """A cell without what Brightspace (`#`) and spreadsheets (`="12"`) write around a value."""
    text = unicodedata.normalize("NFC", cell).strip()
    quoted = re.fullmatch(r'="(.*)"', text)
    return (quoted[1] if quoted else text).removeprefix("#").strip()


def decoded(content: bytes) -> str:
    """The text of a list in UTF-8 (with a mark or without), UTF-16, or the encoding of Western Windows.

    Raises
    ------
    UnicodeDecodeError
        when it is in none of them.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content[:4]:  # UTF-16 without its mark: every second byte of the header's letters is zero
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")
