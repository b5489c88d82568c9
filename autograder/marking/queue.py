"""Which answers a grader sees, and in which order: by question, in an order of chance that is the same every time.

Names are left out. An answer is called by its number in the order of its question, so that graders can talk about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .answers import Part, Question
from .marks import Mark, Place


@dataclass(frozen=True)
class Share:
    """Which part of the answers is this grader's: the first of three is `Share(1, 3)`."""

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, text: str) -> Share:
        """`1/3` -> the first of three parts.

        Raises
        ------
        ValueError
            for anything else than two whole numbers of which the first is at least 1 and at most the second.
        """
        number, _, of = text.partition("/")
        found = cls(int(number), int(of))
        if not 1 <= found.number <= found.of:
            raise ValueError(f"{text!r} is not a part: the first of three is 1/3")
        return found


@dataclass(frozen=True)
class Item:
    """One answer to be marked.

    Attributes
    ----------
    key : by which a page names it; tells nothing about the learner.
    number : in the order of its question, from 1.
    mine : whether it belongs to this grader's share.
    """

    key: str
    number: int
    place: Place
    parts: tuple[Part, ...]
    mine: bool


def order(week: str, asked: Question, answers: Mapping[str, tuple[Part, ...]], share: Share) -> tuple[Item, ...]:
    """The answers to one question that there is something to read in, in this grader's share or not.

    Parameters
    ----------
    answers : learner -> answer.
    """
    keys = {learner: _key(week, asked.cell, learner) for learner, parts in answers.items() if parts}
    found = sorted(keys, key=keys.__getitem__)
    return tuple(
        Item(keys[one], number, Place(one, asked.cell), answers[one], (number - 1) % share.of == share.number - 1)
        for number, one in enumerate(found, 1)
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def marked(items: Iterable[Item], marks: Mapping[Place, Mark]) -> int:
    """How many of these have points."""
    return sum(marks.get(item.place, Mark()).points is not None for item in items)


def mine(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item.mine]
