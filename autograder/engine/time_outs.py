"""What a time-out did with its time: whether the code was slow, or had no processor to run on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .guest import usage


@dataclass(frozen=True)
class Late:
    """A time-out, in seconds: how long it took, how much CPU time it used, how long it had no processor to run on."""

    seconds: float
    busy: float
    waited: float


class Moment:
    """Now: the monotonic clock, this process's CPU seconds, its seconds without a processor."""

    def __init__(self) -> None:
        self.clock, self.cpu_seconds, self.waited = time.monotonic(), time.process_time(), usage.waited()
