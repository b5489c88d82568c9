"""An updated release and a learner's copy of an earlier one -> one notebook.

Answers and the learner's own cells stay in their places. New text, tests and cells arrive. What the learner changed in
a text or a drawing cell stays, unless the course changed it too: then both are there. The former release (`base`)
tells who changed what; where it is unknown, the course's version is taken, and the backup holds the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat
from nbformat.notebooknode import NotebookNode

from ..repair.repair import align, clean, extras_after, text_of
from ..week.cells import Cell, Exercise, Given, Readings, Setup, Test, Written
from ..week.notebooks import Notebooks, to_text
from ..week.presenting import FOLDED_WORDS

ANSWERS = Exercise | Written
LOCKED = Setup | Given | Test | Readings


@dataclass(frozen=True)
class Merged:
    """`changes` says in words what is different now; empty when nothing is."""

    notebook: NotebookNode
    changes: tuple[str, ...]


def merge(release: Notebooks, mine: NotebookNode, base: NotebookNode | None = None) -> Merged:
    """Bring an updated release into a learner's copy. Merging the result again changes nothing.

    Parameters
    ----------
    release : the updated week.
    mine : the learner's copy.
    base : the release that the copy was made from, or merged with last.
    """
    mine = _copy(mine)
    clean(mine)
    before = to_text(mine)
    found = align(release, mine)
    known = {cell.id: text_of(cell) for cell in base.cells if "id" in cell} if base else None
    folded = {cell.id for cell in base.cells if "id" in cell and "jupyter" in cell.metadata} if base else set()
    work = _Merge(release, mine, found, known, folded)
    notebook = _copy(mine)
    notebook.cells = list(work.cells())
    notebook.metadata = nbformat.from_dict(dict(mine.metadata) | {"workbook": release.learner.metadata["workbook"]})
    kernel = notebook.metadata.get("kernelspec")
    if not isinstance(kernel, dict) or not {"name", "display_name"} <= set(kernel):
        notebook.metadata["kernelspec"] = release.learner.metadata["kernelspec"]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    _give_ids(notebook)
    if to_text(notebook) == before:
        return Merged(notebook, ())
    return Merged(notebook, tuple(work.changes) or ("what the notebook knows about its cells was restored",))


def _copy(notebook: NotebookNode) -> NotebookNode:
    return nbformat.from_dict(json.loads(json.dumps(notebook)))


class _Merge:
    """One merge. `changes` fills as the cells are made."""

    def __init__(
        self,
        release: Notebooks,
        mine: NotebookNode,
        found: dict[str, list[NotebookNode]],
        base: dict[str, str] | None,
        folded: set[str],
    ) -> None:
        self.release = release
        self.base = base
        self.folded = folded  # cells that came folded before: whether they are now is the learner's choice
        self.changes: list[str] = []
        self.mine = {cell_id: copies[0] for cell_id, copies in found.items()}
        kinds = {cell.id: cell for cell in release.week.cells}
        for cell_id, cell in list(self.mine.items()):
            if not isinstance(kinds[cell_id].words, ANSWERS | LOCKED) and self._is_own(cell_id, cell):
                del self.mine[cell_id]  # a note that reads like a new text of the course
        self.extras = extras_after(mine, {id(cell): cell_id for cell_id, cell in self.mine.items()})
        order = [cell_id for cell in mine.cells for cell_id, one in self.mine.items() if one is cell]
        if order != [cell.id for cell in release.learner.cells if cell.id in self.mine]:
            self.changes.append("cells of the course are back in their order")

    def _is_own(self, cell_id: str, cell: NotebookNode) -> bool:
        return self.base is not None and cell_id not in self.base and cell.get("id") != cell_id

    def cells(self) -> Iterator[NotebookNode]:
        yield from self._own("")
        for new, source in zip(self.release.learner.cells, self.release.week.cells, strict=True):
            mine = self.mine.get(new.id)
            if mine is not None:
                yield from self._both(new, source, mine)
            elif isinstance(source.words, ANSWERS | LOCKED) or not self._deleted(new):
                self.changes.append(f"new: {_named(source)}")
                yield _copy(new)
            yield from self._own(new.id)

    def _deleted(self, new: NotebookNode) -> bool:
        """The learner removed this cell, and the course did not change it since."""
        return self.base is not None and self.base.get(new.id) == text_of(new)

    def _both(self, new: NotebookNode, source: Cell, mine: NotebookNode) -> Iterator[NotebookNode]:
        """A cell that is in both; after it, the learner's version where both changed it."""
        former = self.base.get(new.id) if self.base is not None else None
        ours, theirs = text_of(mine), text_of(new)
        if isinstance(source.words, ANSWERS):
            worked_on = ours not in (former, theirs)
            if worked_on and former not in (None, theirs):
                self.changes.append(f"{_named(source)}: the course changed the stub; your answer stays")
            elif ours != theirs and not worked_on:
                self.changes.append(f"{_named(source)}: a new stub, since you had not begun")
            yield self._together(new, mine, mine.source if worked_on else new.source)
        elif ours == theirs:
            yield self._together(new, mine, mine.source)
        elif isinstance(source.words, LOCKED):
            changed = former is None or former != theirs
            self.changes.append(f"{_named(source)}: {'updated' if changed else 'the text of the course is back'}")
            yield self._together(new, mine, new.source)
        elif former == theirs:
            yield self._together(new, mine, mine.source)
        else:
            kept = former is not None and ours != former
            self.changes.append(f"{_named(source)}: updated{'; your version stands below it' if kept else ''}")
            yield self._together(new, mine, new.source)
            if kept:
                yield _as_own(mine)

    def _together(self, new: NotebookNode, mine: NotebookNode, source: str) -> NotebookNode:
        """The course's cell with this source; what the learner's showed stays where the code did, and how."""
        cell = _copy(new)
        cell.source = source
        metadata = dict(mine.metadata) | dict(new.metadata)
        if new.id in self.folded:
            metadata = {key: metadata[key] for key in metadata if key not in FOLDED_WORDS or key in mine.metadata}
        cell.metadata = nbformat.from_dict(metadata)
        if mine.cell_type == new.cell_type:
            if new.cell_type == "code" and source == mine.source:
                cell.outputs, cell.execution_count = mine.get("outputs", []), mine.get("execution_count")
            if pasted := mine.get("attachments"):
                attached = pasted if isinstance(pasted, dict) else {}
                cell.attachments = nbformat.from_dict(attached | dict(new.get("attachments", {})))
        return cell

    def _own(self, after: str) -> Iterator[NotebookNode]:
        """The learner's own cells that follow a cell of the course, without those that the course took back."""
        for cell in self.extras.get(after, []):
            ours = cell.metadata.get("workbook")
            kind = ours.get("kind") if isinstance(ours, dict) else None
            gone = self.base is not None and self.base.get(str(cell.get("id"))) == text_of(cell)
            if gone or kind in ("setup", "given", "test", "readings"):
                known = {id_.id for id_ in self.release.learner.cells}
                if cell.get("id") in known or _grade_id(cell) in known:
                    yield cell  # one of several copies
                    continue
                self.changes.append(f"removed by the course: cell {cell.get('id') or kind!r}")
            elif kind == "exercise" and ours.get("name") not in self.release.week.exercises:
                self.changes.append(f"the course took back the exercise {ours.get('name')!r}; your answer stays")
                yield _as_own(cell)
            else:
                yield cell


