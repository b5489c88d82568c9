"""Find solution code in what a learner gets: by syntax tree in code, and free of layout in any text."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping

from nbformat.notebooknode import NotebookNode

from ..core.errors import Problem
from ..week.cells import Cell, Exercise, Test, Written
from ..week.marks import regions
from ..week.source import Week

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


def _tells(statement: ast.stmt, nodes: int) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return False
    return sum(1 for _ in ast.walk(statement)) >= nodes


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


def secrets(week: Week, nodes: int = 0) -> dict[str, tuple[Cell, str]]:
    """Telling statements of solutions and hidden tests, free of layout -> (its cell, what it is).

    `nodes` asks for longer statements than `TELLING` does: a short one is an idiom where another text has it.
    """
    found: dict[str, tuple[Cell, str]] = {}
    for cell in week.cells:
        mark = MARKS.get(type(cell.words))
        if mark:
            hidden = _inside(cell.source, mark)
            for statement in _statements(cell.source):
                if hidden(statement) and _tells(statement, max(TELLING[mark], nodes)):
                    text = ast.unparse(statement)
                    found.setdefault(_squash(text), (cell, f"{cell.id}: {text.splitlines()[0]}"))
    return found


def shown(text: str, is_code: bool) -> str:
    """What a text shows, without layout: as it stands, and its code or fenced code as Python would write it."""
    if is_code:
        codes = [re.sub(r"^\s*[%!].*$", "", text, flags=re.MULTILINE)]
    else:
        codes = [body for _, body in FENCE.findall(text)]
    written = (";".join(_squash(ast.unparse(statement)) for statement in _statements(code)) for code in codes)
    return "\n".join([_squash(text), *written])


def find(known: Mapping[str, tuple[Cell, str]], face: str) -> list[tuple[Cell, str]]:
    """The secrets (see `secrets`) in what a text shows (see `shown`): their cell, and what they are."""
    return [told for secret, told in known.items() if secret in face]


def rubric_lines(week: Week) -> list[str]:
    """The lines of all rubrics that are long enough to tell something."""
    return [line for _, line in _rubric(week)]


def _rubric(week: Week) -> Iterator[tuple[Cell, str]]:
    for cell in week.of_kind(Written):
        for region in regions(cell.source, "SOLUTION"):
            yield from ((cell, line.strip()) for line in region.splitlines() if len(line.strip()) > 20)


def leaks(week: Week, learner: NotebookNode) -> list[Problem]:
    """Solution statements, hidden tests and rubric lines that stand in the learner's notebook."""
    known, places = secrets(week), {cell.id: cell for cell in week.cells}
    problems = []
    for cell in learner.cells:
        for secret, what in find(known, shown(cell.source, cell.cell_type == "code")):
            place = places.get(cell.id, secret)
            message = f"learner cell {cell.id!r} shows solution or hidden test code of {what!r}"
            remedy = "say it in other words there, or move it between the marks"
            problems.append(Problem(place.path, place.line, message, remedy))
    text = "\n".join(cell.source for cell in learner.cells)
    for place, rubric in _rubric(week):
        if rubric in text:
            problems.append(Problem(place.path, place.line, f"rubric line shown: {rubric!r}", "reword it"))
    return problems
