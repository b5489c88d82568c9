"""Real learner processes for the tests, with the judge's end of them in the test's own process."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cloudpickle

from autograder.engine.child import Started
from autograder.engine.guest.endings import Ending
from autograder.engine.handles import Learner
from autograder.execution.warm_process import WarmProcess

SECONDS = 60
"""What one test may take of a learner's process."""


def by_value(module: str) -> None:
    """Functions of this test module are sent to learners' processes as those of a test cell are: with their code."""
    cloudpickle.register_pickle_by_value(sys.modules[module])


class Living:
    """One learner's process.

    Attributes
    ----------
    learner : the judge's end of it.
    """

    def __init__(self, warm: WarmProcess, isolate: bool, folder: str, memory_gib: float, total_seconds: float) -> None:
        settings = {"isolate": isolate, "memory_gib": memory_gib, "total_seconds": total_seconds}
        self._started = Started(warm.control, settings | {"warm_bytes": warm.bytes, "folder": folder, "core": None})
        self._started.channel.deadline = time.monotonic() + SECONDS
        self.learner = Learner(self._started.channel)

    def define(self, source: str) -> None:
        """Run an answer cell, which must succeed."""
        self.learner.channel.deadline = time.monotonic() + SECONDS
        done = self.learner.run(source)
        assert done["error"] is None, done["error"]

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in it."""
        self.learner.channel.deadline = time.monotonic() + SECONDS
        return self.learner.call(function, *arguments)

    def end(self, since: float | None = None, *, broken: bool = False) -> Ending:
        return self._started.end(since, broken=broken)


@contextmanager
def warmed_up(sandboxed: bool, libraries: Sequence[str] = ()) -> Iterator[WarmProcess]:
    """A warm process for learners."""
    warm = WarmProcess("learner", libraries, sandboxed)
    warm.start()
    yield warm
    warm.close()


@contextmanager
def living(warm: WarmProcess, isolate: bool, *, memory_gib: float = 1, total_seconds: float = 120) -> Iterator[Living]:
    """A learner's process that is forked from `warm`."""
    with tempfile.TemporaryDirectory() as folder:
        one = Living(warm, isolate, folder, memory_gib, total_seconds)
        yield one
        one.end()
