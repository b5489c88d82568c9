"""The ledger: what is known is not run again, a killed run goes on, changed scores are shown before they count."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

from autograder import grade as grading
from autograder.build import Notebooks, build_week
from autograder.course import Course
from autograder.errors import WorkbookError
from autograder.grade import HELD_BACK, Change, Told, grade_week
from autograder.jobs import graded_cells, make_job
from autograder.ledger import Ledger, keys_of_tests, remaining, reusable
from autograder.outcomes import Graded
from autograder.record import recorded_scores, register
from autograder.runner import CellRun, Job, Mode, Run, Verdict, spoiled
from autograder.source import Exercise, load_week

from .inprocess import run_here
from .test_grade import RIGHT, WEEK, answered, hand_in, write_week

WRONG = {**RIGHT, "double": "def double(number):\n    return number"}
ALL = ["double-test-1", "double-test-2", "quadruple-test-1", "quadruple-test-2"]


@dataclass
class Counting:
    """A crew in this process that notes what it was asked to run."""

    jobs: list[Job] = field(default_factory=list)
    ends: int = 0

    def __call__(self, libraries: Sequence[str], mode: Mode) -> Counting:
        return self

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self.ends += 1

    def ready(self) -> None:
        pass

    def submit(self, job: Job) -> Future[Run]:
        answer: Future[Run] = Future()
        self.jobs.append(job)
        answer.set_result(run_here(job))
        return answer

    @property
    def tests(self) -> dict[str, list[str]]:
        """Learner -> the tests that were run."""
        return {job.name: [cell.id for cell in job.cells if cell.kind == "test"] for job in self.jobs}


@dataclass(frozen=True)
class Class:
    """A course with a gradebook that knows the tiny week."""

    folder: Path
    built: Notebooks
    course: Course

    def edit(self, old: str, new: str) -> None:
        """Change the lesson."""
        path = self.folder / "tiny.py"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8")

    def grade(
        self, crew: Counting | None = None, *, again: bool = False, agree: bool = True
    ) -> tuple[dict[str, Graded], Counting, list[Change]]:
        """Outcomes, the crew, and the changes that somebody was asked about."""
        crew = crew or Counting()
        asked: list[Change] = []

        def answer(changes: Sequence[Change]) -> bool:
            asked.extend(changes)
            return agree

        _, outcomes = grade_week(
            self.folder, self.course, crew=crew, unsafe=True, again=again, feedback=False, agree=answer
        )
        return {graded.student: graded for graded in outcomes}, crew, asked

    def scores(self) -> dict[str, float]:
        found = recorded_scores(self.course, self.built.week)
        return {student: sum(cells.values()) for student, cells in found.items()}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows the week; a new one costs nbgrader seconds."""
    root = tmp_path_factory.mktemp("registered")
    course = Course.at(root, Path("course"))
    register(build_week(load_week(write_week(root / "solutions"))), course)
    return course.gradebook


@pytest.fixture
def tiny(registered: Path, tmp_path: Path) -> Class:
    folder = write_week(tmp_path / "solutions")
    course = Course.at(tmp_path, Path("course"))
    course.folder.mkdir()
    shutil.copy(registered, course.gradebook)
    found = Class(folder, build_week(load_week(folder)), course)
    hand_in(course, "ann", answered(found.built, RIGHT))
    hand_in(course, "bob", answered(found.built, WRONG))
    return found


