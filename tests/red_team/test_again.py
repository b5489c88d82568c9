"""Submitting again: grades that stand for work which does not deserve them, or change without a word.

With the defense off the keys of a test, and the questions before a score is written, are as they once were.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell

from autograder.course.folder import Course
from autograder.execution.job import Job, Run
from autograder.gradebook.store import recorded_scores, register
from autograder.grading import judge
from autograder.grading.grade import grade_week

from ..gradebook.test_ledger import Failing
from ..grading.test_grade import hand_in
from .harness import Case, answered
from .lesson import HONEST

SPOIL = "double = lambda number: 0"
PLACES = {"before the tests": "double-test-1", "between the tests": "double-test-2", "after the tests": "quadruple"}


def keys_by_text(job: Job, environment: str, unsafe: bool = False) -> dict[str, str]:
    """Test cell -> a hash of texts alone: no place, no id, no walls."""
    others = [(cell.kind, cell.exercise, cell.source) for cell in job.cells if cell.kind != "test"]
    base = [environment, job.limits.model_dump(), sorted(job.names), others]
    tests = [cell for cell in job.cells if cell.kind == "test"]
    return {cell.id: hashlib.sha256(json.dumps([base, cell.source]).encode()).hexdigest() for cell in tests}


def unchanged(job: Job, control: Job, crew: Any) -> tuple[Run, bool]:
    """A run that could not be judged stays as it is."""
    return crew.submit(job).result(), False


@dataclass(frozen=True)
class Again(Case):
    """Two submissions of one learner beside an honest one.

    Attributes
    ----------
    first, second : where the cell stands that spoils an answer; "" where there is none.
    defense : what is replaced with the defense off.
    off, on : points in the gradebook after it.
    """

    code: str = SPOIL
    off: str = "80"
    on: str = "50"
    first: str = "after the tests"
    second: str = "before the tests"
    defense: Mapping[str, Callable[..., Any]] = field(default_factory=lambda: {"keys_of_tests": keys_by_text})
    failing: tuple[str, ...] = ()


CASES = [
    Again("moved-before-the-tests", "points for an answer that a moved cell spoils",
        "the order of cells is in the key"),
    Again("moved-between-the-tests", "the same, for one of two tests", "the order of cells is in the key",
        second="between the tests", on="60"),
    Again("moved-behind-the-tests", "the other way round: points that are deserved, and not given",
        "the order of cells is in the key", first="before the tests", second="after the tests", off="50", on="80"),
    Again("judge-ended-at-will", "an old grade that stands for work which is never judged",
        "what alone cannot be judged is tried again beside the course's own answers, and is TAMPERED",
        second="after the tests", on="0", failing=("learner",), defense={"tried_alone": unchanged}),
]  # fmt: skip


@pytest.fixture(scope="module")
def registered(plain: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    course = Course.at(tmp_path_factory.mktemp("registered"), Path("course"))
    register(plain, course)
    return course.gradebook


def with_cell(notebook: Any, place: str, code: str) -> Any:
    notebook = copy.deepcopy(notebook)
    number = next(number for number, cell in enumerate(notebook.cells) if cell.id == PLACES[place])
    notebook.cells.insert(number, new_code_cell(code, id="mine"))
    return notebook


def scores(case: Again, plain: Any, registered: Path, folder: Path) -> dict[str, float]:
    """What the gradebook holds after both gradings."""
    course = Course.at(folder, Path("course"))
    course.folder.mkdir(parents=True)
    shutil.copy(registered, course.gradebook)
    right = answered(plain, HONEST)
    for place, crew in ((case.first, Failing()), (case.second, Failing(*case.failing))):
        hand_in(course, "honest", right)
        hand_in(course, "learner", with_cell(right, place, case.code + "  # again" * len(crew.names)))
        grade_week(plain.week.folder, course, crew=crew, unsafe=True, feedback=False)
    return {name: sum(found.values()) for name, found in recorded_scores(course, plain.week).items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_work_that_is_submitted_again_gets_what_it_deserves(
    case: Again, plain: Any, registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = scores(case, plain, registered, tmp_path / "on")
    with monkeypatch.context() as patch:
        for name, careless in case.defense.items():
            patch.setattr(judge, name, careless)
        off = scores(case, plain, registered, tmp_path / "off")
    assert (f"{off['learner']:g}", f"{on['learner']:g}") == (case.off, case.on)
    assert (off["honest"], on["honest"]) == (80, 80)
