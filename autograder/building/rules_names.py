"""Rules about names: each one is imported or defined somewhere, before it is needed, and where grading sees it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from ..core.errors import Problem
from ..week.cells import Cell, Explore, Look, Setup, Test
from ..week.names import defined, loaded
from ..week.source import Week
from .rules import Finding, parsed
from .rules_files import importable

SKIPPED = Look | Explore
KNOWN = {*dir(builtins), "__annotations__", "__name__", "__file__", "FORBIDDEN", "get_ipython"}
"""Names that are there without an import; FORBIDDEN comes from the word `forbids`."""


def _code(week: Week) -> list[Cell]:
    return [cell for cell in week.cells if cell.words.cell_type == "code"]


def _line(cell: Cell, name: str) -> int:
    """The first line of a cell that uses a name; 0 where it is not in plain sight."""
    found = (node.lineno for node in ast.walk(parsed(cell.source)) if isinstance(node, ast.Name) and node.id == name)
    return min(found, default=0)


def check_missing(week: Week, problem: Finding) -> Iterator[Problem]:
    """A name that no cell imports or defines is told once, however many cells need it."""
    if not week.of_kind(Setup):
        return  # that is told, and what is missing would stand there
    everywhere = KNOWN.union(*(defined(cell.source) for cell in _code(week)))
    users: dict[str, list[Cell]] = {}
    for cell in _code(week):
        for name in sorted(loaded(cell.source) - everywhere):
            users.setdefault(name, []).append(cell)
    for name, cells in users.items():
        many = f"; {len(cells)} cells use it, this is the first" if len(cells) > 1 else ""
        message = f"{name!r} is neither imported nor defined{many}"
        remedy = "import it in the set-up cell, define it, or correct its spelling"
        yield problem(cells[0], message, remedy, line=_line(cells[0], name))


def check_order(week: Week, problem: Finding) -> Iterator[Problem]:
    """A test needs nothing that a later cell defines, and no cell does while it runs from top to bottom.

    (What stands in the functions of an answer may be defined below: they are called later.)
    """
    cells = _code(week)
    makers: dict[str, list[Cell]] = {}
    for cell in cells:
        for name in defined(cell.source):
            makers.setdefault(name, []).append(cell)
    for cell in cells:
        needed = loaded(cell.source) if isinstance(cell.words, Test) else loaded_at_once(cell.source)
        for name in sorted(needed & set(makers)):
            if week.before(cell, makers[name][0]):
                maker = makers[name][0]
                where = f"line {maker.line}" if maker.path == cell.path else f"{maker.path.name}:{maker.line}"
                message = f"{cell.id} needs {name!r}, which {maker.id} defines below ({where})"
                yield problem(cell, message, "move one of the two cells", line=_line(cell, name))


def loaded_at_once(source: str) -> set[str]:
    """Names that a cell needs while it runs, outside of the functions and classes that it defines."""
    functions_and_classes = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    outside = [node for node in parsed(source).body if not isinstance(node, functions_and_classes)]
    functions = {n for node in outside for n in ast.walk(node) if isinstance(n, ast.Lambda | ast.FunctionDef)}
    inside = {n for function in functions for n in ast.walk(function)}
    names = {n.id for node in outside for n in ast.walk(node) if isinstance(n, ast.Name) and n not in inside}
    return names & loaded(source)


def check_explore(week: Week, problem: Finding) -> Iterator[Problem]:
    """What is graded must not need what is skipped: graded cells load no name that only a skipped cell sets."""
    skipped = {name for cell in _code(week) if isinstance(cell.words, SKIPPED) for name in defined(cell.source)}
    graded = [cell for cell in _code(week) if not isinstance(cell.words, SKIPPED)]
    available = {name for cell in graded for name in defined(cell.source)}
    for cell in graded:
        for name in sorted((loaded(cell.source) & skipped) - available):
            message = f"uses {name!r}, which only a look or explore cell sets"
            yield problem(cell, message, "set it in a graded cell", line=_line(cell, name))


def check_unused(week: Week, problem: Finding) -> Iterator[Problem]:
    """What a set-up cell imports is used by some cell: it is one of the first lines that a learner reads."""
    used = {node.id for cell in _code(week) for node in ast.walk(parsed(cell.source)) if isinstance(node, ast.Name)}
    for cell in week.of_kind(Setup):
        for node in parsed(cell.source).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module if isinstance(node, ast.ImportFrom) else ""
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    if name not in used and importable(module or alias.name):
                        yield problem(cell, f"{name!r} is imported, and no cell uses it", "remove it", line=node.lineno)


RULES = (check_missing, check_order, check_explore, check_unused)
