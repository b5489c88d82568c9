"""Feedback once more, from the record: what machines said when the work was graded, and what people gave since.

The facts are those of `feedback.json`; written answers, changed scores and comments come from the gradebook, where
the formgrader puts them. Nothing is graded, and no code of a learner runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..course.folder import Course
from ..feedback.explain import facts_again
from ..feedback.facts import ByHand, Feedback
from ..feedback.pages import read_facts, write_pages
from ..gradebook.grades_csv import write_csv
from ..gradebook.ledger import Ledger
from ..gradebook.penalties import settle
from ..gradebook.scores import Standing, standings
from ..reporting.class_page import class_of, write_class
from ..week.cells import Test, Written
from ..week.headings import question, title
from ..week.notebooks import Notebooks
from ..week.source import Week


@dataclass(frozen=True)
class Rewritten:
    """What became of the pages of a week.

    Attributes
    ----------
    written : learners whose pages were written.
    without : learners in the gradebook whose facts are not there, so there are no pages.
    differ : learners -> why the pages do not tell what the gradebook has.
    """

    written: tuple[str, ...]
    without: tuple[str, ...]
    differ: dict[str, str]


def touched(course: Course, week: str) -> bool:
    """Whether a person gave points or wrote a comment in this week, or being late cost points."""
    recorded = standings(course, week).values()
    given = (any(s.manual is not None or s.extra for s in one.scores.values()) for one in recorded)
    return any(given) or any(one.comments or one.penalty for one in recorded)


def rewrite(built: Notebooks, course: Course, only_touched: bool = False) -> Rewritten:
    """Write the pages of a week again, with what people gave; `only_touched`: only of those whom somebody graded.

    Where facts are missing, or older than the grade, they are made anew from the record.

    Raises
    ------
    WorkbookError
        where there is no gradebook.
    """
    week = built.week
    told = read_facts(course, week.name)
    recorded = standings(course, week.name)
    if not only_touched:
        told |= _from_record(built, course, told)
    written, differ = [], {}
    for learner, facts in told.items():
        standing = recorded.get(learner)
        given = graded_by_hand(built, standing) if standing else ()
        told[learner] = facts.model_copy(update={"by_hand": given})
        if standing and facts.state == "graded" and (machine := _by_machine(week, standing)) != facts.points.earned:
            differ[learner] = f"the pages say {facts.points.earned} points, the gradebook {machine:g}: grade again"
        if told[learner] != facts or not only_touched:
            write_pages(course, learner, told[learner])
            written.append(learner)
    if not only_touched:
        settle(course, week.name, recorded)
    if told and (written or not only_touched):
        write_class(course, class_of(built, course))
    return Rewritten(tuple(written), tuple(sorted(set(recorded) - set(told))), differ)


def write_grades(built: Notebooks, course: Course) -> Path:
    """Write the table of grades, `course/WEEK.csv`, from the record. Returns its path."""
    week = built.week
    path = course.folder / f"{week.name}.csv"
    outcomes = [entry.graded(learner) for learner, entry in Ledger(course, week.name).outcomes().items()]
    write_csv(path, week, outcomes, standings(course, week.name))
    return path


def _from_record(built: Notebooks, course: Course, told: Mapping[str, Feedback]) -> dict[str, Feedback]:
    """Facts of those who have none, or have those of an earlier grading, in alphabetical order."""
    ledger = Ledger(course, built.week.name)
    found = {}
    for learner, entry in ledger.outcomes().items():
        if learner not in told or entry.told != entry.key:
            found[learner], whole = facts_again(built, course, entry.graded(learner))
            if whole:
                ledger.enter(learner, entry.model_copy(update={"told": entry.key}))
    return found


def graded_by_hand(built: Notebooks, standing: Standing) -> tuple[ByHand, ...]:
    """Written questions with points or a comment, test cells whose points a person changed, answers with a comment."""
    found = []
    for cell in built.week.cells:
        score, comment = standing.scores.get(cell.id), standing.comments.get(cell.id, "")
        if isinstance(cell.words, Written) and score and (not score.waiting or comment):
            points = None if score.waiting else score.points
            found.append(
                ByHand(id=cell.id, title=question(cell.source), possible=score.possible, points=points, comment=comment)
            )
        elif isinstance(cell.words, Test) and score and (score.manual is not None or score.extra):
            found.append(
                ByHand(
                    id=cell.id,
                    title=title(built, cell.name),
                    possible=score.possible,
                    points=score.points,
                    was=score.auto,
                )
            )
        elif comment and cell.name in built.week.exercises:
            found.append(ByHand(id=cell.id, title=title(built, cell.name), comment=comment))
    if standing.penalty:
        found.append(ByHand(id="late", title="Late submission", points=-standing.penalty, was=0))
    return tuple(found)


def _by_machine(week: Week, standing: Standing) -> float:
    tests = {cell.id for cell in week.of_kind(Test)}
    return sum(score.auto or 0.0 for name, score in standing.scores.items() if name in tests)
