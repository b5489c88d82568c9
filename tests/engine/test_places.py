"""Where a busy cell is: the innermost line of the learner's code, read from frames as Python leaves them."""

from __future__ import annotations

import linecache
import sys
from types import FunctionType

from autograder.engine.progress import place

SOURCE = "def busy():\n    return look()\n"


def function_of_a_cell() -> FunctionType:
    """A function of a cell that calls `look`."""
    namespace: dict[str, object] = {}
    linecache.cache["<cell busy>"] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), "<cell busy>")
    exec(compile(SOURCE, "<cell busy>", "exec"), namespace)
    busy = namespace["busy"]
    assert isinstance(busy, FunctionType)
    return busy


def test_the_innermost_line_is_told() -> None:
    busy = function_of_a_cell()
    told: list[object] = []
    busy.__globals__["look"] = lambda: told.append(place(sys._getframe(1)))
    busy()
    assert told == [{"line": 2, "text": "return look()", "function": "busy"}]


def test_an_instruction_without_a_line_ends_nothing() -> None:
    """A timer may strike at one that the compiler added: what is told is where it was called from."""
    busy = function_of_a_cell()
    told: list[object] = []
    bare = FunctionType(busy.__code__.replace(co_linetable=b""), {"look": lambda: told.append(place(sys._getframe(1)))})
    busy.__globals__["look"] = bare
    busy()
    assert told == [{"line": 2, "text": "return look()", "function": "busy"}]
