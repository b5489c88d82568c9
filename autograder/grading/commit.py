"""Commit: write grades into the gradebook, where nobody has to be asked or somebody has agreed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.errors import WorkbookError
from ..execution.results import Graded, scores_of, with_outputs
from ..gradebook.cells import Moves
from ..gradebook.changes import Change, changes_by_moves, changes_of
from ..gradebook.store import Recorder
from .submission import Grading, Submission

HELD_BACK = "held back: nothing is written until you agree to the changed scores"


def changes(judged: Sequence[Submission], moves: Moves, grading: Grading) -> list[Change]:
    """What would change although the work is the same."""
    found = [
        change
        for one in judged
        if one.earlier and not one.graded.damaged
        for change in changes_of(grading.week, one.earlier, one.graded, moves)
    ]
    return found + changes_by_moves(moves)


def held_back(submission: Submission) -> Submission:
    """Nobody has agreed: what was recorded stands; work that was not graded before waits."""
    earlier, student = submission.earlier, submission.student
    return replace(submission, graded=earlier.graded(student) if earlier else Graded(student, damaged=HELD_BACK))


def commit(submission: Submission, recorder: Recorder, grading: Grading) -> None:
    """Write the grade of a submission that is not damaged; where that fails, its outcome says so.

    Raises
    ------
    WorkbookError
        when the gradebook itself cannot be written: that is nobody's own.
    """
    graded, run = submission.graded, submission.run
    if submission.to_keep and run:
        grading.ledger.keep_run(run, submission.keys)
    if graded.notebook is None or run is None or graded.damaged:
        return
    notebook = with_outputs(graded.notebook, run)
    try:
        recorder.save(submission.student, notebook, scores_of(grading.week, graded), submission.path)
    except WorkbookError:
        raise
    except Exception as error:
        graded.error = type(error).__name__
        reason = next(iter(str(error).splitlines()), graded.error)
        graded.damaged = f"graded with {graded.total} points, but not recorded: {reason}"
