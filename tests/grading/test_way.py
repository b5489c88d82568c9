"""The way of a submission through the grader stays short and straight."""

from __future__ import annotations

import pytest

from ..way import Way, followed

STAGES = ["grading/plan", "grading/judge", "grading/commit", "grading/tell"]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    return followed(tmp_path_factory.mktemp("way"))


def test_a_submission_goes_from_stage_to_stage_and_never_back(way: Way) -> None:
    stages = [call.module for call in way.calls if call.module in STAGES]
    assert list(dict.fromkeys(stages)) == STAGES
    assert stages == sorted(stages, key=STAGES.index)


def test_a_submission_comes_back_to_few_modules(way: Way) -> None:
    """Before there was one record of it there were 12 returns, and 9 types stood for it."""
    assert way.returns <= 8, way.stays
    assert way.types <= {"Submission", "PosixPath", "Repaired", "NotebookNode", "Job", "Run", "Graded"}
