"""The matrix of a week: what each variant did with each test, and what is wrong with the tests or with the variant.

Everything that is wrong is a `Problem` at the line to look at: of the lesson, or of the variant. A mistake is told
once: what only follows from it is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.checks.failures import LABELS
from shared.checks.kinds import Kind

from ..core.errors import Problem, short
from ..execution.job import Run
from ..execution.verdicts import CellRun, Verdict
from ..week.cells import Cell, Test
from ..week.marks import in_hidden_test
from ..week.source import Week
from ..week.variants import Misconception, Places, Variant

Told = tuple[str, str, str]
"""Of a problem with a variant: message, remedy, and the text of the variant to look at."""


@dataclass
class Row:
    """One variant against the tests.

    Attributes
    ----------
    points : points by exercise; None where the exercise builds on the changed one and was not run.
    message : what the learner reads from the test that should reject the variant. cause : the cause that it names.
    causes : every cause that the tests of its exercise name -> the first test that names it.
    rejecting : of a misconception, the tests of its exercise that reject it.
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
    causes: dict[str, str] = field(default_factory=dict)
    rejecting: list[str] = field(default_factory=list)
    hidden_only: bool = False
    left_out: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Matrix:
    """The outcome for a week. It is sound when `problems` is empty and no row has one."""

    week: str
    possible: dict[str, int]
    rows: list[Row]
    problems: list[Problem]
    seconds: float
    cpu_seconds: float

    @property
    def misses(self) -> list[Problem]:
        return self.problems + [problem for row in self.rows for problem in row.problems]

    def summary(self) -> dict[str, Any]:
        """For the proof: how many answers were tried, in all and by exercise, and which tests reject the wrong ones."""
        tried = Counter(row.exercise for row in self.rows if row.exercise)
        wrong = [row for row in self.rows if row.kind == "misconception"]
        return {
            "counts": {"variants": tried.total(), "misses": len(self.misses)},
            "exercises": {name: {"variants": tried[name]} for name in self.possible},
            "rejecting": {row.name: " ".join(row.rejecting) for row in wrong},
            "left_out": {row.name: " ".join(row.left_out) for row in wrong if row.left_out},
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, default=_shown) + "\n"


def _shown(value: object) -> str:
    """Paths, as people read them."""
    assert isinstance(value, Path)
    return short(value)


def _points(week: Week, row_verdicts: dict[str, str], not_run: set[str]) -> dict[str, int | None]:
    """Points by exercise; None for the exercises in `not_run`."""
    found: dict[str, int | None] = {}
    for name in week.exercises:
        tests = [(cell.id, cell.words.points) for cell in week.of_kind(Test, name) if isinstance(cell.words, Test)]
        earned = sum(points for test, points in tests if row_verdicts.get(test) == Verdict.PASS)
        found[name] = None if name in not_run else earned
    return found


def row_of(week: Week, run: Run, kind: str, exercise: str, not_run: set[str], reference: Run) -> Row:
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
    return row


