"""Folders around those of people: a person's, or a wrapper that holds many people's? What is unclear is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .file_names import is_topic
from .layouts import Layout, fits

WRAPPERS = re.compile(r"assignment_\d+_export|.+-submissions")
"""What Gradescope and GitHub Classroom call the folder around everything."""
WRAPPING = frozenset({Layout.GRADESCOPE, Layout.GITHUB})
VERSION = re.compile(
    r"(?:v|version|attempt|try|draft|old|new|final|backup|copy|solution|src|code)?[ ._-]*\d*", re.IGNORECASE
)
"""What people call folders with versions of their own work."""


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


class Around(dict[str, list[str]]):
    """Top folder -> why nobody can say whether it is somebody's."""

    def __missing__(self, top: str) -> list[str]:
        return []


def unwrapped(
    paths: list[tuple[str, ...]],
    works: Sequence[bool],
    topic: str,
    source: str,
    is_person: Callable[[str], bool],
    asked: Reading,
) -> tuple[list[tuple[str, ...]], Around, list[Question]]:
    """The paths without the folder around everything, and what is to be asked about such folders."""
    work = [parts for parts, is_one in zip(paths, works, strict=True) if is_one]
    tops = sorted({parts[0] for parts in work if len(parts) > 1})
    open_ones = [top for top in tops if not (is_person(top) or _platform_s(top, work, topic))]
    doubtful, text = _doubtful(tops, open_ones, work, topic)
    if not doubtful:
        return paths, Around(), []
    wrapped = tops == [source] and all(len(parts) > 1 for parts in work)
    if asked.inside or (wrapped and asked.inside is None):  # what a program wraps around all
        return [parts[1:] if len(parts) > 1 and parts[0] in doubtful else parts for parts in paths], Around(), []
    if asked.inside is False:
        return paths, Around(), []
    question = Question(
        f"{text}: collect what lies inside, or take each folder as one person's",
        (("--inside", replace(asked, inside=True)), ("--persons", replace(asked, inside=False))),
    )
    return paths, Around({top: [question.whole] for top in doubtful}), [question]


def _platform_s(top: str, work: Sequence[tuple[str, ...]], topic: str) -> bool:
    """Whether a folder is named as only a platform names folders: a person's, or one around those of people."""
    if _marked(top, topic):
        return True
    below = ["/".join(parts) for parts in work if parts[0] == top]
    return bool(WRAPPERS.fullmatch(top)) and all(next(fits(path, topic, WRAPPING), None) for path in below)


def _doubtful(
    tops: Sequence[str], open_ones: Sequence[str], work: Sequence[tuple[str, ...]], topic: str
) -> tuple[list[str], str]:
    """Which of the outer folders may be people's and may hold those of others, and what is to be asked."""
    if not open_ones:
        return [], ""
    if len(tops) == 1:
        text = _two_ways(tops[0], work, topic)
        return [tops[0]] * bool(text), text
    found = _sections(tops, work, topic)
    doubtful = [top for top in open_ones if top in found]
    return doubtful, f"{', '.join(map(repr, doubtful[:3]))} may be people's folders, or hold those of people"


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


def _sections(tops: Sequence[str], work: Sequence[tuple[str, ...]], topic: str) -> list[str]:
    """Of several folders those that may hold folders of people.

    A folder with the week's notebook at its own top is a person's, and so is one that holds nothing but versions, or
    the same folders as all others. Where none holds several, each is a person's.
    """
    if all(next(fits("/".join(parts), topic), None) for parts in work if len(parts) > 1):
        return []
    inner: dict[str, set[str]] = {top: set() for top in tops}
    own = set()
    for parts in work:
        if len(parts) > 2 and is_topic(parts[-1], topic):
            inner[parts[0]].add(parts[1])
        elif len(parts) == 2 and is_topic(parts[-1], topic):
            own.add(parts[0])
    if all(found == inner[tops[0]] for found in inner.values()):
        return []
    named = {top: [name for name in found if not VERSION.fullmatch(name)] for top, found in inner.items()}
    unsure = [top for top in tops if top not in own and named[top]]
    return unsure if any(len(inner[top]) > 1 for top in unsure) else []
