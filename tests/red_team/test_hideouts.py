"""Shortcuts that a `forbids` names, taken in hiding. Each gives right values; without the rule each earns points."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.execution.job import Mode
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from . import lesson
from .harness import Case, Played, play

OPERATORS = "torch's own trace of operators, in all threads"
EVADES = "means to get out of sight are told as such"
OPEN = "nothing: what a process says of itself can be a lie; the instructor is told"
SETUP = "import torch\nimport torch.nn.functional as F\nfrom shared import checks"
TESTS = """
# %% test="attend" points=40
x = checks.normal(0)(1, 2, 3, 4)
wanted = (x @ x.transpose(-2, -1) / 2).softmax(-1) @ x
with checks.step("attention by hand"):
    checks.close(attend(x), wanted, "attend(x)")
RULE
# %% test="attend" points=40
x = checks.normal(1)(2, 2, 5, 4)
### BEGIN HIDDEN TESTS
with checks.step("another shape"):
    checks.close(attend(x), (x @ x.transpose(-2, -1) / 2).softmax(-1) @ x, "attend(x)")
### END HIDDEN TESTS
"""
RULE = """
with checks.step("the computation is yours"):
    checks.forbidden(["torch.nn.functional.scaled_dot_product_attention"], attend, checks.normal(2)(1, 2, 4, 4))
"""
BY_HAND = "(x @ x.transpose(-2, -1) / x.shape[-1] ** 0.5).softmax(-1) @ x"
HONEST = f"def attend(x):\n    return {BY_HAND}"
FULL = "F.scaled_dot_product_attention"


def case(name: str, code: str, stop: str = OPERATORS, on: str = "FAIL PASS") -> Case:
    return Case(name, "points for a library call that is forbidden", stop, code, on=on, exercise="attend")


CASES = [
    case("hidden-ops", "def attend(x):\n    return torch.ops.aten.scaled_dot_product_attention(x, x, x)"),
    case("hidden-kernel", "def attend(x):\n"
         "    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)[0]"),
    case("hidden-binding", "def attend(x):\n    return torch._C._nn.scaled_dot_product_attention(x, x, x)"),
    case("hidden-trace", f"traced = torch.jit.trace(lambda x: {FULL}(x, x, x), torch.ones(1, 2, 3, 4))\n"
         "def attend(x):\n    return traced(x)"),
    case("hidden-graph", f"graph = torch.fx.symbolic_trace(lambda x: {FULL}(x, x, x))\n"
         "def attend(x):\n    return graph(x)"),
    case("hidden-thread", "import threading\ndef attend(x):\n    found = []\n"
         f"    one = threading.Thread(target=lambda: found.append({FULL}(x, x, x)))\n"
         "    one.start()\n    one.join()\n    return found[0]"),
    case("hidden-waiting-thread", "import queue, threading\njobs, done = queue.Queue(), queue.Queue()\n"
         f"def work():\n    while True:\n        x = jobs.get()\n        done.put({FULL}(x, x, x))\n"
         "threading.Thread(target=work, daemon=True).start()\n"
         "def attend(x):\n    jobs.put(x)\n    return done.get()"),
    case("hidden-raw-thread", "import _thread, queue\ndef attend(x):\n    done = queue.Queue()\n"
         f"    _thread.start_new_thread(lambda: done.put({FULL}(x, x, x)), ())\n    return done.get()"),
    case("hidden-getattr", "def attend(x):\n    return getattr(F, 'scaled_dot_product_' + 'attention')(x, x, x)"),
    case("hidden-wrapper", f"import functools\nwrapped = functools.wraps(len)(functools.partial({FULL}))\n"
         "def attend(x):\n    return wrapped(x, x, x)"),
    case("hidden-pointer", "import ctypes\ncall = ctypes.pythonapi.PyObject_CallObject\n"
         "call.restype, call.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.py_object]\n"
         f"def attend(x):\n    return call({FULL}, (x, x, x))"),
    case("watcher-off", f"import sys\ndef attend(x):\n    sys.setprofile(None)\n    return {FULL}(x, x, x)"),
    case("watcher-asked-for", f"import sys\ndef attend(x):\n    if sys.getprofile():\n        return {BY_HAND}\n"
         f"    return {FULL}(x, x, x)", EVADES),
    case("watcher-looked-at", "import sys\ndef attend(x):\n    frame, names = sys._getframe(), []\n"
         "    while frame:\n        names.append(frame.f_code.co_name)\n        frame = frame.f_back\n"
         f"    return {BY_HAND} if 'calls_among' in names else {FULL}(x, x, x)", EVADES),
    case("watcher-replaced", "from shared.checks import calls\ncalls.calls_among = lambda *a, **k: []\n"
         f"def attend(x):\n    return {FULL}(x, x, x)", OPEN, "PASS PASS"),
    case("watched-inputs-only", f"def attend(x):\n    return {BY_HAND} if x.shape == (1, 2, 4, 4) else {FULL}(x, x, x)",
         "nothing: the rule sees one call", "PASS PASS"),
]  # fmt: skip


def week(folder: Path, rule: str) -> Notebooks:
    text = lesson.HEAD.replace("SETUP", SETUP)
    text += lesson.exercise(1, "attend", "x", BY_HAND, TESTS.replace("RULE", rule)) + lesson.WRITTEN
    return lesson.write(folder, text, libraries='"torch"', seconds=10, gib=2)


def played_with(tmp_path_factory: pytest.TempPathFactory, rule: str) -> dict[str, Played]:
    learners = {"honest": {"attend": HONEST}} | {one.name: {"attend": one.code} for one in CASES}
    with Team(2, libraries=["torch"], mode=Mode.SANDBOX) as team:
        return play(team, week(tmp_path_factory.mktemp("hideouts"), rule), learners)


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    return played_with(tmp_path_factory, "")


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    return played_with(tmp_path_factory, RULE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_shortcut_in_hiding(case: Case, off: dict[str, Played], on: dict[str, Played]) -> None:
    assert off[case.name].verdicts("attend") == "PASS PASS", off[case.name].said
    assert on[case.name].verdicts("attend") == case.on, on[case.name].said


def test_an_answer_by_hand_keeps_its_points(on: dict[str, Played]) -> None:
    assert on["honest"].verdicts("attend") == "PASS PASS", on["honest"].said
