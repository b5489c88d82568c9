"""The learner's notebook as one page, with the figures that the reference draws in look and explore cells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from ..core.files import write_text
from ..week.notebooks import SKIPPED_WHEN_GRADING, Notebooks
from .record import execute

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)


def preview(built: Notebooks, root: Path, on_cell: Callable[[str], None] = lambda cell_id: None) -> Path:
    """Write `build/preview/WEEK.html`. Returns its path.

    The outputs are those of `build/executed/`, if it was made from the same source; else the notebook runs first.
    The page has no script and loads nothing.

    Raises
    ------
    WorkbookError
        naming the first cell that fails.
    """
    from ..rendering.notebook_view import SafeExporter

    executed = _recorded(built, root) or execute(built, root, on_cell)
    exporter = SafeExporter(template_name="lab", template_file="preview.html.j2", exclude_input_prompt=True)
    beside = {"metadata": {"name": built.week.info.title}, "policy": POLICY}
    html, _ = exporter.from_notebook_node(as_shown(built, executed), resources=beside)
    path = root / "build" / "preview" / f"{built.week.name}.html"
    write_text(path, html)
    return path


def as_shown(built: Notebooks, executed: NotebookNode) -> NotebookNode:
    """The learner's notebook: stubs and tests without output, look and explore cells with what the reference shows."""
    notebook = nbformat.from_dict(json.loads(json.dumps(built.learner)))
    outputs = {cell.id: cell.get("outputs", []) for cell in executed.cells}
    for cell, source in zip(notebook.cells, built.week.cells, strict=True):
        if isinstance(source.words, SKIPPED_WHEN_GRADING):
            cell.outputs = outputs[cell.id]
    return notebook


def _recorded(built: Notebooks, root: Path) -> NotebookNode | None:
    """The executed notebook, unless it was made from another source."""
    path = root / "build" / "executed" / built.week.name / f"{built.week.topic}.ipynb"
    if not path.is_file():
        return None
    notebook = nbformat.read(path, 4)
    sources = [(cell.id, cell.source) for cell in notebook.cells]
    same = sources == [(cell.id, cell.source) for cell in built.instructor.cells]
    return notebook if same else None
