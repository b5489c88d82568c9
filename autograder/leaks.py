"""Find solution code in what a learner gets: by syntax tree in code, and free of layout in any text."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator

from nbformat.notebooknode import NotebookNode

from .errors import Problem
from .rules import regions
from .source import Exercise, Test, Week, Written

TELLING = {"SOLUTION": 9, "HIDDEN TESTS": 25}
"""A statement with fewer syntax nodes than this tells nothing: `return x`, or a test's `x = randn(2, 3)`."""

FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)^[ \t]*\1", re.MULTILINE | re.DOTALL)
MARKS = {Exercise: "SOLUTION", Test: "HIDDEN TESTS"}


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


def _squash(text: str) -> str:
    """Text without spaces, line ends and the difference between quotes: code keeps its face in any layout."""
    return re.sub(r"\s+", "", text).replace('"', "'")


def _inside(source: str, mark: str) -> Callable[[ast.stmt], bool]:
    """Whether a statement of a cell stands between its BEGIN and END marks."""
    lines: set[int] = set()
    within = False
    for number, line in enumerate(source.splitlines(), 1):
        within = (within or f"BEGIN {mark}" in line) and f"END {mark}" not in line
        if within:
            lines.add(number)
    return lambda statement: statement.lineno in lines


def secrets(week: Week) -> dict[str, tuple[int, str]]:
    """Telling statements of solutions and hidden tests, free of layout -> (line of the cell, what it is)."""
    found: dict[str, tuple[int, str]] = {}
    for cell in week.cells:
        mark = MARKS.get(type(cell.words))
        if mark:
            hidden = _inside(cell.source, mark)
            for statement in _statements(cell.source):
                if hidden(statement) and _tells(statement, mark):
                    text = ast.unparse(statement)
                    found.setdefault(_squash(text), (cell.line, f"{cell.id}: {text.splitlines()[0]}"))
    return found


def _shown(cell: NotebookNode) -> Iterator[str]:
    """What a cell shows, without layout: its text, and its code and fenced code as Python would write it."""
    yield _squash(cell.source)
    if cell.cell_type == "code":
        codes = [re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE)]
    else:
        codes = [body for _, body in FENCE.findall(cell.source)]
    for code in codes:
        yield ";".join(_squash(ast.unparse(statement)) for statement in _statements(code))


def leaks(week: Week, learner: NotebookNode) -> list[Problem]:
    """Solution statements, hidden tests and rubric lines that stand in the learner's notebook."""
    known = secrets(week)
    problems = []
    for cell in learner.cells:
        shown = "\n".join(_shown(cell))
        for secret, (line, what) in known.items():
            if secret in shown:
                message = f"learner cell {cell.id!r} shows solution or hidden test code of {what!r}"
                remedy = "say it in other words there, or move it between the marks"
                problems.append(Problem(week.script, line, message, remedy))
    text = "\n".join(cell.source for cell in learner.cells)
    for cell in week.of_kind(Written):
        for region in regions(cell.source, "SOLUTION"):
            for rubric in region.splitlines():
                if len(rubric.strip()) > 20 and rubric.strip() in text:
                    problems.append(
                        Problem(week.script, cell.line, f"rubric line shown: {rubric.strip()!r}", "reword it")
                    )
    return problems
