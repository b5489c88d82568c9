"""CPU and wall seconds a submission: plain `nbgrader autograde` beside `workbook grade`, interleaved, same class.

Run by `make bench`. Prints ratios measured in one run; absolute seconds belong to the machine that printed them.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from autograder.build import build_week, to_text
from autograder.course import Course, find_root, open_week
from shared.profiling import table

LEARNERS = 4
ROUNDS = 3


def measured(command: list[str], environment: dict[str, str], root: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a command with all its children."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, cpu


def main() -> None:
    root = find_root(Path(__file__).parent)
    built = build_week(open_week(root, sys.argv[1] if len(sys.argv) > 1 else "1"))
    answers = {cell.id: cell.source for cell in built.instructor.cells}
    for cell in built.learner.cells:
        if cell.id in built.week.exercises:
            cell.source = answers[cell.id]
    course = Course.at(root, Path("build") / "bench")
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "WORKBOOK_COURSE": str(course.folder),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }
    commands = {
        "nbgrader autograde": [str(tools / "nbgrader"), "autograde", built.week.name, "--NbGrader.logfile="],
        "workbook grade": [str(tools / "workbook"), "grade", built.week.name, "--workers", "1"],
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(ROUNDS):
        for name, command in commands.items():
            shutil.rmtree(course.folder, ignore_errors=True)
            for learner in range(LEARNERS):
                folder = course.submitted / f"learner-{learner}" / built.week.name
                folder.mkdir(parents=True)
                (folder / f"{built.week.topic}.ipynb").write_text(to_text(built.learner), encoding="utf-8")
            figures[name].append(measured(command, environment, root))
            wall, cpu = figures[name][-1]
            print(f"round {number + 1}: {name}: {wall:.1f} s wall, {cpu:.1f} s CPU", flush=True)
    rows = []
    for name, runs in figures.items():
        wall, cpu = (sorted(values)[len(values) // 2] / LEARNERS for values in zip(*runs, strict=True))
        rows.append({"command": name, "wall s / submission": round(wall, 2), "CPU s / submission": round(cpu, 2)})
    title = (
        f"{built.week.name}, {LEARNERS} reference submissions, median of {ROUNDS} rounds, start of the command included"
    )
    print(table(rows, title=title))
    ratio = {key: rows[0][key] / rows[1][key] for key in list(rows[0])[1:]}
    print("nbgrader / workbook:", ", ".join(f"{key} {value:.1f}x" for key, value in ratio.items()))


if __name__ == "__main__":
    main()
