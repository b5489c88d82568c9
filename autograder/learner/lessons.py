"""The learner's copy -> one job for each exercise, with just the cells that its visible tests depend on.

A test depends on the cells of the course before it, on the exercises it builds on (`uses`), and on every cell of the
learner's that makes a name which any of them reads. What cannot be read as Python depends on everything.
"""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nbformat.notebooknode import NotebookNode

from ..build import Notebooks
from ..engine.judge import ANSWER, OWN, TEST, TRUSTED
from ..errors import WorkbookError
from ..facts import title
from ..jobs import make_job
from ..repair import repair
from ..rules import defined, loaded
from ..runner import Code, Job
from ..source import Written
from .copies import read_copy
from .released import open_released
from .warm import environment_stamp


@dataclass(frozen=True)
class Task:
    """An exercise as it stands in the learner's copy.

    Attributes
    ----------
    number : of its cell in the learner's notebook, from 1; 0 where it is missing.
    written : whether it differs from the stub.
    job : what its visible tests depend on, and these tests.
    builds_on : other exercises whose answers the job runs.
    fingerprint : changes with everything that decides about the verdict.
    """

    exercise: str
    title: str
    number: int
    written: bool
    missing: bool
    job: Job
    builds_on: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Lesson:
    """A week in the learner's copy.

    Attributes
    ----------
    whole : everything that grading runs, in one job.
    notes : what the grader would repair.
    unanswered : written questions that are as the course gave them.
    """

    released: Notebooks
    tasks: dict[str, Task]
    whole: Job
    notes: tuple[str, ...]
    unanswered: tuple[str, ...]

    @property
    def is_blank(self) -> bool:
        """Whether no exercise and no written question is answered."""
        answered = len(self.unanswered) < len(self.released.week.of_kind(Written))
        return not answered and not any(task.written and not task.missing for task in self.tasks.values())


def exercise_called(released: Notebooks, asked: str) -> str:
    """The exercise of this name, however it is capitalized, or of this number; "" where there is none."""
    names = list(released.week.exercises)
    if asked.isdigit() and 1 <= int(asked) <= len(names):
        return names[int(asked) - 1]
    plain = asked.lower().replace("_", "-")
    return next((name for name in names if name.lower().replace("_", "-") == plain), "")


