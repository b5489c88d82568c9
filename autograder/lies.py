"""Find out what lies earn: run a week with learners' processes that say what they cannot know.

A learner's process can say anything, to `checks.beside` and to direct calls alike. Each liar here runs the reference
and lets pass only what somebody without the answer could say (see `lying.knowledge`); it says garbage otherwise. What
it still earns, it earned by lying. The visible part of a cell with hidden tests is answered right: its values
can be written down. One more liar does nothing else but write down what visible tests ask; what it earns, on inputs
that are the same in every run, is kept apart.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .build import Notebooks, build_week
from .engine.judge import NOT_RUN, TEST
from .errors import WorkbookError, short
from .jobs import graded_cells, make_job
from .lying.garbage import Flavor
from .lying.knowledge import of_notebook
from .lying.liar import Settings, Shape
from .rules import has_hidden_tests
from .runner import Job, Mode, Run, Team, Verdict
from .source import Test, Week, load_info, load_week

BY_HEART = "by-heart"
"""The liar that knows the answers to all visible tests."""
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
"""The file of a week that lists the test cells which lies still earn."""


@dataclass(frozen=True)
class Lies:
    """What liars earn in a week.

    Attributes
    ----------
    points : points by test cell.
    exercises : the exercise of each test cell.
    earned : liar -> the test cells that it passed.
    listed : the test cells that are known to be open: "lies" and "by-heart".
    problems : runs that say nothing.
    """

    week: str
    points: dict[str, int]
    exercises: dict[str, str]
    earned: dict[str, tuple[str, ...]]
    listed: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]

    @property
    def open(self) -> dict[str, tuple[str, ...]]:
        """The test cells that lies earn, and those that only what is known by heart earns."""
        lies = [test for test in self.points if any(test in self.earned[name] for name in LIARS if name != BY_HEART)]
        rest = [test for test in self.earned[BY_HEART] if test not in lies]
        return {"lies": tuple(lies), BY_HEART: tuple(rest)}

    def sum(self, tests: Iterable[str], exercise: str = "") -> int:
        """The points of some test cells; with `exercise` only its own."""
        return sum(self.points[test] for test in tests if exercise in ("", self.exercises[test]))

    @property
    def misses(self) -> list[str]:
        """Cells that are open and not listed, cells that are listed and closed, and runs that say nothing."""
        found = list(self.problems)
        for kind, tests in self.open.items():
            listed = self.listed.get(kind, ())
            for test in tests:
                if test not in listed:
                    by = ", ".join(name for name, passed in self.earned.items() if test in passed)
                    found.append(f"{test}: {self.points[test]} points for lies ({by})")
            found += [f"{test} is closed: take it out of {OPEN} ({kind})" for test in listed if test not in tests]
        return found


def listed(folder: Path) -> dict[str, tuple[str, ...]]:
    """The test cells that are known to be open; none where the file is missing."""
    path = folder / OPEN
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {kind: tuple(found.pop(kind, [])) for kind in ("lies", BY_HEART)}
    except (ValueError, AttributeError) as error:
        raise WorkbookError(f"{short(path)}: {error}", 'write {"lies": [...], "by-heart": [...]}') from None


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
        _check_reference(visible, jobs.tests)
        asked = jobs.asked()
        runs = list(team.run([jobs.liar(name, asked) for name in LIARS]))
    tests = {cell.id: cell for cell in week.of_kind(Test) if cell.id in jobs.tests}
    passed = {run.name: tuple(t for t in tests if run.cells[t].verdict is Verdict.PASS) for run in runs}
    problems = [
        f"{run.name}: {test}: {run.cells[test].verdict}: {run.cells[test].message}"
        for run in runs
        for test in tests
        if run.cells[test].verdict is Verdict.INFRA or run.cells[test].message.startswith(NOT_RUN)
    ]
    return Lies(
        week.name,
        {test: cell.words.points for test, cell in tests.items() if isinstance(cell.words, Test)},
        {test: cell.name for test, cell in tests.items()},
        passed,
        {kind: tuple(t for t in found if t in tests) for kind, found in listed(folder).items()},
        tuple(problems),
    )


def _check_reference(run: Run, tests: list[str]) -> None:
    for test in tests:
        if run.cells[test].verdict is not Verdict.PASS:
            raise WorkbookError(f"{test} rejects the reference: {run.cells[test].message}", "run `workbook verify`")


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
        begin = f"from autograder.lying import liar\nliar.begin({str(path)!r})"
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
