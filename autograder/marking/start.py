"""What a grader begins with: the answers of a class from the record, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.errors import WorkbookError, short
from ..course.folder import Course
from ..course.groups import read_groups
from ..course.roster import read_roster
from ..gradebook.scores import standings
from ..repair.damage import DamagedError
from ..week.notebooks import Notebooks
from .answers import Part, questions, read_answers
from .marks import Marks
from .queue import Share, order
from .server import Round


def start(built: Notebooks, course: Course, grader: str, share: Share, names: bool) -> Round:
    """Read the written answers of everybody who is graded.

    Raises
    ------
    WorkbookError
        where the week has no written question, or nobody's work is graded.
    """
    week = built.week
    asked = questions(built)
    if not asked:
        raise WorkbookError(f"{week.name} has no written question", "nothing is to be marked by hand")
    learners = _one_of_each_group(list(standings(course, week.name)), read_groups(course, week.name))
    if not learners:
        what = f"nobody's work of {week.name} is graded in {short(course.folder)}"
        raise WorkbookError(what, f"collect and grade it first: workbook grade {week.name[:6]}")
    found: dict[str, dict[str, tuple[Part, ...]]] = {one.cell: {} for one in asked}
    unreadable: dict[str, str] = {}
    for learner in learners:
        try:
            answers = read_answers(course, week, learner, asked)
        except DamagedError as error:
            unreadable[learner] = str(error)
            continue
        for cell, parts in answers.items():
            found[cell][learner] = parts
    called = {one.learner: one.name or one.learner for one in read_roster(course)}
    return Round(
        built,
        asked,
        {one.cell: order(week.name, one, found[one.cell], share) for one in asked},
        Marks(course, week.name, grader),
        grader,
        {learner: called.get(learner, learner) for learner in learners} if names else {},
        unreadable,
    )


def _one_of_each_group(learners: Sequence[str], groups: Mapping[str, str]) -> list[str]:
    """Learners whose work is their own, and the first of each group: what is given to one counts for all members."""
    first: dict[str, str] = {}
    for learner in learners:
        if learner in groups:
            first.setdefault(groups[learner], learner)
    return [one for one in learners if one not in groups or first[groups[one]] == one]
