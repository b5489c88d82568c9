"""Answers that tell a reference which stands in for another one: by what they print, by time, memory, and their deaths.

The reference is in the learner's process then. Each answer below passes with it, and lets a number that the reference
decides pass by one way. With the defense off what that run did is kept whole; with it on, the PASS alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from autograder.execution import warm_process
from autograder.execution.job import Mode, Run
from autograder.execution.make_job import submission_job
from autograder.execution.pool import Team
from autograder.repair.repair import repair
from autograder.week.notebooks import Notebooks
from autograder.week.source import Limits

from .harness import Case, answered, with_honest
from .lesson import HONEST

KEEPING = """
import time
from dataclasses import asdict
from autograder.engine import judge
def stand_in(self):
    failed = [c for c in self.cells if c['kind'] == judge.TEST and self.outcomes[c['id']].verdict != 'PASS']
    for exercise, used in self._to_stand_in().items():
        tests = [cell['id'] for cell in failed if cell['exercise'] == exercise]
        cells = [cell for cell in self.cells if cell['kind'] != judge.TEST or cell['id'] in tests]
        last = max(place for place, cell in enumerate(cells) if cell['kind'] == judge.TEST)
        second = {}
        self.deaths = []
        self._pass_over(cells[:last + 1], {name: self.job['reference'][name] for name in used}, second)
        self._stop()
        for test in tests:
            if second[test].verdict == 'PASS':
                self.outcomes[test] = second[test]
            self.outcomes[test].stand_ins = used
def run(self):
    self._pass_over(self.cells, {}, self.outcomes)
    self._stop()
    stand_in(self)
    cells = {cell_id: asdict(outcome) for cell_id, outcome in self.outcomes.items()}
    costs = {'cpu_seconds': self.cpu_seconds + time.process_time(), 'peak_kib': self.peak_kib, 'deaths': self.died}
    costs |= {'late': [], 'killed': self.killed}
    return {'cells': cells, **costs}
judge.Judge.run = run
"""
"""A judge that keeps of a run with the reference what it keeps of any other."""
LETTER = """
import inspect, os, time
def letter(where):
    "The number of a letter of the reference; 0 where the learner's own answer stands."
    source = inspect.getsource(double)
    return ord(source[source.index('the reference') + where]) if 'the reference' in source else 0
