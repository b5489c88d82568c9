"""Whose file is it? What the paths of a source say, by the table of `layouts`, plain folders and loose files.

A person comes from what the platform or the instructor wrote: the first folder, or the beginning of the name of a
file that lies in none. What follows is the learner's, and says nothing about persons. A platform names all files of a
download, or none: a layout counts where it fits all of them. What fits two ways is a question, and refused until it
is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..week.source import WEEK_FOLDER
from .entries import Entry
from .file_names import STRUCTURE, copy_number, one_form, owner
from .layouts import MOODLE_MARK, Fit, Layout, fits
from .wrapping import Question, Reading, unwrapped

MARK = re.compile(MOODLE_MARK)
NUMBERED = (Layout.CANVAS, Layout.MOODLE, Layout.ILIAS)
"""Layouts whose numbers stand for one person each."""


@dataclass(frozen=True)
class Member:
    """A person as a platform names them: the name, its number for them, and other names such as a login."""

    name: str
    number: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """What a path says about a file.

    Attributes
    ----------
    learner : the name it gives; "" where it gives none.
    file : the name that the learner's file had.
    week : the week that a folder in the path names; "" where none does.
    layout : what the name of the person was read from.
    number : the platform's number for the person; Moodle's holds for one assignment only.
    serial : Canvas numbers files in the order in which they came, browsers number copies; 0 elsewhere.
    late : the platform marks it as late.
    moment : when the platform says that it was submitted, naive UTC.
    also : other names that the platform has for the person.
    members : several people who submitted together; empty for one.
    unclear : why nobody can say whose it is; "" otherwise.
    """

    learner: str
    file: str
    week: str = ""
    layout: Layout = Layout.LOOSE
    number: str = ""
    serial: int = 0
    late: bool = False
    moment: datetime | None = None
    also: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    unclear: str = ""


def claims(
    found: Sequence[Entry],
    topic: str,
    source: str = "",
    is_person: Callable[[str], bool] = lambda name: False,
    reading: Reading | None = None,
) -> tuple[list[Claim], list[Question]]:
    """What the path of each entry says, in their order, and what is left to be asked.

    Parameters
    ----------
    source : the name of the source, without its ending.
    is_person : whether a folder has the name of somebody who is known to be in the class.
    """
    asked = reading or Reading()
    paths = [_informative(entry.parts) for entry in found]
    works = [entry.is_work for entry in found]
    paths, around, questions = unwrapped(paths, works, topic, source, is_person, asked)
    work = [parts for parts, is_one in zip(paths, works, strict=True) if is_one]
    folders, more = _layout_of([parts for parts in work if len(parts) > 1], topic, asked)
    flat, others = _layout_of([parts for parts in work if len(parts) == 1], topic, asked)
    odd = {} if flat or others else _odd_ones([parts[0] for parts in work if len(parts) == 1], topic, asked)
    made = []
    for entry, parts in zip(found, paths, strict=True):
        nested = len(parts) > 1
        claim = _claim(parts, _week(entry.parts), topic, (folders if nested else flat), asked)
        doubts = [*around[parts[0]], *(one.whole for one in more)] if nested else [one.whole for one in others]
        why = doubts[0] if doubts else ("" if nested else odd.get(claim.layout, ""))
        made.append(replace(claim, unclear=claim.unclear or why))
    return _without_clashes(_with_one_spelling(_told_apart(made))), [*questions, *more, *others]


def _informative(parts: tuple[str, ...]) -> tuple[str, ...]:
    folders = [part for part in parts[:-1] if not STRUCTURE.fullmatch(part) and not WEEK_FOLDER.match(part)]
    return (*folders, parts[-1])


def _week(parts: tuple[str, ...]) -> str:
    return next((part for part in reversed(parts[:-1]) if WEEK_FOLDER.match(part)), "")


def _layout_of(work: Sequence[tuple[str, ...]], topic: str, asked: Reading) -> tuple[Layout | None, list[Question]]:
    """The layout that fits all of these paths, and the question where several do."""
    if asked.layout or not work:
        return asked.layout, []
    common = set(Layout)
    for parts in work:
        common &= {fit.pattern.layout for fit in fits("/".join(parts), topic)}
    if len(common) < 2:
        return next(iter(common), None), []
    names = sorted(common)
    choices = tuple((f"--layout {one.option}", replace(asked, layout=one)) for one in names)
    return None, [Question(f"names such as {work[0][0]!r} fit {' and '.join(names)}", choices)]


def _odd_ones(flat: Sequence[str], topic: str, asked: Reading) -> Mapping[Layout, str]:
    """Platforms that named only the smaller part of the loose files, and why these are nobody's then.

    One among files that people named is a name that its learner chose.
    """
    layouts = [fit.pattern.layout if (fit := next(fits(name, topic), None)) else None for name in flat]
    why = (
        f"is named as {{}} names files, but most others here are not: call it {topic}_NAME.ipynb, or say --layout {{}}"
    )
    few = {one for one in layouts if one and 2 * layouts.count(one) <= len(flat)}
    return {one: why.format(one.value, one.option) for one in few}


def _claim(parts: tuple[str, ...], week: str, topic: str, layout: Layout | None, asked: Reading) -> Claim:
    """What one path says, read by the layout of the source; where there is none, by what its own name shows."""
    path = "/".join(parts)
    nested = len(parts) > 1
    own = {None: frozenset(Layout), Layout.FOLDER: frozenset[Layout](), Layout.LOOSE: frozenset[Layout]()}
    readings = list(fits(path, topic, own.get(layout, frozenset({layout} if layout else ()))))
    if layout is None and nested:
        readings = [fit for fit in readings if fit.pattern.marked]
    if len(MARK.findall(parts[0])) > 1:
        plain = Claim(parts[0], one_form(parts[-1]), week, Layout.MOODLE)
        return replace(plain, unclear="its name fits two people of Moodle's")
    if readings:
        return _by_platform(readings[0], parts, week)
    if asked.layout and asked.layout not in (Layout.FOLDER, Layout.LOOSE):
        why = f"is not named as {asked.layout} names files"
        return Claim("", one_form(parts[-1]), week, asked.layout, unclear=why)
    if nested:
        return Claim(parts[0], one_form(parts[-1]), week, Layout.FOLDER, serial=copy_number(parts[-1]))
    return Claim(owner(parts[0], topic), one_form(parts[0]), week, serial=copy_number(parts[0]))


def _by_platform(fit: Fit, parts: tuple[str, ...], week: str) -> Claim:
    layout, file = fit.pattern.layout, one_form(fit.group("file") or parts[-1])
    serial = int(fit.group("attempt")[:18] or 0) if layout is Layout.CANVAS else copy_number(file)
    also = fit.group("also").replace("_", " ")
    return Claim(
        fit.group("person"),
        file,
        fit.group("week") or week,
        layout,
        fit.group("id") or fit.group("number"),
        serial,
        bool(fit.group("late")),
        fit.moment,
        (also,) if also else (),
    )


def _told_apart(made: Sequence[Claim]) -> list[Claim]:
    """Moodle's blind names are all one word, to which its number belongs; in team downloads a team stands first."""
    moodle = {(claim.learner, claim.number) for claim in made if claim.layout is Layout.MOODLE}
    blind = {name for name, _ in moodle if name == "Participant"}
    teams = bool(moodle) and all("-" in name for name, _ in moodle)
    return [
        replace(claim, learner=f"{claim.learner} {claim.number}")
        if claim.layout is Layout.MOODLE and claim.learner in blind
        else replace(claim, also=tuple(_after_hyphens(claim.learner)))
        if claim.layout is Layout.MOODLE and teams
        else claim
        for claim in made
    ]


