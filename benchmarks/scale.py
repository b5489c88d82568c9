"""Grading with all cores, on a cluster, and again: the second half of `make bench-grading`.

The classes are those of `benchmarks/grading.py`: "free", whose cells cost nothing, and "mixed", the sample class of
week 01. Each is graded by nbgrader, by `workbook grade` with one and with two workers before and after it, by a Dask
cluster of two workers on this machine, and once more with nothing changed. Rates are of whole commands, start included.
"further" is what each further submission costs, from two sizes of the class; the larger mixed class is the smaller one
four times over. "cores" is how many of them the further ones keep busy. The workers of the cluster are warm before.

What two processes reach that only count, beside one, says how much faster this machine can be at all: two cores of a
shared or hyper-threaded machine are not two machines. One worker has more than one core already: while it runs a
submission, the grader itself records the one before. Ratios are of one run; results also go to build/bench/scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from autograder.commands.tables import Bar, progress
from autograder.engine import sandbox
from shared.profiling import table

from .grading import BENCH, NBGRADER, WORKBOOK, Group, Target, free_class, grade, mixed_class
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


@dataclass(frozen=True)
class Plan:
    """A class, and how many of its submissions are graded: `few` and `many` of ours, `beside` of nbgrader's too."""

    group: Group
    few: int
    many: int
    beside: int


Found = dict[tuple[str, int], list[Cost]]
"""How and how many -> what it took, each time."""


def seconds(found: Found, way: str, size: int) -> float:
    return statistics.mean(cost.seconds for cost in found[way, size])


def cpu_seconds(found: Found, way: str, size: int) -> float:
    return statistics.mean(cost.cpu_seconds for cost in found[way, size])


def further(of: Callable[[Found, str, int], float], found: Found, way: str, plan: Plan) -> float:
    """What each further submission takes, in `seconds` or `cpu_seconds`."""
    return (of(found, way, plan.many) - of(found, way, plan.few)) / (plan.many - plan.few)


def run(plan: Plan, ways: Mapping[str, Sequence[str]], bar: Bar, found: Found, expected: dict[int, Scores]) -> None:
    """Some ways to grade a class, on few of its submissions and on many; adds to `found` what they took.

    `expected` holds for each number of submissions the scores of the first way; all others must give the same.
    """
    for size in (plan.few, plan.many):
        for way, options in ways.items():
            cost = grade(WORKBOOK, plan.group, size, bar.advance, options, read_memory=False)
            found.setdefault((way, size), []).append(cost)
            scores = plan.group.scores()
            if expected.setdefault(size, scores) != scores:
                raise SystemExit(f"{plan.group.name}: {way} gave other scores than the first way")
            if way == TWO:
                again = grade(WORKBOOK, plan.group, size, bar.advance, options, anew=False, read_memory=False)
                found.setdefault((AGAIN, size), []).append(again)


def rows(plan: Plan, found: Found) -> list[dict[str, object]]:
    size = plan.beside
    made = []
    for way in (NBGRADER, ONE, TWO, DASK, AGAIN):
        row: dict[str, object] = {
            "class": f"{plan.group.name}, {size}",
            "graded by": way,
            "seconds": round(seconds(found, way, size), 1),
            "CPU s": round(cpu_seconds(found, way, size), 1),
            "times nbgrader": round(seconds(found, NBGRADER, size) / seconds(found, way, size), 1),
        }
        if way in (ONE, TWO, DASK):
            each, cpu = further(seconds, found, way, plan), further(cpu_seconds, found, way, plan)
            row |= {"further s": round(each, 3), "cores": round(cpu / each, 2)}
        else:
            row |= {"further s": "", "cores": ""}
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
    at_best = [machine()]
    free, mixed = free_class(asked.learners), mixed_class(asked.week)
    copies = {f"{name}-{number}": text for number in range(4) for name, text in mixed.learners.items()}
    everyone, sample = len(free.learners), len(mixed.learners)
    plans = (
        Plan(free, everyone // 6, everyone, everyone),
        Plan(replace(mixed, learners=copies), sample, 4 * sample, sample),
    )
    found: dict[str, Found] = {plan.group.name: {} for plan in plans}
    expected: dict[str, dict[int, Scores]] = {plan.group.name: {} for plan in plans}
    with progress("bench-scale", Console(width=None if sys.stdout.isatty() else 120)) as bar:
        grade(WORKBOOK, mixed, 2, bar.advance)  # what misconceptions do is found out once, before anything is measured
        local = {ONE: ("--workers", "1"), TWO: ("--workers", "2")}
        for plan in plans:
            name = plan.group.name
            run(plan, local, bar, found[name], expected[name])
            plain = grade(NBGRADER, plan.group, plan.beside, bar.advance)
            found[name][NBGRADER, plan.beside] = [plain]
            run(plan, dict(reversed(local.items())), bar, found[name], expected[name])
            at_best.append(machine())
        with loopback_cluster(BENCH / "dask") as address:  # only now: even an idle cluster takes its share of two cores
            for plan in plans:
                name = plan.group.name
                grade(WORKBOOK, plan.group, 2, bar.advance, ("--scheduler", address))
                run(plan, {DASK: ("--scheduler", address)}, bar, found[name], expected[name])
    made = {plan.group.name: rows(plan, found[plan.group.name]) for plan in plans}
    targets = []
    for plan, least in zip(plans, (20, 6), strict=True):
        name, its = plan.group.name, found[plan.group.name]
        times = seconds(its, NBGRADER, plan.beside) / seconds(its, TWO, plan.beside)
        scaling = further(seconds, its, ONE, plan) / further(seconds, its, TWO, plan)
        targets += [
            Target(f"{name} class, two workers: times nbgrader's throughput", times, least, True),
            Target(f"{name} class, from one to two workers, start left out", scaling, 1.8, True),
        ]
    unchanged = seconds(found["free"], NBGRADER, everyone) / seconds(found["free"], AGAIN, everyone)
    targets.append(Target("free class, nothing changed: times nbgrader's throughput", unchanged, 100, True))
    print(table([row for part in made.values() for row in part], title="whole commands, start included"))
    counted = ", ".join(f"{times:.2f}" for times in at_best)
    print(f"\ntwo processes that only count do {counted} times the work of one on this machine, from first to last")
    print(*targets, sep="\n")
    report = {
        "two processes": at_best,
        "rows": made,
        "targets": [asdict(target) | {"met": target.met} for target in targets],
    }
    (BENCH / "scale.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
