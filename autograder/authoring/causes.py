"""Whether the causes that mutants are told are theirs: what an author looks at, since no program knows.

A cause is the authors' guess from what an answer gives. Misconceptions prove it for the mistakes they know. A mutant
of another place that gets the same cause may be the same mistake, seen from elsewhere, or one that the probe cannot
tell from it; a cause that no misconception is told was never looked at.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Sequence
from enum import StrEnum

from ..week.cells import Exercise
from ..week.source import Week
from ..week.variants import Misconception, VariantError
from .mutation import Mutant


class Doubt(StrEnum):
    """Why a cause may be false of a mutant."""

    NONE = ""
    UNKNOWN = "no misconception is told it"
    ELSEWHERE = "those who are told it change another place"


class Known:
    """The causes of a week's misconceptions, and the places in the references that these change."""

    def __init__(self, week: Week, misconceptions: Sequence[Misconception]) -> None:
        self._sources = {cell.name: cell.source for cell in week.of_kind(Exercise)}
        self._told: dict[str, list[tuple[str, set[int]]]] = {name: [] for name in self._sources}
        for item in misconceptions:
            try:
                places = changed(self._sources[item.exercise], item.source(week))
            except VariantError:  # `workbook verify` tells it
                continue
            self._told[item.exercise].append((item.says, places))

    def doubt(self, mutant: Mutant, cause: str) -> Doubt:
        """Whether a cause that a mutant was told is one of a misconception that changes the same statement."""
        told = [places for says, places in self._told[mutant.exercise] if says in cause]
        if not told:
            return Doubt.UNKNOWN
        here = changed(self._sources[mutant.exercise], mutant.source)
        return Doubt.NONE if any(here & places for places in told) else Doubt.ELSEWHERE


def changed(reference: str, answer: str) -> set[int]:
    """The statements of a cell that another answer changes, by their first lines from 1.

    What is put between two lines counts for both.
    """
    before, after = reference.splitlines(), answer.splitlines()
    lines: set[int] = set()
    for kind, begin, end, _, _ in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "insert":
            lines |= {begin, begin + 1}
        elif kind != "equal":
            lines |= set(range(begin + 1, end + 1))
    return _statements(reference, lines)


def _statements(source: str, lines: Iterable[int]) -> set[int]:
    """The first lines of the smallest statements that hold these lines; a line of none stands for itself."""
    owner: dict[int, int] = {}
    for node in ast.walk(ast.parse(source)):  # outer statements come first
        if isinstance(node, ast.stmt):
            owner |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), node.lineno)
    return {owner.get(line, line) for line in lines}
