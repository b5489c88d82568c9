"""How a process below a warm process ended: what its keeper says, and whose doing it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why a keeper ended a process."""

    NOTHING = ""
    """It did not: the process ended by itself, or nobody wanted it any more."""
    MEMORY = "memory"
    CPU = "cpu"
    KILLED = "killed"
    """It was the system, not the keeper: memory ran out."""
    FAULT = "fault"
    """The machine's or the grader's own, never the process's; `Ending.detail` says which."""


@dataclass(frozen=True)
class Ending:
    """Signal or exit code of a process, why its keeper ended it, CPU seconds, peak memory.

    Attributes
    ----------
    busy : CPU seconds of it and all below it since the moment that `process.Started.end` asked about.
    waited : seconds since then in which it was ready to run and had no processor.
    """

    signal: str = ""
    code: int = 0
    why: Why = Why.NOTHING
    detail: str = ""
    cpu_seconds: float = 0.0
    peak_kib: int = 0
    busy: float = 0.0
    waited: float = 0.0

    @property
    def how(self) -> str:
        """In a few words."""
        return self.detail or self.why or self.signal or f"exit code {self.code}"
