"""Run lists of cells in warm workers: typed jobs in, typed results out, replayed where a child died."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any

from .errors import WorkbookError
from .source import Limits

MAX_DEATHS = 3
"""A submission whose process died this often is not replayed any more."""
SINGLE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
WARM_UP = """
import IPython.utils.capture
from shared import checks, datasets, observe, plotting, profiles, profiling
"""
WARM_UP_WITH = {
    # any optimizer imports torch._dynamo on its first use, about 4 s; a first use inside a child would repeat it
    "torch": """
import torch, torch._dynamo, torch.testing, torch.utils._python_dispatch, torch.utils.flop_counter
torch.set_num_threads(1)
""",
}
"""What a library needs beyond its import to be warm."""


class Verdict(StrEnum):
    """What became of a graded cell."""

    PASS = "PASS"
    FAIL = "FAIL"
    """A check failed, or the exercise is not written yet."""
    ERROR = "ERROR"
    """The cell raised something that no check expected."""
    TIMEOUT = "TIMEOUT"
    OOM = "OOM"
    CRASH = "CRASH"
    MISSING = "MISSING"
    INFRA = "INFRA"
    """The grader's own fault. Never costs points."""


@dataclass(frozen=True)
class Code:
    """A code cell to run."""

    id: str
    source: str


@dataclass(frozen=True)
class Job:
    """Cells to run in order in one process."""

    name: str
    cells: tuple[Code, ...]
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class CellRun:
    """What one cell did. `check` holds the fields of a `CheckFailure`, `line` where in the cell it failed."""

    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    outputs: tuple[dict[str, Any], ...] = ()
    check: dict[str, str] | None = None
    line: int = 0


@dataclass
class Run:
    """What a job did: every cell that ran, CPU seconds of all its processes, peak memory in MiB."""

    name: str
    cells: dict[str, CellRun] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    deaths: int = 0