"""
SOUND = "\ndef quadruple(number):\n    return double(double(number))\n"
TESTS = ("quadruple-test-1", "quadruple-test-2")
KEPT = "of that run nothing but the PASS is kept"


def told(run: Run) -> str:
    """All that is kept of what the tests showed and said."""
    return "".join(str((run.cells[test].outputs, run.cells[test].message, run.cells[test].check)) for test in TESTS)


@dataclass(frozen=True)
class Leak(Case):
    """`tells`: whether a run, beside that of an answer which does not try, lets the letter through."""

    on: str = "PASS PASS"
    exercise: str = "quadruple"
    tells: Callable[[Run, Run], bool] = field(default=lambda run, other: False)


CASES = [
    Leak("reference-by-seconds", "a letter of the reference as hundredths of a second of a test", KEPT,
        LETTER + "def quadruple(number):\n    time.sleep(letter(0) / 100 if number == -5 else 0)\n"
        "    return double(double(number))\n",
        tells=lambda run, other: run.cells[TESTS[1]].seconds >= ord("t") / 100),
    Leak("reference-by-print", "the reference itself, printed while a test calls", KEPT,
        LETTER + "def quadruple(number):\n    print(inspect.getsource(double))\n    return double(double(number))\n",
        tells=lambda run, other: "the reference" in told(run)),
    Leak("reference-by-warning", "the same, on the other stream", KEPT,
        LETTER + "import sys\ndef quadruple(number):\n    sys.stderr.write(inspect.getsource(double))\n"
        "    return double(double(number))\n",
        tells=lambda run, other: "the reference" in told(run)),
    Leak("reference-by-length", "a letter of the reference as the length of what is printed", KEPT,
        LETTER + "def quadruple(number):\n    print('x' * letter(0))\n    return double(double(number))\n",
        tells=lambda run, other: "x" * ord("t") in told(run)),
    Leak("reference-by-memory", "a letter of the reference as megabytes at the peak", KEPT,
        LETTER + "block = bytearray(letter(0) * 2**20)\nblock[::4096] = block[::4096]\n" + SOUND,
        tells=lambda run, other: run.peak_mib > other.peak_mib + 80),
    Leak("reference-by-processor", "a letter of the reference as hundredths of a second of computing", KEPT,
        LETTER + "end = time.process_time() + letter(0) / 100\nwhile time.process_time() < end: pass\n" + SOUND,
        tells=lambda run, other: run.cpu_seconds > other.cpu_seconds + 0.8),
    Leak("reference-by-deaths", "a bit of the reference as a process that ends, and is replaced", KEPT,
        LETTER + "def quadruple(number):\n    if letter(0) & 4 and number == -5: os._exit(1)\n"
        "    return double(double(number))\n", on="PASS FAIL",
        tells=lambda run, other: run.deaths > 0),
    Leak("reference-by-what-is-run", "a bit of the reference as tests that are not reached", KEPT,
        LETTER + "if letter(0) & 4: os._exit(1)\n" + SOUND, on="FAIL FAIL",
        tells=lambda run, other: run.deaths > 0),
]  # fmt: skip
PATIENT = Limits(cell_seconds=20, total_seconds=60, memory_gib=0.3)
"""Some of the answers take their time on purpose."""
FAILED = "def double(number):\n    return 0"
OTHERS = HONEST | {"double": FAILED, "quadruple": SOUND}
CLASS = with_honest({case.name: {"quadruple": case.code, "double": FAILED} for case in CASES}, OTHERS)


def runs(team: Team, plain: Notebooks) -> dict[str, Run]:
    jobs = [submission_job(plain, name, repair(plain, answered(plain, answers))) for name, answers in CLASS.items()]
    return {run.name: run for run in team.run([replace(job, limits=PATIENT) for job in jobs])}


@pytest.fixture(scope="module")
def off(plain: Notebooks) -> dict[str, Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_process, "WARM_UP_JUDGE", warm_process.WARM_UP_JUDGE + KEEPING)
        with Team(2, mode=Mode.SANDBOX) as team:
            return runs(team, plain)


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Run]:
    return runs(sandbox, plain)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_reference_that_stands_in_is_told_by_a_run_that_is_kept_whole_alone(
    case: Leak, off: dict[str, Run], on: dict[str, Run]
) -> None:
    assert case.tells(off[case.name], off["honest-0"])
    assert not case.tells(on[case.name], on["honest-0"])
    for found in (off, on):
        assert " ".join(found[case.name].cells[test].verdict for test in TESTS) == case.on
    assert all(on[case.name].cells[test].stand_ins == ("double",) for test in TESTS)
    for test in TESTS:
        done = on[case.name].cells[test]
        assert done.verdict != "PASS" or (done.outputs, done.message, done.check, done.line) == ((), "", None, 0)


def test_who_builds_on_a_failed_answer_keeps_the_points(on: dict[str, Run]) -> None:
    honest = [run for name, run in on.items() if name.startswith("honest-")]
    assert [run.cells[test].verdict for run in honest for test in TESTS] == ["PASS"] * 2 * len(honest)


NOTING = """
from autograder.engine import judge
real = judge.Judge._stand_in
def stand_in(self):
    before = {test: outcome.seconds for test, outcome in self.outcomes.items()}
    real(self)
    for test, outcome in self.outcomes.items():
        assert outcome.seconds == before[test], test
    self.cpu_seconds, self.peak_kib, self.died = 1e6, 10**9, 77
judge.Judge._stand_in = stand_in
"""


def test_seconds_and_costs_are_those_of_the_run_without_the_reference(plain: Notebooks) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_process, "WARM_UP_JUDGE", warm_process.WARM_UP_JUDGE + NOTING)
        with Team(1, mode=Mode.SANDBOX) as team:
            (run,) = team.run([submission_job(plain, "ann", repair(plain, answered(plain, OTHERS)))])
    assert [run.cells[test].verdict for test in TESTS] == ["PASS", "PASS"]
    assert (run.cpu_seconds < 1e6, run.peak_mib < 10**5, run.deaths) == (True, True, 0)
