"""Points taken for being late, in nbgrader's own table: `nbgrader export` and its feedback say what our pages say.

nbgrader adds up `late_submission_penalty` of a submission's notebooks, and so do we. Where `course.toml` has a rule,
its penalty is written there; `course/record/WEEK/penalties.json` keeps what nbgrader had there itself, which stands
again when the rule is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..core.files import write_text
from ..course.database import open_gradebook, patiently
from ..course.folder import Course
from .ledger import Ledger

FILE = "penalties.json"


class Penalized(Protocol):
    """Where a learner stands in a week, as far as it matters here."""

    @property
    def penalty(self) -> float: ...


class Replaced(BaseModel):
    """What the table held before, and what was written instead: two values where a run may have ended in between."""

    model_config = ConfigDict(frozen=True)
    own: float | None
    ours: tuple[float | None, ...]


_FILE = TypeAdapter(dict[str, Replaced])


class Kept:
    """What was replaced in a week; nothing where the file is not there or cannot be read."""

    def __init__(self, course: Course, week: str) -> None:
        self._path: Path = course.folder / "record" / week / FILE
        try:
            self.learners = _FILE.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            self.learners = {}

    def own(self, learner: str, value: float | None) -> float | None:
        """nbgrader's own penalty, from what the table holds now."""
        known = self.learners.get(learner)
        return known.own if known and value in known.ours else value

    def write(self) -> None:
        if self.learners or self._path.exists():
            text = {learner: one.model_dump() for learner, one in sorted(self.learners.items())}
            write_text(self._path, json.dumps(text, indent=1, ensure_ascii=False) + "\n")


def settle(course: Course, week: str, standings: Mapping[str, Penalized]) -> list[str]:
    """Write the penalties of a week into nbgrader's table. Returns the learners for whom it held another one."""
    from nbgrader import api

    kept, ledger = Kept(course, week), Ledger(course, week)
    sealed = ledger.sealed()

    def put() -> list[str]:
        with open_gradebook(course) as gradebook:
            query = gradebook.db.query(api.SubmittedNotebook).join(api.SubmittedAssignment).join(api.Assignment)
            notebooks = {one.student.id: one for one in query.filter(api.Assignment.name == week)}
            before = {learner: one.late_submission_penalty for learner, one in notebooks.items()}
            own = {learner: kept.own(learner, value) for learner, value in before.items()}
            wanted = {
                learner: _wanted(standings[learner].penalty, own[learner]) for learner in before if learner in standings
            }
            changed = [learner for learner, value in wanted.items() if value != before[learner]]
            if changed:
                kept.learners |= {who: Replaced(own=own[who], ours=(before[who], wanted[who])) for who in changed}
                kept.write()
                for learner in changed:
                    notebooks[learner].late_submission_penalty = wanted[learner]
                gradebook.db.commit()
            ours = {who: Replaced(own=own[who], ours=(value,)) for who, value in wanted.items() if value != own[who]}
            if ours != kept.learners:
                kept.learners = ours
                kept.write()
            return changed

    changed = patiently(put, course, lambda reason: None)
    if sealed:  # it is our own doing: grades are read from the record as before
        ledger.seal()
    return changed


def _wanted(penalty: float, own: float | None) -> float | None:
    """What the table should hold: as nbgrader has it where that is the same, None where nothing is taken."""
    return own if penalty == (own or 0.0) else penalty or None
