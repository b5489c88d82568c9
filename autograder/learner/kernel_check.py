"""`%check`: the visible tests on the objects that a notebook's kernel holds.

As when grading, tests see the course's names and settings, whatever variables and defaults the kernel has: cells of
the course run once more, out of sight, and of the kernel's names tests get those that answers define.
"""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, Group

from shared.checks.kinds import Kind

from ..core.errors import WorkbookError
from ..engine import progress
from ..engine.guest.shell import Kept, OutputLimitError, error_of
from ..engine.guest.state import Turns, fresh
from ..engine.outcome import outcome_of
from ..execution.verdicts import Place, Verdict, cell_run
from ..week.cells import Exercise, Given, Setup
from ..week.headings import title
from ..week.locate import find_root, released_weeks
from ..week.names import defined, loaded
from ..week.notebooks import Notebooks
from .check import NOT_RUN, UNWRITTEN, Result, tests_of
from .released import open_released
from .tasks import exercise_name
from .views import results_table, week_line

STILL_SECONDS = 10.0
"""How often a check that takes long says where it is."""


def check(shell: Any, line: str) -> None:
    """Run the visible tests and show what came out; what cannot be done is said in one line."""
    console = Console(file=sys.stdout)  # this one, also while a test cell prints elsewhere
    try:
        released, names = _asked(shell, line.split())
        with progress.told(lambda place: _still_running(console, Place(**place)), STILL_SECONDS):
            results = {name: run(shell, released, name) for name in names}
    except WorkbookError as error:
        console.print(f"%check: {error}", style="yellow", markup=False, highlight=False)
        return
    except KeyboardInterrupt as stopped:
        where = progress.place(_innermost(stopped))
        said = f"%check: stopped{f', in {Place(**where)}' if where else ''}"
        console.print(said, style="yellow", markup=False, highlight=False)
        return
    numbers = {name: place for place, name in enumerate(released.week.exercises, 1)}
    rows = [results_table(list(results.values()), numbers)]
    if len(names) > 1:
        rows.append(week_line(results, released.week))
    console.print(Group(*rows), highlight=False)


def _still_running(console: Console, place: Place) -> None:
    where = f" in {place}" if place.line else ""
    said = f"%check: still running after {place.seconds:.0f} s{where}; to stop it, interrupt the kernel (■)"
    console.print(said, style="yellow", markup=False, highlight=False)


def _innermost(error: BaseException) -> FrameType | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame if trace else None


def _asked(shell: Any, words: list[str]) -> tuple[Notebooks, list[str]]:
    """The week and the exercises that are meant."""
    root = _root()
    week = words.pop(0) if len(words) == 2 else _this_week(root, shell, words)
    if len(words) > 1:
        raise WorkbookError("that is too much", "%check, %check sdpa or %check 1 sdpa")
    released = open_released(root, week)
    return released, [exercise_name(released, words[0])] if words else list(released.week.exercises)


def _root() -> Path:
    """The checkout around the notebook, else the one that this package was installed from."""
    try:
        return find_root()
    except WorkbookError:
        return find_root(Path(__file__).parent)


def _this_week(root: Path, shell: Any, words: list[str]) -> str:
    """The week whose folder or notebook this is; else, as in Colab, the one whose exercise the kernel has run."""
    opened = (
        shell.user_ns.get("__vsc_ipynb_file__"),
        shell.user_ns.get("__session__"),
        os.environ.get("JPY_SESSION_NAME"),
    )
    paths = [Path.cwd(), *(Path(path) for path in opened if isinstance(path, str))]
    for name in released_weeks(root):
        for path in paths:
            if name in path.parts or path.stem == name.split("_", 1)[1]:
                return name
    run = [name for name in released_weeks(root) if words and _ran(open_released(root, name), words[0], shell)]
    if len(run) == 1:
        return run[0]
    raise WorkbookError("which week is this?", f"%check WEEK EXERCISE, with one of {', '.join(released_weeks(root))}")


