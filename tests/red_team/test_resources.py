"""Too much of everything, and sudden ends: limits hold, the other tests of the submission go on.

With the defense off: a limit is raised, there is no sandbox, or the code runs in a plain Python process.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from . import lesson
from .harness import Attack, Case, Played, honest_ones, play, with_honest
from .lesson import HONEST

TOUCH = """import mmap
blocks = []
for name in ('/tmp/block', '/dev/shm/block'):
    with open(name, 'w+b') as file:
        file.truncate(SIZE)
        blocks.append(mmap.mmap(file.fileno(), SIZE))
for block in blocks:
    for page in range(0, SIZE, 4096): block[page] = 1
"""
"""Memory that no limit of the process counts; the keeper looks at it from outside."""


def last(seconds: float) -> str:
    return f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass\n"


LIMITS = [
    Case("memory", "the memory of the machine", "a limit on a process's data",
        "block = bytearray(600 * 2**20)\n" + HONEST["double"], on="OOM OOM"),
    Case("shared-memory", "the same through shared mappings, which that limit does not count",
        "the keeper watches what is resident",
        TOUCH.replace("SIZE", str(225 * 2**20)) + last(0.5) + HONEST["double"], on="OOM OOM"),
    Case("memory-of-children", "the same through many processes with a little each",
        "the keeper watches the whole family",
        "import os\nfor _ in range(4):\n    if not os.fork():\n        block = bytearray(b'x') * (120 * 2**20)\n"
        f"        {last(1).replace(chr(10), chr(10) + ' ' * 8)}\n        os._exit(0)\n" + last(1) + HONEST["double"],
        on="OOM OOM"),
    Case("deaf-loop", "a loop that ignores every signal", "SIGKILL, from outside, at the end of the cell's time",
        "import signal\nfor number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGALRM, signal.SIGHUP):\n"
        "    signal.signal(number, signal.SIG_IGN)\n" + last(3) + HONEST["double"], on="TIMEOUT TIMEOUT"),
    Case("sleep", "a worker that waits", "wall time, not CPU time", "import time\ntime.sleep(3)\n" + HONEST["double"],
        on="TIMEOUT TIMEOUT"),
    Case("long-iterator", "a judge that reads on and on",
        "each reading crosses the socket, within the time of the test",
        "import itertools, time\nend = time.monotonic() + 3\n"
        "class Long:\n    def __len__(self): return 4\n"
        "    def __iter__(self): return itertools.takewhile(lambda n: time.monotonic() < end, itertools.repeat(1))\n"
        "def twice(items): return Long()", off="FAIL PASS", on="TIMEOUT PASS", exercise="twice"),
]  # fmt: skip
PLENTY = [
    Attack("fork-bomb", "all process numbers of the machine", "64 processes and threads",
        "import os, time\nfor _ in range(100):\n    if not os.fork():\n        time.sleep(60)\n        os._exit(0)",
        says="unavailable"),
    Attack("threads", "the same with threads", "64 processes and threads",
        "import threading, time\n"
        "for _ in range(100): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        says="start new thread"),
    Attack("disk", "the disk of the machine", "a /tmp of 256 MiB in memory",
        "import os\nfor name in 'ab': os.posix_fallocate(os.open(name, os.O_CREAT | os.O_RDWR), 0, 200 * 2**20)",
        says="No space left"),
    Attack("many-files", "the inodes of the disk", "a /tmp of 4096 files",
        "import os\nfor n in range(5000): os.close(os.open(f'f{n}', os.O_CREAT))", says="No space left"),
]  # fmt: skip
CALLED = "def double(number):\n    import ctypes, os, signal, sys\n    "
ENDS = [
    Case("descriptors", "all open files of the machine", "256 open files",
        "files = [open('/dev/null') for _ in range(400)]\nprint('WON')\n" + HONEST["double"], on="ERROR ERROR",
        says="Too many open files"),
    Case("input", "what is typed into the grader's terminal", "standard input is empty",
        "if input() == 'a secret': print('WON')\n" + HONEST["double"], on="ERROR ERROR", says="EOFError"),
    Case("output-flood", "megabytes of print in the graded notebook", "20,000 characters of a cell are kept",
        "print('WON' + 'x' * 5_000_000)\n" + HONEST["double"], on="PASS PASS", says="the rest was cut"),
    Case("at-exit", "work after the last test", "the process is killed, not asked to end",
        "import atexit\natexit.register(print, 'WON')\n" + HONEST["double"], on="PASS PASS"),
    # sudden ends: what comes later in the notebook is lost
    Case("exit", "a test that ends with success", "an end inside a cell is a crash", CALLED + "os._exit(0)",
        on="CRASH CRASH", says=r"exit code 0"),
    Case("abort", "a grader that dies with it", "a process of its own", CALLED + "os.abort()", on="CRASH CRASH",
        says="SIGABRT|SIGSEGV"),
    Case("segfault", "a grader that dies with it", "a process of its own", CALLED + "ctypes.string_at(0)",
        on="CRASH CRASH", says="SIGSEGV"),
    Case("stack-overflow", "a grader that dies with it", "a process of its own",
        CALLED + "deep = None\n    for _ in range(10**6): deep = (deep,)\n"
        "    sys.setrecursionlimit(10**9)\n    hash(deep)",
        on="CRASH CRASH", says="SIGSEGV"),
    Case("own-group", "the end of every process of its group", "a session of its own",
        CALLED + "os.killpg(0, signal.SIGTERM)\n    os.kill(os.getpid(), signal.SIGABRT)\n    os._exit(3)",
        on="CRASH CRASH"),
    Case("system-exit", "a judge that exits", "the test is judged as failed", CALLED + "raise SystemExit(0)",
        on="ERROR ERROR", says="SystemExit"),
    Case("interrupt", "a judge that stops as for Ctrl-C", "the test is judged as failed",
        CALLED + "raise KeyboardInterrupt", on="ERROR ERROR", says="KeyboardInterrupt"),
    Case("generator-exit", "a check that is left early", "the test is judged as failed",
        CALLED + "raise GeneratorExit", on="ERROR ERROR", says="GeneratorExit"),
    Case("wordless-error", "a report that fails while it describes the error", "an error crosses as bounded text",
        "class Bad(BaseException):\n    def __str__(self): raise Bad\n    __repr__ = __str__\n"
        "    __class__ = property(__str__)\ndef double(number): raise Bad", on="ERROR ERROR"),
    Case("deep-recursion", "a judge without a stack", "the error of the process itself",
        "def double(number): return double(number)", on="FAIL FAIL", says="RecursionError"),
    Case("error-of-megabytes", "a report of megabytes", "words are cut",
        "def double(number): raise ValueError('WON' * 10**6)", on="FAIL FAIL"),
]  # fmt: skip
CASES = [*LIMITS, *PLENTY, *ENDS]


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return lesson.write(tmp_path_factory.mktemp("generous"), lesson.PLAIN, seconds=10, gib=4)


@pytest.fixture(scope="module")
def off(sandbox: Team, unsafe: Team, generous: Notebooks) -> dict[str, Played]:
    raised = play(sandbox, generous, {case.name: {**HONEST, case.exercise: case.code} for case in LIMITS})
    free = play(unsafe, generous, {case.name: HONEST | {"double": case.answer(case.code)} for case in PLENTY})
    return raised | free


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks, generous: Notebooks) -> dict[str, Played]:
    plenty = play(sandbox, generous, {case.name: HONEST | {"double": case.answer(case.code)} for case in PLENTY})
    others = {case.name: {case.exercise: case.code} for case in [*LIMITS, *ENDS]}
    return plenty | play(sandbox, plain, with_honest(others, HONEST))


def check(case: Case, on: dict[str, Played]) -> None:
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said
    assert [on[case.name].verdicts(name) for name in HONEST if name != case.exercise] == ["PASS PASS"] * 2
    assert re.search(case.says, on[case.name].said)
    assert len(on[case.name].said) < 200_000


@pytest.mark.parametrize("case", [*LIMITS, *PLENTY], ids=lambda case: case.name)
def test_a_limit_holds(case: Case, off: dict[str, Played], on: dict[str, Played]) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said
    assert case.proof in off[case.name].shown
    assert "WON" not in on[case.name].shown
    check(case, on)


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.name)
def test_an_end_costs_its_own_tests_alone(case: Case, on: dict[str, Played]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{case.code}\ndouble(1)\nprint('what comes later')"],
        input="a secret\n",
        text=True,
        capture_output=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert "WON" in done.stdout + done.stderr or "what comes later" not in done.stdout
    check(case, on)


def test_honest_learners_get_what_they_get_without_floods(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))