def _after_hyphens(name: str) -> list[str]:
    return [name[place.end() :].strip() for place in re.finditer("-", name)]


def _with_one_spelling(made: Sequence[Claim]) -> list[Claim]:
    """Names in the form in which letters that Unicode can write in two ways, and blanks around them, are one.

    Where a source holds a name in two forms it has two people, and nobody can tell which of them one is.
    """
    forms: dict[tuple[str, Layout | None, str], set[str]] = {}
    for claim in made:
        forms.setdefault(_spelled(claim), set()).add(claim.learner)
    why = "its name is spelled in {} ways here that look the same"
    return [
        replace(
            claim,
            learner=one_form(claim.learner),
            unclear=claim.unclear or (why.format(count) if claim.learner and count > 1 else ""),
        )
        for claim in made
        for count in [len(forms[_spelled(claim)])]
    ]


def _spelled(claim: Claim) -> tuple[str, Layout | None, str]:
    return one_form(claim.learner), claim.layout if claim.number else None, claim.number


def _without_clashes(made: Sequence[Claim]) -> list[Claim]:
    """A platform has one number for a person. One that stands for two names is nobody's.

    Brightspace's numbers are not known to be a person's: two of them under one name may be two people.
    """
    names: dict[tuple[Layout, str], set[str]] = {}
    for claim in made:
        if claim.layout in NUMBERED and claim.number:
            names.setdefault((claim.layout, claim.number), set()).add(claim.learner)
        elif claim.layout is Layout.BRIGHTSPACE:
            names.setdefault((claim.layout, claim.learner), set()).add(claim.number)
    one, two = "its number {} stands for several names here: {}", "{} has several numbers here, as two people would: {}"
    out = []
    for claim in made:
        key = claim.learner if claim.layout is Layout.BRIGHTSPACE else claim.number
        found = sorted(names.get((claim.layout, key), ()))
        why = (two if claim.layout is Layout.BRIGHTSPACE else one).format(key, ", ".join(found))
        out.append(replace(claim, unclear=claim.unclear or (why if len(found) > 1 else "")))
    return out
