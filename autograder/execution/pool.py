"""Run jobs in warm processes: typed jobs in, typed results out, nothing lost where a process dies."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from types import TracebackType
from typing import Any

from shared.checks.kinds import Kind

from ..core.errors import WorkbookError
from ..engine.child import Started
from ..engine.guest import wire
from ..engine.guest.endings import Why
from ..engine.judge import MAX_DEATHS
from ..engine.time_outs import Late
from ..engine.validate import encoded
from .cores import a_core
from .job import CancelledError, InfraError, Job, Mode, Run, spoiled
from .verdicts import CellRun as CellRun
from .verdicts import Death, Place, cell_run, died
from .verdicts import Verdict as Verdict
from .warm_process import WarmProcess

SLACK_SECONDS = 60
"""What a judge gets beyond the time of the submission before it counts as stuck."""
JUDGE_GIB = 6


class Team:
    """Runs jobs side by side. Its warm processes start at once, in the background.

    Parameters
    ----------
    workers : how many jobs run at the same time; None or 0 for one a core.
    libraries : modules to import before the first fork.
    mode : see `Mode`.
    on_done : called after each job, from a worker's thread.
    on_cell : in Mode.NOTEBOOK called as each cell begins, with the job, the cell and the moment when it is stopped.
    judges : the warm process of the judges; by default one of its own.
    on_place : called, from a worker's thread, now and then while a cell runs in Mode.NOTEBOOK: its id, where it is.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        libraries: Sequence[str] = (),
        mode: Mode = Mode.NOTEBOOK,
        on_done: Callable[[Run], None] | None = None,
        on_cell: Callable[[Job, str, float], None] = lambda job, cell, until: None,
        judges: WarmProcess | None = None,
        on_place: Callable[[str, Place], None] = lambda cell, place: None,
    ) -> None:
        self._on_done = on_done
        self._on_place = on_place
        self._on_cell = on_cell
        self._mode = mode
        self._cancelled = False
        self._running: set[Started] = set()
        grades = mode is not Mode.NOTEBOOK
        self._judges = judges or WarmProcess("judge", libraries, grades=grades)
        self._learners = WarmProcess("learner", libraries, mode is Mode.SANDBOX, grades) if grades else None
        self._executor = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="worker")
        # bubblewrap ends with the thread that started it, so these threads live as long as the team
        self._starters = ThreadPoolExecutor(2, thread_name_prefix="starter")

    def __enter__(self) -> Team:
        self._started = [self._starters.submit(warm.start) for warm in self._warm()]
        return self

    def _warm(self) -> list[WarmProcess]:
        return [self._judges] if self._learners is None else [self._judges, self._learners]

    def ready(self) -> None:
        """Wait until the warm processes are up. Raises `WorkbookError` when one cannot start."""
        for started in self._started:
            started.result()

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        for warm in self._warm():
            warm.close()
        self._starters.shutdown(wait=False)

    def submit(self, job: Job) -> Future[Run]:
        """Run one job as soon as a worker is free. A failure of the grader itself is a run of INFRA verdicts."""
        return self._executor.submit(self._one, job)

    def cancel(self) -> None:
        """Stop what runs in Mode.NOTEBOOK, from any thread, and begin nothing more: see `was_cancelled`."""
        self._cancelled = True
        for process in list(self._running):
            process.stop()

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        """Run jobs and yield results in their order."""
        yield from self._executor.map(self._one, jobs)

    def _one(self, job: Job) -> Run:
        run = Run(job.name)
        for _ in range(2):
            try:
                run = self._together(job) if self._learners is None else self._judged(job)
                break
            except Exception as error:  # whatever it is, the other submissions go on
                reason = error.args[0] if isinstance(error, WorkbookError) else f"{type(error).__name__}: {error}"
                run = spoiled(job, reason)
                if self._cancelled:
                    run = spoiled(job, str(CancelledError()), Kind.CANCELLED)
        if self._on_done:
            self._on_done(run)
        return run

    def _settings(self, job: Job, warm: WarmProcess, folder: str) -> dict[str, Any]:
        return job.limits.model_dump() | {"isolate": False, "core": None, "warm_bytes": warm.bytes, "folder": folder}

    def _judged(self, job: Job) -> Run:
        """Answers in a learner's process, tests in a judge."""
        assert self._learners is not None
        for warm in self._warm():
            warm.start()
        alone = a_core() if self._mode is Mode.SANDBOX else nullcontext()
        with tempfile.TemporaryDirectory(prefix="workbook-") as folder, alone as core:
            learner = self._settings(job, self._learners, folder) | {"isolate": core is not None, "core": core}
            settings = self._settings(job, self._judges, folder) | {"memory_gib": JUDGE_GIB}
            settings["total_seconds"] += SLACK_SECONDS
            judge = Started(self._judges.control, settings, (self._learners.control,))
            judge.channel.deadline = time.monotonic() + settings["total_seconds"]
            try:
                judge.channel.send(encoded(plain(job) | {"learner": learner}))
                result = json.loads(judge.channel.receive())
            except (EOFError, OSError, ValueError, wire.ProtocolError) as error:
                raise InfraError(f"the judge ended ({judge.end().how}; {type(error).__name__})") from None
            finally:
                judge.end()
        if "fault" in result:
            raise InfraError(result["fault"])
        cells = {cell_id: cell_run(fields) for cell_id, fields in result["cells"].items()}
        late = tuple(Late(**one) for one in result["late"])
        costs = (result["cpu_seconds"], result["peak_kib"] / 1024, result["deaths"])
        return Run(job.name, cells, *costs, late, result["killed"])

    def _together(self, job: Job) -> Run:
        """All cells in one process; where it dies, again without the cell that killed it."""
        self._judges.start()  # its warm-up is not the notebook's time
        end = time.monotonic() + job.limits.total_seconds
        return despite_deaths(job, end, lambda run, skip: self._attempt(job, skip, end, run))

    def _attempt(self, job: Job, skip: set[str], end: float, run: Run) -> tuple[str, Death | None]:
        """One process over the cells: the cell that it died in, and how; None when all is done."""
        self._judges.start()
        current, whole, place = "", False, Place()
        verdict: Verdict | None = None
        with tempfile.TemporaryDirectory(prefix="workbook-") as folder:
            process = Started(self._judges.control, self._settings(job, self._judges, folder))
            self._running.add(process)
            try:
                if self._cancelled:  # after it was added: now `cancel` sees it, or it sees `cancel`
                    raise EOFError
                process.channel.send(json.dumps(together(job, skip)).encode())
                while True:
                    if not place.seconds:
                        until = process.channel.deadline = min(time.monotonic() + job.limits.cell_seconds, end)
                    event = json.loads(process.channel.receive())
                    if "end" in event:
                        run.patched, run.modules = map(tuple, event["here"].values())
                        break
                    if "at" in event:
                        place = Place(**event["at"])
                        self._on_place(current, place)
                        continue
                    place = Place()
                    if "start" in event:
                        current = event["start"]
                        self._on_cell(job, current, until)
                    else:
                        run.cells[event["done"]] = cell_run(event["outcome"])
            except TimeoutError:
                verdict, whole = Verdict.TIMEOUT, time.monotonic() >= end
            except (EOFError, OSError, ValueError):
                verdict = Verdict.CRASH
            self._running.discard(process)
            ending = process.end()
            run.cpu_seconds += ending.cpu_seconds
            run.peak_mib = max(run.peak_mib, ending.peak_kib / 1024)
        if self._cancelled:
            raise CancelledError
        if ending.why is Why.FAULT:
            raise InfraError(ending.detail)
        if verdict is None:
            return current, None
        if verdict is Verdict.CRASH and ending.why is Why.MEMORY:
            verdict = Verdict.OOM
        return current, Death(verdict, ending.how, whole, place)


