"""Grade a class: collect -> repair -> run -> judge -> record -> feedback.

Learners' code runs in sandboxes, tests run in a judge outside of them (`engine`); only this process writes grades.
While the others run, a submission that was judged is recorded and its pages are written.
What has been done is known (`ledger`): unchanged work is not run again, and a run that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from .build import Notebooks, build_week
from .course import Course
from .crew import Crew, CrewMaker, here
from .errors import WorkbookError
from .explain import Explainer
from .feedback import facts_file
from .handed_in import HandedIn, read_work, submissions
from .jobs import submission_job
from .ledger import Entry, Ledger, keys_of_tests, remaining, reusable, week_key
from .outcomes import Graded, scores_of, verdicts_of, with_outputs
from .record import Recorder, recorded_scores
from .repair import DamagedError, Repaired, read_notebook, repair
from .rerun import finished
from .runner import CellRun, Job, Mode, Run, Verdict
from .source import Week, load_info, load_week

NO_SANDBOX = (
    "These submissions run without a sandbox: their code can read and write what you can. "
    "Grade only work of people you trust."
)
NOT_GRADED = "not graded, the grader failed"
HELD_BACK = "held back: nothing is written until you agree to the changed scores"


@dataclass(frozen=True)
class Change:
    """Points of an exercise that grading would change although the work is the same."""

    student: str
    exercise: str
    was: int
    now: int


@dataclass(frozen=True)
class Told:
    """What is called while a class is graded; each does nothing by default.

    Attributes
    ----------
    phase : a phase begins, with the number of its steps. step : one step is done, with a name.
    graded : a submission is graded, or known from an earlier run. wait : another program holds the gradebook.
    """

    phase: Callable[[str, int], None] = lambda title, total: None
    step: Callable[[str], None] = lambda name: None
    graded: Callable[[Graded], None] = lambda graded: None
    wait: Callable[[str], None] = lambda reason: None


@dataclass(frozen=True)
class Done:
    """A submission that was judged and is not recorded yet; `run` is None for a damaged one."""

    handed_in: HandedIn
    graded: Graded
    run: Run | None = None


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
    week or the environment changed since work was graded, nothing is written before all of it is graded again, and
    `agree` has seen which scores change.

    Parameters
    ----------
    crew : makes who runs the jobs (`crew.here`, `cluster.on`); by default all cores of this machine.
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
    ledger = Ledger(course, week.name)
    with ledger.alone():
        desk = Desk(week, course, ledger, unsafe, again, feedback, tell or Told())
        desk.look_up()
        if desk.todo:
            mode = Mode.UNSAFE if unsafe else Mode.SANDBOX
            with (crew or here())(load_info(folder).libraries, mode) as hands:
                desk.grade(hands, agree)
        outcomes = [desk.outcomes[student] for student in desk.handed_in]
    return week, outcomes


class Desk:
    """Grading one week of one class: what is handed in, what is known, what is to do, what came of it."""

    def __init__(
        self, week: Week, course: Course, ledger: Ledger, unsafe: bool, again: bool, feedback: bool, tell: Told
    ) -> None:
        self.week, self.course, self.ledger, self.tell = week, course, ledger, tell
        self.unsafe, self.again, self.feedback = unsafe, again, feedback
        common = week_key(week, unsafe)
        found = submissions(course, week.name, week.topic)
        self.handed_in = {student: read_work(student, path, common) for student, path in found.items()}
        self.entries = {student: ledger.entry(student) for student in found}
        self.outcomes: dict[str, Graded] = {}
        self.todo: list[HandedIn] = []
        self.untold: list[Done] = []
        """Recorded, and their pages not written."""
        self.left = 0
        """How many of `todo` are not recorded yet."""

    def look_up(self) -> None:
        """Take what is known from the record; the rest is to do."""
        self.tell.phase(f"grade {self.week.name}", len(self.handed_in))
        scores = None if self.again or self.ledger.sealed() else recorded_scores(self.course, self.week)
        for student, handed_in in self.handed_in.items():
            entry = self.entries[student]
            if entry and not self.again and self._stands(handed_in, entry, scores):
                self._conclude(entry.graded(student))
            else:
                self.todo.append(handed_in)

    def _stands(self, handed_in: HandedIn, entry: Entry, scores: Mapping[str, Mapping[str, float]] | None) -> bool:
        """Whether what was recorded is what would come out now, and the gradebook and the pages still say it."""
        if entry.key != handed_in.key or (self.feedback and entry.told != entry.key):
            return False
        student = handed_in.student
        if self.feedback and not facts_file(self.course, student, self.week.name).is_file():
            return False
        graded = entry.graded(student)
        return scores is None or bool(graded.damaged) or scores.get(student) == scores_of(self.week, graded)

    def _conclude(self, graded: Graded) -> None:
        self.outcomes[graded.student] = graded
        self.tell.graded(graded)
        self.tell.step(graded.student)

    def grade(self, crew: Crew, agree: Callable[[Sequence[Change]], bool]) -> None:
        """Run what is to do, record it, write the pages."""
        built = build_week(self.week)
        self.left = len(self.todo)
        explainer = Explainer(built, self.course, crew) if self.feedback else None
        with Recorder(built, self.course, self.tell.wait) as recorder:
            agreed = self._recorded(built, crew, recorder, explainer, agree)
        if not agreed:
            return
        self.ledger.seal()
        if explainer:
            if not all(explainer.can(one.graded) for one in self.untold):
                explainer.find_out(self.tell.phase, self.tell.step)
            self.tell.phase("feedback", len(self.untold))
            for one in self.untold:
                explainer.write(one.graded)
                self.tell.step(one.graded.student)
            explainer.summarize(self.handed_in)
            for one in self.untold:
                self._enter(one, told=one.handed_in.key)

    def _recorded(
        self,
        built: Notebooks,
        crew: Crew,
        recorder: Recorder,
        explainer: Explainer | None,
        agree: Callable[[Sequence[Change]], bool],
    ) -> bool:
        """Judge and record what is to do; False where nobody has agreed to it."""
        course_changed = any(self._course_changed(one) for one in self.todo)
        if not course_changed:
            recorder.register()  # a gradebook that cannot be written is found before anything runs
        waiting: list[Done] = []
        for one in self._judged(built, crew):
            if course_changed:
                waiting.append(one)
            else:
                self._record(recorder, explainer, one)
            self._conclude(one.graded)
        changes = [change for one in waiting for change in self._changes(one)]
        if changes and not agree(changes):
            for one in waiting:
                self._hold_back(one)
            return False
        for one in waiting:
            self._record(recorder, explainer, one)
        return True

    def _course_changed(self, one: HandedIn) -> bool:
        """Whether it is the course that changed since this work was graded, not the work."""
        entry = self.entries[one.student]
        return entry is not None and entry.work == one.work and entry.key != one.key and not self.again

    def _judged(self, built: Notebooks, crew: Crew) -> Iterator[Done]:
        """Repair, run and judge the submissions, in the order in which they are done."""
        running: dict[Future[Run], tuple[Job, tuple[HandedIn, Repaired, dict[str, str], dict[str, CellRun]]]] = {}
        crew.ready()
        for one in self.todo:
            try:
                fixed = self._repaired(built, one)
            except DamagedError as error:
                yield Done(one, Graded(one.student, damaged=str(error), unsafe=self.unsafe))
                continue
            job = submission_job(built, one.student, fixed)
            keys = keys_of_tests(job)
            kept = None if self.again else self.ledger.run(one.student)
            known = reusable(kept, keys)
            left = remaining(job, known)
            if kept and left is None:
                yield self._done(one, fixed, kept.run)
            else:
                running[crew.submit(left or job)] = (left or job, (one, fixed, keys, known))
        for (one, fixed, keys, known), run in finished(crew, running):
            run.cells.update(known)
            if all(cell.verdict is not Verdict.INFRA for cell in run.cells.values()):
                self.ledger.keep_run(run, keys)
            yield self._done(one, fixed, run)

    def _repaired(self, built: Notebooks, one: HandedIn) -> Repaired:
        if one.damaged:
            raise DamagedError(one.damaged)
        fixed = repair(built, read_notebook(one.path))
        if one.path.name != f"{self.week.topic}.ipynb":
            fixed.notes.append(f"the file was called {one.path.name!r}")
        return fixed

    def _done(self, one: HandedIn, fixed: Repaired, run: Run) -> Done:
        graded = verdicts_of(self.week, fixed, run)
        graded.unsafe, graded.notebook = self.unsafe, fixed.notebook
        if any(done.verdict is Verdict.INFRA for done in graded.verdicts.values()):
            graded.damaged = f"{NOT_GRADED}: {next(iter(graded.verdicts.values())).message}"
            graded.points = {}
        return Done(one, graded, run)

    def _record(self, recorder: Recorder, explainer: Explainer | None, one: Done) -> None:
        """Write the grade and, if all for them is known, the pages; then the entry that says what was written."""
        recorded = self._save(recorder, one)
        self.left -= 1
        told = ""
        if explainer:
            told = self._tell_learner(explainer, one)
            if not told:
                self.untold.append(one)
        if recorded:
            self._enter(one, told)

    def _tell_learner(self, explainer: Explainer, one: Done) -> str:
        """Write the pages now; the key that they belong to, or "" where they have to wait for the end.

        The pages of the last submission do: as long as one learner is not told, a run that was killed is taken up
        again, and writes the page of the class.
        """
        if not self.left or not explainer.can(one.graded):
            return ""
        try:
            explainer.write(one.graded)
        except (OSError, WorkbookError):  # tried again at the end, when nothing can be lost any more
            return ""
        return one.handed_in.key

    def _save(self, recorder: Recorder, one: Done) -> bool:
        """Write the grade of a submission that is not damaged; whether nothing went wrong."""
        from sqlalchemy.exc import SQLAlchemyError

        graded = one.graded
        if graded.notebook is not None and one.run is not None and not graded.damaged:
            notebook = with_outputs(graded.notebook, one.run)
            try:
                recorder.save(graded.student, notebook, scores_of(self.week, graded), one.handed_in.path)
            except (OSError, SQLAlchemyError) as error:
                reason = str(error).splitlines()[0]
                graded.damaged = f"graded with {graded.total} points, but not recorded: {reason}"
                return False
        return True

    def _enter(self, one: Done, told: str = "") -> None:
        if one.run is None or not one.graded.damaged:  # what the grader itself could not do is tried again
            entry = Entry.of(one.graded, one.handed_in.key, one.handed_in.work, told)
            self.ledger.enter(one.graded.student, entry)

    def _changes(self, one: Done) -> list[Change]:
        entry, graded = self.entries[one.handed_in.student], one.graded
        if entry is None or entry.work != one.handed_in.work or graded.damaged:
            return []
        return [
            Change(graded.student, exercise, entry.points.get(exercise, 0), graded.points.get(exercise, 0))
            for exercise in dict.fromkeys([*entry.points, *graded.points])
            if entry.points.get(exercise, 0) != graded.points.get(exercise, 0)
        ]

    def _hold_back(self, one: Done) -> None:
        """Nobody has agreed: what was recorded stands; work that was not graded before waits."""
        student, entry = one.handed_in.student, self.entries[one.handed_in.student]
        stands = entry is not None and entry.work == one.handed_in.work
        self.outcomes[student] = entry.graded(student) if entry and stands else Graded(student, damaged=HELD_BACK)
