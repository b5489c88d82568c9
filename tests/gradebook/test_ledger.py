"""The ledger: what is known is not run again, a killed run goes on, changed scores are shown before they count."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import pytest
from nbformat.v4 import new_code_cell

from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.engine.cell_kinds import OWN
from autograder.execution.blame import NOTE
from autograder.execution.job import Code, Job, Mode, Run, spoiled
from autograder.execution.make_job import graded_cells, make_job
from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.gradebook.changes import Change
from autograder.gradebook.ledger import Ledger, remaining, reusable
from autograder.gradebook.ledger import keys_of_tests as keys_in
from autograder.gradebook.store import recorded_scores, register
from autograder.grading import plan
from autograder.grading.commit import HELD_BACK
from autograder.grading.grade import Told, grade_week
from autograder.week.cells import Exercise
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..grading.test_grade import RIGHT, answered, hand_in
from ..inprocess import run_here
from ..tiny_week import WEEK, write_tiny_week

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


def keys_of_tests(job: Job, environment: str = "this torch", unsafe: bool = False) -> dict[str, str]:
    return keys_in(job, environment, unsafe)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows the week; a new one costs nbgrader seconds."""
    root = tmp_path_factory.mktemp("registered")
    course = Course.at(root, Path("course"))
    register(build_week(load_week(write_tiny_week(root))), course)
    return course.gradebook


@pytest.fixture
def tiny(registered: Path, tmp_path: Path) -> Class:
    folder = write_tiny_week(tmp_path)
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
    monkeypatch.setattr(plan, "recorded_scores", lambda *_: pytest.fail("nobody wrote to the gradebook"))
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
            patch.setattr("autograder.gradebook.store.put", killed)
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
    monkeypatch.setattr("autograder.gradebook.ledger.environment_of", lambda lesson: "another torch")
    monkeypatch.setattr("autograder.grading.judge.environment_of", lambda lesson: "another torch")
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


# whatever a verdict depends on


def own(source: str, number: int = 1) -> Code:
    return Code(f"own-{number}", source, OWN)


def with_cells(job: Job, *places: tuple[str, Code]) -> Job:
    """The job with more cells, each behind one of its own."""
    cells = list(job.cells)
    for after, cell in places:
        cells.insert(1 + next(place for place, one in enumerate(cells) if one.id == after), cell)
    return replace(job, cells=tuple(cells))


def test_a_cell_that_moves_across_a_test_changes_the_keys(tiny: Class) -> None:
    job = a_job(tiny.built)
    mine = own("count = 0")
    before, after = with_cells(job, ("double", mine)), with_cells(job, ("double-test-2", mine))
    first, second = keys_of_tests(before), keys_of_tests(after)
    assert first["double-test-1"] != second["double-test-1"]
    assert first["double-test-2"] != second["double-test-2"]
    assert first["quadruple-test-1"] != second["quadruple-test-1"], "double's tests decide what stands in for it"


def test_two_cells_that_change_places_change_the_keys(tiny: Class) -> None:
    job = a_job(tiny.built)
    one, two = own("a = 1", 1), own("a = 2", 2)
    first = keys_of_tests(with_cells(job, ("setup", one), ("own-1", two)))
    second = keys_of_tests(with_cells(job, ("setup", two), ("own-2", one)))
    assert not {*first.values()} & {*second.values()}


def other_kind(job: Job) -> Job:
    """The same text as a cell of another kind: one of the learner's own runs in their process alone."""
    return replace(job, cells=tuple(replace(c, kind=OWN) if c.id == "setup" else c for c in job.cells))


