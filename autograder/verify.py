"""Prove the tests of a week: run the reference, the stubs, every misconception and every alternative.

Exercises that build on the one a misconception changes (`uses`) are left out of its run, but for a thorough run in
the judge, where references stand in. Every other exercise must keep all its points. A long test (LONG seconds on the
reference) is left out where it cannot tell anything new: its names do not reach the changed cell, or it stands behind
the test that rejects the misconception. `thorough` runs it all the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shared.kinds import Kind

from .build import build_week
from .errors import WorkbookError
from .jobs import graded_cells, make_job
from .rules import in_hidden_test, reachable
from .runner import CellRun, Job, Mode, Run, Team, Verdict
from .source import Exercise, Test, Week, load_info, load_week
from .variants import Misconception, Variant, coverage, load_variants

LONG = 0.4
"""Seconds of a test on the reference above which it is run again only where it can reach the change."""


@dataclass
class Row:
    """One variant against the tests.

    Attributes
    ----------
    points : points by exercise; None where the exercise builds on the changed one and was not run.
    message : what the learner reads from the test that should reject the variant. cause : the cause that it names.
    hidden_only : whether every visible test passes.
    left_out : long tests that were not run; outside the variant's own exercise the reference's verdict stands.
    problems : what is wrong with the tests or with the variant.
    """

    name: str
    kind: str
    exercise: str
    points: dict[str, int | None]
    verdicts: dict[str, str]
    message: str = ""
    cause: str = ""
    hidden_only: bool = False
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Matrix:
    """The outcome for a week. It is sound when `problems` is empty and no row has one."""

    week: str
    possible: dict[str, int]
    rows: list[Row]
    problems: list[str]
    seconds: float
    cpu_seconds: float

    @property
    def misses(self) -> list[str]:
        return self.problems + [f"{row.name}: {problem}" for row in self.rows for problem in row.problems]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def _points(week: Week, row_verdicts: dict[str, str], not_run: set[str]) -> dict[str, int | None]:
    """Points by exercise; None for the exercises in `not_run`."""
    found: dict[str, int | None] = {}
    for name in week.exercises:
        tests = [(cell.id, cell.words.points) for cell in week.of_kind(Test, name) if isinstance(cell.words, Test)]
        earned = sum(points for test, points in tests if row_verdicts.get(test) == Verdict.PASS)
        found[name] = None if name in not_run else earned
    return found


def _row(week: Week, run: Run, kind: str, exercise: str, not_run: set[str], reference: Run) -> Row:
    """A row of the matrix. A test left out for its length has the reference's verdict, or none in the own exercise."""
    tests = [cell for cell in week.of_kind(Test) if cell.name not in not_run]
    verdicts = {}
    for cell in tests:
        if cell.id in run.cells:
            verdicts[cell.id] = run.cells[cell.id].verdict.value
        elif cell.name != exercise or kind == "alternative":
            verdicts[cell.id] = reference.cells[cell.id].verdict.value
    row = Row(run.name, kind, exercise, _points(week, verdicts, not_run), verdicts)
    row.left_out = [cell.id for cell in tests if cell.id not in run.cells]
    for cell_id, done in run.cells.items():
        if done.verdict not in (Verdict.PASS, Verdict.FAIL):
            row.problems.append(f"{cell_id}: {done.verdict}: {done.message}")
    return row


def _judge_full(week: Week, row: Row, run: Run) -> None:
    """Reference and alternatives: every point."""
    for test, verdict in row.verdicts.items():
        if verdict != Verdict.PASS:
            said = run.cells[test].message if test in run.cells else "(left out, as it rejects the reference)"
            row.problems.append(f"{test} rejects a right answer: {said}")


def _judge_stubs(week: Week, row: Row, run: Run) -> None:
    """Untouched stubs: no point, and every test says that the exercise is not written."""
    for name, earned in row.points.items():
        if earned:
            row.problems.append(f"the untouched stub of {name!r} earns {earned} points")
    for cell in week.of_kind(Test):
        if run.cells[cell.id].kind is not Kind.UNWRITTEN:
            row.problems.append(f"{cell.id} does not say that it is not written yet: {run.cells[cell.id].message}")


