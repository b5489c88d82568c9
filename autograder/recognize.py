"""Whose file is it? The names that learning platforms, nbgrader and people give to submissions.

Canvas          leeann_LATE_12345_67890_attention-2.ipynb      user 12345, file 67890
Moodle          Ann Lee_4711_assignsubmission_file/attention.ipynb, or with _ in place of the last /
folders         ann/attention.ipynb, ann/week01_attention/attention.ipynb, week01_attention/ann/attention.ipynb
loose files     ann.ipynb, attention_ann.ipynb, ann_week01_attention.zip

A person comes from what the platform or the instructor wrote: the first folder, or the beginning of the name of a
file that lies in none. What follows is the learner's, and says nothing about persons. What fits two ways is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath

from .entries import Entry
from .source import WEEK_FOLDER

CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_late)?_(?P<user>\d+)_(?P<serial>\d+)_(?P<file>.+)", re.IGNORECASE)
MOODLE = re.compile(r"_(?P<number>\d+)_assignsubmission_[a-z]+_?")
"""What Moodle writes behind a name, and in flat downloads before the learner's own name of the file."""
COPY = re.compile(r"(?:[ _]?\(\d+\)|-copy\d*)+$", re.IGNORECASE)
"""What browsers and Jupyter add to the name of a second copy."""
COPY_OF = re.compile(r"^copy of ", re.IGNORECASE)
"""What Colab and Google Drive put before it."""
AGAIN = re.compile(r"-\d+$")
"""What Canvas adds to the name of a file that is handed in again."""
STRUCTURE = re.compile(r"submi(?:tted|ssions?)|work|weeks?[ _-]?\d*|files|inbound|downloads?", re.IGNORECASE)
"""Folders that name no learner."""
WORK = (".ipynb", ".zip")
"""How the names of files end that can be submissions."""


class Layout(StrEnum):
    """Who wrote the part of a path that names the person."""

    CANVAS = "Canvas"
    MOODLE = "Moodle"
    FOLDER = "a folder"
    LOOSE = "the name of a loose file"
    RECEIPT = "a receipt"
    """The learner, in a bundle: anybody can write one."""


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
    layout : what the name of the person was read from.
    unclear : why nobody can say whose it is; "" otherwise.
    """

    learner: str
    file: str
    week: str = ""
    canvas: str = ""
    moodle: str = ""
    serial: int = 0
    late: bool = False
    layout: Layout = Layout.LOOSE
    unclear: str = ""


def claims(
    found: Sequence[Entry],
    topic: str,
    source: str = "",
    is_person: Callable[[str], bool] = lambda name: False,
) -> list[Claim]:
    """What the path of each entry says, in their order.

    Parameters
    ----------
    source : the name of the source, without its ending.
    is_person : whether a folder has the name of somebody who is known to be in the class.
    """
    paths = [_informative(entry.parts) for entry in found]
    work = [parts for parts in paths if is_work(parts[-1])]
    tops = {parts[0] for parts in work if len(parts) > 1}
    top, unclear = next(iter(tops)) if len(tops) == 1 else "", ""
    if top and not MOODLE.search(top) and not is_person(top):
        unclear = _two_ways(top, [parts[1:] for parts in work if parts[0] == top], topic)
        if unclear and top == source and all(len(parts) > 1 for parts in work):  # what a program wraps around all
            paths, unclear = [parts[1:] if len(parts) > 1 and parts[0] == top else parts for parts in paths], ""
    odd = _odd_ones([parts[0] for parts in paths if len(parts) == 1 and is_work(parts[0])], topic)
    made = []
    for entry, parts in zip(found, paths, strict=True):
        claim = _claim(parts, _week(entry.parts), topic)
        why = unclear * (parts[0] == top) if len(parts) > 1 else odd.get(claim.layout, "")
        made.append(replace(claim, unclear=claim.unclear or why))
    return _without_clashes(_with_one_spelling(made))


def is_work(name: str) -> bool:
    """Whether a file can be a submission, by the end of its name."""
    return name.lower().endswith(WORK)


def _informative(parts: tuple[str, ...]) -> tuple[str, ...]:
    folders = [part for part in parts[:-1] if not STRUCTURE.fullmatch(part) and not WEEK_FOLDER.match(part)]
    return (*folders, parts[-1])


def _week(parts: tuple[str, ...]) -> str:
    return next((part for part in reversed(parts[:-1]) if WEEK_FOLDER.match(part)), "")


def _two_ways(top: str, below: Sequence[tuple[str, ...]], topic: str) -> str:
    """Why the only folder of a source may be a person's and may hold those of others; "" where it may not."""
    flat = [parts[0] for parts in below if len(parts) == 1]
    people = {parts[0] for parts in below if len(parts) > 1}
    topics = {parts[0] for parts in below if len(parts) > 1 and is_topic(parts[-1], topic)}
    if len(topics) > 1 or not flat:
        return f"{top!r} may be somebody's folder, or hold those of {len(people)} people: collect what lies inside"
    if all(_platform(name) for name in flat):
        return f"{top!r} may be somebody's folder, or a download of many people's files: collect what lies inside"
    return ""


