"""The grades of a week as a table that any spreadsheet opens."""

from __future__ import annotations

from pathlib import Path

from .outcomes import Graded
from .source import Test, Week
from .spreadsheet import write_table

WITHOUT_SANDBOX = "graded without a sandbox"


def write_csv(path: Path, week: Week, outcomes: list[Graded]) -> None:
    """One row a learner: points by exercise, total, the verdict of every test cell, notes, reason."""
    tests = [cell.id for cell in week.of_kind(Test)]
    possible = sum(week.points(name) for name in week.exercises)
    rows = []
    for graded in outcomes:
        points = [graded.points.get(name, "") for name in week.exercises]
        verdicts = [graded.verdicts[test].verdict.value if test in graded.verdicts else "" for test in tests]
        total = "" if graded.damaged else graded.total
        notes = "; ".join([*graded.notes, *graded.remarks, *([WITHOUT_SANDBOX] if graded.unsafe else [])])
        rows.append([graded.student, *points, total, possible, *verdicts, notes, graded.damaged])
    write_table(path, ["learner", *week.exercises, "total", "possible", *tests, "notes", "damaged"], rows)
