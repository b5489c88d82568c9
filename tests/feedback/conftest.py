"""A class to write pages for."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.course.folder import Course


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")
