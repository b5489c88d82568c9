"""What the gradebook says of a week: points by machine and by hand, comments, and what still waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ..core.errors import WorkbookError, short
from ..course.database import open_gradebook
from ..course.deadlines import Deadlines, Late, read_deadlines
from ..course.folder import Course
from ..course.groups import read_groups
from .penalties import Kept


@dataclass(frozen=True)
class Score:
    """One graded cell of one learner.

    Attributes
    ----------
    auto : points by machine; None where only a person can judge.
    manual : points by a person, which count instead; None where nobody gave any.
    again : a person gave points, and the work was graded once more since: somebody should look.
    """

    possible: float
    written: bool
    auto: float | None
    manual: float | None
    extra: float = 0.0
    again: bool = False

    @property
    def waiting(self) -> bool:
        """Whether no one has judged it yet."""
        return self.auto is None and self.manual is None

    @property
    def points(self) -> float:
        given = self.manual if self.manual is not None else self.auto
        return (given or 0.0) + self.extra


@dataclass(frozen=True)
class Standing:
    """One learner in one week.

    Attributes
    ----------
    handed_in : naive UTC; None where it is not known.
    scores : graded cell -> its score, in the order of their names.
    comments : cell -> what the instructor wrote below it.
    penalty : points taken for being late, by `course.toml`, else by nbgrader's plugin.
    late : how late it was; None in time, and where nothing is due.
    """

    learner: str
    handed_in: datetime | None
    scores: dict[str, Score]
    comments: dict[str, str]
    penalty: float = 0.0
    late: Late | None = None

    @property
    def total(self) -> float:
        return max(0.0, sum(score.points for score in self.scores.values()) - self.penalty)

    @property
    def possible(self) -> float:
        return sum(score.possible for score in self.scores.values())

    @property
    def waiting(self) -> tuple[str, ...]:
        """Cells that nobody has judged yet."""
        return tuple(name for name, score in self.scores.items() if score.waiting)


def weeks_in_gradebook(course: Course) -> list[str]:
    """The weeks of which the gradebook holds submissions, in order."""
    with _open(course) as gradebook:
        return sorted(one.name for one in gradebook.assignments if one.submissions)


def standings(course: Course, week: str) -> dict[str, Standing]:
    """Learner -> where they stand in a week, in alphabetical order; empty where nobody's work is recorded.

    Raises
    ------
    WorkbookError
        where there is no gradebook yet, or it cannot be read.
    """
    from nbgrader import api
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _open(course) as gradebook:
            db = gradebook.db
            cells = {
                cell.id: cell
                for cell in db.query(api.GradeCell).join(api.Notebook).join(api.Assignment).filter_by(name=week)
            }
            names = dict(
                db.query(api.SolutionCell.id, api.SolutionCell.name)
                .join(api.Notebook, api.SolutionCell.notebook_id == api.Notebook.id)
                .join(api.Assignment)
                .filter(api.Assignment.name == week)
                .all()
            )
            kept = Kept(course, week)
            due = next((one.duedate for one in db.query(api.Assignment).filter_by(name=week)), None)
            handed_in: dict[str, datetime | None] = {}
            penalties: dict[str, float] = {}
            extensions: list[tuple[str, datetime]] = []
            notebooks: dict[str, str] = {}
            for submission in db.query(api.SubmittedAssignment).join(api.Assignment).filter_by(name=week):
                handed_in[submission.student_id] = submission.timestamp
                taken = sum(one.late_submission_penalty or 0 for one in submission.notebooks)
                penalties[submission.student_id] = kept.own(submission.student_id, taken or None) or 0.0
                if due and submission.extension:
                    extensions.append((submission.student_id, due + submission.extension))
                notebooks |= {one.id: submission.student_id for one in submission.notebooks}
            scores: dict[str, dict[str, Score]] = {learner: {} for learner in handed_in}
            comments: dict[str, dict[str, str]] = {learner: {} for learner in handed_in}
            for grade in db.query(api.Grade).filter(api.Grade.cell_id.in_(cells)):
                cell = cells[grade.cell_id]
                scores[notebooks[grade.notebook_id]][cell.name] = Score(
                    cell.max_score,
                    cell.cell_type == "markdown",
                    grade.auto_score,
                    grade.manual_score,
                    grade.extra_credit or 0.0,
                    grade.needs_manual_grade and grade.manual_score is not None,
                )
            for comment in db.query(api.Comment).filter(api.Comment.cell_id.in_(names)):
                if comment.manual_comment and comment.manual_comment.strip():
                    comments[notebooks[comment.notebook_id]][names[comment.cell_id]] = comment.manual_comment.strip()
    except SQLAlchemyError as error:
        message = f"{short(course.gradebook)} cannot be read: {str(error).splitlines()[0]}"
        raise WorkbookError(message, "close programs that hold it, or look at the file") from None
    everyone = {
        learner: Standing(
            learner,
            handed_in[learner],
            dict(sorted(found.items())),
            comments[learner],
            penalties[learner],
        )
        for learner, found in sorted(scores.items())
    }
    rules = read_deadlines(course, week, due)
    rules = replace(rules, extensions=(*extensions, *rules.extensions))  # those of course.toml count
    found = _in_groups(everyone, read_groups(course, week))
    return {learner: _in_time(standing, rules) for learner, standing in found.items()}


def _in_time(standing: Standing, rules: Deadlines) -> Standing:
    """The standing with how late it is, and what the rules of the class take for it."""
    late = rules.late(standing.learner, standing.handed_in)
    if rules.rule is None:
        return replace(standing, late=late)
    earned = sum(score.points for score in standing.scores.values())
    return replace(standing, late=late, penalty=round(earned * late.share, 2) if late else 0.0)


def _in_groups(everyone: dict[str, Standing], groups: Mapping[str, str]) -> dict[str, Standing]:
    """What a person gave to one member of a group, for all members to whom nobody gave anything else there."""
    found = dict(everyone)
    for group in sorted(set(groups.values())):
        members = [everyone[name] for name in groups if groups[name] == group and name in everyone]
        given = {
            cell: score
            for one in reversed(members)
            for cell, score in one.scores.items()
            if score.manual is not None or score.extra
        }
        comments = {cell: text for one in reversed(members) for cell, text in one.comments.items()}
        for one in members:
            scores = {cell: _given(score, given.get(cell)) for cell, score in one.scores.items()}
            found[one.learner] = replace(one, scores=scores, comments=comments | one.comments)
    return found


def _given(score: Score, other: Score | None) -> Score:
    """A score with what a person gave for the same answer to another member, where nobody gave anything here."""
    if other is None or score.manual is not None or score.extra:
        return score
    return replace(score, manual=other.manual, extra=other.extra)


def _open(course: Course):  # type: ignore[no-untyped-def]  # nbgrader has no types
    if not course.gradebook.is_file():
        raise WorkbookError(f"{short(course.gradebook)} is not there", "grade a week first: workbook grade week01")
    return open_gradebook(course)
