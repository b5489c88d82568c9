"""Folders around those of people: a person's, or a wrapper that holds many people's? What is unclear is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .file_names import is_topic
from .layouts import Layout, fits

WRAPPERS = re.compile(r"assignment_\d+_export|.+-submissions")
"""What Gradescope and GitHub Classroom call the folder around everything."""


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
    if not tops or all(WRAPPERS.fullmatch(top) or _marked(top, topic) or is_person(top) for top in tops):
        return paths, Around(), []
    text = _two_ways(tops[0], work, topic) if len(tops) == 1 else _sections(tops, work, topic)
    if not text:
        return paths, Around(), []
    wrapped = tops == [source] and all(len(parts) > 1 for parts in work)
    if asked.inside or (wrapped and asked.inside is None):  # what a program wraps around all
        return [parts[1:] if len(parts) > 1 and parts[0] in tops else parts for parts in paths], Around(), []
    if asked.inside is False:
        return paths, Around(), []
    question = Question(
        f"{text}: collect what lies inside, or take each folder as one person's",
        (("--inside", replace(asked, inside=True)), ("--persons", replace(asked, inside=False))),
    )
    return paths, Around({top: [question.whole] for top in tops}), [question]


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
