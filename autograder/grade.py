"""Grade a class: collect -> repair -> run -> judge -> record -> feedback.

Learners' code runs in sandboxes, tests run in a judge outside of them (`engine`); only this process writes grades.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nbformat.notebooknode import NotebookNode

from .build import Notebooks, build_week
from .course import Course
from .engine import sandbox
from .errors import WorkbookError, short
from .jobs import graded_cells, make_job
from .record import register, save
from .repair import DamagedError, Repaired, read_notebook, repair
from .runner import CellRun, Job, Mode, Run, Team, Verdict
from .source import Exercise, Test, Week, load_info, load_week
from .spreadsheet import write_table
from .variants import Misconception, load_variants

NO_SANDBOX = (
    "These submissions run without a sandbox: their code can read and write what you can. "
    "Grade only work of people you trust."
)
WITHOUT_SANDBOX = "graded without a sandbox"


@dataclass
class Graded:
    """The outcome for one learner.

    Attributes
    ----------
    verdicts : test cell id -> what became of it.
    points : exercise -> points earned.
    damaged : why nothing was graded or recorded; "" otherwise.
    notes : what was repaired, and for which failed exercises the reference stood in.
    unsafe : whether the submission ran without a sandbox.
    notebook : the repaired notebook as it was graded; None for a damaged submission.
    """

    student: str
    verdicts: dict[str, CellRun] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    damaged: str = ""
    notes: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    unsafe: bool = False
    notebook: NotebookNode | None = None

    @property
    def stand_ins(self) -> dict[str, tuple[str, ...]]:
        """Test cell -> exercises whose reference stood in for the learner's answer when it was judged."""
        return {test: done.stand_ins for test, done in self.verdicts.items() if done.stand_ins}

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
    unsafe: bool = False,
    feedback: bool = True,
    on_phase: Callable[[str, int], None] = lambda title, total: None,
    on_done: Callable[[str], None] = lambda name: None,
    on_wait: Callable[[str], None] = lambda reason: None,
) -> tuple[Week, list[Graded]]:
    """Grade every submission of a week. One failure never stops the rest.

    Each result is recorded as soon as it is there, so an interrupted run loses nothing that was graded.

    Parameters
    ----------
    unsafe : run without sandboxes; every report then says so.
    feedback : write pages and JSON for the learners, once everything is recorded.
    on_phase, on_done : called when a phase begins, with the number of its steps, and after each step, with a name.
    on_wait : called with a sentence where another program holds the gradebook.

    Returns
    -------
    The week, and the outcomes in alphabetical order of learners.

    Raises
    ------
    WorkbookError
        when this machine cannot make sandboxes and `unsafe` was not said.
    """
    if not unsafe and (why := sandbox.missing()):
        remedy = "see `workbook doctor`; for people you trust, grade with --unsafe"
        raise WorkbookError(f"no sandbox, so nothing was graded: {why}", remedy)
    from sqlalchemy.exc import SQLAlchemyError

    topic = folder.name.split("_", 1)[1]
    handed_in = submissions(course, folder.name, topic)
    mode = Mode.UNSAFE if unsafe else Mode.SANDBOX
    with Team(workers, libraries=load_info(folder).libraries, mode=mode) as team:
        built = build_week(load_week(folder))
        register(built, course, on_wait)
        on_phase(f"grade {folder.name}", len(handed_in))
        outcomes: dict[str, Graded] = {}
        repaired: dict[str, Repaired] = {}
        for student, path in handed_in.items():
            try:
                repaired[student] = repair(built, read_notebook(path))
                if path.name != f"{topic}.ipynb":
                    repaired[student].notes.append(f"the file was called {path.name!r}")
            except DamagedError as error:
                reason = str(error) if path.exists() else _nothing_there(path)
                outcomes[student] = Graded(student, damaged=reason, unsafe=unsafe)
                on_done(student)
        jobs = [_job(built, student, fixed) for student, fixed in repaired.items()]
        team.ready()
        for run in team.run(jobs):
            graded = _verdicts(built.week, repaired[run.name], run)
            graded.unsafe, graded.notebook = unsafe, repaired[run.name].notebook
            if any(done.verdict is Verdict.INFRA for done in graded.verdicts.values()):
                graded.damaged = f"not graded, the grader failed: {next(iter(graded.verdicts.values())).message}"
                graded.points = {}
            else:
                try:
                    _record(built, course, graded, repaired[run.name], run, handed_in[run.name], on_wait)
                except (OSError, SQLAlchemyError) as error:
                    graded.damaged = (
                        f"graded with {graded.total} points, but not recorded: {str(error).splitlines()[0]}"
                    )
            outcomes[run.name] = graded
            on_done(run.name)
        ordered = [outcomes[student] for student in handed_in]
        if feedback:
            _give_feedback(built, course, ordered, team, on_phase, on_done)
    return built.week, ordered


