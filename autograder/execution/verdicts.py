"""What became of a cell: a verdict, a message for people, a kind for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.checks.kinds import Kind

from ..week.source import Limits


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
    TAMPERED = "TAMPERED"
    """The learner's process sent what no answer sends."""
    MISSING = "MISSING"
    INFRA = "INFRA"
    """The grader's own fault. Never costs points."""


@dataclass(frozen=True)
class CellRun:
    """What one cell did.

    Attributes
    ----------
    check : the fields of a `CheckFailure`; None where no check failed.
    line : where in the cell it failed, from 1.
    stand_ins : exercises whose reference stood in for the learner's answer when this test was judged.
    kind, error, subject : what kind of failure it is, the class of the error, and what it is about: see
        `shared.checks.kinds`.
    in_answer : whether the message of a test is about the learner's own cell, which broke.
    """

    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    outputs: tuple[dict[str, Any], ...] = ()
    check: dict[str, str] | None = None
    line: int = 0
    stand_ins: tuple[str, ...] = ()
    kind: Kind = Kind.OTHER
    error: str = ""
    subject: str = ""
    in_answer: bool = False


def cell_run(fields: dict[str, Any]) -> CellRun:
    sequences = {"outputs": tuple(fields["outputs"]), "stand_ins": tuple(fields["stand_ins"])}
    return CellRun(**fields | sequences | {"verdict": Verdict(fields["verdict"]), "kind": Kind(fields["kind"])})


@dataclass(frozen=True)
class Place:
    """What a busy cell is doing: seconds since it began, the line of the learner's code and its text, the function."""

    seconds: float = 0.0
    line: int = 0
    text: str = ""
    function: str = ""

    def __str__(self) -> str:
        where = f" of {self.function}" if self.function else ""
        return f"line {self.line}{where}: {self.text}" if self.line else ""


@dataclass(frozen=True)
class Death:
    """How a process ended in which all cells run.

    Attributes
    ----------
    how : in a few words. whole : the time of the whole notebook was up, not that of a cell.
    place : where its code was when it was seen last.
    """

    verdict: Verdict
    how: str = ""
    whole: bool = False
    place: Place = field(default_factory=Place)


def died(death: Death, limits: Limits, prefix: str = "") -> CellRun:
    """What a cell did in which the process ended, or which was not run for that reason."""
    if death.verdict is Verdict.TIMEOUT:
        text = f"the cell ran longer than {limits.cell_seconds:g} s and was stopped"
        if death.whole:
            text = f"the whole notebook ran longer than {limits.total_seconds:g} s"
        name, kind = "CellTimeoutError", Kind.STOPPED
        if death.place.line:
            text += f", in {death.place}"
    else:
        text, name, kind = f"the process ended inside this cell ({death.how})", "DeadProcessError", Kind.OTHER
        if death.verdict is Verdict.OOM:
            text, kind = f"the process needed more than {limits.memory_gib:g} GiB of memory", Kind.MEMORY
    output = {"output_type": "error", "ename": name, "evalue": prefix + text, "traceback": [prefix + text]}
    line = death.place.line if not prefix else 0
    return CellRun(death.verdict, prefix + text, 0.0, (output,), line=line, kind=kind)