def _platform(name: str) -> Layout | None:
    """The platform whose flat downloads name files like this."""
    if MOODLE.search(name):
        return Layout.MOODLE
    return Layout.CANVAS if CANVAS.fullmatch(name) else None


def _odd_ones(flat: Sequence[str], topic: str) -> Mapping[Layout, str]:
    """Platforms that named only the smaller part of the loose files, and why these are nobody's then.

    A platform names all files of a download. One among files that people named is a name that its learner chose.
    """
    layouts = [_platform(name) for name in flat]
    why = f"is named as {{}} names files, but most others here are not: call it {topic}_NAME.ipynb"
    return {one: why.format(one.value) for one in set(layouts) if one and 2 * layouts.count(one) <= len(flat)}


def _claim(parts: tuple[str, ...], week: str, topic: str) -> Claim:
    marks = list(MOODLE.finditer(parts[0]))
    if marks:
        file = parts[-1] if len(parts) > 1 else parts[0][marks[0].end() :]
        unclear = "its name fits two people of Moodle's" if len(marks) > 1 else ""
        name, number = parts[0][: marks[0].start()], marks[0]["number"]
        return Claim(name, _text(file), week, moodle=number, layout=Layout.MOODLE, unclear=unclear)
    if len(parts) > 1:
        return Claim(parts[0], _text(parts[-1]), week, layout=Layout.FOLDER)
    if canvas := CANVAS.fullmatch(parts[0]):
        late, serial = canvas["late"] is not None, int(canvas["serial"][:18])
        return Claim(canvas["name"], _text(canvas["file"]), week, canvas["user"], "", serial, late, Layout.CANVAS)
    return Claim(_owner(parts[0], topic), _text(parts[0]), week)


def _with_one_spelling(made: Sequence[Claim]) -> list[Claim]:
    """Names in the form in which letters that Unicode can write in two ways, and blanks around them, are one.

    Where a source holds a name in two forms it has two people, and nobody can tell which of them one is.
    """
    forms: dict[tuple[str, str, str], set[str]] = {}
    for claim in made:
        forms.setdefault((_text(claim.learner), claim.canvas, claim.moodle), set()).add(claim.learner)
    why = "its name is spelled in {} ways here that look the same"
    return [
        replace(
            claim,
            learner=_text(claim.learner),
            unclear=claim.unclear or (why.format(count) if claim.learner and count > 1 else ""),
        )
        for claim in made
        for count in [len(forms[_text(claim.learner), claim.canvas, claim.moodle])]
    ]


def _without_clashes(made: Sequence[Claim]) -> list[Claim]:
    """A platform has one number for a person. One that stands for two names is nobody's."""
    names: dict[tuple[str, str], set[str]] = {}
    for claim in made:
        if claim.canvas or claim.moodle:
            names.setdefault((claim.canvas, claim.moodle), set()).add(claim.learner)
    clash = {numbers: sorted(found) for numbers, found in names.items() if len(found) > 1}
    why = "its number {} stands for several names here: {}"
    return [
        replace(claim, unclear=why.format(claim.canvas or claim.moodle, ", ".join(found)))
        if (found := clash.get((claim.canvas, claim.moodle))) and not claim.unclear
        else claim
        for claim in made
    ]


def _owner(name: str, topic: str) -> str:
    """The learner in the name of a loose file, `attention_ann.ipynb` -> `ann`; "" where it holds the topic alone."""
    stem = COPY.sub("", PurePosixPath(name).stem)
    stem = re.sub(rf"(?:week\d\d_)?(?<![^\W_]){re.escape(topic)}(?![^\W_])", "", stem, count=1, flags=re.IGNORECASE)
    return re.sub(r"^week\d\d$", "", stem.strip(" _-."), flags=re.IGNORECASE)


def is_topic(file: str, topic: str) -> bool:
    """Whether a file has the name of the week's notebook or bundle, or of a copy of it: `attention (1).ipynb`."""
    stem = COPY_OF.sub("", COPY.sub("", AGAIN.sub("", PurePosixPath(file).stem))).lower()
    return stem == topic or bool(re.fullmatch(rf"week\d\d_{re.escape(topic)}", stem))


def _text(name: str) -> str:
    """One form for letters that Unicode can write in two ways."""
    return unicodedata.normalize("NFC", name).strip()
