"""Grade a class: plan -> judge -> commit -> tell.

    plan     what was submitted, and what of it is graded already: unchanged work is not run again
    judge    repair, run learners' code in sandboxes and tests in a judge outside of them (`engine`)
    commit   write the grade; only this process writes grades
    tell     write the pages of the learner, and enter in the ledger what is done

A `Submission` is handed from one stage to the next. While the others run, one that is judged is committed and told;
a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..building.build import build_week
from ..course.folder import Course
from ..execution.executor import Crew, CrewMaker, here
from ..execution.job import Mode
from ..execution.results import Graded
from ..gradebook.changes import Change
from ..gradebook.ledger import Ledger
from ..gradebook.store import Recorder
from ..marking.marks import Marks
from ..repair.safe_repair import repairer
from ..week.source import Week, load_info, load_week
from .commit import changes, commit, held_back
from .judge import Judging
from .plan import plan
from .submission import Grading, Submission
from .submission import Told as Told
from .tell import Telling, announce

NO_SANDBOX = (
    "These submissions run without a sandbox: their code can read and write what you can. "
    "Grade only work of people you trust."
)
RESTORED = "workbook grade, from this journal"
"""Who gives the marks of a gradebook that was lost."""


def grade_week(
    folder: Path,
    course: Course,
    *,
    crew: CrewMaker | None = None,
    unsafe: bool = False,
    again: bool = False,
    feedback: bool = True,
    agree: Callable[[Sequence[Change]], bool] = lambda changes: True,
    tell: Told | None = None,
) -> tuple[Week, list[Graded]]:
    """Grade every submission of a week. One failure never stops the rest.

    Each result is recorded as soon as it is there, so an interrupted run loses nothing that was graded. Where the
    week or the environment changed since work was graded, or known work is run again, nothing is written before all of
    it is graded, and `agree` has seen which scores change.

    Parameters
    ----------
    crew : makes who runs the jobs (`executor.here`, `dask_executor.on`); by default all cores of this machine.
    unsafe : run without sandboxes; every report then says so.
    again : run everything, whatever is known from earlier runs.
    feedback : write pages and JSON for the learners.

    Returns
    -------
    The week, and the outcomes in alphabetical order of learners.

    Raises
    ------
    WorkbookError
        when the crew cannot work, for example without sandboxes, or another run is at work on the week.
    """
    week = load_week(folder)
    grading = Grading(week, course, Ledger(course, week.name), unsafe, again, feedback, tell or Told())
    with grading.ledger.alone():
        submissions = plan(grading)
        outcomes = {one.student: announce(one, grading).graded for one in submissions if one.known}
        if todo := [one for one in submissions if not one.known]:
            mode = Mode.UNSAFE if unsafe else Mode.SANDBOX
            with (crew or here())(load_info(folder).libraries, mode) as hands:
                outcomes |= judge_commit_tell(todo, grading, hands, agree)
    return week, [outcomes[one.student] for one in submissions]


def judge_commit_tell(
    todo: Sequence[Submission], grading: Grading, crew: Crew, agree: Callable[[Sequence[Change]], bool]
) -> dict[str, Graded]:
    """The way of the submissions that are to be graded. Returns their outcomes.

    Where scores of unchanged work may change, all are judged before the first is committed, and `agree` is asked.
    """
    built = build_week(grading.week)
    lost = not grading.course.gradebook.is_file()
    telling = Telling(grading, built, crew, len(todo))
    outcomes = {}
    with repairer(built) as reading, Recorder(built, grading.course, grading.told.wait) as recorder:
        judged: Iterable[Submission] = Judging(grading, built, reading, crew).of_all(todo)
        moves = recorder.moves()
        for line in moves.said:
            grading.told.warn(f"the week changed since work was graded; {line}")
        if ask := bool(moves.given) or any(one.may_change for one in todo):
            judged = [announce(one, grading) for one in judged]
            if (found := changes(judged, moves, grading)) and not agree(found):
                return {one.student: held_back(one).graded for one in judged}
        recorder.register(removing=ask)  # a gradebook that cannot be written is found before anything is judged
        for one in judged:
            commit(one, recorder, grading)
            telling.tell(one)
            outcomes[one.student] = (one if ask else announce(one, grading)).graded
    if lost and (back := Marks(grading.course, grading.week.name, RESTORED).restore()):
        grading.told.warn(f"the gradebook was not there; {back} marks are back from the journal of `workbook mark`")
    grading.ledger.seal()
    telling.tell_the_rest()
    return outcomes
