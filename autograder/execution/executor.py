"""Who runs jobs: the warm processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Protocol

from ..core.errors import WorkbookError
from ..engine import sandbox
from .job import Job, Mode, Run
from .pool import Team


class Crew(Protocol):
    """What `pool.Team` and `dask_executor.Cluster` have in common."""

    def ready(self) -> None:
        """Wait until jobs can run. Raises `WorkbookError` when they cannot."""

    def submit(self, job: Job) -> Future[Run]:
        """Run a job. A failure of the grader itself is a run of INFRA verdicts, never an exception."""


CrewMaker = Callable[[Sequence[str], Mode], AbstractContextManager[Crew]]
"""Makes a crew from the libraries that jobs import, and how they are run."""


def here(workers: int | None = None) -> CrewMaker:
    """A crew of warm processes on this machine; as many workers as it has cores, unless said otherwise.

    Making it raises `WorkbookError` where sandboxes are asked for and this machine cannot make them.
    """

    def make(libraries: Sequence[str], mode: Mode) -> Team:
        if mode is Mode.SANDBOX and (why := sandbox.missing()):
            remedy = "see `workbook doctor`; for people you trust, grade with --unsafe"
            raise WorkbookError(f"no sandbox, so nothing was graded: {why}", remedy)
        return Team(workers, libraries=libraries, mode=mode)

    return make
