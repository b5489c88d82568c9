"""A submission on its way from a file to a grade, and the grading that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..course.folder import Course
from ..execution.job import Job, Run
from ..execution.results import Graded
from ..execution.verdicts import CellRun
from ..gradebook.ledger import Entry, Ledger
from ..repair.repair import Repaired
from ..week.source import Week


@dataclass(frozen=True)
class Told:
    """What is called while a class is graded; each does nothing by default.

    Attributes
    ----------
    phase : a phase begins, with the number of its steps. step : one step is done, with a name.
    graded : a submission is graded, or known from an earlier run. wait : another program holds the gradebook.
    warn : something could not be done that costs nobody points.
    """

    phase: Callable[[str, int], None] = lambda title, total: None
    step: Callable[[str], None] = lambda name: None
    graded: Callable[[Graded], None] = lambda graded: None
    wait: Callable[[str], None] = lambda reason: None
    warn: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Grading:
    """One grading of a week of a class: what is the same for all submissions.

    `unsafe`, `again` and `feedback` are those of `grade_week`.
    """

    week: Week
    course: Course
    ledger: Ledger
    unsafe: bool
    again: bool
    feedback: bool
    told: Told


@dataclass(frozen=True)
class Submission:
    """What one learner submitted. Each stage hands it on with more of its fields filled in.

    The bytes of the file are not kept: a class may be large.

    Attributes
    ----------
    student, path : whose file it is, and where it lies; it may not exist.
    work, key : hash of what was submitted, and key of the outcome (see `ledger`).
    group : whose members share their work; "" for somebody alone.
    graded : the outcome, as far as it is known: from the plan on why a file cannot be read, then points and verdicts.
    earlier : what an earlier grading recorded of this very work.
    known : whether the outcome is that of the earlier grading.
    may_change : whether another outcome than the earlier one may come of this very work now.

    repaired : the notebook in the shape of the release; None where the file is damaged.
    job : what of it has to be run. keys : of its tests. verdicts : of tests that need not be run, from an earlier run.
    run : what its cells did; None where none of them ran.
    to_keep : its run is kept when the grade is written, not before.
    failed : the grader itself failed at it.
    """

    # plan
    student: str
    path: Path
    work: str
    key: str
    group: str
    graded: Graded
    earlier: Entry | None = None
    known: bool = False
    may_change: bool = False
    # judge
    repaired: Repaired | None = None
    job: Job | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, CellRun] = field(default_factory=dict)
    run: Run | None = None
    to_keep: bool = False
    failed: bool = False

    def judged_as(self, other: Submission) -> Submission:
        """This submission with what came of the same work of another member of the group."""
        return replace(
            self,
            repaired=other.repaired,
            job=other.job,
            keys=other.keys,
            verdicts=other.verdicts,
            run=other.run and replace(other.run, name=self.student),
            to_keep=other.to_keep,
            failed=other.failed,
            graded=replace(deepcopy(other.graded), student=self.student),
        )
