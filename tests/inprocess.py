"""Run the graded cells of a week in this process: what the tests say about an answer, without an engine."""

from __future__ import annotations

import contextlib
import io
import linecache
import traceback
from collections.abc import Collection, Mapping
from dataclasses import asdict

from autograder.engine.guest.shell import error_of
from autograder.engine.outcome import outcome_of
from autograder.execution.job import Job, Run
from autograder.execution.verdicts import CellRun, Verdict, cell_run
from autograder.week.cells import Exercise, Given, Setup, Test
from autograder.week.notebooks import Notebooks


def judge(
    built: Notebooks, answers: Mapping[str, str], exercise: str = "", left_out: Collection[str] = ()
) -> dict[str, CellRun]:
    """A verdict for every test cell, or for those of one exercise.

    Parameters
    ----------
    answers : exercise -> code; the reference's where there is none.
    left_out : test cells that are not run.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    verdicts = {}
    sources = {cell.id: cell.source for cell in built.instructor.cells}
    for cell in built.week.cells:
        if isinstance(cell.words, Test):
            if exercise in ("", cell.name) and cell.id not in left_out:
                verdicts[cell.id] = run_cell(cell.id, sources[cell.id], namespace)
        elif isinstance(cell.words, Setup | Given | Exercise):
            run_cell(cell.id, answers.get(cell.id, sources[cell.id]), namespace)
    return verdicts


def run_cell(cell_id: str, source: str, namespace: dict[str, object]) -> CellRun:
    name = f"<cell {cell_id}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # failures quote lines of code
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, name, "exec"), namespace)
    except Exception as error:
        lines = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == name]
        done = outcome_of(
            {"error": error_of(error) | {"line": lines[0] if lines else 0}, "seconds": 0.0, "outputs": []}
        )
        return cell_run(asdict(done))
    return CellRun(Verdict.PASS)


def run_here(job: Job) -> Run:
    """Run a job, with every cell in one namespace and no reference standing in for anything."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    return Run(job.name, {cell.id: run_cell(cell.id, cell.source, namespace) for cell in job.cells})
