"""What `workbook doctor` says about a machine that is to grade."""

from __future__ import annotations

import os

import pytest

from autograder.learner import doctor

from .chosen import ROOT


def found(what: str) -> doctor.Finding:
    (one,) = [one for one in doctor.examine(ROOT) if one.what == what]
    return one


@pytest.mark.parametrize(("cores", "gib", "workers"), [(4, 16, ""), (8, 9, "--workers 2"), (2, 3, "--workers 1")])
def test_the_memory_holds_so_many_submissions_at_a_time(
    monkeypatch: pytest.MonkeyPatch, cores: int, gib: float, workers: str
) -> None:
    """Each may use 4 GiB."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(doctor, "_memory_gib", lambda: gib)
    finding = found("at a time")
    assert f"{cores} submissions at a time may use up to {4 * cores} GiB" in finding.found
    assert finding.remedy.endswith(workers)
    assert bool(finding.remedy) == bool(workers)
    assert finding.role == doctor.GRADE


def test_the_means_that_limit_a_sandbox_are_named() -> None:
    finding = found("limits")
    assert f"a core for each sandbox, of {len(os.sched_getaffinity(0))}" in finding.found
    assert finding.remedy == ""
