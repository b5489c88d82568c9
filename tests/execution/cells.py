"""Jobs of a few lines of code, run by a team, and what came of each cell."""

from __future__ import annotations

from pathlib import Path

from autograder.execution.job import Code, Job
from autograder.execution.pool import Team
from autograder.execution.verdicts import CellRun
from autograder.week.source import Limits

from ..processes import wait_until

WARM_PID = "int(open(f'/proc/{os.getppid()}/stat').read().rsplit(')')[-1].split()[1])"
"""For a cell: the parent of its keeper."""


def job_of(*sources: str, name: str = "job", cell: float = 30, total: float = 60, memory: float = 1) -> Job:
    cells = tuple(Code(f"cell-{number}", source) for number, source in enumerate(sources))
    return Job(name, cells, Limits(cell_seconds=cell, total_seconds=total, memory_gib=memory))


def run(team: Team, *sources: str, cell: float = 30, total: float = 60, memory: float = 1) -> list[CellRun]:
    """What each cell of one job did, in the order of the cells."""
    job = job_of(*sources, cell=cell, total=total, memory=memory)
    (done,) = team.run([job])
    assert set(done.cells) == {code.id for code in job.cells}
    return [done.cells[code.id] for code in job.cells]


def verdicts(cells: list[CellRun]) -> list[str]:
    return [cell.verdict.value for cell in cells]


def text(cell: CellRun) -> str:
    """What the cell printed."""
    return "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")


def pid_in(path: Path) -> int:
    """The process id that a cell writes into a file."""
    assert wait_until(lambda: path.is_file() and path.read_text().endswith("\n")), f"{path.name} was never written"
    return int(path.read_text())


def write_pid(path: Path, pid: str = "os.getpid()") -> str:
    """Code that writes a process id into a file."""
    return f"import os\nwith open({str(path)!r}, 'w') as file: print({pid}, file=file)\n"
