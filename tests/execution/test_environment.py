"""What a verdict depends on besides week and answer: code that judges, checks, Python, libraries."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

import autograder
import shared
from autograder.engine.cell_kinds import ANSWER, TEST
from autograder.execution import fingerprint as module
from autograder.execution.fingerprint import (
    JUDGING,
    environment,
    environment_of,
    imported_libraries,
    judging_files,
    versions,
)
from autograder.execution.job import Code, Job, Mode
from autograder.execution.pool import Team
from autograder.week.locate import all_weeks, find_root
from autograder.week.source import load_week

ROOT = find_root(Path(__file__).parent)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    caches = environment, environment_of, versions
    for one in caches:
        one.cache_clear()
    yield
    for one in caches:
        one.cache_clear()


def test_every_module_that_is_named_is_there() -> None:
    assert all((module.PACKAGE / name).exists() for name in JUDGING)
    assert {path.name for path in judging_files()} >= {"judge.py", "handles.py", "repair.py", "pool.py"}


def test_the_environment_depends_on_the_engine_the_checks_and_torch_but_not_on_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, target in ((autograder, (module, "PACKAGE")), (shared, (shared, "__file__"))):
        copied = tmp_path / package.__name__
        shutil.copytree(Path(str(package.__file__)).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(*target, copied if package is autograder else str(copied / "__init__.py"))
    keys = [environment()]

    def now() -> str:
        environment.cache_clear()
        return environment()

    assert now() == keys[0]
    for name in ("autograder/engine/judge.py", "autograder/repair/repair.py", "shared/checks.py"):
        (tmp_path / name).write_text("# changed\n", encoding="utf-8")
        keys.append(now())
    for name in ("autograder/commands/tables.py", "autograder/feedback/pages.py"):
        (tmp_path / name).write_text("# changed\n", encoding="utf-8")
        assert now() == keys[-1]
    monkeypatch.setattr(module, "versions", lambda: {"torch": "0.0.1"})
    keys.append(now())
    assert len(set(keys)) == len(keys)


def test_a_library_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARIES", ("torch", "surely-not-installed"))
    found = versions()
    assert found["torch"]
    assert found["surely-not-installed"] == ""
    assert found["python"].startswith("3.")


def test_every_library_that_a_week_preloads_is_in_its_key() -> None:
    distributions = packages_distributions()
    for name in all_weeks(ROOT):
        week = load_week(ROOT / "solutions" / name)
        known = {package.lower() for package in versions(imported_libraries(week.code))}
        preloaded = {module.partition(".")[0] for module in week.info.libraries} - {"shared"}  # by its files
        assert "torch" in preloaded
        for top in preloaded:
            assert {package.lower() for package in distributions[top]} & known, (name, top)


@pytest.mark.parametrize(
    ("lesson", "expected"),
    [
        ("import os\nimport torch\nfrom shared import checks", ()),
        ("import nbformat.v4\nfrom rich.table import Table", ("nbformat", "rich")),
        ("def judge():\n    from msgpack import packb\n    import dask", ("dask",)),
        ("from . import nbformat\nfrom .dask import Client", ()),
        ("import surely_not_installed", ()),
        ("import dask\nthis is no Python", ()),
    ],
)
def test_a_library_counts_for_the_weeks_that_import_it(
    monkeypatch: pytest.MonkeyPatch, lesson: str, expected: tuple[str, ...]
) -> None:
    assert imported_libraries(lesson) == expected
    before = environment_of(lesson)
    monkeypatch.setattr(
        "autograder.execution.fingerprint.version",
        lambda name: "0.0.1" if name in ("dask", "nbformat") else version(name),
    )
    versions.cache_clear()
    environment_of.cache_clear()
    assert (environment_of(lesson) != before) == bool(expected)


def test_variables_of_whoever_grades_decide_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONOPTIMIZE no assertion of a test would be checked; with another profile its sizes would be others."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("PROFILE", "gpu")
    test = "import os\nassert 'PROFILE' not in os.environ, 'a profile'\nassert answer == 2, 'wrong'"
    cells = (Code("answer", "answer = 1", ANSWER, "answer"), Code("test", test, TEST, "answer"))
    with Team(1, mode=Mode.UNSAFE) as team:
        (run,) = team.run([Job("ann", cells, names=("answer",))])
    assert run.cells["test"].message == "AssertionError: wrong"
