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

from ..core.errors import WorkbookError
from ..engine.cell_kinds import ANSWER, OWN, TEST, TRUSTED
from ..execution.job import Code, Job
from ..execution.make_job import make_job
from ..execution.wording import Surroundings, makers_of
from ..repair.aligning import text_of
from ..repair.repair import repair
from ..week.cells import Written
from ..week.headings import title
from ..week.names import defined, loaded
from ..week.notebooks import Notebooks
from .fork_client import environment_stamp
from .locations import notebook_path
from .released import open_released
from .start import read_copy


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
    folder : where the learner's copy lies.
    """

    released: Notebooks
    tasks: dict[str, Task]
    whole: Job
    notes: tuple[str, ...]
    unanswered: tuple[str, ...]
    folder: Path | None = None

    def around(self, exercise: str) -> Surroundings:
        """What there is to know beside a failed cell of an exercise."""
        answers = {cell.id: cell.source for cell in self.whole.cells if cell.kind == ANSWER}
        folder = self.folder

        def beside(module: str) -> bool:
            return folder is not None and ((folder / f"{module}.py").is_file() or (folder / module).is_dir())

        return Surroundings(makers_of(self.released), exercise, answers, self.whole.limits, beside)

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
    name = released.week.name
    return lesson_of(released, read_copy(root, name)[0], notebook_path(root, name).parent)


def lesson_of(released: Notebooks, mine: NotebookNode, folder: Path | None = None) -> Lesson:
    """A week and the learner's notebook, from this folder -> jobs.

    Raises
    ------
    WorkbookError
        when it is the notebook of another week.
    """
    week = released.week
    fixed = repair(released, mine)
    if fixed.other_week:
        raise WorkbookError(
            f"the file in the place of {week.topic}.ipynb is the notebook of {fixed.other_week}, not of {week.name}",
            f"move it to work/{fixed.other_week}/ and run `workbook start {week.number}`",
        )
    sources = {cell.id: cell.source for cell in fixed.notebook.cells}
    stubs = {cell.id: cell.source for cell in released.learner.cells}
    whole = make_job(released, week.name, fixed.run, sources)
    needs = _Needs(released, whole)
    stamp = environment_stamp()
    tasks = {}
    for name in week.exercises:
        cells, builds_on = needs.of(name)
        job = replace(whole, name=name, cells=cells)
        written = text_of(sources[name]) != text_of(stubs[name])
        mark = _fingerprint(job, stamp)
        missing = name in fixed.missing
        tasks[name] = Task(
            name, title(released, name), fixed.numbers.get(name, 0), written, missing, job, builds_on, mark
        )
    unanswered = tuple(
        cell.name for cell in week.of_kind(Written) if text_of(sources[cell.id]) == text_of(stubs[cell.id])
    )
    return Lesson(released, tasks, whole, tuple(fixed.notes), unanswered, folder)


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
        """Cells that are not Python alone, as with a magic."""
        self._any_name: set[str] = set()
        """Cells that may make any name."""
        stubs = {cell.id: cell.source for cell in released.learner.cells}
        for cell in whole.cells:
            opaque = not _is_python(cell.source)
            if opaque:
                self._opaque.add(cell.id)
            elif _makes_any_name(cell.source):
                self._any_name.add(cell.id)
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
        needed |= {cell.id for cell in before if cell.kind == OWN and cell.id in self._opaque | self._any_name}
        assumed = {cell.id for cell in before if cell.kind == ANSWER and cell.id in self._any_name} - needed
        needed |= assumed
        allowed = {cell.id for cell in before if cell.kind in (ANSWER, OWN)}
        queue = [cell for cell in before if cell.id in needed and cell.kind != TRUSTED]
        while queue:
            cell = queue.pop()
            more = allowed if cell.id in self._opaque and cell.kind == ANSWER else self._needed_by(cell) & allowed
            queue += [other for other in before if other.id in more - needed]
            needed |= more
            assumed -= more
        kept = tuple(cell for cell in before if cell.id in needed)
        answers = [cell for cell in kept if cell.kind == ANSWER and cell.id not in assumed]
        others = dict.fromkeys(cell.exercise for cell in answers if cell.exercise != exercise)
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


ANY_NAME = frozenset({"exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "__import__", "get_ipython"})
"""Functions that may make or change any name."""


def _makes_any_name(source: str) -> bool:
    """Whether nobody can tell from the Python which names it makes: `from math import *`, `exec(text)`."""
    with warnings.catch_warnings(action="ignore"):
        top = list(_outside_of_functions(ast.parse(source).body))
    star = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in top)
    return star or any(isinstance(node, ast.Name) and node.id in ANY_NAME for node in top)


def _changed(source: str) -> set[str]:
    """Names that a cell deletes, or whose objects it may change: `del x`, `F.gelu = ...`, `torch.manual_seed(1)`."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    found: list[ast.expr] = []
    for node in _outside_of_functions(tree.body):
        place = node if isinstance(node, ast.Attribute | ast.Subscript | ast.Name) else None
        if place and isinstance(place.ctx, ast.Del if isinstance(place, ast.Name) else ast.Del | ast.Store):
            found.append(place)
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            found.append(node.value.func)
    roots = {_root(expression) for expression in found}
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
