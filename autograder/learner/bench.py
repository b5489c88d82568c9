"""Where a learner's jobs run: forks of the warm process, or one plain process where there is none."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from shared.kinds import Kind

from ..engine.judge import MAX_DEATHS, TRUSTED
from ..runner import CancelledError, InfraError, Job, Run, Team, Verdict, spoiled, together
from ..verdicts import Death, Place, cell_run, died
from ..warming import ENVIRONMENT
from .warm import Lasting, NoWarmProcessError

IMPORT_SECONDS = 120
"""What a plain process may take to start, and for a set-up cell that imports what is not warm."""


OnPlace = Callable[[str, Place], None]


def _nobody(cell: str, place: Place) -> None:
    """For a bench that nobody watches."""


class Bench(Protocol):
    """Runs jobs one after another.

    Attributes
    ----------
    note : why it is slower than it could be, or nothing.
    on_place : called now and then while a cell runs, from any thread: its id, and where it is.
    """

    note: str
    on_place: OnPlace

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        """What the jobs did, in their order. A cancelled one is told by `runner.was_cancelled`."""

    def cancel(self) -> None:
        """Stop what runs and begin nothing more on this bench, from any thread."""

    def close(self) -> None:
        """End what belongs to this bench alone."""


def open_bench(libraries: Sequence[str], idle_seconds: float | None = None) -> Bench:
    """The warm process, started where there is none; a plain process where it cannot be."""
    warm = Lasting(libraries, idle_seconds)
    try:
        warm.start()
    except NoWarmProcessError as error:
        return PlainBench(f"no warm process ({error}), so each command imports its libraries anew")
    return WarmBench(warm)


class WarmBench:
    """Each job is a fork of the warm process."""

    def __init__(self, warm: Lasting) -> None:
        self.note = ""
        self.on_place: OnPlace = _nobody
        self._warm = warm
        self._team: Team | None = None
        self._cancelled = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        team = self._team = Team(1, judges=self._warm, on_place=self.on_place)
        if self._cancelled:  # after it was set: now `cancel` sees the team, or this sees `cancel`
            team.cancel()
        try:
            with team:
                yield from team.run(jobs)
        finally:
            self._team = None

    def cancel(self) -> None:
        self._cancelled = True
        if (team := self._team) is not None:
            team.cancel()

    def close(self) -> None:
        self.cancel()
        self._warm.hang_up()


class PlainBench:
    """All jobs in one process, which is started for the first and again after one that ended it."""

    def __init__(self, note: str = "") -> None:
        self.note = note
        self.on_place: OnPlace = _nobody
        self._process: subprocess.Popen[bytes] | None = None
        self._events: queue.Queue[bytes] = queue.Queue()
        self._cancelled = False
        self._folder = tempfile.TemporaryDirectory(prefix="workbook-")

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        for job in jobs:
            try:
                if self._cancelled:
                    raise CancelledError
                yield self._one(job)
            except CancelledError as error:
                yield spoiled(job, str(error), Kind.CANCELLED)
            except (InfraError, OSError) as error:
                yield spoiled(job, str(error))

    def _one(self, job: Job) -> Run:
        """Run a job; where a cell ends the process, again without that cell."""
        run = Run(job.name)
        skip: set[str] = set()
        end = time.monotonic() + job.limits.total_seconds + IMPORT_SECONDS
        while True:
            current, death = self._attempt(job, skip, end, run)
            if self._cancelled:
                raise CancelledError
            if death is None:
                return run
            self._end()
            run.deaths += 1
            if current:
                run.cells[current] = died(death, job.limits)
                skip.add(current)
            if run.deaths == MAX_DEATHS or not current or time.monotonic() >= end:
                for cell in job.cells:
                    run.cells.setdefault(cell.id, died(death, job.limits, f"not run: stopped in cell {current!r}: "))
                return run

    def _attempt(self, job: Job, skip: set[str], end: float, run: Run) -> tuple[str, Death | None]:
        """Run the cells once: the cell that the process died in, and how; "" and None when all is done."""
        current, place, begun = "", Place(), time.monotonic()
        process = self._start()
        assert process.stdin is not None
        trusted = {"", *(cell.id for cell in job.cells if cell.kind == TRUSTED)}
        try:
            process.stdin.write(json.dumps(together(job, skip)).encode() + b"\n")
            process.stdin.flush()
            while True:
                seconds = IMPORT_SECONDS if current in trusted else job.limits.cell_seconds
                left = min(begun + seconds, end) - time.monotonic()
                event = json.loads(self._events.get(timeout=max(0.0, left)))
                if "end" in event:
                    run.patched, run.modules = map(tuple, event["here"].values())
                    return "", None
                if "at" in event:
                    place = Place(**event["at"])
                    self.on_place(current, place)
                    continue
                place, begun = Place(), time.monotonic()
                if "start" in event:
                    current = event["start"]
                else:
                    run.cells[event["done"]] = cell_run(event["outcome"])
        except queue.Empty:
            return current, Death(Verdict.TIMEOUT, whole=time.monotonic() >= end, place=place)
        except (OSError, ValueError):
            return current, Death(Verdict.CRASH, f"exit code {process.wait()}")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._events = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autograder.engine.plain"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | ENVIRONMENT,
                cwd=self._folder.name,
            )
            threading.Thread(target=_read, args=(self._process, self._events), daemon=True).start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def cancel(self) -> None:
        self._cancelled = True
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        self._end()
        self._folder.cleanup()


def _read(process: subprocess.Popen[bytes], events: queue.Queue[bytes]) -> None:
    """Put lines into the queue, and an empty one, which is no event, at the end."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            events.put(line)
    events.put(b"")
