"""Points and comments of written answers in nbgrader's gradebook.

A mark is written only over the mark that the grader saw: who comes second is told what the first one wrote, and nothing
of either is lost. Each change is also a line of `course/record/WEEK/marks.jsonl`: when, who, whose answer, from what to
what.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.files import append_lines
from ..course.database import open_gradebook, patiently
from ..course.folder import Course

JOURNAL = "marks.jsonl"


@dataclass(frozen=True)
class Mark:
    """What a person gave for an answer: points, None where there are none yet, and a comment (Markdown)."""

    points: float | None = None
    comment: str = ""


@dataclass(frozen=True)
class Place:
    """Where a mark is: a learner's answer to a question."""

    learner: str
    cell: str


class ChangedError(Exception):
    """Somebody else marked the answer meanwhile; `mark` is theirs."""

    def __init__(self, mark: Mark) -> None:
        super().__init__("somebody else marked this answer meanwhile")
        self.mark = mark


class Marks:
    """The marks of a week in a class."""

    def __init__(self, course: Course, week: str, grader: str) -> None:
        self._course, self._week, self._grader = course, week, grader

    @property
    def journal(self) -> Path:
        return self._course.folder / "record" / self._week / JOURNAL

    def read(self, cells: Sequence[str]) -> dict[Place, Mark]:
        """Every learner's mark for each of these cells. Where machines gave points for an empty answer it is these."""
        with open_gradebook(self._course) as gradebook:
            return {
                Place(learner, cell): Mark(grade.manual_score, _said(comment))
                for learner, cell, grade, comment in self._rows(gradebook, cells)
            }

    def write(self, place: Place, seen: Mark, new: Mark) -> None:
        """Replace the mark that the grader saw by a new one.

        Raises
        ------
        ChangedError
            when the gradebook holds another mark by now; nothing is written then.
        LookupError
            where the gradebook knows no such answer.
        """
        patiently(lambda: self._write(place, seen, new), self._course, lambda reason: None)
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": self._grader, **asdict(place)}
        self._note(line | {"from": asdict(seen), "to": asdict(new)})

    def _write(self, place: Place, seen: Mark, new: Mark) -> None:
        from nbgrader import api

        with open_gradebook(self._course) as gradebook:
            db = gradebook.db
            found = next(self._rows(gradebook, [place.cell], place.learner), None)
            if found is None:
                raise LookupError(f"the gradebook has no answer of {place.learner!r} in cell {place.cell!r}")
            _, _, grade, comment = found
            now = Mark(grade.manual_score, _said(comment))
            # the conditions are part of the statements, so that of two graders at the same moment one comes second
            points = (
                db.query(api.Grade)
                .filter(api.Grade.id == grade.id, _equal(api.Grade.manual_score, seen.points))
                .update(
                    {
                        api.Grade.manual_score: new.points,
                        api.Grade.needs_manual_grade: new.points is None and grade.auto_score is None,
                    },
                    synchronize_session=False,
                )
            )
            same = now.comment == seen.comment
            text = (
                db.query(api.Comment)
                .filter(api.Comment.id == comment.id, _equal(api.Comment.manual_comment, comment.manual_comment))
                .update({api.Comment.manual_comment: new.comment or None}, synchronize_session=False)
                if same
                else 0
            )
            if not (points and text):
                db.rollback()
                raise ChangedError(self._now(gradebook, place))
            db.commit()

    def restore(self) -> int:
        """After the gradebook was lost: write the last mark of each answer in the journal where there is none.

        Returns how many are back. What the formgrader was told is in no journal.
        """
        back = 0
        for place, mark in self._last().items():
            if mark != Mark() and self.read([place.cell]).get(place) == Mark():
                self.write(place, Mark(), mark)
                back += 1
        return back

    def _last(self) -> dict[Place, Mark]:
        """The last mark of each answer in the journal; lines that cannot be read are passed over."""
        found: dict[Place, Mark] = {}
        try:
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        for line in lines:
            try:
                told = json.loads(line)
                found[Place(told["learner"], told["cell"])] = Mark(told["to"]["points"], told["to"]["comment"])
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _now(self, gradebook: Any, place: Place) -> Mark:
        gradebook.db.expire_all()
        _, _, grade, comment = next(self._rows(gradebook, [place.cell], place.learner))
        return Mark(grade.manual_score, _said(comment))

    def _rows(self, gradebook: Any, cells: Sequence[str], learner: str = "") -> Any:
        """(learner, cell, grade, comment) of answers."""
        from nbgrader import api
        from sqlalchemy.orm import aliased

        answer_cell = aliased(api.SolutionCell, flat=True)
        found = (
            gradebook.db.query(api.SubmittedAssignment.student_id, api.GradeCell.name, api.Grade, api.Comment)
            .select_from(api.Grade)
            .join(api.GradeCell, api.GradeCell.id == api.Grade.cell_id)
            .join(api.SubmittedNotebook, api.SubmittedNotebook.id == api.Grade.notebook_id)
            .join(api.SubmittedAssignment, api.SubmittedAssignment.id == api.SubmittedNotebook.assignment_id)
            .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
            .join(api.Comment, api.Comment.notebook_id == api.SubmittedNotebook.id)
            .join(answer_cell, answer_cell.id == api.Comment.cell_id)
            .filter(api.Assignment.name == self._week, api.GradeCell.name.in_(cells))
            .filter(answer_cell.name == api.GradeCell.name)
        )
        if learner:
            found = found.filter(api.SubmittedAssignment.student_id == learner)
        return iter(found.all())

    def _note(self, line: dict[str, Any]) -> None:
        append_lines(self.journal, [json.dumps(line, ensure_ascii=False)])


def _said(comment: Any) -> str:
    return (comment.manual_comment or "").strip()


def _equal(column: Any, value: object) -> Any:
    return column.is_(None) if value is None else column == value
