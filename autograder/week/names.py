"""Which names a cell defines and which it takes from outside, read off the compiled code."""

from __future__ import annotations

import ast
import dis
import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Protocol

from .cells import Cell, Explore, Look, Test


class Lesson(Protocol):
    """What has cells: a week, whose module reads names with this one."""

    @property
    def cells(self) -> Sequence[Cell]: ...


def codes(source: str) -> list[CodeType]:
    """The compiled cell, and the functions, classes and comprehensions in it; empty when it does not compile."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = [compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)]  # as IPython does
    except (SyntaxError, ValueError):
        return []
    for code in found:
        found += [part for part in code.co_consts if isinstance(part, CodeType)]
    return found


def _named(code: CodeType, *operations: str) -> set[str]:
    return {str(step.argval) for step in dis.get_instructions(code) if step.opname in operations}


def loaded(source: str) -> set[str]:
    """Names that a cell takes from outside of its functions: globals, not parameters or locals.

    Read off the compiled code, which knows the scopes of every version of Python.
    """
    found: set[str] = set()
    for number, code in enumerate(codes(source)):
        names = _named(code, "LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
        found |= names - _named(code, "STORE_NAME") if number else names
    return found


def defined(source: str) -> set[str]:
    """Names that a cell defines for the cells after it."""
    compiled = codes(source)
    own = _named(compiled[0], "STORE_NAME") if compiled else set()
    return own.union(*(_named(code, "STORE_GLOBAL") for code in compiled))


def reachable(week: Lesson, cell: Cell) -> set[str]:
    """Ids of the graded cells whose definitions a cell can reach through the names it uses."""
    makers: dict[str, list[Cell]] = {}
    for other in week.cells:
        if other.words.cell_type == "code" and not isinstance(other.words, Look | Explore | Test):
            for name in defined(other.source):
                makers.setdefault(name, []).append(other)
    found: set[str] = set()
    queue = [cell]
    while queue:
        current = queue.pop()
        found.add(current.id)
        needed = [maker for name in loaded(current.source) for maker in makers.get(name, [])]
        queue += [maker for maker in needed if maker.id not in found]
    return found
