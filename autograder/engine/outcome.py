"""What became of one cell, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """What became of one cell: fields of `runner.CellRun`, as plain data."""

    verdict: str
    message: str = ""
    seconds: float = 0.0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    check: dict[str, str] | None = None
    line: int = 0
    stand_ins: list[str] = field(default_factory=list)


def outcome_of(done: dict[str, Any]) -> Outcome:
    """The verdict of a cell that ended: what it showed and, where it failed, why."""
    error = done["error"]
    if not error:
        return Outcome("PASS", "", done["seconds"], done["outputs"])
    verdict, message = "ERROR", f"{error['name']}: {error['message']}"
    check = error["check"]
    if check or error["name"] in ("AssertionError", "NotImplementedError"):
        verdict, message = "FAIL", error["message"] if check else message
    raised = check.get("came", "") if check else message
    if raised.startswith(("MemoryError", "OutOfMemoryError")) or "can't allocate memory" in raised:
        verdict = "OOM"
    return Outcome(verdict, message, done["seconds"], done["outputs"], check, error["line"])


def dead(verdict: str, text: str) -> Outcome:
    """The outcome of a cell in which the process ended, or that was not run."""
    name = "CellTimeoutError" if verdict == "TIMEOUT" else "DeadProcessError"
    output = {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
    return Outcome(verdict, text, 0.0, [output])
