"""A release is refused where version, CHANGELOG and tag do not agree."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .chosen import ROOT
from .release import git, numbers, problems, version_of
from .repositories import commit, repository

CHANGES = "# Changes\n\n## 1.4.0 (2026-03-02)\n\n- Week 12.\n\n## 1.3.9 (2026-02-01)\n\n- Week 11.\n"


def project(version: str) -> str:
    return f'[project]\nname = "x"\nversion = "{version}"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository that may be released as 1.4.0, after v1.3.9."""
    repository(tmp_path, {"pyproject.toml": project("1.3.9"), "CHANGELOG.md": CHANGES})
    git(tmp_path, "tag", "v1.3.9")
    commit(tmp_path, {"pyproject.toml": project("1.4.0")})
    return tmp_path


def told(root: Path) -> list[str]:
    return [problem.message for problem in problems(root)]


def test_a_release_that_agrees_is_accepted_before_and_after_its_tag(root: Path) -> None:
    assert told(root) == []
    git(root, "tag", "-a", "v1.4.0", "-m", "1.4.0")
    assert git(root, "rev-list", "-n", "1", "v1.4.0") == git(root, "rev-parse", "HEAD")
    assert told(root) == []


def write_version(version: str) -> Callable[[Path], object]:
    return lambda root: commit(root, {"pyproject.toml": project(version)})


def write_changes(text: str) -> Callable[[Path], object]:
    return lambda root: commit(root, {"CHANGELOG.md": text})


def tag_an_older_commit(root: Path) -> None:
    git(root, "tag", "v1.4.0")
    commit(root, {"later.txt": "something else\n"})


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (write_version("1.4"), "the version is 1.4"),
        (write_version("1.4.0rc1"), "the version is 1.4.0rc1"),
        (write_version("1.3.10"), "it ends with 1.4.0, pyproject.toml says 1.3.10"),
        (write_version("1.3.8"), "the version is 1.3.8, and v1.3.9 is released"),
        (write_changes(CHANGES.replace("1.4.0", "1.5.0")), "it ends with 1.5.0, pyproject.toml says 1.4.0"),
        (
            write_changes(CHANGES.replace("## 1.4.0 (2026-03-02)", "## Not released yet")),
            "first section is not released",
        ),
        (write_changes(CHANGES.replace(" (2026-03-02)", "")), "`## 1.4.0` names no release"),
        (write_changes(CHANGES.replace("2026-03-02", "2026-02-30")), "`2026-02-30` is not a day"),
        (write_changes(CHANGES.replace("- Week 12.\n", "")), "its first section is empty"),
        (write_changes("# Changes\n"), "there is no section"),
        (tag_an_older_commit, "v1.4.0 is the tag of "),
        (lambda root: git(root, "tag", "v2.0.0"), "this commit has the tag v2.0.0, and is 1.4.0"),
        (lambda root: (root / "CHANGELOG.md").write_text(CHANGES + "\n"), "files are changed that no commit holds"),
    ],
)
def test_what_does_not_agree_is_told(root: Path, mistake: Callable[[Path], object], message: str) -> None:
    mistake(root)
    assert any(message in one for one in told(root)), told(root)


def test_versions_are_compared_as_numbers() -> None:
    assert sorted(["0.10.0", "0.9.1", "0.9.10"], key=numbers) == ["0.9.1", "0.9.10", "0.10.0"]


def test_the_project_has_a_version_and_one_open_or_released_section_on_top() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", version_of(ROOT))
    found = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found[0] == "Not released yet" or re.fullmatch(
        rf"{re.escape(version_of(ROOT))} \(\d{{4}}-\d\d-\d\d\)", found[0]
    )
    assert "Not released yet" not in found[1:]