def exercise_name(released: Notebooks, asked: str) -> str:
    """The name of an exercise, also by its number. Raises `WorkbookError` that lists all of them."""
    if found := exercise_called(released, asked):
        return found
    import difflib

    names = list(released.week.exercises)
    near = difflib.get_close_matches(asked.lower(), names, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise WorkbookError(f"{released.week.name} has no exercise {asked!r}", f"{hint}its exercises: {', '.join(names)}")


def open_lesson(root: Path, asked: str) -> Lesson:
    """The learner's copy of a week. Raises `WorkbookError` where there is none, or it is damaged."""
    released = open_released(root, asked)
    return lesson_of(released, read_copy(root, released.week.name)[0])


def lesson_of(released: Notebooks, mine: NotebookNode) -> Lesson:
    """A week and the learner's notebook -> jobs."""
    week = released.week
    numbers = _numbers(mine)
    fixed = repair(released, mine)
    sources = {cell.id: cell.source for cell in fixed.notebook.cells}
    stubs = {cell.id: cell.source for cell in released.learner.cells}
    whole = make_job(released, week.name, fixed.run, sources)
    needs = _Needs(released, whole)
    stamp = environment_stamp()
    tasks = {}
    for name in week.exercises:
        cells, builds_on = needs.of(name)
        job = replace(whole, name=name, cells=cells)
        written = sources[name].strip() != stubs[name].strip()
        number = numbers.get(sources[name].strip(), 0)
        mark = _fingerprint(job, stamp)
        missing = name in fixed.missing
        tasks[name] = Task(name, title(released, name), number, written, missing, job, builds_on, mark)
    unanswered = tuple(
        cell.name for cell in week.of_kind(Written) if sources[cell.id].strip() == stubs[cell.id].strip()
    )
    return Lesson(released, tasks, whole, tuple(fixed.notes), unanswered)


def _numbers(mine: NotebookNode) -> dict[str, int]:
    """Source of a cell -> its number in the learner's notebook, the last one of equal cells."""
    return {cell.source.strip(): number for number, cell in enumerate(mine.cells, 1)}


def _fingerprint(job: Job, stamp: str) -> str:
    cells = [(cell.id, cell.kind, cell.source) for cell in job.cells]
    return hashlib.sha256(json.dumps([stamp, job.limits.model_dump(), cells]).encode("utf-8", "replace")).hexdigest()


class _Needs:
    """Which cells of the whole job an exercise needs."""

    def __init__(self, released: Notebooks, whole: Job) -> None:
        self._released = released
        self._cells = whole.cells
        self._reads: dict[str, frozenset[str]] = {}
        self._makers: dict[str, list[Code]] = {}
        self._opaque: set[str] = set()
        stubs = {cell.id: cell.source for cell in released.learner.cells}
        for cell in whole.cells:
            opaque = not _is_python(cell.source)
            if opaque:
                self._opaque.add(cell.id)
            self._reads[cell.id] = frozenset() if opaque else frozenset(loaded(cell.source))
            if cell.kind != TEST:
                made = set() if opaque else defined(cell.source) | _changed(cell.source)
                for name in made | (defined(stubs[cell.id]) if cell.kind == ANSWER else set()):
                    self._makers.setdefault(name, []).append(cell)

    def of(self, exercise: str) -> tuple[tuple[Code, ...], tuple[str, ...]]:
        """The cells in their order, and the other exercises among them."""
        own_tests = {cell.id for cell in self._cells if cell.kind == TEST and cell.exercise == exercise}
        last = max(place for place, cell in enumerate(self._cells) if cell.id in own_tests)
        before = self._cells[: last + 1]
        week = self._released.week
        used = {name for name in week.exercises if exercise in week.dependents(name)}
        needed = {cell.id for cell in before if cell.kind == TRUSTED or cell.id in own_tests}
        needed |= {cell.id for cell in before if cell.exercise in {exercise, *used} and cell.kind == ANSWER}
        needed |= {cell.id for cell in before if cell.kind == OWN and cell.id in self._opaque}
        allowed = {cell.id for cell in before if cell.kind in (ANSWER, OWN)}
        queue = [cell for cell in before if cell.id in needed and cell.kind != TRUSTED]
        while queue:
            cell = queue.pop()
            more = allowed if cell.id in self._opaque and cell.kind == ANSWER else self._needed_by(cell) & allowed
            queue += [other for other in before if other.id in more - needed]
            needed |= more
        kept = tuple(cell for cell in before if cell.id in needed)
        others = dict.fromkeys(cell.exercise for cell in kept if cell.kind == ANSWER and cell.exercise != exercise)
        return kept, tuple(others)

    def _needed_by(self, cell: Code) -> set[str]:
        """Cells that make what this one reads, also through code that the course gave."""
        found: set[str] = set()
        queue: list[Code] = [cell]
        while queue:
            makers = [maker for name in self._reads[queue.pop().id] for maker in self._makers.get(name, [])]
            new = [maker for maker in makers if maker.id not in found]
            found |= {maker.id for maker in new}
            queue += [maker for maker in new if maker.kind == TRUSTED]
        return found


def _is_python(source: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _changed(source: str) -> set[str]:
    """Names of objects that a cell may change in place: `F.gelu = ...`, `del cache[0]`, `torch.set_num_threads(1)`."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    found: list[ast.expr] = []
    for node in _outside_of_functions(tree.body):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found.append(node)
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            found.append(node.value.func)
    roots = {_root(expression) for expression in found if isinstance(expression, ast.Attribute | ast.Subscript)}
    return {root.id for root in roots if isinstance(root, ast.Name)}


def _root(expression: ast.expr) -> ast.expr:
    while isinstance(expression, ast.Attribute | ast.Subscript):
        expression = expression.value
    return expression


def _outside_of_functions(body: Iterable[ast.AST]) -> Iterable[ast.AST]:
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_of_functions(ast.iter_child_nodes(node))
