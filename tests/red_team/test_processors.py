"""Taking processors from others: who spins costs nobody else points.

With the defense off: there is no sandbox, or all sandboxes share one core and nothing is run again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from autograder.engine.cell_kinds import ANSWER, OWN
from autograder.execution import cores, pool
from autograder.execution.cores import a_core
from autograder.execution.job import Code, Disturbed, Job, Run
from autograder.execution.pool import Team
from autograder.execution.rerun import disturbance, finished
from autograder.execution.verdicts import Verdict
from autograder.week.notebooks import Notebooks
from autograder.week.source import Limits

from .harness import Attack, Played, honest_ones, play, with_honest
from .lesson import HONEST
from .test_kernel import CALL

FIXED = "the core and the rank of a sandbox are set from outside, and calls that change them are refused"
CASES = [
    Attack("other-cores", "the cores that other sandboxes have", FIXED,
        "import os\nos.sched_setaffinity(0, os.sched_getaffinity(0))", says="not permitted"),
    Attack("other-cores-of-a-child", "the same for processes below it", FIXED,
        "import os\nif not os.fork():\n    try: os.sched_setaffinity(0, range(64))\n"
        "    except OSError: os._exit(1)\n    os._exit(0)\nif os.wait()[1]: raise OSError('one core for all of them')",
        says="one core for all"),
    Attack("scheduling-class", "a class of processes that is scheduled in another way", FIXED,
        "import os\nos.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", says="not permitted"),
    Attack("longer-turns", "a processor for longer at a time", FIXED,
        CALL + "import struct\nrank = os.getpriority(0, 0)\n"
        "wish = struct.pack('=IIQiIQQQ', 48, 0, 0, rank, 0, 10**8, 0, 0)\n"
        "wish = ctypes.create_string_buffer(wish)\ncall(314, 274, 0, ctypes.addressof(wish), 0)", says="not permitted"),
    Attack("rank", "another rank among the processes", FIXED, "import os\nos.nice(1)", says="not permitted"),
    Attack("rank-at-the-disk", "another rank at the disk", FIXED, CALL + "call(251, 30, 1, 0, 2 << 13 | 7)",
        says="not permitted"),
]  # fmt: skip


@pytest.fixture(scope="module")
def off(unsafe: Team, plain: Notebooks) -> dict[str, Played]:
    return play(unsafe, plain, {case.name: HONEST | {"double": case.answer(case.code)} for case in CASES})


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return play(sandbox, plain, with_honest({case.name: {"double": case.answer(case.code)} for case in CASES}, HONEST))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_sandbox_keeps_its_core_and_its_rank(case: Attack, off: dict[str, Played], on: dict[str, Played]) -> None:
    assert case.proof in off[case.name].said
    assert on[case.name].verdicts("double") == case.on
    assert "WON" not in on[case.name].said
    assert re.search(case.says, on[case.name].said), on[case.name].said


def test_honest_learners_get_what_they_get_alone(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))


SPIN = """
import os
for _ in range(60):
    if not os.fork():
        os.setsid()  # where a scheduler shares between sessions, each is one
        while True: pass
while True: pass
"""
WORK = """
import time
while time.process_time() < 0.6: pass
"""
LIMITS = Limits(cell_seconds=4, total_seconds=20, memory_gib=1)


def a_job(name: str, source: str) -> Job:
    first = Code("first", "import time\ntime.sleep(0.3)" if source == WORK else "", OWN)
    return Job(name, (first, Code("answer", source, ANSWER)), LIMITS)


@contextmanager
def one_core() -> Iterator[int]:
    yield min(os.sched_getaffinity(0))


def verdict(run: Run) -> Verdict:
    return run.cells["answer"].verdict


def test_who_works_on_the_core_of_one_who_spins_is_run_again_and_loses_nothing(
    sandbox: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "a_core", one_core)
    jobs = {name: a_job(name, source) for name, source in (("spins", SPIN), ("works", WORK))}
    futures = {sandbox.submit(job): (job, name) for name, job in jobs.items()}
    runs = {name: future.result() for future, (_, name) in futures.items()}
    assert (verdict(runs["spins"]), verdict(runs["works"])) == (Verdict.TIMEOUT, Verdict.TIMEOUT)
    assert disturbance(runs["spins"]) is None, "it was busy itself"
    assert disturbance(runs["works"]) is Disturbed.WAITED
    (late,) = runs["works"].late
    assert late.busy < late.waited <= late.seconds
    found = dict(finished(sandbox, futures))
    assert (verdict(found["spins"]), found["spins"].rerun) == (Verdict.TIMEOUT, None)
    assert (verdict(found["works"]), found["works"].rerun) == (Verdict.PASS, Disturbed.WAITED)


def test_who_works_beside_one_who_spins_loses_nothing(sandbox: Team) -> None:
    jobs = [a_job("spins", SPIN), a_job("works", WORK)]
    found = dict(finished(sandbox, {sandbox.submit(job): (job, job.name) for job in jobs}))
    assert (verdict(found["spins"]), verdict(found["works"])) == (Verdict.TIMEOUT, Verdict.PASS)


def test_sandboxes_at_the_same_time_have_cores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there are enough; where there are not, they share. A core that is let go is free again."""
    monkeypatch.setattr(cores, "CLAIM", f"workbook-test-{os.getpid()}")  # other tests have sandboxes at this moment
    allowed = os.sched_getaffinity(0)
    with a_core() as first:
        with a_core() as second:
            assert {first, second} <= allowed
            assert first != second or len(allowed) == 1
        taken = [a_core() for _ in range(2 * len(allowed))]
        found = [one.__enter__() for one in taken]
        assert set(found) <= allowed
        for one in taken:
            one.__exit__(None, None, None)
    with a_core() as again:
        assert again in allowed


def test_a_process_is_moved_to_its_core_and_stays(sandbox: Team) -> None:
    code = "import os, time\nend = time.monotonic() + 3\n"
    code += "while len(os.sched_getaffinity(0)) > 1 and time.monotonic() < end: pass\n"
    code += "print('cores', len(os.sched_getaffinity(0)))"
    (run,) = sandbox.run([replace(a_job("ann", code), limits=LIMITS)])
    assert "cores 1\n" in str(run.cells["answer"].outputs[0]["text"])
