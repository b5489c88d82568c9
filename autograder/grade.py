"""Grade a class: collect -> repair -> run -> verdicts -> record.

This form runs the learner's code and the tests in one separate process for each submission, with limits on
time and memory. It is no sandbox: the code can read and write what you can.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nbformat.notebooknode import NotebookNode

from .build import Notebooks, build_week
from .course import Course
from .errors import WorkbookError, short
from .record import register, save
from .repair import DamagedError, Repaired, read_notebook, repair
from .runner import CellRun, Code, Job, Run, Team, Verdict
from .source import Exercise, Test, Week, load_info, load_week

NO_SANDBOX = (
    "These submissions ran without a sandbox: their code could read and write what you can. "
    "Grade only work of people you trust."
)


@dataclass
class Graded:
    """The outcome for one learner.

    Attributes
    ----------
    verdicts : test cell id -> what became of it.
    points : exercise -> points earned.
    damaged : why nothing was graded or recorded; "" otherwise.
    notes : what was repaired.
    """

    student: str
    verdicts: dict[str, CellRun] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    damaged: str = ""
    notes: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.points.values())


def submissions(course: Course, week: str, topic: str) -> dict[str, Path]:
    """Learner -> the notebook they handed in, in alphabetical order; a path that may not exist.

    Raises
    ------
    WorkbookError
        when there is nothing to grade.
    """
    found: dict[str, Path] = {}
    if course.submitted.is_dir():
        for folder in sorted(course.submitted.iterdir()):
            handed_in = folder / week
            if handed_in.is_dir():
                wanted = handed_in / f"{topic}.ipynb"
                others = sorted(handed_in.glob("*.ipynb"))
                found[folder.name] = others[0] if not wanted.exists() and len(others) == 1 else wanted
    if not found:
        raise WorkbookError(
            f"no submissions of {week} in {short(course.submitted)}",
            f"put each one at {short(course.submitted)}/LEARNER/{week}/{topic}.ipynb",
        )
    return found


def grade_week(
    folder: Path,
    course: Course,
    *,
    workers: int | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_done: Callable[[Graded], None] = lambda graded: None,
) -> tuple[Week, list[Graded]]:
    """Grade every submission of a week. One failure never stops the rest.

    Each result is recorded as soon as it is there, so an interrupted run loses nothing that was graded.

    Returns
    -------
    The week, and the outcomes in alphabetical order of learners.
    """
    from sqlalchemy.exc import SQLAlchemyError

    topic = folder.name.split("_", 1)[1]
    handed_in = submissions(course, folder.name, topic)
    with Team(workers, libraries=load_info(folder).libraries) as team:
        built = build_week(load_week(folder))
        register(built, course)
        on_start(len(handed_in))
        outcomes: dict[str, Graded] = {}
        repaired: dict[str, Repaired] = {}
        for student, path in handed_in.items():
            try:
                repaired[student] = repair(built, read_notebook(path))
                if path.name != f"{topic}.ipynb":
                    repaired[student].notes.append(f"the file was called {path.name!r}")
            except DamagedError as error:
                outcomes[student] = Graded(student, damaged=str(error) if path.exists() else _nothing_there(path))
                on_done(outcomes[student])
        jobs = [Job(student, _code(fixed), built.week.info.limits) for student, fixed in repaired.items()]
        team.ready()
        for run in team.run(jobs):
            graded = _verdicts(built.week, repaired[run.name], run)
            if any(done.verdict is Verdict.INFRA for done in graded.verdicts.values()):
                graded.damaged = f"not graded, the grader failed: {next(iter(graded.verdicts.values())).message}"
                graded.points = {}
            else:
                try:
                    _record(built, course, graded, repaired[run.name], run, handed_in[run.name])
                except (OSError, SQLAlchemyError) as error:
                    graded.damaged = (
                        f"graded with {graded.total} points, but not recorded: {str(error).splitlines()[0]}"
                    )
            outcomes[run.name] = graded
            on_done(graded)
    return built.week, [outcomes[student] for student in handed_in]


def _nothing_there(path: Path) -> str:
    others = ", ".join(sorted(other.name for other in path.parent.glob("*.ipynb")))
    return f"no {path.name} was handed in, but {others}" if others else "no notebook was handed in"


def _code(fixed: Repaired) -> tuple[Code, ...]:
    sources = {cell.id: cell.source for cell in fixed.notebook.cells}
    return tuple(Code(cell_id, sources[cell_id]) for cell_id in fixed.run)


def _verdicts(week: Week, fixed: Repaired, run: Run) -> Graded:
    """A verdict for every test cell. Where the answer cell itself broke, its tests say so."""
    graded = Graded(run.name, notes=fixed.notes, cpu_seconds=run.cpu_seconds, peak_mib=run.peak_mib)
    for cell in week.of_kind(Test):
        done = run.cells[cell.id]
        answers = [answer.id for answer in week.of_kind(Exercise, cell.name)]
        broken = [run.cells[a] for a in answers if a in run.cells and run.cells[a].verdict is not Verdict.PASS]
        if done.verdict not in (Verdict.PASS, Verdict.INFRA):
            if cell.name in fixed.missing:
                done = CellRun(
                    Verdict.MISSING, f"no answer cell for {cell.name!r} was found", done.seconds, done.outputs
                )
            elif broken:
                message = f"the answer cell: {broken[0].message}"
                done = CellRun(broken[0].verdict, message, done.seconds, done.outputs)
        graded.verdicts[cell.id] = done
        earned = cell.words.points if isinstance(cell.words, Test) and done.verdict is Verdict.PASS else 0
        graded.points[cell.name] = graded.points.get(cell.name, 0) + earned
    return graded


def _record(built: Notebooks, course: Course, graded: Graded, fixed: Repaired, run: Run, path: Path) -> None:
    """Put the outputs into the repaired notebook and write it and the scores."""
    words = {cell.id: cell.words for cell in built.week.of_kind(Test)}
    scores = {
        test: float(word.points) if isinstance(word, Test) and graded.verdicts[test].verdict is Verdict.PASS else 0.0
        for test, word in words.items()
    }
    save(built, course, graded.student, _with_outputs(fixed.notebook, run), scores, path)


def _with_outputs(notebook: NotebookNode, run: Run) -> NotebookNode:
    from nbformat import from_dict

    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id in run.cells:
            count += 1
            cell.execution_count = count
            cell.outputs = [from_dict(output) for output in run.cells[cell.id].outputs]
    return notebook


def write_csv(path: Path, week: Week, outcomes: list[Graded]) -> None:
    """One row a learner: points by exercise, total, the verdict of every test cell, notes, reason."""
    tests = [cell.id for cell in week.of_kind(Test)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["learner", *week.exercises, "total", "possible", *tests, "notes", "damaged"])
        possible = sum(week.points(name) for name in week.exercises)
        for graded in outcomes:
            points = [graded.points.get(name, "") for name in week.exercises]
            verdicts = [graded.verdicts[test].verdict.value if test in graded.verdicts else "" for test in tests]
            total = "" if graded.damaged else graded.total
            row = [
                graded.student,
                *points,
                total,
                possible,
                *verdicts,
                "; ".join(graded.notes),
                graded.damaged,
            ]
            writer.writerow([_harmless(value) for value in row])


def _harmless(value: object) -> object:
    """A spreadsheet takes text that begins with one of these for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