def _ran(released: Notebooks, exercise: str, shell: Any) -> bool:
    """Whether the kernel holds all that the stub of this exercise defines."""
    stub = next((cell.source for cell in released.week.of_kind(Exercise, exercise)), "")
    return bool(defined(stub)) and defined(stub) <= set(shell.user_ns)


def run(shell: Any, released: Notebooks, exercise: str) -> Result:
    """Run the visible tests of one exercise on the kernel's objects. None of its names and settings changes."""
    week = released.week
    sources = {cell.id: cell.source for cell in released.learner.cells}
    tests = list(tests_of(released, exercise))
    heading = title(released, exercise)
    number = next(cell.line for cell in week.of_kind(Exercise, exercise))
    needed = set().union(defined(sources[exercise]), *(loaded(sources[test.id]) for test in tests))
    for cell in week.cells:
        if isinstance(cell.words, Setup | Given | Exercise) and needed & defined(cell.source) - set(shell.user_ns):
            said = f"cell {cell.line} ({cell.id}) was not run yet: run it first"
            if cell.id == exercise:
                said = f"run the cell of {exercise}; where it is empty, restore its stub (key r in `workbook watch`)"
            return Result(exercise, heading, NOT_RUN, tuple(tests), said, number)
    unwritten = False
    course = _course_of(released.learner_text)
    for place, test in enumerate(tests):
        error = course.test(shell, released, test.id)
        done = cell_run(asdict(outcome_of({"error": error, "seconds": 0.0, "outputs": []})))
        unwritten = unwritten or done.kind is Kind.UNWRITTEN
        tests[place] = replace(test, verdict=done.verdict.value, message=done.message, parts=done.check)
    failed = next((test for test in tests if test.verdict != Verdict.PASS), None)
    state, said = (failed.verdict, failed.message) if failed else (Verdict.PASS.value, "")
    if unwritten:
        state, said = UNWRITTEN, ""
    return Result(exercise, heading, state, tuple(tests), said, number)


class _Course:
    """The course's side of a kernel: the names and settings that its cells make."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._turns = Turns(fresh())
        self._ran: set[str] = set()

    def test(self, shell: Any, released: Notebooks, test: str) -> dict[str, Any] | None:
        """Run a test cell with what the course gives above it; what was raised."""
        sources = {cell.id: cell.source for cell in released.learner.cells}
        for cell in released.week.cells:
            if cell.id == test:
                break
            if isinstance(cell.words, Setup | Given) and cell.id not in self._ran:
                with self._turns.given(for_both=False), _figures_kept():
                    error = _run_given(shell.transform_cell(sources[cell.id]), self._names, released.answer_names)
                if error:
                    return error
                self._ran.add(cell.id)
        answers = {name: shell.user_ns[name] for name in released.answer_names if name in shell.user_ns}
        self._names.update(answers)  # functions of the course's may call them, too
        try:
            with self._turns.test():
                return _run_here(sources[test], dict(self._names), test)
        finally:
            for name in answers:
                self._names.pop(name, None)


def _figures_kept() -> contextlib.AbstractContextManager[object]:
    """How figures look is not a setting of a test, and stays as the kernel has it."""
    matplotlib = sys.modules.get("matplotlib")
    return matplotlib.rc_context() if matplotlib else contextlib.nullcontext()


@functools.lru_cache(maxsize=1)
def _course_of(learner_text: str) -> _Course:
    """One for each release, as long as the kernel lives."""
    return _Course()


def _run_given(source: str, names: dict[str, Any], answers: Sequence[str]) -> dict[str, Any] | None:
    """Run a cell of the course, which may name in annotations what answers define."""
    names.update(empty := {name: type(name, (), {}) for name in answers})
    error = _run_here(source, names, "course")
    for name in empty:
        names.pop(name, None)
    return error


def _run_here(source: str, names: dict[str, Any], test: str) -> dict[str, Any] | None:
    """Run a test cell in this process; what it raised, in the words of `engine.shell.run_cell`."""
    file = f"<{test}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # failures quote lines of code
    try:
        with contextlib.redirect_stdout(Kept()):
            exec(compile(source, file, "exec"), names)
    except (Exception, OutputLimitError) as error:
        return error_of(error)
    return None
