"""How a learner's notebook looks and runs in an editor: tests are folded, pictures lie inside, Run All goes on.

All of it is metadata and attachments. nbgrader's checksums and our own alignment read neither.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

PICTURE = re.compile(r"!\[[^\]]*\]\(([\w.-]+\.png)\)")
GOES_ON = "raises-exception"
"""The tag of a cell whose failure ends no run of a whole notebook, in JupyterLab as in nbclient."""
FOLDED_WORDS = ("jupyter", "cellView")
"""Keys of a cell's metadata in which editors keep what is folded."""


def fold(cell: NotebookNode) -> None:
    """Hide the code of a cell, not what it prints: in JupyterLab and Notebook, and in Colab, which calls it a form.

    VS Code keeps what is folded outside of the file, and shows the code.
    """
    cell.metadata["jupyter"] = {"source_hidden": True}
    cell.metadata["cellView"] = "form"


def go_on(cell: NotebookNode) -> None:
    """Let "Run All" go on where this cell fails: a test of an exercise that is not written yet, for example.

    nbgrader reads the outputs of a test, not its tags: a failed one earns nothing.
    """
    cell.metadata.setdefault("tags", []).append(GOES_ON)


def attach_pictures(cell: NotebookNode, folder: Path) -> None:
    """Put the pictures beside the source into a text cell, so that they show wherever the notebook alone is opened."""
    for name in PICTURE.findall(cell.source):
        if (folder / name).is_file():
            content = base64.b64encode((folder / name).read_bytes()).decode()
            cell.setdefault("attachments", nbformat.from_dict({}))[name] = {"image/png": content}
            cell.source = cell.source.replace(f"]({name})", f"](attachment:{name})")
