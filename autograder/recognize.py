"""Whose file is it? What the paths of a source say, by the table of `layouts`, plain folders and loose files.

A person comes from what the platform or the instructor wrote: the first folder, or the beginning of the name of a
file that lies in none. What follows is the learner's, and says nothing about persons. A platform names all files of a
download, or none: a layout counts where it fits all of them. What fits two ways is a question, and refused until it
is answered.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from .entries import Entry, stem
from .layouts import MOODLE_MARK, Fit, Layout, fits
from .source import WEEK_FOLDER

COPY = re.compile(r"(?:[ _]?\((?P<number>\d+)\)|-copy\d*)+$", re.IGNORECASE)
"""What browsers and Jupyter add to the name of a second copy."""
COPY_OF = re.compile(r"^(?:copy of |kopie von |copie de |copia de )+", re.IGNORECASE)
"""What Colab and Google Drive put before it."""
AGAIN = re.compile(r"-\d+$")
"""What Canvas adds to the name of a file that is submitted again."""
STRUCTURE = re.compile(r"submi(?:tted|ssions?)|abgaben|work|weeks?[ _-]?\d*|files|inbound|downloads?", re.IGNORECASE)
"""Folders that name no learner."""
WRAPPERS = re.compile(r"assignment_\d+_export|.+-submissions")
"""What Gradescope and GitHub Classroom call the folder around everything."""
MARK = re.compile(MOODLE_MARK)
NUMBERED = (Layout.CANVAS, Layout.MOODLE, Layout.ILIAS)
"""Layouts whose numbers stand for one person each."""


@dataclass(frozen=True)
class Reading:
    """How the instructor says that a source is to be read; nothing: as its names say.

    Attributes
    ----------
    layout : all of it is of this layout.
    inside : True where folders hold those of people, False where they are people's; None where nobody said.
    """

    layout: Layout | None = None
    inside: bool | None = None


@dataclass(frozen=True)
class Question:
    """What names leave open: a text, and for each answer the option that gives it and the reading it stands for."""

    text: str
    choices: tuple[tuple[str, Reading], ...]

    @property
    def whole(self) -> str:
        """The question with the options that answer it, in one line."""
        return f"{self.text}: say {' or '.join(option for option, _ in self.choices)}"


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
    paths, around, questions = _unwrapped(paths, works, topic, source, is_person, asked)
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


class _Around(dict[str, list[str]]):
    """Top folder -> why nobody can say whether it is somebody's."""

    def __missing__(self, top: str) -> list[str]:
        return []


def _unwrapped(
    paths: list[tuple[str, ...]],
    works: Sequence[bool],
    topic: str,
    source: str,
    is_person: Callable[[str], bool],
    asked: Reading,
) -> tuple[list[tuple[str, ...]], _Around, list[Question]]:
    """The paths without the folder around everything, and what is to be asked about such folders."""
    work = [parts for parts, is_one in zip(paths, works, strict=True) if is_one]
    tops = sorted({parts[0] for parts in work if len(parts) > 1})
    if not tops or all(WRAPPERS.fullmatch(top) or _marked(top, topic) or is_person(top) for top in tops):
        return paths, _Around(), []
    text = _two_ways(tops[0], work, topic) if len(tops) == 1 else _sections(tops, work, topic)
    if not text:
        return paths, _Around(), []
    wrapped = tops == [source] and all(len(parts) > 1 for parts in work)
    if asked.inside or (wrapped and asked.inside is None):  # what a program wraps around all
        return [parts[1:] if len(parts) > 1 and parts[0] in tops else parts for parts in paths], _Around(), []
    if asked.inside is False:
        return paths, _Around(), []
    question = Question(
        f"{text}: collect what lies inside, or take each folder as one person's",
        (("--inside", replace(asked, inside=True)), ("--persons", replace(asked, inside=False))),
    )
    return paths, _Around({top: [question.whole] for top in tops}), [question]


def _marked(top: str, topic: str) -> bool:
    """Whether a folder is named as only a platform names folders."""
    return any(fit.pattern.marked for fit in fits(f"{top}/x", topic))


