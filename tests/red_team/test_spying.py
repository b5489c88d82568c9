"""Answers that look for expected values, hidden tests, the grader and the reference; and answers that lie later."""

from __future__ import annotations

import re

import pytest

from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from .harness import Case, Played, honest_ones, play, with_honest
from .lesson import HONEST

APART = "the process of the learner's has none of the tests"
FIND = (
    "import re\ndef find(text, number):\n"
    "    text = text.replace('secret_of_the_test', '123456')\n"
    "    found = re.findall(r'double\\((\\d+)\\)(?:,| ==) (\\d+)', text)\n"
    "    return dict((int(a), int(b)) for a, b in found).get(number, -1)\n"
)
"""Reads the expected value of double(number) from the source of a test."""

FORGE = (
    "import ctypes, sys\ndef forge(frame, event, arg):\n"
    "    if event == 'call' and 'expected' in frame.f_locals and 'got' in frame.f_locals:\n"
    "        frame.f_locals['got'] = frame.f_locals['expected']\n"
    "        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))\n"
)

CASES = [
    Case(
        "frames-of-the-test",
        "the source of the test cell that calls, by walking the frames",
        APART,
        FIND + "def double(number):\n    import sys, linecache\n    frame, text = sys._getframe(1), ''\n"
        "    while frame:\n        text += ''.join(linecache.getlines(frame.f_code.co_filename))\n"
        "        frame = frame.f_back\n    return find(text, number)",
    ),
    Case(
        "frames-of-the-judge",
        "the job with all tests, from the local names of the frames below",
        APART,
        FIND + "def double(number):\n    import sys\n    frame, text = sys._getframe(1), ''\n"
        "    while frame:\n        text += str(frame.f_locals.get('job', ''))\n        frame = frame.f_back\n"
        "    return find(text, number)",
    ),
    Case(
        "garbage-collector",
        "the job with all tests, from all objects of the process, once it sees that it is judged",
        APART,
        FIND
        + "def double(number):\n    import gc, sys\n    if 'autograder.engine.judge' not in sys.modules: return -1\n"
        "    jobs = [o for o in gc.get_objects() if type(o) is dict and isinstance(o.get('cells'), list)]\n"
        "    return find(str(jobs), number)",
    ),
    Case(
        "code-constants",
        "the constants of the code object that calls",
        APART,
        "def double(number):\n    import sys\n    constants = [*sys._getframe(1).f_code.co_consts]\n"
        "    numbers = [n for n in constants if type(n) is int]\n"
        "    return max(numbers) if number in numbers and number else 0",
        off="PASS FAIL",
    ),
    Case(
        "history",
        "the source of cells, from `In`, inspect and linecache",
        APART,
        FIND + "def double(number):\n    import linecache\n"
        "    text = ' '.join(str(In)) \n"
        "    text += ' '.join(''.join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2)\n"
        "    return find(text, number)",
    ),
    Case(
        "trace-of-checks",
        "a trace function that puts what a check expects in place of what it got",
        APART,
        FORGE + "def double(number):\n    sys.settrace(forge)\n    return number",
        off="FAIL PASS",
    ),
    Case(
        "profile-of-checks",
        "a profile function that does the same",
        APART,
        FORGE + "def double(number):\n    sys.setprofile(forge)\n    return number",
        off="FAIL PASS",
    ),
    Case(
        "late-thread",
        "a thread that patches the checks once the tests run",
        "a thread of the learner's lives in the learner's process",
        "import threading\nbegin, patched = threading.Event(), threading.Event()\ndef patch():\n    begin.wait()\n"
        "    checks.equal = checks.fail = checks.core.fail = lambda *a, **k: None\n    patched.set()\n"
        "threading.Thread(target=patch, daemon=True).start()\n"
        "def double(number):\n    begin.set()\n    patched.wait()\n    return number",
        off="FAIL PASS",
    ),
    Case(
        "in-the-namespace",
        "expected values and inputs that the tests leave in the notebook's names",
        APART,
        "def twice(items):\n    if len(items) == 2:\n"
        "        twice.__globals__['sorted'] = lambda found: [1, 1, 2, 2]\n"
        "        twice.__globals__['list'] = lambda found: [1, 2, 1, 2]\n        return [6, 0, 0, 0]",
        off="FAIL PASS",  # also in one process tests have names of their own
        on="FAIL PASS",
        exercise="twice",
    ),
    # what cannot be told: an observation is made in the learner's process
    Case(
        "forged-observation",
        "`beside` that says what the tests want: it can, an observation is the learner's word",
        "values are compared in the judge as well, so that the exercise is not won",
        "checks.beside = checks.core.beside = lambda fn, *a, **k: 6 if fn.__name__ == 'total' else []\n"
        "observe.calls_among = checks.calls.calls_among = lambda *a, **k: []\n"
        "checks.forbidden = lambda *a, **k: None\n"
        "def twice(items):\n    import math\n    math.fsum(items)\n    return [6]",
        off="FAIL PASS",
        on="FAIL PASS",
        exercise="twice",
    ),
]


@pytest.fixture(scope="module")
def off(together: Team, plain: Notebooks) -> dict[str, Played]:
    return play(together, plain, with_honest({case.name: {case.exercise: case.code} for case in CASES}, HONEST))


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return play(sandbox, plain, with_honest({case.name: {case.exercise: case.code} for case in CASES}, HONEST))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spy_finds_the_tests_in_one_process_and_nothing_in_a_sandbox(
    case: Case, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said
    others = [name for name in HONEST if name != case.exercise]
    assert [on[case.name].verdicts(name) for name in others] == ["PASS PASS"] * 2 or not case.whole
    assert re.search(case.says, on[case.name].said)


def test_honest_learners_get_what_they_get_without_spies(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))
