"""The grades of a week as a table that any spreadsheet opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.csv_files import write_table
from ..execution.results import Graded
from ..week.cells import Test, Written
from ..week.source import Week
from .scores import Standing

WITHOUT_SANDBOX = "graded without a sandbox"


def write_csv(
    path: Path, week: Week, outcomes: Sequence[Graded], recorded: Mapping[str, Standing] | None = None
) -> None:
    """One row a learner: points by exercise and question, total, the verdict of every test cell, notes, reason.

    Parameters
    ----------
    recorded : where learners stand in the gradebook. Points by hand count in it, and the total is the whole sum; who is
        not in it has the points of the tests alone.
    """
    tests = [cell.id for cell in week.of_kind(Test)]
    cells = {name: [cell.id for cell in week.of_kind(Test, name)] for name in week.exercises}
    written = [cell.id for cell in week.of_kind(Written)]
    header = ["learner", *week.exercises, *written, "total", "possible", "to grade", *tests, "notes", "damaged"]
    rows = []
    for graded in outcomes:
        standing = None if graded.damaged else (recorded or {}).get(graded.student)
        if standing:
            points: list[object] = [sum(standing.scores[one].points for one in some) for some in cells.values()]
            points += ["" if standing.scores[one].waiting else standing.scores[one].points for one in written]
            sums: list[object] = [standing.total, standing.possible, len(standing.waiting)]
        else:
            points = [*(graded.points.get(name, "") for name in week.exercises), *("" for _ in written)]
            sums = ["" if graded.damaged else graded.total, sum(week.points(name) for name in week.exercises), ""]
        verdicts = [graded.verdicts[test].verdict.value if test in graded.verdicts else "" for test in tests]
        notes = "; ".join([*graded.notes, *graded.remarks, *([WITHOUT_SANDBOX] if graded.unsafe else [])])
        shown = [f"{one:g}" if isinstance(one, float) else one for one in (*points, *sums)]
        rows.append([graded.student, *shown, *verdicts, notes, graded.damaged])
    write_table(path, header, rows)