OTHERWISE: dict[str, Callable[[Job], Job]] = {
    "seconds of a cell": lambda job: replace(job, limits=job.limits.model_copy(update={"cell_seconds": 9.0})),
    "seconds of all": lambda job: replace(job, limits=job.limits.model_copy(update={"total_seconds": 99.0})),
    "memory": lambda job: replace(job, limits=job.limits.model_copy(update={"memory_gib": 9.0})),
    "a name more": lambda job: replace(job, names=(*job.names, "another")),
    "an own cell": lambda job: with_cells(job, ("quadruple-test-2", own("1"))),
    "an own cell with another id": lambda job: with_cells(job, ("quadruple-test-2", own("1", 2))),
    "a cell of another kind": other_kind,
    "the set-up": lambda job: replace(job, cells=(replace(job.cells[0], source="import math"), *job.cells[1:])),
    "no cell": lambda job: job,
}


def test_everything_that_a_verdict_depends_on_is_in_its_key(tiny: Class) -> None:
    job = a_job(tiny.built)
    found = {what: keys_of_tests(change(job))["double-test-1"] for what, change in OTHERWISE.items()}
    found["without walls"] = keys_of_tests(job, unsafe=True)["double-test-1"]
    found["the environment"] = keys_of_tests(job, environment="another torch")["double-test-1"]
    assert len({*found.values()}) == len(found)


def test_the_reference_that_stands_in_is_in_the_key_of_what_builds_on_it(tiny: Class) -> None:
    job = a_job(tiny.built)
    other = replace(job, reference={**job.reference, "double": "def double(number): return 2 * number"})
    first, second = keys_of_tests(job), keys_of_tests(other)
    assert [test for test in ALL if first[test] != second[test]] == ALL[2:]


def test_work_that_was_run_without_walls_is_run_again_within_them(tiny: Class) -> None:
    tiny.grade()  # --unsafe
    crew = Counting()
    grade_week(tiny.folder, tiny.course, crew=crew, unsafe=False, feedback=False)
    assert crew.tests == {"ann": ALL, "bob": ALL}


def test_a_moved_cell_gets_what_it_deserves(tiny: Class) -> None:
    """The same cells in another order: whatever was known of the first order is not read for the second."""
    cells = answered(tiny.built, RIGHT)
    spoil = new_code_cell("double = lambda number: 0", id="mine")
    places = {cell.id: place for place, cell in enumerate(cells.cells)}
    moved = copy.deepcopy(cells)
    cells.cells.insert(places["double-test-2"] + 1, spoil)
    moved.cells.insert(places["double-test-1"], spoil)
    hand_in(tiny.course, "ann", cells)
    first, _, _ = tiny.grade()
    hand_in(tiny.course, "ann", moved)
    second, _, _ = tiny.grade()
    assert (first["ann"].points["double"], second["ann"].points["double"]) == (40, 0)


# scores that chance decides


RANDOM = "from pathlib import Path\ndef double(number):\n    return 2 * number if Path(PLACE).exists() else 0"


@pytest.fixture
def lucky(tiny: Class, tmp_path: Path) -> Path:
    """While this file is there, the answer of bob is right."""
    place = tmp_path / "lucky"
    place.touch()
    hand_in(tiny.course, "bob", answered(tiny.built, {**RIGHT, "double": RANDOM.replace("PLACE", repr(str(place)))}))
    return place


