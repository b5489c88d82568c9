"""What became of one cell, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.checks.kinds import Kind


@dataclass
class Outcome:
    """What became of one cell: fields of `verdicts.CellRun`, as plain data."""

    verdict: str
    message: str = ""
    seconds: float = 0.0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    check: dict[str, str] | None = None
    line: int = 0
    stand_ins: list[str] = field(default_factory=list)
    kind: str = ""
    error: str = ""
    subject: str = ""


def outcome_of(done: dict[str, Any]) -> Outcome:
    """The verdict of a cell that ended: what it showed and, where it failed, why."""
    error = done["error"]
    if not error:
        return Outcome("PASS", "", done["seconds"], done["outputs"])
    kind, check = error["kind"], error["check"]
    if kind == Kind.MEMORY:
        verdict = "OOM"
    elif check or error["name"] in (AssertionError.__name__, NotImplementedError.__name__):
        verdict = "FAIL"
    else:
        verdict = "ERROR"
    message = error["message"] if check else f"{error['name']}: {error['message']}"
    shown = (verdict, message, done["seconds"], done["outputs"])
    return Outcome(*shown, check, error["line"], kind=kind, error=error["name"], subject=error["subject"])


def dead(verdict: str, text: str) -> Outcome:
    """The outcome of a cell in which the process ended, or that was not run."""
    name = "CellTimeoutError" if verdict == "TIMEOUT" else "DeadProcessError"
    output = {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
    kind = {"TIMEOUT": Kind.STOPPED, "OOM": Kind.MEMORY}.get(verdict, Kind.OTHER)
    return Outcome(verdict, text, 0.0, [output], kind=kind)
