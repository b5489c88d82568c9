"""Bring a submitted notebook back into the shape of the released one, without losing an answer.

Cells are recognized by nbgrader's id, by cell id, by their text, by the names they define, and last by
likeness. Answers come from the learner; set-up, given and test cells always come from the course.
"""

from __future__ import annotations

import ast
import json
import os
import stat
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from .build import SKIPPED_WHEN_GRADING, Notebooks
from .source import Exercise, Test, Written

MAX_BYTES = 50 * 2**20
"""A larger submission is reported, not read."""
ALIKE = 0.5
"""Share of common lines from which two cells count as versions of each other."""


class DamagedError(Exception):
    """The submission cannot be read as a notebook; the message says why."""


@dataclass
class Repaired:
    """A submission in the shape of the release.

    Attributes
    ----------
    notebook : the released cells in their order, with the learner's answers and their own extra cells.
    run : ids of the code cells that grading executes, in order.
    missing : exercises for which no answer cell was found.
    notes : what was recovered or replaced, for the feedback.
    """

    notebook: NotebookNode
    run: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def read_handed_in(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file that a learner handed in: never through a link, never of a pipe or a device.

    Raises
    ------
    DamagedError
        when it is no plain file, lies in a folder that is a link, or is larger than `most` (by default MAX_BYTES).
    OSError
        when it cannot be read.
    """
    if path.is_symlink() or path.parent.is_symlink() or path.parent.parent.is_symlink():
        raise DamagedError("the file is a link, or lies in one; hand in the file itself")
    most = MAX_BYTES if most is None else most
    flags = ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")  # some of them are missing on some systems
    with os.fdopen(os.open(path, sum(getattr(os, flag, 0) for flag in flags)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise DamagedError("this is no plain file")
        if about.st_size > most:
            raise DamagedError(f"the file has {about.st_size / 2**20:.0f} MiB; at most {most // 2**20} are read")
        return file.read(most)


def read_notebook(path: Path) -> NotebookNode:
    """Read a submitted file as a notebook of format 4.

    Raises
    ------
    DamagedError
        with a reason in one line, whatever is wrong with the file.
    """
    try:
        return parse_notebook(read_handed_in(path))
    except OSError as error:
        raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None


def parse_notebook(content: bytes) -> NotebookNode:
    """The notebook of format 4 that a file holds. Raises `DamagedError`, as `read_notebook` does."""
    try:
        raw = json.loads(content.decode("utf-8-sig"))
        if not isinstance(raw, dict) or "nbformat" not in raw:
            raise DamagedError("the file is JSON but no notebook")
        notebook = nbformat.convert(nbformat.from_dict(raw), 4)
        cells = [cell for cell in notebook.cells if cell.get("cell_type") in ("code", "markdown", "raw")]
        for cell in cells:
            source = cell.get("source", "")
            cell.source = source if isinstance(source, str) else "".join(map(str, source))
    except DamagedError:
        raise
    except json.JSONDecodeError as error:
        raise DamagedError(f"the file is no JSON (line {error.lineno}: {error.msg.lower()})") from None
    except Exception as error:
        raise DamagedError(f"the file is no notebook ({type(error).__name__}: {str(error)[:100]})") from None
    if not cells:
        raise DamagedError("the notebook has no cells")
    notebook.cells = cells
    return notebook


def repair(built: Notebooks, submitted: NotebookNode) -> Repaired:
    """Align a submission with the release. Never fails: what is not found is missing, and noted."""
    released = {cell.id: cell for cell in built.learner.cells}
    clean(submitted)
    found = align(built, submitted)
    out = Repaired(nbformat.from_dict(json.loads(json.dumps(built.instructor))))
    own = {id(cell): cell_id for cell_id, cells in found.items() for cell in cells}
    extras = extras_after(submitted, own)
    cells: list[NotebookNode] = []
    _name_extras(extras.pop("", []), cells, out)
    for cell, source in zip(out.notebook.cells, built.week.cells, strict=True):
        copies = found.get(cell.id, [])
        if isinstance(source.words, Exercise | Written):
            stub = released[cell.id].source
            cell.source = _answer(copies, stub) if copies else stub
            pasted = [copy.attachments for copy in copies if copy.get("attachments")]
            if pasted and cell.cell_type == "markdown":
                cell.attachments = pasted[-1]
            if not copies:
                out.notes.append(f"cell {cell.id!r} was missing")
                if isinstance(source.words, Exercise):
                    out.missing.add(source.name)
            elif len(copies) > 1:
                out.notes.append(f"cell {cell.id!r} stood there {len(copies)} times; one that was worked on counts")
        elif isinstance(source.words, Test):
            if not copies:
                out.notes.append(f"test cell {cell.id!r} was missing and was put back")
            elif all(text_of(copy) != text_of(released[cell.id]) for copy in copies):
                out.notes.append(f"test cell {cell.id!r} had been changed and was restored")
            elif len(copies) > 1:
                out.notes.append(f"test cell {cell.id!r} stood there {len(copies)} times")
        cells.append(cell)
        if cell.cell_type == "code" and not isinstance(source.words, SKIPPED_WHEN_GRADING):
            out.run.append(cell.id)
        _name_extras(extras.pop(cell.id, []), cells, out)
    out.notebook.cells = cells
    kernelspec = submitted.metadata.get("kernelspec")
    kernel = kernelspec.get("language") if isinstance(kernelspec, dict) else None
    if isinstance(kernel, str) and kernel.lower() != "python":
        out.notes.append(f"the notebook asked for a kernel of the language {kernel.lower()!r}; Python was used")
    return out


def clean(notebook: NotebookNode) -> None:
    """Replace metadata that is no mapping, ids that are no text, and halves of characters."""
    if not isinstance(notebook.get("metadata"), dict):
        notebook.metadata = nbformat.from_dict({})
    for cell in notebook.cells:
        if not isinstance(cell.get("metadata"), dict):
            cell.metadata = nbformat.from_dict({})
        cell.source = cell.source.encode("utf-8", "replace").decode("utf-8")


def text_of(cell: NotebookNode) -> str:
    """The source of a cell without the blanks that say nothing: at both ends, and behind lines."""
    return "\n".join(line.rstrip() for line in cell.source.strip().splitlines())


def _defined(source: str) -> set[str]:
    """Functions and classes at the top of a cell; for text that does not parse, what its lines begin with."""
    try:
        with warnings.catch_warnings(action="ignore"):  # a learner's odd escape is no news for the instructor
            body = ast.parse(source).body
        return {n.name for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # whatever was typed: it is not parsed to be run
        heads = [
            line.split("(")[0].split(":")[0] for line in source.splitlines() if line.startswith(("def ", "class "))
        ]
        return {head.split()[-1] for head in heads if head.split()}


def _likeness(a: str, b: str) -> float:
    """Share of lines that two cells have in common (Jaccard index)."""
    one, two = ({line.strip() for line in text.splitlines() if line.strip()} for text in (a, b))
    return len(one & two) / max(1, len(one | two))


def align(built: Notebooks, submitted: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Released cell id -> the submitted cells that are versions of it, in the order of the submission."""
    found: dict[str, list[NotebookNode]] = {}
    released = {cell.id: cell for cell in built.learner.cells}
    texts: dict[str, str] = {}
    for cell_id, cell in released.items():
        texts.setdefault(text_of(cell), cell_id)
    open_cells = []
    for cell in submitted.cells:
        grading = cell.metadata.get("nbgrader")
        grade_id = grading.get("grade_id") if isinstance(grading, dict) else None
        known = next(
            (i for i in (grade_id, cell.get("id"), texts.get(text_of(cell))) if isinstance(i, str) and i in released),
            None,
        )
        if known is None:
            open_cells.append(cell)
        else:
            found.setdefault(known, []).append(cell)
    for cell in list(open_cells):
        names = _defined(cell.source) if cell.cell_type != "raw" else set()
        for wanted in built.week.of_kind(Exercise):
            stub_names = _defined(released[wanted.id].source)
            if wanted.id not in found and stub_names and stub_names <= names:
                found[wanted.id] = [cell]
                open_cells.remove(cell)
                break
    for cell in open_cells:
        scores = [
            (_likeness(cell.source, other.source), cell_id)
            for cell_id, other in released.items()
            if cell_id not in found
        ]
        best = max(scores, default=(0.0, ""))
        if best[0] >= ALIKE:
            found[best[1]] = [cell]
    return found


def _answer(copies: list[NotebookNode], stub: str) -> str:
    """Of several copies of an answer, the last whole one that was worked on, with the parts that were split off it."""
    worked_on = [cell.source for cell in copies if cell.source.strip() != stub.strip()] or [copies[-1].source]
    wanted = _defined(stub)
    whole = [source for source in worked_on if wanted <= _defined(source)]
    parts = [source for source in worked_on if source not in whole or source == whole[-1]]
    return "\n\n".join(parts) if wanted and whole else worked_on[-1]


def extras_after(submitted: NotebookNode, own: dict[int, str]) -> dict[str, list[NotebookNode]]:
    """The learner's own cells, under the id of the released cell that they follow."""
    found: dict[str, list[NotebookNode]] = {}
    after = ""
    for cell in submitted.cells:
        after = own.get(id(cell), after)
        if id(cell) not in own:
            found.setdefault(after, []).append(cell)
    return found


def _name_extras(extras: list[NotebookNode], cells: list[NotebookNode], out: Repaired) -> None:
    """Add the learner's own cells with fresh ids and without grading metadata; their code runs."""
    for extra in extras:
        make = {"code": new_code_cell, "markdown": new_markdown_cell}.get(extra.cell_type, new_raw_cell)
        cell = make(extra.source, id=f"own-{sum(other.id.startswith('own-') for other in cells) + 1}")
        cell.metadata = nbformat.from_dict({"workbook": {"kind": "own"}})
        if cell.cell_type == "code":
            out.run.append(cell.id)
        elif extra.get("attachments"):
            cell.attachments = extra.attachments
        cells.append(cell)
