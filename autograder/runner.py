"""Run lists of cells in warm workers: typed jobs in, typed results out, replayed where a child died."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
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
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot, numpy, torch, torch.testing, torch.utils.flop_counter, torch.utils._python_dispatch
import IPython.utils.capture
from shared import checks, observe
torch.set_num_threads(1)
"""


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
    limits: Limits = Limits()


@dataclass(frozen=True)
class CellRun:
    """What one cell did. `check` holds the fields of a `CheckFailure`."""

    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    outputs: tuple[dict[str, Any], ...] = ()
    check: dict[str, str] | None = None


@dataclass
class Run:
    """What a job did: every cell that ran, CPU seconds of all its processes, peak memory in MiB."""

    name: str
    cells: dict[str, CellRun] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    deaths: int = 0


class Worker:
    """One warm process. Not thread-safe; `run` blocks until the job is done.

    Parameters
    ----------
    warm_up : trusted code run once before the first fork, such as a week's imports.
    """

    def __init__(self, warm_up: str = "") -> None:
        self._warm_up = WARM_UP + warm_up
        self._process: subprocess.Popen[str] | None = None
        self._trouble = tempfile.TemporaryFile(mode="w+", encoding="utf-8")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def start(self) -> None:
        """Start and warm up. `WorkbookError` when a library is missing or a thread runs before the first fork."""
        environment = os.environ | dict.fromkeys(SINGLE_THREAD, "1") | {"MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autograder.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._trouble,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        try:
            ready = self._exchange({"code": self._warm_up})
        except (BrokenPipeError, ValueError):
            self.close()
            self._trouble.seek(0)
            trouble = (self._trouble.read().strip() or "no message").splitlines()[-1]
            raise WorkbookError(f"the warm process did not start: {trouble}", "run `make setup`") from None
        if ready["threads"] != 1:
            self.close()
            raise WorkbookError(
                f"the warm process has {ready['threads']} threads before its first fork",
                "take what starts threads out of the set-up cell",
            )

    def run(self, job: Job) -> Run:
        """Run a job; where its process dies, replay it without the cell that killed it."""
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
        message = {
            "cells": [{"id": c.id, "source": c.source} for c in job.cells if c.id not in skip],
            **job.limits.model_dump(),
        }
        for attempt in (1, 2):
            if self._process is None or self._process.poll() is not None:
                self.start()
            try:
                return self._exchange(message)
            except (BrokenPipeError, ValueError):
                self.close()
                if attempt == 2:
                    raise WorkbookError(f"{job.name}: the warm process died twice", "look at free memory") from None
        raise AssertionError("unreachable")

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process and self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def _cell_run(done: dict[str, Any]) -> CellRun:
    error = done["error"]
    verdict, message, check = Verdict.PASS, "", None
    if error:
        verdict, message, check = Verdict.ERROR, f"{error['name']}: {error['message']}", error["check"]
        if check or error["name"] in ("AssertionError", "NotImplementedError"):
            verdict = Verdict.FAIL
            message = error["message"] if check else message
        elif error["name"] == "MemoryError" or "can't allocate memory" in error["message"]:
            verdict = Verdict.OOM
    return CellRun(verdict, message, done["seconds"], tuple(done["outputs"]), check)


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


def run_all(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    warm_up: str = "",
    on_done: Callable[[Run], None] | None = None,
) -> Iterator[Run]:
    """Run jobs on several warm workers and yield the results in the order of the jobs.

    A failure of the grader itself is a run without cells, never an end of the batch.
    """
    count = max(1, min(workers or os.cpu_count() or 1, len(jobs)))
    pool: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    team = [Worker(warm_up) for _ in range(count)]
    for worker in team:
        pool.put(worker)

    def one(job: Job) -> Run:
        worker = pool.get()
        try:
            run = worker.run(job)
        except WorkbookError as error:
            run = Run(job.name, {c.id: CellRun(Verdict.INFRA, error.message) for c in job.cells})
        finally:
            pool.put(worker)
        if on_done:
            on_done(run)
        return run

    executor = ThreadPoolExecutor(count, thread_name_prefix="worker")
    try:
        yield from executor.map(one, jobs)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in team:
            with contextlib.suppress(Exception):
                worker.close()
