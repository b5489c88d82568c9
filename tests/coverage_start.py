"""Counts the lines that this process runs. `tests/covered.py` copies it to where every Python finds it at its start.

The engine ends its processes by force: `os._exit` where all is said, SIGKILL from the keeper where nobody waits any
longer. So lines are saved before `os._exit`, and a keeper first asks a process to save what it has, then kills it.
Processes inside bubblewrap cannot be counted: nothing leaves them but messages to the judge.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import coverage

SAVE = signal.SIGUSR2
SAVE_SECONDS = 5.0
"""How long a keeper waits for a process that saves."""
KEEPERS = ("autograder.engine.guest.fork_server", "autograder.engine.fork_daemon")
_kill, _exit = os.kill, os._exit


def start() -> None:
    """Begin to count, as coveragerc beside this file says; only once in a process."""
    os.environ["COVERAGE_PROCESS_START"] = str(Path(__file__).with_name("coveragerc"))
    coverage.process_startup()
    del os.environ["COVERAGE_PROCESS_START"]  # grading drops it; what is started below finds this file by PYTHONPATH
    os._exit = lambda status: _save_and_end(_exit, status)  # type: ignore[assignment, return-value]
    if any(name in sys.orig_argv for name in KEEPERS):
        signal.signal(SAVE, lambda number, frame: _save_and_end(_kill, os.getpid(), signal.SIGKILL))
        os.kill = _kill_what_has_saved


def _save_and_end(end: Callable[..., None], *words: int) -> None:
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(SAVE, signal.SIG_IGN)  # it saves already
    with contextlib.suppress(Exception):  # such as a folder that the process may not write to
        if current := coverage.Coverage.current():
            current.save()
    end(*words)


def _kill_what_has_saved(pid: int, number: int) -> None:
    """`os.kill`; before SIGKILL the process is asked to save what it has, and ends by SIGKILL of its own."""
    if number == signal.SIGKILL and pid != os.getpid():
        _kill(pid, SAVE)
        end = time.monotonic() + SAVE_SECONDS
        while time.monotonic() < end and not _has_ended(pid):
            time.sleep(0.001)
    _kill(pid, number)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # it is not a child, or somebody waited for it
        return True


if __name__ == "sitecustomize":
    start()
