"""Teams of warm processes that the attacks share: starting one costs a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autograder.building import lint, rules_names, rules_tests
from autograder.execution.job import Mode
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from . import lesson


@pytest.fixture(scope="module", autouse=True)
def lessons_that_compare_by_themselves() -> Iterator[None]:
    """The tests of these lessons do what authors are told not to do, such as `assert` on an answer,
    and they need not what their set-up imports.

    The judge must stand that, too.
    """
    left_out = (rules_tests.check_comparisons, rules_names.check_unused)
    left = tuple(rule for rule in lint.THEN if rule not in left_out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lint, "THEN", left)
        yield


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
