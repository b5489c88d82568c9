"""Whether version, CHANGELOG and tag say the same: `make release-check`, before a release and in its workflow.

Exit status 1, with a line for each thing that is wrong and what to do about it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from autograder.core.errors import Problem

from .chosen import ROOT

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
RELEASED = re.compile(r"## (?P<version>\S+) \((?P<date>\S+)\)")
OPEN = "## Not released yet"
"""The heading of the CHANGELOG's first section between two releases."""


def git(root: Path, *words: str) -> str:
    """What git prints; "" where it fails, such as for a tag that is not there."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def numbers(version: str) -> tuple[int, ...]:
    """`0.10.2` -> (0, 10, 2), which compare as versions do."""
    return tuple(map(int, version.split(".")))


def version_of(root: Path) -> str:
    found: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def problems(root: Path) -> Iterator[Problem]:
    """What keeps the commit that is checked out from being a release; nothing where all agrees."""
    version = version_of(root)
    yield from _of_the_version(root, version)
    yield from _of_the_changelog(root, version)
    if VERSION.fullmatch(version):
        yield from _of_the_tags(root, version)
    if git(root, "status", "--porcelain"):
        yield Problem(root, 1, "files are changed that no commit holds", "commit them, or put them aside")


def _of_the_version(root: Path, version: str) -> Iterator[Problem]:
    path = root / "pyproject.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("version"))
    if not VERSION.fullmatch(version):
        yield Problem(path, line, f"the version is {version}", "three numbers, such as 1.4.0")
        return
    older = [tag.removeprefix("v") for tag in git(root, "tag", "--list", "v*").splitlines()]
    older = [one for one in older if VERSION.fullmatch(one)]
    newest = max(older, key=numbers, default="")
    if newest and numbers(version) < numbers(newest):
        yield Problem(path, line, f"the version is {version}, and v{newest} is released", "choose a newer one")


def _of_the_changelog(root: Path, version: str) -> Iterator[Problem]:
    path = root / "CHANGELOG.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    sections = [number for number, text in enumerate(lines, 1) if text.startswith("## ")]
    if not sections:
        yield Problem(path, 1, "there is no section", f"write `## {version} ({date.today()})` and what changed")
        return
    first, end = sections[0], [*sections[1:], len(lines) + 1][0]
    heading = lines[first - 1]
    found = RELEASED.fullmatch(heading)
    if heading == OPEN:
        yield Problem(path, first, "its first section is not released", f"head it `## {version} ({date.today()})`")
    elif found is None:
        yield Problem(path, first, f"`{heading}` names no release", f"head it `## {version} ({date.today()})`")
    elif found["version"] != version:
        remedy = "give both the same version"
        yield Problem(path, first, f"it ends with {found['version']}, pyproject.toml says {version}", remedy)
    elif not _is_a_day(found["date"]):
        yield Problem(path, first, f"`{found['date']}` is not a day", f"write it as {date.today()}")
    if not any(text.strip() for text in lines[first : end - 1]):
        yield Problem(path, first, "its first section is empty", "say what changed for learners, instructors, authors")


def _is_a_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _of_the_tags(root: Path, version: str) -> Iterator[Problem]:
    """A tag of this version is on this commit; a commit with a tag of a version has no other."""
    head, path = git(root, "rev-parse", "HEAD"), root / "pyproject.toml"
    tagged = git(root, "rev-list", "-n", "1", f"v{version}") if git(root, "tag", "--list", f"v{version}") else ""
    if tagged and tagged != head:
        yield Problem(path, 1, f"v{version} is the tag of {tagged[:8]}, not of this commit", "raise the version")
    for tag in git(root, "tag", "--points-at", "HEAD", "--list", "v*").splitlines():
        if tag != f"v{version}":
            remedy = f"where it is not pushed yet: git tag -d {tag}"
            yield Problem(path, 1, f"this commit has the tag {tag}, and is {version}", remedy)


def main() -> None:
    found = list(problems(ROOT))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(1)
    version = version_of(ROOT)
    tagged = git(ROOT, "tag", "--list", f"v{version}")
    print(f"{version}: version and CHANGELOG agree" + (", and the tag" if tagged else f" -> git tag -a v{version}"))


if __name__ == "__main__":
    main()