def test_unchanged_work_is_answered_from_the_record(tiny: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    first, crew, _ = tiny.grade()
    assert crew.tests == {"ann": ALL, "bob": ALL}
    monkeypatch.setattr(grading, "recorded_scores", lambda *_: pytest.fail("nobody wrote to the gradebook"))
    second, idle, asked = tiny.grade()
    assert (idle.jobs, idle.ends, asked) == ([], 0, [])
    for student, graded in first.items():
        assert second[student].points == graded.points
        assert second[student].notes == graded.notes
        known = {test: (run.verdict, run.message, run.check) for test, run in second[student].verdicts.items()}
        assert known == {test: (run.verdict, run.message, run.check) for test, run in graded.verdicts.items()}


def test_changed_work_alone_is_run(tiny: Class) -> None:
    tiny.grade()
    hand_in(tiny.course, "bob", answered(tiny.built, RIGHT))
    outcomes, crew, asked = tiny.grade()
    assert [*crew.tests] == ["bob"]
    assert asked == []  # it is the work that changed
    assert outcomes["bob"].total == 80
    assert tiny.scores() == {"ann": 80, "bob": 80}


def test_again_runs_everything(tiny: Class) -> None:
    tiny.grade()
    _, crew, asked = tiny.grade(again=True)
    assert crew.tests == {"ann": ALL, "bob": ALL}
    assert asked == []


def test_a_run_that_was_killed_goes_on(tiny: Class) -> None:
    """What was done before is not done again; the outcome is that of an undisturbed run."""
    recorded: list[str] = []

    def killed(graded: Graded) -> None:
        recorded.append(graded.student)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade_week(tiny.folder, tiny.course, crew=Counting(), unsafe=True, feedback=False, tell=Told(graded=killed))
    assert [*tiny.scores()] == recorded
    assert_resumed(tiny, recorded)


@pytest.mark.parametrize("place", ["before the grade is written", "after it is written"])
def test_a_run_that_was_killed_while_a_grade_was_written_writes_it_once(
    tiny: Class, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    done: list[str] = []

    def killed(*words: object) -> None:
        done.extend(word for word in words if isinstance(word, str))
        raise KeyboardInterrupt

    before = place.startswith("before")
    with monkeypatch.context() as patch:
        if before:
            patch.setattr("autograder.record.put", killed)
        else:
            patch.setattr(Ledger, "enter", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny.grade()
    assert len(done) == 1
    assert [*tiny.scores()] == ([] if before else done)
    assert_resumed(tiny, done)


def assert_resumed(tiny: Class, known: list[str]) -> None:
    outcomes, crew, _ = tiny.grade()
    assert [*crew.tests] == [name for name in ("ann", "bob") if name not in known]
    assert {student: graded.total for student, graded in outcomes.items()} == {"ann": 80, "bob": 40}
    assert tiny.scores() == {"ann": 80, "bob": 40}


@pytest.mark.parametrize("name", ["outcomes/ann.json", "runs/ann.json"])
def test_a_file_of_the_record_that_cannot_be_read_counts_as_not_there(tiny: Class, name: str) -> None:
    tiny.grade()
    (tiny.course.folder / "record" / WEEK / name).write_text('{"schema_version": 1, "key"', encoding="utf-8")
    outcomes, _, _ = tiny.grade()
    assert outcomes["ann"].total == 80
    assert tiny.scores() == {"ann": 80, "bob": 40}


def test_a_gradebook_that_was_lost_is_written_again_without_running_anything(tiny: Class, registered: Path) -> None:
    tiny.grade()
    shutil.copy(registered, tiny.course.gradebook)
    assert tiny.scores() == {}
    _, crew, asked = tiny.grade()
    assert (crew.jobs, asked) == ([], [])
    assert tiny.scores() == {"ann": 80, "bob": 40}


def test_a_run_that_was_killed_before_the_pages_records_new_work_at_once(tiny: Class) -> None:
    """It is not the course that changed, so nothing waits for an answer."""
    grade_week(tiny.folder, tiny.course, crew=Counting(), unsafe=True, feedback=False)
    hand_in(tiny.course, "cleo", answered(tiny.built, RIGHT))
    recorded: list[bool] = []

    def look(graded: Graded) -> None:
        if graded.student == "cleo":
            recorded.append("cleo" in tiny.scores())

    grade_week(tiny.folder, tiny.course, crew=Counting(), unsafe=True, tell=Told(graded=look))
    assert recorded == [True]


def test_a_manual_score_stays_and_costs_no_run(tiny: Class) -> None:
    from nbgrader.api import Gradebook

    tiny.grade()
    with Gradebook(tiny.course.db_url) as gradebook:
        gradebook.find_grade("written-why", "tiny", WEEK, "ann").manual_score = 17
        gradebook.db.commit()
    _, crew, _ = tiny.grade()
    assert crew.jobs == []
    with Gradebook(tiny.course.db_url) as gradebook:
        assert gradebook.find_submission(WEEK, "ann").score == 97


# --- the course changes


def test_a_changed_test_runs_again_alone(tiny: Class) -> None:
    """With it run the tests of the exercise it builds on: whether they fail decides what stands in."""
    tiny.grade()
    tiny.edit('checks.equal(quadruple(0), 0, "quadruple(0)")', 'checks.equal(quadruple(0), 0, "quadruple(0)!")')
    _, crew, asked = tiny.grade()
    assert crew.tests == {who: ["double-test-1", "double-test-2", "quadruple-test-2"] for who in ("ann", "bob")}
    assert asked == []


def test_changed_prose_runs_nothing(tiny: Class) -> None:
    tiny.grade()
    tiny.edit("# Twice a number.", "# Twice a number, that is all.")
    _, crew, asked = tiny.grade()
    assert (crew.jobs, asked) == ([], [])
    text = (tiny.course.autograded / "ann" / WEEK / "tiny.ipynb").read_text(encoding="utf-8")
    assert "that is all" in text


def test_changed_scores_are_shown_before_anything_is_written(tiny: Class) -> None:
    hand_in(tiny.course, "bob", answered(tiny.built, {**RIGHT, "double": "def double(number):\n    return 4"}))
    tiny.grade()
    before = tiny.scores()
    notebook = (tiny.course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes()
    gradebook = tiny.course.gradebook.read_bytes()
    tiny.edit('checks.equal(double(2), 4, "double(2)"', 'checks.equal(double(3), 6, "double(3)"')
    hand_in(tiny.course, "cleo", answered(tiny.built, RIGHT))
    outcomes, crew, asked = tiny.grade(agree=False)
    assert [*crew.tests] == ["ann", "bob", "cleo"]
    assert asked == [Change("bob", "double", 20, 0)]
    assert tiny.scores() == before
    assert tiny.course.gradebook.read_bytes() == gradebook
    assert (tiny.course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes() == notebook
    assert outcomes["bob"].points["double"] == 20
    assert outcomes["cleo"].damaged == HELD_BACK
    agreed, idle, asked = tiny.grade(agree=True)
    assert idle.jobs == []  # all of it was kept
    assert asked == [Change("bob", "double", 20, 0)]
    assert agreed["bob"].points["double"] == 0
    assert tiny.scores() == {"ann": 80, "bob": before["bob"] - 20, "cleo": 80}


def test_another_environment_with_the_same_scores_is_written_without_a_question(
    tiny: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.grade()
    monkeypatch.setattr("autograder.ledger.environment", lambda: "another torch")
    _, crew, asked = tiny.grade()
    assert crew.tests == {"ann": ALL, "bob": ALL}
    assert asked == []
    _, idle, _ = tiny.grade()
    assert idle.jobs == []


# --- one at a time


def test_two_runs_on_one_week_keep_out_of_each_others_way(tiny: Class) -> None:
    """The other one is another process that holds the lock."""
    ledger = Ledger(tiny.course, WEEK)
    ledger.folder.mkdir(parents=True)
    code = """
import filelock, sys
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
input()
"""
    command = [sys.executable, "-c", code, str(ledger.folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkbookError, match=f"another `workbook grade` is at work on {WEEK}"):
            tiny.grade()
        other.kill()
    assert tiny.grade()[0]["ann"].total == 80  # a lock dies with who held it


# --- keys


def a_job(built: Notebooks, **answers: str) -> Job:
    ids = {cell.name: cell.id for cell in built.week.of_kind(Exercise)}
    return make_job(built, "x", graded_cells(built.week), {ids[name]: code for name, code in (RIGHT | answers).items()})


def test_the_key_of_a_test_depends_on_answers_and_its_own_text(tiny: Class) -> None:
    keys = keys_of_tests(a_job(tiny.built))
    other = keys_of_tests(a_job(tiny.built, quadruple="def quadruple(number):\n    return number * 4"))
    assert [*keys] == ALL
    assert len({*keys.values(), *other.values()}) == 8


def test_verdicts_of_a_run_in_which_a_process_died_are_not_kept_apart(tiny: Class) -> None:
    job = a_job(tiny.built)
    keys = keys_of_tests(job)
    ledger = Ledger(tiny.course, WEEK)
    run = run_here(job)
    ledger.keep_run(run, keys)
    assert [*reusable(ledger.run("x"), keys)] == ALL
    other = keys | {"double-test-1": "another"}
    assert [*reusable(ledger.run("x"), other)] == ALL[1:]
    for deaths, verdict in ((1, Verdict.PASS), (0, Verdict.TIMEOUT)):
        run.deaths, run.cells["double-test-2"] = deaths, CellRun(verdict)
        ledger.keep_run(run, keys)
        assert [*reusable(ledger.run("x"), keys)] == ALL, "nothing has changed at all"
        assert reusable(ledger.run("x"), other) == {}


def test_what_the_grader_could_not_do_is_not_kept(tiny: Class) -> None:
    class Failing(Counting):
        def submit(self, job: Job) -> Future[Run]:
            answer: Future[Run] = Future()
            answer.set_result(spoiled(job, "no sandbox today"))
            return answer

    outcomes, _, _ = tiny.grade(Failing())
    assert outcomes["ann"].damaged == "not graded, the grader failed: no sandbox today"
    assert not [*(tiny.course.folder / "record" / WEEK).rglob("*.json")]
    outcomes, _, _ = tiny.grade()
    assert outcomes["ann"].total == 80


def test_nothing_remains_where_every_verdict_is_known(tiny: Class) -> None:
    job = a_job(tiny.built)
    known = run_here(job).cells
    assert remaining(job, {test: known[test] for test in ALL}) is None
    left = remaining(job, {test: known[test] for test in ALL if test != "double-test-2"})
    assert left is not None
    assert [cell.id for cell in left.cells if cell.kind == "test"] == ["double-test-2"]
    assert [cell for cell in left.cells if cell.kind != "test"] == [cell for cell in job.cells if cell.kind != "test"]
