"""The pairs of a week as a page: what both wrote side by side, the common parts marked. For the instructor alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.files import write_text
from ..core.texts import clean
from ..course.folder import Course
from ..course.groups import read_groups
from ..course.roster import read_roster
from ..gradebook.scores import standings
from ..gradebook.store import recorded_notebook
from ..rendering.templates import render
from ..repair.damage import DamagedError
from ..week.cells import Written
from ..week.headings import question, title
from ..week.notebooks import Notebooks
from .compare import OWN, Answer, Pair, answers_of, given, pairs

MOST_PAIRS = 50
LONGEST = 20_000
MOST_LINES = 400


def similar(built: Notebooks, course: Course) -> tuple[list[Pair], dict[str, str], Path]:
    """Compare everybody's recorded answers of a week, and write `course/WEEK_similar.html`.

    Returns
    -------
    The pairs, learners whose notebook could not be read -> why, and the page.

    Raises
    ------
    WorkbookError
        where nobody's work is graded.
    """
    week = built.week
    learners = list(standings(course, week.name))
    if not learners:
        what = f"nobody's work of {week.name} is graded in {short(course.folder)}"
        raise WorkbookError(what, f"collect and grade it first: workbook grade {week.name[:6]}")
    answers: list[Answer] = []
    unreadable: dict[str, str] = {}
    for learner in learners:
        try:
            notebook = recorded_notebook(course, week, learner)
        except DamagedError as error:
            unreadable[learner] = str(error)
            continue
        answers += answers_of(built, learner, {cell.id: cell.source for cell in notebook.cells})
    found = pairs(answers, given(built), len(learners), read_groups(course, week.name))
    names = {one.learner: one.name for one in read_roster(course) if one.name}
    path = course.folder / f"{week.name}_similar.html"
    write_text(path, page(built, found, names, len(learners)))
    return found, unreadable, path


def page(built: Notebooks, found: Sequence[Pair], names: Mapping[str, str], learners: int) -> str:
    """The page as text. `names`: learner -> how they are called, where that is known."""
    week = built.week
    titles = {name: title(built, name) for name in week.exercises}
    titles |= {cell.id: question(cell.source) for cell in week.of_kind(Written)} | {OWN: "Cells of their own"}
    return render(
        "similar.html",
        week=week,
        pairs=found[:MOST_PAIRS],
        left_out=max(0, len(found) - MOST_PAIRS),
        names=names,
        titles=titles,
        learners=learners,
        lines=_lines,
    )


def _lines(answer: Answer, common: frozenset[int]) -> list[tuple[str, bool]]:
    """The lines of an answer, and whether each is common."""
    text = clean(answer.source, LONGEST, MOST_LINES)
    return [(line, number in common) for number, line in enumerate(text.split("\n"), 1)]
