"""What the repository hands out in `weeks/` is what the builder makes, and nothing that a notebook wrote there."""

from __future__ import annotations

import subprocess

import pytest

from autograder.week.locate import all_weeks

from .chosen import ROOT


@pytest.mark.parametrize("week", all_weeks(ROOT))
def test_a_week_holds_its_notebook_and_the_pictures_of_its_source(week: str) -> None:
    asked = ["git", "ls-files", f"weeks/{week}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout:
        pytest.skip("this is not a checkout of the repository")
    found = {line.removeprefix(f"weeks/{week}/") for line in done.stdout.splitlines()}
    source = ROOT / "solutions" / week
    assert found == {f"{week[7:]}.ipynb", *(path.name for path in source.glob("*.png"))}
