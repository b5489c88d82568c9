"""Find solution code in what a learner gets, by comparing syntax trees and not only text."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator

from nbformat.notebooknode import NotebookNode

from .errors import Problem
from .rules import regions
from .source import Exercise, Test, Week, Written

TELLING = {"SOLUTION": 9, "HIDDEN TESTS": 25}
"""A statement with fewer syntax nodes than this tells nothing: `return x`, or a test's `x = randn(2, 3)`."""

FENCE = re.compile(r"^```(?:python)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _statements(source: str) -> Iterator[ast.stmt]:
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _tells(statement: ast.stmt, mark: str) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return False
    return sum(1 for _ in ast.walk(statement)) >= TELLING[mark]


def _code_of(cell: NotebookNode) -> Iterable[str]:
    return [cell.source] if cell.cell_type == "code" else FENCE.findall(cell.source)


def secrets(week: Week) -> dict[str, tuple[int, str]]:
    """Telling statements of solutions and hidden tests, free of layout -> (line of the cell, what it is)."""
    found: dict[str, tuple[int, str]] = {}
    for cell in week.cells:
        mark = {Exercise: "SOLUTION", Test: "HIDDEN TESTS"}.get(type(cell.words))
        for region in regions(cell.source, mark) if mark else []:
            for statement in _statements(region):
                if mark and _tells(statement, mark):
                    first = ast.unparse(statement).splitlines()[0]
                    found.setdefault(ast.dump(statement), (cell.line, f"{cell.id}: {first}"))
    return found


def leaks(week: Week, learner: NotebookNode) -> list[Problem]:
    """Solution statements, hidden tests and rubric lines that stand in the learner's notebook."""
    known = secrets(week)
    problems = []
    for cell in learner.cells:
        for source in _code_of(cell):
            for statement in _statements(source):
                hit = known.get(ast.dump(statement))
                if hit:
                    problems.append(
                        Problem(
                            week.script,
                            hit[0],
                            f"learner cell {cell.id!r} shows solution or hidden test code of {hit[1]!r}",
                            "say it in other words there, or move it between the marks",
                        )
                    )
    text = "\n".join(cell.source for cell in learner.cells)
    for cell in week.of_kind(Written):
        for region in regions(cell.source, "SOLUTION"):
            for line in region.splitlines():
                if len(line.strip()) > 20 and line.strip() in text:
                    problems.append(
                        Problem(week.script, cell.line, f"rubric line shown: {line.strip()!r}", "reword it")
                    )
    return problems
