"""Scores that grading would change although the work is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..execution.results import Graded
from ..execution.verdicts import CellRun, Verdict
from ..week.source import Test, Week
from .ledger import Entry


@dataclass(frozen=True)
class Change:
    """Points that would change. `exercise` is a test cell where the points of its exercise stay the same."""

    student: str
    exercise: str
    was: int
    now: int


def changes_of(week: Week, entry: Entry, graded: Graded) -> list[Change]:
    """What a new outcome would change in the scores that were recorded."""
    found = []
    for exercise in dict.fromkeys([*entry.points, *graded.points]):
        was, now = entry.points.get(exercise, 0), graded.points.get(exercise, 0)
        if was != now:
            found.append(Change(graded.student, exercise, was, now))
            continue
        for cell in week.of_kind(Test, exercise):
            points = cell.words.points if isinstance(cell.words, Test) else 0
            before, after = _earned(entry.verdicts, cell.id, points), _earned(graded.verdicts, cell.id, points)
            if before != after:
                found.append(Change(graded.student, cell.id, before, after))
    return found


def _earned(verdicts: Mapping[str, CellRun], test: str, points: int) -> int:
    return points if test in verdicts and verdicts[test].verdict is Verdict.PASS else 0
