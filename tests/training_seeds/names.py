"""What a lesson defines, for tests that train its reference over many seeds."""

from __future__ import annotations

import ast
from typing import Any

from autograder.source import Exercise, Explore, Given, Setup, load_week

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
    """As `names_of`, and what explore cells define under these names: functions, classes and constants."""
    names: dict[str, Any] = {}
    for cell in load_week(ROOT / "solutions" / week_name).cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            exec(compile(cell.source, cell.id, "exec"), names)
        elif isinstance(cell.words, Explore):
            tree = ast.parse(cell.source)
            tree.body = [node for node in tree.body if _defined(node) & set(wanted)]
            exec(compile(tree, cell.id, "exec"), names)
    assert not set(wanted) - set(names), f"{week_name} defines no {', '.join(sorted(set(wanted) - set(names)))}"
    return names


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {part.id for part in node.targets if isinstance(part, ast.Name)} if isinstance(node, ast.Assign) else set()