def despite_deaths(job: Job, end: float, attempt: Callable[[Run, set[str]], tuple[str, Death | None]]) -> Run:
    """Run a job in one process; where a cell ends it, again without that cell.

    Parameters
    ----------
    end : the moment when the job is to be done.
    attempt : runs the cells that are not to be skipped, once, and adds what they did to the run; returns the cell in
        which the process died, and how, or None where it did not.
    """
    run = Run(job.name)
    skip: set[str] = set()
    while True:
        current, death = attempt(run, skip)
        if death is None:
            return run
        run.deaths += 1
        if current:
            run.cells[current] = died(death, job.limits)
            skip.add(current)
            if job.until_failure:
                return run
        if run.deaths == MAX_DEATHS or not current or time.monotonic() >= end:
            for cell in job.cells:
                run.cells.setdefault(cell.id, died(death, job.limits, f"not run: stopped in cell {current!r}: "))
            return run


def plain(job: Job) -> dict[str, Any]:
    """The job as a judge reads it."""
    return {
        "cells": [vars(cell) for cell in job.cells],
        "limits": job.limits.model_dump(),
        "names": list(job.names),
        "uses": {name: list(used) for name, used in job.uses.items()},
        "reference": dict(job.reference),
    }


def together(job: Job, skip: Collection[str]) -> dict[str, Any]:
    """The job without some cells, as one process reads it that runs all of them."""
    cells = [vars(cell) for cell in job.cells if cell.id not in skip]
    return {"cells": cells, "names": list(job.names), "until_failure": job.until_failure}
