"""Prove the tests of a week: run the reference, the stubs, every misconception and every alternative.

Exercises that build on the one a misconception changes (`uses`) are left out of its run; every other
exercise must keep all its points.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from .build import build_week
from .rules import has_hidden_tests, regions
from .runner import CellRun, Code, Job, Run, Verdict, run_all
from .source import Exercise, Given, Setup, Test, Week
from .variants import Misconception, Variant, coverage, load_variants

VISIBLE = "/visible"
"""Suffix of the id of a test cell's visible part, run on its own before the whole cell."""


@dataclass
class Row:
    """One variant: points by exercise (None: not run), the message that rejected it, what is wrong with the tests."""

    name: str
    kind: str
    exercise: str
    points: dict[str, int | None]
    verdicts: dict[str, str]
    message: str = ""
    hidden_only: bool = False
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


def visible_part(source: str) -> str:
    """A test cell without its hidden regions, as a learner has it."""
    for region in regions(source, "HIDDEN TESTS"):
        source = source.replace(region, "")
    return source


def _job(
    week: Week, built: dict[str, str], name: str, answers: dict[str, str], left_out: set[str], split: str = ""
) -> Job:
    """The graded cells in order, with these answers; tests of `split` also run without their hidden part."""
    cells = []
    for cell in week.cells:
        if isinstance(cell.words, Setup | Given):
            cells.append(Code(cell.id, built[cell.id]))
        elif isinstance(cell.words, Exercise):
            cells.append(Code(cell.id, answers.get(cell.name, built[cell.id])))
        elif isinstance(cell.words, Test) and cell.name not in left_out:
            if cell.name == split and has_hidden_tests(cell):
                cells.append(Code(cell.id + VISIBLE, visible_part(built[cell.id])))
            cells.append(Code(cell.id, built[cell.id]))
    return Job(name, tuple(cells), week.info.limits)


def _points(week: Week, run: Run, left_out: set[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in week.exercises:
        earned = 0
        for cell in week.of_kind(Test, name):
            done = run.cells.get(cell.id)
            if isinstance(cell.words, Test) and done and done.verdict is Verdict.PASS:
                earned += cell.words.points
        found[name] = None if name in left_out else earned
    return found


def _row(week: Week, run: Run, kind: str, exercise: str, left_out: set[str]) -> Row:
    tests = [cell.id for cell in week.of_kind(Test) if cell.name not in left_out]
    verdicts = {test: run.cells[test].verdict.value for test in tests}
    row = Row(run.name, kind, exercise, _points(week, run, left_out), verdicts)
    for cell_id, done in run.cells.items():
        if done.verdict not in (Verdict.PASS, Verdict.FAIL):
            row.problems.append(f"{cell_id}: {done.verdict}: {done.message}")
    return row


def _judge_full(week: Week, row: Row, run: Run) -> None:
    for name, earned in row.points.items():
        if earned != week.points(name):
            failed = [c.id for c in week.of_kind(Test, name) if run.cells[c.id].verdict is not Verdict.PASS]
            row.problems.append(f"{failed[0]} rejects a right answer: {run.cells[failed[0]].message}")


def _judge_stubs(week: Week, row: Row, run: Run) -> None:
    for name, earned in row.points.items():
        if earned:
            row.problems.append(f"the untouched stub of {name!r} earns {earned} points")
    for cell in week.of_kind(Test):
        if "not written yet" not in run.cells[cell.id].message:
            row.problems.append(f"{cell.id} does not say 'not written yet': {run.cells[cell.id].message}")


def _judge_misconception(week: Week, row: Row, run: Run, item: Misconception) -> None:
    done: CellRun = run.cells[item.rejected_by]
    row.message = done.message
    own = [cell for cell in week.of_kind(Test, item.exercise)]
    visible = [cell.id + (VISIBLE if has_hidden_tests(cell) else "") for cell in own]
    row.hidden_only = all(run.cells[test].verdict is Verdict.PASS for test in visible)
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
        for row in own:
            other = by_message.setdefault(row.message, row.name)
            if other != row.name:
                found.append(f"{row.name!r} and {other!r} get the same message: {row.message.splitlines()[0]}")
    return found


def verify_week(
    week: Week,
    *,
    only: Callable[[Variant], bool] = lambda variant: True,
    workers: int | None = None,
    on_done: Callable[[Run], None] | None = None,
) -> Matrix:
    """Run the whole matrix of a week (or, with `only`, some variants beside the reference and the stubs).

    `on_done` is called after each run, from a worker's thread.
    """
    begin = time.perf_counter()
    variants = load_variants(week)
    notebooks = build_week(week)
    built = {cell.id: cell.source for cell in notebooks.instructor.cells}
    stubs = {cell.id: cell.source for cell in notebooks.learner.cells if cell.id in week.exercises}
    chosen = [v for v in (*variants.misconceptions, *variants.alternatives) if only(v)]
    jobs = [_job(week, built, "reference", {}, set()), _job(week, built, "stubs", stubs, set())]
    left_out: dict[str, set[str]] = {}
    for variant in chosen:
        wrong = isinstance(variant, Misconception)
        left_out[variant.name] = week.dependents(variant.exercise) if wrong else set()
        answers = {variant.exercise: variant.source(week)}
        jobs.append(_job(week, built, variant.name, answers, left_out[variant.name], variant.exercise if wrong else ""))
    setup = week.of_kind(Setup)[0].source
    runs = list(run_all(jobs, workers=workers, warm_up=setup, on_done=on_done))
    rows = []
    for run, subject in zip(runs, ["reference", "stubs", *chosen], strict=True):
        if isinstance(subject, Variant):
            row = _row(week, run, type(subject).__name__.lower(), subject.exercise, left_out[subject.name])
        else:
            row = _row(week, run, subject, "", set())
        if isinstance(subject, Misconception):
            _judge_misconception(week, row, run, subject)
        elif subject == "stubs":
            _judge_stubs(week, row, run)
        else:
            _judge_full(week, row, run)
        rows.append(row)
    whole = len(chosen) == len(variants.misconceptions) + len(variants.alternatives)
    problems = [str(problem) for problem in coverage(week, variants)] + _across(week, rows) if whole else []
    return Matrix(
        week.name,
        {name: week.points(name) for name in week.exercises},
        rows,
        problems,
        time.perf_counter() - begin,
        sum(run.cpu_seconds for run in runs),
    )
