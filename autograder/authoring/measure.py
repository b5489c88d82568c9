"""Run the cells of a week that are measured on real data, and keep what they show beside the source."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell

from ..building.rules_files import LARGEST_PICTURE
from ..core.errors import BuildError, Problem, WorkbookError
from ..core.files import write_bytes, write_text
from ..week.cells import Cell
from ..week.measured import FILE, Kept, Machine, Measurement, Picture, code_digest, data_of, needed, read_measured
from ..week.notebooks import Notebooks
from ..week.source import Week, load_week
from .record import run

ALT = re.compile(r'<img alt="([^"]+)"')
CLOCK = """
def _clock():
    import json, os, platform, time
    import torch
    from shared import profiles

    device = profiles.device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    machine = {"profile": str(profiles.current()), "device": name, "cores": os.cpu_count(),
               "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({"wall": time.monotonic(), "cpu": sum(os.times()[:4]), "machine": machine}))

_clock()
"""
"""Runs before and after a measured cell: seconds of wall time, of CPU time with ended child processes, and where."""


@dataclass(frozen=True)
class Asked:
    """What the author typed. minutes : the budget of a cell; None for the sizes that it was written with."""

    data: Path
    minutes: float | None = None
    seed: int = 0

    def command(self, week: str) -> str:
        """The command that measures the same again, without the path of this machine."""
        minutes = "" if self.minutes is None else f" --minutes {self.minutes:g}"
        profile = "PROFILE=gpu " if os.environ.get("PROFILE") == "gpu" else ""
        seed = f" --seed {self.seed}" if self.seed else ""
        return f"{profile}workbook record {week[:6]} --real-data FOLDER{minutes}{seed}"

    def environment(self) -> dict[str, str]:
        """What `profile.budget` and `datasets` read."""
        minutes = {} if self.minutes is None else {"WORKBOOK_MINUTES": f"{self.minutes:g}"}
        fixed = {"WORKBOOK_DATA": str(self.data.resolve()), "WORKBOOK_SEED": str(self.seed)}
        return {key: value for key, value in os.environ.items() if key != "WORKBOOK_MINUTES"} | fixed | minutes


def measure(
    built: Notebooks, root: Path, asked: Asked, on_cell: Callable[[str], None] = lambda cell_id: None
) -> list[Path]:
    """Run the measured cells and those that they need; write `measured.json` and pictures. Returns the files written.

    Raises
    ------
    WorkbookError
        where no cell is measured, the data is not there, the week or `shared` has changes that no commit holds, or
        the week changed, or its commit was taken back, while the cells ran.
    BuildError
        naming the cell that fails, or that shows too large a picture.
    """
    week = built.week
    cells = [cell for cell in week.cells if data_of(cell)]
    if not cells:
        raise WorkbookError(f"{week.name} has no cell to measure", 'write measured="cifar10" into a header')
    for data in map(data_of, cells):
        if not (asked.data / data).is_dir():
            raise WorkbookError(f"there is no folder {asked.data / data}", "name the folder that holds it")
    commit = committed(root, week)
    notebook = to_run(built, cells)
    run(week, notebook, root / "build" / "measured" / week.name, on_cell, cell_seconds=None, env=asked.environment())
    by_id = {cell.id: cell for cell in notebook.cells}
    kept, written = dict(read_measured(week.folder).cells), list[Path]()
    pictures = {data_of(cell): list(_pictures(cell, by_id[cell.id])) for cell in cells}
    _unchanged(root, week, commit)
    for cell in cells:
        before, after = (json.loads(_printed(by_id[f"{cell.id}-{when}"])) for when in ("before", "after"))
        data = data_of(cell)
        for picture, content in pictures[data]:
            written.append(week.folder / picture.file)
            write_bytes(written[-1], content)
        kept[data] = Measurement(
            date=datetime.now(UTC).date().isoformat(),
            commit=commit,
            command=asked.command(week.name),
            minutes=asked.minutes,
            seed=asked.seed,
            machine=Machine.model_validate(after["machine"]),
            wall_minutes=round((after["wall"] - before["wall"]) / 60, 2),
            cpu_minutes=round((after["cpu"] - before["cpu"]) / 60, 2),
            code=code_digest(needed(week.cells, cell)),
            printed=_printed(by_id[cell.id]).rstrip().splitlines(),
            pictures=[picture for picture, _ in pictures[data]],
        )
    found = Kept(cells={data: kept[data] for data in map(data_of, cells)})
    write_text(week.folder / FILE, found.model_dump_json(indent=1) + "\n")
    return [*written, week.folder / FILE]


def to_run(built: Notebooks, cells: Sequence[Cell]) -> NotebookNode:
    """Of the instructor notebook the measured cells, each between two clocks, and the cells that they need."""
    wanted = {one.id for cell in cells for one in needed(built.week.cells, cell)}
    measured = {cell.id for cell in cells}
    notebook = nbformat.from_dict(json.loads(json.dumps(built.instructor)))
    found = []
    for cell in notebook.cells:
        if cell.id in wanted:
            clocks = [_clock(f"{cell.id}-{when}") for when in ("before", "after")] if cell.id in measured else []
            found += [*clocks[:1], cell, *clocks[1:]]
    notebook.cells = found
    return notebook


def _clock(cell_id: str) -> NotebookNode:
    return new_code_cell(CLOCK, id=cell_id, metadata={"workbook": {"kind": "clock"}})


def _printed(cell: NotebookNode) -> str:
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")


def _pictures(cell: Cell, executed: NotebookNode) -> list[tuple[Picture, bytes]]:
    """The figures of a cell: file name and text, and the PNG."""
    shown = [o.data for o in executed.outputs if "image/png" in o.get("data", {})]
    found = []
    for number, data in enumerate(shown, 1):
        content = base64.b64decode(data["image/png"])
        if len(content) > LARGEST_PICTURE:
            message = f"{cell.id} shows a picture of {len(content):,} bytes, more than {LARGEST_PICTURE:,}"
            raise BuildError([Problem(cell.path, cell.line, message, "draw it smaller, with a lower dpi")])
        text = ALT.search(data.get("text/html", ""))
        words = html.unescape(text[1]) if text else ""
        file = f"measured-{data_of(cell)}{f'-{number}' if len(shown) > 1 else ''}.png"
        plain = " ".join(words.replace("[", "(").replace("]", ")").split())
        found.append((Picture(file=file, text=plain), content))
    return found


def committed(root: Path, week: Week) -> str:
    """The commit that holds the week as it is. Raises `WorkbookError` where none does."""
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
    except WorkbookError:
        raise WorkbookError("there is no commit to measure", "commit the week in a git repository") from None
    places = [str(week.folder.relative_to(root)), "shared"]
    changed = _git(root, "status", "--porcelain", "--", *places).splitlines()
    if changed:
        listed = ", ".join(line[3:] for line in changed)
        raise WorkbookError(f"no commit holds the changes of {listed}", "commit them, then measure")
    return commit


def _unchanged(root: Path, week: Week, commit: str) -> None:
    """Raise `WorkbookError` where the measured code is not that of the week any more, or its commit is gone."""
    try:
        _git(root, "merge-base", "--is-ancestor", commit, "HEAD")
    except WorkbookError:
        message = f"commit {commit[:12]} was measured and is not an ancestor of what is checked out now"
        raise WorkbookError(message, "measure what is checked out") from None
    measured = {data_of(cell): code_digest(needed(week.cells, cell)) for cell in week.cells if data_of(cell)}
    now = load_week(week.folder).cells
    if measured != {data_of(cell): code_digest(needed(now, cell)) for cell in now if data_of(cell)}:
        raise WorkbookError(f"{week.name} changed while its cells ran", "measure it again")


def _git(root: Path, *words: str) -> str:
    """What git prints. Raises `WorkbookError` where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise WorkbookError(f"git {words[0]} failed: {error}") from None
    return done.stdout
