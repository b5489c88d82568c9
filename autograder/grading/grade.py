"""Grade a class: collect -> repair -> run -> judge -> record -> feedback.

Learners' code runs in sandboxes, tests run in a judge outside of them (`engine`); only this process writes grades.
While the others run, a submission that was judged is recorded and its pages are written.
What has been done is known (`ledger`): unchanged work is not run again, and a run that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..building.build import build_week
from ..core.errors import WorkbookError
from ..course.folder import Course
from ..course.groups import read_groups
from ..execution.blame import NOTE, could_not, reason, tried_alone
from ..execution.executor import Crew, CrewMaker, here
from ..execution.fingerprint import environment_of
from ..execution.job import Job, Mode, Run
from ..execution.make_job import graded_cells, make_job, submission_job
from ..execution.rerun import finished
from ..execution.results import Graded, scores_of, verdicts_of, with_outputs
from ..execution.verdicts import CellRun
from ..feedback.explain import Explainer
from ..feedback.pages import facts_file
from ..gradebook.cells import Moves
from ..gradebook.changes import Change, changes_by_moves, changes_of
from ..gradebook.ledger import Entry, Ledger, keys_of_tests, remaining, reusable, week_key
from ..gradebook.store import Recorder, recorded_scores
from ..marking.marks import Marks
from ..repair.confined import ConfinedError
from ..repair.damage import DamagedError
from ..repair.repair import Repaired, read_handed_in
from ..repair.safe_repair import Repairer, repairer
from ..reporting.class_page import class_of, write_class
from ..week.notebooks import Notebooks
from ..week.source import Week, load_info, load_week
from .submission import HandedIn, read_work, submissions

NO_SANDBOX = (
    "These submissions run without a sandbox: their code can read and write what you can. "
    "Grade only work of people you trust."
)
NOT_GRADED = "not graded, the grader failed"
RESTORED = "workbook grade, from this journal"
"""Who gives the marks of a gradebook that was lost."""
HELD_BACK = "held back: nothing is written until you agree to the changed scores"


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
class Done:
    """A submission that was judged and is not recorded yet.

    Attributes
    ----------
    run : what its cells did; None where none of them ran.
    keys : of its tests, where the run is to be kept when the grade is written.
    again : the grader itself failed before anything ran: the next run tries again.
    """

    handed_in: HandedIn
    graded: Graded
    run: Run | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    again: bool = False

    def of(self, member: HandedIn) -> Done:
        """The same for another member of the group; each has a record and pages of their own."""
        graded = replace(deepcopy(self.graded), student=member.student)
        return replace(self, handed_in=member, graded=graded, run=self.run and replace(self.run, name=member.student))


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


@dataclass(frozen=True)
class Running:
    """A submission that is run: repaired, as a job, with the keys of its tests and the verdicts that are known."""

    one: HandedIn
    fixed: Repaired
    job: Job
    keys: Mapping[str, str]
    known: Mapping[str, CellRun]


class Desk:
    """Grading one week of one class: what was submitted, what is known, what is to do, what came of it."""

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
        self.groups = read_groups(course, week.name)

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
        if (group := self.groups.get(graded.student)) and (said := f"the work of {group}") not in graded.remarks:
            graded.remarks.append(said)
        self.outcomes[graded.student] = graded
        self.tell.graded(graded)
        self.tell.step(graded.student)

    def grade(self, crew: Crew, agree: Callable[[Sequence[Change]], bool]) -> None:
        """Run what is to do, record it, write the pages."""
        built = build_week(self.week)
        self.left = len(self.todo)
        lost = not self.course.gradebook.is_file()
        explainer = Explainer(built, self.course, crew, self.again) if self.feedback else None
        with repairer(built) as reading, Recorder(built, self.course, self.tell.wait) as recorder:
            judged = self._for_all_members(built, reading, crew)
            agreed = self._recorded(judged, recorder, explainer, agree)
        if not agreed:
            return
        if lost and (back := Marks(self.course, self.week.name, RESTORED).restore()):
            self.tell.warn(f"the gradebook was not there; {back} marks are back from the journal of `workbook mark`")
        self.ledger.seal()
        if explainer:
            if not all(explainer.can(one.graded) for one in self.untold):
                explainer.find_out(self.tell.phase, self.tell.step)
            self.tell.phase("feedback", len(self.untold))
            told = [one for one in self.untold if self._told_at_last(explainer, one)]
            for text in (self._class_page(built), explainer.left_unknown()):
                if text:
                    self.tell.warn(text)
            for one in told:
                self._enter(one, told=one.handed_in.key)

    def _class_page(self, built: Notebooks) -> str:
        """Write the page of the class; why it could not be written, or ""."""
        try:
            write_class(self.course, class_of(built, self.course))
        except WorkbookError as error:
            return f"the page of the class was not written: {error}"
        return ""

    def _recorded(
        self,
        judged: Iterator[Done],
        recorder: Recorder,
        explainer: Explainer | None,
        agree: Callable[[Sequence[Change]], bool],
    ) -> bool:
        """Record what is judged; False where nobody has agreed to it."""
        moves = recorder.moves()
        for line in moves.said:
            self.tell.warn(f"the week changed since work was graded; {line}")
        must_ask = bool(moves.given) or any(self._must_ask(one) for one in self.todo)
        if not must_ask:
            recorder.register()  # a gradebook that cannot be written is found before anything runs
        waiting: list[Done] = []
        for one in judged:
            if must_ask:
                waiting.append(one)
            else:
                self._record(recorder, explainer, one)
            self._conclude(one.graded)
        changes = [change for one in waiting for change in self._changes(one, moves)] + changes_by_moves(moves)
        if changes and not agree(changes):
            for one in waiting:
                self._hold_back(one)
            return False
        if waiting:
            recorder.register(removing=True)
        for one in waiting:
            self._record(recorder, explainer, one)
        return True

    def _must_ask(self, one: HandedIn) -> bool:
        """Whether the work is as it was graded, and may get other scores: the course changed, or all is run again."""
        entry = self.entries[one.student]
        return entry is not None and entry.work == one.work and (entry.key != one.key or self.again)

    def _for_all_members(self, built: Notebooks, reading: Repairer, crew: Crew) -> Iterator[Done]:
        """What is judged; the work of a group once, and what came of it for each of its members."""
        together: dict[tuple[str, str], list[HandedIn]] = {}
        for one in self.todo:
            together.setdefault((self.groups.get(one.student, one.student), one.key), []).append(one)
        members = {found[0].student: found for found in together.values()}
        for done in self._judged([found[0] for found in together.values()], built, reading, crew):
            for one in members[done.handed_in.student]:
                yield done if one is done.handed_in else done.of(one)

    def _judged(self, todo: Sequence[HandedIn], built: Notebooks, reading: Repairer, crew: Crew) -> Iterator[Done]:
        """Repair, run and judge the submissions, in the order in which they are done; last what could not be judged."""
        running: dict[Future[Run], tuple[Job, Running]] = {}
        failed: list[tuple[Running, Run]] = []
        crew.ready()
        for one in todo:
            try:
                fixed = self._repaired(reading, one)
            except DamagedError as error:
                yield Done(one, Graded(one.student, damaged=str(error), unsafe=self.unsafe, damage=error.kind))
                continue
            except Exception as error:  # whatever it is, it is about this file: the others are graded
                yield Done(one, self._failed(one, error), again=True)
                continue
            job = submission_job(built, one.student, fixed)
            keys = keys_of_tests(job, environment_of(self.week.code), self.unsafe)
            kept = None if self.again else self.ledger.run(one.student)
            known = reusable(kept, keys)
            left = remaining(job, known)
            if kept and left is None:
                yield self._done(Running(one, fixed, job, keys, known), kept.run)
            else:
                asked = Running(one, fixed, left or job, keys, known)
                running[crew.submit(asked.job)] = (asked.job, asked)
        for asked, run in finished(crew, running):
            if not could_not(run):
                yield self._kept(asked, run)
            elif run.lost:  # the machine's doing, also when it ran alone
                yield self._done(asked, run)
            else:
                failed.append((asked, run))
        for asked, run in failed:
            if len(failed) == 1:  # where several fail it is more likely the machine, or the course
                control = make_job(built, "the course's own answers", graded_cells(self.week), {})
                run, own_doing = tried_alone(asked.job, control, crew)
                if not could_not(run) and not own_doing:
                    yield self._kept(asked, run)
                    return
                asked.fixed.notes.extend([NOTE] * own_doing)
            yield self._done(asked, run)

    def _kept(self, asked: Running, run: Run) -> Done:
        """Keep what a run did before anything comes of it; where all is run once more, only when it is written."""
        run.cells.update(asked.known)
        if self.again:
            return replace(self._done(asked, run), keys=asked.keys)
        self.ledger.keep_run(run, asked.keys)
        return self._done(asked, run)

    def _repaired(self, reading: Repairer, one: HandedIn) -> Repaired:
        if one.damaged:
            raise DamagedError(one.damaged, one.damage)
        try:
            content = read_handed_in(one.path)
        except OSError as error:
            raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None
        fixed = reading.repair(content)
        if one.path.name != f"{self.week.topic}.ipynb":
            fixed.notes.append(f"the file was called {one.path.name!r}")
        return fixed

    def _failed(self, one: HandedIn, error: Exception) -> Graded:
        """The outcome of a submission at which the grader itself failed."""
        kind = type(error).__name__
        why = str(error) if isinstance(error, ConfinedError) else kind
        return Graded(one.student, damaged=f"{NOT_GRADED}: {why}", unsafe=self.unsafe, error=kind)

    def _done(self, asked: Running, run: Run) -> Done:
        run.cells.update(asked.known)
        graded = verdicts_of(self.week, asked.fixed, run)
        graded.unsafe, graded.notebook = self.unsafe, asked.fixed.notebook
        if could_not(run):
            graded.damaged = f"{NOT_GRADED}: {reason(run)}"
            graded.points = {}
        return Done(asked.one, graded, run)

    def _record(self, recorder: Recorder, explainer: Explainer | None, one: Done) -> None:
        """Write the grade and, if all for them is known, the pages; then the entry that says what was written."""
        if one.run and one.keys:
            self.ledger.keep_run(one.run, one.keys)
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
        except Exception:  # tried again at the end, when nothing can be lost any more
            return ""
        return one.handed_in.key

    def _told_at_last(self, explainer: Explainer, one: Done) -> bool:
        """Write the pages that had to wait. Where that fails it is noted, and the others are told all the same."""
        try:
            explainer.write(one.graded)
        except Exception as error:
            one.graded.error = type(error).__name__
            one.graded.notes.append(f"no feedback could be written ({error or one.graded.error})")
            return False
        finally:
            self.tell.step(one.graded.student)
        return True

    def _save(self, recorder: Recorder, one: Done) -> bool:
        """Write the grade of a submission that is not damaged; whether nothing went wrong."""
        graded = one.graded
        if graded.notebook is not None and one.run is not None and not graded.damaged:
            notebook = with_outputs(graded.notebook, one.run)
            try:
                recorder.save(graded.student, notebook, scores_of(self.week, graded), one.handed_in.path)
            except WorkbookError:  # the gradebook itself cannot be written: that is nobody's own
                raise
            except Exception as error:
                graded.error = type(error).__name__
                reason = next(iter(str(error).splitlines()), graded.error)
                graded.damaged = f"graded with {graded.total} points, but not recorded: {reason}"
                return False
        return True

    def _enter(self, one: Done, told: str = "") -> None:
        undone = one.again or (one.run is not None and bool(one.graded.damaged))
        if not undone:  # what the grader itself could not do is tried again
            entry = Entry.of(one.graded, one.handed_in.key, one.handed_in.work, told)
            self.ledger.enter(one.graded.student, entry)

    def _changes(self, one: Done, moves: Moves) -> list[Change]:
        entry, graded = self.entries[one.handed_in.student], one.graded
        if entry is None or entry.work != one.handed_in.work or graded.damaged:
            return []
        return changes_of(self.week, entry, graded, moves)

    def _hold_back(self, one: Done) -> None:
        """Nobody has agreed: what was recorded stands; work that was not graded before waits."""
        student, entry = one.handed_in.student, self.entries[one.handed_in.student]
        stands = entry is not None and entry.work == one.handed_in.work
        self.outcomes[student] = entry.graded(student) if entry and stands else Graded(student, damaged=HELD_BACK)
