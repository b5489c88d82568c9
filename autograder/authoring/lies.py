"""Find out what lies earn: run a week with learners' processes that say what they cannot know.

A learner's process can say anything, to `checks.beside` and to direct calls alike. Each liar here runs the reference
and lets pass only what somebody without the answer could say (see `lying.knowledge`); for all else it says garbage.
What it still earns, it earned by lying. Every liar knows what the visible part of a cell with hidden tests gives: such
values can be written down. One liar knows the same of wholly visible cells; those it passes as long as all of their
inputs are the same in every run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..building.build import build_week
from ..core.errors import Problem, WorkbookError
from ..engine.cell_kinds import TEST
from ..engine.judge import MAX_TIMEOUTS
from ..execution.job import Job, Mode, Run
from ..execution.make_job import graded_cells, make_job
from ..execution.pool import Team
from ..execution.verdicts import Verdict
from ..week.cells import Cell, Test
from ..week.marks import has_hidden_tests
from ..week.notebooks import Notebooks
from ..week.source import Week, load_info, load_week
from ..week.validation import read_json
from .lying.garbage import Flavor
from .lying.knowledge import of_notebook
from .lying.liar import Settings, Shape
from .matrix import said

BY_HEART = "by-heart"
"""The liar that knows what visible tests give."""
LIARS: dict[str, dict[str, Any]] = {
    "stub": {"raises": True},
    "noise": {},
    "flat": {"flavor": Flavor.FLAT},
    "trend": {"flavor": Flavor.TREND},
    "boast": {"flavor": Flavor.BOAST},
    "emptied": {"shape": Shape.EMPTIED},
    "hollow": {"shape": Shape.HOLLOW},
    "cut": {"shape": Shape.CUT},
    BY_HEART: {},
}
"""Liars by name, with how they lie."""
OPEN = "lies.json"
"""The file of a week that lists the test cells which lies still pass. It may only get shorter."""


@dataclass(frozen=True)
class Lies:
    """What liars earn in a week.

    Attributes
    ----------
    points : points by test cell.
    exercises : the exercise of each test cell.
    hidden : the test cells with hidden tests.
    earned : liar -> the test cells that it passed.
    listed : the test cells that are known to be open.
    problems : runs that say nothing.
    folder : of the week. cells : the test cells in its source, by id.
    """

    week: str
    folder: Path
    cells: dict[str, Cell]
    points: dict[str, int]
    exercises: dict[str, str]
    hidden: tuple[str, ...]
    earned: dict[str, tuple[str, ...]]
    listed: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def open(self) -> tuple[str, ...]:
        """The test cells that any liar passes."""
        return tuple(test for test in self.points if any(test in passed for passed in self.earned.values()))

    def sum(self, tests: Iterable[str], exercise: str = "") -> int:
        """The points of some test cells; with `exercise` only its own."""
        return sum(self.points[test] for test in tests if exercise in ("", self.exercises[test]))

    @property
    def misses(self) -> list[Problem]:
        """Cells that are open and not listed, cells that are listed and closed, and runs that say nothing."""
        found = list(self.problems)
        for test in self.open:
            if test not in self.listed:
                by = ", ".join(name for name, passed in self.earned.items() if test in passed)
                message = f"{test}: {self.points[test]} points for lies ({by})"
                remedy = "compare values on inputs that were never seen, from checks.fresh_seed()"
                found.append(Problem(self.cells[test].path, self.cells[test].line, message, remedy))
        path = self.folder / OPEN
        for test in self.listed:
            if test not in self.open:
                message = f"{test} is closed" if test in self.points else f"there is no test {test}"
                found.append(Problem(path, line_of(path, test), message, "take it out of the list"))
        return found

    def summary(self) -> dict[str, Any]:
        """For the proof: how many liars there were, and the points that they earned, in all and by exercise."""
        names = dict.fromkeys(self.exercises.values())
        by_exercise = {name: {"points": self.sum(self.open, name)} for name in names}
        counts = {"liars": len(self.earned), "points": self.sum(self.open)}
        return {"counts": counts, "exercises": by_exercise}

    def to_json(self) -> str:
        left_out = ("folder", "cells", "problems")
        fields = {name: value for name, value in vars(self).items() if name not in left_out}
        fields |= {"open": self.open, "problems": list(map(str, self.problems))}
        whole = fields | {"misses": list(map(str, self.misses))}
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def line_of(path: Path, item: str) -> int:
    """The line of a JSON list that names an item; 1 where it is not found."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if json.dumps(item) in line), 1)


def listed(folder: Path) -> tuple[str, ...]:
    """The test cells that are known to be open; none where the file is missing.

    Raises
    ------
    BuildError
        when the file is not a list of names.
    """
    path = folder / OPEN
    if not path.is_file():
        return ()
    return tuple(read_json(path, list[str], '["sdpa-test-1", ...]'))


