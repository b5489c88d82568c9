"""Grade on a Dask cluster: the same jobs, bytes in and bytes out, no shared files.

    here                                     a worker of the cluster
    the week's cells  ── once a worker ──►   unpacked, kept
    a submission's answers  ─────────────►   put between the week's cells, run by warm sandboxes of that machine
    what every cell did  ◄────────────────   a run, as JSON

A worker that dies takes its jobs with it; Dask gives them to another one. Grades are recorded here alone, from one
result for each submission, so none is recorded twice. Workers must have the same code and libraries as this machine.
A cluster belongs to the instructor: it is sent reference answers and hidden tests, and it is believed.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cache
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter

from ..core.errors import WorkbookError
from ..engine import sandbox
from ..engine.cell_kinds import ANSWER, OWN
from .executor import CrewMaker
from .fingerprint import environment, versions
from .job import Code, Job, Mode, Run, spoiled
from .pool import Team

CONNECT_SECONDS = 30
"""How long to wait for the scheduler, and then for its first worker."""
RUNS: TypeAdapter[Run] = TypeAdapter(Run)
JOBS: TypeAdapter[Job] = TypeAdapter(Job)


def on(address: str) -> CrewMaker:
    """A crew of the workers of the Dask scheduler at this address, for example `tcp://127.0.0.1:8786`."""
    return lambda libraries, mode: Cluster(address, libraries, mode)


class Cluster:
    """Runs jobs on the workers of a Dask scheduler.

    Parameters
    ----------
    address : of the scheduler. libraries, mode : as for `pool.Team`.

    Raises
    ------
    WorkbookError
        when Dask is not installed, nobody answers at the address, there is no worker, or a worker has other code.
    """

    def __init__(self, address: str, libraries: Sequence[str], mode: Mode) -> None:
        try:
            from distributed import Client
        except ImportError:
            remedy = "pip install 'distributed' into this environment"
            raise WorkbookError("a cluster needs Dask, which is not installed", remedy) from None
        self._address, self._libraries, self._mode = address, tuple(libraries), mode
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WorkbookError(
                f"no scheduler answers at {address} ({type(error).__name__})",
                "start one with `dask scheduler`, and name its address",
            ) from None
        self._lock = threading.Lock()
        self._week: Any = None
        self._known: dict[str, Code] = {}
        self._reference: dict[str, str] = {}
        self._asked: set[Any] = set()
        """What is under way; Dask forgets a task when nobody holds on to it."""

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self._client.close()

    def ready(self) -> None:
        """Wait for a worker, and compare the environments of all of them with this one."""
        from distributed import TimeoutError as NobodyError

        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (NobodyError, TimeoutError):
            raise WorkbookError(
                f"the scheduler at {self._address} has no workers", f"start some: dask worker {self._address}"
            ) from None
        mine = environment()
        for worker, (theirs, found, lacking) in self._client.run(about_this_worker, self._mode).items():
            if theirs != mine:
                other = [f"{name} {found.get(name)}" for name, one in versions().items() if found.get(name) != one]
                what = f"{', '.join(other)} there" if other else "another version of the workbook there"
                raise WorkbookError(f"worker {worker} has another environment: {what}", "install the same on all")
            if lacking:
                raise WorkbookError(f"worker {worker} has no sandbox: {lacking}", "see `workbook doctor` there")

    def submit(self, job: Job) -> Future[Run]:
        """Send a job. A worker that cannot run it, or dies with it again and again, is a run of INFRA verdicts."""
        week, packed = self._pack(job)
        asked = self._client.submit(run_packed, week, packed, self._libraries, self._mode, pure=False)
        self._asked.add(asked)
        answer: Future[Run] = Future()

        def arrived(done: Any) -> None:
            self._asked.discard(done)
            try:
                answer.set_result(RUNS.validate_json(done.result()))
            except Exception as error:  # of Dask, of the way, of a worker: the other submissions go on
                answer.set_result(spoiled(job, f"{type(error).__name__}: {error}"))

        asked.add_done_callback(arrived)
        return answer

    def _pack(self, job: Job) -> tuple[Any, bytes]:
        """The week, which is sent to each worker once, and what belongs to this job alone."""
        with self._lock:
            if self._week is None:
                cells = [cell for cell in job.cells if cell.kind not in (ANSWER, OWN)]
                week = json.dumps([[vars(cell) for cell in cells], dict(job.reference)]).encode()
                # a task, not scattered data: what a worker loses with it can be made again
                key = f"week-{hashlib.sha256(week).hexdigest()}"
                self._week = self._client.submit(bytes, week, key=key, pure=True)
                self._known = {cell.id: cell for cell in cells}
                self._reference = dict(job.reference)
        plain = JOBS.dump_python(job, mode="json")
        for place, cell in enumerate(job.cells):
            if self._known.get(cell.id) == cell:
                plain["cells"][place] = cell.id
        if self._reference == job.reference:
            plain["reference"] = None
        return self._week, json.dumps(plain).encode()


def unpacked(week: bytes, packed: bytes) -> Job:
    """The job that `Cluster` packed."""
    cells, reference = json.loads(week)
    known = {cell["id"]: cell for cell in cells}
    plain = json.loads(packed)
    plain["cells"] = [known[cell] if isinstance(cell, str) else cell for cell in plain["cells"]]
    if plain["reference"] is None:
        plain["reference"] = reference
    return JOBS.validate_python(plain)


# --- on a worker


def about_this_worker(mode: Mode) -> tuple[str, dict[str, str], str]:
    """Hash of the environment, the versions in it, and what is missing for a sandbox."""
    return environment(), versions(), sandbox.missing() if mode is Mode.SANDBOX else ""


def run_packed(week: bytes, packed: bytes, libraries: tuple[str, ...], mode: Mode) -> bytes:
    """Run one job in the warm processes of this worker."""
    job = unpacked(week, packed)
    return RUNS.dump_json(team_of(libraries, mode).submit(job).result())


_starting = threading.Lock()
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)


def team_of(libraries: tuple[str, ...], mode: Mode) -> Team:
    """The warm processes of this worker, started once; they end with it."""
    with _starting:
        return _team(libraries, mode)


@cache
def _team(libraries: tuple[str, ...], mode: Mode) -> Team:
    return _until_the_end.enter_context(Team(libraries=libraries, mode=mode))
