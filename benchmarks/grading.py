"""Plain `nbgrader autograde` beside `workbook grade`, in turn, on the same classes in one run: `make bench-grading`.

Two classes. "free": a week whose set-up imports torch and whose answers and tests cost nothing, so that only the
graders are measured. "mixed": the sample class of week 01, with right, unfinished, wrong and broken submissions, but
for two: the one that loops for ever measures only how long each grader is told to wait (30 s in week.toml, 120 s in
nbgrader_config.py), and at the one with a doubled test cell nbgrader ends and grades nobody after it.

Both graders take one submission at a time with one thread; the start of the command and a new gradebook are included.
So is our feedback, which nbgrader writes in a second command; what the misconceptions of a week do is found out once
for all its classes, and here before anything is measured. "further" is what each further submission costs without that
start, from two sizes of the free class. Ratios are of one run; seconds belong to the machine. Results also go to
build/bench/grading.json. Exit status 1 when a score differs, or CPU seconds are not counted right.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from rich.console import Console

from autograder.authoring.sample_class import make_class
from autograder.building.build import build_week
from autograder.commands.tables import Bar, progress
from autograder.course.database import open_gradebook
from autograder.course.folder import Course
from autograder.engine import sandbox
from autograder.week.locate import find_root, open_week
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.source import load_week
from shared.profiling import table
from tests.tiny_week import LESSON, WEEK_TOML, write_nbgrader_config, write_tiny_week

from .engine import STEPS, measure_engine
from .metering import Cost, adopt_orphans, known_load, measured

ROOT = find_root(Path(__file__).parent)
BENCH = ROOT / "build" / "bench"
GRADERS = NBGRADER, WORKBOOK = "nbgrader autograde", "workbook grade"
SET_UP = "import torch\n\nfrom shared import checks\n\ntorch.manual_seed(0)"
LEFT_OUT = {"loops-for-ever", "doubled-test-cell"}
DAMAGED = {"broken-json", "stripped-metadata", "deleted-test-cell", "leaves-by-os-exit"}
"""Submissions of the mixed class that plain nbgrader is not made for; the scores of all others must be equal."""
TIMES_FREE, TIMES_MIXED, BESIDE_SECONDS, PRIVATE_MIB = 10, 3, 0.3, 300
"""The targets: throughput against nbgrader's; CPU seconds and memory of a submission beside its own."""
Turn = tuple[str, str, int]
"""Grader, class, number of submissions."""
Scores = Mapping[tuple[str, str], Mapping[str, Mapping[str, float | None]]]
"""(grader, class) -> learner -> points of every graded cell."""


@dataclass(frozen=True)
class Group:
    """A class to grade: learner -> the text of the notebook."""

    name: str
    built: Notebooks
    course: Course
    learners: Mapping[str, str]

    def hand_in(self, size: int) -> None:
        """The first submissions, with nothing graded yet and no gradebook."""
        shutil.rmtree(self.course.folder, ignore_errors=True)
        for learner in list(self.learners)[:size]:
            folder = self.course.submitted / learner / self.built.week.name
            folder.mkdir(parents=True)
            (folder / f"{self.built.week.topic}.ipynb").write_text(self.learners[learner], encoding="utf-8")

    def graded(self) -> set[str]:
        """Learners whose autograded notebook is there."""
        return {path.parts[-3] for path in self.course.autograded.glob(f"*/*/{self.built.week.topic}.ipynb")}

    def scores(self) -> dict[str, dict[str, float | None]]:
        """Learner -> points of every graded cell, from the gradebook."""
        with open_gradebook(self.course) as gradebook:
            return {
                found.student.id: {grade.name: grade.auto_score for book in found.notebooks for grade in book.grades}
                for found in gradebook.assignment_submissions(self.built.week.name)
            }


def free_class(size: int, root: Path = BENCH / "checkout") -> Group:
    """The tiny week of the tests in the folder `root`, with torch in its set-up, and as many reference answers."""
    shutil.rmtree(root, ignore_errors=True)
    lesson = LESSON.replace("from shared import checks", SET_UP, 1)
    toml = WEEK_TOML.replace("libraries = []", 'libraries = ["torch"]').split("[limits]")[0]
    built = build_week(load_week(write_tiny_week(root, lesson, toml)))
    write_nbgrader_config(root)
    text = to_text(_with_reference(built))
    return Group("free", built, Course.at(root, Path("course")), {f"learner-{n:03d}": text for n in range(size)})


def _with_reference(built: Notebooks) -> NotebookNode:
    reference = {cell.id: cell.source for cell in built.instructor.cells}
    notebook = build_week(built.week).learner
    for cell in notebook.cells:
        if cell.id in built.week.exercises:
            cell.source = reference[cell.id]
    return notebook


