"""Grading with all cores, on a cluster, and again: the second half of `make bench-grading`.

The classes are those of `tests/bench_grading.py`: "free", whose cells cost nothing, and "mixed", the sample class of
week 01. Each is graded by nbgrader, by `workbook grade` with one and with two workers, by a Dask cluster of two workers
on this machine, and once more with nothing changed. Rates are of whole commands, start included; "further" leaves the
start out. What two processes reach that only count, beside one, says how much faster this machine can be at all: two
cores of a shared or hyper-threaded machine are not two machines. Ratios are of one run; results also go to
build/bench/scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from autograder.engine import sandbox
from autograder.report import Bar, progress
from shared.profiling import table

from .bench_grading import BENCH, NBGRADER, WORKBOOK, Group, Target, free_class, grade, mixed_class
from .metering import Cost, adopt_orphans

Scores = Mapping[str, Mapping[str, float | None]]
"""Learner -> points of every graded cell."""
ONE, TWO, DASK, AGAIN = "one worker", "two workers", "Dask, two workers", "two workers, nothing changed"
COUNT = "n = 0\nwhile n < 60_000_000: n += 1"


def machine() -> float:
    """How many times the work of one process two processes do in the same time: at best 2."""
    command = [sys.executable, "-c", COUNT]

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        for process in [subprocess.Popen(command) for _ in range(count)]:
            process.wait()
        return time.perf_counter() - begin

    seconds(2)
    return min(2 * seconds(1) / seconds(2) for _ in range(3))


@contextmanager
def loopback_cluster(folder: Path) -> Iterator[str]:
    """A scheduler and two workers on this machine; its address."""
    from distributed import Client

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:

        def start(program: str, *words: str) -> None:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *words, "--no-dashboard"]
            process = subprocess.Popen(command, env=environment, **quiet)  # type: ignore[call-overload]
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            address = str(client.scheduler_info()["address"])
            for _ in range(2):
                start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
            client.wait_for_workers(2, timeout=60)
            yield address


Found = dict[tuple[str, int], Cost]
"""How and how many -> what it took."""


def run(group: Group, small: int, ways: Mapping[str, Sequence[str]], bar: Bar, expected: dict[int, Scores]) -> Found:
    """Some ways to grade a class, on a few of its submissions and on all.

    `expected` holds for each number of submissions the scores of the first way; all others must give the same.
    """
    found = {}
    for size in (small, len(group.learners)):
        for way, options in ways.items():
            found[way, size] = grade(WORKBOOK, group, size, bar.advance, options)
            scores = group.scores()
            if expected.setdefault(size, scores) != scores:
                raise SystemExit(f"{group.name}: {way} gave other scores than the first way")
            if way == TWO:
                found[AGAIN, size] = grade(WORKBOOK, group, size, bar.advance, options, anew=False)
    return found


def rows(group: Group, small: int, found: Found) -> list[dict[str, object]]:
    everyone = len(group.learners)
    base = found[NBGRADER, everyone]
    made = []
    for way in (NBGRADER, ONE, TWO, DASK, AGAIN):
        cost = found[way, everyone]
        row: dict[str, object] = {
            "class": f"{group.name}, {everyone}",
            "graded by": way,
            "seconds": round(cost.seconds, 1),
            "CPU s": round(cost.cpu_seconds, 1),
            "times nbgrader": round(base.seconds / cost.seconds, 1),
            "further s": "",
        }
        if (way, small) in found and everyone > small:
            row["further s"] = round((cost.seconds - found[way, small].seconds) / (everyone - small), 3)
        made.append(row)
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--learners", type=int, default=60, help="size of the free class (default: 60)")
    options.add_argument("--week", default="1", help="week of the mixed class (default: 1)")
    asked = options.parse_args()
    if why := sandbox.missing():
        raise SystemExit(f"no sandbox, nothing to measure: {why}")
    adopt_orphans()
    at_best = machine()
    free, mixed = free_class(asked.learners), mixed_class(asked.week)
    sizes = ((free, asked.learners // 6), (mixed, len(mixed.learners) // 3))
    found: dict[str, Found] = {}
    expected: dict[str, dict[int, Scores]] = {group.name: {} for group, _ in sizes}
    with progress("bench-scale", Console(width=None if sys.stdout.isatty() else 120)) as bar:
        grade(WORKBOOK, mixed, 2, bar.advance)  # what misconceptions do is found out once, before anything is measured
        local = {ONE: ("--workers", "1"), TWO: ("--workers", "2")}
        for group, small in sizes:
            found[group.name] = run(group, small, local, bar, expected[group.name])
            found[group.name][NBGRADER, len(group.learners)] = grade(NBGRADER, group, len(group.learners), bar.advance)
        with loopback_cluster(BENCH / "dask") as address:  # only now: even an idle cluster takes its share of two cores
            for group, small in sizes:
                found[group.name] |= run(group, small, {DASK: ("--scheduler", address)}, bar, expected[group.name])
    made = {group.name: rows(group, small, found[group.name]) for group, small in sizes}

    def times(name: str, way: str) -> float:
        return float(str(next(row for row in made[name] if row["graded by"] == way)["times nbgrader"]))

    free_costs = found["free"]
    few, all_of_them = asked.learners // 6, len(free.learners)
    further = {way: free_costs[way, all_of_them].seconds - free_costs[way, few].seconds for way in (ONE, TWO)}
    targets = [
        Target("free class, two workers: times nbgrader's throughput", times("free", TWO), 20, True),
        Target("mixed class, two workers: times nbgrader's throughput", times("mixed", TWO), 6, True),
        Target("free class, from one to two workers, start left out", further[ONE] / further[TWO], 1.8, True),
        Target("free class, nothing changed: times nbgrader's throughput", times("free", AGAIN), 100, True),
    ]
    print(table([row for part in made.values() for row in part], title="whole commands, start included"))
    print(f"\ntwo processes that only count do {at_best:.2f} times the work of one on this machine")
    print(*targets, sep="\n")
    report = {
        "two processes": at_best,
        "rows": made,
        "targets": [asdict(target) | {"met": target.met} for target in targets],
    }
    (BENCH / "scale.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