def _give_feedback(
    built: Notebooks,
    course: Course,
    outcomes: list[Graded],
    team: Team,
    on_phase: Callable[[str, int], None],
    on_done: Callable[[str], None],
) -> None:
    """Name the misconceptions that answers behave like, and write the pages.

    For that every misconception of the week is run once, by the same engine; what it did is kept in `build/`.
    """
    from .diagnosis import diagnose, signatures
    from .feedback import write_feedback, write_summary

    week = built.week
    misconceptions = load_variants(week).misconceptions

    def run(items: Sequence[Misconception]) -> dict[str, dict[str, CellRun]]:
        on_phase(f"misconceptions of {week.name}, once", len(items))
        found = {}
        for item, done in zip(items, team.run([_misconception_job(built, item) for item in items]), strict=True):
            found[item.name] = {test.id: done.cells[test.id] for test in week.of_kind(Test, item.exercise)}
            on_done(item.name)
        return found

    cache = course.root / "build" / "signatures" / f"{week.name}.json"
    failed = any(done.verdict is Verdict.FAIL for graded in outcomes for done in graded.verdicts.values())
    known = signatures(week, misconceptions, run, cache) if failed else {}
    on_phase("feedback", len(outcomes))
    written = []
    for graded in outcomes:
        found = diagnose(week, misconceptions, known, graded.verdicts)
        written.append(write_feedback(built, course, graded, graded.notebook, found))
        on_done(graded.student)
    write_summary(built, course, written)


def _misconception_job(built: Notebooks, item: Misconception) -> Job:
    """The reference with one wrong answer, and the tests of that exercise alone."""
    week = built.week
    others = {cell.id for cell in week.of_kind(Test) if cell.name != item.exercise}
    answer = week.of_kind(Exercise, item.exercise)[0].id
    return make_job(built, item.name, (c for c in graded_cells(week) if c not in others), {answer: item.source(week)})


def _nothing_there(path: Path) -> str:
    others = ", ".join(sorted(other.name for other in path.parent.glob("*.ipynb")))
    return f"no {path.name} was handed in, but {others}" if others else "no notebook was handed in"


def _job(built: Notebooks, student: str, fixed: Repaired) -> Job:
    return make_job(built, student, fixed.run, {cell.id: cell.source for cell in fixed.notebook.cells})


def _verdicts(week: Week, fixed: Repaired, run: Run) -> Graded:
    """A verdict for every test cell. Where the answer cell itself broke, its tests say so."""
    graded = Graded(run.name, notes=list(fixed.notes), cpu_seconds=run.cpu_seconds, peak_mib=run.peak_mib)
    for cell in week.of_kind(Test):
        done = run.cells[cell.id]
        answers = [answer.id for answer in week.of_kind(Exercise, cell.name)]
        broken = [run.cells[a] for a in answers if a in run.cells and run.cells[a].verdict is not Verdict.PASS]
        if done.stand_ins:
            how = "passes" if done.verdict is Verdict.PASS else "fails also"
            names = ", ".join(done.stand_ins)
            graded.notes.append(f"{cell.id} {how} with the reference of {names}, which the answer builds on")
        if done.verdict not in (Verdict.PASS, Verdict.INFRA):
            if cell.name in fixed.missing:
                message = f"no answer cell for {cell.name!r} was found"
                done = replace(done, verdict=Verdict.MISSING, message=message, check=None)
            elif broken:
                message = f"the answer cell: {broken[0].message}"
                done = replace(done, verdict=broken[0].verdict, message=message, check=None)
        graded.verdicts[cell.id] = done
        earned = cell.words.points if isinstance(cell.words, Test) and done.verdict is Verdict.PASS else 0
        graded.points[cell.name] = graded.points.get(cell.name, 0) + earned
    return graded


def _record(
    built: Notebooks,
    course: Course,
    graded: Graded,
    fixed: Repaired,
    run: Run,
    path: Path,
    on_wait: Callable[[str], None],
) -> None:
    """Put the outputs into the repaired notebook and write it and the scores."""
    words = {cell.id: cell.words for cell in built.week.of_kind(Test)}
    scores = {
        test: float(word.points) if isinstance(word, Test) and graded.verdicts[test].verdict is Verdict.PASS else 0.0
        for test, word in words.items()
    }
    save(built, course, graded.student, _with_outputs(fixed.notebook, run), scores, path, on_wait)


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
    possible = sum(week.points(name) for name in week.exercises)
    rows = []
    for graded in outcomes:
        points = [graded.points.get(name, "") for name in week.exercises]
        verdicts = [graded.verdicts[test].verdict.value if test in graded.verdicts else "" for test in tests]
        total = "" if graded.damaged else graded.total
        notes = "; ".join([*graded.notes, *([WITHOUT_SANDBOX] if graded.unsafe else [])])
        rows.append([graded.student, *points, total, possible, *verdicts, notes, graded.damaged])
    write_table(path, ["learner", *week.exercises, "total", "possible", *tests, "notes", "damaged"], rows)
