"""What each reference notebook costs on the CPU: `python -m tests.hardware` measures, keeps and prints; or some weeks.

Figures are kept in docs/hardware.json, and the table in docs/hardware.md is what this prints.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from autograder.authoring.record import execute
from autograder.building.build import build_week
from autograder.week.locate import open_week, released_weeks, week_name

from .chosen import ROOT

KEPT = ROOT / "docs" / "hardware.json"


@dataclass(frozen=True)
class Cost:
    """Of one reference notebook, executed by a kernel of its own.

    Attributes
    ----------
    cpu_seconds : of all its threads, imports included. peak_mib : the most memory that was resident at once.
    """

    cpu_seconds: float
    peak_mib: float


def measure(name: str) -> Cost:
    """Execute the reference notebook of a week in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(_execute, (name,))


def _execute(name: str) -> Cost:
    execute(build_week(open_week(ROOT, name)), ROOT)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # the kernel has ended and was waited for
    return Cost(round(used.ru_utime + used.ru_stime, 1), round(used.ru_maxrss / 1024))


def kept() -> dict[str, Cost]:
    """The figures that were measured last, by the name of the week."""
    if not KEPT.is_file():
        return {}
    return {name: Cost(**figures) for name, figures in json.loads(KEPT.read_text(encoding="utf-8")).items()}


def table(costs: Mapping[str, Cost]) -> str:
    rows = [
        f"| {name[4:6]} | {cost.cpu_seconds / 60:.1f} | {cost.peak_mib / 1024:.1f} |" for name, cost in costs.items()
    ]
    return "\n".join(["| week | CPU time, minutes | memory, GiB |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    for week in [week_name(ROOT, asked) for asked in sys.argv[1:]] or released_weeks(ROOT):
        found = dict(sorted({**kept(), week: measure(week)}.items()))
        KEPT.write_text(json.dumps({name: asdict(cost) for name, cost in found.items()}, indent=1) + "\n", "utf-8")
    print(table(kept()))
