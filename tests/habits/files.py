"""Habits of editors, and what they leave of a notebook."""

from __future__ import annotations

from . import answers as a
from .kinds import Habit
from .notebook import (
    Notebook,
    about_it,
    all_of,
    before,
    behind,
    below,
    change,
    code,
    delete,
    each_cell,
    in_order,
    top_level,
    without_ids,
    write,
)


def _lines(cell: dict[str, object]) -> None:
    cell["source"] = str(cell["source"]).splitlines(keepends=True)


def _stripped(notebook: Notebook) -> None:
    """What Colab leaves: none of the metadata, no ids."""
    each_cell(lambda cell: cell.update(metadata={"id": "aB1"}))(notebook)
    without_ids(notebook)
    notebook["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


def _no_tests(notebook: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if "-test-" not in cell["id"]]


def _new_ids(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["id"] = code("")["id"]


def _shown(notebook: Notebook) -> None:
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["mine\n"]}]
            cell["execution_count"] = number


FILES = (
    Habit("tests-edited", "edits a test", write("masks-test-1", "print('passed')")),
    Habit("tests-deleted", "deletes every test", _no_tests),
    Habit("tests-with-more", "adds an assert to a test", behind("masks-test-1", "\nassert causal_mask(2).sum() == 4")),
    Habit("setup-edited", "adds an import to the set-up cell that no answer needs", behind("setup", "\nimport random")),
    Habit(
        "setup-used",
        "adds an import to the set-up cell and uses it",
        behind("setup", "\nimport numpy as np"),
        {"masks": a.MASKS.replace("length, length, dtype", "int(np.int64(length)), length, dtype")},
        kernel="the edited cell was run",
        passes="sdpa",
    ),
    Habit("markdown-and-back", "turns an answer into text and back", change("sdpa", cell_type="code", metadata={})),
    Habit(
        "left-as-raw",
        "leaves the old stub as a raw cell and answers below",
        all_of(below("sdpa", a.SDPA), change("sdpa", cell_type="raw")),
        {"sdpa": None},
        True,
    ),
    Habit(
        "merged-with-text",
        "merges the heading into the answer's cell",
        all_of(before("masks", "# Masks: my notes\n"), delete("masks-about")),
    ),
    Habit("metadata-stripped", "works in Colab", _stripped),
    Habit("format-4-4", "saves in format 4.4, without ids", without_ids),
    Habit("new-ids", "works in an editor that gives all cells new ids", _new_ids),
    Habit("lines", "saves the lines of cells as lists", each_cell(_lines)),
    Habit("outputs", "leaves outputs in", _shown),
    Habit(
        "kernel-name",
        "chose another kernel",
        about_it(kernelspec={"name": "cv", "display_name": "cv", "language": "python"}),
    ),
    Habit("newer-format", "saves with a newer minor format", top_level(nbformat_minor=9)),
    Habit(
        "out-of-order", "has the answers in another order", in_order(["setup", "flops", "masks", "sdpa"]), placed=True
    ),
    Habit(
        "texts-deleted",
        "deletes all texts",
        lambda notebook: notebook.update(cells=[c for c in notebook["cells"] if c["cell_type"] == "code"]),
    ),
)
