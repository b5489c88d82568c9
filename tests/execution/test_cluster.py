"""Grading on a Dask cluster: a real scheduler and two real workers on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograder.authoring.sample_class import make_class
from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.execution import dask_executor
from autograder.execution.dask_executor import Cluster, on, unpacked
from autograder.execution.executor import here
from autograder.execution.fingerprint import environment
from autograder.execution.job import Mode
from autograder.execution.make_job import submission_job
from autograder.execution.results import Graded
from autograder.gradebook.store import recorded_scores, register
from autograder.grading.grade import Told, grade_week
from autograder.repair.repair import repair
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..grading.test_grade import RIGHT, answered, hand_in
from ..tiny_week import write_tiny_week

distributed = pytest.importorskip("distributed")
SECONDS = 60
"""What a test waits for a process of Dask."""


@contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask; killed at the end with all that it started."""
    command = [sys.executable, "-m", *words]
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass
class Running:
    """A scheduler and its workers, and how to start another one."""

    address: str
    client: Any
    stack: ExitStack
    folder: Path

    def worker(self) -> None:
        """Start one more, and wait until the scheduler knows it."""
        known = len(self.client.scheduler_info()["workers"])
        words = ("--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", str(self.folder))
        self.stack.enter_context(program("distributed.cli.dask_worker", self.address, *words))
        self.client.wait_for_workers(known + 1, timeout=SECONDS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        stack.enter_context(program("distributed.cli.dask_scheduler", *words))
        client = stack.enter_context(
            distributed.Client(scheduler_file=str(file), timeout=SECONDS, set_as_default=False)
        )
        found = Running(client.scheduler_info()["address"], client, stack, folder)
        found.worker()
        found.worker()
        yield found


@dataclass(frozen=True)
class Sample:
    folder: Path
    built: Notebooks
    registered: Path

    def course(self, folder: Path) -> Course:
        """An empty class whose gradebook knows the week."""
        course = Course(folder, folder / "course")
        course.folder.mkdir(parents=True)
        shutil.copy(self.registered, course.gradebook)
        return course


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = tmp_path_factory.mktemp("checkout")
    folder = write_tiny_week(root)
    text = (folder / "week.toml").read_text(encoding="utf-8")
    (folder / "week.toml").write_text(text.replace("cell_seconds = 2", "cell_seconds = 1"), encoding="utf-8")
    built = build_week(load_week(folder))
    course = Course(root, root / "registered")
    register(built, course)
    return Sample(folder, built, course.gradebook)


def told_of(graded: Graded) -> tuple[object, ...]:
    """What must not depend on who ran a submission."""
    return graded.damaged, graded.points, graded.notes, {test: run.verdict for test, run in graded.verdicts.items()}


def test_a_cluster_gives_the_grades_of_one_machine(running: Running, sample: Sample, tmp_path: Path) -> None:
    """The whole sample class, with everything that is broken in it."""
    found = {}
    for name, crew in (("here", here(2)), ("there", on(running.address))):
        course = sample.course(tmp_path / name)
        make_class(sample.built, course)
        _, outcomes = grade_week(sample.folder, course, crew=crew, feedback=False)
        found[name] = {
            graded.student: (
                graded.damaged,
                graded.points,
                graded.notes,
                {t: r.verdict for t, r in graded.verdicts.items()},
            )
            for graded in outcomes
        }
        assert len(outcomes) > 8
    assert found["there"] == found["here"]


def test_the_work_of_a_worker_that_is_killed_is_done_by_another(
    running: Running, sample: Sample, tmp_path: Path
) -> None:
    """One worker is killed as soon as the first grade is there; each learner has exactly one grade."""
    course = sample.course(tmp_path)
    slow = "import time\n" + RIGHT["double"].replace("return", "time.sleep(0.2)\n    return")
    learners = [f"learner-{number:02d}" for number in range(8)]
    for learner in learners:
        hand_in(course, learner, answered(sample.built, {**RIGHT, "double": slow}))
    running.worker()
    seen: list[str] = []

    def kill_one(graded: Graded) -> None:
        if not seen:
            pids = running.client.run(os.getpid)
            os.kill(sorted(pids.values())[0], signal.SIGKILL)
        seen.append(graded.student)

    _, outcomes = grade_week(
        sample.folder, course, crew=on(running.address), feedback=False, tell=Told(graded=kill_one)
    )
    assert [(graded.damaged, graded.total) for graded in outcomes] == [("", 80)] * len(learners)
    assert sorted(seen) == learners
    scores = recorded_scores(course, sample.built.week)
    assert {student: sum(cells.values()) for student, cells in scores.items()} == dict.fromkeys(learners, 80)


def test_the_week_travels_apart_from_the_answers(running: Running, sample: Sample) -> None:
    jobs = [
        submission_job(sample.built, name, repair(sample.built, answered(sample.built, {**RIGHT, "double": code})))
        for name, code in (("ann", RIGHT["double"]), ("bob", "def double(number):\n    return 2 * number"))
    ]
    with Cluster(running.address, [], Mode.UNSAFE) as crew:
        packed = [crew._pack(job) for job in jobs]
        weeks = {week.key for week, _ in packed}
        assert len(weeks) == 1
        week = packed[0][0].result()
        assert b"checks.equal" in week
        assert b"return number + number" not in b"".join(own for _, own in packed[1:])
        for job, (_, own) in zip(jobs, packed, strict=True):
            assert b"checks.equal" not in own
            assert unpacked(week, own) == job


def test_a_worker_with_another_environment_is_named(
    running: Running, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_executor, "environment", lambda: "0" * 64)
    with Cluster(running.address, [], Mode.UNSAFE) as crew, pytest.raises(WorkbookError) as error:
        crew.ready()
    assert "has another environment: another version of the workbook there" in str(error.value)
    assert error.value.next_step == "install the same on all"
    assert environment() != "0" * 64


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "CONNECT_SECONDS", 0.5)
    with pytest.raises(WorkbookError, match="no scheduler answers at tcp://127"):
        Cluster("tcp://127.0.0.1:9", [], Mode.UNSAFE)
    with pytest.raises(WorkbookError, match="no scheduler answers at nonsense"):
        Cluster("nonsense://", [], Mode.UNSAFE)
