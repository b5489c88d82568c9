"""All rules of the strict builder in one place: what is wrong with a week, in the order of its file."""

from __future__ import annotations

from ..core.errors import Problem
from ..week.cells import Cell
from ..week.source import Week
from . import rules, rules_files, rules_names, rules_readings, rules_tests

FIRST = (rules.check_syntax, rules.check_marks)
"""What breaks one of these cannot be read, so that the others would only repeat it."""
THEN = (*rules.RULES, *rules_names.RULES, *rules_tests.RULES, *rules_files.RULES, *rules_readings.RULES)


def check(week: Week) -> list[Problem]:
    """All broken rules of a week, in the order of the file."""

    def problem(cell: Cell | None, message: str, remedy: str, *, line: int = 0) -> Problem:
        return (
            Problem(cell.path, cell.line + line, message, remedy) if cell else Problem(week.script, 1, message, remedy)
        )

    found: list[Problem] = []
    for stage in (FIRST, THEN):
        found = found or [item for rule in stage for item in rule(week, problem)]
    return sorted(found, key=lambda item: (str(item.path), item.line))
