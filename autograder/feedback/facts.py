"""The facts of one learner's feedback: what the pages show and the JSON file holds.

Every text that may come from a learner is cleaned when a fact is made (see `texts.clean`).

Which hint to read next is decided by the worst of the tests that were lost, in the order of `NEXT`: a check in the
notebook fails: hint 2; not written yet: hint 1; only hidden tests fail: hint 3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from nbformat.notebooknode import NotebookNode
from pydantic import BaseModel, ConfigDict

from shared.checks.kinds import Kind

from ..core.texts import Block, Code, Line
from ..execution.wording import Surroundings, makers_of, worded
from ..repair.damage import Damage
from ..week.cells import Test, Written
from ..week.headings import Hint, hints, title
from ..week.notebooks import Notebooks
from ..week.source import Week
from ..week.variants import Misconception
from .redact import told

if TYPE_CHECKING:
    from ..execution.results import Graded


class Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Points(Fact):
    """`open`: not judged yet, because the grader itself failed; they are not lost."""

    earned: int
    possible: int
    open: int = 0

    @property
    def lost(self) -> int:
        return self.possible - self.earned - self.open


class TestFacts(Fact):
    """One test cell. `number` counts from 1 within its exercise; `stand_ins` are exercises (see `ExerciseFacts`).

    `kind` says what kind of failure it is; `in_answer`, that the answer's own cell broke.
    """

    __test__ = False  # not a test class of pytest

    id: str
    number: int
    points: int
    verdict: str
    seconds: float
    hidden: bool = False
    check: Block = ""
    came: Block = ""
    expected: Block = ""
    where: Block = ""
    cause: Block = ""
    next_step: Line = ""
    message: Block = ""
    kind: Kind = Kind.OTHER
    in_answer: bool = False
    stand_ins: tuple[str, ...] = ()


class Diagnosis(Fact):
    """A misconception that the answer behaves like, and what is behind it (Markdown)."""

    name: str
    note: str


class ExerciseFacts(Fact):
    """One exercise. `diagnoses` are one misconception, or several that the tests cannot tell apart.

    `code` is the answer as it was graded, empty where the stub is untouched. `stand_ins` are the exercises whose
    reference solution stood in for the learner's in some test.
    """

    name: str
    title: str
    points: Points
    tests: tuple[TestFacts, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    advice: str = ""
    hint: Hint | None = None
    code: Code = ""

    @property
    def first_failure(self) -> TestFacts | None:
        return next((test for test in self.tests if test.verdict not in ("PASS", "INFRA")), None)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for test in self.tests for name in test.stand_ins))


class Damaged(Fact):
    """Why nothing was graded, and what to do."""

    reason: Block
    next_step: str
    kind: Damage = Damage.OTHER


class ByHand(Fact):
    """What a person gave: points of a written question, other points for a test cell, or a comment to an answer.

    `points` is None where only the comment is there; `was` are the points by machine, which these replace.
    """

    id: str
    title: Line
    possible: float = 0
    points: float | None = None
    was: float | None = None
    comment: Block = ""


class Feedback(Fact):
    """`feedback.json`, version 1: all that a learner is told about one week.

    Fields
    ------
    kind, version : `"workbook-feedback"`, 1. A change that readers have to know of raises the version.
    week, topic, title : `week01_attention`, `attention` (the notebook's name), the week's title.
    learner : the name of the learner's folder.
    state : `graded`; `damaged`: the submission could not be read, see `damage`; `waiting`: the grader itself failed
        in some test, which costs nothing and is done again.
    points : earned, possible and open points of all test cells.
    written_points : points of the written questions, which the instructor grades.
    exercises : in the order of the notebook, see `ExerciseFacts`; empty for a damaged submission.
    by_hand : what the instructor gave since, see `ByHand`; written by `workbook feedback`.
    notes : what was repaired in the submission.
    unsafe : graded without a sandbox.
    """

    kind: Literal["workbook-feedback"] = "workbook-feedback"
    version: Literal[1] = 1
    week: str
    topic: str
    title: str
    learner: Line
    state: Literal["graded", "damaged", "waiting"]
    points: Points
    written_points: int
    exercises: tuple[ExerciseFacts, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    notes: tuple[Line, ...] = ()
    unsafe: bool = False
    damage: Damaged | None = None

    @property
    def written_earned(self) -> float | None:
        """Points of the written questions; None while one of them is not graded."""
        given = [one for one in self.by_hand if one.points is not None and one.was is None]
        complete = sum(one.possible for one in given) >= self.written_points > 0
        return sum(one.points or 0.0 for one in given) if complete else None

    @property
    def changed(self) -> float:
        """Points that the instructor added to, or took from, what the tests gave."""
        return sum((one.points or 0.0) - one.was for one in self.by_hand if one.was is not None)

    def to_json(self) -> str:
        return self.model_dump_json(indent=1) + "\n"


NEXT = {
    "MISSING": (0, "Take a fresh copy of the notebook, put your answer into its answer cell, and hand that in."),
    "TAMPERED": (0, "Take out the code that changes how tests run. Only what the answer computes earns points."),
    "broken": (0, "Fix the error in your answer cell first: restart the kernel and run the notebook from the top."),
    "TIMEOUT": (2, "Look for a loop that does not end, or for work that is repeated for every element."),
    "OOM": (2, "Look for tensors that are larger than they have to be, and for lists that grow without end."),
    "CRASH": (2, "Restart the kernel and run the notebook from the top: the cell ended Python itself."),
    "visible": (2, "Run the test in your notebook: it stops at the same check. Then read the hint."),
    "unwritten": (1, "Read the first hint and begin."),
    "hidden": (3, "Every check that you can see passes. Try your answer on the case that this check names."),
}
"""What happened -> the hint to read next (0: none helps) and what to do. The first that holds counts."""

FRESH_COPY = "take a fresh copy of the week and paste your answers into it."
DAMAGES = {
    Damage.NOT_THERE: "Submit one file with the name {topic}.ipynb.",
    Damage.NO_FILE: "Submit {topic}.ipynb itself, as a file.",
    Damage.TOO_LARGE: "Clear the outputs (Edit, Clear Outputs of All Cells), save, and submit {topic}.ipynb again.",
    Damage.EMPTY: "Save the notebook in Jupyter, look at the size of {topic}.ipynb, and submit it again.",
    Damage.ZIP: "Unpack the archive and submit the {topic}.ipynb in it.",
    Damage.WEB_PAGE: "Download the notebook itself, not its page (Jupyter: File, Download; GitHub: Download raw file).",
    Damage.UTF_16: "Open {topic}.ipynb in an editor that can save it as UTF-8, save, and submit it again.",
    Damage.CONFLICT: "Finish the merge: keep one of the two versions at each mark, or `git checkout --ours` the file. "
    "Open it in Jupyter to see that it is whole, and submit it again.",
    Damage.SCRIPT: "Paste the answers into the cells of {topic}.ipynb and submit that.",
    Damage.CUT: f"Save {{topic}}.ipynb in Jupyter and submit it again; if Jupyter cannot open it, {FRESH_COPY}",
    Damage.OTHER: "Open {topic}.ipynb in Jupyter. If it opens, run all cells, save, and submit it again. "
    f"If it does not, {FRESH_COPY}",
}
"""Why a submission was not graded -> what to do."""


def facts(
    built: Notebooks,
    graded: Graded,
    notebook: NotebookNode | None,
    diagnosis: Mapping[str, Sequence[Misconception]],
) -> Feedback:
    """All that one learner is told. A pure function.

    Parameters
    ----------
    notebook : the repaired notebook that was graded, for the answers; None for a damaged submission.
    diagnosis : exercise -> the misconceptions that the answer behaves like.
    """
    week = built.week
    exercises: tuple[ExerciseFacts, ...] = ()
    damage = None
    state: Literal["graded", "damaged", "waiting"] = "waiting" if graded.damaged else "graded"
    if graded.verdicts:
        readable = _readable(built, notebook)
        exercises = tuple(
            _exercise(built, graded, notebook, readable, name, diagnosis.get(name, ())) for name in week.exercises
        )
        if any(test.verdict == "INFRA" for exercise in exercises for test in exercise.tests):
            state = "waiting"
    elif graded.damaged:
        state = "damaged"
        step = DAMAGES[graded.damage].format(topic=week.topic)
        damage = Damaged(reason=graded.damaged, next_step=step, kind=graded.damage)
    possible = sum(week.points(name) for name in week.exercises)
    written = [cell.words.points for cell in week.of_kind(Written) if isinstance(cell.words, Written)]
    return Feedback(
        week=week.name,
        topic=week.topic,
        title=week.info.title,
        learner=graded.student,
        state=state,
        points=Points(
            earned=sum(exercise.points.earned for exercise in exercises),
            possible=possible,
            open=sum(exercise.points.open for exercise in exercises),
        ),
        written_points=sum(written),
        exercises=exercises,
        notes=tuple(graded.notes),
        unsafe=graded.unsafe,
        damage=damage,
    )


def _readable(built: Notebooks, notebook: NotebookNode | None) -> set[str]:
    """The lines of code that the learner has: what was handed out, and their answers and own cells."""
    cells = [*built.learner.cells]
    kept = {cell.id for cell in cells} - set(built.week.exercises)
    cells += [cell for cell in notebook.cells if cell.id not in kept] if notebook else []
    return {line.strip() for cell in cells for line in cell.source.splitlines()}


def _exercise(
    built: Notebooks,
    graded: Graded,
    notebook: NotebookNode | None,
    readable: Collection[str],
    name: str,
    diagnoses: Sequence[Misconception],
) -> ExerciseFacts:
    week = built.week
    stub = next(cell.source for cell in built.learner.cells if cell.id == name)
    answer = next((cell.source for cell in notebook.cells if cell.id == name), "") if notebook else ""
    sources = {cell.id: cell.source for cell in built.instructor.cells}
    stand_ins = graded.stand_ins
    around = Surroundings(makers_of(built), name, _answers(week, notebook), week.info.limits)
    tests = []
    for number, cell in enumerate(week.of_kind(Test, name), 1):
        assert isinstance(cell.words, Test)
        done = worded(graded.verdicts[cell.id], around)
        tests.append(
            TestFacts(
                id=cell.id,
                number=number,
                points=cell.words.points,
                verdict=str(done.verdict),
                seconds=round(done.seconds, 3),
                stand_ins=tuple(stand_ins.get(cell.id, ())),
                kind=done.kind,
                in_answer=done.in_answer,
                **vars(told(sources[cell.id], done, readable)),
            )
        )
    possible = week.points(name)
    open_points = sum(test.points for test in tests if test.verdict == "INFRA")
    earned = graded.points.get(name, 0)
    number, advice = next_step(tests)
    return ExerciseFacts(
        name=name,
        title=title(built, name),
        points=Points(earned=earned, possible=possible, open=open_points if name in graded.points else possible),
        tests=tuple(tests),
        diagnoses=tuple(Diagnosis(name=item.name, note=item.note) for item in diagnoses),
        advice=advice,
        hint=hints(built, name).get(number),
        code="" if answer.strip() == stub.strip() else answer,
    )


def _answers(week: Week, notebook: NotebookNode | None) -> dict[str, str]:
    """Exercise -> its cell as it was graded."""
    return {cell.id: cell.source for cell in notebook.cells if cell.id in week.exercises} if notebook else {}


def next_step(tests: Sequence[TestFacts]) -> tuple[int, str]:
    """The hint to read next and what to do, by `NEXT`; (0, "") where no test was lost."""
    happened = {_what_happened(test) for test in tests if test.verdict not in ("PASS", "INFRA")}
    return next((step for what, step in NEXT.items() if what in happened), (0, ""))


def _what_happened(test: TestFacts) -> str:
    if test.verdict in NEXT:
        return test.verdict
    if test.in_answer:
        return "broken"
    if test.kind is Kind.UNWRITTEN:
        return "unwritten"
    return "hidden" if test.hidden else "visible"
