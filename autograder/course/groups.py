"""Who submitted together in a week: `course/groups/WEEK.json`, which `workbook collect` writes and nobody else.

Every member has the group's work in a folder of their own, so all that reads the gradebook knows them. The work is
graded once, and points and comments that a person gives to one member's written answers count for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..core.files import write_text
from .folder import Course


def read_groups(course: Course, week: str) -> dict[str, str]:
    """Learner -> the name of the group whose work is theirs, in the order of the learners."""
    try:
        told = json.loads(_file(course, week).read_text(encoding="utf-8"))
        return {str(learner): str(group) for learner, group in sorted(told.items())}
    except (OSError, ValueError, AttributeError):
        return {}


def write_groups(course: Course, week: str, groups: Mapping[str, str]) -> None:
    """Replace the groups of a week; no file where there never was one and none is needed."""
    if groups or _file(course, week).exists():
        write_text(_file(course, week), json.dumps(dict(sorted(groups.items())), ensure_ascii=False, indent=1) + "\n")


def _file(course: Course, week: str) -> Path:
    return course.folder / "groups" / f"{week}.json"
