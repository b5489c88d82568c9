"""Whose fault is it that a submission could not be judged: the machine's, or its own?

INFRA costs no points, and the grade before it stands. A learner who can bring it about at will would never be graded.
"""

from __future__ import annotations

from ..engine.cell_kinds import TEST
from .executor import Crew
from .job import Job, Run
from .verdicts import CellRun, Verdict

SAYS = "judging this work ended the judge each time, and only this work"
NOTE = "nothing could be judged here, three times, while the course's own answers were: the instructor looks at it"


def could_not(run: Run) -> bool:
    """Whether the grader itself failed in some cell."""
    return any(cell.verdict is Verdict.INFRA for cell in run.cells.values())


def reason(run: Run) -> str:
    """Why the grader failed; "" where it did not."""
    return next((cell.message for cell in run.cells.values() if cell.verdict is Verdict.INFRA), "")


def tried_alone(job: Job, control: Job, crew: Crew) -> tuple[Run, bool]:
    """Run a job that could not be judged once more, with nothing beside it, and the course's own answers after it.

    Where these pass with the same crew, and the job fails once more, it is the job's own doing: its tests are TAMPERED.
    Otherwise what the run did stands. Returns the run, and whether it is the job's own doing.
    """
    run = crew.submit(job).result()
    if not could_not(run):
        return run, False
    sound = crew.submit(control).result()
    tests = [cell.id for cell in job.cells if cell.kind == TEST]
    controls = [cell.id for cell in control.cells if cell.kind == TEST]
    if any(sound.cells[test].verdict is not Verdict.PASS for test in controls):
        return run, False
    return Run(job.name, dict.fromkeys(tests, CellRun(Verdict.TAMPERED, SAYS))), True
