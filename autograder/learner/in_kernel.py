"""`%check`: the visible tests on the objects that a notebook's kernel holds."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group

from ..build import Notebooks
from ..course import find_root, released_weeks
from ..engine.outcome import outcome_of
from ..engine.shell import line_of_cell, words_of
from ..errors import WorkbookError
from ..facts import title
from ..rules import defined, loaded
from ..runner import Verdict
from ..source import Exercise, Given, Setup
from .checking import NOT_RUN, UNWRITTEN, Result, tests_of
from .lessons import exercise_name
from .released import open_released
from .screens import results_table, week_line


def check(shell: Any, line: str) -> None:
    """Run the visible tests and show what came out; what cannot be done is said in one line."""
    console = Console()
    try:
        released, names = _asked(shell, line.split())
        results = {name: run(shell, released, name) for name in names}
    except WorkbookError as error:
        console.print(f"%check: {error}", style="yellow", markup=False, highlight=False)
        return
    numbers = {name: place for place, name in enumerate(released.week.exercises, 1)}
    rows = [results_table(list(results.values()), numbers)]
    if len(names) > 1:
        rows.append(week_line(results, released.week))
    console.print(Group(*rows), highlight=False)


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
    """Run the visible tests of one exercise in a copy of the kernel's names, so that none of them changes."""
    week = released.week
    sources = {cell.id: cell.source for cell in released.learner.cells}
    tests = list(tests_of(released, exercise))
    heading = title(released, exercise)
    number = next(cell.line for cell in week.of_kind(Exercise, exercise))
    needed = set().union(defined(sources[exercise]), *(loaded(sources[test.id]) for test in tests))
    for cell in week.cells:
        if isinstance(cell.words, Setup | Given | Exercise) and needed & defined(cell.source) - set(shell.user_ns):
            said = "" if cell.id == exercise else f"cell {cell.line} ({cell.id}) was not run yet: run it first"
            return Result(exercise, heading, NOT_RUN, tuple(tests), said, number)
    for place, test in enumerate(tests):
        error = _run_here(sources[test.id], dict(shell.user_ns), test.id)
        done = outcome_of({"error": error, "seconds": 0.0, "outputs": []})
        tests[place] = replace(test, verdict=done.verdict, message=done.message)
    failed = next((test for test in tests if test.verdict != Verdict.PASS), None)
    state, said = (failed.verdict, failed.message) if failed else (Verdict.PASS.value, "")
    if "not written yet" in said or said.startswith("NotImplementedError"):
        state, said = UNWRITTEN, ""
    return Result(exercise, heading, state, tuple(tests), said, number)


def _run_here(source: str, names: dict[str, Any], test: str) -> dict[str, Any] | None:
    """Run a test cell in this process; what it raised, in the words of `engine.shell.run_cell`."""
    file = f"<{test}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # failures quote lines of code
    try:
        with contextlib.redirect_stdout(io.StringIO()), _same_random_numbers():
            exec(compile(source, file, "exec"), names)
    except Exception as error:
        says = error.as_dict() if hasattr(error, "as_dict") else None
        return {"name": type(error).__name__, "message": words_of(error), "check": says, "line": line_of_cell(error)}
    return None


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """The kernel's cells draw the numbers that they would draw without a check between them."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    kept = (random.getstate(), numpy and numpy.random.get_state(), torch and torch.get_rng_state())
    try:
        yield
    finally:
        random.setstate(kept[0])
        if numpy:
            numpy.random.set_state(kept[1])
        if torch:
            torch.set_rng_state(kept[2])
