"""What a check does at the moment, for those who wait for it: which library is imported, which cell runs, how long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..engine.cell_kinds import ANSWER, OWN, TEST
from ..execution.job import Code, Job

COUNTDOWN_AFTER = 3
"""Seconds after which it is said when a cell will be stopped; most are done by then."""


@dataclass(frozen=True)
class Step:
    """Something that takes time.

    Attributes
    ----------
    since, until : when it began and when it is stopped, on the monotonic clock.
    where : the line of the learner's code that it is at; "" where that is not known.
    """

    what: str
    since: float = field(default_factory=time.monotonic)
    until: float | None = None
    where: str = ""

    def words(self, now: float) -> str:
        """What is done, for how many seconds, when it will be stopped, and where it is: a line for people."""
        seconds = int(now - self.since)
        text = f"{self.what} · {seconds} s"
        if self.until is None or seconds < COUNTDOWN_AFTER:
            return text
        text += f" · stopped in {max(0, math.ceil(self.until - now))} s"
        return f"{text} · {self.where}" if self.where else text


Tell = Callable[[Step], None]
"""Whoever is told of each step, from whatever thread takes it."""


def nobody(step: Step) -> None:
    """Nobody waits."""


def running(job: Job, cell_id: str, until: float) -> Step:
    """A cell of a job that began now."""
    cell = next(cell for cell in job.cells if cell.id == cell_id)
    return Step(_words(job, cell), until=until)


def _words(job: Job, cell: Code) -> str:
    if cell.kind == TEST:
        tests = [one.id for one in job.cells if one.kind == TEST and one.exercise == cell.exercise]
        return f"{cell.exercise}: test {tests.index(cell.id) + 1} of {len(tests)}"
    if cell.kind == ANSWER:
        return f"{cell.exercise}: your cell"
    return "a cell of your own" if cell.kind == OWN else "set-up and given code"