class Judge:
    """Tells what is wrong with the rows of a week."""

    def __init__(self, week: Week, sources: Mapping[str, str]) -> None:
        self.week = week
        self.sources = sources
        """Sources of the instructor notebook, by cell id."""
        self.cells = {cell.id: cell for cell in week.cells}
        self._places = Places(week)
        self._open: set[str] = set()
        """Tests that an untouched stub passes: that a misconception passes them, too, is not news."""

    def in_lesson(self, cell_id: str, done: CellRun, message: str, remedy: str) -> Problem:
        """A problem at the line of the lesson where a cell failed."""
        cell = self.cells[cell_id]
        return Problem(cell.path, cell.line + self._own_line(cell, done.line), message, remedy)

    def _own_line(self, cell: Cell, line: int) -> int:
        """A line of a built cell in the source: the builder may have put the forbidden names on top."""
        return max(0, line - self.sources[cell.id].partition(cell.source.rstrip())[0].count("\n"))

    def reference(self, row: Row, run: Run) -> None:
        """The reference: the first cell that fails, or else every test that rejects it. What follows is not news."""
        for cell_id, done in run.cells.items():
            if done.verdict is Verdict.PASS:
                continue
            if not isinstance(self.cells[cell_id].words, Test):
                message = f"{cell_id} of the reference ends with {done.verdict}: {said(done)}"
                row.problems = [self.in_lesson(cell_id, done, message, "fix this cell; what follows needs it")]
                return
            message = f"reference: {cell_id} rejects a right answer ({done.verdict}): {said(done)}"
            row.problems.append(self.in_lesson(cell_id, done, message, "fix the test, or the reference"))

    def alternative(self, row: Row, run: Run, item: Variant) -> None:
        """An alternative: every point."""
        failed = [test for test, verdict in row.verdicts.items() if verdict != Verdict.PASS]
        broken = [name for name, done in run.cells.items() if done.verdict is not Verdict.PASS and name not in failed]
        if first := next(iter([*broken, *failed]), ""):
            done = run.cells[first]
            listed = ", ".join(failed) or first
            message = f"{listed} rejects a right answer ({done.verdict}): {said(done)}"
            remedy = "loosen the test where the text allows this answer, or correct the alternative"
            row.problems.append(self._places.problem(item, message, remedy))

    def stubs(self, row: Row, run: Run) -> None:
        """Untouched stubs: no point, every test says that the exercise is not written, and what is given runs."""
        for cell_id, done in run.cells.items():
            cell = self.cells[cell_id]
            if not isinstance(cell.words, Test):
                if done.verdict is not Verdict.PASS:
                    row.problems.append(self.in_lesson(cell_id, done, *given_fails(cell_id, "are stubs", done)))
            elif done.verdict is Verdict.PASS:
                self._open.add(cell_id)
                message = f"the untouched stub of {cell.name!r} earns {cell.words.points} points in {cell_id}"
                remedy = "call the answer, and compare what it gives"
                row.problems.append(self.in_lesson(cell_id, done, message, remedy))
            elif done.kind is not Kind.UNWRITTEN:
                message = f"{cell_id} does not say of a stub that it is not written yet: {said(done)}"
                remedy = "call the answer inside `with checks.step(...)`, before anything else can fail"
                row.problems.append(self.in_lesson(cell_id, done, message, remedy))

    def misconception(self, row: Row, run: Run, item: Misconception) -> None:
        """A misconception: rejected by the named test with the intended message, and nothing else lost."""
        done = run.cells[item.rejected_by]
        row.message, row.cause = done.message, cause_of(done)
        own = [cell.id for cell in self.week.of_kind(Test, item.exercise) if cell.id in run.cells]
        for test in own:
            if cause := cause_of(run.cells[test]):
                row.causes.setdefault(cause, test)
        row.rejecting = failed = [test for test in own if run.cells[test].verdict is not Verdict.PASS]
        row.hidden_only = all(in_hidden_test(self.sources[test], run.cells[test].line) for test in failed)
        found = _crash(run) or self._costs(row, item) or self._rejection(item, done, failed)
        if found:
            row.problems.append(self._places.problem(item, found[0], found[1], quoting=found[2]))

    def _costs(self, row: Row, item: Misconception) -> Told | None:
        for name, earned in row.points.items():
            if name != item.exercise and earned is not None and earned != self.week.points(name):
                message = f"it costs {self.week.points(name) - earned} points in {name!r}, which does not use it"
                return message, "add the word `uses`, or make the tests of the other exercise independent of it", ""
        return None

    def _rejection(self, item: Misconception, done: CellRun, failed: Sequence[str]) -> Told | None:
        """What is wrong with how the named test rejects it."""
        test = item.rejected_by
        if done.verdict is Verdict.PASS and test in self._open:
            return None
        if done.verdict is not Verdict.FAIL:
            elsewhere = f"name {failed[0]}, which does, or " if failed else ""
            remedy = f"{elsewhere}write a check in {test} that fails"
            return f"{test} does not reject it ({done.verdict})", remedy, test
        if done.check is None:
            return f"{test} rejects it without a check: {said(done)}", "compare with checks.close or equal", test
        if item.says not in (done.check["cause"] or done.message):
            remedy = "add a cause to the check that this mistake alone gives, or quote what is said"
            told = done.check["cause"] or said(done)
            return f"{test} does not say {item.says!r} but: {told}", remedy, item.says
        return None

    def across(self, rows: Sequence[Row], items: Sequence[Misconception]) -> list[Problem]:
        """Rules over all misconceptions of an exercise: one is for the hidden tests alone, messages are distinct.

        Rows with problems of their own are left out: they may be what is missing here.
        """
        found, by_name = [], {item.name: item for item in items}
        for cell in (self.cells[name] for name in self.week.exercises):
            own = [row for row in rows if row.kind == "misconception" and row.exercise == cell.name]
            if own and not any(row.hidden_only or row.problems for row in own):
                message = f"no misconception of {cell.name!r} passes the visible tests and fails a hidden one"
                remedy = "write one in misconceptions.py: what would a learner overlook who trusts the visible tests?"
                found.append(Problem(cell.path, cell.line, message, remedy))
            by_message: dict[str, str] = {}
            for row in (row for row in own if row.message and not row.problems):
                other = by_message.setdefault(row.message, row.name)
                if other != row.name:
                    message = f"this and {other!r} get the same message: {row.message.splitlines()[0]}"
                    remedy = "tell them apart with a cause, or remove one"
                    found.append(self._places.problem(by_name[row.name], message, remedy))
            sound = [(by_name[row.name], row) for row in own if not row.problems]
            for item, told, remedy in shared_causes(sound):
                found.append(self._places.problem(item, told, remedy, quoting=item.says))
        return found


