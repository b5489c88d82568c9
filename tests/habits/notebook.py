"""Edits of a learner's notebook (plain JSON), as editors and people make them. Each function here makes an edit."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

Notebook = dict[str, Any]
Edit = Callable[[Notebook], None]


_numbers = itertools.count(1)


def code(source: str, **metadata: Any) -> dict[str, Any]:
    """A new code cell, as an editor makes it: with an id that no other has."""
    made = {"cell_type": "code", "id": f"{next(_numbers):08x}", "metadata": metadata}
    return made | {"source": source, "outputs": [], "execution_count": None}


def at(notebook: Notebook, cell_id: str) -> int:
    """The place of the first cell with this id."""
    return [cell.get("id") for cell in notebook["cells"]].index(cell_id)


def cell_of(notebook: Notebook, cell_id: str) -> dict[str, Any]:
    found: dict[str, Any] = notebook["cells"][at(notebook, cell_id)]
    return found


def all_of(*edits: Edit) -> Edit:
    """One edit after another."""

    def edit(notebook: Notebook) -> None:
        for one in edits:
            one(notebook)

    return edit


def nothing(notebook: Notebook) -> None:
    """Leave it as it is."""


def new(source: str, after: str = "setup") -> Edit:
    """A new code cell below another; `after=""` puts it on top, "end" at the end."""

    def edit(notebook: Notebook) -> None:
        places = {"": 0, "end": len(notebook["cells"])}
        place = places[after] if after in places else at(notebook, after) + 1
        notebook["cells"].insert(place, code(source))

    return edit


def below(exercise: str, source: str) -> Edit:
    """A new code cell below the stub of an exercise."""
    return new(source, after=exercise)


def write(cell_id: str, source: str) -> Edit:
    """Other text in a cell."""
    return lambda notebook: cell_of(notebook, cell_id).update(source=source)


def replace(cell_id: str, old: str, by: str) -> Edit:
    """A part of a cell changed; `old` must stand in it."""

    def edit(notebook: Notebook) -> None:
        cell = cell_of(notebook, cell_id)
        assert old in cell["source"], (cell_id, old)
        cell["source"] = cell["source"].replace(old, by)

    return edit


def before(cell_id: str, text: str) -> Edit:
    """Text on top of a cell."""
    return lambda notebook: cell_of(notebook, cell_id).update(source=text + cell_of(notebook, cell_id)["source"])


def behind(cell_id: str, text: str) -> Edit:
    """Text at the end of a cell."""
    return lambda notebook: cell_of(notebook, cell_id).update(source=cell_of(notebook, cell_id)["source"] + text)


def delete(*cell_ids: str) -> Edit:
    """Cells removed."""

    def edit(notebook: Notebook) -> None:
        for cell_id in cell_ids:
            del notebook["cells"][at(notebook, cell_id)]

    return edit


def move(cell_id: str, after: str) -> Edit:
    """A cell dragged below another, or to the "end"."""

    def edit(notebook: Notebook) -> None:
        cell = notebook["cells"].pop(at(notebook, cell_id))
        place = len(notebook["cells"]) if after == "end" else at(notebook, after) + 1
        notebook["cells"].insert(place, cell)

    return edit


def change(cell_id: str, **fields: Any) -> Edit:
    """Other fields of a cell, such as its type."""
    return lambda notebook: cell_of(notebook, cell_id).update(fields)


def split(cell_id: str, line: str, keep_metadata: bool = True) -> Edit:
    """The cell cut in two before the line that begins so, as Ctrl-Shift-Minus does: a new id, the same metadata."""

    def edit(notebook: Notebook) -> None:
        cell = cell_of(notebook, cell_id)
        lines = cell["source"].split("\n")
        number = next(n for n, one in enumerate(lines) if one.startswith(line))
        rest = code("\n".join(lines[number:]), **(copy.deepcopy(cell["metadata"]) if keep_metadata else {}))
        cell["source"] = "\n".join(lines[:number]).rstrip()
        notebook["cells"].insert(at(notebook, cell_id) + 1, rest)

    return edit


def merge(first: str, *others: str) -> Edit:
    """Cells merged into the first of them, as Shift-M does: its id, its type, its metadata."""

    def edit(notebook: Notebook) -> None:
        texts = [cell_of(notebook, cell_id)["source"] for cell_id in (first, *others)]
        delete(*others)(notebook)
        cell_of(notebook, first)["source"] = "\n\n".join(texts)

    return edit


def duplicate(cell_id: str, after: str, source: str | None = None, same_id: bool = False) -> Edit:
    """A cell copied and pasted below another, perhaps with another text."""

    def edit(notebook: Notebook) -> None:
        cell = copy.deepcopy(cell_of(notebook, cell_id))
        if not same_id:
            cell["id"] = code("")["id"]
        if source is not None:
            cell["source"] = source
        place = len(notebook["cells"]) if after == "end" else at(notebook, after) + 1
        notebook["cells"].insert(place, cell)

    return edit


def each_cell(do: Callable[[dict[str, Any]], Any]) -> Edit:
    """The same to every cell."""

    def edit(notebook: Notebook) -> None:
        for cell in notebook["cells"]:
            do(cell)

    return edit


def each_code(do: Callable[[str], str]) -> Edit:
    """The same to the text of every code cell."""
    return each_cell(lambda cell: cell.update(source=do(cell["source"])) if cell["cell_type"] == "code" else None)


def top_level(**fields: Any) -> Edit:
    """Other fields of the notebook."""
    return lambda notebook: notebook.update(fields)


def about_it(**metadata: Any) -> Edit:
    """Other metadata of the notebook."""
    return lambda notebook: notebook["metadata"].update(metadata)


def without_ids(notebook: Notebook) -> None:
    """Format 4.4, which has no ids."""
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]


def in_order(first: Sequence[str]) -> Edit:
    """These cells on top, in this order."""

    def edit(notebook: Notebook) -> None:
        chosen = [cell_of(notebook, cell_id) for cell_id in first]
        rest = [cell for cell in notebook["cells"] if cell.get("id") not in first]
        notebook["cells"] = chosen + rest

    return edit