def _grade_id(cell: NotebookNode) -> object:
    grading = cell.metadata.get("nbgrader")
    return grading.get("grade_id") if isinstance(grading, dict) else None


def _named(cell: Cell) -> str:
    words = {"about": "the text of exercise", "exercise": "exercise", "hints": "the hints of", "written": "question"}
    words |= {"look": "the drawing of", "given": "given code", "check": "the check of"}
    key = cell.words.key
    if key == "test":
        return f"test {cell.id}"
    if key in ("setup", "readings"):
        return "the set-up cell" if key == "setup" else "the reading list"
    return f"{words[key]} {cell.name}" if key in words else f"{key or 'text'} cell {cell.line}"


def _as_own(cell: NotebookNode) -> NotebookNode:
    """A cell that no longer belongs to the course."""
    own = _copy(cell)
    own.pop("id", None)
    own.metadata = nbformat.from_dict({"workbook": {"kind": "own"}})
    return own


def _give_ids(notebook: NotebookNode) -> None:
    """A unique id for every cell, the same ones each time; the course's cells come first."""
    seen: set[str] = set()
    count = 0
    fresh = {str(cell.get("id")) for cell in notebook.cells}
    for cell in notebook.cells:
        if not isinstance(cell.get("id"), str) or cell.id in seen:
            count += 1
            while f"own-{count}" in fresh:
                count += 1
            cell.id = f"own-{count}"
        seen.add(cell.id)