def test_again_shows_changed_scores_of_unchanged_work_before_it_writes_them(tiny: Class, lucky: Path) -> None:
    tiny.grade()
    lucky.unlink()
    notebook = (tiny.course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes()
    gradebook = tiny.course.gradebook.read_bytes()
    expected = [Change("bob", "double", 40, 0), Change("bob", "quadruple", 40, 0)]
    outcomes, crew, asked = tiny.grade(again=True, agree=False)
    assert crew.tests == {"ann": ALL, "bob": ALL}
    assert asked == expected or asked == expected[:1]
    assert outcomes["bob"].total == 80
    assert tiny.course.gradebook.read_bytes() == gradebook
    assert (tiny.course.autograded / "bob" / WEEK / "tiny.ipynb").read_bytes() == notebook
    _, idle, later = tiny.grade()
    assert (idle.jobs, later) == ([], []), "what stood there stands, and nobody is asked again"
    agreed, _, _ = tiny.grade(again=True)
    assert tiny.scores()["bob"] == agreed["bob"].total < 80


def test_a_refused_run_leaves_no_trace_in_what_is_known(tiny: Class, lucky: Path) -> None:
    tiny.grade()
    lucky.unlink()
    tiny.grade(again=True, agree=False)
    tiny.edit("# Twice a number.", "# Twice a number, that is all.")
    outcomes, crew, asked = tiny.grade()
    assert (crew.jobs, asked) == ([], [])
    assert outcomes["bob"].total == 80


def test_points_that_move_from_one_test_to_another_are_shown_too(tiny: Class, lucky: Path) -> None:
    """The sum of the exercise is the same, but not the scores in the gradebook."""
    flip = "from pathlib import Path\ndef double(number):\n    lucky = Path(PLACE).exists()\n"
    flip += "    return 2 * number if (number == 2) == lucky else 7"
    hand_in(tiny.course, "bob", answered(tiny.built, {**RIGHT, "double": flip.replace("PLACE", repr(str(lucky)))}))
    tiny.grade()
    lucky.unlink()
    _, _, asked = tiny.grade(again=True, agree=False)
    assert Change("bob", "double-test-1", 20, 0) in asked
    assert Change("bob", "double-test-2", 0, 20) in asked


# INFRA at will


class Failing(Counting):
    """A crew that cannot run some learners' jobs."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def submit(self, job: Job) -> Future[Run]:
        answer = super().submit(job)
        if job.name in self.names:
            answer = Future()
            answer.set_result(spoiled(job, "the judge ended (SIGKILL; EOFError)"))
        return answer


def test_what_fails_alone_while_the_courses_own_answers_pass_is_tampered(tiny: Class) -> None:
    crew = Failing("ann")
    outcomes, _, _ = tiny.grade(crew)
    assert [job.name for job in crew.jobs] == ["ann", "bob", "ann", "the course's own answers"]
    ann = outcomes["ann"]
    assert (ann.damaged, ann.total, {done.verdict for done in ann.verdicts.values()}) == ("", 0, {Verdict.TAMPERED})
    assert ann.notes == [NOTE]
    assert tiny.scores() == {"ann": 0, "bob": 40}
    _, idle, _ = tiny.grade()
    assert idle.jobs == [], "it is graded"
    assert tiny.grade(again=True)[0]["ann"].total == 80, "and can be judged anew"


def test_work_that_fails_alone_in_a_class_of_one_is_tampered_too(tiny: Class) -> None:
    shutil.rmtree(tiny.course.submitted / "bob")
    assert tiny.grade(Failing("ann"))[0]["ann"].notes == [NOTE]


@pytest.mark.parametrize("names", [("ann", "bob"), ("ann", "the course's own answers")])
def test_where_others_fail_as_well_it_is_the_machine(tiny: Class, names: tuple[str, ...]) -> None:
    outcomes, _, _ = tiny.grade(Failing(*names))
    assert outcomes["ann"].damaged == "not graded, the grader failed: the judge ended (SIGKILL; EOFError)"
    assert "ann" not in tiny.scores()


def test_a_course_whose_own_answers_fail_accuses_nobody(tiny: Class) -> None:
    tiny.edit("    return number + number", "    return number")
    outcomes, _, _ = tiny.grade(Failing("ann"))
    assert outcomes["ann"].damaged.startswith("not graded, the grader failed")


def test_what_fails_twice_and_then_does_not_is_graded(tiny: Class) -> None:
    class Once(Failing):
        def submit(self, job: Job) -> Future[Run]:
            answer = super().submit(job)
            self.names = ()
            return answer

    outcomes, crew, _ = tiny.grade(Once("ann"))
    assert [job.name for job in crew.jobs] == ["ann", "bob", "ann"]
    assert (outcomes["ann"].total, outcomes["ann"].notes) == (80, [])
    _, idle, _ = tiny.grade()
    assert idle.jobs == []
