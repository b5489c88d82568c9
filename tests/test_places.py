"""Where the learner's code is while a cell runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from autograder.engine.places import place


def frame(line: int | None, back: Any = None) -> Any:
    code = SimpleNamespace(co_filename=__file__, co_name="forward")
    return cast(Any, SimpleNamespace(f_code=code, f_lineno=line, f_back=back))


def test_an_instruction_that_belongs_to_no_line_is_passed_over() -> None:
    assert place(frame(None)) == {}
    assert place(frame(None, back=frame(1)))["line"] == 1
