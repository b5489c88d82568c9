"""A warm team that the tests of one file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autograder.execution.pool import Team


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Team(2, libraries=()) as team:
        yield team
