"""Grade for a long time, again and again, and kill it in the middle: `make soak-grading`.

- many small submissions in one run: memory of the grader and all its processes stays flat
- the sample class again and again, everything run anew: no score ever changes
- runs killed at random moments and resumed: the gradebook is that of an undisturbed run

All of it on the tiny week of the tests with its sample class (right, wrong, stuck, crashing, unreadable), in real
sandboxes. Exit status 1 when a score differs or memory grows.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from autograder.authoring.sample_class import clear, make_class
from autograder.building.build import build_week
from autograder.commands.tables import Bar, progress
from autograder.course.folder import Course
from autograder.engine import sandbox
from autograder.gradebook.store import recorded_scores
from autograder.week.locate import find_root
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.source import load_week
from tests.tiny_week import WEEK_TOML, write_tiny_week

from .metering import below, memory

ROOT = find_root(Path(__file__).parent)
SOAK = ROOT / "build" / "soak"
GROWTH_MIB = 64
"""How much more memory all processes together may have in the last fifth of a long run than in the second."""
Scores = dict[str, dict[str, float]]


def checkout() -> Notebooks:
    """The tiny week in a checkout of its own; a cell may take a second."""
    shutil.rmtree(SOAK, ignore_errors=True)
    toml = WEEK_TOML.replace("cell_seconds = 2", "cell_seconds = 1")
    return build_week(load_week(write_tiny_week(SOAK, toml=toml)))


def start(course: Course, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "autograder.cli", "grade", "1", "--course", str(course.folder), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=SOAK, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)


def finish(course: Course, *words: str) -> float:
    """Grade to the end; how long it took."""
    begin = time.perf_counter()
    if status := start(course, *words).wait():
        raise SystemExit(f"workbook grade ended with {status}; run it by hand in {SOAK}")
    return time.perf_counter() - begin


def long_run(built: Notebooks, size: int, bar: Bar) -> list[str]:
    """One run over many submissions; what is wrong about its memory and scores."""
    course = Course(SOAK, SOAK / "long")
    notebook = build_week(built.week).learner
    reference = {cell.id: cell.source for cell in built.instructor.cells}
    for cell in notebook.cells:
        if cell.id in built.week.exercises:
            cell.source = reference[cell.id]
    text = to_text(notebook)
    for number in range(size):
        path = course.submitted / f"learner-{number:04d}" / built.week.name / f"{built.week.topic}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    bar.restart(f"{size} submissions", size)
    process, done, samples = start(course, "--no-feedback"), 0, []
    begin = time.perf_counter()
    while process.poll() is None:
        graded = len([*(course.folder / "record" / built.week.name / "runs").glob("*.json")])
        samples.append((graded, sum(memory(pid, "Pss") for pid in below(process.pid))))
        for _ in range(graded - done):
            bar.advance("")
        done = graded
        time.sleep(0.5)
    seconds = time.perf_counter() - begin
    fifth = size / 5

    def most(part: int) -> float:
        return max((mib for count, mib in samples if part * fifth <= count < (part + 1) * fifth), default=0.0)

    early, late = most(1), most(4)
    scores = recorded_scores(course, built.week)
    print(f"{size} submissions in {seconds:.0f} s, {60 * size / seconds:.0f} a minute, feedback left out")
    print(f"memory of all processes: {early:.0f} MiB in the second fifth, {late:.0f} MiB in the last")
    wrong = [f"memory grew by {late - early:.0f} MiB"] if not 0 < late < early + GROWTH_MIB else []
    right = sum(sum(cells.values()) == 80 for cells in scores.values())
    return wrong + ([f"only {right} of {size} have full points"] if right != size else [])


def again_and_again(built: Notebooks, times: int, bar: Bar) -> list[str]:
    """The sample class, run anew each time; every score that ever changed."""
    course = Course(SOAK, SOAK / "again")
    clear(course)
    learners = make_class(built, course)
    finish(course)
    first = recorded_scores(course, built.week)
    wrong = []
    bar.restart(f"the sample class, {times} times", times)
    for number in range(times):
        finish(course, "--again", "--no-feedback")
        wrong += [f"regrade {number}: {line}" for line in differences(first, recorded_scores(course, built.week))]
        bar.advance(f"{len(wrong)} changes")
    print(f"{times} regrades of the sample class of {len(learners)}: {len(wrong)} scores changed")
    return wrong


def killed(built: Notebooks, kills: int, bar: Bar) -> list[str]:
    """Runs that are killed once at a random moment, then resumed; every difference from an undisturbed run."""
    course = Course(SOAK, SOAK / "killed")
    draw = random.Random(0)

    def anew() -> None:
        shutil.rmtree(course.folder, ignore_errors=True)
        make_class(built, course)

    anew()
    whole = finish(course)
    expected = recorded_scores(course, built.week)
    expected_pages = pages(course)
    wrong, early = [], 0
    bar.restart(f"{kills} runs killed", kills)
    for number in range(kills):
        anew()
        process, moment = start(course), draw.uniform(0.1, 1.0) * whole
        time.sleep(moment)
        early += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        finish(course)
        found = recorded_scores(course, built.week)
        wrong += [f"killed after {moment:.2f} s: {line}" for line in differences(expected, found)]
        if pages(course) != expected_pages:
            wrong.append(f"killed after {moment:.2f} s: other pages than those of an undisturbed run")
        bar.advance(f"{len(wrong)} differences, run {number}")
    print(f"{kills} runs, {early} of them killed before their end, resumed: {len(wrong)} differences")
    return wrong


def pages(course: Course) -> set[str]:
    """What feedback there is."""
    return {str(path.relative_to(course.feedback)) for path in course.feedback.rglob("*.html")}


def differences(expected: Scores, found: Scores) -> list[str]:
    return [
        f"{student}: {expected.get(student)} became {found.get(student)}"
        for student in sorted({*expected, *found})
        if expected.get(student) != found.get(student)
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--small", type=int, default=1000, help="submissions of the long run (default: 1000)")
    options.add_argument("--times", type=int, default=100, help="regrades of the sample class (default: 100)")
    options.add_argument("--kills", type=int, default=50, help="runs that are killed (default: 50)")
    asked = options.parse_args()
    if why := sandbox.missing():
        raise SystemExit(f"no sandbox, nothing to soak: {why}")
    built = checkout()
    wrong: list[str] = []
    with progress("soak-grading", Console(width=None if sys.stdout.isatty() else 120)) as bar:
        for part, count in ((long_run, asked.small), (again_and_again, asked.times), (killed, asked.kills)):
            wrong += part(built, count, bar) if count else []
    print(*(f"WRONG  {line}" for line in wrong), sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
