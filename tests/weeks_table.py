"""The table of weeks in the README, from their sources and proofs.

    python -m tests.weeks_table

It replaces what stands between the marks; a test compares it.
"""

from __future__ import annotations

from autograder.authoring.proof import Part, read_proof
from autograder.core.files import write_text
from autograder.week.cells import Written
from autograder.week.locate import all_weeks, open_week
from autograder.week.source import Week

from .chosen import ROOT

BEGIN, END = "<!-- weeks: begin -->", "<!-- weeks: end -->"
HEAD = (
    "| week | title | hours | autograded + written points | answers tried | mutants | killed | explained |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)
UNKNOWN = "not run"


def row(week: Week) -> str:
    """One line: what the week asks for, and what its proof counted when it was found last."""
    parts = read_proof(week.folder).parts
    tried, mutants = parts.get(Part.NOTEBOOK), parts.get(Part.MUTANTS)
    graded = sum(week.points(name) for name in week.exercises)
    written = sum(cell.words.points for cell in week.of_kind(Written) if isinstance(cell.words, Written))
    counts = [mutants.counts[name] for name in ("mutants", "killed", "equivalent")] if mutants else [UNKNOWN] * 3
    cells = (
        f"{week.number:02d}",
        week.info.title,
        week.info.hours,
        f"{graded} + {written}",
        tried.counts["variants"] if tried else UNKNOWN,
        *counts,
    )
    return f"| {' | '.join(map(str, cells))} |"


def table() -> str:
    """The whole table, in Markdown."""
    return "\n".join((*HEAD, *(row(open_week(ROOT, name)) for name in all_weeks(ROOT))))


def replaced(page: str) -> str:
    """The page with the table of now between the marks. Raises `ValueError` where the marks do not stand there once."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    write_text(readme, replaced(readme.read_text(encoding="utf-8")))
    print(table())
