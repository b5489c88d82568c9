"""Teams of warm processes that the attacks share: starting one costs a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autograder.build import Notebooks
from autograder.runner import Mode, Team

from . import lesson


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return lesson.write(tmp_path_factory.mktemp("plain"), lesson.PLAIN)


@pytest.fixture(scope="session")
def together() -> Iterator[Team]:
    """All cells in one process."""
    with Team(2, mode=Mode.NOTEBOOK) as team:
        yield team


@pytest.fixture(scope="session")
def unsafe() -> Iterator[Team]:
    """Answers in a process of their own, without a sandbox."""
    with Team(2, mode=Mode.UNSAFE) as team:
        yield team


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Team]:
    with Team(2, mode=Mode.SANDBOX) as team:
        yield team
