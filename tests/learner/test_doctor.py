"""The doctor says what is needed for which role; nobody needs more than learning needs in order to learn."""

from __future__ import annotations

import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from autograder.learner import doctor
from autograder.learner.doctor import GRADE, LEARN, WRITE, Finding, examine
from autograder.learner.start import start_week

from .conftest import WEEK, Workbook


def found(root: Path) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(root)}


def test_a_bundle_has_all_that_learning_needs(bundle: Path, workbook: Workbook) -> None:
    code, out, err = workbook("doctor")
    assert (code, err) == (0, "")
    sections = [line for line in out.splitlines() if line.startswith("to ")]
    assert sections == ["to learn", "to grade other people's work", "to write weeks"]
    assert "✓ weeks/: 1 released" in out
    assert "✓ solutions/: not here, as in every learner's bundle" in out
    assert "no week begun: workbook start 1" in out


def test_roles(bundle: Path) -> None:
    roles = {name: finding.role for name, finding in found(bundle).items()}
    assert {roles[name] for name in ("Python", "torch", "jupyterlab", "watchfiles", "work/", "fast checks")} == {LEARN}
    assert (roles["sandbox"], roles["nbgrader"], roles["jupytext"]) == (GRADE, GRADE, WRITE)


def test_a_missing_package_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> str:
        if name == "watchfiles":
            raise PackageNotFoundError
        return version(name)

    monkeypatch.setattr(doctor, "version", without)
    assert found(bundle)["watchfiles"] == Finding("watchfiles", "not installed", "run `make setup`", LEARN)


def test_work_that_cannot_be_written(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_week(bundle, WEEK)
    assert found(bundle)["work/"].found == "1 begun"
    monkeypatch.setattr("os.access", lambda *_: False)
    assert found(bundle)["work/"].remedy.startswith("chmod")
    monkeypatch.undo()
    (bundle / "work").rename(bundle / "elsewhere")
    (bundle / "work").touch()
    assert found(bundle)["work/"].found == "is a file"


def test_a_damaged_release_is_named(bundle: Path) -> None:
    (bundle / "weeks" / WEEK / "tiny.ipynb").write_text("{", encoding="utf-8")
    assert "the file breaks off" in found(bundle)["weeks/"].found
    assert found(bundle)["weeks/"].remedy == "get this file from the course again"


def test_checks_without_a_warm_process_are_no_fault(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    finding = found(bundle)["fast checks"]
    assert finding.remedy == ""
    assert "import their libraries each time" in finding.found
