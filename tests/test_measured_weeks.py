"""What weeks keep of real data: the commits that were measured are in the history, and the pictures are there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from autograder.week.locate import all_weeks
from autograder.week.measured import Measurement, read_measured

from .chosen import ROOT

KEPT = [
    pytest.param(ROOT / "solutions" / name, one, id=f"{name}-{data}")
    for name in all_weeks(ROOT)
    for data, one in read_measured(ROOT / "solutions" / name).cells.items()
]


def git(*words: str) -> int:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).returncode


@pytest.mark.parametrize(("folder", "kept"), KEPT)
def test_a_measured_commit_is_in_the_history(folder: Path, kept: Measurement) -> None:
    """A merge keeps it. Where commits were squashed or rewritten, what was measured can no longer be looked up."""
    if git("rev-parse", "HEAD"):
        pytest.skip("this checkout has no history")
    assert git("merge-base", "--is-ancestor", kept.commit, "HEAD") == 0, kept.commit


@pytest.mark.parametrize(("folder", "kept"), KEPT)
def test_kept_pictures_lie_beside_the_source_and_have_a_text(folder: Path, kept: Measurement) -> None:
    assert kept.printed
    assert [picture.file for picture in kept.pictures if not (folder / picture.file).is_file()] == []
    assert [picture.file for picture in kept.pictures if not picture.text] == []
