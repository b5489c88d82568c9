"""What became of one submission: a verdict and points for every test cell, and what was fixed on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nbformat.notebooknode import NotebookNode

from shared.checks.kinds import Kind

from ..repair.damage import Damage
from ..repair.repair import Repaired
from ..week.cells import Exercise, Test
from ..week.source import Week
from .job import Disturbed, Run
from .suspicious import remarks
from .verdicts import CellRun, Verdict

RERUN = {
    Disturbed.WAITED: "it ran out of time with little done, as on a busy machine, and so it ran once more, alone",
    Disturbed.KILLED: "the system ended its process, as when memory runs out, and so it ran once more, alone",
}
"""Notes about a submission that was run again."""


@dataclass
class Graded:
    """The outcome for one learner.

    Attributes
    ----------
    verdicts : test cell id -> what became of it.
    points : exercise -> points earned.
    damaged : why nothing was graded or recorded; "" otherwise. damage : the kind of that.
    notes : what was repaired, and for which failed exercises the reference stood in.
    remarks : what the instructor alone may want to look at; it costs no points.
    unsafe : whether the submission ran without a sandbox.
    notebook : the repaired notebook as it was graded; None for a damaged submission.
    error : the class of what was raised where the grader itself failed at this submission; for the log.
    rerun : why it was run once more, alone, in this grading; None where it was not.
    """

    student: str
    verdicts: dict[str, CellRun] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    damaged: str = ""
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    unsafe: bool = False
    damage: Damage = Damage.OTHER
    notebook: NotebookNode | None = None
    error: str = ""
    rerun: Disturbed | None = None

    @property
    def stand_ins(self) -> dict[str, tuple[str, ...]]:
        """Test cell -> exercises whose reference stood in for the learner's answer when it was judged."""
        return {test: done.stand_ins for test, done in self.verdicts.items() if done.stand_ins}

    @property
    def total(self) -> int:
        return sum(self.points.values())


def verdicts_of(week: Week, fixed: Repaired, run: Run) -> Graded:
    """A verdict for every test cell. Where the answer cell itself broke, its tests say so."""
    graded = Graded(run.name, notes=list(fixed.notes), cpu_seconds=run.cpu_seconds, peak_mib=run.peak_mib)
    graded.remarks = _remarks(week, fixed)
    graded.rerun = run.rerun
    graded.notes += [RERUN[run.rerun]] if run.rerun else []
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
                done = replace(done, verdict=Verdict.MISSING, message=message, check=None, kind=Kind.OTHER, error="")
            elif broken:
                done = in_the_answer(done, broken[0])
        graded.verdicts[cell.id] = done
        earned = cell.words.points if isinstance(cell.words, Test) and done.verdict is Verdict.PASS else 0
        graded.points[cell.name] = graded.points.get(cell.name, 0) + earned
    return graded


def in_the_answer(test: CellRun, answer: CellRun) -> CellRun:
    """What a test says where the answer's own cell broke."""
    where = replace(test, verdict=answer.verdict, message=answer.message, line=answer.line, check=None)
    return replace(where, kind=answer.kind, error=answer.error, subject=answer.subject, in_answer=True)


def _remarks(week: Week, fixed: Repaired) -> list[str]:
    """What in the answers and in the learner's own cells is worth a look."""
    sources = {cell.id: cell.source for cell in fixed.notebook.cells if cell.id in fixed.run}
    course = {cell.id for cell in week.cells}
    answers = {name: source for name, source in sources.items() if name in week.exercises}
    return remarks(week, answers, {name: source for name, source in sources.items() if name not in course})


def scores_of(week: Week, graded: Graded) -> dict[str, float]:
    """Test cell -> its points in the gradebook: all of them for PASS, otherwise none."""
    words = {cell.id: cell.words for cell in week.of_kind(Test)}
    return {
        test: float(word.points) if isinstance(word, Test) and graded.verdicts[test].verdict is Verdict.PASS else 0.0
        for test, word in words.items()
    }


def with_outputs(notebook: NotebookNode, run: Run) -> NotebookNode:
    """The notebook with what its cells printed and drew in this run."""
    from nbformat import from_dict

    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id in run.cells:
            count += 1
            cell.execution_count = count
            cell.outputs = [from_dict(output) for output in run.cells[cell.id].outputs]
    return notebook
