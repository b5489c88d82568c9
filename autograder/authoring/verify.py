"""Prove the tests of a week: run the reference, the stubs, every misconception and every alternative.

Exercises that build on the one a misconception changes (`uses`) are left out of its run, but for a thorough run in
the judge, where references stand in. Every other exercise must keep all its points. A long test (LONG seconds on the
reference) is left out where it cannot tell anything new: its names do not reach the changed cell, or it stands behind
the test that rejects the misconception. `thorough` runs it all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..building.build import build_week
from ..core.errors import BuildError, Problem, WorkbookError
from ..execution.job import Job, Mode, Run
from ..execution.make_job import graded_cells, make_job
from ..execution.pool import Team
from ..execution.verdicts import Verdict
from ..week.cells import Exercise, Given, Test
from ..week.names import reachable
from ..week.notebooks import Notebooks
from ..week.source import Week, load_info, load_week
from ..week.variants import Misconception, Variant, Variants, coverage, load_variants
from .matrix import Judge, Row, given_fails, row_of
from .matrix import Matrix as Matrix

LONG = 0.4
"""Seconds of a test on the reference above which it is run again only where it can reach the change."""


def _too_long(week: Week, reference: Run, variant: Variant) -> set[str]:
    """Long tests that cannot reach the changed cell, or that stand behind the test that rejects the variant."""
    tests = week.of_kind(Test)
    long = [cell for cell in tests if reference.cells[cell.id].seconds > LONG]
    found = {cell.id for cell in long if variant.exercise not in reachable(week, cell)}
    if isinstance(variant, Misconception):
        order = [cell.id for cell in tests]
        own = [cell.id for cell in long if cell.name == variant.exercise]
        found |= {test for test in own if order.index(test) > order.index(variant.rejected_by)}
    return found


def load_proofs(folder: Path) -> tuple[Notebooks, Variants]:
    """A week, built, and its variants.

    Raises
    ------
    BuildError
        with what is wrong in the lesson and in the variants, at once.
    """
    week = load_week(folder)
    problems: list[Problem] = []
    try:
        notebooks = build_week(week)
    except BuildError as error:
        problems += error.problems
    try:
        variants = load_variants(week)
    except BuildError as error:
        problems += error.problems
    if problems:
        raise BuildError(problems)
    return notebooks, variants


def endangered(week: Week, exercise: str = "") -> Iterator[tuple[str, list[str]]]:
    """Answers, each with the given cells behind it whose names reach it: these could fail because of it."""
    for answer in week.of_kind(Exercise, exercise or None):
        behind = [cell for cell in week.of_kind(Given) if week.before(answer, cell)]
        if reached := [cell.id for cell in behind if answer.id in reachable(week, cell)]:
            yield answer.id, reached


def verify_week(
    folder: Path,
    *,
    exercise: str = "",
    thorough: bool = False,
    mode: Mode = Mode.NOTEBOOK,
    workers: int | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_done: Callable[[Run], None] | None = None,
) -> Matrix:
    """Run the matrix of a week: everything, or the reference, the stubs and the variants of one exercise.

    `mode` says whether everything runs in one process, as in a learner's notebook, or answers in a sandbox and tests
    in the judge. `on_start` gets the number of runs; `on_done` is called after each, from a worker's thread.

    Raises
    ------
    WorkbookError
        for an unknown exercise and for every mistake in the week's files.
    """
    begin = time.perf_counter()
    with Team(workers, libraries=load_info(folder).libraries, mode=mode, on_done=on_done) as team:
        notebooks, variants = load_proofs(folder)
        week = notebooks.week
        if exercise and exercise not in week.exercises:
            raise WorkbookError(f"{week.name} has no exercise {exercise!r}", f"one of {', '.join(week.exercises)}")
        stubs = {cell.id: cell.source for cell in notebooks.learner.cells if cell.id in week.exercises}
        every = (*variants.misconceptions, *variants.alternatives)
        chosen = [variant for variant in every if exercise in ("", variant.exercise)]
        missing = dict(endangered(week, exercise))
        on_start(len(chosen) + len(missing) + 2)
        team.ready()

        def job(name: str, answers: dict[str, str], left_out: set[str]) -> Job:
            return make_job(notebooks, name, (c for c in graded_cells(week) if c not in left_out), answers)

        (reference,) = team.run([job("reference", {}, set())])
        judge = Judge(week, {cell.id: cell.source for cell in notebooks.instructor.cells})
        first = row_of(week, reference, "reference", "", set(), reference)
        judge.reference(first, reference)
        if first.problems:  # all that follows would only say so again
            return _matrix(week, [first], [], [reference], begin)
        jobs, not_run = [job("stubs", stubs, set())], {}
        stand_ins = thorough and mode is not Mode.NOTEBOOK
        for variant in chosen:
            alone = stand_ins or not isinstance(variant, Misconception)
            not_run[variant.name] = set() if alone else week.dependents(variant.exercise)
            left_out = {cell.id for cell in week.of_kind(Test) if cell.name in not_run[variant.name]}
            left_out |= set() if thorough else _too_long(week, reference, variant)
            answer = week.of_kind(Exercise, variant.exercise)[0].id
            jobs.append(job(variant.name, {answer: variant.source(week)}, left_out))
        tests = {cell.id for cell in week.of_kind(Test)}
        jobs += [job(f"without {answer}", {}, {answer, *tests}) for answer in missing]
        jobs.sort(key=lambda job: -sum(reference.cells[cell.id].seconds for cell in job.cells))  # long ones first
        by_name = {run.name: run for run in team.run(jobs)}
    rows = [first, row_of(week, by_name["stubs"], "stubs", "", set(), reference)]
    judge.stubs(rows[1], by_name["stubs"])
    for subject in chosen:
        run, kind = by_name[subject.name], type(subject).__name__.lower()
        row = row_of(week, run, kind, subject.exercise, not_run[subject.name], reference)
        if isinstance(subject, Misconception):
            judge.misconception(row, run, subject)
        else:
            judge.alternative(row, run, subject)
        rows.append(row)
    problems = [*([] if exercise else coverage(week, variants)), *judge.across(rows, variants.misconceptions)]
    if not rows[1].problems:  # a given cell that fails with stubs is told there
        problems += _without(judge, missing, by_name)
    return _matrix(week, rows, problems, [reference, *by_name.values()], begin)


def _without(judge: Judge, missing: Mapping[str, Sequence[str]], by_name: Mapping[str, Run]) -> Iterator[Problem]:
    """Given cells that fail where an answer is missing: each is told once."""
    told = set()
    for answer, given in missing.items():
        for cell_id in given:
            done = by_name[f"without {answer}"].cells[cell_id]
            if done.verdict is not Verdict.PASS and cell_id not in told:
                told.add(cell_id)
                message = given_fails(cell_id, f"like {answer!r} are missing", done)
                yield judge.in_lesson(cell_id, done, *message)


def _matrix(week: Week, rows: list[Row], problems: list[Problem], runs: Sequence[Run], begin: float) -> Matrix:
    possible = {name: week.points(name) for name in week.exercises}
    seconds = time.perf_counter() - begin
    return Matrix(week.name, possible, rows, problems, seconds, sum(run.cpu_seconds for run in runs))
