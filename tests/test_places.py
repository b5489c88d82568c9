"""Where the learner's code is while a cell runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from autograder.engine.places import place


def frame(file: Path, line: int | None, back: Any = None) -> Any:
    code = SimpleNamespace(co_filename=str(file), co_name="forward")
    return cast(Any, SimpleNamespace(f_code=code, f_lineno=line, f_back=back))


def test_an_instruction_that_belongs_to_no_line_is_passed_over(tmp_path: Path) -> None:
    cell = tmp_path / "cell.py"
    cell.write_text("scores = query @ key\n")
    assert place(frame(cell, None)) == {}
    assert place(frame(cell, None, back=frame(cell, 1))) == {
        "line": 1,
        "text": "scores = query @ key",
        "function": "forward",
    }
