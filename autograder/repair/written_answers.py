"""Where the words of a written answer are: in its cell, or in cells of the learner's own below it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nbformat.notebooknode import NotebookNode


def own_cells_below(notebook: NotebookNode, handed_out: Collection[str], cell: str) -> list[NotebookNode]:
    """The learner's own cells between a cell and the next one that was handed out; those without text are left out."""
    found, reading = [], False
    for one in notebook.cells:
        if one.get("id") == cell:
            reading = True
        elif reading and one.get("id") in handed_out:
            break
        elif reading and one.source.strip():
            found.append(one)
    return found


def is_prose(cell: Mapping[str, Any]) -> bool:
    """Whether a cell of the learner's can be an answer in words; code below a question is more often a trial."""
    return cell.get("cell_type") in ("markdown", "raw")
