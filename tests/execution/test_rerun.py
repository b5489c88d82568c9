"""What the machine did to a run is not a verdict: it is done once more, alone, within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from autograder.engine.time_outs import Late
from autograder.execution import rerun
from autograder.execution.job import Code, Disturbed, Job, Mode, Run
from autograder.execution.pool import Team
from autograder.execution.rerun import RERUN_SECONDS, disturbance, finished
from autograder.execution.verdicts import CellRun, Verdict
from autograder.week.source import Limits

from ..engine.test_isolation import children, learners
from ..processes import wait_until

BUSY, ASLEEP, STARVED = Late(10, 9, 1), Late(10, 0.1, 0), Late(10, 0.2, 9.5)


def late(name: str, *times: Late, killed: bool = False) -> Run:
    return Run(name, {"cell": CellRun(Verdict.TIMEOUT)}, late=times, killed=killed)


def passed(name: str) -> Run:
    return Run(name, {"cell": CellRun(Verdict.PASS)})


@dataclass
class Rehearsed:
    """A crew that gives what was written down, and a clock that each run moves on."""

    second: dict[str, Run]
    seconds: float = 100
    now: float = 0
    order: list[str] = field(default_factory=list)

    def ready(self) -> None:
        pass

    def submit(self, job: Job) -> Future[Run]:
        answer: Future[Run] = Future()
        self.order.append(job.name)
        self.now += self.seconds
        answer.set_result(self.second[job.name])
        return answer


def graded(crew: Rehearsed, first: list[Run]) -> dict[str, Run]:
    running = {}
    for run in first:
        future: Future[Run] = Future()
        future.set_result(run)
        running[future] = (Job(run.name, (Code("cell", ""),)), run.name)
    found: Iterator[tuple[str, Run]] = finished(crew, running, lambda: crew.now)
    return dict(found)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (passed("ann"), None),
        (late("ann", BUSY), None),
        (late("ann", ASLEEP), Disturbed.WAITED),
        (late("ann", BUSY, STARVED), Disturbed.WAITED),
        (late("ann", Late(10, 5, 5)), None),
        (late("ann", killed=True), Disturbed.KILLED),
    ],
)
def test_a_time_out_that_used_little_cpu_time_or_was_killed_is_no_verdict(run: Run, expected: Disturbed | None) -> None:
    assert disturbance(run) is expected


def test_a_starved_run_is_done_again_alone_and_then_counts() -> None:
    crew = Rehearsed({"ann": passed("ann")})
    found = graded(crew, [late("ann", STARVED), passed("bo")])
    assert list(found) == ["bo", "ann"], "after all others"
    assert crew.order == ["ann"]
    assert found["ann"].cells["cell"].verdict is Verdict.PASS
    assert found["ann"].rerun is Disturbed.WAITED
    assert found["bo"].rerun is None


def test_who_sleeps_gets_the_same_verdict_again() -> None:
    found = graded(Rehearsed({"ann": late("ann", ASLEEP)}), [late("ann", ASLEEP)])
    assert found["ann"].cells["cell"].verdict is Verdict.TIMEOUT
    assert found["ann"].rerun is Disturbed.WAITED


def test_who_was_slow_is_not_run_again() -> None:
    crew = Rehearsed({})
    assert graded(crew, [late("ann", BUSY)])["ann"].cells["cell"].verdict is Verdict.TIMEOUT
    assert crew.order == []


def test_sixty_sleepers_do_not_take_hours_and_take_no_time_from_who_had_no_processor() -> None:
    sleepers = {f"sleeper-{number}": late(f"sleeper-{number}", ASLEEP) for number in range(60)}
    crew = Rehearsed({**sleepers, "zoe": passed("zoe")}, seconds=120)
    found = graded(crew, [*sleepers.values(), late("zoe", STARVED)])
    assert crew.order[0] == "zoe"
    assert found["zoe"].cells["cell"].verdict is Verdict.PASS
    assert len(crew.order) == RERUN_SECONDS / 120 == 5
    assert {found[name].cells["cell"].verdict for name in sleepers} == {Verdict.TIMEOUT}


def test_who_had_no_processor_and_cannot_be_run_again_loses_nothing() -> None:
    crew = Rehearsed({"ann": late("ann", STARVED), "bo": passed("bo")}, seconds=RERUN_SECONDS)
    found = graded(crew, [late("ann", Late(10, 0, 10)), late("bo", STARVED), late("cy", ASLEEP)])
    assert crew.order == ["ann"]
    assert [found[name].cells["cell"].verdict.value for name in ("ann", "bo", "cy")] == ["TIMEOUT", "INFRA", "TIMEOUT"]
    assert found["bo"].cells["cell"].message == rerun.WHY[Disturbed.WAITED]


def test_what_the_system_ends_twice_is_the_graders_own_fault() -> None:
    crew = Rehearsed({"ann": late("ann", killed=True), "bo": passed("bo")})
    found = graded(crew, [late("ann", killed=True), late("bo", killed=True)])
    assert found["ann"].cells["cell"].verdict is Verdict.INFRA
    assert found["bo"].cells["cell"].verdict is Verdict.PASS
    assert found["bo"].rerun is Disturbed.KILLED


def test_a_submission_whose_process_the_system_ends_is_run_again() -> None:
    """As when memory runs out: from outside, by SIGKILL."""
    job = Job("ann", (Code("cell", "import os, time\nif not os.fork(): time.sleep(60)\ntime.sleep(1)"),))
    with Team(1, libraries=(), mode=Mode.SANDBOX) as team:
        team.ready()
        assert team._learners is not None
        warm = team._learners
        first = team.submit(job)
        assert wait_until(lambda: any(map(children, learners(warm)))), "it has begun"
        os.kill(learners(warm)[0], 9)
        assert first.result().cells["cell"].verdict is Verdict.CRASH
        assert disturbance(first.result()) is Disturbed.KILLED
        ((name, run),) = finished(team, {first: (job, "ann")})
    assert (name, run.cells["cell"].verdict, run.rerun) == ("ann", Verdict.PASS, Disturbed.KILLED)


def test_a_submission_that_sleeps_is_told_from_one_that_is_slow() -> None:
    """By the CPU time of its process and of those below it, which it does not wait for."""
    sleeps = "import time\ntime.sleep(60)"
    works = "import os, time\nif not os.fork():\n    while True: pass\ntime.sleep(60)"
    limits = Limits(cell_seconds=1.5, total_seconds=20, memory_gib=1)
    with Team(1, libraries=(), mode=Mode.SANDBOX) as team:
        jobs = [Job(name, (Code("cell", source),), limits) for name, source in (("sleeps", sleeps), ("works", works))]
        first, second = team.run(jobs)
    assert [run.cells["cell"].verdict for run in (first, second)] == [Verdict.TIMEOUT] * 2
    assert disturbance(first) is Disturbed.WAITED
    (late,) = second.late
    assert late.busy > 0.1 > first.late[0].busy