def find_lies(
    folder: Path,
    *,
    exercise: str = "",
    workers: int | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_done: Callable[[Run], None] | None = None,
) -> Lies:
    """Run every liar against the tests of a week, or of one exercise.

    Raises
    ------
    WorkbookError
        for an unknown exercise, for mistakes in the week's files, and where the reference itself does not pass.
    """
    libraries = load_info(folder).libraries
    with (
        Team(workers, libraries=libraries, mode=Mode.UNSAFE, on_done=on_done) as team,
        tempfile.TemporaryDirectory(prefix="workbook-") as place,
    ):
        week = load_week(folder)
        if exercise and exercise not in week.exercises:
            raise WorkbookError(f"{week.name} has no exercise {exercise!r}", f"one of {', '.join(week.exercises)}")
        built = build_week(week)
        on_start(len(LIARS) + 1)
        team.ready()
        jobs = _Jobs(built, exercise, Path(place))
        (visible,) = team.run([jobs.recorder()])
        asked = jobs.asked()
        runs = list(team.run([jobs.liar(name, asked) for name in LIARS]))
    tests = {cell.id: cell for cell in week.of_kind(Test) if cell.id in jobs.tests}
    passed = {run.name: tuple(t for t in tests if run.cells[t].verdict is Verdict.PASS) for run in runs}
    problems = [
        Problem(
            tests[test].path, tests[test].line, f"{test} rejects the reference: {said(done)}", "run workbook verify"
        )
        for test in tests
        if (done := visible.cells[test]).verdict is not Verdict.PASS
    ]
    problems += [
        Problem(tests[test].path, tests[test].line, f"{run.name}: {test}: {done.verdict}: {said(done)}", "run it again")
        for run in runs
        for test in tests
        if (done := run.cells[test]).verdict is Verdict.INFRA or run.deaths >= MAX_TIMEOUTS  # cells may not have run
    ]
    return Lies(
        week.name,
        week.folder,
        tests,
        {test: cell.words.points for test, cell in tests.items() if isinstance(cell.words, Test)},
        {test: cell.name for test, cell in tests.items()},
        tuple(test for test, cell in tests.items() if has_hidden_tests(cell)),
        passed,
        tuple(test for test in listed(folder) if test in tests or not exercise),
        tuple(problems),
    )


class _Jobs:
    """The jobs of a week: one that writes down what visible tests ask, and one for each liar."""

    def __init__(self, built: Notebooks, exercise: str, place: Path) -> None:
        self.built = built
        self.place = place
        self.week: Week = built.week
        self.cells = self.week.of_kind(Test, exercise or None)
        self.tests = [cell.id for cell in self.cells]
        self.visible = {cell.id: cell.source for cell in built.learner.cells}
        self.known = of_notebook((cell.cell_type == "code", cell.source) for cell in built.learner.cells)

    def _job(self, name: str, settings: Settings) -> Job:
        """The reference behind a cell that makes its process a liar. No exercise stands in for another."""
        path = self.place / f"{name}.json"
        path.write_text(settings.model_dump_json(), encoding="utf-8")
        begin = f"from autograder.authoring.lying import liar\nliar.begin({str(path)!r})"
        others = [cell.id for cell in self.week.of_kind(Test) if cell.id not in self.tests]
        run = ["liar", *(cell_id for cell_id in graded_cells(self.week) if cell_id not in others)]
        return replace(make_job(self.built, name, run, {"liar": begin}), uses={})

    def recorder(self) -> Job:
        """The reference against the visible part of each test."""
        job = self._job("reference", Settings(honest=True, asked=str(self.place / "asked")))
        cells = [replace(cell, source=self.visible[cell.id]) if cell.kind == TEST else cell for cell in job.cells]
        return replace(job, cells=tuple(cells))

    def asked(self) -> dict[str, list[str]]:
        """Test cell -> fingerprints of what its visible part asks."""
        lines = (self.place / "asked").read_text(encoding="utf-8").splitlines()
        return {test: line.split() for test, line in zip(self.tests, lines, strict=True)}

    def liar(self, name: str, asked: dict[str, list[str]]) -> Job:
        hidden = {cell.id for cell in self.cells if has_hidden_tests(cell)}
        seen = {key for test, keys in asked.items() if name == BY_HEART or test in hidden for key in keys}
        settings = Settings(
            **LIARS[name],
            numbers=sorted(self.known.numbers),
            words=sorted(self.known.words),
            rows=[list(row) for row in sorted(self.known.rows)],
            seen=sorted(seen),
        )
        return self._job(name, settings)
