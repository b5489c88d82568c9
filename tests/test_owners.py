"""Each folder has an owner for reviews, and no line names a folder that is gone."""

from __future__ import annotations

import re
import subprocess

import pytest

from .chosen import ROOT

LINES = [
    line.split()
    for line in (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
TEAMS = {"maintainers", "authors", "grading", "teaching"}


@pytest.mark.parametrize(("pattern", "owners"), [(line[0], line[1:]) for line in LINES])
def test_a_line_names_what_exists_and_teams_that_are_explained(pattern: str, owners: list[str]) -> None:
    assert pattern == "*" or (ROOT / pattern.strip("/")).exists()
    assert pattern == "*" or (ROOT / pattern.strip("/")).is_dir() == pattern.endswith("/")
    assert owners
    assert {owner.removeprefix("@workbook/") for owner in owners} <= TEAMS


def test_what_has_no_line_of_its_own_belongs_to_the_maintainers() -> None:
    assert LINES[0] == ["*", "@workbook/maintainers"], "the last matching line counts, so this one is first"


def test_the_file_explains_its_teams() -> None:
    text = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8")
    assert set(re.findall(r"^#   (\w+) ", text, re.MULTILINE)) == TEAMS


def test_no_other_top_level_folder_appears_unnoticed() -> None:
    """README and docs/maintaining.md tell what each folder is."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout:
        pytest.skip("this is not a checkout of the repository")
    folders = {name.split("/")[0] for name in done.stdout.splitlines() if "/" in name}
    told = (ROOT / "docs" / "maintaining.md").read_text(encoding="utf-8")
    named = {
        name for row in re.findall(r"^\| (`[^|]+`) \|", told, re.MULTILINE) for name in re.findall(r"`([\w.]+)/`", row)
    }
    assert folders - {"docs"} <= named
