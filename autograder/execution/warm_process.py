"""Processes that have everything imported and are forked from: how they are started, and what they import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from ..core.errors import WorkbookError
from ..engine import sandbox

SINGLE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NO_BACKGROUND = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""scikit-learn imports pandas if it is there, pandas imports pyarrow, and pyarrow's allocator starts a thread."""
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""What malloc gets from the system may be huge pages: a fork, and the end of what was forked, is done sooner."""
ENVIRONMENT = dict.fromkeys(SINGLE_THREAD, "1") | NO_BACKGROUND | HUGE_PAGES
ENVIRONMENT |= {"MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
"""What every warm process is started with, besides what its starter has."""
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
"""What processes that grade keep of their starter's variables: PROFILE, PYTHONOPTIMIZE, ... would change verdicts."""
WARM_UP = """
import IPython.utils.capture
from autograder.engine.guest import learner_process
from shared import checks, datasets, observe, plotting, profiles, profiling
"""
WARM_UP_JUDGE = """
from autograder.engine import judge
"""
WARM_UP_WITH = {
    "torch": """
import torch, torch.testing, torch.utils._python_dispatch, torch.utils.flop_counter
torch.set_num_threads(1)
torch.backends.cpu.get_cpu_capability()  # asked once, of /proc; in a sandbox without it torch computes slowly
repr(torch.ones(1))  # the first tensor that is shown
""",
    # any optimizer imports torch._dynamo on its first use, for seconds; a first use inside a child would repeat it
    "torch.optim": """
import torch._dynamo
""",
    # its first search looks in /proc for thread pools; in a sandbox without it that search fails, and only the first
    "sklearn.neighbors": """
sklearn.neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit([[0.0], [1.0]]).kneighbors()
""",
}
"""What a library needs beyond its import to be warm."""


def warm_up_code(role: str, libraries: Sequence[str]) -> str:
    """What a warm process runs before its first fork."""
    return "".join(code for _, code in warm_up_parts(role, libraries))


def warm_up_parts(role: str, libraries: Sequence[str]) -> list[tuple[str, str]]:
    """The same in parts, each with the name of what it imports."""
    parts = [("the workbook", WARM_UP + (WARM_UP_JUDGE if role == "judge" else ""))]
    parts += [(name, f"import {name}\n" + WARM_UP_WITH.get(name, "")) for name in libraries]
    if role == "judge" and "torch" in libraries:
        parts.append(("the workbook", "from autograder.engine import remote_autograd\n"))
    return parts


def variables(grades: bool = False) -> dict[str, str]:
    """What a process that runs cells is started with, and all of its starter's variables; those `KEPT` if it grades."""
    return {name: value for name, value in os.environ.items() if name in KEPT or not grades} | ENVIRONMENT


def spawn(
    command: list[str], theirs: socket.socket, output: IO[str], grades: bool = False, folder: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that gets a socket, which is closed here. Ctrl-C and a closed terminal do not reach it."""
    with theirs:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=variables(grades),
            cwd=folder,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )


@dataclass(frozen=True)
class Greeting:
    """What a process says when it is warm: its threads, the bytes of memory that it holds, and who it is."""

    threads: int
    bytes: int
    pid: int = 0


def greeting_on(connection: socket.socket, importing: Callable[[str], None] = lambda name: None) -> Greeting | None:
    """What a process says on a socket when it is warm, or None where it ends before; `importing` hears of each import.

    Raises
    ------
    OSError, ValueError
        when the socket has a time limit and that is over, or somebody else talks.
    """
    with connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            said = json.loads(line)
            if "importing" not in said:
                return Greeting(**said)
            importing(said["importing"])
    return None


def last_words(output: IO[str]) -> str:
    """The last line that a process printed before it ended."""
    output.seek(0)
    return (output.read().strip() or "no message").splitlines()[-1]


def disconnected(connection: socket.socket) -> bool:
    """Whether the other side has closed the socket. A killed process does so just before the system calls it dead."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class WarmProcess:
    """A process that learners' processes or judges are forked from.

    Parameters
    ----------
    role : "learner" or "judge".
    libraries : modules to import before the first fork.
    sandboxed : whether bubblewrap starts it.
    grades : whether what it does becomes grades, so that the starter's variables must not matter.
    """

    def __init__(self, role: str, libraries: Sequence[str], sandboxed: bool = False, grades: bool = False) -> None:
        self._code = warm_up_code(role, libraries)
        self._libraries = libraries
        self._role = role
        self._sandboxed = sandboxed
        self._grades = grades
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._closed = False
        self.control = socket.socket()
        self.bytes = 0
        """What the warm process itself holds in memory."""

    def start(self) -> None:
        """Start and warm up, unless it is running.

        Raises
        ------
        WorkbookError
            when a library is missing, or a thread runs before the first fork.
        """
        with self._starting:
            if self._closed:
                raise WorkbookError("the warm process was closed", "start another")
            if self._process and self._process.poll() is None and not disconnected(self.control):
                return
            self._end()
            self.control, theirs = socket.socketpair()
            settings = {"control": theirs.fileno(), "role": self._role, "code": self._code}
            command = [sys.executable, "-m", "autograder.engine.guest.fork_server", json.dumps(settings)]
            if self._sandboxed:
                command = sandbox.command(command, ENVIRONMENT)
            with tempfile.TemporaryFile(mode="w+", encoding="utf-8") as output:
                self._process = spawn(command, theirs, output, self._grades)
                if self._closed:  # meanwhile; `close` did not see the process yet
                    self._process.kill()
                greeting = greeting_on(self.control)
                if greeting is None:
                    self._end()
                    raise WorkbookError(f"the warm process did not start: {last_words(output)}", "run `make setup`")
            self.bytes = greeting.bytes
            if greeting.threads != 1:
                self._end()
                raise WorkbookError(
                    f"the warm process has {greeting.threads} threads before its first fork",
                    "take the library that starts threads out of `libraries` in week.toml",
                )

    def _end(self) -> None:
        """Closing its socket ends it; killing is for one that does not listen."""
        process, self._process = self._process, None
        self.control.close()
        if process is None:
            return
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the process, and with it everything that runs below it. It cannot be started again."""
        self._closed = True
        process = self._process
        if process and process.poll() is None and self._starting.locked():
            process.kill()  # while it warms up nobody listens to its socket
        with self._starting:
            self._end()
