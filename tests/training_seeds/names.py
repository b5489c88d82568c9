"""What a lesson defines, for tests that train its reference over many seeds."""

from __future__ import annotations

import ast
import linecache
from typing import Any

from autograder.week.cells import Cell, Exercise, Explore, Given, Setup
from autograder.week.source import load_week

from ..chosen import ROOT

SEEDS = range(20)


def names_of(week_name: str, *cells: str) -> dict[str, Any]:
    """The names that the reference solutions of a week define; of some test or explore cells, functions and classes."""
    names: dict[str, Any] = {}
    for cell in load_week(ROOT / "solutions" / week_name).cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            exec(compile(cell.source, cell.id, "exec"), names)
        elif cell.id in cells:
            tree = ast.parse(cell.source)
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
            exec(compile(tree, cell.id, "exec"), names)
    return names


def names_with(week_name: str, *wanted: str) -> dict[str, Any]:
    """As `names_of`, and what explore cells define under these names, with the functions, classes and modules it needs.

    Constants of explore cells are only made when they are named: they may take a training to compute.
    """
    names: dict[str, Any] = {}
    week = load_week(ROOT / "solutions" / week_name)
    files = {cell.id: _as_file(week_name, cell) for cell in week.cells if cell.words.cell_type == "code"}
    parts = [(node, files[c.id]) for c in week.cells if isinstance(c.words, Explore) for node in _body(c)]
    nodes = [node for node, _ in parts]
    needed = set(wanted)
    while more := {name for node in nodes if _made(node) & needed for name in _needs(node)} - needed:
        needed |= more
    chosen = {id(node) for node in nodes if _made(node) & (set(wanted) if isinstance(node, ast.Assign) else needed)}
    for cell in week.cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            exec(compile(cell.source, files[cell.id], "exec"), names)
    for node, file in parts:
        if id(node) in chosen:
            exec(compile(ast.Module([node], []), file, "exec"), names)
    assert not set(wanted) - set(names), f"{week_name} defines no {', '.join(sorted(set(wanted) - set(names)))}"
    return names


def _as_file(week_name: str, cell: Cell) -> str:
    """The name of a file that only `linecache` knows, as for the cells of a kernel: what exports source reads it."""
    file = f"<{cell.id} of {week_name}>"
    linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
    return file


def _body(cell: Cell) -> list[ast.stmt]:
    return ast.parse(cell.source).body


def _made(node: ast.stmt) -> set[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(name.asname or name.name).partition(".")[0] for name in node.names}
    return {part.id for part in node.targets if isinstance(part, ast.Name)} if isinstance(node, ast.Assign) else set()


def _needs(node: ast.stmt) -> set[str]:
    """The names that a function, a class or a wanted constant reads."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
