"""What is run and what comes of it: a job of code cells, and a run of verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.checks.kinds import Kind

from ..engine.cell_kinds import ANSWER
from ..engine.time_outs import Late
from ..week.source import Limits
from .verdicts import CellRun, Verdict


class Mode(StrEnum):
    """How a job is run."""

    SANDBOX = "sandbox"
    """Answers in a sandbox, tests in the judge: for untrusted submissions."""
    UNSAFE = "unsafe"
    """The same two processes without a sandbox around the first."""
    NOTEBOOK = "notebook"
    """All cells in one process, as in a learner's notebook: for the authors' own variants."""


@dataclass(frozen=True)
class Code:
    """A code cell to run; `kind` is one of `judge.TRUSTED`, `ANSWER`, `OWN` and `TEST`."""

    id: str
    source: str
    kind: str = ANSWER
    exercise: str = ""


@dataclass(frozen=True)
class Job:
    """Cells to run in order.

    Attributes
    ----------
    names : what answers define and tests use.
    uses : exercise -> all exercises that it builds on; of those that have an answer at all.
    reference : exercise -> the reference answer, for those that others use.
    until_failure : whether a run in one process ends with the first test that is not passed.
    """

    name: str
    cells: tuple[Code, ...]
    limits: Limits = field(default_factory=Limits)
    names: tuple[str, ...] = ()
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reference: Mapping[str, str] = field(default_factory=dict)
    until_failure: bool = False


class Disturbed(StrEnum):
    """What kept a run from its work, through no fault of its own."""

    WAITED = "waited"
    """It ran out of time and had used little CPU time."""
    KILLED = "killed"
    """The system ended its process: memory ran out."""


@dataclass
class Run:
    """What a job did: every cell that ran, CPU seconds of all its processes, peak memory in MiB.

    Attributes
    ----------
    late : what its time-outs did with their time. killed : whether the system ended a process of it.
    rerun : why it was run once more, alone; None where it was not.
    lost : what kept it from its work for good, so that it is not a verdict; None where nothing did.
    patched, modules : of a run in one process, see `together.TwoSides.only_here`.
    """

    name: str
    cells: dict[str, CellRun] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    deaths: int = 0
    late: tuple[Late, ...] = ()
    killed: bool = False
    rerun: Disturbed | None = None
    lost: Disturbed | None = None
    patched: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


class InfraError(Exception):
    """A job could not be run, through no fault of its own."""


class CancelledError(InfraError):
    """Nobody wants it any more."""

    def __init__(self) -> None:
        super().__init__("cancelled")


def spoiled(job: Job, reason: str, kind: Kind = Kind.OTHER) -> Run:
    """A run that the grader itself could not do."""
    return Run(job.name, {cell.id: CellRun(Verdict.INFRA, reason, kind=kind) for cell in job.cells})


def was_cancelled(run: Run) -> bool:
    """Whether the run was stopped because nobody wants it any more."""
    return any(done.kind is Kind.CANCELLED for done in run.cells.values())
