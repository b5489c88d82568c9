"""Where a cell is that takes long: the line that is told while it runs."""

from __future__ import annotations

import linecache
import sys
from types import FrameType, SimpleNamespace
from typing import Any, cast

from autograder.engine.places import place

CELL = "found = seen(sys._getframe())\n"


def test_a_frame_between_two_lines_is_passed_over() -> None:
    """Python gives None as its line there; an error in the handler of a signal would be one of the learner's code."""

    def seen(frame: FrameType) -> dict[str, Any]:
        return place(cast("Any", SimpleNamespace(f_code=frame.f_code, f_lineno=None, f_back=frame)))

    linecache.cache["a cell"] = (len(CELL), None, [CELL], "a cell")
    names: dict[str, Any] = {"sys": sys, "seen": seen}
    exec(compile(CELL, "a cell", "exec"), names)
    assert names["found"] == {"line": 1, "text": CELL.strip(), "function": ""}