def _crash(run: Run) -> Told | None:
    """A cell that ends otherwise than by a check."""
    for cell_id, done in run.cells.items():
        if done.verdict not in (Verdict.PASS, Verdict.FAIL):
            remedy = "write an edit that runs; a test that may raise stands inside checks.step"
            return f"{cell_id} ends with {done.verdict}: {said(done)}", remedy, ""
    return None


def shared_causes(told: Sequence[tuple[Misconception, Row]]) -> Iterator[tuple[Misconception, str, str]]:
    """Misconceptions of one exercise that are told a cause of another one, where none of the two says that it is so.

    Also the other way round: who says so, and shares no cause; that is known only where all tests of the exercise were
    run. Each with message and remedy.
    """
    for place, (item, row) in enumerate(told):
        for cause, test in row.causes.items():
            others = [other for other, its in told[:place] if cause in its.causes]
            if others and not any(_declared(item, other) for other in others):
                message = f"in {test} this and {others[0].name!r} are told the same cause: {cause}"
                remedy = f"tell them apart by a probe; if it is true of both, same_cause_as={others[0].name!r}"
                yield item, message, remedy
        for other, its in told:
            unknown = [test for one in (row, its) for test in one.left_out if test not in one.verdicts]
            if other.name in item.shares_with and not row.causes.keys() & its.causes.keys() and not unknown:
                yield item, f"no cause is told for both, this and {other.name!r}", "remove it from `same_cause_as`"


def _declared(item: Misconception, other: Misconception) -> bool:
    return other.name in item.shares_with or item.name in other.shares_with


def cause_of(done: CellRun) -> str:
    """The likely cause that a failed check names; "" where none does."""
    return (done.check or {}).get("cause", "")


def said(done: CellRun) -> str:
    """What a cell said when it failed, on one line."""
    if done.check is None:
        return " ".join(done.message.split()) or "it says nothing"
    parts = [done.check["check"]]
    told = ("came", "expected", "cause")
    parts += [f"{LABELS[part]}: {done.check[part]}" for part in told if done.check[part]]
    return " ".join("; ".join(parts).split())


def given_fails(cell_id: str, how: str, done: CellRun) -> tuple[str, str]:
    """Message and remedy for code of the course that an answer can make fail."""
    message = f"{cell_id} fails where answers {how}: {said(done)}"
    return message, "define functions there, and call answers in look, explore and test cells only"
