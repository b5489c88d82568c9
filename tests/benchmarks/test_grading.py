"""What `make bench-grading` measures: its class is built from the weeks as they are now."""

from __future__ import annotations

from pathlib import Path

import nbformat

from autograder.execution.verdicts import Verdict
from benchmarks.grading import free_class
from tests.inprocess import judge


def test_the_free_class_hands_in_right_answers_of_a_week_that_imports_torch(tmp_path: Path) -> None:
    group = free_class(2, tmp_path)
    assert "import torch" in group.built.instructor.cells[1].source
    assert len(group.learners) == 2
    for text in group.learners.values():
        answers = {cell.id: cell.source for cell in nbformat.reads(text, 4).cells}
        verdicts = judge(group.built, answers)
        assert verdicts
        assert {done.verdict for done in verdicts.values()} == {Verdict.PASS}