def _two_ways(top: str, work: Sequence[tuple[str, ...]], topic: str) -> str:
    """Why the only folder of a source may be a person's and may hold those of others; "" where it may not."""
    below = [parts[1:] for parts in work if parts[0] == top]
    flat = [parts[0] for parts in below if len(parts) == 1]
    people = {parts[0] for parts in below if len(parts) > 1}
    topics = {parts[0] for parts in below if len(parts) > 1 and is_topic(parts[-1], topic)}
    if len(topics) > 1 or not flat:
        return f"{top!r} may be somebody's folder, or hold those of {len(people)} people"
    if all(next(fits(name, topic), None) for name in flat):
        return f"{top!r} may be somebody's folder, or a download of many people's files"
    return ""


def _sections(tops: Sequence[str], work: Sequence[tuple[str, ...]], topic: str) -> str:
    """Why several folders may be people's and may hold those of others; "" where they may not.

    A folder with work at its own top is a person's, and so are those that all hold folders of the same names.
    """
    if any(len(parts) == 2 for parts in work):
        return ""
    inner = {top: {parts[1] for parts in work if parts[0] == top and is_topic(parts[-1], topic)} for top in tops}
    several = [top for top in tops if len(inner[top]) > 1]
    if not several or all(inner[top] == inner[tops[0]] for top in tops):
        return ""
    if all(next((fit for fit in fits("/".join(parts), topic)), None) for parts in work):
        return ""
    return f"{', '.join(map(repr, tops[:3]))} may be people's folders, or hold those of people"


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
        plain = Claim(parts[0], _text(parts[-1]), week, Layout.MOODLE)
        return replace(plain, unclear="its name fits two people of Moodle's")
    if readings:
        return _by_platform(readings[0], parts, week)
    if asked.layout and asked.layout not in (Layout.FOLDER, Layout.LOOSE):
        why = f"is not named as {asked.layout} names files"
        return Claim("", _text(parts[-1]), week, asked.layout, unclear=why)
    if nested:
        return Claim(parts[0], _text(parts[-1]), week, Layout.FOLDER, serial=_copy(parts[-1]))
    return Claim(_owner(parts[0], topic), _text(parts[0]), week, serial=_copy(parts[0]))


def _by_platform(fit: Fit, parts: tuple[str, ...], week: str) -> Claim:
    layout, file = fit.pattern.layout, _text(fit.group("file") or parts[-1])
    serial = int(fit.group("attempt")[:18] or 0) if layout is Layout.CANVAS else _copy(file)
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
            learner=_text(claim.learner),
            unclear=claim.unclear or (why.format(count) if claim.learner and count > 1 else ""),
        )
        for claim in made
        for count in [len(forms[_spelled(claim)])]
    ]


def _spelled(claim: Claim) -> tuple[str, Layout | None, str]:
    return _text(claim.learner), claim.layout if claim.number else None, claim.number


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


def _owner(name: str, topic: str) -> str:
    """The learner in the name of a loose file, `attention_ann.ipynb` -> `ann`; "" where it holds the topic alone."""
    rest = PurePosixPath(name).stem if stem(name) == name else stem(name)
    rest = COPY_OF.sub("", COPY.sub("", rest))
    rest = re.sub(rf"(?:week\d\d_)?(?<![^\W_]){re.escape(topic)}(?![^\W_])", "", rest, count=1, flags=re.IGNORECASE)
    rest = re.sub(r"^week\d\d$", "", rest.strip(" _-."), flags=re.IGNORECASE)
    return "" if STRUCTURE.fullmatch(rest) else rest


def is_topic(file: str, topic: str) -> bool:
    """Whether a file has the name of the week's notebook or bundle, or of a copy of it: `attention (1).ipynb`."""
    rest = COPY_OF.sub("", COPY.sub("", AGAIN.sub("", stem(file)))).lower()
    return rest == topic or bool(re.fullmatch(rf"week\d\d_{re.escape(topic)}", rest))


def _copy(file: str) -> int:
    """Which copy a name says it is: 2 for `attention (2).ipynb`, 0 for the first."""
    found = COPY.search(stem(file))
    return int(found["number"][:9]) if found and found["number"] else 0


def _text(name: str) -> str:
    """One form for letters that Unicode can write in two ways."""
    return unicodedata.normalize("NFC", name).strip()
