"""Execute an instructor notebook in a kernel; keep what later runs are compared with."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from ..core.errors import BuildError, Problem, WorkbookError
from ..week.cells import Check, Explore
from ..week.notebooks import SKIPPED_WHEN_GRADING, Notebooks, to_text
from ..week.source import Week

WITH_ALT = re.compile(r'<img alt="[^"]+"')


def execute(built: Notebooks, root: Path, on_cell: Callable[[str], None] = lambda cell_id: None) -> NotebookNode:
    """Run every cell of the instructor notebook and write the result to `build/executed/`.

    Raises
    ------
    BuildError
        naming the first cell that fails, with its error.
    WorkbookError
        naming the cells with pictures that have no text alternative.
    """
    folder = root / "build" / "executed" / built.week.name
    notebook = nbformat.from_dict(json.loads(json.dumps(built.instructor)))
    run(built.week, notebook, folder, on_cell)
    (folder / f"{built.week.topic}.ipynb").write_text(to_text(notebook), encoding="utf-8")
    return notebook


def run(
    week: Week,
    notebook: NotebookNode,
    folder: Path,
    on_cell: Callable[[str], None] = lambda cell_id: None,
    *,
    cell_seconds: int | None = 600,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run the cells of a notebook, in place, in a kernel that starts in `folder`; no `%check` cells.

    Raises
    ------
    BuildError, WorkbookError
        as `execute` does.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    folder.mkdir(parents=True, exist_ok=True)
    for cell in notebook.cells:
        if cell.metadata.workbook.kind != Check.key and "skip-execution" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [tag for tag in cell.metadata["tags"] if tag != "skip-execution"]
    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=lambda cell, **_: on_cell(cell.id),
    )
    try:
        client.execute(env=dict(env or os.environ))
    except CellExecutionError as error:
        failed = [c.id for c in notebook.cells if any(o.output_type == "error" for o in c.get("outputs", []))]
        cell = next((cell for cell in week.cells if cell.id in failed), week.cells[0])
        message = f"{cell.id} fails: {error.ename}: {error.evalue}"
        raise BuildError([Problem(cell.path, cell.line, message, "fix the cell")]) from None
    if silent := [cell.id for cell in notebook.cells if any(map(_without_text, cell.get("outputs", [])))]:
        raise WorkbookError(
            f"{week.name}: a picture without a text for those who cannot see it in {', '.join(silent)}",
            "show a figure of matplotlib, after session.begin() in the set-up cell: it gets one",
        )


def _without_text(output: NotebookNode) -> bool:
    """Whether this is a picture alone. JupyterLab shows a text alternative only where a picture comes as HTML."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) and not WITH_ALT.search(data.get("text/html", ""))


def keep(week: Week, executed: NotebookNode) -> list[Path]:
    """Write `outputs.json` and the pictures of a week beside its source; return the files written."""
    by_id = {cell.id: cell for cell in executed.cells}
    outputs, written = {}, []
    for cell in week.cells:
        results = by_id[cell.id].get("outputs", [])
        if cell.words.compare:
            outputs[cell.id] = "".join(o.text for o in results if o.output_type == "stream" and o.name == "stdout")
        if isinstance(cell.words, Explore) and cell.words.picture:
            images = [o.data["image/png"] for o in results if "image/png" in o.get("data", {})]
            if not images:
                message = f"{cell.id} has the word `picture` and shows no figure"
                raise BuildError([Problem(cell.path, cell.line, message, "end it with plt.show()")])
            path = week.folder / f"{cell.words.picture}.png"
            path.write_bytes(base64.b64decode(images[-1]))
            written.append(path)
    path = week.folder / "outputs.json"
    path.write_text(json.dumps(outputs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, path]


def slowest(week: Week, executed: NotebookNode, count: int = 5) -> str:
    """Seconds of the whole notebook, of its graded path, and of the slowest cells, from the kernel's own stamps."""
    skipped = {cell.id for cell in week.cells if isinstance(cell.words, SKIPPED_WHEN_GRADING)}
    took: dict[str, float] = {}
    for cell in executed.cells:
        stamps = cell.metadata.get("execution", {})
        if "iopub.execute_input" in stamps and "shell.execute_reply" in stamps:
            begin, end = (datetime.fromisoformat(stamps[k]) for k in ("iopub.execute_input", "shell.execute_reply"))
            took[cell.id] = (end - begin).total_seconds()
    graded = sum(seconds for cell_id, seconds in took.items() if cell_id not in skipped)
    worst = sorted(took.items(), key=lambda item: -item[1])[:count]
    listed = ", ".join(f"{cell_id} {seconds:.1f} s" for cell_id, seconds in worst)
    return f"whole notebook {sum(took.values()):.1f} s, graded path {graded:.1f} s; slowest: {listed}"
