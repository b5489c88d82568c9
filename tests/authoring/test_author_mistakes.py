"""Each mistake of an author is told once, with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.authoring.verify import load_proofs
from autograder.building.build import stale, write_week

from ..author_mistakes.table import MISTAKES
from ..author_mistakes.week import problems, sound_week


def test_the_week_that_the_mistakes_are_made_in_is_sound(tmp_path: Path) -> None:
    folder = sound_week(tmp_path)
    built, _ = load_proofs(folder)
    write_week(built, tmp_path)
    assert stale(built, tmp_path) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_problem_with_file_line_and_remedy(tmp_path: Path, name: str) -> None:
    folder, mistake = sound_week(tmp_path), MISTAKES[name]
    mistake.make(folder)
    (problem,) = problems(mistake.verb, folder)
    assert (problem.path, problem.line) == mistake.place(folder)
    assert mistake.says in problem.message
    assert problem.remedy
    assert "\n" not in str(problem)
