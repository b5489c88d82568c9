"""Whose file is it? The names that learning platforms, nbgrader and people give to submissions.

Canvas          leeann_LATE_12345_67890_attention-2.ipynb      user 12345, file 67890
Moodle          Ann Lee_4711_assignsubmission_file/attention.ipynb, or with _ in place of the last /
folders         ann/attention.ipynb, ann/week01_attention/attention.ipynb, week01_attention/ann/attention.ipynb
loose files     ann.ipynb, attention_ann.ipynb, ann_week01_attention.zip
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .source import WEEK_FOLDER
from .sources import Entry

CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_late)?_(?P<user>\d+)_(?P<serial>\d+)_(?P<file>.+)", re.IGNORECASE)
MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)", re.DOTALL)
COPY = re.compile(r"(?:[ _]?\(\d+\)|-copy\d*)+$", re.IGNORECASE)
"""What browsers and Jupyter add to the name of a second copy."""
AGAIN = re.compile(r"-\d+$")
"""What Canvas adds to the name of a file that is handed in again."""
STRUCTURE = ("submitted", "work", "weeks", "files", "inbound")
"""Folders that name no learner."""


@dataclass(frozen=True)
class Claim:
    """What a path says about a file.

    Attributes
    ----------
    learner : the name it gives; "" where it gives none.
    file : the name that the learner's file had.
    week : the week that a folder in the path names; "" where none does.
    canvas, moodle : the platform's number for the person; Moodle's holds for one assignment only.
    serial : Canvas numbers files in the order in which they came; 0 elsewhere.
    late : Canvas marks it as late.
    """

    learner: str
    file: str
    week: str = ""
    canvas: str = ""
    moodle: str = ""
    serial: int = 0
    late: bool = False


def claims(found: Sequence[Entry], topic: str) -> list[Claim]:
    """What the path of each entry says, in their order."""
    informative = [_informative(entry.parts) for entry in found]
    # the one folder that an archive program wraps around everything names nobody
    tops = {parts[0] for parts in informative}
    wrapped = len(tops) == 1 and bool(informative) and all(len(parts) > 2 for parts in informative)
    return [
        _claim(parts[1:] if wrapped else parts, _week(entry.parts), topic)
        for entry, parts in zip(found, informative, strict=True)
    ]


def _informative(parts: tuple[str, ...]) -> tuple[str, ...]:
    folders = [part for part in parts[:-1] if part.lower() not in STRUCTURE and not WEEK_FOLDER.match(part)]
    return (*folders, parts[-1])


def _week(parts: tuple[str, ...]) -> str:
    return next((part for part in reversed(parts[:-1]) if WEEK_FOLDER.match(part)), "")


def _claim(parts: tuple[str, ...], week: str, topic: str) -> Claim:
    for position, part in enumerate(parts):
        if moodle := MOODLE.fullmatch(part):
            file = parts[-1] if position < len(parts) - 1 else moodle["file"]
            return Claim(_text(moodle["name"]), _text(file), week, moodle=moodle["number"])
    if canvas := CANVAS.fullmatch(parts[-1]):
        late = canvas["late"] is not None
        serial = int(canvas["serial"][:18])
        return Claim(_text(canvas["name"]), _text(canvas["file"]), week, canvas["user"], "", serial, late)
    learner = parts[0] if len(parts) > 1 else _owner(parts[-1], topic)
    return Claim(_text(learner), _text(parts[-1]), week)


def _owner(name: str, topic: str) -> str:
    """The learner in the name of a loose file, `attention_ann.ipynb` -> `ann`; "" where it holds the topic alone."""
    stem = COPY.sub("", PurePosixPath(name).stem)
    stem = re.sub(rf"(?:week\d\d_)?(?<![^\W_]){re.escape(topic)}(?![^\W_])", "", stem, count=1, flags=re.IGNORECASE)
    return re.sub(r"^week\d\d$", "", stem.strip(" _-."), flags=re.IGNORECASE)


def is_topic(file: str, topic: str) -> bool:
    """Whether a file has the name of the week's notebook or bundle, or of a copy of it: `attention (1).ipynb`."""
    stem = COPY.sub("", AGAIN.sub("", PurePosixPath(file).stem)).lower()
    return stem == topic or bool(re.fullmatch(rf"week\d\d_{re.escape(topic)}", stem))


def _text(name: str) -> str:
    """One form for letters that Unicode can write in two ways."""
    return unicodedata.normalize("NFC", name).strip()
