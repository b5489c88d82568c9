"""The grades of a week as a table that any spreadsheet opens."""

from __future__ import annotations

import csv
from pathlib import Path

from .outcomes import Graded
from .source import Test, Week

WITHOUT_SANDBOX = "graded without a sandbox"


def write_csv(path: Path, week: Week, outcomes: list[Graded]) -> None:
    """One row a learner: points by exercise, total, the verdict of every test cell, notes, reason."""
    tests = [cell.id for cell in week.of_kind(Test)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["learner", *week.exercises, "total", "possible", *tests, "notes", "damaged"])
        possible = sum(week.points(name) for name in week.exercises)
        for graded in outcomes:
            points = [graded.points.get(name, "") for name in week.exercises]
            verdicts = [graded.verdicts[test].verdict.value if test in graded.verdicts else "" for test in tests]
            total = "" if graded.damaged else graded.total
            row = [
                graded.student,
                *points,
                total,
                possible,
                *verdicts,
                "; ".join([*graded.notes, *([WITHOUT_SANDBOX] if graded.unsafe else [])]),
                graded.damaged,
            ]
            writer.writerow([_harmless(value) for value in row])


def _harmless(value: object) -> object:
    """A spreadsheet takes text that begins with one of these for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
