"""What the machine did to a run is not a verdict: such runs are done once more, alone, after all others.

A time-out that used little CPU time may have waited for processors that others kept busy, and a process that the
system ended went because memory ran out. Neither may cost points. Who merely sleeps gets the same verdict again, so
all reruns of one grading have a bound together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, as_completed
from typing import TypeVar

from .executor import Crew
from .job import Disturbed, Job, Run, spoiled

BUSY = 0.5
"""The part of its time that a time-out was busy if nothing kept it from its work."""
RERUN_SECONDS = 600
"""When the reruns of one grading have taken so long, no other is begun."""
WHY = {
    Disturbed.WAITED: "it waited for a processor until its time was over, and there is no time left to run it alone",
    Disturbed.KILLED: "the system ended its process, as it does when the machine runs out of memory",
}
"""Why a run is not a verdict, for the instructor."""
T = TypeVar("T")


def disturbance(run: Run) -> Disturbed | None:
    """What may have kept a run from its work, if anything."""
    if run.killed:
        return Disturbed.KILLED
    return Disturbed.WAITED if any(late.busy < BUSY * late.seconds for late in run.late) else None


def waited(run: Run) -> float:
    """The largest part of its time that a time-out was ready to run and had no processor."""
    return max((late.waited / late.seconds for late in run.late), default=0.0)


def finished(
    crew: Crew, running: Mapping[Future[Run], tuple[Job, T]], clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[T, Run]]:
    """Runs in the order in which they are done, each with what belongs to it; those that were disturbed at the end.

    Those that waited most come first, so that nobody's sleeping takes the time that another's rerun needs.
    """
    left = dict(running)
    disturbed: list[tuple[Job, T, Run]] = []
    for future in as_completed(list(left)):
        (job, whose), run = left.pop(future), future.result()
        if disturbance(run):
            disturbed.append((job, whose, run))
        else:
            yield whose, run
    end = clock() + RERUN_SECONDS
    for job, whose, run in sorted(disturbed, key=lambda one: (one[2].killed, waited(one[2])), reverse=True):
        yield whose, _again(crew, job, run) if clock() < end else _left(job, run)


def _again(crew: Crew, job: Job, run: Run) -> Run:
    """The run once more, while nothing else runs; now it counts, unless the system ends its process again."""
    second = crew.submit(job).result()
    if second.killed:
        return _lost(job, Disturbed.KILLED)
    second.rerun = disturbance(run)
    return second


def _left(job: Job, run: Run) -> Run:
    """What becomes of a run that is not done again: who had no processor or was ended by the system loses nothing."""
    if run.killed:
        return _lost(job, Disturbed.KILLED)
    return _lost(job, Disturbed.WAITED) if waited(run) >= BUSY else run


def _lost(job: Job, why: Disturbed) -> Run:
    """No verdict, through the machine's doing alone."""
    run = spoiled(job, WHY[why])
    run.lost = why
    return run