class WarmProcess:
    """The process that jobs are forked from. Several threads may call `run` at the same time.

    Parameters
    ----------
    libraries : modules to import before the first fork.
    """

    def __init__(self, libraries: Sequence[str] = ()) -> None:
        self._warm_up = WARM_UP + "".join(f"import {name}\n" + WARM_UP_WITH.get(name, "") for name in libraries)
        self._process: subprocess.Popen[str] | None = None
        self._socket = ""
        self._starting = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """End the process, and with it everything that runs below it. It cannot be started again."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        """Closing its standard input lets the process tidy up; killing it is for one that does not listen."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout=2 if self._socket else 0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

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
            if self._process and self._process.poll() is None:
                return
            self._socket = ""
            environment = os.environ | dict.fromkeys(SINGLE_THREAD, "1") | {"MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
            with tempfile.TemporaryFile(mode="w+", encoding="utf-8") as trouble:
                process = self._process = subprocess.Popen(
                    [sys.executable, "-m", "autograder.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=trouble,
                    text=True,
                    encoding="utf-8",
                    env=environment,
                )
                if self._closed:  # closed by another thread in the meantime
                    self._end()
                answer = _first_answer(process, self._warm_up)
                if not answer:
                    self._end()
                    trouble.seek(0)
                    reason = (trouble.read().strip() or "no message").splitlines()[-1]
                    raise WorkbookError(f"the warm process did not start: {reason}", "run `make setup`")
            ready = json.loads(answer)
            if ready["threads"] != 1:
                self._end()
                raise WorkbookError(
                    f"the warm process has {ready['threads']} threads before its first fork",
                    "take the library that starts threads out of `libraries` in week.toml",
                )
            self._socket = ready["socket"]

    def run(self, job: Job) -> Run:
        """Run a job; where its process dies, replay it without the cell that killed it.

        Raises
        ------
        WorkbookError
            when the warm process cannot be started or dies twice.
        """
        run = Run(job.name)
        skip: set[str] = set()
        while True:
            result = self._send(job, skip)
            run.cpu_seconds += result["cpu_seconds"]
            run.peak_mib = max(run.peak_mib, result["peak_kib"] / 1024)
            for cell_id, done in result["cells"].items():
                run.cells[cell_id] = _cell_run(done)
            if not result["why"]:
                return run
            run.deaths += 1
            dead, why = result["died_in"], result["why"]
            if dead:
                run.cells[dead] = _death(why, job.limits)
                skip.add(dead)
            if run.deaths == MAX_DEATHS or not dead or "whole notebook" in why:
                for cell in job.cells:
                    run.cells.setdefault(cell.id, _death(why, job.limits, f"not run: stopped in cell {dead!r}: "))
                return run

    def _send(self, job: Job, skip: set[str]) -> dict[str, Any]:
        """One job over the socket and its answer; a warm process that died is started again once."""
        message = {
            "cells": [{"id": c.id, "source": c.source} for c in job.cells if c.id not in skip],
            **job.limits.model_dump(),
        }
        for _ in range(2):
            self.start()
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(self._socket)
                    with connection.makefile("rw", encoding="utf-8") as stream:
                        stream.write(json.dumps(message) + "\n")
                        stream.flush()
                        answer: dict[str, Any] = json.loads(stream.readline())
                        return answer
            except (OSError, ValueError):
                continue
        raise WorkbookError(f"{job.name}: the warm process died twice", "look at free memory and grade again")


def _first_answer(process: subprocess.Popen[str], warm_up: str) -> str:
    """What the warm process says when it is ready; "" when it ended before that."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"code": warm_up}) + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except (OSError, ValueError):  # closed by another thread, or dead
        return ""


def _cell_run(done: dict[str, Any]) -> CellRun:
    error = done["error"]
    verdict, message, check, line = Verdict.PASS, "", None, 0
    if error:
        verdict, message = Verdict.ERROR, f"{error['name']}: {error['message']}"
        check, line = error["check"], error["line"]
        if check or error["name"] in ("AssertionError", "NotImplementedError"):
            verdict = Verdict.FAIL
            message = error["message"] if check else message
        raised = check["came"] if check else f"{error['name']}: {error['message']}"
        if raised.startswith("MemoryError") or "can't allocate memory" in raised:
            verdict = Verdict.OOM
    return CellRun(verdict, message, done["seconds"], tuple(done["outputs"]), check, line)


def _death(why: str, limits: Limits, prefix: str = "") -> CellRun:
    kind, _, detail = why.partition(": ")
    if kind == "TIMEOUT":
        text = (
            f"the whole notebook ran longer than {limits.total_seconds:g} s"
            if detail
            else f"the cell ran longer than {limits.cell_seconds:g} s and was stopped"
        )
        verdict, name = Verdict.TIMEOUT, "CellTimeoutError"
    else:
        text = f"the process ended inside this cell ({detail})"
        verdict, name = Verdict.CRASH, "DeadProcessError"
    output = {"output_type": "error", "ename": name, "evalue": prefix + text, "traceback": [prefix + text]}
    return CellRun(verdict, prefix + text, 0.0, (output,))


class Team:
    """Runs jobs side by side, all forked from one warm process, which starts at once in the background.

    Parameters
    ----------
    workers : how many jobs run at the same time; None or 0 for one a core.
    libraries : modules to import before the first fork.
    on_done : called after each job, from a worker's thread.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        libraries: Sequence[str] = (),
        on_done: Callable[[Run], None] | None = None,
    ) -> None:
        self._on_done = on_done
        self._warm = WarmProcess(libraries)
        self._executor = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="worker")

    def __enter__(self) -> Team:
        self._started = self._executor.submit(self._warm.start)
        return self

    def ready(self) -> None:
        """Wait until the warm process is up. Raises `WorkbookError` when it cannot start."""
        self._started.result()

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._warm.close()

    def _one(self, job: Job) -> Run:
        try:
            run = self._warm.run(job)
        except Exception as error:  # whatever it is, the other submissions go on
            reason = error.args[0] if isinstance(error, WorkbookError) else f"{type(error).__name__}: {error}"
            run = Run(job.name, {cell.id: CellRun(Verdict.INFRA, reason) for cell in job.cells})
        if self._on_done:
            self._on_done(run)
        return run

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        """Run jobs and yield results in their order. A failure of the grader itself is a run of INFRA verdicts."""
        yield from self._executor.map(self._one, jobs)