def _judge_misconception(week: Week, built: dict[str, str], row: Row, run: Run, item: Misconception) -> None:
    """A misconception: rejected by the named test with the intended message, and nothing else lost."""
    done: CellRun = run.cells[item.rejected_by]
    row.message, row.cause = done.message, (done.check or {}).get("cause", "")
    own = [cell.id for cell in week.of_kind(Test, item.exercise) if cell.id in run.cells]
    failed = [test for test in own if run.cells[test].verdict is not Verdict.PASS]
    row.hidden_only = all(in_hidden_test(built[test], run.cells[test].line) for test in failed)
    if done.verdict is not Verdict.FAIL:
        row.problems.append(f"{item.rejected_by} does not reject it ({done.verdict})")
    elif done.check is None:
        row.problems.append(f"{item.rejected_by} rejects it without a check: {done.message}")
    else:
        said = done.check["cause"] or done.message
        if item.says not in said:
            row.problems.append(f"{item.rejected_by} does not say {item.says!r} but: {said}")
    for name, earned in row.points.items():
        if name != item.exercise and earned is not None and earned != week.points(name):
            row.problems.append(f"it costs {week.points(name) - earned} points in {name!r}, which does not use it")


def _across(week: Week, rows: Sequence[Row]) -> list[str]:
    """Rules over all misconceptions of an exercise: one is for the hidden tests alone, messages are distinct."""
    found = []
    for name in week.exercises:
        own = [row for row in rows if row.kind == "misconception" and row.exercise == name]
        if not any(row.hidden_only for row in own):
            found.append(f"no misconception of {name!r} passes the visible tests and fails a hidden one")
        by_message: dict[str, str] = {}
        for row in (row for row in own if row.message):
            other = by_message.setdefault(row.message, row.name)
            if other != row.name:
                found.append(f"{row.name!r} and {other!r} get the same message: {row.message.splitlines()[0]}")
    return found


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
        week = load_week(folder)
        if exercise and exercise not in week.exercises:
            raise WorkbookError(f"{week.name} has no exercise {exercise!r}", f"one of {', '.join(week.exercises)}")
        variants = load_variants(week)
        notebooks = build_week(week)
        built = {cell.id: cell.source for cell in notebooks.instructor.cells}
        stubs = {cell.id: cell.source for cell in notebooks.learner.cells if cell.id in week.exercises}
        every = (*variants.misconceptions, *variants.alternatives)
        chosen = [variant for variant in every if exercise in ("", variant.exercise)]
        on_start(len(chosen) + 2)
        team.ready()

        def job(name: str, answers: dict[str, str], left_out: set[str]) -> Job:
            return make_job(notebooks, name, (c for c in graded_cells(week) if c not in left_out), answers)

        (reference,) = team.run([job("reference", {}, set())])
        jobs, not_run = [job("stubs", stubs, set())], {}
        stand_ins = thorough and mode is not Mode.NOTEBOOK
        for variant in chosen:
            alone = stand_ins or not isinstance(variant, Misconception)
            not_run[variant.name] = set() if alone else week.dependents(variant.exercise)
            left_out = {cell.id for cell in week.of_kind(Test) if cell.name in not_run[variant.name]}
            left_out |= set() if thorough else _too_long(week, reference, variant)
            answer = week.of_kind(Exercise, variant.exercise)[0].id
            jobs.append(job(variant.name, {answer: variant.source(week)}, left_out))
        jobs.sort(key=lambda job: -sum(reference.cells[cell.id].seconds for cell in job.cells))  # long ones first
        by_name = {run.name: run for run in team.run(jobs)}
    runs = [reference, *(by_name[name] for name in ("stubs", *not_run))]
    rows = []
    for run, subject in zip(runs, [None, None, *chosen], strict=True):
        if subject is None:
            row = _row(week, run, run.name, "", set(), reference)
        else:
            kind = type(subject).__name__.lower()
            row = _row(week, run, kind, subject.exercise, not_run[subject.name], reference)
        if isinstance(subject, Misconception):
            _judge_misconception(week, built, row, run, subject)
        elif run.name == "stubs":
            _judge_stubs(week, row, run)
        else:
            _judge_full(week, row, run)
        rows.append(row)
    problems = [] if exercise else [str(problem) for problem in coverage(week, variants)] + _across(week, rows)
    return Matrix(
        week.name,
        {name: week.points(name) for name in week.exercises},
        rows,
        problems,
        time.perf_counter() - begin,
        sum(run.cpu_seconds for run in runs),
    )
