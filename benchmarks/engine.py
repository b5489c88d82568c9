"""What the grading engine itself needs, seen from outside while it works. Part of `make bench-grading`."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autograder.engine.cell_kinds import TRUSTED
from autograder.execution.job import Code, Job, Mode
from autograder.execution.make_job import graded_cells, make_job
from autograder.execution.pool import Team
from autograder.week.cells import Setup
from autograder.week.notebooks import Notebooks

from .metering import below, cpu_of, memory

RUNS = 3
ASLEEP_SECONDS = 4.0
STEPS = 3
"""How often `on_step` is called."""


@dataclass(frozen=True)
class Engine:
    """Figures of one week. Memory in MiB.

    Attributes
    ----------
    warm_seconds, warm_cpu_seconds : until both warm processes are up; CPU seconds of both.
    warm_judge, warm_learner : what each warm process holds (resident).
    judge, learner, keepers : private memory of a submission's processes after the week's set-up, before anything of
        the learner's: pages that are not shared with the warm process any more.
    cells : CPU seconds of the reference's cells and tests in one process.
    processes : CPU seconds of judge, learner and keepers over the same cells, forks included.
    """

    warm_seconds: float
    warm_cpu_seconds: float
    warm_judge: float
    warm_learner: float
    judge: float
    learner: float
    keepers: float
    cells: float
    processes: float

    @property
    def beside_cells(self) -> float:
        """CPU seconds that judge and sandbox add to those of the cells."""
        return self.processes - self.cells

    def row(self) -> dict[str, object]:
        return {
            "start s": round(self.warm_seconds, 1),
            "start CPU s": round(self.warm_cpu_seconds, 1),
            "warm judge MiB": round(self.warm_judge),
            "warm learner MiB": round(self.warm_learner),
            "private MiB: learner": round(self.learner, 1),
            "judge": round(self.judge, 1),
            "keepers": round(self.keepers, 1),
            "reference CPU s: cells": round(self.cells, 3),
            "in all": round(self.processes, 3),
        }


def measure_engine(built: Notebooks, on_step: Callable[[str], None]) -> Engine:
    """Start the engine for a week, look at it, and grade the reference in it."""
    week = built.week
    sources = {cell.id: cell.source for cell in built.instructor.cells}
    reference = make_job(built, "reference", graded_cells(week), sources)
    set_up = next(cell for cell in reference.cells if cell.id == week.of_kind(Setup)[0].id)
    asleep = Job("asleep", (set_up, Code("sleep", f"import time\ntime.sleep({ASLEEP_SECONDS})")), week.info.limits)
    assert set_up.kind == TRUSTED
    begin = time.perf_counter()
    with Team(1, libraries=week.info.libraries, mode=Mode.SANDBOX) as team:
        team.ready()
        warm_seconds = time.perf_counter() - begin
        warm = _warm_processes()
        started = {role: (cpu_of(pid), memory(pid, "Rss")) for role, pid in warm.items()}
        thread = threading.Thread(target=lambda: list(team.run([asleep])))
        thread.start()
        time.sleep(ASLEEP_SECONDS / 2)
        below_warm = {role: below(pid)[1:3] for role, pid in warm.items()}  # keeper, child
        private = {pid: memory(pid, "Private_Clean", "Private_Dirty") for pids in below_warm.values() for pid in pids}
        thread.join()
        on_step("engine: memory")
        list(team.run([reference]))
        before = sum(map(cpu_of, warm.values()))
        list(team.run([reference] * RUNS))  # a keeper is buried when the next one is wanted: these are RUNS whole ones
        processes = (sum(map(cpu_of, warm.values())) - before) / RUNS
        on_step("engine: reference in judge and sandbox")
    with Team(1, libraries=week.info.libraries, mode=Mode.NOTEBOOK) as team:
        cells = statistics.median(run.cpu_seconds for run in list(team.run([reference] * (RUNS + 1)))[1:])
        on_step("engine: reference in one process")
    return Engine(
        warm_seconds=warm_seconds,
        warm_cpu_seconds=sum(cpu for cpu, _ in started.values()),
        warm_judge=started["judge"][1],
        warm_learner=started["learner"][1],
        judge=private[below_warm["judge"][1]],
        learner=private[below_warm["learner"][1]],
        keepers=sum(private[keeper] for keeper, _ in below_warm.values()),
        cells=cells,
        processes=processes,
    )


def _warm_processes() -> dict[str, int]:
    """Role -> process id of the warm processes below this one."""
    found = {}
    for pid in below(os.getpid()):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if words[1:3] == ["-m", "autograder.engine.guest.fork_server"]:
            found[json.loads(words[3])["role"]] = pid
    return found