def mixed_class(week: str) -> Group:
    """The sample class of a week, without the submissions that nbgrader does not get past."""
    built = build_week(open_week(ROOT, week))
    course = Course.at(ROOT, BENCH / "mixed")
    shutil.rmtree(course.folder, ignore_errors=True)
    file = f"{built.week.name}/{built.week.topic}.ipynb"
    names = [name for name in make_class(built, course) if name not in LEFT_OUT]
    texts = {name: (course.submitted / name / file).read_text(encoding="utf-8") for name in names}
    return Group("mixed", built, course, texts)


def grade(
    grader: str,
    group: Group,
    size: int,
    on_graded: Callable[[str], None],
    options: Sequence[str] = ("--workers", "1"),
    anew: bool = True,
    read_memory: bool = True,
) -> Cost:
    """Run a grader over the first submissions of a class; `on_graded` is called for each of them.

    Parameters
    ----------
    options : words for `workbook grade`.
    anew : with nothing graded yet; else on what an earlier run has left.
    read_memory : see `measured`.
    """
    if anew:
        group.hand_in(size)
    week = group.built.week.name
    words = {
        NBGRADER: ["nbgrader", "autograde", week, "--NbGrader.logfile="],
        WORKBOOK: ["autograder.cli", "grade", week, *options],
    }
    environment = os.environ | {
        "WORKBOOK_COURSE": str(group.course.folder),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # both keep compiled modules, as Python does unless told not to
    seen: set[str] = set()

    def look(graded: set[str]) -> None:
        for learner in sorted(graded - seen):
            seen.add(learner)
            on_graded(f"{grader}, {group.name} class: {learner}")

    command = [sys.executable, "-m", *words[grader]]
    cost = measured(command, group.course.root, environment, lambda: look(group.graded()), read_memory)
    if not group.graded():
        raise SystemExit(f"{grader} graded nothing:\n{cost.output[-3000:]}")
    look(set(list(group.learners)[:size]))
    return cost


@dataclass(frozen=True)
class Figures:
    """Of a grader on a class: medians over its runs, the largest memory."""

    grader: str
    group: str
    submissions: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @classmethod
    def of(cls, turn: Turn, costs: list[Cost]) -> Figures:
        seconds = statistics.median(cost.seconds for cost in costs)
        cpu = statistics.median(cost.cpu_seconds for cost in costs)
        return cls(*turn, seconds, cpu, max(cost.peak_mib for cost in costs))

    @property
    def a_minute(self) -> float:
        return 60 * self.submissions / self.seconds

    def row(self) -> dict[str, object]:
        return {
            "class": self.group,
            "submissions": self.submissions,
            "grader": self.grader,
            "seconds": round(self.seconds, 1),
            "CPU s": round(self.cpu_seconds, 1),
            "peak MiB": round(self.peak_mib),
            "submissions/min": round(self.a_minute, 1),
        }


def further(figures: Sequence[Figures]) -> dict[str, float]:
    """What each further submission costs a grader, from its figures on a small and on a large class."""
    small, large = sorted(figures, key=lambda found: found.submissions)
    more = large.submissions - small.submissions
    seconds, cpu = (large.seconds - small.seconds) / more, (large.cpu_seconds - small.cpu_seconds) / more
    return {"seconds": round(seconds, 3), "CPU s": round(cpu, 3)}


def ratio(plain: Figures, ours: Figures) -> dict[str, Any]:
    """Nbgrader's costs of a class in terms of ours; that of seconds is our throughput in terms of its."""
    return {
        "class": ours.group,
        "submissions": ours.submissions,
        "seconds": round(plain.seconds / ours.seconds, 2),
        "CPU s": round(plain.cpu_seconds / ours.cpu_seconds, 2),
        "peak MiB": round(plain.peak_mib / ours.peak_mib, 2),
    }


def compare(group: Group, scores: Scores) -> list[str]:
    """Every score that differs on a submission that both graders can read."""
    plain, ours = scores[NBGRADER, group.name], scores[WORKBOOK, group.name]
    honest = [learner for learner in group.learners if learner not in DAMAGED]
    missing = [
        f"{group.name}: {learner} is not in both gradebooks"
        for learner in honest
        if not plain.keys() & ours.keys() & {learner}
    ]
    return missing + [
        f"{group.name}: {learner}: {cell}: nbgrader {plain[learner].get(cell)}, workbook {ours[learner].get(cell)}"
        for learner in honest
        if learner in plain and learner in ours
        for cell in {**plain[learner], **ours[learner]}
        if plain[learner].get(cell) != ours[learner].get(cell)
    ]


@dataclass(frozen=True)
class Target:
    """A figure that has to be at least, or at most, as large as `limit`."""

    name: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        relation = "at least" if self.at_least else "at most"
        return (
            f"{'PASS  ' if self.met else 'MISSED'} {self.name}: {self.figure:.4g} (target: {relation} {self.limit:g})"
        )


def run_turns(free: Group, mixed: Group, bar: Bar) -> tuple[dict[Turn, list[Cost]], Scores]:
    """Both graders in turn, on a small and on the whole free class and on the mixed one."""
    large, everyone = len(free.learners), len(mixed.learners)
    small = large // 8
    warm_up = [(NBGRADER, free, 1), (WORKBOOK, free, 1), (WORKBOOK, mixed, 2)]
    turns = [
        *[(NBGRADER, free, small), (WORKBOOK, free, small), (WORKBOOK, free, large), (NBGRADER, free, large)],
        *[(WORKBOOK, free, large), (WORKBOOK, free, small)],
        *[(WORKBOOK, mixed, everyone), (NBGRADER, mixed, everyone), (WORKBOOK, mixed, everyone)],
    ]
    bar.total(sum(size for _, _, size in warm_up + turns) + 2 * STEPS)
    costs: dict[Turn, list[Cost]] = {}
    scores: dict[tuple[str, str], dict[str, dict[str, float | None]]] = {}
    for number, (grader, group, size) in enumerate(warm_up + turns):
        cost = grade(grader, group, size, bar.advance)
        if number >= len(warm_up):
            costs.setdefault((grader, group.name, size), []).append(cost)
        if size == len(group.learners):
            scores[grader, group.name] = group.scores()
    return costs, scores


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--learners", type=int, default=60, help="size of the free class, 8 or more (default: 60)")
    options.add_argument("--week", default="1", help="week of the mixed class (default: 1)")
    asked = options.parse_args()
    if why := sandbox.missing():
        raise SystemExit(f"no sandbox, nothing to measure: {why}")
    begin = time.perf_counter()
    adopt_orphans()
    used, counted = known_load()
    free, mixed = groups = free_class(max(asked.learners, 8)), mixed_class(asked.week)
    with progress("bench-grading", Console(width=None if sys.stdout.isatty() else 120)) as bar:
        costs, scores = run_turns(free, mixed, bar)
        engines = {group.name: measure_engine(group.built, bar.advance) for group in groups}
    found = {turn: Figures.of(turn, runs) for turn, runs in costs.items()}
    ratios = [ratio(plain, found[WORKBOOK, *turn[1:]]) for turn, plain in found.items() if turn[0] == NBGRADER]
    more = {tool: further([f for f in found.values() if (f.grader, f.group) == (tool, "free")]) for tool in GRADERS}
    times = {row["class"]: row["seconds"] for row in ratios}  # of the free class the larger size, which comes last
    private = max(engine.learner for engine in engines.values())
    targets = [
        Target(f"free class of {len(free.learners)}: times nbgrader's throughput", times["free"], TIMES_FREE, True),
        Target(f"mixed class of {len(mixed.learners)}: times nbgrader's throughput", times["mixed"], TIMES_MIXED, True),
        Target("free class: CPU s of each further submission", more[WORKBOOK]["CPU s"], BESIDE_SECONDS),
        Target("mixed class: CPU s of the reference beside its cells", engines["mixed"].beside_cells, BESIDE_SECONDS),
        Target("private MiB of a submission before its own data", private, PRIVATE_MIB),
    ]
    wrong = compare(free, scores) + compare(mixed, scores)
    if abs(counted - used) > 0.1 * used:
        wrong.append(f"CPU seconds of killed and orphaned processes: {used:g} used, {counted:.2f} counted")
    report = {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "runs": [
            dict(zip(("grader", "class", "submissions"), turn, strict=True)) | cost.plain()
            for turn, runs in costs.items()
            for cost in runs
        ],
        "each further free submission": more,
        "nbgrader / workbook": ratios,
        "engine": {name: asdict(engine) for name, engine in engines.items()},
        "targets": [asdict(target) | {"met": target.met} for target in targets],
        "wrong": wrong,
    }
    (BENCH / "grading.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table([f.row() for f in found.values()], title="medians; with the start of the command and a new gradebook"))
    print(table(ratios, title="\nnbgrader / workbook"))
    each = [{"grader": tool, **costs} for tool, costs in more.items()]
    print(table(each, title="\neach further submission of the free class"))
    print(table([{"class": name} | engine.row() for name, engine in engines.items()], title="\nthe engine"))
    print(f"\nCPU seconds of killed and orphaned processes: {used:g} used, {counted:.2f} counted")
    print(*targets, *(f"WRONG  {line}" for line in wrong), sep="\n")
    print("scores: " + (f"{len(wrong)} differ" if wrong else "equal to nbgrader's on every honest submission"))
    print(f"{time.perf_counter() - begin:.0f} s; written to {BENCH / 'grading.json'}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
