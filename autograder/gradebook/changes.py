"""Scores that grading would change although the work is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..execution.results import Graded
from ..execution.verdicts import CellRun, Verdict
from ..week.cells import Test
from ..week.source import Week
from .cells import Moves
from .ledger import Entry

NO_MOVES = Moves()


@dataclass(frozen=True)
class Change:
    """Points that would change. `exercise` is a test cell where the points of its exercise stay the same.

    Where a person gave points or a comment at a cell that is gone, it is that cell, and `lost` says what goes.
    """

    student: str
    exercise: str
    was: float
    now: float
    lost: str = ""


def changes_of(week: Week, entry: Entry, graded: Graded, moves: Moves = NO_MOVES) -> list[Change]:
    """What a new outcome would change in the scores that were recorded, by the names that cells have now."""
    found = []
    points_before = {moves.renamed.get(name, name): points for name, points in entry.points.items()}
    verdicts_before = {
        moves.renamed.get(name, name): done for name, done in entry.verdicts.items() if name not in moves.removed
    }
    for exercise in dict.fromkeys([*points_before, *graded.points]):
        was, now = points_before.get(exercise, 0), graded.points.get(exercise, 0)
        if was != now:
            found.append(Change(graded.student, exercise, was, now))
            continue
        for cell in week.of_kind(Test, exercise):
            points = cell.words.points if isinstance(cell.words, Test) else 0
            before = _earned(verdicts_before, cell.id, moves.rated.get(cell.id, (points, points))[0])
            after = _earned(graded.verdicts, cell.id, points)
            if before != after:
                found.append(Change(graded.student, cell.id, before, after))
    return found


def changes_by_moves(moves: Moves) -> list[Change]:
    """What people gave at cells that are gone."""
    found = []
    for one in moves.given:
        what = ["points by hand"] * (one.points is not None or bool(one.extra)) + ["a comment"] * bool(one.comment)
        found.append(Change(one.learner, one.cell, (one.points or 0.0) + one.extra, 0, " and ".join(what)))
    return found


def _earned(verdicts: Mapping[str, CellRun], test: str, points: float) -> float:
    return points if test in verdicts and verdicts[test].verdict is Verdict.PASS else 0
