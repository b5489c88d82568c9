"""Where a learner's jobs run: forks of the warm process, or one plain process where there is none."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from shared.checks.kinds import Kind

from ..engine.cell_kinds import TRUSTED
from ..execution.job import CancelledError, InfraError, Job, Run, spoiled
from ..execution.pool import Team, despite_deaths, together
from ..execution.verdicts import Death, Place, Verdict, cell_run
from ..execution.warm_process import variables
from .fork_client import Lasting, NoWarmProcessError
from .steps import Step, Tell, nobody, running

IMPORT_SECONDS = 120
"""What a plain process may take to start, and for a set-up cell that imports what is not warm."""


class Bench(Protocol):
    """Runs jobs one after another.

    Attributes
    ----------
    note : why it is slower than it could be, or nothing.
    """

    note: str

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        """What the jobs did, in their order. A cancelled one is told by `job.was_cancelled`."""

    def cancel(self) -> None:
        """Stop what runs and begin nothing more on this bench, from any thread."""

    def close(self) -> None:
        """End what belongs to this bench alone."""


def open_bench(libraries: Sequence[str], tell: Tell = nobody, warm: Lasting | None = None) -> Bench:
    """The warm process, started where there is none; a plain process where it cannot be.

    Parameters
    ----------
    tell : is told of each step, from any thread: what is imported, which cell runs.
    warm : the connection to use, for those who may want to give it up.
    """
    warm = warm or Lasting(libraries, tell=tell)
    try:
        warm.start()
    except NoWarmProcessError as error:
        return PlainBench(f"no warm process ({error}), so each command imports its libraries anew", libraries, tell)
    return WarmBench(warm, tell)


class WarmBench:
    """Each job is a fork of the warm process."""

    def __init__(self, warm: Lasting, tell: Tell = nobody) -> None:
        self.note = ""
        self._warm = warm
        self._tell, self._step = tell, Step("starting")
        self._team: Team | None = None
        self._cancelled = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Run]:
        team = self._team = Team(1, judges=self._warm, on_cell=self._begun, on_place=self._at)
        if self._cancelled:  # after it was set: now `cancel` sees the team, or this sees `cancel`
            team.cancel()
        try:
            with team:
                yield from team.run(jobs)
        except BaseException:  # Ctrl-C too: else this process would not end before the cell does
            team.cancel()
            raise
        finally:
            self._team = None

    def _begun(self, job: Job, cell: str, until: float) -> None:
        self._step = running(job, cell, until)
        self._tell(self._step)

    def _at(self, cell: str, place: Place) -> None:
        self._tell(replace(self._step, where=str(place)))

    def cancel(self) -> None:
        self._cancelled = True
        if (team := self._team) is not None:
            team.cancel()

    def close(self) -> None:
        self.cancel()
        self._warm.hang_up()


class PlainBench:
    """All jobs in one process, which is started for the first and again after one that ended it."""

    def __init__(self, note: str = "", libraries: Sequence[str] = (), tell: Tell = nobody) -> None:
        self.note = note
        self._imports = f"importing {', '.join(libraries)}" if libraries else "starting Python"
        self._tell = tell
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
        end = time.monotonic() + job.limits.total_seconds + IMPORT_SECONDS

        def attempt(run: Run, skip: set[str]) -> tuple[str, Death | None]:
            current, death = self._attempt(job, skip, end, run)
            if self._cancelled:
                raise CancelledError
            if death is not None:
                self._end()
            return current, death

        return despite_deaths(job, end, attempt)

    def _attempt(self, job: Job, skip: set[str], end: float, run: Run) -> tuple[str, Death | None]:
        """Run the cells once: the cell that the process died in, and how; "" and None when all is done."""
        current, place, begun, step = "", Place(), time.monotonic(), Step(self._imports)
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
                    self._tell(replace(step, where=str(place)))
                    continue
                place, begun = Place(), time.monotonic()
                if "start" in event:
                    current = event["start"]
                    if current not in trusted:  # its set-up cell is what imports
                        step = running(job, current, min(time.monotonic() + job.limits.cell_seconds, end))
                        self._tell(step)
                else:
                    run.cells[event["done"]] = cell_run(event["outcome"])
        except queue.Empty:
            return current, Death(Verdict.TIMEOUT, whole=time.monotonic() >= end, place=place)
        except (OSError, ValueError):
            return current, Death(Verdict.CRASH, f"exit code {process.wait()}")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._tell(Step(self._imports))
            self._events = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autograder.engine.no_fork"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=variables(),
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
    """Put lines into the queue, and an empty one, which is not an event, at the end."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            events.put(line)
    events.put(b"")
